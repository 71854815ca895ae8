//! Where a Binance depth frame's time goes: decode, decode and book, the whole feed into the hub.
//!
//! `cargo run --release -p facade-benches --bin feed_stages [-- ROUNDS]`. Recorded frames (1.6 kB, 46 levels); the
//! whole feed must end at the digest of `expected.json`.
#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::cast_precision_loss, reason = "rates of a few million")]

use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use facade_book::{Book, merge_changes};
use facade_feed::{Clock, Feed, FeedConfig, ManualClock};
use facade_hub::{
    DeliveryChange, DeliveryGap, Hub, HubBounds, ResumePosition, Stamp, StreamEncoder,
};
use facade_model::LevelChange;
use facade_venues::{Decoded, Event, Product};

const DIGEST: &str = "53d45baf0a841e02abe706cb64f0b87295e724816d3bb2e8a85650f9007a39cc";
const INSTRUMENTS: &[u8] = br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.01000000"},{"filterType":"LOT_SIZE","stepSize":"0.00001000"}]}]}"#;

struct NoRecords;

impl StreamEncoder for NoRecords {
    fn delivery_change(&self, _: &DeliveryChange<'_>, _: &mut Vec<u8>) {}
    fn gap(&self, _: &DeliveryGap<'_>, _: &mut Vec<u8>) {}
    fn draining(&self, _: &[ResumePosition], _: Stamp, _: &mut Vec<u8>) {}
}

struct Shared(Arc<ManualClock>);

impl Clock for Shared {
    fn wall_ns(&self) -> i64 {
        self.0.wall_ns()
    }
    fn monotonic_ns(&self) -> i64 {
        self.0.monotonic_ns()
    }
}

/// A recorded frame with the time of its receipt, ns.
type Line = (i64, Vec<u8>);

fn lines() -> Result<Vec<Line>, Box<dyn Error>> {
    let folder =
        std::env::var("DATAFACADE_RECORDINGS").unwrap_or_else(|_| "../shared/recordings".into());
    let mut text = Vec::new();
    for name in ["btcusdt_20240808.gz", "btcusdt_20240809.gz"] {
        let file = std::fs::File::open(format!("{folder}/binance/spot/{name}"))?;
        flate2::read::GzDecoder::new(file).read_to_end(&mut text)?;
    }
    let mut lines = Vec::new();
    for line in text
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let space = line
            .iter()
            .position(|&byte| byte == b' ')
            .ok_or("no time")?;
        let (ts, frame) = line.split_at(space);
        let is_wanted = !contains(frame, b"bookTicker") && !contains(frame, b"\"trade\"");
        if is_wanted {
            lines.push((
                std::str::from_utf8(ts)?.parse()?,
                frame.get(1..).unwrap_or_default().to_vec(),
            ));
        }
    }
    Ok(lines)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn decode(lines: &[Line]) -> (Duration, usize) {
    let (mut decoded, mut levels) = (Decoded::default(), 0);
    let start = Instant::now();
    for (_, frame) in lines {
        if Product::BinanceSpot.decode(frame, &mut decoded).is_ok() {
            levels += decoded.levels.len();
        }
    }
    (start.elapsed(), levels)
}

fn book(lines: &[Line]) -> Duration {
    let (mut decoded, mut book) = (Decoded::default(), Book::new(-2));
    let mut changes: Vec<LevelChange> = Vec::new();
    let start = Instant::now();
    for (_, frame) in lines {
        if Product::BinanceSpot.decode(frame, &mut decoded).is_ok() {
            for event in &decoded.events {
                if let Event::Book(event) = event {
                    let _ = book.apply(decoded.levels_of(event));
                    changes.clear();
                    changes.extend_from_slice(decoded.levels_of(event));
                    merge_changes(&mut changes);
                }
            }
        }
    }
    start.elapsed()
}

fn whole(lines: &[Line]) -> Result<Duration, Box<dyn Error>> {
    let hub = Arc::new(Hub::new(HubBounds::default(), Box::new(NoRecords)));
    let clock = Arc::new(ManualClock::new(0, 0));
    let config = FeedConfig {
        is_replay: true,
        ..FeedConfig::new(Product::BinanceSpot, 1, 1)
    };
    let mut feed = Feed::new(config, hub, Box::new(Shared(Arc::clone(&clock))));
    feed.add_instruments(INSTRUMENTS)?;
    feed.on_opened();
    let start = Instant::now();
    for (ts, frame) in lines {
        clock.set(*ts, *ts);
        if contains(frame.get(..20).unwrap_or_default(), b"stream") {
            feed.on_frame(frame, *ts, false);
        } else {
            feed.on_recorded_snapshot("BTCUSDT", frame, *ts);
        }
    }
    let taken = start.elapsed();
    let digest = feed
        .report()
        .first()
        .and_then(|stream| stream.book.as_ref()?.sha256)
        .ok_or("not live")?;
    let digest = digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    if digest != DIGEST || feed.stats().errors != 0 {
        return Err(format!("wrong book: {digest}").into());
    }
    Ok(taken)
}

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let lines = lines()?;
    let mut best = [Duration::MAX; 3];
    let mut levels = 0;
    for _ in 0..rounds {
        let (decode, count) = decode(&lines);
        levels = count;
        for (slot, taken) in best.iter_mut().zip([decode, book(&lines), whole(&lines)?]) {
            *slot = (*slot).min(taken);
        }
    }
    let frames = lines.len() as f64;
    for (name, taken) in ["decode", "decode + book", "whole feed"].iter().zip(best) {
        let seconds = taken.as_secs_f64();
        println!(
            "{name:14} {:9.0} frames/s {:6.2} M levels/s",
            frames / seconds,
            levels as f64 / seconds / 1e6
        );
    }
    Ok(())
}
