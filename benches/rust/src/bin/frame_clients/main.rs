//! Subscribers of a served book stream, as small as gRPC allows: HTTP/2 from `h2`, one connection each.
//!
//! `frame_clients ADDRESS CLIENTS SYMBOLS FRAMES REQUEST PLAYER CAME`: SYMBOLS as `BTC-USDT,ETH-USDT` in the order of
//! their turns; REQUEST: the `HotSubscribeRequest` in hex; PLAYER: where progress is told; CAME: where the first
//! subscriber's receive times go. Prints `{"subscribed"}` once every book is there, then the figures.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints")]

mod reader;
mod records;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use rustix::thread::ClockId;
use rustix::time::clock_gettime;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::reader::{Reader, Wanted};

const NS_PER_S: u64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(30);
const WINDOW_BYTES: u32 = 1 << 20; // of a stream and of its connection
const TELL_EVERY: usize = 256; // frames
const METHOD: &str = "/datafacade.v1.DataFacadeService/HotSubscribe";

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What all subscribers share.
struct Shared {
    wanted: Wanted,
    counts: Vec<Cell<usize>>,
    live: Cell<usize>,
    told: Cell<usize>,
    player: RefCell<std::net::TcpStream>,
}

impl Shared {
    /// Tells the player how far the slowest is.
    fn tell(&self) -> std::io::Result<()> {
        let slowest = self.counts.iter().map(Cell::get).min().unwrap_or(0);
        if slowest >= self.told.get() + TELL_EVERY {
            self.told.set(slowest);
            self.player
                .borrow_mut()
                .write_all(&(slowest as u64).to_le_bytes())?;
        }
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, clients, symbols, frames, request, player, came] = arguments.as_slice() else {
        return Err("expected ADDRESS CLIENTS SYMBOLS FRAMES REQUEST PLAYER CAME".into());
    };
    let mut progress = std::net::TcpStream::connect(player)?;
    progress.set_nodelay(true)?;
    progress.write_all(b"GET /progress HTTP/1.1\r\n\r\n")?;
    let clients: usize = clients.parse()?;
    let shared = Rc::new(Shared {
        wanted: Wanted {
            symbols: symbols.split(',').map(str::to_owned).collect(),
            frames: frames.parse()?,
        },
        counts: vec![Cell::new(0); clients],
        live: Cell::new(0),
        told: Cell::new(0),
        player: RefCell::new(progress),
    });
    let body = grpc_message(request)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let readers =
        runtime.block_on(LocalSet::new().run_until(subscribe_all(&shared, address, &body)))?;
    report(&shared.wanted, &readers, Path::new(came))
}

async fn subscribe_all(shared: &Rc<Shared>, address: &str, body: &Bytes) -> Outcome<Vec<Reader>> {
    let tasks: Vec<_> = (0..shared.counts.len())
        .map(|at| {
            let (shared, address, body) = (Rc::clone(shared), address.to_owned(), body.clone());
            tokio::task::spawn_local(async move {
                let mut reader = Reader::new(&shared.wanted, at == 0);
                let reading = subscribe(&shared, at, &address, body, &mut reader);
                if let Err(error) = tokio::time::timeout(PATIENCE, reading)
                    .await
                    .unwrap_or_else(|_| Err("patience is over".into()))
                {
                    eprintln!("frame_clients: subscriber {at}: {error}");
                }
                reader
            })
        })
        .collect();
    let mut readers = Vec::with_capacity(tasks.len());
    for task in tasks {
        readers.push(task.await?);
    }
    Ok(readers)
}

async fn subscribe(
    shared: &Shared,
    at: usize,
    address: &str,
    body: Bytes,
    reader: &mut Reader,
) -> Outcome<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        // A server of short frames is measured here, not h2's opinion of it.
        .data_frame_budget(usize::MAX);
    let (sender, connection) = builder.handshake::<_, Bytes>(stream).await?;
    tokio::task::spawn_local(connection);
    let request = http::Request::post(format!("http://{address}{METHOD}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut sending) = sender.ready().await?.send_request(request, false)?;
    sending.send_data(body, true)?;
    let mut answer = response.await?.into_body();
    let mut is_live = false;
    while let Some(data) = answer.data().await {
        let data = data?;
        reader.take(&shared.wanted, &data, monotonic_ns());
        answer.flow_control().release_capacity(data.len())?;
        if !is_live && reader.is_live() {
            is_live = true;
            shared.live.set(shared.live.get() + 1);
            if shared.live.get() == shared.counts.len() {
                println!("{}", json!({"subscribed": true}));
            }
        }
        if let Some(count) = shared.counts.get(at) {
            count.set(reader.count);
        }
        shared.tell()?;
        if reader.is_done(&shared.wanted) {
            return Ok(());
        }
    }
    let trailers = answer.trailers().await?;
    Err(format!("the stream ended early: {trailers:?}").into())
}

/// Prints what all subscribers have received and saves the first one's times.
fn report(wanted: &Wanted, readers: &[Reader], came: &Path) -> Outcome<()> {
    let first = readers.first().ok_or("no subscribers")?;
    save(&first.came, came)?;
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu_s = Duration::new(cpu.tv_sec.try_into()?, cpu.tv_nsec.try_into()?).as_secs_f64();
    let digests: serde_json::Map<_, _> = wanted
        .symbols
        .iter()
        .zip(first.digests(wanted))
        .map(|(symbol, digest)| (symbol.replace('-', ""), digest.into()))
        .collect();
    let figures = json!({
        "updates": readers.iter().map(|reader| reader.count).sum::<usize>(),
        "is_whole": readers.iter().all(|reader| reader.is_whole(wanted)),
        "losses": readers.iter().map(|reader| reader.losses).sum::<usize>(),
        "is_contiguous": readers.iter().all(|reader| reader.is_contiguous),
        "slowest": readers.iter().map(|reader| reader.count).min(),
        "pieces": readers.iter().map(|reader| reader.pieces).sum::<usize>(),
        "warm_ns": readers.iter().map(|reader| reader.span.0).min(),
        "end_ns": readers.iter().map(|reader| reader.span.1).max(),
        "cpu_s": cpu_s,
        "digests": digests,
    });
    println!("{figures}");
    Ok(())
}

/// Writes times as 64-bit little-endian integers.
fn save(times: &[u64], path: &Path) -> Outcome<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for time in times {
        file.write_all(&time.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// Returns a request as gRPC frames it.
fn grpc_message(hex: &str) -> Outcome<Bytes> {
    let digits = hex.as_bytes().chunks(2).map(std::str::from_utf8);
    let message = digits
        .map(|pair| Ok(u8::from_str_radix(pair?, 16)?))
        .collect::<Outcome<Vec<u8>>>()?;
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len())?);
    framed.extend_from_slice(&message);
    Ok(framed.freeze())
}

/// Returns the monotonic clock of the machine, ns: the same in all processes.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * NS_PER_S + u64::try_from(now.tv_nsec).unwrap_or(0)
}
