//! `stn man`

use crate::cli;
use crate::error::{Code, Result};
use crate::out::{Out, Tone};
use clap::Command;
use clap_mangen::Man;
use serde_json::json;
use station_core::{Error, plural};
use std::fs;
use std::path::{Path, PathBuf};

/// Write the manual pages into a folder
///
/// One page for each command, made of what `--help` says: `stn man ~/.local/share/man/man1`, then `man stn-agent-run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder; made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result {
        let failed = |path: &Path, cause: std::io::Error| {
            Error::invalid(format!("{} cannot be written: {}", path.display(), cause.kind()))
                .with_cause(cause)
        };
        fs::create_dir_all(&self.folder).map_err(|cause| failed(&self.folder, cause))?;
        let mut root = cli::command().disable_help_subcommand(true);
        // Gives each command the name that is typed.
        root.build();
        let pages = pages(&root);
        for (name, text) in &pages {
            let path = self.folder.join(name);
            fs::write(&path, text).map_err(|cause| failed(&path, cause))?;
        }
        if out.is_json() {
            let names: Vec<&String> = pages.iter().map(|(name, _)| name).collect();
            out.json(&json!({ "pages": names, "count": names.len() }))?;
        } else {
            let written = plural(pages.len(), "page");
            out.note(Tone::Good, &format!("Wrote {written} into {}.", self.folder.display()));
        }
        Ok(Code::Done)
    }
}

/// The pages of a command and of those below it, by the names of their files.
fn pages(command: &Command) -> Vec<(String, Vec<u8>)> {
    let man =
        Man::new(command.clone()).source(concat!("Station ", env!("CARGO_PKG_VERSION"))).manual("Station");
    let mut text = Vec::new();
    man.render(&mut text).expect("a Vec takes everything");
    let below = command.get_subcommands().filter(|below| !below.is_hide_set()).flat_map(pages);
    std::iter::once((man.get_filename(), text)).chain(below).collect()
}
