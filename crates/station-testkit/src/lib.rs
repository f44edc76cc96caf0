//! Fakes for Station's tests: what stands in for the outside, true to its protocols.

pub mod aimock;
pub mod fake_server;
pub mod issuer;
pub mod oidc;
pub mod openai;
pub mod postgres;
