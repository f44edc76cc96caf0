//! The repository as the checks see it: its text files, and the edges between its crates.
//!
//! Files come from git (tracked, and new ones that are not ignored), so build output and `node_modules` never count.

use std::fmt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::source::Source;

/// The repository, read once.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    pub(crate) edges: Vec<Edge>,
}

/// One text file; `source` only for Rust.
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) source: Option<Source>,
}

/// A dependency that a crate of ours names in its manifest.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    /// For tests and benches only.
    pub(crate) dev: bool,
}

/// Something refused.
#[derive(Debug)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    why: String,
}

impl Tree {
    /// Reads the checkout that this program was built from.
    pub(crate) fn read() -> Result<Tree> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let mut tree = Tree { files: Vec::new(), edges: read_edges(root)? };
        for path in list(root)? {
            // A deleted file is still in git's index; a binary file has no lines to check.
            if let Ok(text) = std::fs::read_to_string(format!("{root}/{path}")) {
                tree.files.push(File::new(&path, &text));
            }
        }
        ensure!(!tree.files.is_empty(), "git lists no file in `{root}`");
        Ok(tree)
    }

    /// The file at exactly this path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// All Rust files with their scanned text.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter_map(|file| Some((file, file.source.as_ref()?)))
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| File::new(path, text)).collect(), edges: Vec::new() }
    }
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> File {
        let source = path.ends_with(".rs").then(|| Source::scan(text));
        File { path: path.to_owned(), text: text.to_owned(), source }
    }

    /// Code that only tests run: the rules about production code do not bind it.
    pub(crate) fn is_test(&self) -> bool {
        let path = format!("/{}", self.path);
        path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || path.contains("/benches/")
            || path.starts_with("/crates/station-testkit/")
    }

    /// The first line that contains `needle`, for a finding; 1 if none does.
    pub(crate) fn line_of(&self, needle: &str) -> usize {
        self.text.lines().position(|line| line.contains(needle)).map_or(1, |n| n + 1)
    }

    /// A finding in this file.
    pub(crate) fn finding(&self, line: usize, why: impl Into<String>) -> Finding {
        Finding::at(&self.path, line, why)
    }
}

impl Finding {
    /// A finding in a file that may be missing.
    pub(crate) fn at(path: &str, line: usize, why: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, why: why.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.why)
    }
}

fn list(root: &str) -> Result<Vec<String>> {
    let output = Command::new("git")
        // CI often runs as another user than the one who made the checkout; we only list.
        .args([
            "-c",
            "safe.directory=*",
            "-C",
            root,
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("cannot run `git`")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    let mut paths: Vec<String> = String::from_utf8(output.stdout)?
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// What the manifests name, from `cargo metadata`; `--no-deps` and `--offline` keep it from asking a registry.
fn read_edges(root: &str) -> Result<Vec<Edge>> {
    let metadata = MetadataCommand::new()
        .manifest_path(format!("{root}/Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .context("cargo metadata")?;
    let edges = metadata.packages.iter().flat_map(|package| {
        package.dependencies.iter().map(|dependency| Edge {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            dev: dependency.kind == DependencyKind::Development,
        })
    });
    Ok(edges.collect())
}
