//! The edge as clients meet it: every test has a service and connections of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and times itself, its helpers too"
)]

mod delivery;
mod lifecycle;
mod limits;
mod parts;
mod repeats;
mod stream;
mod support;
mod unary;
