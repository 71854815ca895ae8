//! Kraken spot, WebSocket v2: frames and REST answers to the model.

use facade_model::{Channel, Instrument};

use crate::product::Protocol;
use crate::scan::{Scanner, Step};
use crate::{ControlOp, DecodeErrorKind, Decoded, Span};

/// Kraken spot, WebSocket v2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kraken;

impl Protocol for Kraken {
    fn decode(&self, _scanner: &mut Scanner<'_>, _out: &mut Decoded) -> Step<()> {
        Err(DecodeErrorKind::Missing("decoder"))
    }

    fn book_hint(&self, _frame: &[u8]) -> Option<Span> {
        None
    }

    fn decode_snapshot(&self, _scanner: &mut Scanner<'_>, _out: &mut Decoded) -> Step<()> {
        Err(DecodeErrorKind::Missing("decoder"))
    }

    fn decode_instruments(&self, _scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
        Err(DecodeErrorKind::Missing("decoder"))
    }

    fn instruments_paths(&self) -> &'static [&'static str] {
        &[]
    }

    fn snapshot_path(&self, _venue_symbol: &str, _levels: u32) -> Option<String> {
        None
    }

    fn snapshot_weight(&self, _levels: u32) -> u32 {
        1
    }

    fn control(
        &self,
        _op: ControlOp,
        _request_id: u64,
        _items: &[(&str, Channel)],
        _depth: u32,
        _out: &mut Vec<String>,
    ) {
    }

    fn stream_of(&self, channel: Channel) -> Option<Channel> {
        Some(channel)
    }

    fn ping(&self, _request_id: u64) -> Option<String> {
        None
    }
}
