//! The worker's end: greets, is asked one thing per connection, and answers.

use super::place;
use super::wire::{self, Ask, Reading, Request, Said, VERSION};
use crate::{Live, Seen, Station, Watch};
use station_core::RunId;
use station_store::{Location, Wake};
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Connections at a time: each command of a person has one, for as long as it follows a run.
const CONNECTIONS_MAX: usize = 64;

/// Longest request.
const REQUEST_BYTES_MAX: usize = 4 * 1024;

/// How long somebody who connected may take to say what for.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// How often somebody who follows hears that we are still there.
const STILL_EVERY: Duration = Duration::from_secs(5);

/// How long a folder may be locked by others, and between two looks: they hold it for the blink of an eye.
const LOCKED_LOOKS: u32 = 50;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs of which a follower's connection knows whether they belong to what it follows; then it forgets them.
const KNOWN_MAX: usize = 10_000;

/// Between two looks whether a socket that another worker has is free by now.
const TAKEN_LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where a worker is reached: a socket in each folder in which others look for one. Whoever calls may see another
/// environment than the worker (cron, ssh), and so look in another folder first.
#[derive(Debug)]
pub struct Sockets {
    name: String,
    doors: Vec<Door>,
    unavailable: Option<String>,
}

/// One folder, and the socket in it where it is ours.
#[derive(Debug)]
struct Door {
    folder: PathBuf,
    socket: Option<LocalSocket>,
}

/// The open socket of a worker; it is taken away when this is dropped.
#[derive(Debug)]
struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    number: u64,
}

/// When the worker that listens ends.
#[derive(Clone, Debug)]
struct Ends {
    /// It takes nothing up any more.
    stop: CancellationToken,
    /// It has let go of everything.
    end: CancellationToken,
}

impl Station {
    /// Opens the sockets over which other commands reach this worker; none on PostgreSQL, where they need none.
    pub async fn open_sockets(&self) -> Sockets {
        let Location::Sqlite(database) = &self.config().location else { return Sockets::none(None) };
        let name = match place::socket_name(database) {
            Ok(name) => name,
            Err(cause) => return Sockets::none(Some(format!("the database is not found: {cause}"))),
        };
        let mut reasons = Vec::new();
        let mut doors = Vec::new();
        for folder in &self.config().socket_folders {
            let socket = match open(folder, &name).await {
                Ok(socket) => Some(socket),
                Err(Unavailable::Taken) => {
                    reasons.push("another worker of this store has it".to_owned());
                    None
                }
                Err(Unavailable::Unusable(reason)) => {
                    reasons.push(reason);
                    None
                }
            };
            doors.push(Door { folder: folder.clone(), socket });
        }
        reasons.dedup();
        let is_shut = doors.iter().all(|door| door.socket.is_none());
        let reason =
            if doors.is_empty() { "there is no folder for it".to_owned() } else { reasons.join("; ") };
        Sockets { name, doors, unavailable: is_shut.then_some(reason) }
    }
}

enum Unavailable {
    /// A living process listens there.
    Taken,
    Unusable(String),
}

async fn open(folder: &Path, name: &str) -> Result<LocalSocket, Unavailable> {
    place::make(folder).map_err(Unavailable::Unusable)?;
    let path = folder.join(name);
    let told = |cause: io::Error| Unavailable::Unusable(format!("{}: {cause}", path.display()));
    let _held = locked(folder).await.map_err(told)?;
    match UnixStream::connect(&path).await {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        // Nobody listens: what a process left behind that was killed.
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
            let found = fs::symlink_metadata(&path).map_err(told)?;
            if !found.file_type().is_socket() {
                return Err(Unavailable::Unusable(format!("{} is no socket", path.display())));
            }
            fs::remove_file(&path).map_err(told)?;
        }
        // Also one whose queue of connections is full.
        Ok(_) => return Err(Unavailable::Taken),
        Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Err(Unavailable::Taken),
        Err(cause) => return Err(told(cause)),
    }
    let listener = UnixListener::bind(&path).map_err(told)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(told)?;
    let number = fs::symlink_metadata(&path).map_err(told)?.ino();
    Ok(LocalSocket { listener, path, number })
}

async fn locked(folder: &Path) -> io::Result<impl Sized> {
    for _ in 0..LOCKED_LOOKS {
        if let Some(held) = place::lock(folder)? {
            return Ok(held);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(io::ErrorKind::WouldBlock.into())
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        place::remove(&self.path, self.number);
    }
}

impl Sockets {
    fn none(unavailable: Option<String>) -> Self {
        Self { name: String::new(), doors: Vec::new(), unavailable }
    }

    /// Why none is open, in words: they are a convenience, and a worker works without.
    #[must_use]
    pub fn unavailable(&self) -> Option<&str> {
        self.unavailable.as_deref()
    }

    /// Answers until `end` is cancelled. When `stop` is, it says that the worker takes nothing up any more; followers
    /// hear to the end what becomes of their runs. A socket that could not be opened is tried again: whoever had it may
    /// be gone.
    pub async fn answer(self, station: &Station, stop: CancellationToken, end: CancellationToken) {
        let ends = Ends { stop, end };
        let Self { name, doors, .. } = self;
        let answering = doors.into_iter().map(|door| door.answer(station, &name, &ends));
        futures::future::join_all(answering).await;
    }
}

impl Door {
    async fn answer(mut self, station: &Station, name: &str, ends: &Ends) {
        loop {
            if let Some(socket) = self.socket.take() {
                return socket.answer(station, ends).await;
            }
            tokio::select! {
                () = ends.end.cancelled() => return,
                () = tokio::time::sleep(TAKEN_LOOK_EVERY) => {}
            }
            if !ends.stop.is_cancelled() {
                self.socket = open(&self.folder, name).await.ok();
            }
        }
    }
}

/// A connection that is answered.
struct Attended {
    task: AbortHandle,
    /// Whether it has said what for.
    asked: Arc<AtomicBool>,
}

/// Makes room for one more connection: who has said nothing yet waits longest. `false` where all have.
fn make_room(attended: &mut VecDeque<Attended>) -> bool {
    attended.retain(|it| !it.task.is_finished());
    if attended.len() < CONNECTIONS_MAX {
        return true;
    }
    let idle = attended.iter().position(|it| !it.asked.load(Ordering::Relaxed));
    let idle = idle.and_then(|at| attended.remove(at));
    idle.is_some_and(|it| {
        it.task.abort();
        true
    })
}

impl LocalSocket {
    async fn answer(self, station: &Station, ends: &Ends) {
        let mut answering = JoinSet::new();
        let mut attended: VecDeque<Attended> = VecDeque::new();
        loop {
            tokio::select! {
                () = ends.end.cancelled() => break,
                Some(_) = answering.join_next(), if !answering.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if make_room(&mut attended) => {
                        let asked = Arc::new(AtomicBool::new(false));
                        let (station, ends, told) = (station.clone(), ends.clone(), Arc::clone(&asked));
                        let task = answering.spawn(async move {
                            if let Err(cause) = attend(&station, stream, &ends, &told).await {
                                tracing::debug!(%cause, "a connection over the socket ended");
                            }
                        });
                        attended.push_back(Attended { task, asked });
                    }
                    Ok((stream, _)) => turn_away(stream),
                    // Such as too many open files: it passes, and the store is looked at meanwhile.
                    Err(cause) => {
                        tracing::warn!(%cause, "a connection over the socket was not accepted");
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                },
            }
        }
        answering.shutdown().await;
    }
}

/// Says that there is no room, without waiting for anybody.
fn turn_away(stream: UnixStream) {
    let sentence = format!("{CONNECTIONS_MAX} commands are listened to already");
    let said = serde_json::to_vec(&Said::Refused { sentence }).unwrap_or_default();
    let told = stream.into_std().and_then(|mut stream| stream.write_all(&[said.as_slice(), b"\n"].concat()));
    if let Err(cause) = told {
        tracing::debug!(%cause, "somebody was turned away without a word");
    }
}

async fn attend(
    station: &Station,
    stream: UnixStream,
    ends: &Ends,
    asked_for: &AtomicBool,
) -> io::Result<()> {
    let peer = stream.peer_cred();
    // A tool server runs as the same user, and Landlock does not keep it from sockets before its ninth version.
    let pid = peer.as_ref().ok().and_then(tokio::net::unix::UCred::pid);
    if !place::is_ours(&peer) || pid.is_none_or(|pid| station_mcp::is_kept(pid.cast_unsigned())) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let hello =
        Said::Hello { v: VERSION, worker: station.config().worker.clone(), takes: !ends.stop.is_cancelled() };
    wire::write(&mut write, &hello).await?;
    let mut reading = Reading::default();
    let asked = tokio::time::timeout(ASKED_WITHIN, reading.line(&mut read, REQUEST_BYTES_MAX)).await;
    let Some(line) = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))? else { return Ok(()) };
    let ask = match wire::read::<Request>(&line) {
        Ok(Request { v: VERSION, ask }) => ask,
        Ok(Request { v, .. }) => return refuse(&mut write, &format!("version {v} is not spoken here")).await,
        Err(_) => return refuse(&mut write, "that is no request").await,
    };
    asked_for.store(true, Ordering::Relaxed);
    match ask {
        Ask::Wake => station.store().wake(Wake::Work),
        Ask::Cancel => station.store().wake(Wake::Cancel),
        Ask::Follow { run } => return follow(station, RunId(run), read, write, &ends.end).await,
    }
    wire::write(&mut write, &Said::Done).await
}

async fn refuse(write: &mut OwnedWriteHalf, sentence: &str) -> io::Result<()> {
    wire::write(write, &Said::Refused { sentence: sentence.to_owned() }).await
}

async fn follow(
    station: &Station,
    root: RunId,
    mut read: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
    end: &CancellationToken,
) -> io::Result<()> {
    // Before "done" is said, so that whoever hears it misses nothing from then on.
    let mut watch: Watch = station.watch();
    let mut family = Family { root, known: HashMap::from([(root, true)]) };
    wire::write(&mut write, &Said::Done).await?;
    // It may have been put in the queue for us a moment ago.
    station.store().wake(Wake::Work);
    let mut reading = Reading::default();
    loop {
        tokio::select! {
            () = end.cancelled() => return Ok(()),
            // Nothing more is asked over this connection: whoever says anything, or leaves, has heard enough.
            _ = reading.line(&mut read, REQUEST_BYTES_MAX) => return Ok(()),
            seen = watch.next() => match seen {
                None => return Ok(()),
                Some(Err(_)) => wire::write(&mut write, &Said::Missed).await?,
                Some(Ok(live)) => {
                    if family.has(station, &live).await {
                        tell(&mut write, &live).await?;
                    }
                }
            },
            () = tokio::time::sleep(STILL_EVERY) => wire::write(&mut write, &Said::Still).await?,
        }
    }
}

async fn tell(write: &mut OwnedWriteHalf, live: &Live) -> io::Result<()> {
    let (run, depth, agent) = (live.run.0, live.depth, &live.agent);
    match &live.seen {
        Seen::Journal(entry) => {
            let (agent, seq) = (agent.clone(), entry.seq);
            wire::write(write, &Said::Entry { run, depth, agent, seq }).await
        }
        Seen::Text(text) => {
            for text in wire::pieces(text) {
                let (agent, text) = (agent.clone(), text.to_owned());
                wire::write(write, &Said::Text { run, depth, agent, text }).await?;
            }
            Ok(())
        }
        Seen::Retry { attempt, after, reason } => {
            let (agent, attempt, after_ms) = (agent.clone(), *attempt, crate::lease::millis(*after));
            let reason = wire::pieces(reason).next().unwrap_or_default().to_owned();
            wire::write(write, &Said::Retry { run, depth, agent, attempt, after_ms, reason }).await
        }
        // What a run waits for stands on its row.
        Seen::Discovery { .. } | Seen::Hands(_) | Seen::Paced { .. } => Ok(()),
    }
}

/// Which runs belong to the one that is followed.
struct Family {
    root: RunId,
    known: HashMap<RunId, bool>,
}

impl Family {
    async fn has(&mut self, station: &Station, live: &Live) -> bool {
        if let Some(known) = self.known.get(&live.run) {
            return *known;
        }
        let belongs = self.descends(station, live.run).await;
        if self.known.len() >= KNOWN_MAX {
            self.known = HashMap::from([(self.root, true)]);
        }
        self.known.insert(live.run, belongs);
        belongs
    }

    /// Goes up from `run`; a tree is only a few runs deep.
    async fn descends(&self, station: &Station, run: RunId) -> bool {
        let mut run = run;
        while run != self.root {
            match station.store().run(run).await {
                Ok(Some(found)) => match found.parent {
                    Some(parent) => run = parent,
                    None => return false,
                },
                // Told of what it does not need, a follower looks for nothing.
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
        true
    }
}
