//! Golden bytes: those of `tests/unit/contract`, written by the protobuf library of Python.

use facade_model::{
    BookSide, Channel, GapCause, GapScope, GapState, Integrity, StateReason, StreamPhase, TakerSide,
    TopOfBook, Trade, UpdateFlags,
};
use facade_wire::{
    Checkpoint, ConsolidatedQuote, ConsolidatedTop, DeliveryCause, DeliveryChange, DeliveryMode, Draining,
    Exponents, Gap, Header, Heartbeat, Position, StreamState, SubscriptionPhase, SubscriptionStatus,
    VenueLeftOut,
};

use crate::given::{
    CONTROL, EPOCH, EVENT, HEADER, PUBLISH, RECV, WHOLE, change, kline_of, level, number, ohlc, trade_of,
};
use crate::reader::{decode, payload};

const GOLDEN: &str = include_str!("../../../../tests/unit/contract/golden/0.1/hot.txt");

/// Returns the golden bytes of an `Update` in hex.
fn golden(case: &str) -> &'static str {
    let block = GOLDEN
        .split("\n\n")
        .find(|block| block.trim_start().lines().next() == Some(&format!("Update/{case}")))
        .unwrap_or_else(|| panic!("no golden {case}"));
    block.lines().find_map(|line| line.strip_prefix("= ")).unwrap()
}

fn hex(encode: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = b"before".to_vec();
    encode(&mut out);
    assert!(out.starts_with(b"before"));
    out.iter().skip(6).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn row_e23_deltas_are_the_golden_bytes() {
    let header = Header {
        venue: "binance",
        symbol: "BTC-USDT",
        seq: 300,
        integrity: Integrity::Sequence,
        venue_sequence_previous: Some(50_093_239_207),
        venue_sequence: Some(50_093_239_224),
        ..HEADER
    };
    let changes = [
        change(BookSide::Bid, "61602.01", "1.67177"),
        change(BookSide::Ask, "61602.02", "2.66795"),
        change(BookSide::Bid, "61601.5", "0"),
    ];
    let usual = Exponents { price: -2, quantity: -5 };
    assert_eq!(
        hex(|out| facade_wire::book_delta(out, &header, usual, &changes).unwrap()),
        golden("book_delta")
    );
    let header = Header { seq: 301, variant: "25", flags: UpdateFlags::HISTORY, ..header };
    let changes = [change(BookSide::Ask, "61602.02", "0")];
    assert_eq!(
        hex(|out| facade_wire::book_delta(out, &header, usual, &changes).unwrap()),
        golden("book_delta_variant")
    );
    let header = Header {
        seq: 5,
        integrity: Integrity::Sequence,
        venue_sequence_previous: Some(0),
        venue_sequence: Some(0),
        ..HEADER
    };
    assert_eq!(
        hex(|out| facade_wire::book_delta(out, &header, WHOLE, &[]).unwrap()),
        golden("book_delta_keep_alive")
    );
}

#[test]
fn row_e23_snapshots_are_the_golden_bytes() {
    let header = Header { seq: 4711, integrity: Integrity::Checksum, flags: UpdateFlags::CUT, ..HEADER };
    let bids = [level("61602.01", "1.67177"), level("61602.00", "0.5")];
    let asks = [level("61602.02", "2.66795"), level("61602.5", "0.00001")];
    let encode = |out: &mut Vec<u8>| {
        facade_wire::book_snapshot(out, &header, WHOLE, bids.into_iter(), asks.into_iter()).unwrap();
    };
    assert_eq!(hex(encode), golden("book_snapshot"));
    let header = Header { seq: 1, integrity: Integrity::Checksum, ..HEADER };
    let encode = |out: &mut Vec<u8>| {
        facade_wire::book_snapshot(out, &header, WHOLE, std::iter::empty(), std::iter::empty()).unwrap();
    };
    assert_eq!(hex(encode), golden("book_snapshot_empty"));
}

#[test]
fn row_e23_trades_are_the_golden_bytes() {
    let header = Header { channel: Channel::Trades, seq: 9, ..HEADER };
    let trade = trade_of(3_735_683_259, number("61602.01"), number("1.67177"), TakerSide::Sell);
    let encode = |out: &mut Vec<u8>| facade_wire::trade(out, &header, WHOLE, &trade).unwrap();
    assert_eq!(hex(encode), golden("trade"));
    let header = Header { seq: 10, flags: UpdateFlags::BAD_TICK.with(UpdateFlags::BACKFILLED), ..header };
    let trade = Trade { is_market: false, ..trade_of(0, number("-37.6"), number("12"), TakerSide::Buy) };
    let encode = |out: &mut Vec<u8>| facade_wire::trade(out, &header, WHOLE, &trade).unwrap();
    assert_eq!(hex(encode), golden("trade_off_market"));
}

#[test]
fn row_e23_best_prices_are_the_golden_bytes() {
    let header = Header { channel: Channel::TopOfBook, seq: 12, ..HEADER };
    let top = TopOfBook { bid: Some(level("61602.01", "1.67177")), ask: Some(level("61602.02", "2.66795")) };
    let encode = |out: &mut Vec<u8>| facade_wire::top_of_book(out, &header, WHOLE, &top).unwrap();
    assert_eq!(hex(encode), golden("top_of_book"));
    let header = Header { seq: 13, ..header };
    let top = TopOfBook { bid: Some(level("0", "7")), ask: None };
    let encode = |out: &mut Vec<u8>| facade_wire::top_of_book(out, &header, WHOLE, &top).unwrap();
    assert_eq!(hex(encode), golden("top_of_book_one_side"));
}

#[test]
fn row_e23_klines_are_the_golden_bytes() {
    let header =
        Header { channel: Channel::Klines, seq: 14, flags: UpdateFlags::SYNTHETIC, variant: "1m", ..HEADER };
    let kline = kline_of(Some(ohlc("61686", "61744.37", "61685.99", "61700")));
    let encode = |out: &mut Vec<u8>| facade_wire::kline(out, &header, WHOLE, &kline).unwrap();
    assert_eq!(hex(encode), golden("kline"));
}

#[test]
fn row_e23_consolidated_tops_are_the_golden_bytes() {
    let header = Header { venue: "", channel: Channel::ConsolidatedTop, seq: 16, ..CONTROL };
    let quote = |level, venue, later| ConsolidatedQuote {
        level,
        venue,
        ts_event: EVENT + later,
        ts_recv: RECV + later,
    };
    let top = ConsolidatedTop {
        bid: Some(quote(level("61602.01", "1.67177"), "kraken", 0)),
        ask: Some(quote(level("61602.02", "2.66795"), "coinbase", 1)),
        left_out: &[VenueLeftOut { venue: "okx", reason: "STALE" }],
    };
    let encode = |out: &mut Vec<u8>| facade_wire::consolidated_top(out, &header, WHOLE, &top).unwrap();
    assert_eq!(hex(encode), golden("consolidated_top"));
    let none = ConsolidatedTop { bid: None, ask: None, left_out: &[] };
    let mut out = Vec::new();
    facade_wire::consolidated_top(&mut out, &header, WHOLE, &none).unwrap();
    let record = payload(&decode(&out), "consolidated_top");
    assert!(!record.has_field_by_name("bid") && !record.has_field_by_name("ask"));
}

#[test]
fn row_e23_records_about_a_topic_are_the_golden_bytes() {
    let gap = Gap {
        gap_id: 1,
        scope: GapScope::Venue,
        seq_first: 0,
        seq_last: 0,
        venue_sequence_first: Some(50_093_239_225),
        venue_sequence_last: Some(50_093_239_230),
        ts_first: EVENT,
        ts_last: EVENT + 1_000_000_000,
        count: Some(6),
        cause: GapCause::SequenceGap,
        state: GapState::Open,
        filled: 0,
    };
    let header = Header { seq: 17, ..CONTROL };
    assert_eq!(hex(|out| facade_wire::gap(out, &header, &gap)), golden("gap"));
    let gap = Gap {
        gap_id: 2,
        scope: GapScope::Delivery,
        seq_first: 100,
        seq_last: 16_383,
        venue_sequence_first: None,
        venue_sequence_last: None,
        ts_last: 0,
        count: Some(16_284),
        cause: GapCause::SlowReader,
        state: GapState::Lost,
        filled: 3,
        ..gap
    };
    assert_eq!(hex(|out| facade_wire::gap(out, &CONTROL, &gap)), golden("gap_delivery"));
    let state = StreamState {
        state: StreamPhase::Resync,
        reason: StateReason::ConnectionClosed,
        ts_since_event: EVENT,
        ts_since_recv: RECV,
        venue_sequence_last_good: Some(50_093_239_224),
        connection: 2,
        attempt: 1,
        ts_next_attempt: 1_723_161_254_000_000_000,
        close_code: Some(1006),
        message: "bye",
    };
    let header = Header { seq: 18, ..CONTROL };
    assert_eq!(hex(|out| facade_wire::stream_state(out, &header, &state)), golden("stream_state"));
    let heartbeat = Heartbeat { ts_frame_last: RECV, state: StreamPhase::Live };
    let header = Header { seq: 4711, ..CONTROL };
    assert_eq!(hex(|out| facade_wire::heartbeat(out, &header, &heartbeat)), golden("heartbeat"));
}

#[test]
fn row_e23_a_checkpoint_is_the_golden_bytes() {
    let digest = "ca17416e9010662095b9158f0323a6446cdfa1fa385097617cd356a57e077c2b"; // vector of CONTRACT
    let mut sha256 = [0; 32];
    for (byte, at) in sha256.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digest[at..at + 2], 16).unwrap();
    }
    let checkpoint = Checkpoint {
        levels: 50,
        sha256,
        bid_levels: 2,
        ask_levels: 1,
        proof_seq: 4711,
        proof_levels: 10,
        proof_venue_sequence: Some(0),
    };
    let header = Header { seq: 4711, integrity: Integrity::Checksum, ..CONTROL };
    assert_eq!(hex(|out| facade_wire::checkpoint(out, &header, &checkpoint)), golden("checkpoint"));
}

#[test]
fn row_e23_records_of_one_subscriber_are_the_golden_bytes() {
    let accepted = SubscriptionStatus {
        request_id: 300,
        subscription_id: 1,
        phase: SubscriptionPhase::Accepted,
        code: 0,
        reason: "",
        message: "",
        suggestions: &[],
        delivery: DeliveryMode::Interval,
        interval_ms: 250,
        seq_next: 4712,
        seq_oldest: 4000,
        requested_symbol: "XBT/USD",
        history_trade_id_last: Some(3_735_683_259),
    };
    assert_eq!(
        hex(|out| facade_wire::subscription_status(out, &CONTROL, &accepted)),
        golden("subscription_status")
    );
    let rejected = SubscriptionStatus {
        request_id: 1,
        subscription_id: 2,
        phase: SubscriptionPhase::Rejected,
        code: 5,
        reason: "UNKNOWN_SYMBOL",
        message: "unknown symbol BTC-USX",
        suggestions: &["BTC-USD", "BTC-USDT"],
        delivery: DeliveryMode::Unspecified,
        interval_ms: 0,
        seq_next: 0,
        seq_oldest: 0,
        requested_symbol: "BTC-USX",
        history_trade_id_last: None,
    };
    let header = Header { symbol: "", channel: Channel::Trades, ..CONTROL };
    assert_eq!(
        hex(|out| facade_wire::subscription_status(out, &header, &rejected)),
        golden("subscription_status_rejected")
    );
    let change = DeliveryChange {
        mode_old: DeliveryMode::Every,
        mode_new: DeliveryMode::Latest,
        cause: DeliveryCause::Behind,
        skipped: 300,
        lag_ms: 251,
    };
    assert_eq!(hex(|out| facade_wire::delivery_change(out, &CONTROL, &change)), golden("delivery_change"));
    let book = Position {
        venue: "kraken",
        symbol: "BTC-USD",
        channel: Channel::BookL2,
        variant: "",
        epoch: EPOCH,
        seq: 4711,
    };
    let klines = Position {
        venue: "okx",
        symbol: "BTC-USDT",
        channel: Channel::Klines,
        variant: "1m",
        seq: 0,
        ..book
    };
    let record = Draining { positions: &[book, klines], ts_deadline: PUBLISH + 10_000_000_000 };
    assert_eq!(hex(|out| facade_wire::draining(out, EPOCH, PUBLISH, &record)), golden("draining"));
}
