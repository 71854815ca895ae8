//! A unary call: one message in, over the bridge, one message out with `served` behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::Status;

use crate::body::Outgoing;
use crate::bridge::{Answer, Question};
use crate::deadline::Deadline;
use crate::frame::{self, MessageReader};
use crate::reply::ReplyBody;
use crate::shared::Shared;
use crate::stats::{self, Present};
use crate::{clock, contract, status};

/// Answers above this are hashed beside the edge's thread, so that no stream waits for them, bytes.
const HASH_INLINE_BYTES_MAX: usize = 64 * 1024;

/// Serves one call to its end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let arrived_ns = clock::mono_ns();
    let _open = Present::enter(&shared.stats, |stats| &stats.unary_open);
    stats::add(&shared.stats.unary_total, 1);
    let (head, body) = request.into_parts();
    let deadline = match Deadline::new(&head.headers, Some(shared.options.limits.unary_max)) {
        Ok(deadline) => deadline,
        Err(status) => return Outgoing::refusal(&status),
    };
    let question = Question {
        method: head.uri.path().into(),
        request: Bytes::new(),
        deadline_ns: deadline.mono_ns(),
        peer,
        metadata: Arc::new(head.headers),
        subscriber: None,
    };
    let result = tokio::select! {
        biased;
        result = answer(&shared, question, body, arrived_ns) => result,
        status = deadline.passed() => {
            stats::add(&shared.stats.calls_expired, 1);
            Err(status)
        }
    };
    match result {
        Ok(frame) => Outgoing::response(Outgoing::Reply(ReplyBody::new(&shared, frame))),
        Err(status) => Outgoing::refusal(&status),
    }
}

async fn answer(
    shared: &Arc<Shared>,
    question: Question,
    body: Incoming,
    arrived_ns: u64,
) -> Result<Bytes, Status> {
    let limits = &shared.options.limits;
    let request = MessageReader::new(body, limits.request_bytes_max).only().await?;
    let is_served = shared.options.served_methods.contains(&*question.method);
    let ticket = shared
        .bridge
        .post(Question { request, ..question })
        .map_err(|_| status::overloaded(limits.calls_max))?;
    let (mut frame, cache_tier) = match ticket.await {
        Answer::Reply { frame, cache_tier } => (frame, cache_tier),
        Answer::Refusal(status) => return Err(status),
    };
    if is_served {
        frame = served(frame, cache_tier, arrived_ns).await?;
    }
    frame::seal(&mut frame);
    stats::add(&shared.stats.bytes_sent, frame.len() as u64);
    Ok(Bytes::from(frame))
}

/// Appends `served`; a large answer is hashed on another thread.
async fn served(mut frame: Vec<u8>, cache_tier: u32, arrived_ns: u64) -> Result<Vec<u8>, Status> {
    let is_long = frame.len() > HASH_INLINE_BYTES_MAX;
    let append = move || {
        contract::append_served(&mut frame, cache_tier, clock::mono_ns().saturating_sub(arrived_ns));
        frame
    };
    if is_long {
        tokio::task::spawn_blocking(append).await.map_err(|_| status::unanswered())
    } else {
        Ok(append())
    }
}
