//! The recording, judged frame by frame and in sum.

use std::collections::BTreeMap;

use facade_model::{BookSide, Decimal, InstrumentKind, InstrumentStatus, LevelChange, TakerSide, Trade};
use facade_venues::{Event, Product, okx_checksum};
use serde_json::Value;

use super::decode;
use crate::recording;
use crate::witness::{self, NaiveBook, scaled, text_number};

#[test]
fn the_recorded_lists_are_read_whole() {
    let Some(text) = recording::unpacked("okx/v5/instruments_spot_swap_20220513.txt.gz") else { return };
    for (url, body) in recording::bodies(&text).into_iter().take(2) {
        let is_contract = url.ends_with("SWAP");
        let raw: Value = serde_json::from_slice(&body).unwrap();
        let list = Product::Okx.decode_instruments(&body).unwrap();
        assert_eq!(list.len(), if is_contract { 166 } else { 513 });
        for (row, instrument) in raw["data"].as_array().unwrap().iter().zip(&list) {
            assert_eq!(row["instId"], instrument.symbol);
            assert_eq!(instrument.kind == InstrumentKind::Perpetual, is_contract);
            assert_eq!(instrument.status, InstrumentStatus::Trading);
            assert_eq!(instrument.tick_size, text_number(&row["tickSz"]));
            assert_eq!(instrument.lot_size, text_number(&row["lotSz"]));
            assert!(instrument.symbol.starts_with(&format!("{}-{}", instrument.base, instrument.quote)));
            assert_eq!(row["ctMult"], if is_contract { "1" } else { "" });
            assert_eq!(instrument.contract_size, is_contract.then(|| text_number(&row["ctVal"])));
        }
    }
}

/// Levels of a frame as plain JSON tells them.
fn oracle_levels(item: &Value) -> Vec<LevelChange> {
    let side = |name: &str, side| {
        let rows = item[name].as_array().unwrap().iter();
        rows.map(move |row| LevelChange { side, px: text_number(&row[0]), qty: text_number(&row[1]) })
            .collect::<Vec<_>>()
    };
    [side("asks", BookSide::Ask), side("bids", BookSide::Bid)].concat()
}

/// Trades of a frame as plain JSON tells them.
fn oracle_trade(item: &Value) -> Trade {
    let integer = |name: &str| item[name].as_str().unwrap().parse::<i64>().unwrap();
    Trade {
        id: u64::try_from(integer("tradeId")).unwrap(),
        px: text_number(&item["px"]),
        qty: text_number(&item["sz"]),
        side: if item["side"] == "buy" { TakerSide::Buy } else { TakerSide::Sell },
        ts_event: integer("ts") * 1_000_000,
        is_market: true,
    }
}

/// What one instrument of the recording sums up to.
#[derive(Default)]
struct Tally {
    book: NaiveBook,
    snapshots: u64,
    messages: u64,
    trades: Vec<Trade>,
}

/// Judges one frame against plain JSON and adds it up; returns whether it was a book message.
fn tally(frame: &str, counts: &mut BTreeMap<String, u64>, tallies: &mut BTreeMap<String, Tally>) -> bool {
    let decoded = decode(frame);
    let raw: Value = serde_json::from_str(frame).unwrap();
    let [event] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    let mut count = |name: &str| *counts.entry(name.to_owned()).or_default() += 1;
    let named = raw["arg"]["instId"].as_str().unwrap();
    let own = tallies.entry(named.to_owned()).or_default();
    match event {
        Event::Acked(control) => {
            count("event:subscribe");
            assert_eq!(control.symbol.of(frame.as_bytes()), named.as_bytes());
        }
        Event::Ticker(ticker) => {
            count("tickers");
            assert_eq!(ticker.ticker.last_px, Some(text_number(&raw["data"][0]["last"])));
        }
        Event::Trades(event) => {
            count("trades");
            let trades = decoded.trades_of(event);
            assert_eq!(trades, raw["data"].as_array().unwrap().iter().map(oracle_trade).collect::<Vec<_>>());
            own.trades.extend(trades);
        }
        Event::Book(book) => {
            count(if book.is_snapshot { "books:snapshot" } else { "books:update" });
            let item = &raw["data"][0];
            assert_eq!(decoded.levels_of(book), oracle_levels(item));
            assert_eq!(book.symbol.of(frame.as_bytes()), named.as_bytes());
            own.snapshots += u64::from(book.is_snapshot);
            own.messages += 1;
            own.book.apply(book.is_snapshot, decoded.levels_of(book));
            let told = i64::from(book.checksum.unwrap().cast_signed());
            assert_eq!(told, item["checksum"].as_i64().unwrap());
            assert_eq!(
                i64::from(okx_checksum(own.book.bids(), own.book.asks()).cast_signed()),
                told,
                "{frame}"
            );
            assert!(!own.book.is_crossed());
            return true;
        }
        other => panic!("{other:?}"),
    }
    false
}

#[test]
fn row_b08_the_recording_decodes_whole_and_all_290_checksums_match() {
    let Some(text) = recording::unpacked("okx/v5/books_tickers_trades_3inst_20220513.txt.gz") else { return };
    let expected = &recording::expected("okx")["okx_v5"];
    let (mut counts, mut tallies, mut books) = (BTreeMap::new(), BTreeMap::new(), 0_u64);
    for frame in recording::lines(&text, b": ") {
        if tally(std::str::from_utf8(&frame).unwrap(), &mut counts, &mut tallies) {
            books += 1;
            for checkpoint in expected["checkpoints"].as_array().unwrap() {
                if checkpoint["after_book_messages"] == books {
                    assert_books(&tallies, &checkpoint["instruments"]);
                }
            }
        }
    }
    assert_eq!(books, 290);
    assert_eq!(serde_json::to_value(counts).unwrap(), expected["messages"]);
    assert_books(&tallies, &expected["final"]);
    for (name, facts) in expected["per_instrument"].as_object().unwrap() {
        assert_eq!(facts["snapshots"], tallies[name].snapshots);
        assert_eq!(facts["messages"], tallies[name].messages);
    }
    for (name, facts) in expected["trades"].as_object().unwrap() {
        let trades = &tallies[name].trades;
        let notional = |trade: &Trade| {
            let nine = |value: Decimal| scaled(value) / 10_i128.pow(9);
            nine(trade.px) * nine(trade.qty)
        };
        assert_eq!(facts["count"], trades.len());
        assert_eq!(facts["size_sum"], witness::plain(trades.iter().map(|trade| scaled(trade.qty)).sum()));
        assert_eq!(facts["notional_px_sz"], witness::plain(trades.iter().map(notional).sum()));
        assert_eq!(facts["buys"], trades.iter().filter(|trade| trade.side == TakerSide::Buy).count());
        assert_eq!(facts["first_id"], trades.iter().map(|trade| trade.id).min().unwrap().to_string());
        assert_eq!(facts["last_id"], trades.iter().map(|trade| trade.id).max().unwrap().to_string());
    }
}

fn assert_books(tallies: &BTreeMap<String, Tally>, expected: &Value) {
    for (name, book) in expected.as_object().unwrap() {
        tallies[name].book.assert_equals(book, name);
    }
}
