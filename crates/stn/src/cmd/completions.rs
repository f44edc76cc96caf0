//! `stn completions`

use crate::cli;
use crate::error::{Code, Result};
use crate::out::Out;
use clap_complete::{Shell, generate};

/// Print a script that completes commands and options in your shell
///
/// bash: `stn completions bash > ~/.local/share/bash-completion/completions/stn`. zsh: into a folder of `$fpath`, as
/// `_stn`. fish: `stn completions fish > ~/.config/fish/completions/stn.fish`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result {
        let mut script = Vec::new();
        generate(self.shell, &mut cli::command(), "stn", &mut script);
        out.verbatim(&String::from_utf8_lossy(&script))?;
        Ok(Code::Done)
    }
}
