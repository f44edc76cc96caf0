//! One command's session: its settings, its two streams, and the Station it opens.

use crate::at::At;
use crate::config::{Environment, Settings, host};
use crate::error::{Failure, Result};
use crate::log::{self, Faults, Log};
use crate::otlp::{self, Collector};
use crate::out::{Out, Tone};
use crate::problems;
use crate::remote::{Server, Target};
use station_core::file::Severity;
use station_core::file::config::LogFormat;
use station_core::{Caller, EnvironmentName, Error, Kind, RunToken, Scope};
use station_engine::{
    Clock, Config, Key, Location, Metrics, Passthrough, Station, SyncOptions, set_aside_go_database,
};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What every command gets.
pub(crate) struct Session<'a> {
    pub(crate) out: &'a Out,
    pub(crate) settings: Settings,
    /// The log, where one is wanted.
    pub(crate) log: Option<Log>,
    /// What is counted, in a worker.
    pub(crate) metrics: Option<Metrics>,
    /// Where that is sent to, until somebody starts it.
    pub(crate) collector: Mutex<Option<Collector>>,
    pub(crate) by: Caller,
    /// The server that is meant in place of the Station of this machine.
    pub(crate) server: Option<Target>,
    /// Whether a server elsewhere may be spoken to without TLS.
    pub(crate) plain_http: bool,
    /// The run that this process works for, and for whom.
    pub(crate) token: Option<RunToken>,
    /// Names of the environment that server files may ask for.
    pub(crate) passthrough: Passthrough,
}

/// Whether the files of a store that was just made are applied before the command uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fresh {
    Apply,
    Leave,
}

impl<'a> Session<'a> {
    /// Reads the settings and sets up the log.
    ///
    /// # Errors
    /// Where settings cannot be found or understood.
    pub(crate) fn new(
        out: &'a Out,
        config: Option<&Path>,
        environment: Environment,
        faults: Faults,
    ) -> Result<Self> {
        let settings = Settings::load(config, environment)?;
        let log = Log::set_up(&settings, faults, None)?;
        let by = person();
        Ok(Self { log, ..Self::bare(out, settings, by) })
    }

    /// A session for commands that mend settings: a log that cannot be set up as they say is a warning to them.
    ///
    /// # Errors
    /// Where settings cannot be found or understood.
    pub(crate) fn mending(out: &'a Out, config: Option<&Path>, environment: Environment) -> Result<Self> {
        let settings = Settings::load(config, environment)?;
        let log = Log::set_up(&settings, Faults::Untold, None).unwrap_or_else(|error| {
            out.warning(error.sentence());
            error.hints().iter().for_each(|hint| out.hint(hint));
            None
        });
        Ok(Self { log, ..Self::bare(out, settings, person()) })
    }

    /// A session with nothing around it: no log, nothing counted, and the whole environment.
    pub(crate) fn bare(out: &'a Out, settings: Settings, by: Caller) -> Self {
        Self {
            out,
            settings,
            log: None,
            metrics: None,
            collector: Mutex::default(),
            by,
            server: None,
            plain_http: false,
            token: None,
            passthrough: Passthrough::All,
        }
    }

    /// A session for a worker: what it does is counted, and its environment is not the user's, so only names that are passed
    /// through reach a server.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub(crate) fn counted(out: &'a Out, config: Option<&Path>, environment: Environment) -> Result<Self> {
        let settings = Settings::load(config, environment)?;
        let metrics = Metrics::new()?;
        let (collector, spans) = otlp::collector(&settings)?.unzip();
        let log = Log::set_up(&settings, Faults::Logged, Some((&metrics, spans)))?;
        if log::format(&settings)? == LogFormat::Json {
            out.tell_in_log();
        }
        let by = person();
        let passthrough = settings.passed_through();
        let (metrics, collector) = (Some(metrics), Mutex::new(collector));
        Ok(Self { log, metrics, collector, passthrough, ..Self::bare(out, settings, by) })
    }

    /// A session for a run, or for whoever asks what Station offers: by what the Station that started us handed over.
    ///
    /// # Errors
    /// Where nothing was handed over, and where the run's time is over.
    pub(crate) fn handed(out: &'a Out) -> Result<Self> {
        let (settings, handed, passthrough) = Settings::handed()?;
        let log = Log::set_up(&settings, Faults::Logged, None)?;
        let mut by = person();
        match &handed.token {
            // It is only asked what it offers.
            None => by = by.within(&BTreeSet::from([Scope::Read])),
            Some(token) => token.check(Clock::System.now())?,
        }
        Ok(Self { log, token: handed.token, passthrough, ..Self::bare(out, settings, by) })
    }

    /// Sends what is measured to the collector that the settings name, from now on.
    ///
    /// # Errors
    /// `Internal` where no request can be made at all.
    pub(crate) fn send_measures(&self, station: &Station) -> Result<Option<otlp::Sending>> {
        let collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(collector), Some(metrics)) = (collector, &self.metrics) else { return Ok(None) };
        Ok(Some(collector.start(station, &self.by, metrics)?))
    }

    /// Who asks: the person at the terminal, or whoever the run acts for that this process works for.
    ///
    /// # Errors
    /// `Unauthenticated` where that run's time is over, or its user was removed.
    pub(crate) async fn caller(&self, station: &Station) -> Result<Caller> {
        match &self.token {
            None => Ok(self.by.clone()),
            Some(token) => Ok(station.act_for(&self.by, token.clone()).await?),
        }
    }

    /// Does `work` with the Station of this machine, or with that of the server that was named.
    ///
    /// # Errors
    /// As [`Session::with`]; where the server may not be asked so; those of `work`.
    pub(crate) async fn at<T>(&self, work: impl AsyncFnOnce(At<'_>) -> Result<T>) -> Result<T> {
        match &self.server {
            None => self.with(async |station| work(At::Here(station)).await).await,
            Some(target) => self.there(target, async |server| work(At::There(server)).await).await,
        }
    }

    /// Does `work` with the Station of the server that was named.
    ///
    /// # Errors
    /// As [`Session::at`].
    pub(crate) async fn there<T>(
        &self,
        target: &Target,
        work: impl AsyncFnOnce(&Server) -> Result<T>,
    ) -> Result<T> {
        install_tls();
        let server = Server::open(target, &self.settings.environment)?;
        // Boxed, as below.
        Box::pin(work(&server)).await
    }

    /// Does `work` with an open Station, and closes it however that ends.
    ///
    /// # Errors
    /// Each way in which a store cannot be opened has its own sentence; those of `work`.
    pub(crate) async fn with<T>(&self, work: impl AsyncFnOnce(&Station) -> Result<T>) -> Result<T> {
        let station = self.open(Fresh::Apply).await?;
        // Boxed, here and below: what a command awaits, one in the other, is too deep for the compiler otherwise.
        close(station.clone(), Box::pin(work(&station)).await).await
    }

    /// As [`Session::with`], for commands that read files themselves.
    ///
    /// # Errors
    /// As [`Session::with`].
    pub(crate) async fn with_bare<T>(&self, work: impl AsyncFnOnce(&Station) -> Result<T>) -> Result<T> {
        let station = self.open(Fresh::Leave).await?;
        close(station.clone(), Box::pin(work(&station)).await).await
    }

    /// As [`Session::with`], changing nothing: where there is no store yet, an empty one stands in for it that is
    /// gone afterwards.
    ///
    /// # Errors
    /// As [`Session::with`].
    pub(crate) async fn with_unchanged<T>(&self, work: impl AsyncFnOnce(&Station) -> Result<T>) -> Result<T> {
        let (location, _) = self.settings.location()?;
        if has_store(&location) {
            return self.with_bare(work).await;
        }
        let (_folder, config) = self.stand_in()?;
        let station = Station::open(config).await?;
        close(station.clone(), Box::pin(work(&station)).await).await
    }

    /// What an engine on an empty store needs that is gone with the folder.
    ///
    /// # Errors
    /// Where the temporary folder cannot be used.
    pub(crate) fn stand_in(&self) -> Result<(StandIn, Config)> {
        let folder = StandIn::new()?;
        let location = Location::Sqlite(folder.0.join("station.db"));
        Ok((folder, self.settings.engine(location, Key::generate()?.into(), self.passthrough.clone())))
    }

    async fn open(&self, fresh: Fresh) -> Result<Station> {
        // Each command that does so says why before.
        if let Some(target) = &self.server {
            let sentence =
                format!("this is done with the Station of this machine alone, and not at {}", target.address);
            return Err(Error::invalid(sentence).with_hint("leave `--server` out").into());
        }
        install_tls();
        let (location, from) = self.settings.location()?;
        make_folder(&self.settings.folder)?;
        let was_there = matches!(&location, Location::Sqlite(path) if path.exists());
        let is_new = self.make_way(&location)?;
        let was_emptied = is_empty_file(&location);
        let (keys, place, made) = self.settings.keys().find_or_make(&location).await?;
        if made {
            self.out.note(Tone::Plain, &format!("Made a new encryption key: {place}"));
            self.out.hint("back it up: without it nobody can open the database, and it is kept nowhere else");
        }
        if was_emptied && !made {
            self.out
                .warning("the database was an empty file although there is a key: a new one is made in it");
            self.out.hint("if it held runs, stop here and bring back a backup of it");
        }
        let is_missed = is_new && !made && !was_there;
        let config = self.settings.engine(location, keys, self.passthrough.clone());
        let station = Station::open(config).await.map_err(|error| from.named_in(error))?;
        if is_missed {
            // A key without its database may be the rest of a home that somebody misses.
            self.out.note(Tone::Plain, "There was a key but no database: made a new one.");
        }
        if let Some(hint) = place.hint().filter(|_| is_new) {
            self.out.hint(&hint);
        }
        if is_new && fresh == Fresh::Apply {
            self.apply_all(&station).await?;
        }
        Ok(station)
    }

    /// Moves the Go program's database aside. Whether a store will be made where there is none.
    fn make_way(&self, location: &Location) -> Result<bool> {
        let Location::Sqlite(path) = location else { return Ok(false) };
        if let Some(aside) = set_aside_go_database(path)? {
            let (was, is) = (path.display(), aside.display());
            self.out
                .note(Tone::Plain, &format!("{was} is a database of the Go program: it is kept as {is}."));
            self.out.hint("agents, servers and variables come from your files; runs of the Go program stay in that file");
        }
        Ok(!path.exists())
    }

    /// Applies the files of every environment to a store that was just made.
    async fn apply_all(&self, station: &Station) -> Result<()> {
        for name in self.settings.workspace().environment_names()? {
            let options = SyncOptions { dry_run: false, discover: false };
            let report = match station.sync(&self.by, &name, options).await {
                Err(error) if error.kind() == Kind::Invalid => {
                    self.tell_unread(&name, &error);
                    continue;
                }
                report => report?,
            };
            self.out.note(Tone::Plain, &format!("Read the files of environment `{name}`."));
            self.tell_errors(&report.plan.problems);
        }
        Ok(())
    }

    /// Says why an environment was passed over: its siblings are no worse for it.
    pub(crate) fn tell_unread(&self, name: &EnvironmentName, error: &station_core::Error) {
        self.out.note(Tone::Bad, &format!("error: environment `{name}` is left as it is: {error}"));
        error.hints().iter().for_each(|hint| self.out.hint(hint));
    }

    /// Tells which files are refused; notes and warnings are told by `stn sync`.
    pub(crate) fn tell_errors(&self, found: &[station_core::file::Problem]) {
        for problem in found.iter().filter(|problem| problem.severity == Severity::Error) {
            problems::tell(self.out, &self.settings.root(), problem);
        }
    }
}

/// Makes TLS possible. A command that opens nothing (`stn --version`) should not pay for it; that a provider is installed
/// already is as good.
pub(crate) fn install_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// How long the store may take to close where nobody wants to wait: what it was given is on its way to the disk.
const ABANDON_WITHIN: Duration = Duration::from_secs(1);

/// Closes Station and gives `done` back. A second Ctrl-C does not wait: tool servers end with us anyway. The store is closed all
/// the same: its thread must not be at work while the process takes OpenSSL down.
pub(crate) async fn close<T>(station: Station, done: Result<T>) -> Result<T> {
    if !matches!(done, Err(Failure::Interrupted)) {
        station.close().await;
    } else if tokio::time::timeout(ABANDON_WITHIN, station.abandon()).await.is_err() {
        tracing::warn!("the database was not closed");
    }
    done
}

/// Whoever started us, at this machine.
fn person() -> Caller {
    Caller::local().named(os_user()).at(host().unwrap_or_default())
}

/// The user that the operating system knows us as; its number where that has no name.
fn os_user() -> String {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

fn is_empty_file(location: &Location) -> bool {
    match location {
        Location::Sqlite(path) => fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0),
        Location::Postgres(_) => false,
    }
}

/// Whether there is a store, as far as can be told without opening it.
pub(crate) fn has_store(location: &Location) -> bool {
    match location {
        Location::Sqlite(path) => is_ours(path),
        Location::Postgres(_) => true,
    }
}

/// Whether a database is there that a key of ours may open.
pub(crate) fn is_ours(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = [0; 16];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut head));
    // The Go program's is unencrypted, and its name is in its header.
    matches!(read, Ok(1..)) && &head != b"SQLite format 3\0"
}

/// A folder for an empty store, removed on drop.
pub(crate) struct StandIn(PathBuf);

impl StandIn {
    fn new() -> Result<Self> {
        let unique = Key::generate()?.id();
        let folder = std::env::temp_dir().join(format!("stn-{}-{unique}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|cause| Error::internal("making a temporary folder", cause))?;
        Ok(Self(folder))
    }
}

impl StandIn {
    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // What is left is empty and in the temporary folder.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// Makes the configuration folder, for its owner alone.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|cause| {
        let sentence = format!("the folder {} cannot be made: {}", folder.display(), cause.kind());
        Error::invalid(sentence)
            .with_cause(cause)
            .with_hint("name another with --config or STATION_CONFIG_DIR")
            .into()
    })
}
