//! Changes to files that are there: replaced, removed, an environment's folder with all of them.

use super::Workspace;
use super::folder::list;
use super::write::{Replace, fresh_id, sync_folder, unwritable, write};
use crate::FolderLock;
use nix::unistd::{AccessFlags, access};
use station_core::{EnvironmentName, Error, Result};
use std::fs;
use std::path::PathBuf;

impl Workspace {
    /// The path of a file that is shown relative to the workspace.
    pub(crate) fn path_of(&self, shown: &str) -> PathBuf {
        self.root.join(shown)
    }

    /// Puts `after` in place of a file's text, or removes the file; `shown` is its path relative to the workspace.
    ///
    /// # Errors
    /// `Conflict` where the file is not as `before` says: somebody else wrote it meanwhile.
    pub(crate) fn replace(&self, shown: &str, before: Option<&str>, after: Option<&str>) -> Result<()> {
        let path = self.root.join(shown);
        let (Some(before), after) = (before, after) else {
            let Some(after) = after else { return Ok(()) };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| unwritable(parent, error))?;
            }
            return write(&path, after, Replace::Refused);
        };
        if after == Some(before) {
            return Ok(());
        }
        // Others of ours wait for each other here; an editor does not, and what it wrote until now is seen.
        let _lock = FolderLock::wait(path.parent().unwrap_or(&self.root));
        if fs::read_to_string(&path).ok().as_deref() != Some(before) {
            let sentence =
                format!("the file {} was changed meanwhile, so it was left as it is", path.display());
            return Err(Error::conflict(sentence).with_hint("try again: it is read anew"));
        }
        match after {
            // Behind a link is the file that is meant.
            Some(after) => write(&fs::canonicalize(&path).unwrap_or(path), after, Replace::Allowed),
            None => {
                fs::remove_file(&path).map_err(|error| unwritable(&path, error))?;
                sync_folder(&path)
            }
        }
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
