//! The HTTP door. For now only the shapes it shares with the command line: [`wire`].

pub mod wire;
