//! An editor: the one program that a person works in while Station waits.
//!
//! It has the terminal, so it is not under the shim, and ends with the person's session like any program of theirs.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

/// Has a person edit `file` with `editor`, which is written as in `$EDITOR`: a command of the shell, with its arguments. None of the
/// variables in `hidden` reaches it. How it ended.
///
/// # Errors
/// Where there is no shell.
pub async fn edit(editor: &str, file: &Path, hidden: &[&str]) -> io::Result<ExitStatus> {
    let mut command = std::process::Command::new("sh");
    // As git has it: what is typed for an editor may have arguments and quotes, and the file is none of its words.
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(file);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    for name in hidden {
        command.env_remove(name);
    }
    tokio::process::Command::from(command).status().await
}
