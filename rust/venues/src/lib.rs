//! Bytes of the venues to the model: decoders of frames and REST bodies, checksums, control messages.
//!
//! [`Product`] is the one entrance. Everything here is pure: no clock, no I/O, no logging, and no allocation once
//! the buffers of [`Decoded`] have grown to the usual frame.

mod age;
mod ask;
mod binance;
mod checksum;
mod coinbase;
mod coinbase_advanced;
mod coinbase_exchange;
mod error;
mod event;
mod hint;
mod history;
mod interval;
mod klines;
mod kraken;
mod levels;
mod okx;
mod product;
mod request;
mod rows;
mod scan;
mod table;
mod timestamp;
mod trades;

pub use ask::{Ask, AskKind, Page, PageOrder, RestSource};
pub use checksum::{kraken_checksum, okx_checksum};
pub use error::{DecodeError, DecodeErrorKind};
pub use event::{
    BookEvent, Control, Decoded, Event, Sequence, Span, StatusEvent, TickerEvent, TopEvent, TradesEvent,
};
pub use history::{KlineRow, KlinesSpan, RestRequest, TradesSpan};
pub use interval::Interval;
pub use product::Product;
pub use request::ControlOp;
pub use table::{HoleReason, Rows};
