//! Under which conditions a figure was measured: a figure without them says nothing.

use std::path::Path;

/// File systems that keep nothing: a flush there costs nothing, and so proves nothing.
const FLEETING: [&str; 2] = ["tmpfs", "ramfs"];

/// The machine, the build and the file system of `folder`, one line each.
#[must_use]
pub fn lines(folder: &Path) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let profile = if cfg!(debug_assertions) {
        "debug: FIGURES OF THIS BUILD MEAN NOTHING"
    } else {
        "release, and stn in the profile `dist` where no other program was named"
    };
    let kind = file_system(folder);
    let fleeting =
        if FLEETING.contains(&kind.as_str()) { " (KEEPS NOTHING: set TMPDIR to a real disk)" } else { "" };
    vec![
        format!("{cores} cores, {}, Linux {}", cpu(), read("/proc/sys/kernel/osrelease")),
        format!("store and files in {} on {kind}{fleeting}", folder.display()),
        format!("build {profile}, load average at the start {}", load()),
    ]
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or("unknown").to_owned()
}

fn cpu() -> String {
    let info = read("/proc/cpuinfo");
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown processor", |(_, name)| name).to_owned()
}

/// The kind of the file system with the longest mount point that `folder` lies under.
fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mounts = read("/proc/self/mounts");
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let under = mounts.filter(|(point, _)| folder.starts_with(point));
    under.max_by_key(|(point, _)| point.len()).map_or("an unknown file system", |(_, kind)| kind).to_owned()
}
