//! Changes to files that are there: replaced, removed, an environment's folder with all of them.

use super::Workspace;
use super::folder::list;
use super::write::{fresh_id, sync_folder, unwritable, write};
use crate::FolderLock;
use crate::Replace;
use nix::unistd::{AccessFlags, access};
use station_core::{AgentName, EnvironmentName, Error, Result};
use std::fs;
use std::path::PathBuf;

/// What came of putting one text in place of another.
#[must_use = "a file that was not written is no file that says what it should"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// The file says what it should.
    Done,
    /// It is not as it was read: somebody else wrote it meanwhile, and it was left as it is.
    Moved,
}

impl Workspace {
    /// The path of a file that is shown relative to the workspace.
    pub(crate) fn path_of(&self, shown: &str) -> PathBuf {
        self.root.join(shown)
    }

    /// Puts `after` in place of a file's text, or removes the file; `shown` is its path relative to the workspace.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(crate) fn replace(&self, shown: &str, before: Option<&str>, after: Option<&str>) -> Result<Replaced> {
        let path = self.root.join(shown);
        if after == before {
            return Ok(Replaced::Done);
        }
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
        // Others of ours wait for each other here; an editor does not, and what it wrote until now is seen.
        let _lock = FolderLock::wait(folder);
        if !self.is_as(shown, before) {
            return Ok(Replaced::Moved);
        }
        match (before, after) {
            (None, Some(after)) => write(&path, after, Replace::Refused),
            // Behind a link is the file that is meant.
            (_, Some(after)) => write(&fs::canonicalize(&path).unwrap_or(path), after, Replace::Allowed),
            (_, None) => {
                fs::remove_file(&path).map_err(|error| unwritable(&path, error))?;
                sync_folder(&path)
            }
        }?;
        Ok(Replaced::Done)
    }

    /// Renames an agent's file, and has it say `after`. In between it says what it did under its new name, which the next
    /// sync takes for the same agent.
    ///
    /// # Errors
    /// `Conflict` where there is a file of the new name; where the files cannot be written.
    pub(crate) fn rename_agent(
        &self,
        environment: &EnvironmentName,
        (was, before): (&AgentName, &str),
        (name, after): (&AgentName, &str),
    ) -> Result<Replaced> {
        let shown = |name: &AgentName| format!("environments/{environment}/{}", Self::agent_path(name));
        let (from, to) = (self.root.join(shown(was)), self.root.join(shown(name)));
        let _lock = from.parent().map(FolderLock::wait);
        if !self.is_as(&shown(was), Some(before)) {
            return Ok(Replaced::Moved);
        }
        if fs::symlink_metadata(&to).is_ok() {
            return Err(Error::conflict(format!("the file {} exists already", to.display())));
        }
        fs::rename(&from, &to).map_err(|error| unwritable(&from, error))?;
        if after == before {
            sync_folder(&to)?;
        } else {
            write(&fs::canonicalize(&to).unwrap_or(to), after, Replace::Allowed)?;
        }
        Ok(Replaced::Done)
    }

    /// Whether a file says `text` now, or is not there where that is `None`.
    pub(crate) fn is_as(&self, shown: &str, text: Option<&str>) -> bool {
        let path = self.root.join(shown);
        match text {
            Some(text) => fs::read_to_string(path).is_ok_and(|now| now == text),
            None => fs::symlink_metadata(path).is_err(),
        }
    }

    /// What is said where a file is never left alone for long enough to be changed.
    pub(crate) fn never_still(&self, shown: &str) -> Error {
        let path = self.root.join(shown);
        Error::conflict(format!("the file {} is changed by others all the time", path.display()))
            .with_hint("try again once they are done: nothing was changed here")
    }

    /// Removes an environment's folder with all that is in it; a link to a folder elsewhere is removed alone. `None`
    /// where there is none.
    pub(crate) fn remove_environment(&self, environment: &EnvironmentName) -> Result<Option<PathBuf>> {
        let folder = self.environment_folder(environment);
        if fs::symlink_metadata(&folder).is_err() {
            return Ok(None);
        }
        // Renamed first: what is left of a removal that was interrupted is hidden, and no environment.
        let aside = self.environments_folder().join(format!(".{environment}.{}", fresh_id()?));
        fs::rename(&folder, &aside).map_err(|error| unwritable(&folder, error))?;
        if aside.is_symlink() { fs::remove_file(&aside) } else { fs::remove_dir_all(&aside) }
            .map_err(|error| unwritable(&aside, error))?;
        sync_folder(&folder)?;
        Ok(Some(folder))
    }

    /// Whether new files may be written into an environment's folder, as far as can be told without trying.
    pub(crate) fn takes_files(&self, environment: &EnvironmentName) -> bool {
        let folder = self.environment_folder(environment);
        let there = folder.ancestors().find(|folder| folder.exists());
        let may_write = there.is_none_or(|there| access(there, AccessFlags::W_OK).is_ok());
        !self.is_read_only() && may_write
    }

    /// Names of every file in an environment's folder that defines something, relative to the workspace.
    pub(crate) fn files_of(&self, environment: &EnvironmentName) -> Result<Vec<String>> {
        let folder = self.environment_folder(environment);
        let mut files = Vec::new();
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for path in list(&folder)? {
                match fs::symlink_metadata(&path) {
                    Ok(found) if found.is_dir() => folders.push(path),
                    _ => files.push(path.strip_prefix(&self.root).unwrap_or(&path).display().to_string()),
                }
            }
        }
        files.sort();
        Ok(files)
    }
}
