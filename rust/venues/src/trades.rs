//! Trades and tickers of REST answers, in the order and the form that frames have.

use facade_model::Trade;

use crate::scan::{Scanner, Step};
use crate::{DecodeErrorKind, Decoded, Event, Span, TradesEvent};

/// Reads an array of trades into one event, oldest first, whatever the venue's order.
pub(crate) fn read_trades(
    scanner: &mut Scanner<'_>,
    out: &mut Decoded,
    mut read: impl FnMut(&mut Scanner<'_>) -> Step<Trade>,
) -> Step<()> {
    if scanner.peek() == Some(b'{') {
        scanner.skip()?;
        return Err(DecodeErrorKind::Refused); // an object where rows should stand tells an error
    }
    let start = out.trades_mark();
    let mut rows = scanner.array()?;
    while rows.next(scanner)? {
        let trade = read(scanner)?;
        out.trades.push(trade);
    }
    push_event(start, out);
    Ok(())
}

/// Puts the trades from `start` on into order and makes them one event.
pub(crate) fn push_event(start: u32, out: &mut Decoded) {
    if let Some(new) = out.trades.get_mut(start as usize..) {
        new.sort_unstable_by_key(|trade| trade.id);
    }
    let trades = start..out.trades_mark();
    out.events.push(Event::Trades(TradesEvent { symbol: Span::default(), is_snapshot: true, trades }));
}

/// Moves to the next item of a row, which must be there.
pub(crate) fn next_item(
    row: &mut crate::scan::Array,
    scanner: &mut Scanner<'_>,
    name: &'static str,
) -> Step<()> {
    if row.next(scanner)? { Ok(()) } else { Err(DecodeErrorKind::Missing(name)) }
}

/// Passes over what else a row holds.
pub(crate) fn skip_rest(row: &mut crate::scan::Array, scanner: &mut Scanner<'_>) -> Step<()> {
    while row.next(scanner)? {
        scanner.skip()?;
    }
    Ok(())
}
