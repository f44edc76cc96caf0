//! The models against stand-ins: one binary.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on panics, and `Expect` is written in place"
)]

mod aimock;
mod choose;
mod conversation;
mod dialect;
mod dialects;
mod failures;
mod retry;
mod scripted;
mod stage;
