//! The services beside our own: `grpc.health.v1`, and reflection for developers.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::codegen::Service;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::contract;
use crate::options::Options;

/// Paths of the health service.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// Paths of both versions of reflection.
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/";
const REFLECTION_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/";

/// What a service says, some time later.
type Answer = Pin<Box<dyn Future<Output = Response<tonic::body::Body>> + Send>>;
/// One service.
pub(crate) type Handler = Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// The services that tonic answers.
pub(crate) struct Services {
    handlers: Vec<(&'static str, Handler)>,
    reporter: HealthReporter,
    names: Mutex<BTreeSet<String>>,
}

impl Services {
    /// Makes health, and reflection if the options ask for it and have a descriptor.
    pub(crate) fn new(options: &Options) -> Result<Self, tonic_reflection::server::Error> {
        let reporter = HealthReporter::new();
        let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()))
            .max_decoding_message_size(options.limits.request_bytes_max);
        let mut handlers = vec![(HEALTH, handler(health))];
        if options.is_dev && !options.descriptor.is_empty() {
            handlers.push((REFLECTION, handler(reflection(options).build_v1()?)));
            handlers.push((REFLECTION_ALPHA, handler(reflection(options).build_v1alpha()?)));
        }
        Ok(Self { handlers, reporter, names: Mutex::default() })
    }

    /// Returns what answers calls of `path`, if it is one of these services.
    pub(crate) fn find(&self, path: &str) -> Option<Handler> {
        self.handlers
            .iter()
            .find(|(prefix, _)| path.starts_with(prefix))
            .map(|(_, handler)| Arc::clone(handler))
    }

    /// Says that nothing is served yet.
    pub(crate) async fn begin(&self) {
        for name in ["", contract::SERVICE] {
            self.set_health(name, false).await;
        }
    }

    /// Tells those who ask for `name` whether it is served.
    pub(crate) async fn set_health(&self, name: &str, is_serving: bool) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        let status = if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(name, status).await;
    }

    /// Says of every name that it is served no more.
    pub(crate) async fn end(&self) {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for name in names {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
    }
}

fn reflection(options: &Options) -> tonic_reflection::server::Builder<'_> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(&options.descriptor)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

fn handler<S>(service: S) -> Handler
where
    S: Service<Request<Incoming>, Response = Response<tonic::body::Body>, Error = std::convert::Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    Arc::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            let Ok(response) = service.call(request).await;
            response
        })
    })
}
