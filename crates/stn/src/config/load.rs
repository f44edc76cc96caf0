//! Where settings are, and what config.yaml says.

use super::Environment;
use station_core::file::{Problem, config};
use station_core::{Error, Redaction, Result, Secret};
use std::path::{Path, PathBuf};

/// Where the configuration folder was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FolderFrom {
    Flag,
    StationConfigDir,
    XdgConfigHome,
    Home,
}

impl FolderFrom {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "--config",
            Self::StationConfigDir => "STATION_CONFIG_DIR",
            Self::XdgConfigHome => "XDG_CONFIG_HOME",
            Self::Home => "default",
        }
    }
}

/// Everything that was told, before anything is made of it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The configuration folder: config.yaml, key, database, and environments where `workspace` says nothing else.
    pub(crate) folder: PathBuf,
    /// Where that was named.
    pub(crate) folder_from: FolderFrom,
    /// config.yaml; it may not exist.
    pub(crate) file: PathBuf,
    /// What it says.
    pub(crate) config: config::Config,
    /// Notes and warnings about it.
    pub(crate) problems: Vec<Problem>,
    /// The process environment.
    pub(crate) environment: Environment,
}

impl Settings {
    /// Finds and reads config.yaml; a missing one says nothing.
    ///
    /// # Errors
    /// `Invalid` where it cannot be read or understood, or where no place for it can be found.
    pub(crate) fn load(flag: Option<&Path>, environment: Environment) -> Result<Self> {
        let (folder, file, folder_from) = place(flag, &environment)?;
        let text = station_engine::settings::text(&file)?;
        let (config, problems) = config::read(&text, &file.display().to_string());
        let config = config.ok_or_else(|| refused(&file, &problems))?;
        Ok(Self { folder, folder_from, file, config, problems, environment })
    }

    /// These settings, as config.yaml says them now.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn reread(&self) -> Result<Self> {
        Self::load(Some(&self.file), self.environment.clone())
    }

    /// The settings of a place, as if its config.yaml said nothing.
    ///
    /// # Errors
    /// `Invalid` where no place for it can be found.
    pub(crate) fn at(flag: Option<&Path>, environment: Environment) -> Result<Self> {
        let (folder, file, folder_from) = place(flag, &environment)?;
        let (config, problems) = (config::Config::default(), Vec::new());
        Ok(Self { folder, folder_from, file, config, problems, environment })
    }

    /// Every secret that these settings hold: to be taken out of what is told.
    pub(crate) fn secrets(&self) -> Redaction {
        let config = &self.config;
        let written = [&config.ai_api_key, &config.database_url, &config.encryption_key];
        let written = written.into_iter().flatten().map(Secret::expose);
        Redaction::of(written.chain(self.environment.secrets()))
    }

    /// A path as written in config.yaml: `~` is the home folder, a relative path begins at the configuration folder.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        self.folder.join(at_home(written, &self.environment))
    }

    /// The folder that holds `environments/`.
    pub(crate) fn root(&self) -> PathBuf {
        self.config.workspace.as_deref().map_or_else(|| self.folder.clone(), |written| self.path(written))
    }
}

fn place(flag: Option<&Path>, environment: &Environment) -> Result<(PathBuf, PathBuf, FolderFrom)> {
    let within = |folder: PathBuf, from| (folder.join("config.yaml"), folder, from);
    let (file, folder, from) = if let Some(flag) = flag {
        let path = absolute(flag)?;
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if path.is_file() || (is_yaml && !path.is_dir()) {
            let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
            (path, folder, FolderFrom::Flag)
        } else {
            within(path, FolderFrom::Flag)
        }
    } else if let Some(folder) = environment.get("STATION_CONFIG_DIR") {
        within(absolute(&at_home(folder, environment))?, FolderFrom::StationConfigDir)
    } else if let Some((base, from)) = environment.config_home() {
        within(base.join("station"), from)
    } else {
        return Err(Error::invalid("there is no home folder to keep settings in")
            .with_hint("set HOME or STATION_CONFIG_DIR, or name a folder with --config"));
    };
    Ok((folder, file, from))
}

/// `written` with `~` at its beginning replaced by the home folder.
pub(super) fn at_home(written: &str, environment: &Environment) -> PathBuf {
    match (written.strip_prefix('~'), environment.get("HOME")) {
        (Some(""), Some(home)) => PathBuf::from(home),
        (Some(rest), Some(home)) if rest.starts_with('/') => {
            Path::new(home).join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(written),
    }
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| {
        Error::invalid(format!("{} is no path: {}", path.display(), cause.kind())).with_cause(cause)
    })
}

fn refused(file: &Path, problems: &[Problem]) -> Error {
    let mut errors = problems.iter().filter(|it| it.severity == station_core::file::Severity::Error);
    let first = errors.next();
    let at = first.and_then(|problem| problem.at);
    let first = first.map_or_else(|| "config.yaml cannot be read".to_owned(), ToString::to_string);
    let hints = problems.iter().filter_map(|problem| problem.hint.clone());
    let rest: Vec<String> = errors.map(|problem| format!("also {problem}")).chain(hints).collect();
    let error = rest.into_iter().fold(Error::invalid(first), Error::with_hint);
    match at {
        Some(at) => error.with_place(file.to_owned(), at),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(flag: Option<&str>, variables: &[(&str, &str)], folder: &str, file: &str, from: FolderFrom) {
        let found = place(flag.map(Path::new), &Environment::of(variables)).unwrap();
        assert_eq!(found, (PathBuf::from(folder), PathBuf::from(file), from), "{flag:?} {variables:?}");
    }

    #[test]
    fn the_folder_is_found() {
        let all = [("STATION_CONFIG_DIR", "/dir"), ("XDG_CONFIG_HOME", "/xdg"), ("HOME", "/home/ann")];
        check(Some("/x/team.yaml"), &all, "/x", "/x/team.yaml", FolderFrom::Flag);
        check(Some("/x/team"), &all, "/x/team", "/x/team/config.yaml", FolderFrom::Flag);
        check(None, &all, "/dir", "/dir/config.yaml", FolderFrom::StationConfigDir);
        check(None, &all[1..], "/xdg/station", "/xdg/station/config.yaml", FolderFrom::XdgConfigHome);
        let home = "/home/ann/.config/station";
        check(None, &all[2..], home, &format!("{home}/config.yaml"), FolderFrom::Home);
        let relative = [("XDG_CONFIG_HOME", "xdg"), ("HOME", "/home/ann")];
        check(None, &relative, home, &format!("{home}/config.yaml"), FolderFrom::Home);
        let tilde = [("STATION_CONFIG_DIR", "~/st"), ("HOME", "/home/ann")];
        check(None, &tilde, "/home/ann/st", "/home/ann/st/config.yaml", FolderFrom::StationConfigDir);
        assert!(place(None, &Environment::default()).is_err());
    }
}
