//! Serving: what a [`Host`] offers, as an MCP server of both protocol eras.
//!
//! A message is read (`frame`), its era is settled (`version`), it is answered by the host's words (`answer`), and a
//! transport carries it (`stdio`, `http`). The modern era keeps nothing between two requests: each says its version and
//! what its client can do. The legacy era begins with `initialize`; both may share one pipe.
//!
//! Ours and not rmcp's server, see docs/decisions/0009: messages stay JSON, so that whatever a host passes on arrives
//! whole, and every broken message has an answer. **Invariant:** an error of the protocol means that the protocol was
//! broken; everything else that goes wrong is a result of the host's with a sentence in it.

mod answer;
mod asked;
mod dialog;
mod fault;
pub(crate) mod frame;
mod host;
mod http;
pub(crate) mod lines;
mod listen;
mod stdio;
pub(crate) mod version;

pub(crate) use asked::LEVEL_KEY;
pub use asked::{Asked, Input};
pub(crate) use dialog::Level;
pub use fault::Fault;
pub use frame::Written;
pub use host::{About, Answer, Change, Completing, Host, Listing, Outcome, Subject, Task, Wanted};
pub use http::{Endpoint, Headers, Sent};
pub use stdio::serve_stdio;
