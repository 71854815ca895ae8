//! What venues send and are asked: bytes in, events out, and requests.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod ask;
mod binance;
mod checksums;
mod coinbase_advanced;
mod coinbase_exchange;
mod damage;
mod forms;
mod hostile_okx_and_coinbase;
mod kraken;
mod okx;
#[path = "../reading/mod.rs"]
mod reading;
#[path = "../recording/mod.rs"]
mod recording;
mod recordings;
mod rest;
#[path = "../witness/mod.rs"]
mod witness;
