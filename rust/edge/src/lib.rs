//! The gRPC server of the service: hyper and tonic on one thread of its own, inside whatever process owns it.
//!
//! It knows no market. Subscriptions are streamed from the [Hub](facade_hub::Hub), byte for byte as they were
//! published, behind a small header. Exact requests whose answer is
//! in the [cache](facade_cache::AnswerCache) get it from there. All other calls are handed over the [`Bridge`] as bytes to handlers that may live
//! in an interpreter: the edge never waits for them and never takes their lock; a doorbell (a file descriptor) wakes
//! them. Deadlines, limits, health, reflection and a graceful stop are its own business.

mod body;
mod bridge;
mod call;
mod clock;
mod connection;
mod contract;
mod deadline;
mod doorbell;
mod edge;
mod executor;
mod frame;
mod listener;
mod options;
mod parts;
mod pieces;
mod protobuf;
mod receive;
mod repeats;
mod reply;
mod route;
mod served;
mod server;
mod services;
mod shared;
mod stats;
mod status;
mod stream;
mod unary;

pub use bridge::Bridge;
pub use call::{Call, PART_BYTES_MAX, PartError, Question, Subscription};
pub use doorbell::Doorbell;
pub use edge::{Edge, EdgeError};
pub use options::{Limits, Options};
pub use repeats::Repeats;
pub use served::{Freshness, Provenance};
pub use stats::{EdgeStats, LatencyStats};
pub use tonic::Code;
