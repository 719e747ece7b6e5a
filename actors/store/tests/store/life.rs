//! The store when all is well: what goes in comes out, in time, and survives a crash of the actor and the end of the daemon.

use crate::common::{NOON, Running, integrity, key, log_of, pass, row};
use contract::message::{Drain, Lane, Reconfigure};
use contract::provider::ModelEntry;
use contract::store::{
    AddKey, AuditRow, AuditSink as _, CacheModels, HistorySlab, KeepHistory, ListKeys, LoadHistory, LoadModels,
    ReadAudit, RevokeKey,
};
use contract::units::Span;
use jiff::SignedDuration;
use runtime::{Event, world::World};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use store::Config;

#[test]
fn keeps_the_history_of_clusters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    let slab = HistorySlab { grain_s: 60, begin: NOON, data: vec![1, 2, 3] };
    World::run(async |world| {
        let running = Running::start(world, &path);
        let kept = KeepHistory { cluster: "lab".into(), slabs: vec![slab.clone()], forget_before: vec![(60, NOON)] };
        running.ask(kept).await.unwrap();
        running.ask(Drain).await;
    });
    World::run(async |world| {
        let running = Running::start(world, &path);
        assert_eq!(running.ask(LoadHistory { cluster: "lab".into() }).await, Ok(vec![slab.clone()]));
        assert_eq!(running.ask(LoadHistory { cluster: "other".into() }).await, Ok(vec![]));
        running.ask(Drain).await;
    });
}

#[test]
fn keeps_keys_and_models() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    let model = |name: &str| ModelEntry {
        provider: "ollama".into(),
        model: name.into(),
        created: Some(1),
        context_tokens: Some(8192),
        tools: Some(true),
        abilities: contract::provider::Abilities::default(),
    };
    World::run(async |world| {
        let running = Running::start(world, &path);
        running.ask(AddKey(key("web"))).await.unwrap();
        running.ask(AddKey(key("cli"))).await.unwrap();
        let twice = running.ask(AddKey(key("web"))).await.unwrap_err();
        assert!(twice.0.contains("\"web\"") && twice.0.contains("haia keys revoke web"), "{twice}");
        assert_eq!(running.report().await.problem, None, "a name taken is no fault of the store");
        assert_eq!(running.ask(RevokeKey { name: "cli".into() }).await, Ok(true));
        assert_eq!(running.ask(RevokeKey { name: "cli".into() }).await, Ok(false));
        let models = vec![model("b"), model("a")];
        running.ask(CacheModels { provider: "ollama".into(), models }).await.unwrap();
        running.ask(Drain).await;
    });
    World::run(async |world| {
        let running = Running::start(world, &path);
        assert_eq!(running.ask(ListKeys).await.unwrap(), [key("web")]);
        assert_eq!(running.ask(LoadModels).await.unwrap(), [model("b"), model("a")]);
    });
}

#[test]
fn a_fresh_file_is_for_its_owner_only_and_its_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/haia.db");
    World::run(async |world| {
        let running = Running::start(world, &path);
        running.ask(AddKey(key("web"))).await.unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&log_of(&path)), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let report = running.report().await;
        assert_eq!((report.path.as_str(), report.schema), (path.to_str().unwrap(), 6));
        assert!(report.bytes >= 4096, "{report:?}");
    });
    assert_eq!(store::origin(&path, NOON + SignedDuration::from_hours(1)), Ok(NOON), "created when the daemon says");
}

#[test]
fn audit_rows_are_written_twice_a_second_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let path = folder.path().join("haia.db");
        let running = Running::start(world, &path);
        running.report().await;
        let handled = running.store.stats().handled();
        (0..100).for_each(|n| running.queue.record(row(&n.to_string())));
        world.settle().await;
        assert_eq!(running.store.stats().handled(), handled, "a row must not wake the store");
        assert_eq!(running.queue.waiting(), 100);
        tokio::time::sleep(Duration::from_millis(510)).await;
        assert_eq!(running.queue.waiting(), 0);

        let written = std::fs::metadata(log_of(&path)).unwrap().modified().unwrap();
        pass(30).await;
        assert_eq!(
            std::fs::metadata(log_of(&path)).unwrap().modified().unwrap(),
            written,
            "nothing to write, yet it wrote"
        );
    });
}

#[test]
fn whoever_reads_the_trail_sees_what_was_recorded_before() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let running = Running::start(world, &folder.path().join("haia.db"));
        for n in 0..3 {
            running.queue.record(AuditRow { at: NOON + SignedDuration::from_secs(n), ..row(&n.to_string()) });
        }
        assert_eq!(running.audit().await, ["2", "1", "0"]);
        let filter = ReadAudit { request_id: Some("1".into()), kind: None, limit: 10 };
        assert_eq!(running.ask(filter).await.unwrap().len(), 1);
    });
}

#[test]
fn rows_that_do_not_fit_are_counted_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let config = Config { path: folder.path().join("haia.db"), ..Config::default() };
        let running = Running::with(world, config, 10);
        (0..15).for_each(|n| running.queue.record(row(&n.to_string())));
        let report = running.report().await;
        assert_eq!((report.audit_waiting, report.audit_lost), (10, 5));
        assert_eq!(running.audit().await.len(), 10);
    });
}

#[test]
fn a_crash_of_the_actor_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let running = Running::start(world, &folder.path().join("haia.db"));
        running.ask(AddKey(key("web"))).await.unwrap();
        running.queue.record(row("before"));
        world.supervision.crash("store").unwrap().unwrap();
        running.queue.record(row("meanwhile"));
        assert_eq!(running.audit().await.len(), 2);
        assert_eq!(running.ask(ListKeys).await.unwrap(), [key("web")]);
        let events = world.take_events();
        assert!(matches!(events[..], [Event::Panicked { .. }, Event::Restarted { count: 1, .. }]), "{events:?}");
    });
}

#[test]
fn drain_writes_what_waits_and_leaves_one_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    World::run(async |world| {
        let running = Running::start(world, &path);
        (0..50).for_each(|n| running.queue.record(row(&n.to_string())));
        running.store.port::<Drain>(Lane::Control).ask(Drain, Duration::from_secs(5)).await.unwrap();
        assert_eq!(running.queue.waiting(), 0);
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, ["haia.db"], "the log must be in the file");
        assert_eq!(integrity(&path), "ok");
        let rows: u32 = rusqlite::Connection::open(&path)
            .unwrap()
            .query_row("SELECT count(*) FROM audit", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 50);

        // Whoever comes late is not turned away.
        running.queue.record(row("late"));
        running.ask(AddKey(key("late"))).await.unwrap();
        pass(1).await;
        running.ask(Drain).await;
        assert_eq!(running.queue.waiting(), 0);
        assert!(!log_of(&path).exists());
    });
}

#[test]
fn old_rows_go_by_the_hour() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let config = Config {
            path: folder.path().join("haia.db"),
            audit_retention: Span::seconds(24 * 3600),
            audit_max_rows: 3_000,
        };
        let running = Running::with(world, config, 16_384);
        let age = |hours: i64| NOON - SignedDuration::from_hours(hours);
        (0..2_500).for_each(|_| running.queue.record(AuditRow { at: age(48), ..row("old") }));
        running.queue.record(AuditRow { at: age(23), ..row("younger") });
        running.queue.record(row("new"));
        assert_eq!(running.audit().await.len(), 2_502);

        pass(61 * 60).await;
        assert_eq!(running.audit().await, ["new", "younger"], "more than one step's worth in one go");
        pass(60 * 60).await;
        assert_eq!(running.audit().await, ["new"]);

        (0..3_500).for_each(|_| running.queue.record(AuditRow { at: world_now(world), ..row("flood") }));
        assert_eq!(running.audit().await.len(), 3_501);
        pass(60 * 60).await;
        assert_eq!(running.audit().await.len(), 3_000);
    });
}

fn world_now(world: &World) -> jiff::Timestamp {
    use contract::clock::Clock as _;
    world.clock.now()
}

#[test]
fn a_reload_changes_the_retention_and_not_the_path() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let path = folder.path().join("haia.db");
        let running = Running::start(world, &path);
        running.queue.record(AuditRow { at: NOON - SignedDuration::from_hours(2), ..row("old") });
        pass(61 * 60).await;
        assert_eq!(running.audit().await.len(), 1);
        let other = folder.path().join("other.db");
        let config = Config { path: other.clone(), audit_retention: Span::seconds(3600), ..Config::default() };
        running.ask(Reconfigure(Arc::new(config))).await;
        pass(60 * 60).await;
        assert_eq!(running.audit().await.len(), 0);
        assert_eq!(running.report().await.path, path.to_str().unwrap());
        assert_eq!(running.config.load().path, path);
        assert!(!other.exists());
    });
}

#[test]
fn observed_as_json() {
    let folder = tempfile::tempdir().unwrap();
    World::run(async |world| {
        let running = Running::start(world, &folder.path().join("haia.db"));
        running.queue.record(row("r"));
        let observed = world.supervision.observe(Duration::from_secs(1)).await;
        let detail: serde_json::Value = serde_json::from_str(observed[0].detail.as_ref().unwrap().get()).unwrap();
        assert_eq!(detail["schema"], 6);
        assert_eq!(detail["problem"], serde_json::Value::Null);
        assert_eq!(detail["audit_waiting"], 1);
        running.audit().await;
    });
}
