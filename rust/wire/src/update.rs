//! The envelope of every record.

use facade_model::{Channel, Integrity, UpdateFlags};

use crate::digits::Exponents;
use crate::field;

/// Payloads with a number up to this one stand before the variant, since fields are written in order.
const NUMBER_EARLY_MAX: u32 = 15;

/// What every record tells beside its payload. Times are ns UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Venue and product.
    pub venue: &'a str,
    /// Canonical symbol.
    pub symbol: &'a str,
    /// Channel of the topic.
    pub channel: Channel,
    /// Kline interval or book depth; empty: the default.
    pub variant: &'a str,
    /// Start of the publisher, unix seconds.
    pub epoch: u32,
    /// Number in the topic; 0: a record for one subscriber.
    pub seq: u64,
    /// Time of the venue; 0: none.
    pub ts_event: i64,
    /// Time of the socket read; 0: no frame caused the record.
    pub ts_recv: i64,
    /// Time of this encoding.
    pub ts_publish: i64,
    /// What was proven.
    pub integrity: Integrity,
    /// Bits that qualify the record.
    pub flags: UpdateFlags,
    /// The venue's number that comes before this record.
    pub venue_sequence_previous: Option<u64>,
    /// The venue's number of this record.
    pub venue_sequence: Option<u64>,
}

/// Appends one `Update` with the payload field `number`, whose content `payload` appends.
///
/// `length_expected` is a guess of the payload's length, see [`field::delimited`].
#[inline]
pub fn update<R>(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    exponents: Exponents,
    number: u32,
    length_expected: usize,
    payload: impl FnOnce(&mut Vec<u8>) -> R,
) -> R {
    head(out, header, exponents);
    if number <= NUMBER_EARLY_MAX {
        let outcome = field::delimited(out, number, length_expected, payload);
        tail(out, header);
        outcome
    } else {
        tail(out, header);
        field::delimited(out, number, length_expected, payload)
    }
}

/// Appends fields 1 to 12.
#[inline]
fn head(out: &mut Vec<u8>, header: &Header<'_>, exponents: Exponents) {
    field::bytes(out, 1, header.venue.as_bytes());
    field::bytes(out, 2, header.symbol.as_bytes());
    field::uint(out, 3, header.channel as u64);
    field::uint(out, 4, u64::from(header.epoch));
    field::uint(out, 5, header.seq);
    field::time(out, 6, header.ts_event);
    field::time(out, 7, header.ts_recv);
    field::time(out, 8, header.ts_publish);
    field::uint(out, 9, header.integrity as u64);
    field::uint(out, 10, u64::from(header.flags.0));
    field::sint(out, 11, i64::from(exponents.price));
    field::sint(out, 12, i64::from(exponents.quantity));
}

/// Appends fields 16 to 18.
#[inline]
fn tail(out: &mut Vec<u8>, header: &Header<'_>) {
    field::bytes(out, 16, header.variant.as_bytes());
    field::optional_uint(out, 17, header.venue_sequence_previous);
    field::optional_uint(out, 18, header.venue_sequence);
}
