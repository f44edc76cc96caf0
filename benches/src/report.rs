//! The only printing of the benches.
#![expect(clippy::print_stdout, reason = "a bench is a program whose output is its figures")]

use crate::conditions;
use std::fmt::Display;
use std::path::Path;

/// Begins a report: what is measured, and under which conditions.
pub fn title(what: &str, folder: &Path) {
    println!("{what}");
    for line in conditions::lines(folder) {
        println!("  {line}");
    }
    println!();
}

/// A figure, under a heading.
pub fn line(what: &str, figure: impl Display) {
    println!("  {what:<58} {figure}");
}

/// A figure with a limit: whether it was kept is printed and nothing else comes of it.
pub fn aim(what: &str, figure: f64, limit: f64, unit: &str) {
    let verdict = if figure <= limit { "met" } else { "MISSED" };
    line(what, format_args!("{figure:8.3} {unit}  (aim ≤ {limit} {unit}: {verdict})"));
}

/// What the Go program took; not measured here.
pub fn go(what: &str, figure: &str) {
    line(what, format_args!("{figure}  (the Go program, measured elsewhere on two cores)"));
}

/// An empty line between figures.
pub fn gap() {
    println!();
}

/// A bare value, for another program to read.
pub fn plain(value: impl Display) {
    println!("{value}");
}
