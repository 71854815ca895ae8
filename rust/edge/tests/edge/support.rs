//! A running edge, a thread that plays the handlers, and a gRPC client made of `h2` alone, so that the tests decide
//! about every frame: when a stream is read, reset or half-closed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use facade_edge::{Call, Edge, Options};
use facade_hub::{
    AttachOptions, Batch, Delivery, DeliveryChange, DeliveryGap, Hub, HubBounds, RecordKind, ResumePosition,
    Stamp, StreamEncoder, SubscriberId, TopicId, TopicKey,
};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use rustix::event::{PollFd, PollFlags, poll};
use tonic::Status;

/// Nothing that is waited for takes longer, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const HEALTH: &str = "/datafacade.v1.DataFacadeService/Health";
pub const HOT_SUBSCRIBE: &str = "/datafacade.v1.DataFacadeService/HotSubscribe";
/// `HotSubscribeRequest { subscribe: [{}] }`: to nothing in particular, the handler attaches.
pub const SUBSCRIBE: &[u8] = &[0x12, 0];

/// Writes recognisable stream records.
struct Marks;

impl StreamEncoder for Marks {
    fn gap(&self, gap: &DeliveryGap<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("gap {}-{}", gap.seq_first, gap.seq_last).as_bytes());
    }

    fn delivery_change(&self, change: &DeliveryChange<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("change {:?} {}", change.cause, change.skipped).as_bytes());
    }

    fn draining(&self, _: &[ResumePosition], _: Stamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b"draining");
    }
}

/// An edge on a free port, a hub, and a handler.
pub struct Service {
    pub edge: Arc<Edge>,
    pub hub: Arc<Hub>,
    pub port: u16,
    /// Calls that no answer was given to.
    pub held: Arc<Mutex<Vec<Call>>>,
    is_over: Arc<AtomicBool>,
    handlers: Option<JoinHandle<()>>,
}

pub fn options() -> Options {
    Options {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        is_public_allowed: false,
        is_dev: false,
        descriptor: Vec::new(),
        served_methods: std::collections::HashSet::default(),
        repeats: None,
        freshness: facade_edge::Freshness::default(),
        epoch: 1_700_000_000,
        limits: facade_edge::Limits::default(),
    }
}

pub fn small_hub() -> HubBounds {
    HubBounds { ring_bytes: 4 << 20, ring_age_ns: u64::MAX, owed_bytes: 1 << 20, lag_ns: u64::MAX }
}

impl Service {
    /// Starts an edge; `handle` returns the calls that it does not answer.
    pub fn start(options: Options, handle: impl Fn(&Hub, Call) -> Option<Call> + Send + 'static) -> Self {
        Self::start_with(small_hub(), options, handle)
    }

    /// Starts an edge over a hub of these bounds.
    pub fn start_with(
        bounds: HubBounds,
        options: Options,
        handle: impl Fn(&Hub, Call) -> Option<Call> + Send + 'static,
    ) -> Self {
        let hub = Arc::new(Hub::new(bounds, Box::new(Marks)));
        let edge = Arc::new(Edge::new(options, Arc::clone(&hub)).unwrap());
        let port = edge.start().unwrap()[0].port();
        let held = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let handlers = std::thread::Builder::new().spawn({
            let (edge, hub, held, is_over) =
                (Arc::clone(&edge), Arc::clone(&hub), Arc::clone(&held), Arc::clone(&is_over));
            move || {
                while !is_over.load(Ordering::Acquire) {
                    if rings(&edge, Duration::from_millis(20)) {
                        edge.bridge().calls(|call| held.lock().unwrap().extend(handle(&hub, call)));
                    }
                }
            }
        });
        Self { edge, hub, port, held, is_over, handlers: Some(handlers.unwrap()) }
    }

    /// Starts an edge whose handlers attach each subscriber to topic `T` and echo unary requests.
    pub fn echo(options: Options) -> Self {
        Self::start(options, |hub, call| {
            if let Some(subscription) = &call.question().subscriber {
                let subscriber = SubscriberId::from_raw(subscription.id);
                let mut status = |_, _, out: &mut Vec<u8>| out.extend_from_slice(b"accepted");
                let _ = hub.attach(subscriber, topic(hub), AttachOptions::default(), &mut status);
                call.reply(b"", 1);
            } else {
                let request = call.question().request.clone();
                call.reply(&request, 1);
            }
            None
        })
    }

    /// Starts an edge whose handlers attach each subscriber to topic `T` in this way.
    pub fn deliver(bounds: HubBounds, options: Options, delivery: Delivery) -> Self {
        Self::start_with(bounds, options, move |hub, call| {
            let subscriber = SubscriberId::from_raw(call.question().subscriber.as_ref().unwrap().id);
            let mut status = |_, _, out: &mut Vec<u8>| out.extend_from_slice(b"accepted");
            let wanted = AttachOptions { delivery, ..AttachOptions::default() };
            hub.attach(subscriber, topic(hub), wanted, &mut status).unwrap();
            call.reply(b"", 1);
            None
        })
    }

    /// Opens a unary call and waits until the handler holds it.
    pub async fn hold(&self, client: &mut Client, headers: &[(&str, &str)]) -> Open {
        let mut call = client.open(HEALTH, headers).await;
        call.send(b"", true);
        eventually("the call", || self.held.lock().unwrap().len() == 1).await;
        call
    }

    /// Publishes one record of topic `T`.
    pub fn publish(&self, body: &[u8]) {
        self.publish_at_once(body, 1);
    }

    /// Publishes a record of topic `T` so many times, with nothing between them.
    pub fn publish_at_once(&self, body: &[u8], count: u64) {
        let topic = topic(&self.hub);
        let mut batch = Batch::default();
        let head = self.hub.head(topic);
        for seq in head + 1..=head + count {
            let write = |out: &mut Vec<u8>| {
                out.extend_from_slice(body);
                Ok::<(), ()>(())
            };
            batch.record(topic, seq, RecordKind::Data, false, write).unwrap();
        }
        self.hub.publish(&batch, now()).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let _ = self.handlers.take().map(JoinHandle::join);
        let _ = self.edge.stop();
    }
}

fn rings(edge: &Edge, wait: Duration) -> bool {
    #[expect(unsafe_code, reason = "the descriptor lives as long as the edge, which the caller holds")]
    // SAFETY: see above.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(edge.bridge().fd()) };
    let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait)).unwrap_or(0) > 0
}

pub fn topic(hub: &Hub) -> TopicId {
    hub.topic(&TopicKey { venue: "v", symbol: "T", channel: 1, variant: "" })
}

pub fn now() -> Stamp {
    let mono = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Stamp {
        wall_ns: wall.tv_sec * 1_000_000_000 + wall.tv_nsec,
        mono_ns: u64::try_from(mono.tv_sec * 1_000_000_000 + mono.tv_nsec).unwrap(),
    }
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Bounds of time from 80 ms on, each twice the last. Where a bound begins before the test can do its part, a slow machine
/// may let it pass first, which is another case: the test then begins anew with the next.
pub fn bounds_of_time() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(Duration::from_millis(80)), |bound| Some(*bound * 2)).take(7)
}

/// Returns a bound of time as `grpc-timeout` tells it.
pub fn timeout_text(bound: Duration) -> String {
    format!("{}m", bound.as_millis())
}

/// Runs a test on one thread, with an end.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.unwrap() })
}

/// Runs a closure beside the tests and hands its result over.
pub fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (give, take) = channel();
    std::thread::Builder::new().spawn(move || give.send(work())).unwrap();
    take
}

/// One HTTP/2 connection.
pub struct Client {
    send: SendRequest<Bytes>,
    pub connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// How a call ended.
#[derive(Debug)]
pub struct Outcome {
    pub http_status: u16,
    pub messages: Vec<Bytes>,
    /// `None`: OK.
    pub status: Option<Status>,
}

impl Outcome {
    pub fn status(&self) -> &Status {
        self.status.as_ref().expect("the call went well")
    }
}

/// An open call.
pub struct Open {
    pub requests: SendStream<Bytes>,
    response: Response,
    buffer: BytesMut,
}

enum Response {
    Waiting(h2::client::ResponseFuture),
    Headers(HeaderMap, RecvStream),
}

impl Client {
    /// A client that may come to its responses as late as the machine lets it: h2 ends a connection by itself when
    /// a hundred short frames wait for their reader (`too_many_data_frames`), which says nothing about the edge.
    pub async fn connect(port: u16) -> Self {
        let mut builder = h2::client::Builder::new();
        builder.data_frame_budget(usize::MAX);
        Self::connect_with(port, builder).await
    }

    pub async fn connect_with(port: u16, builder: h2::client::Builder) -> Self {
        Self::connect_to(([127, 0, 0, 1], port).into(), builder).await
    }

    pub async fn connect_to(address: SocketAddr, builder: h2::client::Builder) -> Self {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (send, connection) = builder.handshake(socket).await.unwrap();
        Self { send, connection: tokio::spawn(connection) }
    }

    pub async fn open(&mut self, path: &str, headers: &[(&str, &str)]) -> Open {
        let mut request = Request::post(format!("http://127.0.0.1{path}"));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut send = self.send.clone().ready().await.unwrap();
        let (response, requests) = send.send_request(request.body(()).unwrap(), false).unwrap();
        Open { requests, response: Response::Waiting(response), buffer: BytesMut::new() }
    }

    /// Opens a call on a connection that may have ended.
    pub async fn try_open(&mut self, path: &str) -> Result<Open, h2::Error> {
        let request =
            Request::post(format!("http://127.0.0.1{path}")).header("content-type", "application/grpc");
        let mut send = self.send.clone().ready().await?;
        let (response, requests) = send.send_request(request.body(()).unwrap(), false)?;
        Ok(Open { requests, response: Response::Waiting(response), buffer: BytesMut::new() })
    }

    /// Opens a stream and sends [`SUBSCRIBE`].
    pub async fn subscribe(&mut self, is_last: bool) -> Open {
        let mut call = self.open(HOT_SUBSCRIBE, &[]).await;
        call.send(SUBSCRIBE, is_last);
        call
    }

    pub async fn unary(&mut self, path: &str, message: &[u8], headers: &[(&str, &str)]) -> Outcome {
        let mut call = self.open(path, headers).await;
        call.send(message, true);
        call.outcome().await
    }
}

pub fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat().into()
}

impl Open {
    pub fn send(&mut self, message: &[u8], is_last: bool) {
        self.requests.send_data(framed(message), is_last).unwrap();
    }

    async fn body(&mut self) -> Result<&mut RecvStream, h2::Error> {
        if let Response::Waiting(response) = &mut self.response {
            let (head, body) = response.await?.into_parts();
            let mut headers = head.headers;
            headers.insert("http-status", head.status.as_u16().into());
            self.response = Response::Headers(headers, body);
        }
        match &mut self.response {
            Response::Headers(_, body) => Ok(body),
            Response::Waiting(_) => unreachable!(),
        }
    }

    /// Waits for the headers of the response, and reads nothing.
    pub async fn headers(&mut self) -> HeaderMap {
        self.body().await.unwrap();
        match &self.response {
            Response::Headers(headers, _) => headers.clone(),
            Response::Waiting(_) => unreachable!(),
        }
    }

    /// Returns the next message; `None`: the trailers came.
    pub async fn next(&mut self) -> Result<Option<Bytes>, h2::Error> {
        loop {
            if let Some(&[_, a, b, c, d]) = self.buffer.first_chunk::<5>() {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                if self.buffer.len() >= 5 + length {
                    let frame = self.buffer.split_to(5 + length).freeze();
                    return Ok(Some(frame.slice(5..)));
                }
            }
            let Some(data) = self.body().await?.data().await else { return Ok(None) };
            let data = data?;
            let _ = self.body().await?.flow_control().release_capacity(data.len());
            self.buffer.extend_from_slice(&data);
        }
    }

    /// Reads and acknowledges one piece of the body, and returns its length.
    pub async fn next_piece(&mut self) -> usize {
        let body = self.body().await.unwrap();
        let piece = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        piece.len()
    }

    /// Reads to the end.
    pub async fn outcome(&mut self) -> Outcome {
        let headers = self.headers().await;
        let mut messages = Vec::new();
        while let Some(message) = self.next().await.unwrap() {
            messages.push(message);
        }
        let trailers =
            self.body().await.unwrap().trailers().await.unwrap().unwrap_or_else(|| headers.clone());
        let status = Status::from_header_map(&trailers).filter(|status| status.code() != tonic::Code::Ok);
        Outcome { http_status: headers["http-status"].to_str().unwrap().parse().unwrap(), messages, status }
    }

    /// Tells the server that the call is over.
    pub fn reset(&mut self) {
        self.requests.send_reset(h2::Reason::CANCEL);
    }
}

/// One streamed response, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed {
    pub stream_seq: u64,
    pub ts_send: i64,
    pub ts_watermark: i64,
    pub updates: Vec<String>,
}

/// Takes a response apart, by the rules of protobuf and independent of the edge's own code.
pub fn parse(message: &[u8]) -> Parsed {
    let mut rest = message;
    let mut parsed = Parsed { stream_seq: 0, ts_send: 0, ts_watermark: 0, updates: Vec::new() };
    while let Some((&tag, tail)) = rest.split_first() {
        rest = tail;
        match tag {
            0x08 => parsed.stream_seq = varint(&mut rest),
            0x11 | 0x19 => {
                let (stamp, tail) = rest.split_first_chunk::<8>().unwrap();
                rest = tail;
                let stamp = i64::from_le_bytes(*stamp);
                if tag == 0x11 { parsed.ts_send = stamp } else { parsed.ts_watermark = stamp }
            }
            0x22 => {
                let length = usize::try_from(varint(&mut rest)).unwrap();
                let (update, tail) = rest.split_at(length);
                rest = tail;
                parsed.updates.push(String::from_utf8_lossy(update).into_owned());
            }
            other => panic!("unexpected tag {other:#x}"),
        }
    }
    parsed
}

/// `HotSubscribeRequest { ack_stream_seq }`.
pub fn ack(stream_seq: u64) -> Vec<u8> {
    let mut request = vec![0x20];
    let mut rest = stream_seq;
    while let Some(more) = Some(rest >> 7).filter(|&more| more > 0) {
        request.push(rest.to_le_bytes()[0] | 0x80);
        rest = more;
    }
    request.push(rest.to_le_bytes()[0]);
    request
}

/// Reads a varint of protobuf.
pub fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, tail) = rest.split_first().unwrap();
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    unreachable!()
}
