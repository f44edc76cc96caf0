//! Questions to people: asked in the commit of the call that waits, decided once, and never slept through.

use crate::fixture::{
    Engine, Home, LEASE_MS, NOW, Seed, WORKSPACE, claimed, entry, env_name, on_both, owner, put_config, seed,
    started,
};
use station_core::approval::{self, Approved, Basis, Decided, Decision, Level, Rule};
use station_core::run::Status;
use station_core::{AgentId, BlobHash, EffectId, EnvironmentId, Fence, Kind, Micros, RunId, ServerId};
use station_store::{
    Append, Appended, ApprovalFilter, Asker, AuditFault, AuditFilter, AuditHead, CallQuestion, Deed,
    Location, NewApproval, PruneCursor, RunUpdate, Say, Settlement, Store, Wanted,
};
use station_testkit::postgres::cluster;

const LATER: Micros = Micros(NOW.0 + 60_000_000);

fn effect(n: u128) -> EffectId {
    EffectId(format!("00000000-0000-7000-8000-{n:012}").parse::<EffectId>().unwrap().0)
}

fn basis(definition: &str) -> Basis {
    let rule = Rule { level: Level::Environment, pattern: "delete_*".to_owned() };
    Basis { arguments: BlobHash::of(b"{}"), definition: definition.to_owned(), rule }
}

struct Scene {
    seed: Seed,
    server: ServerId,
    run: RunId,
    fence: Fence,
}

impl Scene {
    async fn new(store: &Store) -> Self {
        let seed = seed(store).await;
        store
            .apply(&env_name("default"), WORKSPACE, &[put_config("files", &["fs"])], "ada", NOW)
            .await
            .unwrap();
        let server = store.servers(Some(seed.env)).await.unwrap()[0].id;
        let (run, fence) = started(store, &seed, "task").await;
        Self { seed, server, run, fence }
    }

    fn asking(&self, n: u128, expires_at: Option<Micros>) -> NewApproval {
        NewApproval {
            effect: effect(n),
            agent: self.seed.agent,
            server: self.server,
            tool: "delete_all".to_owned(),
            arguments: r#"{"path":"/"}"#.to_owned(),
            basis: basis("v1"),
            expires_at,
        }
    }

    /// Appends `entry` number `seq`, with `change` made to what is appended.
    async fn append(&self, store: &Store, seq: i64, change: impl FnOnce(&mut Append)) -> Appended {
        let mut input = Append::new(self.run, self.fence, vec![entry(seq, "x")]);
        change(&mut input);
        store.append(input).await.unwrap()
    }

    async fn park(&self, store: &Store, seq: i64, asks: Vec<NewApproval>) {
        let row = Some(RunUpdate::new(Status::Waiting));
        self.append(store, seq, |it| (it.asks, it.row) = (asks, row)).await;
    }

    async fn status(&self, store: &Store) -> Status {
        store.run(self.run).await.unwrap().unwrap().status
    }
}

#[tokio::test]
async fn a_decision_puts_its_run_back_in_the_queue_and_is_heard_once() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        scene.park(&store, 1, vec![scene.asking(1, None), scene.asking(2, None)]).await;
        assert_eq!(scene.status(&store).await, Status::Waiting);
        let pending = store.approvals(&ApprovalFilter::pending(), 10).await.unwrap();
        assert_eq!(pending.len(), 2);
        let run = Asker::Run { run: scene.run, agent: "triage".to_owned() };
        assert_eq!((&pending[0].asker, pending[0].server.as_str()), (&run, "fs"));
        assert_eq!((pending[0].arguments.as_str(), &pending[0].basis), (r#"{"path":"/"}"#, &basis("v1")));

        store.decide(pending[0].id, Say::Once, "ann", LATER).await.unwrap();
        let run = store.run(scene.run).await.unwrap().unwrap();
        assert_eq!((run.status, run.waiting_since), (Status::Queued, Some(LATER)));
        let again = store.decide(pending[0].id, Say::Deny { reason: String::new() }, "bob", LATER).await;
        let error = again.unwrap_err();
        assert_eq!(
            (error.kind(), error.sentence()),
            (Kind::Conflict, "approval 1 was approved by ann already")
        );

        let decided = store.decisions(scene.run).await.unwrap();
        let expected = Decided { effect: effect(1), decision: Decision::Approved, by: "ann".to_owned() };
        assert_eq!(decided, [expected]);
        let fence = claimed(&store, scene.run, "two").await;
        let scene = Scene { fence, ..scene };
        scene.append(&store, 2, |it| it.heard = vec![effect(1)]).await;
        assert!(store.decisions(scene.run).await.unwrap().is_empty());
        scene.park(&store, 3, Vec::new()).await;
        assert_eq!(scene.status(&store).await, Status::Waiting, "the second question still waits");
    })
    .await;
}

#[tokio::test]
async fn a_run_does_not_park_on_what_was_decided_meanwhile() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        scene.append(&store, 1, |it| it.asks = vec![scene.asking(1, None)]).await;
        let deny = Say::Deny { reason: "not on a Friday".to_owned() };
        store.decide(1, deny, "ann", LATER).await.unwrap();
        assert_eq!(scene.status(&store).await, Status::Running, "its driver is at work on a sibling");
        scene.park(&store, 2, Vec::new()).await;
        assert_eq!(scene.status(&store).await, Status::Queued);
        let decided = store.decisions(scene.run).await.unwrap();
        assert_eq!(decided[0].decision, Decision::Denied { reason: "not on a Friday".to_owned() });
    })
    .await;
}

#[tokio::test]
async fn a_question_ends_with_its_time_or_with_its_run() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        let asks = vec![scene.asking(1, Some(LATER)), scene.asking(2, None)];
        scene.park(&store, 1, asks).await;
        assert_eq!(store.expire_approvals(NOW).await.unwrap(), 0);
        assert_eq!(store.expire_approvals(LATER).await.unwrap(), 1);
        assert_eq!(store.audit(&AuditFilter::default(), 1).await.unwrap()[0].action, "time_out");
        assert_eq!(scene.status(&store).await, Status::Queued);
        assert_eq!(store.decisions(scene.run).await.unwrap()[0].decision, Decision::TimedOut);
        let error = store.decide(1, Say::Once, "ann", LATER).await.unwrap_err();
        assert_eq!(error.sentence(), "approval 1 timed out: nobody decided in time");

        let fence = claimed(&store, scene.run, "two").await;
        let scene = Scene { fence, ..scene };
        scene.append(&store, 2, |it| it.row = Some(RunUpdate::new(Status::Cancelled))).await;
        assert!(store.approvals(&ApprovalFilter::pending(), 10).await.unwrap().is_empty());
        let error = store.decide(2, Say::Once, "ann", LATER).await.unwrap_err();
        assert!(error.sentence().starts_with("approval 2 is void"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_sent_on_a_yes_that_was_not_given() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        scene.append(&store, 1, |it| it.asks = vec![scene.asking(1, None)]).await;
        let using = |it: &mut Append| it.uses = vec![(effect(1), Approved::Once { basis: basis("v1") })];
        let mut input = Append::new(scene.run, scene.fence, vec![entry(2, "x")]);
        using(&mut input);
        assert_eq!(store.append(input).await.unwrap_err().kind(), Kind::Internal);
        store.decide(1, Say::Once, "ann", LATER).await.unwrap();
        scene.append(&store, 2, using).await;
        assert!(store.approval(1).await.unwrap().used_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn always_is_a_rule_that_can_be_taken_back() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        scene.park(&store, 1, vec![scene.asking(1, None)]).await;
        let (agent, server) = (scene.seed.agent, scene.server);
        let standing = async |tool: &str, definition: &str| {
            store.standing_approval(agent, server, tool, definition).await.unwrap()
        };
        assert_eq!(standing("delete_all", "v1").await, None);
        store.decide(1, Say::Always, "ann", LATER).await.unwrap();
        assert_eq!(standing("delete_all", "v1").await, Some(1));
        assert_eq!(standing("delete_all", "v2").await, None, "another definition is another tool");
        assert_eq!(standing("delete_one", "v1").await, None);
        let listed = store.standing_approvals(None).await.unwrap();
        assert_eq!((listed.len(), listed[0].made_by.as_str(), listed[0].uses), (1, "ann", 0));
        store.revoke_standing_approval(1, "bob", LATER).await.unwrap();
        assert_eq!(standing("delete_all", "v1").await, None);
        assert_eq!(store.revoke_standing_approval(1, "bob", LATER).await.unwrap_err().kind(), Kind::NotFound);
    })
    .await;
}

#[tokio::test]
async fn a_person_settles_an_effect_once() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        scene.park(&store, 1, Vec::new()).await;
        let says = |done| Settlement { effect: effect(1), done, note: "seen".to_owned(), by: "ann".into() };
        store.settle(scene.run, says(true), LATER).await.unwrap();
        assert_eq!(scene.status(&store).await, Status::Queued);
        assert_eq!(store.settle(scene.run, says(false), LATER).await.unwrap_err().kind(), Kind::Conflict);
        assert_eq!(store.settlements(scene.run).await.unwrap(), [says(true)]);
        let wanted = Wanted { n: 1, at_once: station_core::Concurrency::UNLIMITED };
        let taken = store.claim_next(&owner("two"), LEASE_MS, &wanted, NOW).await.unwrap();
        let scene = Scene { fence: taken[0].1, ..scene };
        scene.append(&store, 2, |it| it.heard = vec![effect(1)]).await;
        assert!(store.settlements(scene.run).await.unwrap().is_empty());
        // It was sent again, and was lost again.
        scene.park(&store, 3, Vec::new()).await;
        store.settle(scene.run, says(false), LATER).await.unwrap();
        assert_eq!(store.settlements(scene.run).await.unwrap(), [says(false)]);
    })
    .await;
}

#[tokio::test]
async fn questions_are_found_by_what_they_are_of_and_page_by_page() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        scene.park(&store, 1, (1..=4).map(|n| scene.asking(n, None)).collect()).await;
        let first = store.approvals(&ApprovalFilter::pending(), 1).await.unwrap()[0].id;
        let said = Say::Deny { reason: String::new() };
        store.decide(first, said, "ann", LATER).await.unwrap();
        let check = async |filter: ApprovalFilter, expected: &[i64]| {
            let found = store.approvals(&filter, 2).await.unwrap();
            let found: Vec<i64> = found.iter().map(|it| it.id - first + 1).collect();
            assert_eq!(found, expected, "{filter:?}");
        };
        let (pending, all) = (ApprovalFilter::pending, ApprovalFilter::default);
        check(pending(), &[2, 3]).await;
        check(ApprovalFilter { behind: Some(first + 2), ..pending() }, &[4]).await;
        check(all(), &[4, 3]).await;
        check(ApprovalFilter { behind: Some(first + 2), ..all() }, &[2, 1]).await;
        check(ApprovalFilter { status: Some(approval::Status::Denied), ..all() }, &[1]).await;
        for (of_it, of_none) in [
            (
                ApprovalFilter { agent: Some(scene.seed.agent), ..all() },
                ApprovalFilter { agent: Some(AgentId(99)), ..all() },
            ),
            (
                ApprovalFilter { run: Some(scene.run), ..all() },
                ApprovalFilter { run: Some(RunId(99)), ..all() },
            ),
            (
                ApprovalFilter { environment: Some(scene.seed.env), ..all() },
                ApprovalFilter { environment: Some(EnvironmentId(99)), ..all() },
            ),
        ] {
            check(of_it, &[4, 3]).await;
            check(ApprovalFilter { status: pending().status, ..of_none.clone() }, &[]).await;
            check(of_none, &[]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn rows_of_the_audit_are_found_by_who_did_what_to_what_and_when() {
    on_both(async |_, store| {
        let deed = |n: i64, actor: &str, action: &'static str| Deed {
            at: Micros(NOW.0 + n),
            actor: actor.into(),
            action,
            subject: format!("agent {}", n % 2),
            detail: "{}".to_owned(),
        };
        let deeds =
            [deed(1, "ann", "create_agent"), deed(2, "bob", "create_agent"), deed(3, "ann", "delete_agent")];
        store.note_deeds(deeds.to_vec()).await.unwrap();
        let check = async |filter: AuditFilter, expected: &[i64]| {
            let found = store.audit(&filter, 10).await.unwrap();
            assert_eq!(found.iter().map(|row| row.seq).collect::<Vec<_>>(), expected, "{filter:?}");
        };
        let (all, text) = (AuditFilter::default, |text: &str| Some(text.to_owned()));
        check(all(), &[3, 2, 1]).await;
        check(AuditFilter { before: Some(3), ..all() }, &[2, 1]).await;
        check(AuditFilter { actor: text("ann"), ..all() }, &[3, 1]).await;
        check(AuditFilter { actor: text("an"), ..all() }, &[]).await;
        check(AuditFilter { action: text("create_agent"), ..all() }, &[2, 1]).await;
        check(AuditFilter { subject: text("agent 1"), actor: text("ann"), ..all() }, &[3, 1]).await;
        check(AuditFilter { since: Some(Micros(NOW.0 + 2)), ..all() }, &[3, 2]).await;
        check(AuditFilter { until: Some(Micros(NOW.0 + 2)), ..all() }, &[1]).await;
    })
    .await;
}

#[tokio::test]
async fn every_decision_is_a_link_of_one_chain() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        let begun = store.check_audit().await.unwrap().unwrap().seq;
        let asks = (1..=20).map(|n| scene.asking(n, None)).collect();
        scene.park(&store, 1, asks).await;
        let deciding = (1..=20).map(|id| store.decide(id, Say::Once, "ann", LATER));
        futures::future::join_all(deciding).await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
        let audit = store.audit(&AuditFilter::default(), 20).await.unwrap();
        assert!(audit.iter().all(|row| row.action == "approve" && row.actor == "ann"), "{audit:?}");
        assert_eq!(audit[0].seq, begun + 20);
        assert!(audit[0].detail.contains("delete_all"), "{}", audit[0].detail);
        assert_eq!(audit[0].previous, audit[1].hash);
        assert_eq!(store.check_audit().await.unwrap().unwrap().seq, begun + 20);
    })
    .await;
}

#[tokio::test]
async fn a_changed_row_of_the_audit_is_found() {
    let home = Home::new(Engine::Postgres);
    let store = home.open().await;
    let scene = Scene::new(&store).await;
    scene.park(&store, 1, (1..=3).map(|n| scene.asking(n, None)).collect()).await;
    for id in 1..=3 {
        store.decide(id, Say::Once, "ann", LATER).await.unwrap();
    }
    let Location::Postgres(url) = &home.location else { panic!("a PostgreSQL home") };
    let last = store.check_audit().await.unwrap().unwrap().seq;
    for (sql, fault) in [
        ("update station.audit set actor = 'bob' where seq = LAST", Some(AuditFault::Row(last))),
        ("update station.audit set actor = 'ann' where seq = LAST", None),
        ("update station.audit set asked_from = '192.0.2.7' where seq = LAST", Some(AuditFault::Row(last))),
        ("update station.audit set asked_from = null where seq = LAST", None),
        ("delete from station.audit where seq = 1", Some(AuditFault::Row(1))),
    ] {
        let sql = sql.replace("LAST", &last.to_string());
        cluster().query(url.expose(), &sql);
        assert_eq!(store.check_audit().await.unwrap().err(), fault, "{sql}");
    }
    store.close().await;
}

#[tokio::test]
async fn an_audit_whose_last_rows_were_deleted_is_not_called_whole() {
    // Rows of what the scene is made of come before its decisions.
    let begun = begun().await;
    let last = begun + 3;
    for (sql, faults) in [
        (
            "delete from station.audit where seq = LAST",
            [AuditFault::Cut { kept: last, found: last - 1 }, AuditFault::Row(last)],
        ),
        ("delete from station.audit", [AuditFault::Cut { kept: last, found: 0 }, AuditFault::Row(1)]),
        ("delete from station.audit; delete from station.audit_head", [AuditFault::Head, AuditFault::Row(1)]),
        (
            "insert into station.audit select LAST + 1, at, actor, action, subject, detail, hash, hash
                from station.audit where seq = LAST",
            [AuditFault::Row(last + 1), AuditFault::Row(last + 1)],
        ),
        (
            "update station.approvals set status = 'approved', decided_by = 'bob' where id = 4",
            [AuditFault::Untold("approval 4".to_owned()), AuditFault::Untold("approval 4".to_owned())],
        ),
        (
            "update station.approvals set status = 'denied' where id = 2",
            [AuditFault::Untold("approval 2".to_owned()), AuditFault::Untold("approval 2".to_owned())],
        ),
    ] {
        let home = Home::new(Engine::Postgres);
        let store = home.open().await;
        let scene = Scene::new(&store).await;
        scene.park(&store, 1, (1..=5).map(|n| scene.asking(n, None)).collect()).await;
        for id in 1..=3 {
            store.decide(id, Say::Once, "ann", LATER).await.unwrap();
        }
        let audit = store.audit(&AuditFilter::default(), 1).await.unwrap();
        let head = AuditHead { seq: last, hash: audit[0].hash.clone() };
        assert_eq!(store.check_audit().await.unwrap(), Ok(head));
        let Location::Postgres(url) = &home.location else { panic!("a PostgreSQL home") };
        cluster().query(url.expose(), &sql.replace("LAST", &last.to_string()));
        let [now, later] = faults;
        assert_eq!(store.check_audit().await.unwrap(), Err(now), "{sql}");
        // A later decision is kept, and mends nothing.
        store.decide(5, Say::Once, "ann", LATER).await.unwrap();
        assert_eq!(store.check_audit().await.unwrap(), Err(later), "{sql}, and on");
        store.close().await;
    }
}

/// How many rows the audit has once a scene stands.
async fn begun() -> i64 {
    let home = Home::new(Engine::Postgres);
    let store = home.open().await;
    Scene::new(&store).await;
    let begun = store.check_audit().await.unwrap().unwrap().seq;
    store.close().await;
    begun
}

#[tokio::test]
async fn a_run_from_which_a_standing_yes_stems_is_kept_as_long_as_that_holds() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        scene.park(&store, 1, vec![scene.asking(1, None)]).await;
        let pending = store.approvals(&ApprovalFilter::pending(), 10).await.unwrap();
        store.decide(pending[0].id, Say::Always, "ann", NOW).await.unwrap();
        let fence = claimed(&store, scene.run, "two").await;
        let row = RunUpdate { ended_at: Some(NOW), ..RunUpdate::new(Status::Completed) };
        store.append(Append { row: Some(row), ..Append::new(scene.run, fence, Vec::new()) }).await.unwrap();
        let standing = store.standing_approvals(None).await.unwrap()[0].id;
        for (revoke, runs) in [(false, 0), (true, 1)] {
            if revoke {
                store.revoke_standing_approval(standing, "ann", LATER).await.unwrap();
            }
            assert_eq!(store.prunable(LATER).await.unwrap().runs, runs, "revoked: {revoke}");
            assert_eq!(store.prune(LATER, PruneCursor::default()).await.unwrap().0.runs, runs);
        }
    })
    .await;
}

#[tokio::test]
async fn a_yes_to_a_call_of_a_client_is_used_once_by_whom_it_was_asked_for() {
    on_both(async |_, store| {
        let scene = Scene::new(&store).await;
        let question = |caller: &str, definition: &str| CallQuestion {
            caller: caller.to_owned(),
            server: scene.server,
            tool: "delete_all".to_owned(),
            arguments: "{}".to_owned(),
            basis: basis(definition),
        };
        let of_ada = question("ada", "v1");
        let id = store.ask_for_call(&of_ada, effect(70), NOW).await.unwrap();
        let found = store.call_approval(&of_ada, LATER).await.unwrap().unwrap();
        assert_eq!((found.id, found.asker, found.effect), (id, Asker::Caller("ada".to_owned()), effect(70)));
        for other in [question("bob", "v1"), question("ada", "v2")] {
            assert_eq!(store.call_approval(&other, LATER).await.unwrap(), None, "{other:?}");
        }
        assert!(!store.use_call_approval(id, LATER).await.unwrap(), "nobody said yes");
        let always = store.decide(id, Say::Always, "carl", LATER).await.unwrap_err();
        assert_eq!(always.kind(), Kind::Conflict, "{always}");
        store.decide(id, Say::Once, "carl", LATER).await.unwrap();
        assert!(store.use_call_approval(id, LATER).await.unwrap());
        assert!(!store.use_call_approval(id, LATER).await.unwrap(), "once");
        assert_eq!(store.call_approval(&of_ada, LATER).await.unwrap(), None);
        // The server asked something first, or was not reached: the same call comes again, once.
        store.give_back_call_approval(id, LATER).await.unwrap();
        let again = store.call_approval(&of_ada, LATER).await.unwrap().unwrap();
        assert_eq!((again.id, again.used_at), (id, None));
        assert!(store.use_call_approval(id, LATER).await.unwrap());
        assert!(!store.use_call_approval(id, LATER).await.unwrap(), "once more, and not twice");
        // The same question is put once, whoever puts it at the same time.
        let id = store.ask_for_call(&question("eve", "v1"), effect(72), NOW).await.unwrap();
        assert_eq!(store.ask_for_call(&question("eve", "v1"), effect(73), NOW).await.unwrap(), id);
        // What nobody decides is over after a day.
        let id = store.ask_for_call(&of_ada, effect(71), NOW).await.unwrap();
        let day = Micros(NOW.0 + 24 * 60 * 60 * 1_000_000);
        assert_eq!(store.call_approval(&of_ada, day).await.unwrap(), None);
        assert_eq!(store.expire_approvals(day).await.unwrap(), 2);
        assert_eq!(store.approval(id).await.unwrap().status, approval::Status::TimedOut);
    })
    .await;
}
