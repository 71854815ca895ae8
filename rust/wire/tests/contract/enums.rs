//! Enums of the model have the names and numbers of the contract.

use std::collections::BTreeMap;

use facade_model::{Channel, GapCause, GapScope, GapState, Integrity, StateReason, StreamPhase, UpdateFlags};
use facade_wire::{DeliveryCause, DeliveryMode, SubscriptionPhase};

use crate::reader::POOL;

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
