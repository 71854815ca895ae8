//! Coinbase Exchange: the frames of the venue's documents and of the recording, judged by plain JSON and maps.

use std::collections::BTreeMap;

use facade_model::{BookSide, Channel, InstrumentStatus, Level, LevelChange, TakerSide, Trade};
use facade_venues::{DecodeErrorKind, Decoded, Event, Product, Sequence};
use serde_json::Value;

use crate::recording;
use crate::witness::{self, NaiveBook, acknowledged, change, number, scaled, text_number};

fn decode(frame: &str) -> Decoded {
    witness::decode(Product::CoinbaseExchange, frame.as_bytes())
}

const SNAPSHOT: &str = r#"{"type":"snapshot","product_id":"BAND-GBP","asks":[["14.8024","12.77"],["14.8069","12.49"]],"bids":[["14.7550","10.10"]]}"#;
const UPDATE: &str = r#"{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"],["buy","0.00001305","0.00000000"]],"time":"2021-04-17T16:43:37.075687Z"}"#;
const LAST_MATCH: &str = r#"{"type":"last_match","trade_id":881613,"maker_order_id":"27fff20b-af29-4f45-8744-56dd1ef57dc0","taker_order_id":"1da6ce16-c8da-4732-9f71-6049f4c6aaf8","side":"sell","size":"0.04","price":"14.7775","product_id":"BAND-GBP","sequence":333938798,"time":"2021-04-17T16:43:30.244075Z"}"#;
const TICKER: &str = r#"{"type":"ticker","sequence":333938798,"product_id":"BAND-GBP","price":"14.7775","open_24h":"14.6647","volume_24h":"94381.28000000","low_24h":"14.3691","high_24h":"16.55","volume_30d":"2295579.57000000","best_bid":"14.7550","best_bid_size":"10.10","best_ask":"14.8060","best_ask_size":"3.1","side":"buy","time":"2021-04-17T16:43:30.244075Z","trade_id":881613,"last_size":"0.04"}"#;

#[test]
fn a_snapshot_is_the_whole_book_without_time_or_number() {
    let decoded = decode(SNAPSHOT);
    let [Event::Book(book)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert_eq!((book.is_snapshot, book.ts_event, book.sequence), (true, 0, Sequence::default()));
    assert_eq!(book.symbol.of(SNAPSHOT.as_bytes()), b"BAND-GBP");
    let expected = [
        change(BookSide::Ask, "14.8024", "12.77"),
        change(BookSide::Ask, "14.8069", "12.49"),
        change(BookSide::Bid, "14.755", "10.1"),
    ];
    assert_eq!(decoded.levels_of(book), expected);
}

#[test]
fn an_update_holds_changes_of_both_sides() {
    let decoded = decode(UPDATE);
    let [Event::Book(book)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert_eq!((book.is_snapshot, book.ts_event), (false, 1_618_677_817_075_687_000));
    let expected = [change(BookSide::Ask, "0.00001306", "660.5"), change(BookSide::Bid, "0.00001305", "0")];
    assert_eq!(decoded.levels_of(book), expected);
    let year_one = UPDATE.replace("2021-04-17T16:43:37.075687Z", "0001-01-01T00:00:00.000000Z");
    assert!(matches!(decode(&year_one).events.as_slice(), [Event::Book(book)] if book.ts_event == 0));
}

#[test]
fn a_match_tells_the_makers_side_and_the_last_match_is_history() {
    for (frame, is_snapshot) in
        [(LAST_MATCH.to_owned(), true), (LAST_MATCH.replace("last_match", "match"), false)]
    {
        let decoded = decode(&frame);
        let [Event::Trades(event)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
        assert_eq!(event.is_snapshot, is_snapshot);
        assert_eq!(event.symbol.of(frame.as_bytes()), b"BAND-GBP");
        let expected = Trade {
            id: 881_613,
            px: number("14.7775"),
            qty: number("0.04"),
            side: TakerSide::Buy,
            ts_event: 1_618_677_810_244_075_000,
            is_market: true,
        };
        assert_eq!(decoded.trades_of(event), [expected]);
    }
}

#[test]
fn a_ticker_tells_best_prices_with_their_number_and_statistics() {
    let decoded = decode(TICKER);
    let [Event::Top(top), Event::Ticker(told)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert_eq!((top.sequence, top.ts_event), (Some(333_938_798), 1_618_677_810_244_075_000));
    assert_eq!(top.top.bid, Some(Level { px: number("14.755"), qty: number("10.1") }));
    assert_eq!(top.top.ask, Some(Level { px: number("14.806"), qty: number("3.1") }));
    assert_eq!(told.ticker.top, top.top);
    assert_eq!((told.ticker.last_px, told.ticker.last_qty), (Some(number("14.7775")), Some(number("0.04"))));
    assert_eq!(
        (told.ticker.open_px, told.ticker.volume),
        (Some(number("14.6647")), Some(number("94381.28")))
    );
    assert_eq!((told.ticker.high_px, told.ticker.low_px), (Some(number("16.55")), Some(number("14.3691"))));
}

#[test]
fn best_prices_without_quantities_make_no_top() {
    let old = TICKER.replace(r#""best_bid_size":"10.10","#, "").replace(r#""best_ask_size":"3.1","#, "");
    let decoded = decode(&old);
    assert!(matches!(decoded.events.as_slice(), [Event::Ticker(_)]), "{decoded:?}");
}

#[test]
fn a_heartbeat_is_a_sign_of_life() {
    let frame = r#"{"type":"heartbeat","sequence":333938801,"last_trade_id":881613,"product_id":"BAND-GBP","time":"2021-04-17T16:43:38.464925Z"}"#;
    assert_eq!(decode(frame).events, [Event::Heartbeat(None)]);
}

#[test]
fn subscriptions_acknowledge_every_alias_of_a_channel() {
    let frame = r#"{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["BTC-USD"],"account_ids":null},{"product_ids":["ETH-USD"],"name":"level2_batch"},{"name":"level2","product_ids":["SKL-USD"]},{"name":"matches","product_ids":["BTC-USD"]},{"name":"heartbeat","product_ids":["BTC-USD"]},{"name":"ticker","product_ids":["BTC-USD","ETH-USD"]}]}"#;
    let decoded = decode(frame);
    let told = acknowledged(&decoded.events, frame);
    let expected: [(_, &[u8]); 6] = [
        (Channel::BookL2, b"BTC-USD"),
        (Channel::BookL2, b"ETH-USD"),
        (Channel::BookL2, b"SKL-USD"),
        (Channel::Trades, b"BTC-USD"),
        (Channel::Ticker, b"BTC-USD"),
        (Channel::Ticker, b"ETH-USD"),
    ];
    assert_eq!(told, expected);
    assert_eq!(decode(r#"{"type":"subscriptions","channels":[]}"#).events, [Event::Ignored]);
}

#[test]
fn an_error_names_the_product_that_is_none() {
    let frame =
        r#"{"type":"error","message":"Failed to subscribe","reason":"BTC-FOO is not a valid product"}"#;
    let decoded = decode(frame);
    let [Event::Refused(control)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert_eq!(control.symbol.of(frame.as_bytes()), b"BTC-FOO");
    assert_eq!(control.message.of(frame.as_bytes()), b"BTC-FOO is not a valid product");
    let frame = r#"{"type":"error","message":"Failed to subscribe"}"#;
    let decoded = decode(frame);
    let [Event::Refused(control)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert!(control.symbol.is_empty());
    assert_eq!(control.message.of(frame.as_bytes()), b"Failed to subscribe");
}

#[test]
fn row_b17_what_we_do_not_know_is_ignored() {
    for frame in [
        r#"{"type":"rfq_match","price":{"new":"shape"},"side":1}"#,
        r#"{"type":"received","changes":"none"}"#,
        r#"{"asks":[]}"#,
        r#"{"type":null}"#,
        r"{}",
    ] {
        assert_eq!(decode(frame).events, [Event::Ignored], "{frame}");
    }
    let extra = UPDATE.replacen(r#""time""#, r#""new":{"deep":[1]},"time""#, 1);
    assert_eq!(decode(&extra).levels.len(), 2);
}

#[test]
fn row_b19_a_broken_book_message_names_its_book() {
    for (from, to) in [
        (r#""660.5""#, "NaN"),
        (r#""660.5""#, r#""-660.5""#),
        (r#""sell""#, r#""sold""#),
        (r#""changes""#, r#""change""#),
        (r#""660.5"]"#, "]"),
    ] {
        let frame = UPDATE.replacen(from, to, 1);
        let error = Product::CoinbaseExchange.decode(frame.as_bytes(), &mut Decoded::default()).unwrap_err();
        assert!(error.is_book, "{frame}");
        assert_eq!(error.book_symbol.of(frame.as_bytes()), b"SKL-BTC");
    }
}

#[test]
fn the_rest_book_is_a_snapshot_with_its_number() {
    let body = r#"{"bids":[["68923.66","0.17",3]],"asks":[["68923.67","0.16",2]],"sequence":13051505638,"auction_mode":false,"auction":null,"time":"2026-08-27T10:00:00.123456Z"}"#;
    let mut out = Decoded::default();
    Product::CoinbaseExchange.decode_snapshot(body.as_bytes(), &mut out).unwrap();
    let [Event::Book(book)] = out.events.as_slice() else { panic!("{out:?}") };
    assert_eq!((book.sequence.last, book.ts_event), (Some(13_051_505_638), 1_787_824_800_123_456_000));
    assert_eq!(out.levels_of(book).len(), 2);
    let refused =
        Product::CoinbaseExchange.decode_snapshot(br#"{"message":"NotFound"}"#, &mut out).unwrap_err();
    assert_eq!(refused.kind, DecodeErrorKind::Refused);
    let refused = Product::CoinbaseExchange.decode_instruments(br#"{"message":"NotFound"}"#).unwrap_err();
    assert_eq!(refused.kind, DecodeErrorKind::Refused);
}

#[test]
fn a_whole_book_of_45_000_levels_is_read_level_by_level_as_sent() {
    let Some(body) = recording::unpacked("coinbase/rest/btcusd_l2_snapshot_20260807.json.gz") else { return };
    let mut out = Decoded::default();
    Product::CoinbaseExchange.decode_snapshot(&body, &mut out).unwrap();
    let [Event::Book(book)] = out.events.as_slice() else { panic!() };
    assert_eq!(book.sequence.last, Some(133_905_821_961));
    let raw: Value = serde_json::from_slice(&body).unwrap();
    let side = |name: &str, side| {
        let rows = raw[name].as_array().unwrap().iter();
        rows.map(move |row| LevelChange { side, px: text_number(&row[0]), qty: text_number(&row[1]) })
            .collect::<Vec<_>>()
    };
    let (bids, asks) = (side("bids", BookSide::Bid), side("asks", BookSide::Ask));
    assert_eq!((bids.len(), asks.len()), (18_376, 27_017));
    assert_eq!(out.levels, [bids, asks].concat());
}

#[test]
fn the_recorded_list_is_read_whole() {
    let Some(text) = recording::unpacked("coinbase/exchange/products_20210417.txt.gz") else { return };
    let (_, body) = recording::bodies(&text).remove(0);
    let raw: Value = serde_json::from_slice(&body).unwrap();
    let list = Product::CoinbaseExchange.decode_instruments(&body).unwrap();
    assert_eq!(list.len(), raw.as_array().unwrap().len());
    for (row, instrument) in raw.as_array().unwrap().iter().zip(&list) {
        assert_eq!(row["id"], instrument.symbol);
        assert_eq!(
            (&row["base_currency"], &row["quote_currency"]),
            (&Value::from(&*instrument.base), &Value::from(&*instrument.quote))
        );
        assert_eq!(instrument.tick_size, text_number(&row["quote_increment"]));
        assert_eq!(instrument.lot_size, text_number(&row["base_increment"]));
        assert_eq!(row["display_name"], *instrument.aliases[0]);
        let is_open = row["status"] == "online"
            && ["post_only", "cancel_only", "trading_disabled"].iter().all(|switch| row[switch] == false);
        assert_eq!(instrument.status == InstrumentStatus::Trading, is_open, "{row}");
    }
}

/// What one product of the recording sums up to.
#[derive(Default)]
struct Tally {
    book: NaiveBook,
    updates: u64,
    matches: Vec<Trade>,
}

fn oracle_levels(frame: &Value) -> Vec<LevelChange> {
    let mut levels = Vec::new();
    for (name, side) in [("asks", BookSide::Ask), ("bids", BookSide::Bid)] {
        for row in frame[name].as_array().into_iter().flatten() {
            levels.push(LevelChange { side, px: text_number(&row[0]), qty: text_number(&row[1]) });
        }
    }
    for row in frame["changes"].as_array().into_iter().flatten() {
        let side = if row[0] == "buy" { BookSide::Bid } else { BookSide::Ask };
        levels.push(LevelChange { side, px: text_number(&row[1]), qty: text_number(&row[2]) });
    }
    levels
}

/// Judges one frame and adds it up; returns its type.
fn tally(frame: &[u8], tallies: &mut BTreeMap<String, Tally>) -> String {
    let decoded = witness::decode(Product::CoinbaseExchange, frame);
    let raw: Value = serde_json::from_slice(frame).unwrap();
    let product = raw["product_id"].as_str().unwrap_or_default();
    for event in &decoded.events {
        match event {
            Event::Book(book) => {
                assert_eq!(book.symbol.of(frame), product.as_bytes());
                assert_eq!(decoded.levels_of(book), oracle_levels(&raw));
                let own = tallies.entry(product.to_owned()).or_default();
                own.updates += u64::from(!book.is_snapshot);
                own.book.apply(book.is_snapshot, decoded.levels_of(book));
                assert!(!own.book.is_crossed());
            }
            Event::Trades(event) => {
                let [trade] = decoded.trades_of(event) else { panic!("{event:?}") };
                assert_eq!(
                    (&raw["trade_id"], event.symbol.of(frame)),
                    (&trade.id.into(), product.as_bytes())
                );
                assert_eq!((trade.px, trade.qty), (text_number(&raw["price"]), text_number(&raw["size"])));
                assert_eq!(trade.side == TakerSide::Sell, raw["side"] == "buy");
                if !event.is_snapshot {
                    tallies.entry(product.to_owned()).or_default().matches.push(*trade);
                }
            }
            Event::Ticker(told) => assert_eq!(told.ticker.last_px, Some(text_number(&raw["price"]))),
            Event::Acked(_) => {}
            other => panic!("{other:?}"),
        }
    }
    raw["type"].as_str().unwrap().to_owned()
}

#[test]
fn the_recording_decodes_whole_and_its_books_and_matches_are_the_verified_ones() {
    let Some(text) = recording::unpacked("coinbase/exchange/level2_10products_20210417.txt.gz") else {
        return;
    };
    let expected = &recording::expected("coinbase")["coinbase_exchange_level2"];
    let (mut types, mut tallies, mut updates) = (BTreeMap::<String, u64>::new(), BTreeMap::new(), 0_u64);
    for frame in recording::lines(&text, b": ") {
        let kind = tally(&frame, &mut tallies);
        updates += u64::from(kind == "l2update");
        for checkpoint in expected["checkpoints"].as_array().unwrap() {
            if kind == "l2update" && checkpoint["after_l2updates"] == updates {
                assert_books(&tallies, &checkpoint["products"]);
            }
        }
        *types.entry(kind).or_default() += 1;
    }
    assert_eq!(serde_json::to_value(types).unwrap(), expected["messages"]);
    assert_books(&tallies, &expected["final"]);
    for (name, facts) in expected["per_product"].as_object().unwrap() {
        assert_eq!(facts["l2updates"], tallies[name].updates);
        assert_eq!(tallies[name].book.unknown_deletes, 0);
    }
    for (name, facts) in expected["matches"].as_object().unwrap() {
        let matches = &tallies[name].matches;
        assert_eq!(facts["count"], matches.len());
        assert_eq!(facts["first_id"], matches.first().unwrap().id);
        assert_eq!(facts["last_id"], matches.last().unwrap().id);
        assert_eq!(facts["size_sum"], witness::plain(matches.iter().map(|trade| scaled(trade.qty)).sum()));
    }
}

fn assert_books(tallies: &BTreeMap<String, Tally>, expected: &Value) {
    for (name, book) in expected.as_object().unwrap() {
        tallies[name].book.assert_equals(book, name);
    }
}
