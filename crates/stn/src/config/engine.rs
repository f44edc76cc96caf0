//! What the engine is told: everything settled, nothing left to parse.

use super::Settings;
use super::load::{absolute, at_home};
use crate::remote::Logins;
use station_core::file::config::Files;
use station_core::sandbox::Private;
use station_core::{Error, Kind, Result, Secret};
use station_engine::{Clock, Config, KeyRing, Keys, Location, Passthrough, Serve, Workspace};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Our own program, also when its file was replaced by an update.
pub(super) const OURSELVES: &str = "/proc/self/exe";

/// Where the place of the database was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseFrom {
    StationDatabase,
    DatabaseUrl,
    ConfigFile,
    Default,
}

impl DatabaseFrom {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::StationDatabase => "STATION_DATABASE",
            Self::DatabaseUrl => "DATABASE_URL",
            Self::ConfigFile => "config.yaml",
            Self::Default => "default",
        }
    }

    /// An error about reaching the database, with who named it.
    pub(crate) fn named_in(self, error: Error) -> Error {
        match (self, error.kind()) {
            (Self::StationDatabase | Self::DatabaseUrl, Kind::Upstream) => {
                error.with_hint(format!("{} names it", self.as_str()))
            }
            (Self::ConfigFile, Kind::Upstream) => error.with_hint("`database_url` of config.yaml names it"),
            _ => error,
        }
    }
}

impl Settings {
    /// Where the database is, and where that was named. `DATABASE_URL` counts only where it is a PostgreSQL URL: it is
    /// often another application's.
    ///
    /// # Errors
    /// `Invalid` where it is a URL of another kind of database.
    pub(crate) fn location(&self) -> Result<(Location, DatabaseFrom)> {
        if let Some(written) = self.environment.get("STATION_DATABASE") {
            let path = absolute(&at_home(without_scheme(written), &self.environment));
            return Ok((location(written, path?.as_path())?, DatabaseFrom::StationDatabase));
        }
        if let Some(url) = self.environment.get("DATABASE_URL").filter(|url| is_postgres(url)) {
            return Ok((Location::Postgres(Secret::new(url)), DatabaseFrom::DatabaseUrl));
        }
        if let Some(written) = &self.config.database_url {
            let path = self.path(without_scheme(written.expose()));
            return Ok((location(written.expose(), &path)?, DatabaseFrom::ConfigFile));
        }
        Ok((Location::Sqlite(self.folder.join("station.db")), DatabaseFrom::Default))
    }

    /// The places in which a key can be configured.
    pub(crate) fn keys(&self) -> Keys {
        let of = |names: &[&'static str]| {
            self.environment.first(names).map(|(name, value)| (name.to_owned(), Secret::new(value)))
        };
        Keys {
            folder: self.folder.clone(),
            environment: of(&["STATION_ENCRYPTION_KEY", "STN_ENCRYPTION_KEY"]),
            config: self.config.encryption_key.clone(),
            next: of(&["STATION_ENCRYPTION_KEY_NEXT"]),
        }
    }

    /// Where files are.
    pub(crate) fn workspace(&self) -> Workspace {
        let read_only = match self.config.files {
            Files::ReadWrite => false,
            Files::ReadOnly => true,
        };
        Workspace::new(self.folder.clone(), self.root(), self.config.workspace_id.clone(), read_only)
    }

    /// How a worker works.
    pub(crate) fn serve(&self) -> Serve {
        let execution = &self.config.execution;
        Serve {
            workers: execution.workers.unwrap_or(Serve::WORKERS).max(1),
            drain_for: execution.drain_s.map_or(Serve::DRAIN_FOR, Duration::from_secs),
        }
    }

    /// Where the socket of a worker may lie: the session's own folder and one of ours in the temporary folder. A worker
    /// opens one in each: whoever calls may be without a session (cron, ssh), and looks then where sessions have it.
    fn socket_folders(&self) -> Vec<PathBuf> {
        let uid = nix::unistd::geteuid();
        let of_session = self.environment.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        let of_session = of_session.filter(|path| path.is_absolute());
        let of_session = of_session.unwrap_or_else(|| PathBuf::from(format!("/run/user/{uid}")));
        let is_there = of_session.is_dir();
        let ours = self.temporary().join(format!("station-{uid}"));
        is_there.then(|| of_session.join("station")).into_iter().chain([ours]).collect()
    }

    /// What tool servers are kept from. Of the configuration folder a server's entry may name what is not Station's.
    fn private(&self, location: &Location) -> Private {
        let ours =
            ["api-token", "config.yaml", "station.key", "station.key.next", "station.db", "station.go.db"];
        let mut private = Private {
            closed: vec![self.folder.clone()],
            sealed: ours.iter().map(|name| self.folder.join(name)).chain([self.file.clone()]).collect(),
            environments: Some(self.root().join("environments")),
        };
        private.sealed.extend(self.config.tls.key.as_ref().map(|path| self.path(path)));
        // Keys of other Stations are nobody's here but the user's.
        private.sealed.extend(Logins::of(&self.environment).ok().map(Logins::into_folder));
        if let Location::Sqlite(database) = location {
            // SQLite's own files beside it (sqlite.org/tempfiles.html).
            for ending in ["", "-wal", "-shm", "-journal"] {
                let mut path = database.clone().into_os_string();
                path.push(ending);
                private.sealed.push(path.into());
            }
        }
        // The one in the temporary folder is guarded by who it listens to: a program may need to make new files beside it.
        let temporary = self.temporary();
        private
            .closed
            .extend(self.socket_folders().into_iter().filter(|folder| folder.parent() != Some(&temporary)));
        private
    }

    fn temporary(&self) -> PathBuf {
        PathBuf::from(self.environment.get("TMPDIR").unwrap_or("/tmp"))
    }

    /// Names of a worker's environment that server files may ask for.
    pub(crate) fn passed_through(&self) -> Passthrough {
        let more = self.environment.get("STN_ENV_PASSTHROUGH").unwrap_or_default();
        let names = more.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        Passthrough::Only(self.config.env_passthrough.iter().cloned().chain(names).collect())
    }

    /// Everything the engine needs to know, for the store at `location`.
    pub(crate) fn engine(&self, location: Location, keys: KeyRing, passthrough: Passthrough) -> Config {
        let own_server = Some(self.own_server(&location, keys.current(), &passthrough));
        let config = &self.config;
        let ms = |written: Option<u64>, default: Duration| written.map_or(default, Duration::from_millis);
        Config {
            workspace: self.workspace(),
            private: self.private(&location),
            location,
            keys,
            models: self.models(),
            process: self.environment.all(),
            passthrough,
            child_env: config.child_env.clone(),
            shim: station_mcp::Shim {
                program: OURSELVES.into(),
                args: vec![station_mcp::shim::ARGUMENT.to_owned()],
            },
            own_server,
            clock: Clock::System,
            run_timeout: ms(config.execution.timeout_ms, Config::RUN_TIMEOUT),
            call_timeout: Config::CALL_TIMEOUT,
            connect_timeout: ms(config.discovery.timeout_ms, Config::CONNECT_TIMEOUT),
            output_bytes_max: Config::OUTPUT_BYTES_MAX,
            result_bytes_max: config.context.result_bytes_max.unwrap_or(Config::RESULT_BYTES_MAX),
            processes_max: config
                .pool
                .processes_max
                .map_or(Config::PROCESSES_MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)),
            idle_close: ms(config.pool.idle_close_ms, Config::IDLE_CLOSE),
            discovery_ttl: ms(config.discovery.ttl_ms, Config::DISCOVERY_TTL),
            approval_timeout: Some(ms(config.approvals.timeout_ms, Config::APPROVAL_TIMEOUT))
                .filter(|after| !after.is_zero()),
            queue_max: config.execution.queue.unwrap_or(Config::QUEUE_MAX),
            at_once: config.execution.concurrency.clone(),
            socket_folders: self.socket_folders(),
            limits: config.limits,
            prices: config.prices.clone(),
            rate_limits: config.rate_limits.clone(),
            settings_file: Some(self.file.clone()),
            keep_days: config.runs.keep_days,
            worker: worker(),
        }
    }
}

fn location(written: &str, path: &Path) -> Result<Location> {
    if is_postgres(written) {
        return Ok(Location::Postgres(Secret::new(written)));
    }
    if written.contains("://") && without_scheme(written) == written {
        let scheme = written.split("://").next().unwrap_or_default();
        return Err(Error::invalid(format!("a `{scheme}` database cannot be used"))
            .with_hint("STATION_DATABASE and `database_url` take a path or a postgres:// URL"));
    }
    Ok(Location::Sqlite(path.to_owned()))
}

fn is_postgres(written: &str) -> bool {
    written.starts_with("postgres://") || written.starts_with("postgresql://")
}

fn without_scheme(written: &str) -> &str {
    ["sqlite://", "file://", "sqlite:", "file:"]
        .iter()
        .find_map(|scheme| written.strip_prefix(scheme))
        .unwrap_or(written)
}

/// The name of this machine, where it has one.
pub(crate) fn host() -> Option<String> {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok())
}

/// Host and process, for people who look at a run.
fn worker() -> String {
    let host = host();
    format!("{}:{}", host.as_deref().unwrap_or("localhost"), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::super::load::FolderFrom;
    use super::*;
    use station_core::file::config;

    #[track_caller]
    fn check(yaml: &str, variables: &[(&str, &str)], expected: &str) {
        let settings = Settings {
            folder: "/c".into(),
            folder_from: FolderFrom::Flag,
            file: "/c/config.yaml".into(),
            config: config::read(yaml, "config.yaml").0.unwrap(),
            problems: Vec::new(),
            environment: Environment::of(variables),
        };
        let found = match settings.location() {
            Ok((Location::Sqlite(path), from)) => format!("{} by {}", path.display(), from.as_str()),
            Ok((Location::Postgres(url), from)) => format!("{} by {}", url.expose(), from.as_str()),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn the_database_is_found() {
        let yaml = "database_url: data/s.db";
        check("", &[], "/c/station.db by default");
        check(yaml, &[], "/c/data/s.db by config.yaml");
        check("database_url: ~/s.db", &[("HOME", "/home/ann")], "/home/ann/s.db by config.yaml");
        check("database_url: postgres://h/d", &[], "postgres://h/d by config.yaml");
        check(yaml, &[("DATABASE_URL", "mysql://h/d")], "/c/data/s.db by config.yaml");
        check(yaml, &[("DATABASE_URL", "postgres://h/d")], "postgres://h/d by DATABASE_URL");
        let both = [("DATABASE_URL", "postgres://h/d"), ("STATION_DATABASE", "/x/s.db")];
        check(yaml, &both, "/x/s.db by STATION_DATABASE");
        check(yaml, &[("STATION_DATABASE", "sqlite:///x/s.db")], "/x/s.db by STATION_DATABASE");
        check("", &[("STATION_DATABASE", "mysql://h/d")], "a `mysql` database cannot be used");
    }
}
