//! An audit whose rows somebody with the key wrote in another order.

use super::{NOW, options};
use crate::connect::Target;
use crate::db::Blocking;
use crate::{AuditFault, AuditHead, Deed, Key, Location, Options, Store};
use station_core::{Micros, Secret};
use station_testkit::postgres::cluster;

/// Has two rows of the audit change their places.
async fn swap(options: &Options, one: i64, other: i64) {
    const MOVE: &str = "update audit set seq = $2 where seq = $1";
    let target = Target::prepare(&options.location, options.keys.current()).unwrap();
    let mut conn = target.connect(Blocking::Elsewhere).await.unwrap();
    for (from, to) in [(one, -1), (other, one), (-1, other)] {
        assert_eq!(conn.exec(MOVE, vec![from.into(), to.into()]).await.unwrap(), 1);
    }
    conn.close().await;
}

#[tokio::test]
async fn rows_of_the_audit_that_changed_places_are_found_on_both_engines() {
    let (folder, key) = (tempfile::tempdir().unwrap(), Key::generate().unwrap());
    let postgres = Location::Postgres(Secret::new(cluster().database()));
    let here = || options(&folder, &key);
    for options in [here(), Options { location: postgres, ..here() }] {
        let store = Store::open(options.clone()).await.unwrap();
        let deed = |n: i64| Deed {
            at: Micros(NOW.0 + n),
            actor: "ada".into(),
            action: "call_tool",
            subject: format!("tool {n}"),
            detail: "{}".to_owned(),
        };
        store.note_deeds((1..=4).map(deed).collect()).await.unwrap();
        let head = store.check_audit().await.unwrap().unwrap();
        assert_eq!(head.seq, 4);
        for (one, other) in [(2, 3), (1, 4), (3, 4)] {
            swap(&options, one, other).await;
            assert_eq!(store.check_audit().await.unwrap(), Err(AuditFault::Row(one)), "{one} and {other}");
            swap(&options, one, other).await;
            assert_eq!(store.check_audit().await.unwrap(), Ok(head.clone()), "as it was");
        }
        // What is told later mends nothing.
        swap(&options, 2, 3).await;
        store.note_deeds(vec![deed(5)]).await.unwrap();
        assert_eq!(store.check_audit().await.unwrap(), Err(AuditFault::Row(2)));
        swap(&options, 2, 3).await;
        assert!(matches!(store.check_audit().await.unwrap(), Ok(AuditHead { seq: 5, .. })));
        store.close().await;
    }
}
