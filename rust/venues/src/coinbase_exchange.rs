//! Coinbase Exchange, `ws-feed`: what we ask, and where its answers are read.
//!
//! Spoken: `level2_batch` (`level2_50`, `level2`), `matches`, `ticker`, `heartbeat`, `status`. Its books carry no
//! number: a lost message cannot be noticed (DESIGN 4).

mod frame;
mod history;
mod rest;

use facade_model::{Channel, Instrument};

use crate::coinbase::{self, PRODUCTS_PER_MESSAGE};
use crate::history::{KlineRow, KlinesSpan, RestRequest, TradesSpan};
use crate::product::Protocol;
use crate::request::{push_json_string, push_percent_encoded};
use crate::scan::{Scanner, Step};
use crate::{ControlOp, Decoded, Span, hint};

/// Coinbase Exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoinbaseExchange;

impl Protocol for CoinbaseExchange {
    fn decode(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        frame::decode(scanner, out)
    }

    fn book_hint(&self, frame: &[u8]) -> Option<Span> {
        let is_book = hint::contains(frame, br#""l2update""#) || hint::contains(frame, br#""snapshot""#);
        is_book.then(|| hint::string_member(frame, "product_id").unwrap_or_default())
    }

    fn decode_snapshot(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        rest::decode_snapshot(scanner, out)
    }

    fn decode_instruments(&self, scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
        rest::decode_instruments(scanner)
    }

    fn instruments_paths(&self) -> &'static [&'static str] {
        &["/products"]
    }

    /// Level 2 is the whole book, whatever is asked for.
    fn snapshot_path(&self, venue_symbol: &str, _levels: u32) -> Option<String> {
        let mut path = String::from("/products/");
        push_percent_encoded(&mut path, venue_symbol);
        path.push_str("/book?level=2");
        Some(path)
    }

    fn snapshot_weight(&self, _levels: u32) -> u32 {
        1
    }

    /// All channels in one message; requests carry no number.
    ///
    /// A heartbeat is asked for with each product and never given back: other channels of it may stay.
    fn control(
        &self,
        op: ControlOp,
        _request_id: u64,
        items: &[(&str, Channel)],
        _depth: u32,
        out: &mut Vec<String>,
    ) {
        let mut products: Vec<(&str, &str)> = Vec::new(); // channel and product
        for (stream, name) in
            [(Channel::BookL2, "level2_batch"), (Channel::Trades, "matches"), (Channel::Ticker, "ticker")]
        {
            products.extend(coinbase::products_of(items, stream).into_iter().map(|product| (name, product)));
        }
        for chunk in products.chunks(PRODUCTS_PER_MESSAGE) {
            out.push(request(op, chunk));
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

    fn ticker_rest_request(&self, venue_symbol: &str) -> Option<RestRequest> {
        Some(history::stats_request(venue_symbol))
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

/// Writes one request from pairs of channel and product, sorted by channel.
fn request(op: ControlOp, items: &[(&str, &str)]) -> String {
    let mut text = String::from(match op {
        ControlOp::Subscribe => r#"{"type":"subscribe","channels":["#,
        ControlOp::Unsubscribe => r#"{"type":"unsubscribe","channels":["#,
    });
    for (at, group) in items.chunk_by(|(left, _), (right, _)| left == right).enumerate() {
        text.push_str(if at > 0 { "," } else { "" });
        let name = group.first().map_or("", |(name, _)| name);
        push_channel(&mut text, name, group.iter().map(|(_, product)| *product));
    }
    if op == ControlOp::Subscribe {
        let mut products: Vec<&str> = items.iter().map(|(_, product)| *product).collect();
        products.sort_unstable();
        products.dedup();
        text.push(',');
        push_channel(&mut text, "heartbeat", products.into_iter());
    }
    text.push_str("]}");
    text
}

fn push_channel<'a>(text: &mut String, name: &str, products: impl Iterator<Item = &'a str>) {
    text.push_str(r#"{"name":""#);
    text.push_str(name);
    text.push_str(r#"","product_ids":["#);
    for (at, product) in products.enumerate() {
        text.push_str(if at > 0 { "," } else { "" });
        push_json_string(text, product);
    }
    text.push_str("]}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Product;

    fn texts(op: ControlOp, items: &[(&str, Channel)]) -> Vec<String> {
        let mut out = Vec::new();
        Product::CoinbaseExchange.control(op, 1, items, 0, &mut out);
        out
    }

    const ITEMS: [(&str, Channel); 5] = [
        ("ETH-USD", Channel::BookL2),
        ("BTC-USD", Channel::Trades),
        ("BTC-USD", Channel::TopOfBook),
        ("BTC-USD", Channel::Ticker),
        ("BTC-USD", Channel::BookL2),
    ];

    #[test]
    fn one_message_names_all_channels_and_a_heartbeat_for_each_product() {
        assert_eq!(
            texts(ControlOp::Subscribe, &ITEMS),
            [concat!(
                r#"{"type":"subscribe","channels":[{"name":"level2_batch","product_ids":["ETH-USD","BTC-USD"]},"#,
                r#"{"name":"matches","product_ids":["BTC-USD"]},{"name":"ticker","product_ids":["BTC-USD"]},"#,
                r#"{"name":"heartbeat","product_ids":["BTC-USD","ETH-USD"]}]}"#
            )]
        );
    }

    #[test]
    fn the_heartbeat_of_a_product_is_kept_when_a_channel_of_it_ends() {
        assert_eq!(
            texts(ControlOp::Unsubscribe, &ITEMS[..1]),
            [r#"{"type":"unsubscribe","channels":[{"name":"level2_batch","product_ids":["ETH-USD"]}]}"#]
        );
    }

    #[test]
    fn channels_without_a_stream_ask_for_nothing() {
        assert!(texts(ControlOp::Subscribe, &[("BTC-USD", Channel::Klines)]).is_empty());
        assert!(texts(ControlOp::Subscribe, &[]).is_empty());
    }

    #[test]
    fn the_snapshot_path_is_safe_whatever_the_symbol() {
        let path = |symbol| Product::CoinbaseExchange.snapshot_path(symbol, 50).unwrap();
        assert_eq!(path("BTC-USD"), "/products/BTC-USD/book?level=2");
        assert_eq!(path("../x?y"), "/products/..%2Fx%3Fy/book?level=2");
    }
}
