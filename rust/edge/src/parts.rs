//! The body of an answer in several messages: the next one is taken from the handler when the one before has left,
//! so that a client that reads slowly slows its handler down and holds no more than its credit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tonic::Status;

use crate::call::{Answer, Ticket};
use crate::deadline::Deadline;
use crate::executor::{self, CutSwitch};
use crate::pieces::{Pieces, Progress};
use crate::shared::{Phase, Shared};
use crate::stats::{self, Present};
use crate::{body, clock, frame, served, status};

/// Time that the write in hand has to make way for the trailers of a call that has to end.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// An answer in several messages on its way.
pub(crate) struct PartsBody {
    shared: Arc<Shared>,
    ticket: Ticket,
    arrived_ns: u64,
    /// Whether the last message ends with `served`.
    is_served: bool,
    /// How the call ends before its handler says so.
    ending: oneshot::Receiver<Status>,
    watch: AbortHandle,
    /// How the call ends once the message in hand has left.
    outcome: Option<Status>,
    is_over: bool,
    pieces: Pieces,
    _open: Present,
}

/// A call whose handler has said its first part.
pub(crate) struct Begun {
    pub(crate) ticket: Ticket,
    pub(crate) first: Vec<u8>,
    pub(crate) is_served: bool,
    pub(crate) arrived_ns: u64,
}

impl PartsBody {
    /// Takes over a call that has begun. To be called in the task of its stream.
    pub(crate) fn new(shared: &Arc<Shared>, call: Begun, deadline: Deadline, open: Present) -> Self {
        let limits = &shared.options.limits;
        let progress = Arc::new(Progress::default());
        let pieces = Pieces::new(limits.write_bytes_max, Arc::clone(&progress));
        let (end, ending) = oneshot::channel();
        let watch = watch(shared, deadline.bounded(limits.parts_max), progress, end);
        let mut body = Self {
            shared: Arc::clone(shared),
            ticket: call.ticket,
            arrived_ns: call.arrived_ns,
            is_served: call.is_served,
            ending,
            watch,
            outcome: None,
            is_over: false,
            pieces,
            _open: open,
        };
        body.load(call.first);
        body
    }

    /// Returns the next piece, the trailers, or nothing more. Being asked means that all before was accepted.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        self.pieces.accepted();
        loop {
            if let Some(piece) = self.pieces.next() {
                return Poll::Ready(Some(Frame::data(piece)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            if let Some(outcome) = self.outcome.take() {
                self.is_over = true;
                let is_failed = outcome.code() != tonic::Code::Ok;
                stats::add(&self.shared.stats.unary_failed, u64::from(is_failed));
                return Poll::Ready(Some(Frame::trailers(body::trailers(&outcome))));
            }
            self.outcome = ready!(self.poll_message(context));
        }
    }

    /// Takes the next message in hand; returns how the call ends, if there is none or it is the last one.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Status>> {
        if let Poll::Ready(outcome) = Pin::new(&mut self.ending).poll(context) {
            return Poll::Ready(Some(outcome.unwrap_or_else(|_| status::unanswered())));
        }
        Poll::Ready(match ready!(self.ticket.poll_next(context)) {
            Answer::Part(part) => {
                self.load(part);
                None
            }
            Answer::Reply(mut reply) => {
                if self.is_served {
                    let latency_ns = clock::mono_ns().saturating_sub(self.arrived_ns);
                    let freshness = self.shared.options.freshness;
                    served::append(&mut reply.frame, &reply.provenance, freshness, latency_ns);
                }
                self.load(reply.frame);
                Some(Status::new(tonic::Code::Ok, ""))
            }
            Answer::Refusal(status) => Some(status),
        })
    }

    fn load(&mut self, mut message: Vec<u8>) {
        frame::seal(&mut message);
        stats::add(&self.shared.stats.bytes_sent, message.len() as u64);
        self.pieces.load(Bytes::from(message));
    }
}

impl Drop for PartsBody {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Ends the call in time, with the edge, and when its client stops reading.
fn watch(
    shared: &Arc<Shared>,
    deadline: Deadline,
    progress: Arc<Progress>,
    end: oneshot::Sender<Status>,
) -> AbortHandle {
    let (switch, shared) = (CutSwitch::of_this_stream(), Arc::clone(shared));
    let stats = Arc::clone(&shared.stats);
    let watching = executor::spawn(&stats, async move {
        let outcome = tokio::select! {
            expired = deadline.passed() => {
                stats::add(&shared.stats.calls_expired, 1);
                Some(expired)
            }
            () = shared.reached(Phase::Ending) => Some(status::draining()),
            () = progress.blocked(shared.options.limits.blocked_max) => {
                stats::add(&shared.stats.streams_cut_blocked, 1);
                None
            }
        };
        if let Some(outcome) = outcome
            && end.send(outcome).is_ok()
        {
            // A client that reads is told; for the others the trailers would wait behind the write that stands still.
            progress.blocked(LAST_WORDS_MAX).await;
        }
        switch.cut();
    });
    watching.abort_handle()
}
