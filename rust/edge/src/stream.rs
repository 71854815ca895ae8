//! The outgoing half of a subscription: what waits in the Hub, joined behind a header, as fast as the client
//! reads and no faster. It is polled by hyper and never waits for the incoming half.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use facade_hub::{EndReason, ResumePosition, SubscriberId, Taken, TakenRecords, Turn};
use http_body::Frame;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use tonic::Status;

use crate::body;
use crate::call::Subscription;
use crate::contract::ResponseHeader;
use crate::pieces::{Pieces, Progress};
use crate::shared::Shared;
use crate::stats::{self, Present};
use crate::{clock, status};

/// Room for a response before the first one was seen, bytes.
const RESPONSE_BYTES_USUAL: usize = 4 * 1024;

/// Bytes of resume positions that a client's limit on metadata surely lets through.
const POSITIONS_BYTES_MAX: usize = 3 * 1024;

/// What both halves of a subscription share.
pub(crate) struct Subscriber {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: SubscriberId,
    pub(crate) subscription: Arc<Subscription>,
    /// `stream_seq` of the newest response handed out.
    sent_seq: AtomicU64,
    /// Whether the client reads what it is sent.
    pub(crate) progress: Arc<Progress>,
    _open: Present,
}

impl Subscriber {
    /// Adds a subscriber to the Hub for a new stream.
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        let id = shared.hub.subscriber();
        stats::add(&shared.stats.streams_total, 1);
        Arc::new(Self {
            id,
            subscription: Arc::new(Subscription::new(id.to_raw())),
            sent_seq: AtomicU64::new(0),
            progress: Arc::default(),
            _open: Present::enter(&shared.stats, |stats| &stats.streams_open),
            shared: Arc::clone(shared),
        })
    }

    /// Returns the `stream_seq` of the newest response; 0: none yet.
    pub(crate) fn sent_seq(&self) -> u64 {
        self.sent_seq.load(Ordering::Acquire)
    }
}

/// Both halves are gone: a call in a handler's hands has been cancelled, so its end is told before the stream's.
impl Drop for Subscriber {
    fn drop(&mut self) {
        self.shared.bridge.post_closed(&self.subscription);
    }
}

/// The body of a `HotSubscribe` response.
pub(crate) struct StreamBody {
    subscriber: Arc<Subscriber>,
    /// How the incoming half ends the stream.
    ending: oneshot::Receiver<Status>,
    /// The incoming half; it ends with this one.
    receiving: tokio::task::AbortHandle,
    /// How the stream ends once what is in hand has left.
    outcome: Option<Status>,
    /// Whether the response in hand is the last one.
    is_last: bool,
    is_over: bool,
    /// The response that leaves.
    pieces: Pieces,
    /// Where the next response is put together.
    buffer: Vec<u8>,
    silence: Pin<Box<Sleep>>,
    /// Rings when the Hub is to be asked again although it signalled nothing.
    wake: Pin<Box<Sleep>>,
    sent_at: Instant,
}

impl StreamBody {
    pub(crate) fn new(
        subscriber: Arc<Subscriber>,
        ending: oneshot::Receiver<Status>,
        receiving: tokio::task::AbortHandle,
    ) -> Self {
        let limits = &subscriber.shared.options.limits;
        let pieces = Pieces::new(limits.write_bytes_max, Arc::clone(&subscriber.progress));
        let silence = Box::pin(tokio::time::sleep(limits.silence_max));
        let wake = Box::pin(tokio::time::sleep(limits.silence_max));
        Self {
            subscriber,
            ending,
            receiving,
            outcome: None,
            is_last: false,
            is_over: false,
            pieces,
            buffer: Vec::with_capacity(RESPONSE_BYTES_USUAL),
            silence,
            wake,
            sent_at: Instant::now(),
        }
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
            match ready!(self.poll_response(context)) {
                Some(response) => self.pieces.load(response),
                None => return Poll::Ready(Some(self.finish())),
            }
        }
    }

    /// Returns the next response; `None`: the outcome is all that is left to tell.
    fn poll_response(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.is_last {
            return Poll::Ready(None);
        }
        self.poll_ending(context);
        loop {
            let stream_seq = self.subscriber.sent_seq() + 1;
            let header = ResponseHeader::begin(&mut self.buffer, stream_seq);
            let limits = &self.subscriber.shared.options.limits;
            let bytes_max = limits.response_bytes_max.saturating_sub(self.buffer.len());
            let turn = Turn { stream_seq, bytes_max, mono_ns: clock::mono_ns() };
            let hub = &self.subscriber.shared.hub;
            match hub.take_turn(self.subscriber.id, turn, &mut self.buffer, Some(context.waker())) {
                Taken::Some(taken) => {
                    // A stream that is told to end gives what waits, not all that goes on being published.
                    self.is_last = self.outcome.is_some();
                    self.count(&taken);
                    return Poll::Ready(Some(self.response(header, taken.watermark_wall_ns)));
                }
                Taken::Empty { .. } if self.outcome.is_some() => return Poll::Ready(None),
                Taken::Empty { watermark_wall_ns, wake_at_mono_ns } => {
                    if self.poll_silence(context).is_ready() {
                        return Poll::Ready(Some(self.response(header, watermark_wall_ns)));
                    }
                    ready!(self.poll_wake(context, turn.mono_ns, wake_at_mono_ns));
                }
                Taken::Ended(reason) => {
                    let outcome = self.hub_ended(reason);
                    self.outcome.get_or_insert(outcome);
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Ready when the Hub is to be asked again: at `wake_at_ns`, if there is such a moment.
    fn poll_wake(&mut self, context: &mut Context<'_>, now_ns: u64, wake_at_ns: Option<u64>) -> Poll<()> {
        let Some(wake_at_ns) = wake_at_ns else { return Poll::Pending };
        let wait = Duration::from_nanos(wake_at_ns.saturating_sub(now_ns));
        self.wake.as_mut().reset(Instant::now() + wait);
        self.wake.as_mut().poll(context)
    }

    /// Asks the incoming half whether the stream is to end.
    fn poll_ending(&mut self, context: &mut Context<'_>) {
        if self.outcome.is_none()
            && let Poll::Ready(outcome) = Pin::new(&mut self.ending).poll(context)
        {
            self.outcome = Some(outcome.unwrap_or_else(|_| status::unanswered()));
        }
    }

    /// Ready when nothing was sent for too long. The timer runs on when something is sent: setting it anew each
    /// time would cost more than one early look a second.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let due = self.sent_at + self.subscriber.shared.options.limits.silence_max;
        loop {
            ready!(self.silence.as_mut().poll(context));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            self.silence.as_mut().reset(due);
        }
    }

    fn count(&self, taken: &TakenRecords) {
        let stats = &self.subscriber.shared.stats;
        stats::add(&stats.records_sent, u64::from(taken.records));
        if let Some(published_ns) = taken.published_mono_ns {
            stats.record_latency(clock::mono_ns().saturating_sub(published_ns));
        }
    }

    /// Completes the response in the buffer.
    fn response(&mut self, header: ResponseHeader, watermark_wall_ns: i64) -> Bytes {
        let stats = &self.subscriber.shared.stats;
        header.finish(&mut self.buffer, clock::wall_ns(), watermark_wall_ns);
        stats::add(&stats.responses_sent, 1);
        stats::add(&stats.bytes_sent, self.buffer.len() as u64);
        self.subscriber.sent_seq.fetch_add(1, Ordering::AcqRel);
        self.sent_at = Instant::now();
        Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(RESPONSE_BYTES_USUAL)))
    }

    fn hub_ended(&self, reason: EndReason) -> Status {
        match reason {
            EndReason::SlowReader { positions } => {
                stats::add(&self.subscriber.shared.stats.streams_cut_slow, 1);
                status::slow_reader(position_texts(&positions, self.subscriber.shared.options.epoch))
            }
            EndReason::Draining { .. } => status::draining(),
            EndReason::Closed => Status::new(tonic::Code::Ok, ""),
            _ => status::unanswered(),
        }
    }

    fn finish(&mut self) -> Frame<Bytes> {
        self.is_over = true;
        let outcome = self.outcome.take().unwrap_or_else(status::unanswered);
        Frame::trailers(body::trailers(&outcome))
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.subscriber.subscription.close();
        self.subscriber.shared.hub.close(self.subscriber.id);
        self.receiving.abort();
    }
}

/// Tells where to resume: `venue/symbol/channel/variant` to `seq`, and the epoch. What does not fit into the
/// metadata is counted; a client knows each position from the last update that it processed.
fn position_texts(positions: &[ResumePosition], epoch: u32) -> HashMap<String, String> {
    let mut texts = HashMap::from([("epoch".to_owned(), epoch.to_string())]);
    let mut bytes = 0;
    for position in positions {
        let topic = &position.topic;
        let name = format!("{}/{}/{}/{}", topic.venue, topic.symbol, topic.channel, topic.variant);
        let seq = position.seq.to_string();
        bytes += name.len() + seq.len();
        if bytes > POSITIONS_BYTES_MAX {
            let left_out = positions.len() + 1 - texts.len();
            texts.insert("positions_left_out".to_owned(), left_out.to_string());
            break;
        }
        texts.insert(name, seq);
    }
    texts
}
