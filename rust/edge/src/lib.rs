//! The gRPC server of the service.
