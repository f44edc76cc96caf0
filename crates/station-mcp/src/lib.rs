//! The tools' wire: MCP as a client, in both protocol eras, and the child processes behind it.
//!
//! Nobody else in Station knows rmcp or starts a process. What crosses this crate's door are core's words: a resolved
//! [`Definition`](station_core::Definition) goes in, a [`Connection`] comes out that can list and call. It decides
//! nothing about who may call what: the one gate is `station-engine`'s, and a call is sent here exactly once.
//! **Invariant:** no rmcp type in a public signature; no process is started but under the [`shim`].

mod client;
mod convert;
mod process;
pub mod sandbox;
pub mod shim;

pub use client::{CallEnd, ConnectError, Connection, Launch, Shim, connect};
pub use process::Process;
