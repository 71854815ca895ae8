//! Kraken: the documents' example frames, answers, lists and requests.

use facade_model::{BookSide, Channel, InstrumentStatus, TakerSide, Ticker, TopOfBook, Trade};
use facade_venues::{ControlOp, DecodeErrorKind, Decoded, Event, Product};

use crate::reading::{KRAKEN_FRAMES, decode, text};
use crate::witness::{change, level, number};

#[test]
fn book_snapshot_and_update_carry_levels_checksum_and_time() {
    let (bid, ask) = (BookSide::Bid, BookSide::Ask);
    for (frame, is_snapshot, checksum, levels) in [
        (
            KRAKEN_FRAMES[1],
            true,
            2_439_117_997,
            vec![
                change(bid, "0.5666", "4831.75496356"),
                change(bid, "0.5665", "6658.22734739"),
                change(ask, "0.5668", "4410.79769741"),
            ],
        ),
        (KRAKEN_FRAMES[2], false, 2_114_181_697, vec![change(bid, "0.5657", "1098.3947558")]),
    ] {
        let out = decode(Product::Kraken, frame);
        let [Event::Book(book)] = &out.events[..] else { panic!("{:?}", out.events) };
        assert_eq!(text(frame, book.symbol), "MATIC/USD");
        assert_eq!((book.is_snapshot, book.checksum), (is_snapshot, Some(checksum)));
        assert_eq!(book.ts_event, 1_696_613_755_440_295_000);
        assert_eq!(out.levels_of(book), levels);
    }
}

#[test]
fn one_price_twice_in_a_message_keeps_the_order_sent() {
    let frame = r#"{"channel":"book","type":"update","data":[{"symbol":"A/B","bids":[{"price":1.5,"qty":2},{"price":1.5,"qty":0}],"asks":[],"checksum":0}]}"#;
    let out = decode(Product::Kraken, frame);
    assert_eq!(out.levels, [change(BookSide::Bid, "1.5", "2"), change(BookSide::Bid, "1.5", "0")]);
}

#[test]
fn trades_of_one_symbol_are_one_event_with_the_takers_side() {
    let frame = KRAKEN_FRAMES[3];
    let out = decode(Product::Kraken, frame);
    let [Event::Trades(event)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert_eq!((text(frame, event.symbol), event.is_snapshot), ("BTC/USD", false));
    let ts_event = 1_779_903_356_123_456_000;
    let trade = |id, px: &str, qty: &str, side| Trade {
        id,
        px: number(px),
        qty: number(qty),
        side,
        ts_event,
        is_market: true,
    };
    assert_eq!(
        out.trades_of(event),
        [
            trade(10_218_209, "105910.5", "0.0001246", TakerSide::Sell),
            trade(10_218_210, "105910.6", "0.00000001", TakerSide::Buy),
        ]
    );
}

#[test]
fn trades_of_a_snapshot_are_history_oldest_first() {
    let row = |id: u64| format!(r#"{{"symbol":"A/B","side":"buy","price":1,"qty":1,"trade_id":{id}}}"#);
    let frame = format!(r#"{{"channel":"trade","type":"snapshot","data":[{},{}]}}"#, row(8), row(7));
    let out = decode(Product::Kraken, &frame);
    let [Event::Trades(event)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert!(event.is_snapshot);
    assert_eq!(out.trades_of(event).iter().map(|trade| trade.id).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn ticker_is_a_top_and_a_ticker() {
    let frame = KRAKEN_FRAMES[4];
    let out = decode(Product::Kraken, frame);
    let [Event::Top(top), Event::Ticker(ticker)] = &out.events[..] else { panic!("{:?}", out.events) };
    let best = TopOfBook { bid: Some(level("0.10025", "740")), ask: Some(level("0.10036", "1361.44813783")) };
    assert_eq!((top.top, top.ts_event), (best, 1_779_872_671_742_648_000));
    let expected = Ticker {
        last_px: Some(number("0.10035")),
        high_px: Some(number("0.10285")),
        low_px: Some(number("0.09979")),
        volume: Some(number("997038.98383185")),
        top: best,
        ..Ticker::default()
    };
    assert_eq!((ticker.ticker, text(frame, ticker.symbol)), (expected, "ALGO/USD"));
}

#[test]
fn status_of_the_venue_and_of_a_pair_are_told() {
    for (system, status) in [
        ("online", InstrumentStatus::Trading),
        ("post_only", InstrumentStatus::Auction),
        ("cancel_only", InstrumentStatus::Halted),
        ("maintenance", InstrumentStatus::Halted),
        ("something_new", InstrumentStatus::Unknown),
    ] {
        let frame = KRAKEN_FRAMES[0].replace("online", system);
        let out = decode(Product::Kraken, &frame);
        let [Event::InstrumentStatus(event)] = &out.events[..] else { panic!("{:?}", out.events) };
        assert_eq!((event.symbol.is_empty(), event.status), (true, status));
    }
    let frame = KRAKEN_FRAMES[6];
    let out = decode(Product::Kraken, frame);
    let [Event::InstrumentStatus(event)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert_eq!((text(frame, event.symbol), event.status), ("BTC/USD", InstrumentStatus::Trading));
    assert_eq!((event.price_precision, event.quantity_precision), (Some(1), Some(8)));
}

#[test]
fn heartbeat_and_pong_are_signs_of_life() {
    assert_eq!(decode(Product::Kraken, KRAKEN_FRAMES[7]).events, [Event::Heartbeat(None)]);
    assert_eq!(decode(Product::Kraken, KRAKEN_FRAMES[8]).events, [Event::Pong]);
    assert_eq!(Product::Kraken.ping(101).unwrap(), r#"{"method":"ping","req_id":101}"#);
}

#[test]
fn answers_name_request_channel_and_symbol() {
    for (frame, is_subscribe, id) in [(KRAKEN_FRAMES[9], true, 1), (KRAKEN_FRAMES[11], false, 2)] {
        let out = decode(Product::Kraken, frame);
        let [Event::Acked(control)] = &out.events[..] else { panic!("{:?}", out.events) };
        assert_eq!((control.request_id, control.channel), (Some(id), Some(Channel::BookL2)));
        assert_eq!((text(frame, control.symbol), control.is_subscribe), ("BTC/USD", is_subscribe));
    }
    let frame = KRAKEN_FRAMES[10];
    let out = decode(Product::Kraken, frame);
    let [Event::Refused(control)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert_eq!((control.request_id, control.channel, control.is_subscribe), (Some(1), None, true));
    assert_eq!(text(frame, control.symbol), "XBT/USD");
    assert_eq!(text(frame, control.message), "Currency pair not supported XBT/USD");
}

#[test]
fn row_b17_unknown_channels_and_methods_are_ignored() {
    let more = [
        r#"{"channel":"level3","type":"update","data":{"anything":[1]}}"#,
        r#"{"event":"heartbeat"}"#,
        r#"[336,{"as":[]},"book-10","XBT/USD"]"#,
        r#"{"method":"unheard_of","success":true}"#,
        "{}",
    ];
    for frame in [KRAKEN_FRAMES[5], KRAKEN_FRAMES[12]].iter().chain(&more) {
        assert_eq!(decode(Product::Kraken, frame).events, [Event::Ignored], "{frame}");
    }
}

#[test]
fn book_of_rest_is_a_snapshot_without_symbol() {
    let body = br#"{"error":[],"result":{"XXBTZUSD":{"asks":[["105944.30000","0.136",1762820248]],"bids":[["105944.20000","0.1",1762820248]]}}}"#;
    let mut out = Decoded::default();
    Product::Kraken.decode_snapshot(body, &mut out).unwrap();
    let [Event::Book(book)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert!(book.is_snapshot && book.symbol.is_empty());
    let levels = [change(BookSide::Ask, "105944.3", "0.136"), change(BookSide::Bid, "105944.2", "0.1")];
    assert_eq!(out.levels_of(book), levels);
    let refused = Product::Kraken.decode_snapshot(br#"{"error":["EQuery:Unknown asset pair"]}"#, &mut out);
    assert_eq!(refused.unwrap_err().kind, DecodeErrorKind::Refused);
}

#[test]
fn asset_pairs_carry_todays_names_and_every_old_one_as_alias() {
    let body = r#"{"error":[],"result":{
        "XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT\/USD","aclass_base":"currency","base":"XXBT","quote":"ZUSD","pair_decimals":1,"lot_decimals":8,"fees":[[0,0.4]],"ordermin":"0.00005","tick_size":"0.1","status":"online"},
        "XDGUSD":{"altname":"XDGUSD","wsname":"XDG/USD","pair_decimals":7,"lot_decimals":8,"tick_size":"0.0000001","status":"cancel_only"},
        "XTZUSD":{"altname":"XTZUSD","wsname":"XTZ/USD","pair_decimals":4,"lot_decimals":8},
        "XBTUSD.d":{"altname":"XBTUSD.d","pair_decimals":1,"lot_decimals":8}}}"#;
    let listed = Product::Kraken.decode_instruments(body.as_bytes()).unwrap();
    let [bitcoin, doge, tezos] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((bitcoin.symbol.as_str(), bitcoin.venue_symbol.as_str()), ("BTC-USD", "BTC/USD"));
    assert_eq!(bitcoin.aliases, ["XBTUSD", "XBT/USD", "XXBTZUSD"]);
    assert_eq!((bitcoin.price_precision, bitcoin.quantity_precision), (1, 8));
    assert_eq!((bitcoin.tick_size, bitcoin.lot_size), (number("0.1"), number("0.00000001")));
    assert_eq!((doge.symbol.as_str(), doge.status), ("DOGE-USD", InstrumentStatus::Halted));
    assert_eq!(doge.aliases, ["XDGUSD", "XDG/USD"]);
    assert_eq!((tezos.symbol.as_str(), tezos.tick_size), ("XTZ-USD", number("0.0001")));
}

#[test]
fn instrument_channel_is_a_list_too() {
    let listed = Product::Kraken.decode_instruments(KRAKEN_FRAMES[6].as_bytes()).unwrap();
    let [bitcoin] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((bitcoin.symbol.as_str(), bitcoin.venue_symbol.as_str()), ("BTC-USD", "BTC/USD"));
    assert_eq!((bitcoin.tick_size, bitcoin.lot_size), (number("0.1"), number("1e-08")));
    assert_eq!((bitcoin.price_precision, bitcoin.quantity_precision), (1, 8));
}

#[test]
fn control_has_one_message_a_channel_and_best_prices_come_from_the_ticker() {
    let items = [
        ("BTC/USD", Channel::BookL2),
        ("ETH/USD", Channel::BookL2),
        ("BTC/USD", Channel::Trades),
        ("BTC/USD", Channel::TopOfBook),
        ("BTC/USD", Channel::Ticker),
    ];
    let mut out = Vec::new();
    Product::Kraken.control(ControlOp::Subscribe, 1, &items, 11, &mut out);
    assert_eq!(
        out,
        [
            r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"],"snapshot":false},"req_id":1}"#,
            r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD"],"event_trigger":"bbo","snapshot":true},"req_id":1}"#,
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD","ETH/USD"],"depth":25,"snapshot":true},"req_id":1}"#,
        ]
    );
    out.clear();
    Product::Kraken.control(ControlOp::Unsubscribe, 2, &items[..1], 10, &mut out);
    assert_eq!(
        out,
        [
            r#"{"method":"unsubscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10},"req_id":2}"#
        ]
    );
    assert_eq!(Product::Kraken.stream_of(Channel::TopOfBook), Product::Kraken.stream_of(Channel::Ticker));
    assert_eq!(Product::Kraken.stream_of(Channel::Klines), None);
}

#[test]
fn rest_is_asked_by_the_old_names() {
    let path = |symbol, levels| Product::Kraken.snapshot_path(symbol, levels).unwrap();
    assert_eq!(path("BTC/USD", 100), "/0/public/Depth?pair=XBTUSD&count=100");
    assert_eq!(path("DOGE/EUR", 9_999), "/0/public/Depth?pair=XDGEUR&count=500");
}

#[test]
fn opening_asks_for_the_state_of_all_pairs() {
    let [text] = Product::Kraken.opening() else { panic!("one message") };
    let message: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(message["params"]["channel"], "instrument");
    assert!(message["req_id"].is_null());
}
