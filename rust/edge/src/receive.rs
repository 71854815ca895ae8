//! The incoming half of a subscription: requests go to the handlers one by one, acknowledgements stay here, and
//! whatever must end the stream is noticed here. Half-closing ends nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tonic::Status;

use crate::body::Outgoing;
use crate::call::Question;
use crate::clock;
use crate::contract::{self, RequestSummary};
use crate::deadline::Deadline;
use crate::executor::{self, CutSwitch};
use crate::frame::MessageReader;
use crate::shared::{Phase, Shared};
use crate::stats;
use crate::status;
use crate::stream::{StreamBody, Subscriber};

/// Opens a subscription. Everything that can go wrong later is told in its trailers.
pub(crate) fn open(shared: &Arc<Shared>, peer: SocketAddr, request: Request<Incoming>) -> Response<Outgoing> {
    let (head, body) = request.into_parts();
    let deadline = match Deadline::new(&head.headers, None) {
        Ok(deadline) => deadline,
        Err(status) => return Outgoing::refusal(&status),
    };
    let subscriber = Subscriber::new(shared);
    let receiver = Receiver {
        messages: MessageReader::new(body, shared.options.limits.request_bytes_max),
        subscriber: Arc::clone(&subscriber),
        switch: CutSwitch::of_this_stream(),
        deadline,
        peer,
        metadata: Arc::new(head.headers),
    };
    let (end, ending) = oneshot::channel();
    let receiving = executor::spawn(&shared.stats, async move {
        // A stream that is gone already needs no ending.
        let _ = end.send(receiver.run().await);
    });
    let stream = StreamBody::new(subscriber, ending, receiving.abort_handle());
    Outgoing::response(Outgoing::Stream(Box::new(stream)))
}

struct Receiver {
    messages: MessageReader<Incoming>,
    subscriber: Arc<Subscriber>,
    switch: CutSwitch,
    deadline: Deadline,
    peer: SocketAddr,
    metadata: Arc<HeaderMap>,
}

impl Receiver {
    /// Runs until something ends the stream, and returns how it ends.
    async fn run(mut self) -> Status {
        let shared = Arc::clone(&self.subscriber.shared);
        let deadline = self.deadline;
        let watched = Arc::clone(&self.subscriber);
        tokio::select! {
            status = self.requests() => status,
            status = deadline.passed() => {
                stats::add(&shared.stats.calls_expired, 1);
                status
            }
            () = shared.reached(Phase::Ending) => status::draining(),
            () = watched.progress.blocked(shared.options.limits.blocked_max) => {
                // Its trailers would wait behind the same write, so the client is sent `RST_STREAM`.
                stats::add(&shared.stats.streams_cut_blocked, 1);
                self.switch.cut();
                std::future::pending().await
            }
        }
    }

    /// Handles requests until one is refused; a client that sends no more is waited for without end.
    async fn requests(&mut self) -> Status {
        if let Err(status) = self.first_request().await {
            return status;
        }
        loop {
            match self.messages.next().await {
                Ok(Some(message)) => {
                    if let Err(status) = self.apply(message, false).await {
                        return status;
                    }
                }
                Ok(None) => std::future::pending().await,
                Err(status) => return status,
            }
        }
    }

    async fn first_request(&mut self) -> Result<(), Status> {
        let wait_max = self.subscriber.shared.options.limits.first_request_max;
        let Ok(first) = tokio::time::timeout(wait_max, self.messages.next()).await else {
            let problem = format!("expected the first one within {} ms", wait_max.as_millis());
            return Err(status::invalid_request("request", &problem));
        };
        match first? {
            Some(message) => self.apply(message, true).await,
            None => Err(status::invalid_request("request", "expected a first one, received none")),
        }
    }

    /// Applies one request: the handler first, then its acknowledgement, which was checked before (STYLE R9).
    async fn apply(&self, message: Bytes, is_first: bool) -> Result<(), Status> {
        let summary = RequestSummary::of(&message)
            .map_err(|malformed| status::invalid_request("request", &malformed.to_string()))?;
        let (received, sent) = (summary.ack_stream_seq, self.subscriber.sent_seq());
        if received > sent {
            let problem = format!("expected at most {sent}, received {received}");
            return Err(status::invalid_request("ack_stream_seq", &problem));
        }
        if is_first || summary.is_for_handler {
            self.hand_over(message).await?;
        }
        if received > 0 {
            let hub = &self.subscriber.shared.hub;
            self.subscriber.progress.extend(Duration::from_nanos(hub.bounds().lag_ns));
            hub.ack(self.subscriber.id, received, clock::mono_ns());
        }
        Ok(())
    }

    async fn hand_over(&self, request: Bytes) -> Result<(), Status> {
        let shared = &self.subscriber.shared;
        let question = Question {
            method: contract::HOT_SUBSCRIBE.into(),
            request,
            deadline_ns: self.deadline.mono_ns(),
            peer: self.peer,
            metadata: Arc::clone(&self.metadata),
            subscriber: Some(Arc::clone(&self.subscriber.subscription)),
            is_refresh: false,
        };
        let calls_max = shared.options.limits.calls_max;
        let ticket = shared.bridge.post(question).map_err(|_| status::overloaded(calls_max))?;
        ticket.only().await.map(|_| ())
    }
}
