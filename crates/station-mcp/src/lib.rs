//! The tools' wire: MCP in both directions and both protocol eras, and the child processes behind it.
//!
//! Nobody else in Station knows rmcp or starts a process. As a client: a resolved
//! [`Definition`](station_core::Definition) goes in, a [`Connection`] comes out that can list and call. As a server:
//! [`serve`] speaks for whatever a [`serve::Host`] offers. It decides
//! nothing about who may call what: the one gate is `station-engine`'s, and a call is sent here exactly once.
//! **Invariant:** no rmcp type in a public signature; no process is started but under the [`shim`], or
//! for a person who sees it: a browser, an editor.

mod census;
mod client;
mod convert;
mod editor;
#[doc(hidden)]
pub mod fuzz;
pub mod oauth;
mod outbound;
mod process;
pub mod sandbox;
pub mod serve;
pub mod shim;

pub use client::{
    Along, Asks, Bearer, CallEnd, ConnectError, Connection, Hearer, Hears, Launch, Passed, Question, Shim,
    Told, connect,
};
pub use convert::says_that_it_failed;
pub use editor::edit;
pub use process::{Process, is_kept, servers};
pub use shim::HANDED_FD;
