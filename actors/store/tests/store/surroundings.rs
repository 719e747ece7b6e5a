//! Files that are whole where something around them is not: folders, locks, a file moved away under the store.

use crate::common::{NOON, Running, integrity, key, log_of, pass, row};
use contract::message::Drain;
use contract::store::{AddKey, AuditSink as _, ListKeys};
use runtime::world::World;
use std::path::Path;

#[test]
fn a_folder_that_cannot_be_made() {
    // /proc takes no new folder from anybody, root included.
    World::run(async |world| {
        let running = Running::start(world, Path::new("/proc/haia/haia.db"));
        let problem = running.problem().await;
        assert!(problem.contains("/proc/haia cannot be made") && problem.contains("store.path"), "{problem}");
        assert_eq!(running.ask(AddKey(key("web"))).await.unwrap_err().0, problem);
        pass(600).await;
        assert_eq!(running.problem().await, problem);
        running.ask(Drain).await;
        assert_eq!(running.store.stats().restarts(), 0);
    });
}

#[test]
fn a_folder_in_place_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    std::fs::create_dir(&path).unwrap();
    World::run(async |world| {
        let running = Running::start(world, &path);
        assert!(running.problem().await.contains("it is a folder"));
        std::fs::remove_dir(&path).unwrap();
        pass(2).await;
        assert_eq!(running.report().await.problem, None);
    });
}

#[test]
fn a_file_in_place_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), "").unwrap();
    let error = store::origin(&folder.path().join("data/haia.db"), NOON).unwrap_err();
    assert!(error.0.contains("cannot be opened"), "{error}");
}

#[test]
fn a_lock_of_another_process_is_waited_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    store::origin(&path, NOON).unwrap();
    World::run(async |world| {
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM models; COMMIT").unwrap();
        let running = Running::start(world, &path);
        let problem = running.problem().await;
        assert!(problem.contains("locked by another process") && problem.contains("fuser"), "{problem}");
        drop(other);
        pass(2).await;
        assert_eq!(running.report().await.problem, None);

        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = running.ask(AddKey(key("web"))).await.unwrap_err();
        assert!(error.0.contains("locked by another process"), "{error}");
        assert_eq!(running.ask(ListKeys).await, Ok(Vec::new()), "reading needs no lock");
        drop(other);
        pass(2).await;
        running.ask(AddKey(key("web"))).await.unwrap();
    });
}

#[test]
fn a_file_deleted_under_the_store_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    World::run(async |world| {
        let running = Running::start(world, &path);
        running.ask(AddKey(key("old"))).await.unwrap();
        for file in [&path, &log_of(&path)] {
            std::fs::remove_file(file).unwrap();
        }
        running.ask(AddKey(key("new"))).await.unwrap();
        running.queue.record(row("r"));
        running.ask(Drain).await;
    });
    assert_eq!(integrity(&path), "ok");
    World::run(async |world| {
        let running = Running::start(world, &path);
        assert_eq!(running.ask(ListKeys).await, Ok(vec![key("new")]));
        assert_eq!(running.audit().await, ["r"]);
    });
}

#[test]
fn a_backup_put_in_place_of_the_running_file_is_taken_over_unmixed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup, away) =
        (folder.path().join("haia.db"), folder.path().join("backup"), folder.path().join("away"));
    World::run(async |world| {
        let running = Running::start(world, &path);
        running.ask(AddKey(key("first"))).await.unwrap();
        running.ask(Drain).await;
        std::fs::copy(&path, &backup).unwrap();
        // These are in the log only when the file is exchanged.
        running.ask(AddKey(key("second"))).await.unwrap();
        std::fs::rename(&path, &away).unwrap();
        std::fs::rename(&backup, &path).unwrap();

        assert_eq!(running.ask(ListKeys).await, Ok(vec![key("first")]));
        running.ask(AddKey(key("third"))).await.unwrap();
        running.ask(Drain).await;
    });
    assert_eq!((integrity(&path).as_str(), integrity(&away).as_str()), ("ok", "ok"));
    let names = |path: &Path| -> Vec<String> {
        let connection = rusqlite::Connection::open(path).unwrap();
        let mut statement = connection.prepare("SELECT name FROM api_keys ORDER BY name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(names(&path), ["first", "third"]);
    assert_eq!(names(&away), ["first", "second"]);
}
