//! Files that are damaged, another program's, or a newer HAIA's: told, left as they are, and the daemon goes on.

use crate::common::{Running, integrity, key, log_of, pass, row};
use contract::message::Drain;
use contract::store::{AddKey, AuditSink as _, CacheModels, ListKeys, ReadAudit};
use runtime::world::World;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

const ROWS: usize = 6_000;

/// A store with keys and thousands of rows, closed.
fn well_filled(path: &Path) {
    World::run(async |world| {
        let running = Running::start(world, path);
        running.ask(AddKey(key("web"))).await.unwrap();
        (0..ROWS).for_each(|n| running.queue.record(row(&n.to_string())));
        running.ask(Drain).await;
    });
    assert!(std::fs::metadata(path).unwrap().len() > 100 * 4096);
}

fn overwrite(path: &Path, from: u64, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Runs a store on a file that is not to be used: every answer says so, the file stays as it is, and once it is moved away the store
/// works again by itself.
fn refuses(path: &Path, told: &str) {
    let before = std::fs::read(path).unwrap();
    World::run(async |world| {
        let running = Running::start(world, path);
        let problem = running.problem().await;
        assert!(problem.contains(told) && problem.contains(path.to_str().unwrap()), "{problem}");
        running.queue.record(row("waits"));
        for error in [
            running.ask(AddKey(key("new"))).await.unwrap_err(),
            running.ask(ListKeys).await.unwrap_err(),
            running.ask(CacheModels { provider: "p".into(), models: Vec::new() }).await.unwrap_err(),
            running.ask(ReadAudit { limit: 1, ..Default::default() }).await.unwrap_err(),
        ] {
            assert_eq!(error.0, problem);
        }
        pass(100).await;
        assert_eq!(running.report().await.audit_waiting, 1, "rows wait for the store");
        assert_eq!(std::fs::read(path).unwrap(), before, "the file was changed");

        let away = path.with_extension("away");
        std::fs::rename(path, &away).unwrap();
        let _ = std::fs::remove_file(log_of(path));
        pass(65).await;
        let report = running.report().await;
        assert_eq!((report.problem, report.audit_waiting), (None, 0));
        running.ask(AddKey(key("new"))).await.unwrap();
        assert_eq!(running.audit().await, ["waits"]);
        assert_eq!(std::fs::read(away).unwrap(), before);
        assert_eq!(running.store.stats().restarts(), 0);
    });
}

#[test]
fn garbage_in_place_of_the_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    well_filled(&path);
    overwrite(&path, 0, &[0xA5; 100]);
    refuses(&path, "damaged");
}

#[test]
fn a_file_of_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    std::fs::write(&path, "this is no database, whatever it is called\n".repeat(100)).unwrap();
    refuses(&path, "damaged");
}

#[test]
fn a_file_cut_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    well_filled(&path);
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 2 + 100).unwrap();
    refuses(&path, "damaged");
}

#[test]
fn pages_overwritten_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    well_filled(&path);
    overwrite(&path, 40 * 4096, &[0xA5; 8 * 4096]);
    refuses(&path, "damaged");
}

#[test]
fn another_programs_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    refuses(&path, "another program");
}

#[test]
fn a_newer_haias_store_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    well_filled(&path);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 77).unwrap();
    let error = store::origin(&path, jiff::Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(error.0.contains("version 77") && error.0.contains("versions up to 6"), "{error}");
    refuses(&path, "newer HAIA");
}

#[test]
fn damage_found_only_while_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    well_filled(&path);
    World::run(async |world| {
        let running = Running::start(world, &path);
        running.ask(ListKeys).await.unwrap();
        // Under the open file, where the page cache has not been yet.
        overwrite(&path, 8 * 4096, &vec![0xA5; 90 * 4096]);
        let error =
            running.ask(ReadAudit { limit: 10_000, ..Default::default() }).await.map(|rows| rows.len()).unwrap_err();
        assert!(error.0.contains("damaged") && error.0.contains(".recover"), "{error}");
        assert_eq!(running.problem().await, error.0);
        pass(300).await;
        assert!(running.problem().await.contains("damaged"));
        assert_eq!(running.store.stats().restarts(), 0);
    });
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    std::fs::write(&path, "").unwrap();
    World::run(async |world| {
        let running = Running::start(world, &path);
        assert_eq!(running.report().await.problem, None);
        running.ask(Drain).await;
    });
    assert_eq!(integrity(&path), "ok");
}
