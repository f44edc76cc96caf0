//! Server files: JSON with `mcpServers`, in which variables may stand.
//!
//! `read` is for sync and listings: it needs no values, and what it tells of a server does not depend on them.
//! `resolve` is for the moment of connecting: one server, with every value. **Invariant:** no value of a variable is
//! ever in a problem, a hash or a name; and none can change the structure of a file (see `file::template`).

mod answers;
mod entry;
mod load;
mod oauth;
mod read;
mod resolve;
mod sandbox;
#[cfg(test)]
mod tests;

pub use read::{Declared, Entry, ServersFile, Use, looks_like, read};
pub use resolve::{Missing, Unresolved, resolve};

pub(super) use load::SERVER_KEYS as KEYS;
