//! OKX v5, `/ws/v5/public`: what we ask, and where its answers are read.
//!
//! Spoken: `books` (and its `-tbt` kin), `bbo-tbt`, `trades`, `tickers`. Everything else the venue pushes is ignored.

mod frame;
mod history;
mod rest;

pub(crate) use rest::read_answer;

use facade_model::{Channel, Instrument};

use crate::hint;
use crate::history::{KlineRow, KlinesSpan, RestRequest, TradesSpan};
use crate::product::Protocol;
use crate::request::{push_json_string, push_percent_encoded};
use crate::scan::{Scanner, Step};
use crate::{ControlOp, Decoded, Span};

/// Longest text of one request. Source: OKX "Connect", args of at most 64 KB, 2026-08-22; the rest is the envelope.
const ARGS_BYTES_MAX: usize = 60_000;

/// Most levels a side that one REST answer holds. Source: OKX "GET /market/books", 2026-08-22.
const SNAPSHOT_LEVELS_MAX: u32 = 400;

/// OKX v5.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Okx;

impl Protocol for Okx {
    fn decode(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        frame::decode(scanner, out)
    }

    fn book_hint(&self, frame: &[u8]) -> Option<Span> {
        let names = [&br#""books""#[..], br#""books-l2-tbt""#, br#""books50-l2-tbt""#];
        let is_book = names.into_iter().any(|name| hint::contains(frame, name));
        let is_answer = hint::contains(frame, br#""event""#);
        (is_book && !is_answer).then(|| hint::string_member(frame, "instId").unwrap_or_default())
    }

    fn decode_snapshot(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        rest::decode_snapshot(scanner, out)
    }

    fn decode_instruments(&self, scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
        rest::decode_instruments(scanner)
    }

    fn instruments_paths(&self) -> &'static [&'static str] {
        &[
            "/api/v5/public/instruments?instType=SPOT",
            "/api/v5/public/instruments?instType=SWAP",
            "/api/v5/public/instruments?instType=FUTURES",
        ]
    }

    fn snapshot_path(&self, venue_symbol: &str, levels: u32) -> Option<String> {
        let mut path = String::from("/api/v5/market/books?instId=");
        push_percent_encoded(&mut path, venue_symbol);
        path.push_str("&sz=");
        path.push_str(&levels.clamp(1, SNAPSHOT_LEVELS_MAX).to_string());
        Some(path)
    }

    fn snapshot_weight(&self, _levels: u32) -> u32 {
        1
    }

    fn control(
        &self,
        op: ControlOp,
        request_id: u64,
        items: &[(&str, Channel)],
        _depth: u32,
        out: &mut Vec<String>,
    ) {
        let mut args = String::new();
        for &(symbol, channel) in items {
            let Some(name) = channel_name(channel) else { continue };
            if args.len() + symbol.len() > ARGS_BYTES_MAX {
                out.push(request(op, request_id, &std::mem::take(&mut args)));
            }
            args.push_str(if args.is_empty() { "" } else { "," });
            args.push_str(r#"{"channel":""#);
            args.push_str(name);
            args.push_str(r#"","instId":"#);
            push_json_string(&mut args, symbol);
            args.push('}');
        }
        if !args.is_empty() {
            out.push(request(op, request_id, &args));
        }
    }

    fn stream_of(&self, channel: Channel) -> Option<Channel> {
        channel_name(channel).map(|_| channel)
    }

    fn ping(&self, _request_id: u64) -> Option<String> {
        Some(String::from("ping"))
    }

    fn trades_request(&self, venue_symbol: &str, span: &TradesSpan) -> RestRequest {
        history::trades_request(venue_symbol, span)
    }

    fn klines_request(&self, venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
        history::klines_request(venue_symbol, span)
    }

    fn ticker_request(&self, venue_symbol: &str) -> RestRequest {
        history::ticker_request(venue_symbol)
    }

    fn decode_trades(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        history::decode_trades(scanner, out)
    }

    fn decode_klines(&self, scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()> {
        history::decode_klines(scanner, rows)
    }

    fn decode_ticker(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        history::decode_ticker(scanner, out)
    }
}

/// Returns the venue's name of a channel that it streams.
const fn channel_name(channel: Channel) -> Option<&'static str> {
    match channel {
        Channel::Trades => Some("trades"),
        Channel::BookL2 => Some("books"),
        Channel::TopOfBook => Some("bbo-tbt"),
        Channel::Ticker => Some("tickers"),
        Channel::Klines | Channel::ConsolidatedTop => None,
    }
}

/// Writes one request. The venue answers each of its args, repeating the id.
fn request(op: ControlOp, request_id: u64, args: &str) -> String {
    let op = match op {
        ControlOp::Subscribe => "subscribe",
        ControlOp::Unsubscribe => "unsubscribe",
    };
    format!(r#"{{"id":"{request_id}","op":"{op}","args":[{args}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Product;

    fn texts(op: ControlOp, items: &[(&str, Channel)]) -> Vec<String> {
        let mut out = Vec::new();
        Product::Okx.control(op, 1512, items, 400, &mut out);
        out
    }

    #[test]
    fn a_request_names_every_item_with_the_id_of_the_request() {
        assert_eq!(
            texts(ControlOp::Subscribe, &[("BTC-USDT", Channel::BookL2), ("BTC-USDT", Channel::Trades)]),
            [
                r#"{"id":"1512","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"},{"channel":"trades","instId":"BTC-USDT"}]}"#
            ]
        );
        assert_eq!(
            texts(ControlOp::Unsubscribe, &[("BTC-USDT", Channel::TopOfBook), ("BTC-USDT", Channel::Ticker)]),
            [
                r#"{"id":"1512","op":"unsubscribe","args":[{"channel":"bbo-tbt","instId":"BTC-USDT"},{"channel":"tickers","instId":"BTC-USDT"}]}"#
            ]
        );
    }

    #[test]
    fn channels_without_a_stream_ask_for_nothing() {
        assert!(texts(ControlOp::Subscribe, &[("BTC-USDT", Channel::Klines)]).is_empty());
        assert_eq!(Product::Okx.stream_of(Channel::Klines), None);
        assert_eq!(Product::Okx.stream_of(Channel::TopOfBook), Some(Channel::TopOfBook));
    }

    #[test]
    fn requests_stay_below_64_kib_and_lose_no_item() {
        let names: Vec<String> = (0..3_000).map(|n| format!("COIN{n}-USDT-SWAP")).collect();
        let items: Vec<_> = names.iter().map(|name| (name.as_str(), Channel::BookL2)).collect();
        let texts = texts(ControlOp::Subscribe, &items);
        assert!(texts.len() > 1);
        assert!(texts.iter().all(|text| text.len() <= 65_536));
        let args: usize = texts
            .iter()
            .map(|text| {
                let text: serde_json::Value = serde_json::from_str(text).unwrap();
                text["args"].as_array().unwrap().len()
            })
            .sum();
        assert_eq!(args, items.len());
    }

    #[test]
    fn a_hostile_symbol_stays_inside_its_string() {
        let text = texts(ControlOp::Subscribe, &[(r#"A"},{"x":"\"#, Channel::BookL2)]).remove(0);
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text["args"][0]["instId"], r#"A"},{"x":"\"#);
    }

    #[test]
    fn the_snapshot_is_asked_for_with_the_depth_that_the_venue_has() {
        let path = |levels| Product::Okx.snapshot_path("BTC-USDT", levels).unwrap();
        assert_eq!(path(50), "/api/v5/market/books?instId=BTC-USDT&sz=50");
        assert_eq!(path(5_000), "/api/v5/market/books?instId=BTC-USDT&sz=400");
    }

    #[test]
    fn the_sign_of_life_is_the_plain_text_ping() {
        assert_eq!(Product::Okx.ping(7).as_deref(), Some("ping"));
    }
}
