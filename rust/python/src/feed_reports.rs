//! What a feed tells about itself, as dicts for Python.

use std::fmt::Write as _;

use facade_feed::{BookReport, Feed, Note, NoteEvent, Socket, TopicReport};
use facade_model::{Integrity, Level};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Describes every book as a replay prints it: a dict by symbol, decimals as plain text.
pub(crate) fn all_books<'py>(py: Python<'py>, feed: &Feed) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for stream in feed.report() {
        let Some(book) = &stream.book else { continue };
        let dict = book_dict(py, book)?;
        let checkpoints = PyList::empty(py);
        for checkpoint in &stream.checkpoints {
            checkpoints.append(book_dict(py, checkpoint)?)?;
        }
        dict.set_item("checkpoints", checkpoints)?;
        all.set_item(&stream.symbol, dict)?;
    }
    Ok(all)
}

/// Describes counts, latencies and the connection.
pub(crate) fn stats_dict<'py>(py: Python<'py>, feed: &Feed) -> PyResult<Bound<'py, PyDict>> {
    let (stats, line) = (feed.stats(), feed.line());
    let dict = PyDict::new(py);
    for (name, value) in [
        ("frames", stats.frames),
        ("errors", stats.errors),
        ("unknown", stats.unknown),
        ("book_messages", stats.book_messages),
        ("trades", stats.trades),
        ("trade_gaps", stats.trade_gaps),
        ("klines_refused", stats.klines_refused),
        ("trade_gaps_filled", stats.trade_gaps_filled),
        ("backfilled", stats.backfilled),
        ("bad_ticks", stats.bad_ticks),
        ("bad_times", stats.bad_times),
        ("clock_steps", feed.times().steps),
        ("probes", stats.probes),
        ("mutes", stats.mutes),
        ("audits_agreed", stats.audits.agreed),
        ("audits_suspected", stats.audits.suspected),
        ("audits_damaged", stats.audits.damaged),
        ("audits_inconclusive", stats.audits.inconclusive),
        ("pauses", stats.pauses),
        ("fallbacks", stats.fallbacks),
        ("duplicates", stats.duplicates),
        ("refusals", stats.refusals),
        ("notices", stats.notices),
        ("states", stats.states),
        ("fetch_failures", stats.fetch_failures),
        ("panics", stats.panics),
        ("publish_errors", stats.publish_errors),
        ("reconnects", line.reconnects),
    ] {
        dict.set_item(name, value)?;
    }
    let given_up = PyDict::new(py);
    for (name, value) in [
        ("gaps", stats.given_up.gaps),
        ("book_updates", stats.given_up.book_updates),
        ("resyncs", stats.given_up.resyncs),
        ("proofs_checked", stats.given_up.proofs_checked),
        ("proofs_failed", stats.given_up.proofs_failed),
    ] {
        given_up.set_item(name, value)?;
    }
    dict.set_item("given_up", given_up)?;
    dict.set_item("clock_offset_ns", stats.offset.estimate())?;
    dict.set_item("missing_instruments", stats.missing_instruments.iter().collect::<Vec<_>>())?;
    dict.set_item("connection", line.connection)?;
    dict.set_item("attempt", line.attempt)?;
    dict.set_item("is_open", line.socket == Socket::Open)?;
    dict.set_item("is_breaker_open", line.is_breaker_open())?;
    dict.set_item("is_fallback", feed.is_fallback())?;
    dict.set_item("clock_step_ns_last", feed.times().step_last)?;
    dict.set_item("close_code", line.close_code)?;
    dict.set_item("opened_at_ns", line.opened_at)?;
    dict.set_item("dial_at_ns", line.dial_at)?;
    dict.set_item("ts_frame_last", line.frame_wall)?;
    for (name, latency) in [("venue_to_recv", &stats.venue), ("recv_to_publish", &stats.publish)] {
        let (count, quantiles) = latency.quantiles();
        dict.set_item(name, (count, quantiles, latency.negative))?;
    }
    Ok(dict)
}

/// Describes one topic.
pub(crate) fn topic_dict<'py>(py: Python<'py>, topic: &TopicReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("symbol", &topic.symbol)?;
    dict.set_item("channel", topic.channel as u8)?;
    dict.set_item("variant", &*topic.variant)?;
    dict.set_item("state", topic.phase as u8)?;
    dict.set_item("reason", topic.reason as u8)?;
    dict.set_item("ts_since_event", topic.since_event)?;
    dict.set_item("ts_since_recv", topic.since_recv)?;
    dict.set_item("attempt", topic.attempt)?;
    dict.set_item("ts_next_attempt", topic.next_attempt)?;
    dict.set_item("integrity", topic.integrity as u8)?;
    dict.set_item("seq", topic.seq)?;
    dict.set_item("ts_recv_last", topic.ts_recv_last)?;
    dict.set_item("records", topic.records)?;
    dict.set_item("gaps", topic.gaps)?;
    dict.set_item("duplicates", topic.duplicates)?;
    dict.set_item("book", topic.book.as_ref().map(|book| book_dict(py, book)).transpose()?)?;
    Ok(dict)
}

/// Describes what happened to a topic.
pub(crate) fn note_dict<'py>(py: Python<'py>, note: &Note) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("symbol", &note.symbol)?;
    dict.set_item("channel", note.channel as u8)?;
    dict.set_item("variant", &*note.variant)?;
    dict.set_item("seq", note.seq)?;
    dict.set_item("ts", note.ts)?;
    dict.set_item("ts_event_last", note.ts_event_last)?;
    match note.event {
        NoteEvent::State { phase, reason } => {
            dict.set_item("kind", "state")?;
            dict.set_item("state", phase as u8)?;
            dict.set_item("reason", reason as u8)?;
        }
        NoteEvent::Gap { gap_id, state, cause, ts_first, ts_last, count, filled } => {
            dict.set_item("kind", "gap")?;
            dict.set_item("gap_id", gap_id)?;
            dict.set_item("gap_state", state as u8)?;
            dict.set_item("cause", cause as u8)?;
            dict.set_item("ts_first", ts_first)?;
            dict.set_item("ts_last", ts_last)?;
            dict.set_item("count", count)?;
            dict.set_item("filled", filled)?;
        }
    }
    Ok(dict)
}

fn book_dict<'py>(py: Python<'py>, book: &BookReport) -> PyResult<Bound<'py, PyDict>> {
    let level = |level: Option<Level>| level.map(|level| [level.px.to_string(), level.qty.to_string()]);
    let proofs = PyDict::new(py);
    proofs.set_item("checked", book.proofs.checked)?;
    proofs.set_item("failed", book.proofs.failed)?;
    let dict = PyDict::new(py);
    dict.set_item("state", format!("{:?}", book.phase).to_uppercase())?;
    dict.set_item("updates", book.updates)?;
    dict.set_item("level_changes", book.level_changes)?;
    dict.set_item("gaps", book.gaps)?;
    dict.set_item("resyncs", book.resyncs)?;
    dict.set_item("proofs", proofs)?;
    dict.set_item("bids", book.bids)?;
    dict.set_item("asks", book.asks)?;
    dict.set_item("best_bid", level(book.best_bid))?;
    dict.set_item("best_ask", level(book.best_ask))?;
    dict.set_item("venue_sequence", book.venue_sequence)?;
    dict.set_item("sha256", book.sha256.map(hex))?;
    dict.set_item("integrity", integrity_name(book.integrity))?;
    dict.set_item("duplicates", book.duplicates)?;
    Ok(dict)
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const fn integrity_name(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Unspecified => "UNSPECIFIED",
        Integrity::Sequence => "SEQUENCE",
        Integrity::Checksum => "CHECKSUM",
        Integrity::SequenceAndChecksum => "SEQUENCE_AND_CHECKSUM",
        Integrity::Audited => "AUDITED",
        Integrity::Unverifiable => "UNVERIFIABLE",
        Integrity::Suspect => "SUSPECT",
    }
}
