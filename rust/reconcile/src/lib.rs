//! What several sources say becomes one answer, with a verdict on each of them.
//!
//! Pure: no clock, no I/O, no logging. Prices are exact from text to text; only confidence and deviation are
//! floating-point numbers, made of exact integers in order of price, so that the same quotes give the same bits in
//! whatever order they come.

mod bars;
mod evidence;
mod middle;
mod prices;
mod quote;
mod rules;

pub use bars::{Bar, BarReconciler, BarVerdict};
pub use evidence::{Outcome, Reason};
pub use prices::{Reconciler, Verdict};
pub use quote::{PRICE_MAX, PRICE_MIN, Quote, check_price, convert, read_price};
pub use rules::{Method, Rules, RulesError};
