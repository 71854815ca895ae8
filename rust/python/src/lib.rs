//! `datafacade._core`: the Rust core as Python sees it. Wraps, converts, maps errors; decides nothing (STYLE R13).

#![allow(clippy::doc_markdown, reason = "these are Python docstrings")]
#![allow(clippy::needless_pass_by_value, reason = "arguments arrive owned from Python")]

mod answers;
mod arrow;
mod cache;
mod clock;
mod consolidated;
mod edge;
mod feed;
mod feed_reports;
mod feed_words;
mod hub;
mod instruments;
mod journal;
mod klines;
mod listing;
mod manifest;
mod readable;
mod reconcile;
mod reconcile_columns;
mod reconcile_tables;
mod records;
mod rest;
mod rest_columns;
mod rest_rows;
mod words;

/// The Rust core of datafacade.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::answers::{PyAnswerCache, PyHeld};
    #[pymodule_export]
    use crate::cache::PyCache;
    #[pymodule_export]
    use crate::clock::PyClock;
    #[pymodule_export]
    use crate::consolidated::PyConsolidator;
    #[pymodule_export]
    use crate::edge::{PyCall, PyEdge};
    #[pymodule_export]
    use crate::feed::PyFeed;
    #[pymodule_export]
    use crate::feed_words::parse_variant;
    #[pymodule_export]
    use crate::hub::{PositionAhead, PositionLost, PyCuts, PyHub};
    #[pymodule_export]
    use crate::instruments::decode_instruments;
    #[pymodule_export]
    use crate::journal::PyJournal;
    #[pymodule_export]
    use crate::klines::{PyKlineTable, fill_kline_columns, kline_columns, roll_up_kline_columns};
    #[pymodule_export]
    use crate::listing::listing;
    #[pymodule_export]
    use crate::manifest::{PyPitChain, PyPitIndex, PyPitShelf, is_pit_line};
    #[pymodule_export]
    use crate::readable::PySchema;
    #[pymodule_export]
    use crate::reconcile::{PyReconciler, PyTable};
    #[pymodule_export]
    use crate::rest::{kline_range, rest_request, rest_rows};
    #[pymodule_export]
    use crate::rest_rows::PyRows;
}
