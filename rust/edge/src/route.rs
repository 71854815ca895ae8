//! Who answers a call: the checks that all calls pass, then health and reflection, streams, or the handlers.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tonic::Status;

use crate::body::Outgoing;
use crate::shared::{Phase, Shared};
use crate::{contract, receive, stats, status, unary};

/// What HTTP/2 adds to the name and the value of each field when it counts (RFC 9113, section 6.5.2), bytes.
const FIELD_OVERHEAD_BYTES: usize = 32;

/// Answers one call.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    if !is_grpc(&request) {
        let mut response = Response::new(Outgoing::Empty);
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let metadata_bytes_max = shared.options.limits.metadata_bytes_max;
    if metadata_bytes(request.headers()) > metadata_bytes_max {
        return refuse(&shared, &status::quota_exceeded("metadata_bytes_max", metadata_bytes_max));
    }
    let path = request.uri().path();
    if let Some(service) = shared.services.find(path) {
        let ending = async move { shared.reached(Phase::Ending).await };
        return service(request).await.map(|body| Outgoing::Tonic(body, Box::pin(ending)));
    }
    if !path.starts_with(contract::PACKAGE) {
        return refuse(&shared, &status::unknown_method(path));
    }
    if shared.is_draining() {
        return refuse(&shared, &status::draining());
    }
    if path == contract::HOT_SUBSCRIBE {
        return receive::open(&shared, peer, request);
    }
    unary::serve(shared, peer, request).await
}

fn refuse(shared: &Shared, status: &Status) -> Response<Outgoing> {
    stats::add(&shared.stats.calls_refused, 1);
    Outgoing::refusal(status)
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    request.method() == Method::POST && content_type.starts_with(b"application/grpc")
}

fn metadata_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES).sum()
}
