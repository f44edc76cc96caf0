//! The engine as a door would use it: a real store, real MCP servers as children, and a model that was scripted.

mod api_keys;
mod approvals;
mod brought_back;
mod budgets;
mod discovery;
mod environments;
mod failures;
mod files;
mod home;
mod models;
mod pace;
mod pool;
mod retention;
mod rotation;
mod runs;
mod sampling;
mod serve;
mod server_keys;
mod sub_agents;
mod tokens;
