//! A worker's Unix socket: how other commands of the same person on the same store reach it.
//!
//! What must be true is in the store; over the socket comes only what makes it sooner: there is work, there is a wish
//! to end a run, something happened in this run, and the text of models, which is kept nowhere. So nothing that is
//! said here can harm: at worst somebody looks at the store for nothing. It is a convenience of one machine: where it
//! cannot be had, the store is looked at now and then, and on PostgreSQL, whose workers may be anywhere, it is not
//! used. One JSON object per line; versioned; every line has a longest size and every wait an end.
//! **Invariants:** only the same user is listened to, and no tool server that is kept in a sandbox, and only the same user's socket is spoken to; a socket of a
//! living process is never taken from it.

mod dial;
mod listen;
mod place;
mod wire;

pub(crate) use dial::Line;
pub use listen::Sockets;
pub(crate) use wire::{Ask, Said};
