//! What the encoder writes, read by an independent decoder that knows the contract from its descriptor set.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod absent;
mod enums;
mod exponents;
mod given;
mod golden;
mod reader;
mod round_trip;
