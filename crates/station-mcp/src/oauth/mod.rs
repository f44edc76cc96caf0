//! OAuth 2.1 in both roles: logging in at a remote server, and looking at the tokens that are shown to ours.
//!
//! What to ask and what to believe is `station_core::oauth`'s; when, and what is kept, is `station-engine`'s. Ours rather
//! than a crate's, because most of the work is in what crates do not do: the addresses of metadata are chosen by
//! strangers, so each request goes through [`Web`], which looks at where a name leads before anything is sent
//! (docs/decisions/0012). **Invariants:** no token, code or secret is in an error, in a log or in an argument of a
//! process; nothing here follows a redirect with a secret.

mod browser;
mod device;
mod find;
mod grant;
mod guard;
mod keys;
mod redirect;
mod signature;
mod tokens;
mod web;

pub use browser::open_browser;
pub use device::{Device, ask_device, wait_device};
pub use find::{Found, find};
pub use grant::{Asked, NotRenewed, ask, exchange, give_back, register, renew};
pub use keys::IssuerKeys;
pub use redirect::Redirect;
pub use tokens::Tokens;
pub use web::Web;
