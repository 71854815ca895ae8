//! A venue that plays depth frames encoded beforehand, as Binance spot speaks: REST, WebSocket, true chains.
//!
//! `frame_player FORM SYMBOLS FRAMES RATE WINDOW TIMES`: FORM `combined` or `raw`, as the follower asks for its
//! streams; SYMBOLS as `BTCUSDT,ETHUSDT`; RATE in frames/s, 0: flat out, at
//! most WINDOW frames before the slowest reader (0: no bound); TIMES: where the send times go. Prints JSON lines:
//! `{"port"}`, `{"ready", "bytes"}` once all symbols are followed, and behind a line on stdin the figures and each
//! symbol's final digest. Ends with stdin.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints")]

mod http;
mod market;
mod tape;
mod venue;

use std::error::Error;
use std::io::stdin;
use std::net::TcpListener;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::thread::set_current_timer_slack;
use serde_json::json;

use crate::market::{Market, listing};
use crate::tape::{Pace, Tape};
use crate::venue::{Texts, Venue, push_frame};

const SEED: u64 = 20_260_807;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [form, symbols, frames, rate, window, times] = arguments.as_slice() else {
        return Err("expected FORM SYMBOLS FRAMES RATE WINDOW TIMES".into());
    };
    let pace = match rate.parse()? {
        0 => Pace::Flat {
            window: window.parse()?,
        },
        rate => Pace::Open { rate },
    };
    let symbols: Vec<String> = symbols.split(',').map(str::to_owned).collect();
    let mut markets: Vec<Market> = symbols
        .iter()
        .zip(SEED..)
        .map(|(symbol, seed)| Market::new(symbol, seed))
        .collect();
    let is_combined = form == "combined";
    let texts = texts(&mut markets, is_combined)?;
    let tape = Tape::record(&mut markets, frames.parse()?, wall_ms()?, is_combined)?;
    let venue = Venue::new(symbols.clone(), listing(&symbols), texts);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", json!({"port": listener.local_addr()?.port()}));
    venue.listen(listener)?;
    let lines = venue.wait_followed();
    println!("{}", json!({"ready": true, "bytes": tape.len()}));
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    set_current_timer_slack(Some(NonZeroU64::MIN))?;
    let played = tape.play(&lines, pace, &venue)?;
    played.save(Path::new(times))?;
    let start = played.sent.first().copied().unwrap_or(0);
    let digests: serde_json::Map<_, _> = markets
        .iter()
        .map(|market| (market.symbol.clone(), market.ladder.digest().into()))
        .collect();
    let taken = venue.snapshots_taken();
    println!(
        "{}",
        json!({"start_ns": start, "end_ns": played.end, "snapshots": taken, "digests": digests})
    );
    stdin().read_line(&mut line)?;
    Ok(())
}

/// Returns what each symbol tells before it plays; the markets stand behind their primers then.
fn texts(markets: &mut [Market], is_combined: bool) -> std::io::Result<Vec<Texts>> {
    let now = wall_ms()?;
    let texts = markets.iter_mut().map(|market| {
        let snapshot = market.snapshot();
        let (mut payload, mut primer) = (Vec::new(), Vec::new());
        market.write_frame(now, &mut payload)?;
        push_frame(&market.symbol, is_combined, &payload, &mut primer);
        Ok(Texts { snapshot, primer })
    });
    texts.collect()
}

fn wall_ms() -> std::io::Result<u64> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(std::io::Error::other)?;
    u64::try_from(since.as_millis()).map_err(std::io::Error::other)
}
