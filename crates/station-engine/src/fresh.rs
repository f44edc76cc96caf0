//! Whether anything of an environment has changed since it was brought up to date: its files, what is stored of it, what
//! its servers say of their lists. Asked before each request that is passed on, so it must cost next to nothing.
//!
//! The kernel says when something happens in the environment's folders (inotify(7)), in the order in which it happens: what was
//! written before a request came is known when the request is looked at. It says nothing of what a link leads to, nor of what
//! other machines write; so the files themselves are looked at once a second all the same. **Invariant:** whoever watches begins
//! before the files are looked at.

use crate::Station;
use crate::surface::{CallableTool, Surface};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use station_core::file::Problem;
use station_core::{Action, Caller, EnvironmentName, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Between two looks at the files of an environment that is in use.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Environments that are watched: a kernel gives each user 128 of these by default, for all programs.
const WATCHED_MAX: usize = 16;

/// An environment whose files were not looked at for so long gives its watch to another.
const IDLE_AFTER: Duration = Duration::from_secs(10);

/// How old a watch gets: it goes on to watch what was moved away, and each folder in its place adds to it.
const ANEW_EVERY: Duration = Duration::from_secs(10 * 60);

/// How often is read what a watch has to say before it is used again; what comes after that is news.
const DRAINED_MAX: usize = 64;

/// What of an environment's folder decides what it is.
const FOLDERS: [&str; 3] = ["", "agents", "mcp-servers"];

/// What happens to a file that makes it another one, or makes it come or go.
const NEWS: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);

/// Environments that were brought up to date; `None` while one is looked at.
#[derive(Default)]
pub(crate) struct Freshness(Mutex<HashMap<EnvironmentName, Option<Known>>>);

/// What is known of one.
struct Known {
    /// The number of definitions when it was brought up to date; `None` once there was news.
    generation: Option<i64>,
    at: Instant,
    folder: Folder,
}

/// Its folder since then.
enum Folder {
    Watched {
        kernel: Inotify,
        since: Instant,
    },
    /// It had none.
    Absent(PathBuf),
}

/// An environment's folder while the environment is brought up to date. However that ends, it is put back: a kernel takes many
/// milliseconds to let go of a watch.
struct Look<'a> {
    freshness: &'a Freshness,
    name: &'a EnvironmentName,
    /// As of [`Known`].
    generation: Option<i64>,
    folder: Option<Folder>,
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            let known = Known { generation: self.generation, at: Instant::now(), folder };
            self.freshness.lock().insert(self.name.clone(), Some(known));
        }
    }
}

impl Station {
    /// Brings an environment up to date before something of it is used: applies changed files, and lists the servers that were
    /// never listed, long ago, or that say that they have changed. What is broken in the files, where they were read.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh_environment(&self, name: &EnvironmentName) -> Result<Vec<Problem>> {
        let generation = self.store().generation().await?;
        match self.fresh(name, generation) {
            Some(_) => Ok(Vec::new()),
            None => self.refresh(name, generation).await,
        }
    }

    /// As [`Station::refresh_environment`], and the tools of [`Station::list_callable`]: one question to the store where nothing
    /// has changed.
    ///
    /// # Errors
    /// As those two.
    pub async fn refresh_tools(
        &self,
        by: &Caller,
        name: &EnvironmentName,
    ) -> Result<(Vec<Problem>, Arc<[CallableTool]>)> {
        by.may(Action::ReadServers)?;
        let generation = self.store().generation().await?;
        if let Some(surface) = self.fresh(name, generation).filter(|it| by.sees(it.environment.id)) {
            return Ok((Vec::new(), surface.tools(self, by.role).await?));
        }
        // What is about to be made by its folder is there for those who see everything.
        if by.seen_by().is_some() {
            self.find_environment(by, name).await?;
        }
        let problems = self.refresh(name, generation).await?;
        Ok((problems, self.list_callable(by, name).await?))
    }

    async fn refresh(&self, name: &EnvironmentName, generation: i64) -> Result<Vec<Problem>> {
        let look = self.freshness().begin(name, self.config().workspace.environment_folder(name));
        let problems = self.apply_changed_files(name).await?;
        self.refresh_catalog(name).await?;
        self.refresh_changed(name).await?;
        // Where anything moved meanwhile, the next one looks again.
        if let Some(mut look) = look
            && self.store().generation().await? == generation
        {
            look.generation = Some(generation);
        }
        Ok(problems)
    }

    /// What an environment is, where that is up to date.
    fn fresh(&self, name: &EnvironmentName, generation: i64) -> Option<Arc<Surface>> {
        let surface = self.surfaces().find(name, generation)?;
        let is_fresh = surface.due(self).is_none_or(|due| self.now() < due)
            && self.pool().changed(surface.environment.id).is_empty()
            && self.freshness().is_quiet(name, generation);
        is_fresh.then_some(surface)
    }
}

impl Freshness {
    /// Whether nothing is known to have happened since an environment was brought up to date under this number.
    fn is_quiet(&self, name: &EnvironmentName, generation: i64) -> bool {
        let mut all = self.lock();
        let Some(Some(known)) = all.get_mut(name) else { return false };
        let is_quiet = known.generation == Some(generation)
            && known.at.elapsed() < LOOK_EVERY
            && known.folder.is_quiet();
        if !is_quiet {
            // What the kernel had to say was read and will not be said again.
            known.generation = None;
        }
        is_quiet
    }

    /// Watches an environment's folder from now on; `None` where the kernel does not, where somebody else is looking, or where as many as
    /// may be are watched and all of them in use. What was known of it is known no more.
    fn begin<'a>(&'a self, name: &'a EnvironmentName, path: PathBuf) -> Option<Look<'a>> {
        let (before, idle) = {
            let mut all = self.lock();
            let idle = match all.get(name) {
                Some(None) => return None,
                // What is let go of is let go of without the lock.
                None if all.len() >= WATCHED_MAX => Some(idle(&mut all)?),
                _ => None,
            };
            (all.insert(name.clone(), None).flatten(), idle)
        };
        drop(idle);
        let folder = match before {
            _ if !path.is_dir() => Ok(Folder::Absent(path)),
            Some(Known { folder: Folder::Watched { kernel, since }, .. }) if since.elapsed() < ANEW_EVERY => {
                again(kernel, &path).map(|kernel| Folder::Watched { kernel, since })
            }
            _ => watch(&path).map(|kernel| Folder::Watched { kernel, since: Instant::now() }),
        };
        match folder {
            Ok(folder) => Some(Look { freshness: self, name, generation: None, folder: Some(folder) }),
            Err(error) => {
                tracing::debug!(%error, "the kernel does not say when files change: they are looked at each time");
                self.lock().remove(name);
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EnvironmentName, Option<Known>>> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

impl Folder {
    fn is_quiet(&self) -> bool {
        match self {
            // Nothing to be read is the one answer that says that nothing happened.
            Self::Watched { kernel, .. } => matches!(kernel.read_events(), Err(nix::Error::EAGAIN)),
            Self::Absent(path) => !path.is_dir(),
        }
    }
}

/// Takes the environment out that was not asked for longest, if that is long enough.
fn idle(all: &mut HashMap<EnvironmentName, Option<Known>>) -> Option<Known> {
    let known = all.iter().filter_map(|(name, known)| Some((name, known.as_ref()?.at)));
    let (name, at) = known.min_by_key(|(_, at)| *at)?;
    let name = name.clone();
    if at.elapsed() < IDLE_AFTER { None } else { all.remove(&name).flatten() }
}

fn watch(path: &Path) -> nix::Result<Inotify> {
    let watched = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    add(&watched, path)?;
    Ok(watched)
}

/// The same watch without what it had to say; folders that came meanwhile are watched too.
fn again(watched: Inotify, path: &Path) -> nix::Result<Inotify> {
    for _ in 0..DRAINED_MAX {
        match watched.read_events() {
            Ok(_) => {}
            Err(nix::Error::EAGAIN) => break,
            Err(error) => return Err(error),
        }
    }
    add(&watched, path)?;
    Ok(watched)
}

fn add(watched: &Inotify, path: &Path) -> nix::Result<()> {
    for folder in FOLDERS {
        match watched.add_watch(&path.join(folder), NEWS | AddWatchFlags::IN_ONLYDIR) {
            // One that comes later is news of the folder above it.
            Ok(_) | Err(nix::Error::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn whatever_happens_in_an_environments_folders_is_news_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("default");
        let at = |name: &str| root.join(name);
        let happens: [(&str, &dyn Fn()); 8] = [
            ("a file is made", &|| fs::write(at("agents/a.prompt"), "a").unwrap()),
            ("a file is written", &|| fs::write(at("agents/a.prompt"), "b").unwrap()),
            ("a file is moved here", &|| {
                fs::write(folder.path().join("draft"), "{}").unwrap();
                fs::rename(folder.path().join("draft"), at("x.json")).unwrap();
            }),
            ("a file is deleted", &|| fs::remove_file(at("x.json")).unwrap()),
            ("a folder is made", &|| fs::create_dir(at("mcp-servers")).unwrap()),
            ("a file is made in it", &|| fs::write(at("mcp-servers/x.json"), "{}").unwrap()),
            ("the folder is moved away", &|| fs::rename(&root, folder.path().join("other")).unwrap()),
            ("a folder comes back", &|| fs::create_dir(&root).unwrap()),
        ];
        fs::create_dir_all(at("agents")).unwrap();
        let (freshness, name) = (Freshness::default(), EnvironmentName::parse("default").unwrap());
        for (what, happen) in happens {
            freshness.begin(&name, root.clone()).unwrap().generation = Some(1);
            assert!(freshness.is_quiet(&name, 1), "before {what}");
            happen();
            assert!(!freshness.is_quiet(&name, 1), "{what}");
            assert!(!freshness.is_quiet(&name, 1), "{what}: until it is brought up to date");
        }
    }

    #[test]
    fn a_watch_is_used_again_however_a_look_ends_and_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (freshness, name) = (Freshness::default(), EnvironmentName::parse("default").unwrap());
        let begin = || freshness.begin(&name, folder.path().to_owned());
        let since = |look: &Look<'_>| match &look.folder {
            Some(Folder::Watched { since, .. }) => *since,
            _ => panic!("it is watched"),
        };
        let mut first = begin().unwrap();
        first.generation = Some(1);
        let watched = since(&first);
        assert!(begin().is_none(), "somebody is looking");
        assert!(!freshness.is_quiet(&name, 1));
        drop(first);
        assert!(freshness.is_quiet(&name, 1));
        // A look that failed, or after which the definitions were others.
        drop(begin().unwrap());
        assert!(!freshness.is_quiet(&name, 1));
        assert_eq!(since(&begin().unwrap()), watched);
        let names = (1..=WATCHED_MAX).map(|n| EnvironmentName::parse(&format!("env{n}")).unwrap());
        let names: Vec<EnvironmentName> = names.collect();
        let watched = names.iter().filter(|name| freshness.begin(name, folder.path().to_owned()).is_some());
        assert_eq!(watched.count(), WATCHED_MAX - 1, "one was there, and all are in use");
    }
}
