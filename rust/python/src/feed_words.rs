//! The words between a feed and Python: commands as tuples, variants by their text.

use facade_feed::{Command, Feed, FeedConfig};
use facade_model::{Channel, StateReason, Variant};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Commands of one call, or nothing.
pub(crate) type Commands<'py> = PyResult<Option<Vec<Bound<'py, PyTuple>>>>;

/// Takes the commands that a feed gave, oldest first.
pub(crate) fn drain<'py>(py: Python<'py>, feed: &mut Feed) -> Commands<'py> {
    if !feed.has_commands() {
        return Ok(None);
    }
    feed.drain_commands().map(|command| command_tuple(py, command)).collect::<PyResult<Vec<_>>>().map(Some)
}

fn command_tuple(py: Python<'_>, command: Command) -> PyResult<Bound<'_, PyTuple>> {
    match command {
        Command::Send(text) => ("send", text).into_pyobject(py),
        Command::Fetch { request_id, path, weight, priority } => {
            ("fetch", request_id, path, weight, priority.name()).into_pyobject(py)
        }
        Command::Close { code, reason } => ("close", code, reason).into_pyobject(py),
        Command::Connect { delay_ns } => ("connect", delay_ns).into_pyobject(py),
    }
}

/// Sets figures by their names, and the variants of klines that a replay makes.
pub(crate) fn configure(
    config: &mut FeedConfig,
    figures: Vec<(String, i64)>,
    klines: Vec<String>,
) -> PyResult<()> {
    for text in klines {
        config.klines.push(find_variant(Channel::Klines as u8, &text)?.1);
    }
    for (name, value) in figures {
        if !config.set(&name, value) {
            return Err(PyValueError::new_err(format!("unknown figure {name:?}")));
        }
    }
    Ok(())
}

/// Reads why a dial failed.
pub(crate) fn dial_reason(cause: &str) -> StateReason {
    match cause {
        "tls" => StateReason::Tls,
        "upgrade_refused" => StateReason::UpgradeRefused,
        "rate_limited" => StateReason::RateLimited,
        _ => StateReason::DialFailed,
    }
}

/// Reads a channel's number and a variant of it.
pub(crate) fn find_variant(channel: u8, text: &str) -> PyResult<(Channel, Variant)> {
    let channel = Channel::from_number(channel)
        .ok_or_else(|| PyValueError::new_err(format!("unknown channel {channel}")))?;
    let variant =
        Variant::parse(channel, text).map_err(|error| PyValueError::new_err(format!("{error}: {text:?}")))?;
    Ok((channel, variant))
}

/// Return the canonical text of a variant of a channel: `60s` of klines is `1m`.
///
/// Raises:
///     ValueError: The channel is unknown or has no such variant.
#[pyfunction]
pub(crate) fn parse_variant(channel: u8, variant: &str) -> PyResult<String> {
    find_variant(channel, variant).map(|(_, variant)| variant.to_string())
}
