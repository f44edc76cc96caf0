//! Settings: flags, environment and config.yaml, read once and turned into what they mean.
//!
//! The order is always the same: the command line, then the environment, then config.yaml, then the default.
//! **Invariant:** nobody else in the workspace reads an environment variable.

mod engine;
mod environment;
mod handed;
mod http;
mod load;
mod models;
mod oauth;
mod ports;
mod show;
mod tls;

pub(crate) use engine::host;
pub(crate) use environment::Environment;
pub(crate) use load::{FolderFrom, Settings};
pub(crate) use ports::{API_HOST, Ports};
pub(crate) use show::{Setting, settings};
