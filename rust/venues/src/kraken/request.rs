//! What Kraken is asked for: control messages and REST paths.

use std::fmt::Write as _;

use facade_model::Channel;

use crate::ControlOp;
use crate::request::{push_json_string, push_percent_encoded};

/// Symbols of one control message; each gets its own answer.
const SYMBOLS_PER_MESSAGE: usize = 100;

/// Depths of the `book` channel. Source: `websocket-v2/book`, 2026-05-27.
const BOOK_DEPTHS: [u32; 5] = [10, 25, 100, 500, 1_000];

/// Most levels of a REST book. Source: `rest-api/get-order-book`, 2026-05-27.
const REST_LEVELS_MAX: u32 = 500;

/// Appends `subscribe` or `unsubscribe` messages, one per channel and 100 symbols; all carry the same id.
pub(super) fn push_control(
    op: ControlOp,
    request_id: u64,
    items: &[(&str, Channel)],
    depth: u32,
    out: &mut Vec<String>,
) {
    let depth = format!(",\"depth\":{}", book_depth(depth));
    let streams: [(&str, &[Channel], &str, bool); 3] = [
        ("trade", &[Channel::Trades], "", false),
        ("ticker", &[Channel::TopOfBook, Channel::Ticker], ",\"event_trigger\":\"bbo\"", true),
        ("book", &[Channel::BookL2], &depth, true),
    ];
    for (name, channels, parameters, has_snapshot) in streams {
        let tail = match op {
            ControlOp::Subscribe => format!("{parameters},\"snapshot\":{has_snapshot}"),
            ControlOp::Unsubscribe => parameters.to_owned(),
        };
        push_channel(op, request_id, &symbols_of(items, channels), name, &tail, out);
    }
}

/// Returns the symbols of these channels, each once, in the order given.
fn symbols_of<'a>(items: &[(&'a str, Channel)], channels: &[Channel]) -> Vec<&'a str> {
    let mut symbols = Vec::new();
    for (symbol, channel) in items {
        if channels.contains(channel) && !symbols.contains(symbol) {
            symbols.push(*symbol);
        }
    }
    symbols
}

/// Appends the messages of one channel.
fn push_channel(
    op: ControlOp,
    request_id: u64,
    symbols: &[&str],
    channel: &str,
    parameters: &str,
    out: &mut Vec<String>,
) {
    let method = match op {
        ControlOp::Subscribe => "subscribe",
        ControlOp::Unsubscribe => "unsubscribe",
    };
    for symbols in symbols.chunks(SYMBOLS_PER_MESSAGE) {
        let mut text =
            format!("{{\"method\":\"{method}\",\"params\":{{\"channel\":\"{channel}\",\"symbol\":[");
        for (index, symbol) in symbols.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_json_string(&mut text, symbol);
        }
        let _ = write!(text, "]{parameters}}},\"req_id\":{request_id}}}");
        out.push(text);
    }
}

/// Returns the smallest depth of the channel that covers `levels`, else the largest.
fn book_depth(levels: u32) -> u32 {
    let [.., most] = BOOK_DEPTHS;
    BOOK_DEPTHS.into_iter().find(|depth| *depth >= levels).unwrap_or(most)
}

/// Returns path and query of a REST book. REST knows a pair by its old names without the slash: `XBTUSD`.
pub(super) fn depth_path(venue_symbol: &str, levels: u32) -> String {
    let mut path = String::from("/0/public/Depth?pair=");
    push_pair(&mut path, venue_symbol);
    let _ = write!(path, "&count={}", levels.clamp(1, REST_LEVELS_MAX));
    path
}

/// Appends a pair as REST knows it.
pub(super) fn push_pair(path: &mut String, venue_symbol: &str) {
    for asset in venue_symbol.split('/') {
        let old_name = match asset {
            "BTC" => "XBT",
            "DOGE" => "XDG",
            same => same,
        };
        push_percent_encoded(path, old_name);
    }
}
