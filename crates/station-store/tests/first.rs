//! The first connections of a process, many at the same moment. A test of its own, because a process has its first moment once.

use station_store::{Key, LeaseClock, Location, Options, Store};
use std::sync::Barrier;

#[test]
fn stores_that_are_the_first_of_a_process_open_at_the_same_moment() {
    const AT_ONCE: usize = 16;
    let folder = tempfile::tempdir().unwrap();
    let moment = Barrier::new(AT_ONCE);
    let open = |n: usize| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let location = Location::Sqlite(folder.path().join(format!("{n}.db")));
        let keys = Key::generate().unwrap().into();
        moment.wait();
        runtime.block_on(Store::open(Options { location, keys, lease_clock: LeaseClock::System })).map(drop)
    };
    let open = &open;
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..AT_ONCE).map(|n| scope.spawn(move || open(n))).collect();
        for store in opened {
            store.join().unwrap().unwrap();
        }
    });
}
