//! As much of `datafacade.v1` as judging a book stream needs, read by hand: independent of the generated code.

use facade_benches::{Ladder, Side};

const GRPC_HEAD_BYTES: usize = 5;

/// A field's value.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// What an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// `BookDelta`.
    Delta,
    /// `BookSnapshot`.
    Snapshot,
    /// `Gap`: something was lost.
    Gap,
    /// `StreamState`.
    State,
    /// `SubscriptionStatus`.
    Status,
    /// `DeliveryChange`: something was skipped, or will be.
    DeliveryChange,
    /// Takes no number of its own.
    #[default]
    Other,
}

/// The outer fields of one `Update`.
#[derive(Clone, Copy, Default)]
pub struct Update<'a> {
    /// Canonical symbol.
    pub symbol: &'a [u8],
    /// Number in the topic.
    pub seq: u64,
    /// Bits of `UpdateFlag`.
    pub flags: u64,
    /// The venue's last id.
    pub venue_sequence: u64,
    /// What it is.
    pub kind: Kind,
    price_exponent: i64,
    quantity_exponent: i64,
    payload: &'a [u8],
}

impl<'a> Update<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let mut update = Self::default();
        let mut rest = bytes;
        while let Some((field, value)) = next_field(&mut rest) {
            match (field, value) {
                (2, Value::Bytes(symbol)) => update.symbol = symbol,
                (5, Value::Number(seq)) => update.seq = seq,
                (10, Value::Number(flags)) => update.flags = flags,
                (11, Value::Number(exponent)) => update.price_exponent = zigzag(exponent),
                (12, Value::Number(exponent)) => update.quantity_exponent = zigzag(exponent),
                (18, Value::Number(sequence)) => update.venue_sequence = sequence,
                (13 | 20 | 24 | 25 | 30 | 31, Value::Bytes(payload)) => {
                    update.kind = kind(field);
                    update.payload = payload;
                }
                _ => {}
            }
        }
        update
    }

    /// Whether a status says that records follow.
    pub fn is_accepted(&self) -> bool {
        let mut rest = self.payload;
        std::iter::from_fn(|| next_field(&mut rest))
            .any(|field| matches!(field, (3, Value::Number(1))))
    }

    /// Changes a book as the delta or the snapshot says.
    pub fn apply(&self, ladder: &mut Ladder) {
        if self.kind == Kind::Snapshot {
            *ladder = Ladder::default();
        }
        let (mut columns, mut rest) = ([&[][..]; 4], self.payload);
        while let Some((field, value)) = next_field(&mut rest) {
            let at = usize::try_from(field)
                .ok()
                .and_then(|field| field.checked_sub(1));
            let place = at.and_then(|at| columns.get_mut(at));
            if let (Some(place), Value::Bytes(column)) = (place, value) {
                *place = column;
            }
        }
        let [bid_prices, bid_quantities, ask_prices, ask_quantities] = columns;
        for (side, mut prices, mut quantities) in [
            (Side::Bid, bid_prices, bid_quantities),
            (Side::Ask, ask_prices, ask_quantities),
        ] {
            while let (Some(price), Some(quantity)) = (varint(&mut prices), varint(&mut quantities))
            {
                let price = units(zigzag(price), self.price_exponent);
                ladder.set(side, price, units(zigzag(quantity), self.quantity_exponent));
            }
        }
    }
}

/// Calls `each` for every update of the whole messages at the front of `buffer`; returns how long these are.
pub fn take_messages<'a>(buffer: &'a [u8], mut each: impl FnMut(Update<'a>)) -> usize {
    let mut rest = buffer;
    while let Some((head, behind)) = rest.split_at_checked(GRPC_HEAD_BYTES) {
        let length = head
            .iter()
            .skip(1)
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        let Some((mut message, next)) = behind.split_at_checked(length) else {
            break;
        };
        while let Some((field, value)) = next_field(&mut message) {
            if let (4, Value::Bytes(update)) = (field, value) {
                each(Update::read(update));
            }
        }
        rest = next;
    }
    buffer.len() - rest.len()
}

fn kind(field: u64) -> Kind {
    match field {
        13 => Kind::Delta,
        20 => Kind::Snapshot,
        24 => Kind::Gap,
        25 => Kind::State,
        30 => Kind::Status,
        _ => Kind::DeliveryChange,
    }
}

fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(rest)?),
        1 => Value::Number(fixed(rest, 8)?),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (bytes, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            Value::Bytes(bytes)
        }
        5 => Value::Number(fixed(rest, 4)?),
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn fixed(rest: &mut &[u8], length: usize) -> Option<u64> {
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    )
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Returns a mantissa in units of 1e-8.
fn units(mantissa: i64, exponent: i64) -> i64 {
    let shift = u32::try_from(exponent + 8).unwrap_or(0);
    mantissa * 10_i64.pow(shift)
}
