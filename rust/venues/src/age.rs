//! How old a REST book is at most, where only its rows tell.

use crate::{Decoded, Product, kraken};

impl Product {
    /// Returns the newest time of the rows of a REST book, ns UTC: the book is not older than that.
    ///
    /// `None`: this venue's rows tell no times, or the body is no such answer. Source: Kraken `rest-api/get-order-book`,
    /// 2026-05-27; the other venues tell the time, or a number, of the whole book.
    ///
    /// # Examples
    /// ```
    /// use facade_venues::Product;
    ///
    /// let body = br#"{"error":[],"result":{"XXBTZUSD":{"asks":[["100.1","1",1762820248]],"bids":[["100.0","2",1762820250]]}}}"#;
    /// assert_eq!(Product::Kraken.newest_row(body), Some(1_762_820_250_000_000_000));
    /// assert_eq!(Product::Okx.newest_row(body), None);
    /// ```
    #[must_use]
    pub fn newest_row(self, body: &[u8]) -> Option<i64> {
        if self != Self::Kraken {
            return None;
        }
        let mut newest = None;
        let read = self.read(body, &mut Decoded::default(), |_, scanner, _| {
            newest = kraken::rest::newest_row(scanner)?;
            Ok(())
        });
        newest.filter(|_| read.is_ok())
    }
}
