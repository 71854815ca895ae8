//! A call with one request: out of the cache or over the bridge, one message out with `served` behind it. A handler that
//! has more than one message begins a body of [parts](crate::parts).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::Status;

use crate::body::Outgoing;
use crate::call::{Answer, Question, Reply};
use crate::deadline::Deadline;
use crate::frame::{self, MessageReader};
use crate::parts::{Begun, PartsBody};
use crate::reply::ReplyBody;
use crate::served::{Freshness, Provenance};
use crate::shared::Shared;
use crate::stats::{self, Present};
use crate::{clock, repeats, served, status};

/// Answers above this are hashed beside the edge's thread, so that no stream waits for them, bytes.
const HASH_INLINE_BYTES_MAX: usize = 64 * 1024;

/// What a call has to give.
enum Outcome {
    /// Its only message.
    Whole(Vec<u8>),
    /// The first of several.
    Begun(Begun),
}

/// Serves one call to its end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let arrived_ns = clock::mono_ns();
    let open = Present::enter(&shared.stats, |stats| &stats.unary_open);
    stats::add(&shared.stats.unary_total, 1);
    let result = in_time(&shared, peer, request, arrived_ns).await;
    shared.stats.record_unary(clock::mono_ns().saturating_sub(arrived_ns));
    match result {
        Ok((Outcome::Whole(mut frame), _)) => {
            frame::seal(&mut frame);
            stats::add(&shared.stats.bytes_sent, frame.len() as u64);
            Outgoing::response(Outgoing::Reply(ReplyBody::new(&shared, Bytes::from(frame))))
        }
        Ok((Outcome::Begun(call), deadline)) => {
            let parts = PartsBody::new(&shared, call, deadline, open);
            Outgoing::response(Outgoing::Parts(Box::new(parts)))
        }
        Err(status) => {
            stats::add(&shared.stats.unary_failed, 1);
            Outgoing::refusal(&status)
        }
    }
}

/// Waits for the answer until the deadline.
async fn in_time(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
    arrived_ns: u64,
) -> Result<(Outcome, Deadline), Status> {
    let (head, body) = request.into_parts();
    let deadline = Deadline::new(&head.headers, Some(shared.options.limits.unary_max))?;
    let question = Question {
        method: head.uri.path().into(),
        request: Bytes::new(),
        deadline_ns: deadline.mono_ns(),
        peer,
        metadata: Arc::new(head.headers),
        subscriber: None,
        is_refresh: false,
    };
    tokio::select! {
        biased;
        result = answer(shared, question, body, arrived_ns) => result.map(|outcome| (outcome, deadline)),
        expired = deadline.passed() => {
            stats::add(&shared.stats.calls_expired, 1);
            Err(expired)
        }
    }
}

async fn answer(
    shared: &Arc<Shared>,
    question: Question,
    body: Incoming,
    arrived_ns: u64,
) -> Result<Outcome, Status> {
    let request = MessageReader::new(body, shared.options.limits.request_bytes_max).only().await?;
    let question = Question { request, ..question };
    match repeats::find(shared, &question, arrived_ns) {
        Some(frame) => Ok(Outcome::Whole(frame)),
        None => ask(shared, question, arrived_ns).await,
    }
}

/// Has the handlers answer, and remembers under which key their answer can be found again.
async fn ask(shared: &Arc<Shared>, question: Question, arrived_ns: u64) -> Result<Outcome, Status> {
    let (method, request) = (Arc::clone(&question.method), question.request.clone());
    let is_served = shared.options.served_methods.contains(&*method);
    let mut ticket =
        shared.bridge.post(question).map_err(|_| status::overloaded(shared.options.limits.calls_max))?;
    let Reply { frame, provenance, key } = match ticket.next().await {
        Answer::Reply(reply) => reply,
        Answer::Refusal(status) => return Err(status),
        Answer::Part(first) => return Ok(Outcome::Begun(Begun { ticket, first, is_served, arrived_ns })),
    };
    if let Some(repeats) = shared.options.repeats.as_ref().filter(|_| !key.is_empty()) {
        repeats.remember(&method, &request, &key);
    }
    let frame = if is_served {
        served(frame, provenance, shared.options.freshness, arrived_ns).await?
    } else {
        frame
    };
    Ok(Outcome::Whole(frame))
}

/// Appends `served`; a large answer is hashed on another thread.
async fn served(
    mut frame: Vec<u8>,
    provenance: Provenance,
    freshness: Freshness,
    arrived_ns: u64,
) -> Result<Vec<u8>, Status> {
    let is_long = provenance.snapshot_id.is_empty() && frame.len() > HASH_INLINE_BYTES_MAX;
    let append = move || {
        let latency_ns = clock::mono_ns().saturating_sub(arrived_ns);
        served::append(&mut frame, &provenance, freshness, latency_ns);
        frame
    };
    if is_long {
        tokio::task::spawn_blocking(append).await.map_err(|_| status::unanswered())
    } else {
        Ok(append())
    }
}
