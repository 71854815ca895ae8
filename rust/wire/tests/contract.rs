//! What the encoder writes, read by an independent decoder that knows the contract from its descriptor set.
//! The golden bytes are those of `tests/unit/contract`, written by the protobuf library of Python.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use facade_model::{
    BookSide, Channel, Decimal, GapCause, GapScope, GapState, Integrity, Level, LevelChange, StateReason,
    StreamPhase, Sum, TakerSide, Ticker, TopOfBook, Trade, UpdateFlags,
};
use facade_wire::{
    Checkpoint, Completeness, ConsolidatedQuote, ConsolidatedTop, DeliveryCause, DeliveryChange,
    DeliveryMode, Draining, Exponents, Gap, Header, Heartbeat, Kline, KlineState, Ohlc, Position,
    StreamState, SubscriptionPhase, SubscriptionStatus, VenueLeftOut, WireError,
};
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

const DESCRIPTORS: &[u8] = include_bytes!("../../../python/datafacade/v1/descriptor.bin");
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap());
const GOLDEN: &str = include_str!("../../../tests/unit/contract/golden/0.1/hot.txt");

const EVENT: i64 = 1_723_161_253_937_000_000;
const RECV: i64 = 1_723_161_253_939_500_000;
const PUBLISH: i64 = 1_723_161_253_939_512_345;
const EPOCH: u32 = 1_723_161_000;

const HEADER: Header<'static> = Header {
    venue: "kraken",
    symbol: "BTC-USD",
    channel: Channel::BookL2,
    variant: "",
    epoch: EPOCH,
    seq: 0,
    ts_event: EVENT,
    ts_recv: RECV,
    ts_publish: PUBLISH,
    integrity: Integrity::Unspecified,
    flags: UpdateFlags(0),
    venue_sequence_previous: None,
    venue_sequence: None,
};
const CONTROL: Header<'static> = Header { ts_event: 0, ts_recv: 0, ..HEADER };
const WHOLE: Exponents = Exponents { price: 0, quantity: 0 };

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

fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

fn level(px: &str, qty: &str) -> Level {
    Level { px: number(px), qty: number(qty) }
}

fn change(side: BookSide, px: &str, qty: &str) -> LevelChange {
    LevelChange { side, px: number(px), qty: number(qty) }
}

fn trade_of(id: u64, px: Decimal, qty: Decimal, side: TakerSide) -> Trade {
    Trade { id, px, qty, side, ts_event: EVENT, is_market: true }
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

fn kline_of(prices: Option<Ohlc>) -> Kline {
    Kline {
        ts_open: 1_723_161_240_000_000_000,
        ts_close: 1_723_161_300_000_000_000,
        prices,
        volume: Some(Sum::new(1_250, -2)),
        quote_volume: Some(Sum::new(771_250, 0)),
        vwap: Some(Sum::new(617, 2)),
        taker_buy_volume: Some(Sum::new(625, -2)),
        trade_count: Some(300),
        state: Some(KlineState::Final),
        revision: 1,
        completeness: Completeness::Complete,
        trades_seq_first: 100,
        trades_seq_last: 399,
        flags: UpdateFlags::SYNTHETIC,
    }
}

fn ohlc(open: &str, high: &str, low: &str, close: &str) -> Ohlc {
    Ohlc { open: number(open), high: number(high), low: number(low), close: number(close) }
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
fn what_a_kline_does_not_know_is_absent() {
    let kline = Kline {
        volume: None,
        quote_volume: None,
        vwap: None,
        taker_buy_volume: None,
        trade_count: None,
        state: None,
        completeness: Completeness::Unspecified,
        ..kline_of(None)
    };
    let mut out = Vec::new();
    facade_wire::kline(&mut out, &HEADER, WHOLE, &kline).unwrap();
    let record = payload(&decode(&out), "kline");
    for field in ["open", "high", "low", "close", "trade_count"] {
        assert!(!record.has_field_by_name(field), "{field}");
    }
    let zero = Kline { trade_count: Some(0), volume: Some(Sum::ZERO), ..kline };
    out.clear();
    facade_wire::kline(&mut out, &HEADER, WHOLE, &zero).unwrap();
    let record = payload(&decode(&out), "kline");
    assert!(record.has_field_by_name("trade_count"));
    assert_eq!(record.get_field_by_name("volume").unwrap().as_str(), Some("0"));
}

#[test]
fn a_kline_whose_prices_no_exponent_holds_is_refused() {
    let kline = kline_of(Some(ohlc("10", "10", "0.000000000000000001", "10")));
    let mut out = b"before".to_vec();
    assert_eq!(facade_wire::kline(&mut out, &HEADER, WHOLE, &kline), Err(WireError::NumberRange));
    assert_eq!(out, b"before");
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
fn a_number_0_and_an_absent_number_are_told_apart() {
    let present = [
        ("gap", vec!["venue_sequence_first", "venue_sequence_last", "count"]),
        ("stream_state", vec!["venue_sequence_last_good", "close_code"]),
        ("checkpoint", vec!["proof_venue_sequence"]),
        ("subscription_status", vec!["history_trade_id_last"]),
    ];
    for number in [Some(0), None] {
        let records = records_with(number);
        for (bytes, (name, fields)) in records.iter().zip(&present) {
            let record = payload(&decode(bytes), name);
            for field in fields {
                assert_eq!(record.has_field_by_name(field), number.is_some(), "{name}.{field}");
            }
        }
    }
}

/// Encodes a gap, a state, a checkpoint and a status whose optional numbers are all `number`.
fn records_with(number: Option<u64>) -> [Vec<u8>; 4] {
    let mut records = [const { Vec::new() }; 4];
    let [gap, state, checkpoint, status] = &mut records;
    let record = Gap {
        gap_id: 1,
        scope: GapScope::Venue,
        seq_first: 0,
        seq_last: 0,
        venue_sequence_first: number,
        venue_sequence_last: number,
        ts_first: 0,
        ts_last: 0,
        count: number,
        cause: GapCause::Overflow,
        state: GapState::Open,
        filled: 0,
    };
    facade_wire::gap(gap, &CONTROL, &record);
    let record = StreamState {
        state: StreamPhase::Down,
        reason: StateReason::Silent,
        ts_since_event: 0,
        ts_since_recv: RECV,
        venue_sequence_last_good: number,
        connection: 0,
        attempt: 0,
        ts_next_attempt: 0,
        close_code: number.map(|_| 0),
        message: "",
    };
    facade_wire::stream_state(state, &CONTROL, &record);
    let record = Checkpoint {
        levels: 0,
        sha256: [0; 32],
        bid_levels: 0,
        ask_levels: 0,
        proof_seq: 0,
        proof_levels: 0,
        proof_venue_sequence: number,
    };
    facade_wire::checkpoint(checkpoint, &CONTROL, &record);
    let record = SubscriptionStatus {
        request_id: 0,
        subscription_id: 0,
        phase: SubscriptionPhase::Ended,
        code: 0,
        reason: "",
        message: "",
        suggestions: &[""],
        delivery: DeliveryMode::Every,
        interval_ms: 0,
        seq_next: 0,
        seq_oldest: 0,
        requested_symbol: "",
        history_trade_id_last: number,
    };
    facade_wire::subscription_status(status, &CONTROL, &record);
    records
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

/// Decodes with the independent library and checks that the bytes are the canonical ones.
fn decode(bytes: &[u8]) -> DynamicMessage {
    let update = POOL.get_message_by_name("datafacade.v1.Update").unwrap();
    let message = DynamicMessage::decode(update, bytes).unwrap();
    assert_eq!(message.unknown_fields().count(), 0);
    assert_eq!(message.encode_to_vec(), bytes, "not canonical: {message:?}");
    message
}

fn get(message: &DynamicMessage, field: &str) -> Value {
    message.get_field_by_name(field).unwrap().into_owned()
}

fn payload(message: &DynamicMessage, field: &str) -> DynamicMessage {
    assert!(message.has_field_by_name(field));
    get(message, field).as_message().unwrap().clone()
}

fn exponents(message: &DynamicMessage) -> (i32, i32) {
    let read = |field| get(message, field).as_i32().unwrap();
    (read("price_exponent"), read("quantity_exponent"))
}

/// Returns a decoded array as exact values.
fn values(message: &DynamicMessage, field: &str, exponent: i32) -> Vec<Decimal> {
    let list = get(message, field);
    list.as_list().unwrap().iter().map(|value| exact(value, exponent)).collect()
}

fn exact(value: &Value, exponent: i32) -> Decimal {
    Decimal::new(value.as_i64().unwrap(), i8::try_from(exponent).unwrap()).canonical()
}

fn optional(message: &DynamicMessage, field: &str, exponent: i32) -> Option<Decimal> {
    message.has_field_by_name(field).then(|| exact(&get(message, field), exponent))
}

/// Numbers as venues print them: canonical, of either sign, up to 18 digits.
fn decimals() -> impl Strategy<Value = Decimal> {
    let mantissa = prop_oneof![0_i64..1_000, -1_000_000_000_i64..1_000_000_000];
    (mantissa, -9_i8..=0).prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent).canonical())
}

fn levels() -> impl Strategy<Value = Vec<Level>> {
    prop::collection::vec((decimals(), decimals()).prop_map(|(px, qty)| Level { px, qty }), 0..60)
}

fn usuals() -> impl Strategy<Value = Exponents> {
    (-8_i8..=0, -8_i8..=0).prop_map(|(price, quantity)| Exponents { price, quantity })
}

fn headers() -> impl Strategy<Value = Header<'static>> {
    let names = prop_oneof![Just(("kraken", "BTC-USD", "")), Just(("binance-coinm", "BTC-USD-211231", "25"))];
    let sequences = (any::<Option<u64>>(), any::<Option<u64>>());
    let stamps = (any::<i64>(), any::<i64>(), any::<i64>());
    (names, stamps, sequences, any::<u64>(), any::<u32>(), any::<u32>()).prop_map(
        |((venue, symbol, variant), stamps, sequences, seq, epoch, flags)| Header {
            venue,
            symbol,
            variant,
            channel: Channel::BookL2,
            epoch,
            seq,
            ts_event: stamps.0,
            ts_recv: stamps.1,
            ts_publish: stamps.2,
            integrity: Integrity::Audited,
            flags: UpdateFlags(flags),
            venue_sequence_previous: sequences.0,
            venue_sequence: sequences.1,
        },
    )
}

fn assert_header(message: &DynamicMessage, header: &Header<'_>) {
    let sequence = |field| message.has_field_by_name(field).then(|| get(message, field).as_u64().unwrap());
    assert_eq!(get(message, "venue").as_str(), Some(header.venue));
    assert_eq!(get(message, "symbol").as_str(), Some(header.symbol));
    assert_eq!(get(message, "variant").as_str(), Some(header.variant));
    assert_eq!(get(message, "channel").as_enum_number(), Some(2));
    assert_eq!(get(message, "epoch").as_u32(), Some(header.epoch));
    assert_eq!(get(message, "seq").as_u64(), Some(header.seq));
    assert_eq!(get(message, "ts_event").as_i64(), Some(header.ts_event));
    assert_eq!(get(message, "ts_recv").as_i64(), Some(header.ts_recv));
    assert_eq!(get(message, "ts_publish").as_i64(), Some(header.ts_publish));
    assert_eq!(get(message, "integrity").as_enum_number(), Some(4));
    assert_eq!(get(message, "flags").as_u32(), Some(header.flags.0));
    assert_eq!(sequence("venue_sequence_previous"), header.venue_sequence_previous);
    assert_eq!(sequence("venue_sequence"), header.venue_sequence);
}

proptest! {
    #[test]
    fn a_delta_reads_back_as_it_was(
        header in headers(), usual in usuals(), bids in levels(), asks in levels(), turn in any::<prop::sample::Index>(),
    ) {
        let mut changes: Vec<LevelChange> = Vec::new();
        changes.extend(bids.iter().map(|level| LevelChange { side: BookSide::Bid, px: level.px, qty: level.qty }));
        let at = turn.index(changes.len() + 1); // asks stand anywhere among the bids
        changes.splice(
            at..at,
            asks.iter().map(|level| LevelChange { side: BookSide::Ask, px: level.px, qty: level.qty }),
        );
        let mut bytes = Vec::new();
        facade_wire::book_delta(&mut bytes, &header, usual, &changes).unwrap();
        let update = decode(&bytes);
        assert_header(&update, &header);
        let (price, quantity) = exponents(&update);
        prop_assert!(price <= usual.price.into() && quantity <= usual.quantity.into());
        let delta = payload(&update, "book_delta");
        prop_assert_eq!(values(&delta, "bid_prices", price), bids.iter().map(|l| l.px).collect::<Vec<_>>());
        prop_assert_eq!(values(&delta, "bid_quantities", quantity), bids.iter().map(|l| l.qty).collect::<Vec<_>>());
        prop_assert_eq!(values(&delta, "ask_prices", price), asks.iter().map(|l| l.px).collect::<Vec<_>>());
        prop_assert_eq!(values(&delta, "ask_quantities", quantity), asks.iter().map(|l| l.qty).collect::<Vec<_>>());
    }

    #[test]
    fn a_snapshot_reads_back_as_it_was(header in headers(), usual in usuals(), bids in levels(), asks in levels()) {
        let mut bytes = Vec::new();
        facade_wire::book_snapshot(&mut bytes, &header, usual, bids.iter().copied(), asks.iter().copied()).unwrap();
        let update = decode(&bytes);
        assert_header(&update, &header);
        let (price, quantity) = exponents(&update);
        let book = payload(&update, "book_snapshot");
        prop_assert_eq!(values(&book, "bid_prices", price), bids.iter().map(|l| l.px).collect::<Vec<_>>());
        prop_assert_eq!(values(&book, "bid_quantities", quantity), bids.iter().map(|l| l.qty).collect::<Vec<_>>());
        prop_assert_eq!(values(&book, "ask_prices", price), asks.iter().map(|l| l.px).collect::<Vec<_>>());
        prop_assert_eq!(values(&book, "ask_quantities", quantity), asks.iter().map(|l| l.qty).collect::<Vec<_>>());
    }

    #[test]
    fn a_trade_reads_back_as_it_was(header in headers(), usual in usuals(), px in decimals(), qty in decimals(), id: u64) {
        let trade = trade_of(id, px, qty, TakerSide::Buy);
        let mut bytes = Vec::new();
        facade_wire::trade(&mut bytes, &header, usual, &trade).unwrap();
        let update = decode(&bytes);
        assert_header(&update, &header);
        let (price, quantity) = exponents(&update);
        let read = payload(&update, "trade");
        prop_assert_eq!(exact(&get(&read, "price"), price), px);
        prop_assert_eq!(exact(&get(&read, "quantity"), quantity), qty);
        prop_assert_eq!(get(&read, "trade_id").as_u64(), Some(id));
        prop_assert_eq!(get(&read, "side").as_enum_number(), Some(1));
    }

    #[test]
    fn a_ticker_reads_back_as_it_was(
        header in headers(),
        usual in usuals(),
        prices in prop::array::uniform4(prop::option::of(decimals())),
        volumes in prop::array::uniform3(prop::option::of(decimals())),
        bid in prop::option::of((decimals(), decimals())),
        ask in prop::option::of((decimals(), decimals())),
    ) {
        let side = |side: Option<(Decimal, Decimal)>| side.map(|(px, qty)| Level { px, qty });
        let [last_px, open_px, high_px, low_px] = prices;
        let [last_qty, volume, quote_volume] = volumes;
        let top = TopOfBook { bid: side(bid), ask: side(ask) };
        let ticker = Ticker { last_px, last_qty, open_px, high_px, low_px, volume, quote_volume, top };
        let mut bytes = Vec::new();
        facade_wire::ticker(&mut bytes, &header, usual, &ticker).unwrap();
        let update = decode(&bytes);
        assert_header(&update, &header);
        let (price, quantity) = exponents(&update);
        let read = payload(&update, "ticker");
        for (field, px) in [
            ("last_price", last_px), ("open_24h", open_px), ("high_24h", high_px), ("low_24h", low_px),
            ("bid_price", bid.map(|side| side.0)), ("ask_price", ask.map(|side| side.0)),
        ] {
            prop_assert_eq!(optional(&read, field, price), px, "{}", field);
        }
        for (field, qty) in [
            ("last_quantity", last_qty),
            ("bid_quantity", bid.map(|side| side.1)),
            ("ask_quantity", ask.map(|side| side.1)),
        ] {
            prop_assert_eq!(optional(&read, field, quantity), qty, "{}", field);
        }
        for (field, sum) in [("volume_24h", volume), ("quote_volume_24h", quote_volume)] {
            let text = get(&read, field).as_str().unwrap().to_owned();
            prop_assert_eq!((!text.is_empty()).then(|| number(&text)), sum, "{}", field);
        }
    }
}

#[test]
fn a_snapshot_part_of_16384_levels_reads_back_and_costs_under_four_bytes_a_number() {
    let bids: Vec<Level> = (0..16_384)
        .map(|at| Level { px: Decimal::new(6_160_201 - at, -2), qty: Decimal::new(1 + at % 999, -3) })
        .collect();
    let mut bytes = Vec::new();
    facade_wire::book_snapshot(&mut bytes, &HEADER, WHOLE, bids.iter().copied(), std::iter::empty()).unwrap();
    assert!(bytes.len() < 2 * 4 * bids.len(), "{}", bytes.len());
    let book = payload(&decode(&bytes), "book_snapshot");
    assert_eq!(values(&book, "bid_prices", -2), bids.iter().map(|l| l.px.canonical()).collect::<Vec<_>>());
}

#[test]
fn exponents_widen_in_the_update_that_needs_it_and_narrow_in_the_next() {
    let usual = Exponents { price: -1, quantity: -2 };
    let read = |px, qty| {
        let mut bytes = Vec::new();
        facade_wire::book_delta(&mut bytes, &HEADER, usual, &[change(BookSide::Bid, px, qty)]).unwrap();
        exponents(&decode(&bytes))
    };
    assert_eq!(read("10", "1"), (-1, -2));
    assert_eq!(read("10.123", "1e-18"), (-3, -18));
    assert_eq!(read("10.123", "1"), (-3, -2));
    assert_eq!(read("10", "1.001"), (-1, -3));
    assert_eq!(read("10.1", "10"), (-1, -2));
}

#[test]
fn row_b28_a_number_that_is_too_large_for_the_usual_digits_takes_coarser_ones() {
    let usual = Exponents { price: -8, quantity: -8 };
    let large = number("900000000000000000"); // 9e17: 18 digits
    let mut bytes = Vec::new();
    facade_wire::trade(&mut bytes, &HEADER, usual, &trade_of(1, large, large, TakerSide::Sell)).unwrap();
    let update = decode(&bytes);
    assert_eq!(exponents(&update), (17, 17));
    assert_eq!(get(&payload(&update, "trade"), "price").as_i64(), Some(9));
}

#[test]
fn row_b28_numbers_without_a_common_exponent_are_refused_and_leave_the_buffer_alone() {
    let mut out = b"before".to_vec();
    let changes = [change(BookSide::Bid, "1", "1e-18"), change(BookSide::Ask, "2", "10")];
    let outcome = facade_wire::book_delta(&mut out, &HEADER, WHOLE, &changes);
    assert_eq!(outcome, Err(WireError::NumberRange));
    let [bid, ask] = [level("1e-18", "1"), level("10", "1")];
    let snapshot = facade_wire::book_snapshot(&mut out, &HEADER, WHOLE, [bid].into_iter(), [ask].into_iter());
    assert_eq!(snapshot, Err(WireError::NumberRange));
    let top = TopOfBook { bid: Some(bid), ask: Some(ask) };
    assert_eq!(facade_wire::top_of_book(&mut out, &HEADER, WHOLE, &top), Err(WireError::NumberRange));
    let ticker = Ticker { top, ..Ticker::default() };
    assert_eq!(facade_wire::ticker(&mut out, &HEADER, WHOLE, &ticker), Err(WireError::NumberRange));
    assert_eq!(out, b"before");
}

#[test]
fn numbers_at_the_ends_of_64_bits_read_back() {
    for mantissa in [i64::MIN, i64::MIN + 1, i64::MAX] {
        let px = Decimal::new(mantissa, -30);
        let mut bytes = Vec::new();
        facade_wire::trade(&mut bytes, &HEADER, WHOLE, &trade_of(u64::MAX, px, px, TakerSide::Unknown))
            .unwrap();
        assert_eq!(get(&payload(&decode(&bytes), "trade"), "price").as_i64(), Some(mantissa));
    }
}

/// Asserts that each variant has the number and the name of the contract's enum.
fn assert_enum(name: &str, variants: &[(u64, String)]) {
    let found = POOL.get_enum_by_name(&format!("datafacade.v1.{name}")).unwrap();
    let known: BTreeMap<i32, String> =
        found.values().map(|value| (value.number(), value.name().replace('_', ""))).collect();
    for (number, variant) in variants {
        let wanted = format!("{name}{variant}").to_uppercase();
        assert_eq!(known.get(&i32::try_from(*number).unwrap()), Some(&wanted));
    }
}

macro_rules! assert_enums {
    ($($name:literal: $kind:ident { $($variant:ident)* })*) => {$(
        assert_enum($name, &[$(($kind::$variant as u64, format!("{:?}", $kind::$variant))),*]);
    )*};
}

#[test]
fn enums_of_the_model_have_the_names_and_numbers_of_the_contract() {
    assert_enums! {
        "Channel": Channel { Trades BookL2 TopOfBook Klines Ticker ConsolidatedTop }
        "Integrity": Integrity {
            Unspecified Sequence Checksum SequenceAndChecksum Audited Unverifiable Suspect
        }
        "State": StreamPhase { Empty Syncing Live Stale Resync Halted Rejected Down }
        "StateReason": StateReason {
            Unspecified Subscribed Synced SequenceGap ChecksumMismatch Crossed Undecodable ConnectionClosed Silent
            AckTimeout VenueRejected NumberRange BufferOverflow SnapshotUnusable VenueStatus VenueSnapshot
            InternalFault BreakerOpen Unsubscribed DepthLimit MalformedFrames NoData DialFailed Tls UpgradeRefused
            RateLimited AuditFailed Delisted PlannedRoll Draining
        }
        "GapScope": GapScope { Venue Delivery }
        "GapCause": GapCause {
            Disconnect SequenceGap ChecksumMismatch Undecodable Overflow SlowReader ServerRestart Crossed TradeIds
            ResumeTooOld AuditFailed VenueStatus
        }
        "GapState": GapState { Open Filled PartlyFilled Lost }
        "DeliveryMode": DeliveryMode { Unspecified Every Latest Interval }
        "DeliveryCause": DeliveryCause { LagWarning LagCleared Behind Bytes KeepsUp }
        "SubscriptionPhase": SubscriptionPhase { Accepted Rejected Resumed ResumeLost CaughtUp Ended }
    }
    let flags = [
        (UpdateFlags::MORE, "More"),
        (UpdateFlags::CUT, "Cut"),
        (UpdateFlags::BACKFILLED, "Backfilled"),
        (UpdateFlags::REST_FALLBACK, "RestFallback"),
        (UpdateFlags::SYNTHETIC, "Synthetic"),
        (UpdateFlags::BAD_TICK, "BadTick"),
        (UpdateFlags::BAD_TS, "BadTs"),
        (UpdateFlags::HISTORY, "History"),
    ];
    assert_enum("UpdateFlag", &flags.map(|(flag, name)| (u64::from(flag.0), name.to_owned())));
}
