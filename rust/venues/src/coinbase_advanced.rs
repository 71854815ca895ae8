//! Coinbase Advanced Trade, market data: what we ask, and where its answers are read.
//!
//! Spoken: `level2` (delivered as `l2_data`), `market_trades`, `ticker` and `ticker_batch`, `heartbeats`, `status`.

mod frame;
mod history;
mod market;
mod rest;

use facade_model::{Channel, Instrument};

use crate::coinbase::{self, PRODUCTS_PER_MESSAGE};
use crate::history::{KlineRow, KlinesSpan, RestRequest, TradesSpan};
use crate::product::Protocol;
use crate::request::{push_json_string, push_percent_encoded};
use crate::scan::{Scanner, Step};
use crate::{ControlOp, Decoded, Span, hint};

/// Coinbase Advanced Trade.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoinbaseAdvanced;

impl Protocol for CoinbaseAdvanced {
    fn decode(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        frame::decode(scanner, out)
    }

    fn book_hint(&self, frame: &[u8]) -> Option<Span> {
        let is_book = hint::contains(frame, br#""l2_data""#);
        is_book.then(|| hint::string_member(frame, "product_id").unwrap_or_default())
    }

    fn decode_snapshot(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        rest::decode_snapshot(scanner, out)
    }

    fn decode_instruments(&self, scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
        rest::decode_instruments(scanner)
    }

    fn instruments_paths(&self) -> &'static [&'static str] {
        &["/api/v3/brokerage/market/products?product_type=SPOT"]
    }

    fn snapshot_path(&self, venue_symbol: &str, levels: u32) -> Option<String> {
        let mut path = String::from("/api/v3/brokerage/market/product_book?product_id=");
        push_percent_encoded(&mut path, venue_symbol);
        path.push_str("&limit=");
        path.push_str(&levels.max(1).to_string());
        Some(path)
    }

    fn snapshot_weight(&self, _levels: u32) -> u32 {
        1
    }

    /// One channel a message, as the venue demands; requests carry no number.
    fn control(
        &self,
        op: ControlOp,
        _request_id: u64,
        items: &[(&str, Channel)],
        _depth: u32,
        out: &mut Vec<String>,
    ) {
        for (stream, name) in
            [(Channel::BookL2, "level2"), (Channel::Trades, "market_trades"), (Channel::Ticker, "ticker")]
        {
            for products in coinbase::products_of(items, stream).chunks(PRODUCTS_PER_MESSAGE) {
                out.push(request(op, name, products));
            }
        }
    }

    fn stream_of(&self, channel: Channel) -> Option<Channel> {
        coinbase::stream_of(channel)
    }

    fn ping(&self, _request_id: u64) -> Option<String> {
        None
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

    /// Heartbeats keep every other channel open. Source: Advanced Trade "WebSocket best practices", 2026-08-22.
    fn opening(&self) -> &'static [&'static str] {
        &[r#"{"type":"subscribe","channel":"heartbeats"}"#]
    }
}

fn request(op: ControlOp, channel: &str, products: &[&str]) -> String {
    let mut text = String::from(match op {
        ControlOp::Subscribe => r#"{"type":"subscribe","channel":""#,
        ControlOp::Unsubscribe => r#"{"type":"unsubscribe","channel":""#,
    });
    text.push_str(channel);
    text.push_str(r#"","product_ids":["#);
    for (at, product) in products.iter().enumerate() {
        text.push_str(if at > 0 { "," } else { "" });
        push_json_string(&mut text, product);
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Product;

    fn texts(op: ControlOp, items: &[(&str, Channel)]) -> Vec<String> {
        let mut out = Vec::new();
        Product::CoinbaseAdvanced.control(op, 1, items, 0, &mut out);
        out
    }

    #[test]
    fn each_message_names_one_channel_and_all_its_products() {
        let items = [
            ("BTC-USD", Channel::BookL2),
            ("BTC-USD", Channel::Trades),
            ("ETH-USD", Channel::BookL2),
            ("BTC-USD", Channel::Klines),
        ];
        assert_eq!(
            texts(ControlOp::Subscribe, &items),
            [
                r#"{"type":"subscribe","channel":"level2","product_ids":["BTC-USD","ETH-USD"]}"#,
                r#"{"type":"subscribe","channel":"market_trades","product_ids":["BTC-USD"]}"#,
            ]
        );
    }

    #[test]
    fn best_prices_and_statistics_share_one_subscription() {
        let items = [("BTC-USD", Channel::TopOfBook), ("BTC-USD", Channel::Ticker)];
        assert_eq!(
            texts(ControlOp::Unsubscribe, &items),
            [r#"{"type":"unsubscribe","channel":"ticker","product_ids":["BTC-USD"]}"#]
        );
        assert_eq!(Product::CoinbaseAdvanced.stream_of(Channel::TopOfBook), Some(Channel::Ticker));
    }

    #[test]
    fn long_lists_are_cut_into_messages_without_losing_a_product() {
        let names: Vec<String> = (0..450).map(|n| format!("COIN{n}-USD")).collect();
        let items: Vec<_> = names.iter().map(|name| (name.as_str(), Channel::BookL2)).collect();
        let texts = texts(ControlOp::Subscribe, &items);
        let products: Vec<serde_json::Value> = texts
            .iter()
            .flat_map(|text| {
                let text: serde_json::Value = serde_json::from_str(text).unwrap();
                text["product_ids"].as_array().unwrap().clone()
            })
            .collect();
        assert_eq!(texts.len(), 3);
        assert_eq!(products, names);
    }

    #[test]
    fn heartbeats_are_asked_for_as_soon_as_the_connection_is_open() {
        assert_eq!(Product::CoinbaseAdvanced.opening(), [r#"{"type":"subscribe","channel":"heartbeats"}"#]);
    }

    #[test]
    fn the_snapshot_is_asked_for_by_product_and_limit() {
        assert_eq!(
            Product::CoinbaseAdvanced.snapshot_path("BTC-USD", 50).as_deref(),
            Some("/api/v3/brokerage/market/product_book?product_id=BTC-USD&limit=50")
        );
    }
}
