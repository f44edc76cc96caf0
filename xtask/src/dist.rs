//! `cargo xtask dist`: what is published, from this checkout: the program in the profile `dist`, with everything linked into it
//! that is not the system's C library, its list of parts (SBOM), man pages, completions, and checksums.
//!
//! It takes minutes, so `.ci/run` does not call it. The archive is the same for the same commit and toolchain: names are sorted,
//! times are the commit's, owners are nobody's.

use crate::programs::{answer, cargo, did, host};
use crate::sbom;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most that the program may weigh.
const BYTES_MAX: u64 = 20_000_000;

/// OpenSSL's libcrypto is built along, so that the program runs where there is none, or another one.
const FEATURE: &str = "vendored";

/// Shells, and where each looks for completions by what name.
const COMPLETIONS: [(&str, &str); 3] = [("bash", "stn.bash"), ("zsh", "_stn"), ("fish", "stn.fish")];

/// Builds and packs it. `Ok(false)` where it is heavier than it may be, needs a library that a user may not have, or is not linked for a
/// fixed address.
///
/// # Errors
/// Where cargo, git, tar or sha256sum cannot be run or fail, and where a file cannot be written.
pub(crate) fn run() -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(root)
        .features(cargo_metadata::CargoOpt::SomeFeatures(vec![format!("stn/{FEATURE}")]))
        .other_options(["--locked".to_owned()])
        .exec()
        .context("cargo tells what the workspace is")?;
    let target = metadata.target_directory.as_std_path();
    did(cargo()
        .current_dir(root)
        .args(["build", "--locked", "--profile", "dist", "--package", "stn", "--bin", "stn"])
        .args(["--features", FEATURE]))?;
    let program = target.join("dist/stn");

    let version = answer(Command::new(&program).arg("--version"))?;
    let version = version.split_whitespace().nth(1).context("`stn --version` names a version")?;
    let host = host()?;
    let (out, name) = (target.join("packages"), format!("stn-{version}-{host}"));
    let folder = out.join(&name);
    if out.exists() {
        fs::remove_dir_all(&out).context("the packages of last time can be removed")?;
    }
    fs::create_dir_all(folder.join("completions"))?;
    fs::copy(&program, folder.join("stn"))?;
    for file in ["LICENSE", "README.md", "CHANGELOG.md"] {
        fs::copy(root.join(file), folder.join(file))?;
    }
    for (shell, file) in COMPLETIONS {
        let text = answer(Command::new(&program).args(["completions", shell]))?;
        fs::write(folder.join("completions").join(file), text)?;
    }
    did(Command::new(&program).args(["--quiet", "man"]).arg(folder.join("man/man1")))?;
    let bill = serde_json::to_string_pretty(&sbom::of(root, &metadata, FEATURE, &host)?)?;
    fs::write(folder.join("stn.cdx.json"), bill + "\n")?;
    let archive = pack(root, &out, &name)?;
    fs::copy(folder.join("stn.cdx.json"), out.join(format!("{name}.cdx.json")))?;
    sum(&out)?;

    let bytes = fs::metadata(&program)?.len();
    let needs = needed(&program)?;
    let (is_light, is_whole) = (bytes <= BYTES_MAX, !needs.iter().any(|library| library.contains("crypto")));
    let is_fixed = answer(Command::new("readelf").arg("--file-header").arg(&program))?.contains("EXEC");
    println!("{}", archive.display());
    println!("the program: {:.1} MB (aim: at most {:.0} MB)", mb(bytes), mb(BYTES_MAX));
    println!("the archive: {:.1} MB", mb(fs::metadata(&archive)?.len()));
    println!("libraries of the system that it needs: {}", needs.join(", "));
    if !is_fixed {
        println!("it is not linked for a fixed address (docs/decisions/0022)");
    }
    Ok(is_light && is_whole && is_fixed)
}

/// The archive of `folder`, which lies in `out`.
fn pack(root: &Path, out: &Path, name: &str) -> Result<PathBuf> {
    let time = answer(Command::new("git").current_dir(root).args(["log", "-1", "--format=%ct"]))?;
    let archive = out.join(format!("{name}.tar.gz"));
    // `gzip -n` keeps no time of its own.
    did(Command::new("tar")
        .current_dir(out)
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+w,go-w,a+rX"])
        .arg(format!("--mtime=@{}", time.trim()))
        .args(["--use-compress-program", "gzip -9n", "--create", "--file"])
        .arg(&archive)
        .arg(name))?;
    Ok(archive)
}

/// Writes `SHA256SUMS`, as `sha256sum --check` reads it.
fn sum(out: &Path) -> Result<()> {
    let mut files: Vec<String> = fs::read_dir(out)?
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_file())?.file_name().into_string().ok())
        .collect();
    files.sort();
    let sums = answer(Command::new("sha256sum").current_dir(out).args(&files))?;
    fs::write(out.join("SHA256SUMS"), sums).context("the checksums can be written")
}

/// The libraries that the loader looks for.
fn needed(program: &Path) -> Result<Vec<String>> {
    let told = answer(Command::new("readelf").args(["--dynamic", "--wide"]).arg(program))?;
    let libraries = told.lines().filter(|line| line.contains("(NEEDED)"));
    Ok(libraries.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())).collect())
}

#[expect(clippy::cast_precision_loss, reason = "some megabytes")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
