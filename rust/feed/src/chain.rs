//! The venues' rules of continuity, as pure functions over sequence numbers (DESIGN 4, CAPTURE "Bridging").

use facade_venues::{Product, Sequence};

/// Which numbers of a book message must join up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainRule {
    /// `U == last + 1`; an overlap that brings something new is accepted.
    BinanceSpot,
    /// `pu == last`.
    BinanceFutures,
    /// `prevSeqId == last`, whatever `seqId` is: resets and keep-alives are legal.
    Okx,
    /// The connection counts; a message of this book is always next once the connection's count holds.
    Connection,
    /// The protocol has no numbers.
    None,
}

/// Where the first state of a book comes from, and a fresh one after a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotSource {
    /// A REST answer, bridged to the buffered deltas.
    Rest,
    /// The answer to a subscription: unsubscribe, wait, subscribe.
    Resubscribe,
    /// As [`SnapshotSource::Resubscribe`], but a hole in the connection's count drops the connection.
    Reconnect,
}

/// How a message stands to the last applied one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The successor: proven.
    Joined,
    /// Already contained.
    Old,
    /// Something is missing in between.
    Broken,
    /// There is no number to check.
    Unproven,
}

impl ChainRule {
    /// Returns the rule of a product's book.
    #[must_use]
    pub const fn of(product: Product) -> Self {
        match product {
            Product::BinanceSpot => Self::BinanceSpot,
            Product::BinanceUsdm | Product::BinanceCoinm => Self::BinanceFutures,
            Product::Okx => Self::Okx,
            Product::CoinbaseAdvanced => Self::Connection,
            _ => Self::None,
        }
    }

    /// Whether REST books carry numbers of this chain.
    #[must_use]
    pub const fn numbers_rest(self) -> bool {
        matches!(self, Self::BinanceSpot | Self::BinanceFutures)
    }

    /// Judges a delta against the last applied number.
    #[must_use]
    pub fn link(self, last: Option<u64>, sequence: &Sequence) -> Link {
        match self {
            Self::BinanceSpot => match (last, sequence.first, sequence.last) {
                (Some(last), Some(_), Some(u)) if u <= last => Link::Old,
                (Some(last), Some(first), Some(_)) if first <= last.saturating_add(1) => Link::Joined,
                _ => Link::Broken,
            },
            Self::BinanceFutures => match (last, sequence.previous, sequence.last) {
                (Some(last), Some(previous), Some(_)) if previous == last => Link::Joined,
                (Some(last), _, Some(u)) if u <= last => Link::Old,
                _ => Link::Broken,
            },
            Self::Okx => match (last, sequence.previous, sequence.last) {
                (_, None, None) => Link::Unproven,
                (Some(last), Some(previous), Some(_)) if previous == last => Link::Joined,
                _ => Link::Broken,
            },
            Self::Connection => Link::Joined,
            Self::None => Link::Unproven,
        }
    }

    /// Judges a buffered delta against the number of a REST snapshot: [`Link::Broken`] means that the snapshot
    /// is older than the delta's beginning.
    #[must_use]
    pub fn bridge(self, snapshot: u64, sequence: &Sequence) -> Link {
        let (Some(first), Some(last)) = (sequence.first, sequence.last) else { return Link::Broken };
        let (is_old, joins) = match self {
            Self::BinanceFutures => (last < snapshot, first <= snapshot),
            _ => (last <= snapshot, first <= snapshot.saturating_add(1)),
        };
        match (is_old, joins) {
            (true, _) => Link::Old,
            (false, true) => Link::Joined,
            (false, false) => Link::Broken,
        }
    }
}

impl SnapshotSource {
    /// Returns where a product's books come from.
    #[must_use]
    pub const fn of(product: Product) -> Self {
        match product {
            Product::BinanceSpot | Product::BinanceUsdm | Product::BinanceCoinm => Self::Rest,
            Product::CoinbaseAdvanced => Self::Reconnect,
            _ => Self::Resubscribe,
        }
    }
}

/// Returns the number that a message joins: the last applied one, or what the venue says where it counts more than
/// this book. A message that overlaps what was applied still joins the last number.
#[must_use]
pub const fn previous_of(rule: ChainRule, last: Option<u64>, sequence: &Sequence) -> Option<u64> {
    match rule {
        ChainRule::Connection | ChainRule::None => sequence.previous,
        _ => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn numbers(first: u64, last: u64) -> Sequence {
        Sequence { first: Some(first), last: Some(last), previous: None }
    }

    const fn chained(previous: u64, last: u64) -> Sequence {
        Sequence { first: None, last: Some(last), previous: Some(previous) }
    }

    #[test]
    fn binance_worked_example_of_the_sheet_holds() {
        let rule = ChainRule::BinanceSpot;
        assert_eq!(rule.bridge(100, &numbers(95, 98)), Link::Old);
        assert_eq!(rule.bridge(100, &numbers(99, 101)), Link::Joined);
        assert_eq!(rule.link(Some(101), &numbers(102, 102)), Link::Joined);
        assert_eq!(rule.link(Some(102), &numbers(104, 105)), Link::Broken);
        assert_eq!(rule.bridge(100, &numbers(101, 103)), Link::Joined);
        assert_eq!(rule.bridge(100, &numbers(102, 103)), Link::Broken);
    }

    #[test]
    fn futures_keep_the_event_that_ends_at_the_snapshot() {
        assert_eq!(ChainRule::BinanceFutures.bridge(100, &numbers(90, 99)), Link::Old);
        assert_eq!(ChainRule::BinanceFutures.bridge(100, &numbers(90, 100)), Link::Joined);
        assert_eq!(ChainRule::BinanceFutures.bridge(100, &numbers(101, 110)), Link::Broken);
        assert_eq!(ChainRule::BinanceFutures.link(Some(149), &chained(149, 160)), Link::Joined);
        assert_eq!(ChainRule::BinanceFutures.link(Some(149), &chained(150, 160)), Link::Broken);
        assert_eq!(ChainRule::BinanceFutures.link(Some(149), &chained(140, 149)), Link::Old);
    }

    #[test]
    fn overlap_joins_the_last_number_that_was_told() {
        let overlap = numbers(95, 110);
        assert_eq!(ChainRule::BinanceSpot.link(Some(100), &overlap), Link::Joined);
        assert_eq!(previous_of(ChainRule::BinanceSpot, Some(100), &overlap), Some(100));
        assert_eq!(previous_of(ChainRule::Connection, Some(90), &chained(99, 100)), Some(99));
        assert_eq!(previous_of(ChainRule::None, None, &Sequence::default()), None);
    }

    #[test]
    fn row_b03_okx_example_chain_with_reset_and_keep_alive_holds() {
        let mut last = Some(10);
        for (previous, next) in [(10, 15), (15, 15), (15, 3), (3, 5), (5, 9)] {
            assert_eq!(ChainRule::Okx.link(last, &chained(previous, next)), Link::Joined);
            last = Some(next);
        }
        assert_eq!(ChainRule::Okx.link(last, &chained(12, 14)), Link::Broken);
        assert_eq!(ChainRule::Okx.link(last, &Sequence::default()), Link::Unproven);
    }
}
