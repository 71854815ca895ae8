//! What is not known is absent, and a number 0 is not.

use facade_model::{GapCause, GapScope, GapState, StateReason, StreamPhase, Sum};
use facade_wire::{
    Checkpoint, Completeness, DeliveryMode, Gap, Kline, StreamState, SubscriptionPhase, SubscriptionStatus,
};

use crate::given::{CONTROL, HEADER, RECV, WHOLE, kline_of};
use crate::reader::{decode, payload};

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
