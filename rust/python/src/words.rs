//! The words by which Python names what the hub and the contract number.

use facade_hub::{Conflate, Delivery, Start};
use facade_model::GapCause;
use facade_wire::{DeliveryMode, SubscriptionPhase};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

fn unknown(what: &str, name: &str) -> PyErr {
    PyValueError::new_err(format!("unknown {what} {name:?}"))
}

/// Returns where a subscriber begins.
pub(crate) fn start_of(name: &str, seq_after: u64) -> PyResult<Start> {
    Ok(match name {
        "next" => Start::Next,
        "newest" => Start::Newest,
        "cut" => Start::Cut,
        "after" => Start::After { seq: seq_after },
        other => return Err(unknown("start", other)),
    })
}

/// Returns what a subscriber wants, for the hub and for the wire.
pub(crate) fn delivery_of(name: &str, interval_ms: u32) -> PyResult<(Delivery, DeliveryMode)> {
    Ok(match name {
        "every" => (Delivery::Every, DeliveryMode::Every),
        "latest" => (Delivery::Latest, DeliveryMode::Latest),
        "interval" if interval_ms > 0 => {
            (Delivery::Interval { ns: u64::from(interval_ms) * 1_000_000 }, DeliveryMode::Interval)
        }
        "interval" => return Err(PyValueError::new_err("interval_ms: expected at least 1, received 0")),
        other => return Err(unknown("delivery", other)),
    })
}

/// Returns what stands for skipped records.
pub(crate) fn conflate_of(name: &str) -> PyResult<Conflate> {
    match name {
        "newest" => Ok(Conflate::Newest),
        "cut" => Ok(Conflate::Cut),
        other => Err(unknown("conflate", other)),
    }
}

/// Returns where an item stands.
pub(crate) fn phase_of(name: &str) -> PyResult<SubscriptionPhase> {
    Ok(match name {
        "accepted" => SubscriptionPhase::Accepted,
        "rejected" => SubscriptionPhase::Rejected,
        "resumed" => SubscriptionPhase::Resumed,
        "resume_lost" => SubscriptionPhase::ResumeLost,
        "caught_up" => SubscriptionPhase::CaughtUp,
        "ended" => SubscriptionPhase::Ended,
        other => return Err(unknown("phase", other)),
    })
}

/// Returns why records are not delivered.
pub(crate) fn gap_cause_of(name: &str) -> PyResult<GapCause> {
    Ok(match name {
        "slow_reader" => GapCause::SlowReader,
        "server_restart" => GapCause::ServerRestart,
        "resume_too_old" => GapCause::ResumeTooOld,
        other => return Err(unknown("cause", other)),
    })
}
