//! Rows over plans: files and a store in, changes and problems out.

mod agents;
mod scene;
mod servers;
mod whole;
