//! The Station of a server, asked over HTTP in place of that of this machine (`--server`, STN_SERVER).
//!
//! An operation is asked for by the table that the server answers by (`station_server::api`), and its answer is read into the shapes that
//! `--json` prints: what is shown of it is shown by the same lines as here. What this is not: it decides nothing, and keeps nothing but the keys that
//! `stn login` was given.
//!
//! **Invariant:** a key goes to the address it was kept for, over TLS or within this machine, unless somebody said otherwise; no redirect and no
//! proxy of the environment is followed, and no message tells a key.

mod address;
mod answer;
mod events;
mod follow;
mod logins;
mod only_here;
mod server;

pub(crate) use address::Address;
pub(crate) use follow::{Begun, attend, follow, handed, to_its_end};
pub(crate) use logins::{Login, Logins};
pub(crate) use only_here::{OnlyHere, only_option};
pub(crate) use server::{Server, Target};
