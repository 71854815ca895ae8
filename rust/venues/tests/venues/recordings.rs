//! The recordings decode whole, and a naive book of what was decoded ends in the verified state.

use std::collections::BTreeMap;

use facade_model::{BookSide, Decimal, InstrumentKind, InstrumentStatus, LevelChange, TakerSide};
use facade_venues::{BookEvent, Decoded, Event, Product};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::recording;

/// Book of plain maps at 8 decimals.
#[derive(Default)]
struct NaiveBook {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl NaiveBook {
    fn apply(&mut self, changes: &[LevelChange]) {
        for change in changes {
            let side = match change.side {
                BookSide::Bid => &mut self.bids,
                BookSide::Ask => &mut self.asks,
            };
            let (px, qty) = (change.px.rescale(-8).unwrap(), change.qty.rescale(-8).unwrap());
            if qty == 0 {
                side.remove(&px);
            } else {
                side.insert(px, qty);
            }
        }
    }

    fn truncate(&mut self, depth: usize) {
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }

    /// Hash of the canonical text, MANIFEST section 0.
    fn sha256(&self) -> String {
        let line = |side: &str, (px, qty): (&i64, &i64)| {
            format!("{side},{},{}", Decimal::new(*px, -8), Decimal::new(*qty, -8))
        };
        let bids = self.bids.iter().rev().map(|level| line("b", level));
        let text = bids.chain(self.asks.iter().map(|level| line("a", level))).collect::<Vec<_>>().join("\n");
        format!("{:x}", Sha256::digest(text))
    }
}

/// What a whole recording said.
#[derive(Default)]
struct Heard {
    diffs: u64,
    tops: u64,
    trades: u64,
    ignored: u64,
    applied: u64,
    changes: u64,
    quantity: i128,
    notional: i128,
    first_id: Option<u64>,
    last_id: u64,
    book: NaiveBook,
    last_update: u64,
}

impl Heard {
    fn hear(&mut self, product: Product, frame: &[u8], snapshot_id: Option<u64>) {
        let mut out = Decoded::default();
        product.decode(frame, &mut out).unwrap();
        for event in &out.events {
            match event {
                Event::Book(book) => {
                    self.diffs += 1;
                    self.apply_diff(book, out.levels_of(book), snapshot_id.unwrap_or(u64::MAX), product);
                }
                Event::Top(_) => self.tops += 1,
                Event::Trades(trades) => {
                    for trade in out.trades_of(trades) {
                        let (px, qty) = (trade.px.rescale(-8).unwrap(), trade.qty.rescale(-8).unwrap());
                        self.trades += 1;
                        self.quantity += i128::from(qty);
                        self.notional += i128::from(px) * i128::from(qty);
                        self.first_id.get_or_insert(trade.id);
                        self.last_id = trade.id;
                        assert!(trade.is_market);
                        assert_ne!(trade.side, TakerSide::Unknown);
                    }
                }
                Event::Ignored => self.ignored += 1,
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn apply_diff(&mut self, book: &BookEvent, levels: &[LevelChange], snapshot_id: u64, product: Product) {
        let last = book.sequence.last.unwrap();
        let is_old = if product == Product::BinanceSpot { last <= snapshot_id } else { last < snapshot_id };
        if is_old {
            return;
        }
        self.applied += 1;
        self.changes += levels.len() as u64;
        self.last_update = last;
        self.book.apply(levels);
    }
}

/// Adds up decimals of 8 or 16 places as the facts print them.
fn plain(units: i128, places: u32) -> String {
    let power = 10_i128.pow(places);
    let text = format!("{}.{:0width$}", units / power, units % power, width = places as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn replay_binance(product: Product, files: &[&str], facts: &Value) {
    let mut frames = Vec::new();
    for file in files {
        let Some(text) = recording::unpacked(file) else { return };
        frames.extend(recording::lines(&text, b" "));
    }
    let body = frames.iter().find(|frame| frame.starts_with(b"{\"lastUpdateId\"")).unwrap().clone();
    let mut snapshot = Decoded::default();
    product.decode_snapshot(&body, &mut snapshot).unwrap();
    let [Event::Book(book)] = &snapshot.events[..] else { panic!("one snapshot") };
    assert_eq!(book.sequence.last, facts["snapshot"]["lastUpdateId"].as_u64());
    let mut heard = Heard::default();
    heard.book.apply(snapshot.levels_of(book));
    assert_eq!(heard.book.sha256(), facts["snapshot"]["sha256"]);
    for frame in frames.iter().filter(|frame| **frame != body) {
        heard.hear(product, frame, book.sequence.last);
    }
    assert_eq!(heard.diffs, facts["counts"]["depthUpdate"]);
    assert_eq!(heard.tops, facts["counts"]["bookTicker"]);
    assert_eq!(heard.trades, facts["counts"]["trade"]);
    assert_eq!(heard.ignored, 0);
    assert_eq!(heard.applied, facts["applied_events"]);
    assert_eq!(heard.changes, facts["level_changes"]);
    assert_eq!(heard.last_update, facts["final"]["u"]);
    assert_eq!(heard.book.sha256(), facts["final"]["sha256"]);
    assert_eq!(heard.first_id, facts["trades"]["first_id"].as_u64());
    assert_eq!(heard.last_id, facts["trades"]["last_id"]);
    assert_eq!(plain(heard.quantity, 8), facts["trades"]["qty_sum"].as_str().unwrap());
    assert_eq!(plain(heard.notional, 16), facts["trades"]["notional"].as_str().unwrap());
}

#[test]
fn binance_spot_recording_ends_in_the_verified_book() {
    if recording::folder().is_none() {
        return;
    }
    let facts = &recording::expected("binance")["binance_spot_btcusdt"];
    let files = ["binance/spot/btcusdt_20240808.gz", "binance/spot/btcusdt_20240809.gz"];
    replay_binance(Product::BinanceSpot, &files, facts);
}

#[test]
fn binance_usdm_recording_ends_in_the_verified_book() {
    if recording::folder().is_none() {
        return;
    }
    let facts = &recording::expected("binance")["binance_usdm_btcusdt"];
    replay_binance(Product::BinanceUsdm, &["binance/usdm/btcusdt_20240808.gz"], facts);
}

/// Ways to bids and asks.
type Paths = [&'static [&'static str]; 2];

/// What an independent JSON reader finds at `path`: rows of price and quantity, as plain text.
fn rows(frame: &[u8], path: &[&str], names: [&str; 2]) -> Vec<(String, String)> {
    let mut value = serde_json::from_slice::<&RawValue>(frame).unwrap();
    for name in path {
        value = match name.parse::<usize>() {
            Ok(index) => serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap()[index],
            Err(_) => serde_json::from_str::<BTreeMap<&str, &RawValue>>(value.get()).unwrap()[name],
        };
    }
    let plain = |value: &RawValue| {
        let text = value.get().trim_matches('"');
        let is_fraction = text.contains('.');
        let text = if is_fraction { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        text.to_owned()
    };
    let items: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap();
    let row = |item: &&RawValue| {
        if item.get().starts_with('[') {
            let cells: Vec<&RawValue> = serde_json::from_str(item.get()).unwrap();
            (plain(cells[0]), plain(cells[1]))
        } else {
            let cells: BTreeMap<&str, &RawValue> = serde_json::from_str(item.get()).unwrap();
            (plain(cells[names[0]]), plain(cells[names[1]]))
        }
    };
    items.iter().map(row).collect()
}

/// Book frames of each recording that are compared.
const BOOKS: usize = 1_000;

#[test]
fn an_independent_reader_finds_the_same_levels() {
    let Some(spot) = recording::unpacked("binance/spot/btcusdt_20240809.gz") else { return };
    let usdm = recording::unpacked("binance/usdm/btcusdt_20240808.gz").unwrap();
    let kraken = recording::unpacked("kraken/v2/btcusd_d25_20260802.cbcap.gz").unwrap();
    let binance: Paths = [&["data", "b"], &["data", "a"]];
    let sources = [
        (Product::BinanceSpot, recording::lines(&spot, b" "), binance),
        (Product::BinanceUsdm, recording::lines(&usdm, b" "), binance),
        (Product::Kraken, recording::cbcap(&kraken), [&["data", "0", "bids"], &["data", "0", "asks"]]),
    ];
    for (product, frames, [bids, asks]) in sources {
        let mut books = 0;
        for frame in frames {
            let mut out = Decoded::default();
            product.decode(&frame, &mut out).unwrap();
            if !matches!(&out.events[..], [Event::Book(_)]) {
                continue;
            }
            if books == BOOKS {
                break;
            }
            books += 1;
            for (side, path) in [(BookSide::Bid, bids), (BookSide::Ask, asks)] {
                let levels = out.levels.iter().filter(|level| level.side == side);
                let told: Vec<_> =
                    levels.map(|level| (level.px.to_string(), level.qty.to_string())).collect();
                assert_eq!(told, rows(&frame, path, ["price", "qty"]));
            }
        }
        assert_eq!(books, BOOKS, "{product:?}");
    }
}

#[test]
fn binance_combined_recording_keeps_four_symbols_apart() {
    let Some(rest) = recording::unpacked("binance/spot/combined4_20211012.depth_rest.txt.gz") else { return };
    let frames = recording::unpacked("binance/spot/combined4_20211012.ws.txt.gz").unwrap();
    let facts = &recording::expected("binance")["binance_spot_combined4_20211012"]["symbols"];
    let mut heard: BTreeMap<String, (u64, Heard)> = BTreeMap::new();
    for (url, body) in recording::bodies(&rest) {
        let symbol = url.split(['=', '&']).nth(1).unwrap().to_owned();
        let mut out = Decoded::default();
        Product::BinanceSpot.decode_snapshot(&body, &mut out).unwrap();
        let [Event::Book(book)] = &out.events[..] else { panic!("one snapshot") };
        let (id, said) = heard.entry(symbol).or_default();
        *id = book.sequence.last.unwrap();
        said.book.apply(out.levels_of(book));
    }
    let mut ignored = 0;
    for frame in recording::lines(&frames, b": ") {
        let mut out = Decoded::default();
        Product::BinanceSpot.decode(&frame, &mut out).unwrap();
        for event in &out.events {
            match event {
                Event::Book(book) => {
                    let symbol = std::str::from_utf8(book.symbol.of(&frame)).unwrap();
                    let (id, said) = heard.get_mut(symbol).unwrap();
                    said.apply_diff(book, out.levels_of(book), *id, Product::BinanceSpot);
                }
                Event::Top(_) => {}
                Event::Ignored => ignored += 1,
                other => panic!("unexpected {other:?}"),
            }
        }
    }
    assert_eq!(ignored, 4, "2 aggTrade and 2 kline_1m");
    assert_eq!(heard.len(), 4);
    for (symbol, (_, said)) in heard {
        assert_eq!(said.applied, facts[&symbol]["applied"], "{symbol}");
        assert_eq!(said.last_update, facts[&symbol]["final"]["u"], "{symbol}");
        assert_eq!(said.book.bids.len(), facts[&symbol]["final"]["levels_bid"], "{symbol}");
        assert_eq!(said.book.asks.len(), facts[&symbol]["final"]["levels_ask"], "{symbol}");
    }
}

#[test]
fn binance_exchange_info_of_2021_lists_its_instruments() {
    let Some(text) = recording::unpacked("binance/spot/exchange_info_20211012.txt.gz") else { return };
    let (_, body) = &recording::bodies(&text)[0];
    let instruments = Product::BinanceSpot.decode_instruments(body).unwrap();
    let listed: Value = serde_json::from_slice(body).unwrap();
    let listed = listed["symbols"].as_array().unwrap();
    assert_eq!(instruments.len(), listed.len());
    for (instrument, row) in instruments.iter().zip(listed) {
        assert_eq!(instrument.venue_symbol, row["symbol"].as_str().unwrap());
        let (base, quote) = (row["baseAsset"].as_str().unwrap(), row["quoteAsset"].as_str().unwrap());
        assert_eq!(instrument.symbol, format!("{base}-{quote}"));
        let is_trading = row["status"] == "TRADING";
        assert_eq!(instrument.status == InstrumentStatus::Trading, is_trading);
        let filter = |kind: &str, name: &str| {
            let filters = row["filters"].as_array().unwrap();
            filters.iter().find(|filter| filter["filterType"] == kind).unwrap()[name]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let tick = filter("PRICE_FILTER", "tickSize");
        assert_eq!(instrument.tick_size, Decimal::parse(tick.as_bytes()).unwrap());
        let lot = filter("LOT_SIZE", "stepSize");
        assert_eq!(instrument.lot_size, Decimal::parse(lot.as_bytes()).unwrap());
        assert_eq!(
            usize::from(instrument.price_precision),
            tick.trim_end_matches('0').split('.').nth(1).unwrap().len()
        );
        assert_eq!((instrument.kind, instrument.contract_size), (InstrumentKind::Spot, None));
    }
}

#[test]
fn kraken_v2_recording_ends_in_the_verified_book() {
    let Some(text) = recording::unpacked("kraken/v2/btcusd_d25_20260802.cbcap.gz") else { return };
    let facts = &recording::expected("kraken")["kraken_v2_btcusd"];
    let checkpoints = facts["checkpoints"].as_array().unwrap();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut book, mut messages, mut checked) = (NaiveBook::default(), 0_u64, 0);
    for frame in recording::cbcap(&text) {
        let mut out = Decoded::default();
        Product::Kraken.decode(&frame, &mut out).unwrap();
        let [event] = &out.events[..] else { panic!("one event a frame") };
        let name = match event {
            Event::InstrumentStatus(_) => "status",
            Event::Acked(_) => "subscribe",
            Event::Heartbeat(None) => "heartbeat",
            Event::Book(event) => {
                messages += 1;
                if event.is_snapshot {
                    book = NaiveBook::default();
                }
                book.apply(out.levels_of(event));
                book.truncate(25);
                assert_eq!(event.symbol.of(&frame), b"BTC/USD");
                for checkpoint in checkpoints.iter().filter(|facts| facts["after_book_messages"] == messages)
                {
                    assert_eq!(event.checksum.map(u64::from), checkpoint["checksum"].as_u64());
                    assert_eq!(book.sha256(), checkpoint["sha256"]);
                    checked += 1;
                }
                if event.is_snapshot { "book:snapshot" } else { "book:update" }
            }
            other => panic!("unexpected {other:?}"),
        };
        *counts.entry(name).or_default() += 1;
    }
    assert_eq!(serde_json::json!(counts), facts["frames"]);
    assert_eq!(checked, checkpoints.len());
}

#[test]
fn kraken_v1_frames_are_ignored_without_error() {
    for file in ["book_d1000_10pairs_20210417", "ticker_10pairs_20210417", "trades_10pairs_20210417"] {
        let Some(text) = recording::unpacked(&format!("kraken/v1/{file}.txt.gz")) else { return };
        for frame in recording::lines(&text, b": ") {
            let mut out = Decoded::default();
            Product::Kraken.decode(&frame, &mut out).unwrap();
            assert_eq!(out.events, [Event::Ignored]);
        }
    }
}

#[test]
fn kraken_asset_pairs_of_2021_carry_todays_names() {
    let Some(text) = recording::unpacked("kraken/v1/asset_pairs_20210417.txt.gz") else { return };
    let (_, body) = &recording::bodies(&text)[0];
    let instruments = Product::Kraken.decode_instruments(body).unwrap();
    let listed: Value = serde_json::from_slice(body).unwrap();
    let named = listed["result"].as_object().unwrap().iter().filter(|(_, row)| row["wsname"].is_string());
    let mut count = 0;
    for (key, row) in named {
        count += 1;
        let instrument = instruments
            .iter()
            .find(|instrument| instrument.aliases.contains(key))
            .or_else(|| instruments.iter().find(|instrument| instrument.venue_symbol == *key));
        let instrument = instrument.unwrap();
        let old_name = row["wsname"].as_str().unwrap();
        let new_name = old_name
            .split('/')
            .map(|asset| {
                if asset == "XBT" {
                    "BTC"
                } else if asset == "XDG" {
                    "DOGE"
                } else {
                    asset
                }
            })
            .collect::<Vec<_>>();
        assert_eq!(instrument.venue_symbol, new_name.join("/"));
        assert_eq!(instrument.symbol, new_name.join("-"));
        assert_eq!(u64::from(instrument.price_precision), row["pair_decimals"]);
        assert_eq!(u64::from(instrument.quantity_precision), row["lot_decimals"]);
        let path = Product::Kraken.snapshot_path(&instrument.venue_symbol, 100).unwrap();
        assert_eq!(path, format!("/0/public/Depth?pair={}&count=100", row["altname"].as_str().unwrap()));
    }
    assert_eq!(instruments.len(), count);
}
