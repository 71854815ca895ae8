//! Frames and bodies of the venue's documents.

use facade_model::{
    BookSide, Channel, InstrumentKind, InstrumentStatus, Level, LevelChange, TakerSide, Ticker, TopOfBook,
    Trade,
};
use facade_venues::{Control, DecodeErrorKind, Decoded, Event, Product, Sequence};

use super::decode;
use crate::witness::number;

fn only(frame: &str) -> Event {
    let decoded = decode(frame);
    assert_eq!(decoded.events.len(), 1, "{:?}", decoded.events);
    decoded.events[0].clone()
}

fn refused(frame: &str) -> facade_venues::DecodeError {
    Product::Okx.decode(frame.as_bytes(), &mut Decoded::default()).unwrap_err()
}

fn book_frame(previous: &str, sequence: &str) -> String {
    format!(
        r#"{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"update","data":[{{"asks":[],"bids":[],"ts":"1784620800185","checksum":0{previous}{sequence}}}]}}"#
    )
}

fn sequence_of(frame: &str) -> Sequence {
    match only(frame) {
        Event::Book(book) => book.sequence,
        other => panic!("{other:?}"),
    }
}

const SNAPSHOT: &str = r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[["8476.98","0.415","0","13"],["8477","0.7","0","2"]],"bids":[["8476.97","0.256","0","12"]],"ts":"1784620800085","checksum":0,"prevSeqId":-1,"seqId":123456}]}"#;
const UPDATE: &str = r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["8477","0","0","0"]],"bids":[["8476.97","0.300","0","13"]],"ts":"1784620800185","checksum":-855196043,"prevSeqId":123456,"seqId":123460}]}"#;

#[test]
fn a_snapshot_tells_levels_time_and_number_and_no_previous_one() {
    let decoded = decode(SNAPSHOT);
    let [Event::Book(book)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert!(book.is_snapshot);
    assert_eq!(book.symbol.of(SNAPSHOT.as_bytes()), b"BTC-USDT");
    assert_eq!(book.ts_event, 1_784_620_800_085_000_000);
    assert_eq!(book.sequence, Sequence { first: None, last: Some(123_456), previous: None });
    let level = |side, px, qty| LevelChange { side, px: number(px), qty: number(qty) };
    assert_eq!(
        decoded.levels_of(book),
        [
            level(BookSide::Ask, "8476.98", "0.415"),
            level(BookSide::Ask, "8477", "0.7"),
            level(BookSide::Bid, "8476.97", "0.256"),
        ]
    );
}

#[test]
fn row_b05_a_checksum_of_zero_is_none_and_any_other_is_kept_as_its_bits() {
    let checksum = |frame| match only(frame) {
        Event::Book(book) => book.checksum,
        other => panic!("{other:?}"),
    };
    assert_eq!(checksum(SNAPSHOT), None);
    assert_eq!(checksum(UPDATE).map(u32::cast_signed), Some(-855_196_043));
}

#[test]
fn row_b03_and_b04_numbers_of_resets_and_keep_alives_are_told_as_sent() {
    let told =
        |previous: u64, last: u64| Sequence { first: None, last: Some(last), previous: Some(previous) };
    for (previous, last) in [(10, 15), (15, 15), (15, 3), (3, 5)] {
        let frame = book_frame(&format!(r#","prevSeqId":{previous}"#), &format!(r#","seqId":{last}"#));
        assert_eq!(sequence_of(&frame), told(previous, last));
    }
}

#[test]
fn old_frames_without_numbers_are_books_all_the_same() {
    assert_eq!(sequence_of(&book_frame("", "")), Sequence::default());
}

#[test]
fn the_action_counts_wherever_it_stands() {
    let frame = r#"{"data":[{"seqId":2,"prevSeqId":1,"bids":[["1","2","0","1"]],"asks":[]}],"action":"snapshot","arg":{"instId":"A-B","channel":"books-l2-tbt"}}"#;
    let decoded = decode(frame);
    let [Event::Book(book)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert!(book.is_snapshot);
    assert_eq!(book.symbol.of(frame.as_bytes()), b"A-B");
    assert_eq!(decoded.levels.len(), 1);
}

#[test]
fn row_b19_a_broken_book_message_names_its_book() {
    for (from, to) in [
        (r#""0.300""#, r#""0.3x0""#),
        (r#""8476.97""#, r#""-8476.97""#),
        (r#""channel":"books""#, r#""channel" "books""#),
        (r#""asks""#, r#""asky""#),
        (r#""bids""#, r#""bidy""#),
        (r#""action":"update""#, r#""action":"patch""#),
        (r#""action":"update","#, ""),
        (r"}]}", r"}]"),
    ] {
        let frame = UPDATE.replacen(from, to, 1);
        let error = refused(&frame);
        assert!(error.is_book, "{frame}");
        assert_eq!(error.book_symbol.of(frame.as_bytes()), b"BTC-USDT", "{frame}");
    }
}

#[test]
fn a_broken_message_of_another_kind_is_no_book() {
    let error = refused(r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"px":"1"}]}"#);
    assert!(!error.is_book);
    assert_eq!(error.kind, DecodeErrorKind::Missing("tradeId"));
    assert!(!refused(r#"{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}"#).is_book);
}

#[test]
fn trades_come_oldest_first_with_the_takers_side() {
    let frame = r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"734864334","px":"102538","sz":"1e-8","side":"buy","ts":"1747087163558","count":"1","source":"0","seqId":1234567},{"instId":"BTC-USDT","tradeId":"734864333","px":"102537.9","sz":"0.00013669","side":"sell","ts":"1747087163557","count":"3","source":"0","seqId":1234567}]}"#;
    let decoded = decode(frame);
    let [Event::Trades(trades)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert!(!trades.is_snapshot);
    assert_eq!(trades.symbol.of(frame.as_bytes()), b"BTC-USDT");
    let trade = |id, px, qty, side, ms: i64| Trade {
        id,
        px: number(px),
        qty: number(qty),
        side,
        ts_event: ms * 1_000_000,
        is_market: true,
    };
    assert_eq!(
        decoded.trades_of(trades),
        [
            trade(734_864_333, "102537.9", "0.00013669", TakerSide::Sell, 1_747_087_163_557),
            trade(734_864_334, "102538", "0.00000001", TakerSide::Buy, 1_747_087_163_558),
        ]
    );
}

#[test]
fn best_prices_come_from_bbo_tbt_and_an_empty_side_is_absent() {
    let frame = r#"{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["111.06","55154","0","2"]],"bids":[],"ts":"1670324386802","seqId":363996337}]}"#;
    let decoded = decode(frame);
    let [Event::Top(top)] = decoded.events.as_slice() else { panic!("{decoded:?}") };
    assert_eq!(top.sequence, Some(363_996_337));
    assert_eq!(top.ts_event, 1_670_324_386_802_000_000);
    assert_eq!(
        top.top,
        TopOfBook { bid: None, ask: Some(Level { px: number("111.06"), qty: number("55154") }) }
    );
    assert!(decoded.levels.is_empty());
}

#[test]
fn statistics_leave_out_what_the_venue_leaves_empty() {
    let frame = r#"{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT","last":"102537.9","lastSz":"0.1","askPx":"","askSz":"","bidPx":"102537.9","bidSz":"1.2","open24h":"101000","high24h":"","low24h":"100500","sodUtc0":"101500","sodUtc8":"101200","volCcy24h":"612345678.9","vol24h":"6012.3","ts":"1747087163557"}]}"#;
    let Event::Ticker(told) = only(frame) else { panic!() };
    let expected = Ticker {
        last_px: Some(number("102537.9")),
        last_qty: Some(number("0.1")),
        open_px: Some(number("101000")),
        high_px: None,
        low_px: Some(number("100500")),
        volume: Some(number("6012.3")),
        quote_volume: Some(number("612345678.9")),
        top: TopOfBook { bid: Some(Level { px: number("102537.9"), qty: number("1.2") }), ask: None },
    };
    assert_eq!(told.ticker, expected);
    assert_eq!(told.ts_event, 1_747_087_163_557_000_000);
    let Event::Ticker(swap) = only(&frame.replace("SPOT", "SWAP")) else { panic!() };
    assert_eq!(swap.ticker.quote_volume, None);
}

#[test]
fn each_arg_is_acknowledged_with_or_without_the_id() {
    let frame = r#"{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#;
    let Event::Acked(Control { request_id, channel, symbol, is_subscribe, .. }) = only(frame) else {
        panic!()
    };
    assert_eq!((request_id, channel, is_subscribe), (Some(1512), Some(Channel::BookL2), true));
    assert_eq!(symbol.of(frame.as_bytes()), b"BTC-USDT");
    for (name, expected) in
        [("trades", Channel::Trades), ("bbo-tbt", Channel::TopOfBook), ("tickers", Channel::Ticker)]
    {
        let frame = format!(r#"{{"event":"unsubscribe","arg":{{"channel":"{name}","instId":"BTC-USDT"}}}}"#);
        let Event::Acked(control) = only(&frame) else { panic!() };
        assert_eq!(
            (control.request_id, control.channel, control.is_subscribe),
            (None, Some(expected), false)
        );
    }
}

#[test]
fn a_refused_arg_is_named_whether_the_venue_repeats_it_or_only_writes_about_it() {
    let text = r#"{"id":"1512","event":"error","code":"60018","msg":"Wrong URL or channel:books,instId:FOO-BAR doesn't exist. Please use the correct URL, channel and parameters referring to API document.","connId":"a4d3ae55"}"#;
    let Event::Refused(control) = only(text) else { panic!() };
    assert_eq!((control.request_id, control.channel), (Some(1512), Some(Channel::BookL2)));
    assert_eq!(control.symbol.of(text.as_bytes()), b"FOO-BAR");
    assert!(control.message.of(text.as_bytes()).starts_with(b"Wrong URL"));

    let arg = r#"{"event":"error","code":"60018","msg":"no","arg":{"channel":"trades","instId":"FOO-BAR"}}"#;
    let Event::Refused(control) = only(arg) else { panic!() };
    assert_eq!((control.request_id, control.channel), (None, Some(Channel::Trades)));
    assert_eq!(control.symbol.of(arg.as_bytes()), b"FOO-BAR");
}

#[test]
fn a_refusal_that_names_nothing_concerns_the_whole_request() {
    let frame =
        r#"{"id":"9","event":"error","code":"60012","msg":"Invalid request: {\"op\": \"x\"}","connId":"a"}"#;
    let Event::Refused(control) = only(frame) else { panic!() };
    assert_eq!((control.request_id, control.channel, control.symbol.is_empty()), (Some(9), None, true));
}

#[test]
fn the_upgrade_notice_is_told_and_other_notices_are_not() {
    let frame = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#;
    assert_eq!(only(frame), Event::Notice);
    assert_eq!(only(&frame.replace("64008", "64999")), Event::Ignored);
}

#[test]
fn the_plain_text_pong_is_no_json() {
    assert_eq!(only("pong"), Event::Pong);
    refused("pongo");
    refused("ping");
}

#[test]
fn row_b17_what_we_do_not_know_is_ignored() {
    for frame in [
        r#"{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1747094040000","1","2","1","2","10","1","1","0"]]}"#,
        r#"{"arg":{"channel":"books5","instId":"BTC-USDT"},"data":[{"asks":[["1","2","0","1"]],"bids":[],"instId":"BTC-USDT","ts":"1","seqId":3}]}"#,
        r#"{"arg":{"channel":"books-rpi","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["1","2","0","1"]],"bids":[]}]}"#,
        r#"{"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{"fundingRate":"0.0001"}]}"#,
        r#"{"event":"channel-conn-count","channel":"books","connCount":"1","connId":"abcd1234"}"#,
        r#"{"event":"subscribe","arg":{"channel":"candle1m","instId":"BTC-USDT"}}"#,
        r#"{"id":7,"event":"brand-new","code":1,"msg":null}"#,
        r#"{"something":{"new":[1,2,{"a":null}]}}"#,
        r#"{"data":[{"asks":[]}]}"#,
        r"{}",
    ] {
        assert_eq!(only(frame), Event::Ignored, "{frame}");
    }
    let extra = UPDATE.replacen(r#""ts""#, r#""new":{"deep":[1]},"ts""#, 1);
    assert!(matches!(only(&extra), Event::Book(_)));
    let side = r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[{"tradeId":"1","px":"1","sz":"1","side":"cross","ts":"1"}]}"#;
    assert_eq!(decode(side).trades[0].side, TakerSide::Unknown);
}

#[test]
fn a_change_of_state_is_told() {
    let frame = r#"{"arg":{"channel":"instruments","instType":"SPOT"},"data":[{"instId":"NEW-USDT","state":"preopen"},{"instId":"OLD-USDT","state":"suspend"}]}"#;
    let decoded = decode(frame);
    let told: Vec<_> = decoded
        .events
        .iter()
        .map(|event| match event {
            Event::InstrumentStatus(told) => (told.symbol.of(frame.as_bytes()), told.status),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: [(&[u8], _); 2] =
        [(b"NEW-USDT", InstrumentStatus::Auction), (b"OLD-USDT", InstrumentStatus::Halted)];
    assert_eq!(told, expected);
}

#[test]
fn the_rest_book_is_a_snapshot_with_its_number() {
    let body = r#"{"code":"0","msg":"","data":[{"asks":[["41006.8","0.60038921","0","1"]],"bids":[["41006.7","0.30178218","0","2"]],"ts":"1784620800000","seqId":3235851742}]}"#;
    let mut out = Decoded::default();
    Product::Okx.decode_snapshot(body.as_bytes(), &mut out).unwrap();
    let [Event::Book(book)] = out.events.as_slice() else { panic!("{out:?}") };
    assert!(book.is_snapshot && book.symbol.is_empty());
    assert_eq!(book.sequence.last, Some(3_235_851_742));
    assert_eq!(out.levels.len(), 2);
}

#[test]
fn an_error_with_http_200_is_refused() {
    let body = br#"{"code":"51001","msg":"Instrument ID doesn't exist.","data":[]}"#;
    let mut out = Decoded::default();
    assert_eq!(Product::Okx.decode_snapshot(body, &mut out).unwrap_err().kind, DecodeErrorKind::Refused);
    assert_eq!(Product::Okx.decode_instruments(body).unwrap_err().kind, DecodeErrorKind::Refused);
    let empty = br#"{"code":"0","msg":"","data":[]}"#;
    assert_eq!(
        Product::Okx.decode_snapshot(empty, &mut out).unwrap_err().kind,
        DecodeErrorKind::Missing("book")
    );
}

#[test]
fn instruments_of_the_documents_keep_their_names_and_steps() {
    let body = r#"{"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USDT","baseCcy":"BTC","quoteCcy":"USDT","tickSz":"0.1","lotSz":"0.00000001","minSz":"0.00001","state":"preopen","ctVal":"","ctMult":"","uly":"","upcChg":[]},{"instType":"FUTURES","instId":"BTC-USD-220527","baseCcy":"","quoteCcy":"","tickSz":"0.1","lotSz":"1","state":"odd","ctVal":"100","ctMult":"0.1","ctValCcy":"USD","uly":"BTC-USD"},{"instType":"SPOT","instId":"BAD","tickSz":"1e99","state":"live"}]}"#;
    let list = Product::Okx.decode_instruments(body.as_bytes()).unwrap();
    assert_eq!(list.len(), 2, "the row that cannot be represented is left out");
    assert_eq!(
        (list[0].symbol.as_str(), list[0].base.as_str(), list[0].quote.as_str()),
        ("BTC-USDT", "BTC", "USDT")
    );
    assert_eq!((list[0].tick_size, list[0].lot_size), (number("0.1"), number("0.00000001")));
    assert_eq!((list[0].price_precision, list[0].quantity_precision), (1, 8));
    assert_eq!((list[0].kind, list[0].status), (InstrumentKind::Spot, InstrumentStatus::Auction));
    assert_eq!(list[0].contract_size, None);
    assert_eq!((list[1].base.as_str(), list[1].quote.as_str()), ("BTC", "USD"));
    assert_eq!((list[1].kind, list[1].status), (InstrumentKind::Future, InstrumentStatus::Unknown));
    assert_eq!(list[1].contract_size, Some(number("10")), "value times multiplier");
}
