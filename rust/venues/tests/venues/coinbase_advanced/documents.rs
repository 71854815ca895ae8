//! Frames and bodies of the venue's documents.

use facade_model::{BookSide, Channel, InstrumentStatus, Level, TakerSide, TopOfBook, Trade};
use facade_venues::{DecodeErrorKind, Decoded, Event, Product};

use super::{decode, numbered};
use crate::witness::{acknowledged, change, number};

const SNAPSHOT: &str = r#"{"channel":"l2_data","timestamp":"2026-04-07T14:30:00.123456Z","sequence_num":0,"events":[{"type":"snapshot","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"1970-01-01T00:00:00Z","price_level":"68900","new_quantity":"1.5"},{"side":"offer","event_time":"1970-01-01T00:00:00Z","price_level":"68901","new_quantity":"0.5"}]}]}"#;
const UPDATE: &str = r#"{"channel":"l2_data","timestamp":"2026-04-07T14:30:01.456789Z","sequence_num":1,"events":[{"type":"update","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"2026-04-07T14:30:01.450000Z","price_level":"68900","new_quantity":"2"},{"side":"offer","event_time":"2026-04-07T14:30:01.440000Z","price_level":"68901","new_quantity":"0.00000000"}]}]}"#;
const TRADES: &str = r#"{"channel":"market_trades","timestamp":"2026-04-07T14:30:02.789012Z","sequence_num":5,"events":[{"type":"update","trades":[{"trade_id":"995098701","product_id":"BTC-USD","price":"68900","size":"0.05","side":"SELL","time":"2026-04-07T14:30:02.600000Z"},{"trade_id":"995098700","product_id":"BTC-USD","price":"68900.5","size":"0.0015","side":"BUY","time":"2026-04-07T14:30:02.580000Z"}]}]}"#;
const TICKER: &str = r#"{"channel":"ticker","timestamp":"2026-04-07T14:30:03Z","sequence_num":12,"events":[{"type":"snapshot","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"68900.5","volume_24_h":"15328.12345678","low_24_h":"67500","high_24_h":"69200","low_52_w":"25000","high_52_w":"73800","price_percent_chg_24_h":"1.85","best_bid":"68900","best_bid_quantity":"1.5","best_ask":"68901","best_ask_quantity":"0.5"}]}]}"#;

#[test]
fn a_snapshot_without_times_takes_that_of_its_envelope() {
    let decoded = decode(SNAPSHOT);
    let [Event::Book(book)] = numbered(&decoded, 0) else { panic!("{decoded:?}") };
    assert!(book.is_snapshot);
    assert_eq!(book.symbol.of(SNAPSHOT.as_bytes()), b"BTC-USD");
    assert_eq!(book.ts_event, 1_775_572_200_123_456_000);
    let expected = [change(BookSide::Bid, "68900", "1.5"), change(BookSide::Ask, "68901", "0.5")];
    assert_eq!(decoded.levels_of(book), expected);
    let year_one = decode(&SNAPSHOT.replace("1970-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"));
    assert!(
        matches!(numbered(&year_one, 0), [Event::Book(book)] if book.ts_event == 1_775_572_200_123_456_000)
    );
}

#[test]
fn an_update_takes_the_time_of_its_newest_level() {
    let decoded = decode(UPDATE);
    let [Event::Book(book)] = numbered(&decoded, 1) else { panic!("{decoded:?}") };
    assert!(!book.is_snapshot);
    assert_eq!(book.ts_event, 1_775_572_201_450_000_000);
    let expected = [change(BookSide::Bid, "68900", "2"), change(BookSide::Ask, "68901", "0")];
    assert_eq!(decoded.levels_of(book), expected);
}

#[test]
fn one_frame_may_hold_several_events_and_products() {
    let eth = r#",{"type":"snapshot","product_id":"ETH-USD","updates":[{"side":"bid","event_time":"2026-04-07T14:30:01Z","price_level":"1","new_quantity":"2"}]}]}"#;
    let frame = format!("{}{eth}", UPDATE.strip_suffix("]}").unwrap());
    let decoded = decode(&frame);
    let [Event::Book(btc), Event::Book(eth)] = numbered(&decoded, 1) else { panic!("{decoded:?}") };
    assert_eq!((btc.symbol.of(frame.as_bytes()), btc.is_snapshot), (&b"BTC-USD"[..], false));
    assert_eq!((eth.symbol.of(frame.as_bytes()), eth.is_snapshot), (&b"ETH-USD"[..], true));
    assert_eq!(decoded.levels_of(btc).len(), 2);
    assert_eq!(decoded.levels_of(eth), [change(BookSide::Bid, "1", "2")]);
}

#[test]
fn members_may_come_in_any_order() {
    let frame = r#"{"events":[{"updates":[{"new_quantity":"2","price_level":"1","side":"offer"}],"product_id":"A-B","type":"update"}],"client_id":"","sequence_num":7,"timestamp":"2026-04-07T14:30:01Z","channel":"l2_data"}"#;
    let decoded = decode(frame);
    let [Event::Book(book)] = numbered(&decoded, 7) else { panic!("{decoded:?}") };
    assert_eq!(book.ts_event, 1_775_572_201_000_000_000);
    assert_eq!(decoded.levels_of(book), [change(BookSide::Ask, "1", "2")]);
}

#[test]
fn trades_come_oldest_first_and_the_makers_side_is_turned_into_the_takers() {
    let decoded = decode(TRADES);
    let [Event::Trades(trades)] = numbered(&decoded, 5) else { panic!("{decoded:?}") };
    assert!(!trades.is_snapshot);
    let trade = |id, px, qty, side, ts_event| Trade {
        id,
        px: number(px),
        qty: number(qty),
        side,
        ts_event,
        is_market: true,
    };
    assert_eq!(
        decoded.trades_of(trades),
        [
            trade(995_098_700, "68900.5", "0.0015", TakerSide::Sell, 1_775_572_202_580_000_000),
            trade(995_098_701, "68900", "0.05", TakerSide::Buy, 1_775_572_202_600_000_000),
        ]
    );
    let snapshot = decode(&TRADES.replace("update", "snapshot"));
    assert!(matches!(numbered(&snapshot, 5), [Event::Trades(trades)] if trades.is_snapshot));
}

#[test]
fn a_batch_of_mixed_products_becomes_one_event_for_each() {
    let row = |id: u64, product: &str| {
        format!(
            r#"{{"product_id":"{product}","trade_id":"{id}","price":"1","size":"1","time":"2026-04-07T14:30:02Z","side":"BUY"}}"#
        )
    };
    let rows =
        [row(9, "B-USD"), row(8, "A-USD"), row(5, "B-USD"), row(7, "B-USD"), row(3, "A-USD")].join(",");
    let frame = format!(
        r#"{{"channel":"market_trades","timestamp":"2026-04-07T14:30:02Z","sequence_num":5,"events":[{{"type":"update","trades":[{rows}]}}]}}"#
    );
    let decoded = decode(&frame);
    let told: Vec<_> = numbered(&decoded, 5)
        .iter()
        .map(|event| match event {
            Event::Trades(event) => {
                let ids = decoded.trades_of(event).iter().map(|trade| trade.id).collect::<Vec<_>>();
                (event.symbol.of(frame.as_bytes()), ids)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(&b"A-USD"[..], vec![3, 8]), (&b"B-USD"[..], vec![5, 7, 9])]);
}

#[test]
fn a_ticker_tells_best_prices_and_statistics() {
    let decoded = decode(TICKER);
    let [Event::Top(top), Event::Ticker(told)] = numbered(&decoded, 12) else { panic!("{decoded:?}") };
    let level = |px, qty| Some(Level { px: number(px), qty: number(qty) });
    let best = TopOfBook { bid: level("68900", "1.5"), ask: level("68901", "0.5") };
    assert_eq!((top.top, top.ts_event, top.sequence), (best, 1_775_572_203_000_000_000, None));
    assert_eq!((told.ticker.top, told.ts_event), (best, 1_775_572_203_000_000_000));
    assert_eq!(told.ticker.last_px, Some(number("68900.5")));
    assert_eq!(told.ticker.high_px, Some(number("69200")));
    assert_eq!(told.ticker.low_px, Some(number("67500")));
    assert_eq!(told.ticker.volume, Some(number("15328.12345678")));
    assert_eq!((told.ticker.open_px, told.ticker.last_qty, told.ticker.quote_volume), (None, None, None));
}

#[test]
fn empty_members_of_a_ticker_are_absent() {
    let empty = TICKER.replace(
        r#""best_bid":"68900","best_bid_quantity":"1.5""#,
        r#""best_bid":"","best_bid_quantity":"""#,
    );
    let decoded = decode(&empty);
    let [Event::Top(top), Event::Ticker(_)] = numbered(&decoded, 12) else { panic!("{decoded:?}") };
    assert_eq!((top.top.bid, top.top.ask.is_some()), (None, true));
}

#[test]
fn a_batch_of_tickers_without_best_prices_tells_no_top() {
    let frame = r#"{"channel":"ticker_batch","timestamp":"2026-04-07T14:30:03Z","sequence_num":2,"events":[{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"68900.5","volume_24_h":""},{"type":"ticker","product_id":"ETH-USD","price":"2000"}]}]}"#;
    let decoded = decode(frame);
    let [Event::Ticker(btc), Event::Ticker(eth)] = numbered(&decoded, 2) else { panic!("{decoded:?}") };
    assert_eq!((btc.ticker.last_px, btc.ticker.volume), (Some(number("68900.5")), None));
    assert_eq!(eth.symbol.of(frame.as_bytes()), b"ETH-USD");
}

#[test]
fn row_b10_a_heartbeat_tells_its_counter_and_the_number_of_the_frame() {
    let frame = r#"{"channel":"heartbeats","timestamp":"2026-08-27T10:00:10.000000000Z","sequence_num":7,"events":[{"current_time":"2026-08-27 10:00:10.000000000 +0000 UTC m=+912345.678901234","heartbeat_counter":3049}]}"#;
    assert_eq!(numbered(&decode(frame), 7), [Event::Heartbeat(Some(3049))]);
    let quoted = frame.replace("3049", r#""3049""#);
    assert_eq!(numbered(&decode(&quoted), 7), [Event::Heartbeat(Some(3049))]);
}

#[test]
fn subscriptions_acknowledge_each_channel_and_product() {
    let frame = r#"{"channel":"subscriptions","timestamp":"2026-08-27T10:00:00.123456789Z","sequence_num":0,"events":[{"subscriptions":{"level2":["BTC-USD","ETH-USD"],"heartbeats":["heartbeats"],"ticker":["BTC-USD"],"market_trades":["BTC-USD"],"candles":["BTC-USD"]}}]}"#;
    let decoded = decode(frame);
    let told = acknowledged(numbered(&decoded, 0), frame);
    let expected: [(_, &[u8]); 4] = [
        (Channel::BookL2, b"BTC-USD"),
        (Channel::BookL2, b"ETH-USD"),
        (Channel::Ticker, b"BTC-USD"),
        (Channel::Trades, b"BTC-USD"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn an_empty_set_of_subscriptions_is_still_a_numbered_frame() {
    let frame = r#"{"channel":"subscriptions","timestamp":"2026-08-27T10:00:00Z","sequence_num":9,"events":[{"subscriptions":{}}]}"#;
    assert_eq!(numbered(&decode(frame), 9), [Event::Ignored]);
}

#[test]
fn an_error_frame_is_a_refusal_without_a_number() {
    let frame = r#"{"type":"error","message":"failure to subscribe","reason":"channel does not exist"}"#;
    let decoded = decode(frame);
    let [Event::Refused(control)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert_eq!(control.message.of(frame.as_bytes()), b"channel does not exist");
    let frame = r#"{"type":"error","message":"rate limit exceeded"}"#;
    let decoded = decode(frame);
    let [Event::Refused(control)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert_eq!(control.message.of(frame.as_bytes()), b"rate limit exceeded");
}

#[test]
fn row_b17_what_we_do_not_know_is_numbered_and_ignored() {
    let candles = r#"{"channel":"candles","timestamp":"2026-04-07T14:30:05Z","sequence_num":3,"events":[{"type":"update","candles":[{"start":"1775521800","high":"68950","low":"68850","open":"68900","close":"68920.5","volume":"42.15","product_id":"BTC-USD"}]}]}"#;
    assert_eq!(numbered(&decode(candles), 3), [Event::Ignored]);
    let new = r#"{"channel":"brand_new","timestamp":"2026-04-07T14:30:05Z","sequence_num":4,"extra":{"a":[1]},"events":{"other":"shape"}}"#;
    assert_eq!(numbered(&decode(new), 4), [Event::Ignored]);
    assert_eq!(decode("{}").events, [Event::Ignored]);
    assert_eq!(decode(r#"{"type":5,"message":null,"reason":[]}"#).events, [Event::Ignored]);
    assert_eq!(decode(r#"{"type":"welcome"}"#).events, [Event::Ignored]);
}

#[test]
fn a_status_names_each_product() {
    let frame = r#"{"channel":"status","timestamp":"2026-04-07T14:30:05Z","sequence_num":3,"events":[{"type":"snapshot","products":[{"product_type":"SPOT","id":"BTC-USD","base_currency":"BTC","status":"online","status_message":""},{"product_type":"SPOT","id":"OLD-USD","status":"delisted"},{"product_type":"SPOT","id":"ODD-USD","status":"sleepy"}]}]}"#;
    let decoded = decode(frame);
    let told: Vec<_> = numbered(&decoded, 3)
        .iter()
        .map(|event| match event {
            Event::InstrumentStatus(told) => (told.symbol.of(frame.as_bytes()), told.status),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: [(&[u8], _); 3] = [
        (b"BTC-USD", InstrumentStatus::Trading),
        (b"OLD-USD", InstrumentStatus::Delisted),
        (b"ODD-USD", InstrumentStatus::Unknown),
    ];
    assert_eq!(told, expected);
}

#[test]
fn row_b19_a_broken_book_message_names_its_book_and_leaves_nothing() {
    for (from, to) in [
        (r#""2""#, r#""2x""#),
        (r#""2""#, r#""-2""#),
        (r#""side":"bid""#, r#""side":"middle""#),
        (r#""side":"bid","#, ""),
        (r#""type":"update""#, r#""type":"patch""#),
        (r#""sequence_num":1,"#, ""),
        (r#""price_level":"68900","#, r#""price_level":"68900","price_level":"68900","#),
        (r#""updates""#, r#""changes""#),
    ] {
        let frame = UPDATE.replacen(from, to, 1);
        let mut out = Decoded::default();
        let error = Product::CoinbaseAdvanced.decode(frame.as_bytes(), &mut out).unwrap_err();
        assert!(error.is_book, "{frame}");
        assert_eq!(error.book_symbol.of(frame.as_bytes()), b"BTC-USD");
        assert_eq!(out, Decoded::default());
    }
    let trades = TRADES.replacen("SELL", "SELL\u{1}", 1);
    assert!(
        !Product::CoinbaseAdvanced.decode(trades.as_bytes(), &mut Decoded::default()).unwrap_err().is_book
    );
}

#[test]
fn the_rest_book_names_its_product_and_time() {
    let body = r#"{"pricebook":{"product_id":"BTC-USD","bids":[{"price":"68923.66","size":"0.17189468"}],"asks":[{"price":"68923.67","size":"0.16987193"}],"time":"2026-04-07T00:28:59.662782Z"},"last":"68923.665","mid_market":"68923.665","spread_bps":"0.001450880372","spread_absolute":"0.01"}"#;
    let mut out = Decoded::default();
    Product::CoinbaseAdvanced.decode_snapshot(body.as_bytes(), &mut out).unwrap();
    let [Event::Book(book)] = out.events.as_slice() else { panic!("{out:?}") };
    assert_eq!((book.symbol.of(body.as_bytes()), book.is_snapshot), (&b"BTC-USD"[..], true));
    assert_eq!(book.ts_event, 1_775_521_739_662_782_000);
    let expected =
        [change(BookSide::Bid, "68923.66", "0.17189468"), change(BookSide::Ask, "68923.67", "0.16987193")];
    assert_eq!(out.levels_of(book), expected);
}

#[test]
fn a_rest_error_is_refused() {
    let body = br#"{"error":"NOT_FOUND","error_details":"valid product_id is required","message":"valid product_id is required"}"#;
    let product = Product::CoinbaseAdvanced;
    assert_eq!(
        product.decode_snapshot(body, &mut Decoded::default()).unwrap_err().kind,
        DecodeErrorKind::Refused
    );
    assert_eq!(product.decode_instruments(body).unwrap_err().kind, DecodeErrorKind::Refused);
}
