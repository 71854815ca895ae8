//! The recording, judged frame by frame and in sum.

use std::collections::BTreeMap;

use facade_model::{BookSide, InstrumentKind, InstrumentStatus, LevelChange, TakerSide, Trade};
use facade_venues::{BookEvent, Event, Product};
use serde_json::Value;

use super::{decode, numbered};
use crate::recording;
use crate::witness::{self, NaiveBook, scaled, text_number};

#[test]
fn the_recorded_list_keeps_aliases_with_the_product_that_delivers_them() {
    let Some(folder) = recording::folder() else { return };
    let (_, bodies) =
        witness::cf_jsonl(&folder.join("coinbase/advanced/btcusd_ethusd_20260809_first500.jsonl.zst"));
    let raw: Value = serde_json::from_str(&bodies[0]).unwrap();
    let rows = raw["products"].as_array().unwrap();
    let list = Product::CoinbaseAdvanced.decode_instruments(bodies[0].as_bytes()).unwrap();
    let own = rows.iter().filter(|row| row["alias"] == "");
    assert_eq!(list.len(), own.clone().count());
    for (row, instrument) in own.zip(&list) {
        assert_eq!(row["product_id"], instrument.venue_symbol);
        assert_eq!(row["alias_to"], serde_json::to_value(&instrument.aliases).unwrap());
        assert_eq!(instrument.tick_size, text_number(&row["price_increment"]));
        assert_eq!(instrument.lot_size, text_number(&row["base_increment"]));
        assert_eq!(row["base_currency_id"], instrument.base);
        assert_eq!(instrument.kind, InstrumentKind::Spot);
        let is_delisted = row["status"] == "delisted";
        assert_eq!(instrument.status == InstrumentStatus::Delisted, is_delisted);
        assert_eq!(instrument.status == InstrumentStatus::Trading, !is_delisted);
    }
    let btc = list.iter().find(|instrument| instrument.symbol == "BTC-USD").unwrap();
    assert_eq!((btc.aliases.as_slice(), btc.price_precision), (&["BTC-USDC".to_owned()][..], 2));
}

#[test]
fn switches_of_a_product_narrow_its_status() {
    let status = |switch: &str| {
        let body = format!(r#"{{"products":[{{"product_id":"A-B","{switch}":true,"status":"online"}}]}}"#);
        Product::CoinbaseAdvanced.decode_instruments(body.as_bytes()).unwrap()[0].status
    };
    for switch in ["is_disabled", "trading_disabled", "cancel_only", "view_only"] {
        assert_eq!(status(switch), InstrumentStatus::Halted, "{switch}");
    }
    for switch in ["auction_mode", "post_only"] {
        assert_eq!(status(switch), InstrumentStatus::Auction, "{switch}");
    }
    assert_eq!(status("limit_only"), InstrumentStatus::Trading);
}

/// What one product of the recording sums up to.
#[derive(Default)]
struct Tally {
    book: NaiveBook,
    unknown_deletes: u32,
    snapshot_levels: u64,
    update_events: u64,
    level_changes: u64,
    trades: Vec<Trade>,
}

impl Tally {
    fn book(&mut self, event: &BookEvent, levels: &[LevelChange]) {
        if event.is_snapshot {
            self.snapshot_levels += levels.len() as u64;
        } else {
            self.update_events += 1;
            self.level_changes += levels.len() as u64;
        }
        self.book.apply(event.is_snapshot, levels);
        self.unknown_deletes = self.book.unknown_deletes;
        assert!(!self.book.is_crossed());
    }
}

fn oracle_levels(event: &Value) -> Vec<LevelChange> {
    let rows = event["updates"].as_array().unwrap().iter();
    rows.map(|row| LevelChange {
        side: if row["side"] == "bid" { BookSide::Bid } else { BookSide::Ask },
        px: text_number(&row["price_level"]),
        qty: text_number(&row["new_quantity"]),
    })
    .collect()
}

/// Judges the trades of one product against plain JSON: newest first as sent, maker's side.
fn assert_trades(trades: &[Trade], event: &Value, symbol: &[u8]) {
    let rows = event["trades"].as_array().unwrap().iter().rev();
    let rows: Vec<_> = rows.filter(|row| row["product_id"].as_str().unwrap().as_bytes() == symbol).collect();
    assert_eq!(trades.len(), rows.len());
    for (trade, row) in trades.iter().zip(rows) {
        assert_eq!(row["trade_id"], trade.id.to_string());
        assert_eq!((trade.px, trade.qty), (text_number(&row["price"]), text_number(&row["size"])));
        assert_eq!(trade.side == TakerSide::Sell, row["side"] == "BUY");
        assert_eq!(trade.side == TakerSide::Buy, row["side"] == "SELL");
    }
}

/// Judges one frame and adds it up; returns its channel.
fn tally(frame: &str, sequence: u64, tallies: &mut BTreeMap<String, Tally>) -> String {
    let decoded = decode(frame);
    let raw: Value = serde_json::from_str(frame).unwrap();
    assert_eq!(raw["sequence_num"], sequence);
    let name = |symbol: &[u8]| String::from_utf8(symbol.to_vec()).unwrap();
    for event in numbered(&decoded, sequence) {
        match event {
            Event::Book(book) => {
                let symbol = book.symbol.of(frame.as_bytes());
                let levels = decoded.levels_of(book);
                assert_eq!(levels, oracle_levels(&raw["events"][0]));
                tallies.entry(name(symbol)).or_default().book(book, levels);
            }
            Event::Trades(event) => {
                let symbol = event.symbol.of(frame.as_bytes());
                let trades = decoded.trades_of(event);
                assert_trades(trades, &raw["events"][0], symbol);
                if !event.is_snapshot {
                    tallies.entry(name(symbol)).or_default().trades.extend(trades);
                }
            }
            Event::Ticker(told) => {
                let raw = &raw["events"][0]["tickers"][0];
                assert_eq!(told.ticker.top.bid.unwrap().px, text_number(&raw["best_bid"]));
                assert_eq!(told.ticker.top.ask.unwrap().qty, text_number(&raw["best_ask_quantity"]));
            }
            Event::Heartbeat(counter) => {
                assert_eq!(raw["events"][0]["heartbeat_counter"].as_u64(), *counter);
            }
            Event::Top(_) | Event::Acked(_) | Event::Ignored => {}
            other => panic!("{other:?}"),
        }
    }
    raw["channel"].as_str().unwrap().to_owned()
}

fn assert_books(tallies: &BTreeMap<String, Tally>, expected: &Value) {
    for (name, book) in expected.as_object().unwrap() {
        tallies[name].book.assert_equals(book, name);
    }
}

#[test]
fn the_recording_decodes_whole_and_its_books_and_trades_are_the_verified_ones() {
    let Some(folder) = recording::folder() else { return };
    let (frames, _) =
        witness::cf_jsonl(&folder.join("coinbase/advanced/btcusd_ethusd_20260809_first500.jsonl.zst"));
    let expected = &recording::expected("coinbase")["coinbase_advanced_first500"];
    let (mut channels, mut tallies) = (BTreeMap::<String, u64>::new(), BTreeMap::new());
    for (frame, sequence) in frames.iter().zip(0..) {
        *channels.entry(tally(frame, sequence, &mut tallies)).or_default() += 1;
        for checkpoint in expected["checkpoints"].as_array().unwrap() {
            if checkpoint["sequence_num"] == sequence {
                assert_books(&tallies, &checkpoint["products"]);
            }
        }
    }
    assert_eq!(expected["frames"], frames.len());
    for (channel, count) in expected["channels"].as_object().unwrap() {
        assert!(channel.starts_with("meta:") || *count == channels[channel], "{channel}");
    }
    assert_books(&tallies, &expected["final"]);
    assert_eq!(
        expected["deletes_of_unknown_level"],
        tallies.values().map(|own| own.unknown_deletes).sum::<u32>()
    );
    for (name, facts) in expected["per_product"].as_object().unwrap() {
        let own = &tallies[name];
        assert_eq!(facts["snapshot_levels"], own.snapshot_levels);
        assert_eq!(
            (&facts["update_events"], &facts["level_changes"]),
            (&own.update_events.into(), &own.level_changes.into())
        );
    }
    for (name, facts) in expected["trade_updates"].as_object().unwrap() {
        let trades = &tallies[name].trades;
        let takers = |side| trades.iter().filter(|trade| trade.side == side).count();
        assert_eq!(facts["count"], trades.len());
        assert_eq!(facts["min_id"], trades.iter().map(|trade| trade.id).min().unwrap());
        assert_eq!(facts["max_id"], trades.iter().map(|trade| trade.id).max().unwrap());
        assert_eq!(facts["size_sum"], witness::plain(trades.iter().map(|trade| scaled(trade.qty)).sum()));
        assert_eq!(facts["side_count"]["SELL"], takers(TakerSide::Buy), "the venue tells the maker's side");
        assert_eq!(facts["side_count"]["BUY"], takers(TakerSide::Sell));
    }
}
