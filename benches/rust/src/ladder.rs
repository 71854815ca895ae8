//! A book as plain as can be: quantity by price. Slow and obviously right.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

const UNITS: i64 = 100_000_000;

/// A side of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Buyers.
    Bid,
    /// Sellers.
    Ask,
}

/// Levels of one instrument; prices and quantities in units of 1e-8.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Ladder {
    /// Sets a level; quantity 0 deletes it.
    pub fn set(&mut self, side: Side, price: i64, quantity: i64) {
        let levels = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        if quantity == 0 {
            levels.remove(&price);
        } else {
            levels.insert(price, quantity);
        }
    }

    /// Returns a side's levels, best first.
    #[must_use]
    pub fn levels(&self, side: Side) -> Vec<(i64, i64)> {
        match side {
            Side::Bid => self
                .bids
                .iter()
                .rev()
                .map(|(&px, &qty)| (px, qty))
                .collect(),
            Side::Ask => self.asks.iter().map(|(&px, &qty)| (px, qty)).collect(),
        }
    }

    /// Returns the hex SHA-256 of the canonical text (CONTRACT, "Hash").
    #[must_use]
    pub fn digest(&self) -> String {
        let mut lines = Vec::with_capacity(self.bids.len() + self.asks.len());
        for (name, side) in [("b", Side::Bid), ("a", Side::Ask)] {
            for (price, quantity) in self.levels(side) {
                lines.push(format!("{name},{},{}", plain(price), plain(quantity)));
            }
        }
        Sha256::digest(lines.join("\n"))
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                let _infallible = write!(hex, "{byte:02x}");
                hex
            })
    }
}

/// Writes a number of 1e-8 units without needless zeros.
fn plain(units: i64) -> String {
    let (whole, part) = (units / UNITS, units % UNITS);
    let text = format!("{whole}.{part:08}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_contract_has_its_digest() {
        let mut ladder = Ladder::default();
        ladder.set(Side::Ask, 6_160_202_000_000, 266_795_000);
        ladder.set(Side::Bid, 6_160_200_000_000, 50_000_000);
        ladder.set(Side::Bid, 6_160_201_000_000, 167_177_000);
        ladder.set(Side::Bid, 6_160_199_000_000, 1);
        ladder.set(Side::Bid, 6_160_199_000_000, 0);
        let vector = "ca17416e9010662095b9158f0323a6446cdfa1fa385097617cd356a57e077c2b";
        assert_eq!(ladder.digest(), vector);
    }
}
