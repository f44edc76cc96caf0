//! The parts of the published program, as CycloneDX 1.6 in JSON (ECMA-424): every crate whose code is in it, with version,
//! licence and checksum, and who needs whom.
//!
//! Which crates those are is what cargo's resolver says for the program alone, with the features it is built with: tests, build
//! scripts and macros leave nothing in it. The one build script whose product is linked, OpenSSL's, is named besides.

use crate::programs::{answer, cargo};
use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A dependency of a build script, but what it builds is linked.
const LINKED: &str = "openssl-src";

/// The list of parts of `stn` with `feature`, for `target`.
///
/// # Errors
/// Where cargo does not tell what is in it, or Cargo.lock cannot be read.
pub(crate) fn of(root: &Path, metadata: &Metadata, feature: &str, target: &str) -> Result<Value> {
    let linked = linked(root, feature, target)?;
    let is_in = |package: &Package| linked.contains(&named(package)) || package.name.as_str() == LINKED;
    let (own, parts): (Vec<&Package>, Vec<&Package>) =
        sorted(metadata.packages.iter().filter(|&package| is_in(package)))
            .into_iter()
            .partition(|package| package.name.as_str() == "stn");
    let own = own.first().context("`stn` is a package of the workspace")?;
    let checksums = checksums(root)?;
    let resolve = metadata.resolve.as_ref().context("cargo tells who needs whom")?;
    let refs: BTreeMap<&PackageId, String> =
        parts.iter().chain([own]).map(|package| (&package.id, purl(package))).collect();
    let mut dependencies: Vec<Value> = Vec::new();
    for node in &resolve.nodes {
        let Some(name) = refs.get(&node.id) else { continue };
        let of_it = node.deps.iter().filter(|dep| {
            let is_linked = dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            is_linked || refs.get(&dep.pkg).is_some_and(|name| name.contains(LINKED))
        });
        let on: BTreeSet<&String> = of_it.filter_map(|dep| refs.get(&dep.pkg)).collect();
        dependencies.push(json!({ "ref": name, "dependsOn": on }));
    }
    dependencies.sort_by_key(|of| of["ref"].to_string());
    let mut program = component(own, &checksums);
    program["type"] = "application".into();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": program },
        "components": parts.iter().map(|package| component(package, &checksums)).collect::<Vec<_>>(),
        "dependencies": dependencies,
    }))
}

/// Names and versions of what is linked into the program.
fn linked(root: &Path, feature: &str, target: &str) -> Result<BTreeSet<(String, String)>> {
    let tree = answer(
        cargo()
            .current_dir(root)
            .args(["tree", "--locked", "--package", "stn", "--features", feature, "--target", target])
            .args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]),
    )?;
    let part = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned()))
    };
    Ok(tree.lines().filter_map(part).collect())
}

fn named(package: &Package) -> (String, String) {
    (package.name.to_string(), package.version.to_string())
}

fn sorted<'a>(packages: impl Iterator<Item = &'a Package>) -> Vec<&'a Package> {
    let mut packages: Vec<&Package> = packages.collect();
    packages.sort_by_key(|package| named(package));
    packages
}

/// The package's address (package-url, type `cargo`), which is its name within the list too.
fn purl(package: &Package) -> String {
    // A version's `+` stands for something else in an address.
    format!("pkg:cargo/{}@{}", package.name, package.version.to_string().replace('+', "%2B"))
}

fn component(package: &Package, checksums: &BTreeMap<(String, String), String>) -> Value {
    let mut part = json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": package.name.as_str(),
        "version": package.version.to_string(),
        "purl": purl(package),
    });
    if let Some(license) = &package.license {
        // What cargo wrote before it was SPDX.
        part["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
    }
    if let Some(checksum) = checksums.get(&named(package)) {
        part["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    part
}

/// By name and version; what lies in the workspace has none.
fn checksums(root: &Path) -> Result<BTreeMap<(String, String), String>> {
    let text = std::fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock can be read")?;
    let lock: toml::Table = text.parse().context("Cargo.lock is TOML")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock has packages")?;
    let row = |package: &toml::Value| {
        let text = |key: &str| package.get(key)?.as_str().map(str::to_owned);
        Some(((text("name")?, text("version")?), text("checksum")?))
    };
    Ok(packages.iter().filter_map(row).collect())
}
