//! The doors for programs: the shapes that they share with the command line ([`wire`]), Station's own MCP server
//! ([`tools`]), an environment as one ([`gateway`]), and the HTTP door ([`http`]).
//!
//! A door takes in, calls a verb of the engine, and wraps what comes back; it decides nothing. What this crate is not: it
//! speaks no protocol by itself (`station-mcp` does), and reads no setting.

pub mod api;
pub mod gateway;
pub mod http;
mod pages;
pub mod tools;
pub mod wire;
