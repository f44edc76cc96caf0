//! What the disk itself costs: no durable commit can be cheaper than the flush it ends with.

use crate::samples::Samples;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

/// One page of the database.
const PAGE_BYTES: usize = 4096;

/// Appends a page to a new file in `folder` and flushes it, `n` times.
///
/// # Panics
/// Where the folder cannot be written.
#[must_use]
pub fn fsync(folder: &Path, n: usize) -> Samples {
    measure(folder, n, |file| file.write_all(&[7; PAGE_BYTES]))
}

fn measure(folder: &Path, n: usize, mut write: impl FnMut(&mut File) -> std::io::Result<()>) -> Samples {
    let path = folder.join("floor");
    let mut file = File::create(&path).expect("the folder of the store can be written");
    let mut samples = Samples::default();
    for _ in 0..n {
        let started = Instant::now();
        write(&mut file).expect("the disk has room");
        file.sync_all().expect("the disk can be flushed");
        samples.add(started.elapsed());
    }
    std::fs::remove_file(path).expect("our own file can be removed");
    samples
}
