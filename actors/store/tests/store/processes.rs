//! The store in processes of its own: killed in the middle of its work, and run by a user who may not write.
//!
//! The processes are this test binary again, told by a variable what to do.

use crate::common::{NOON, Running, integrity, key, log_of, pass, row};
use arc_swap::ArcSwap;
use contract::message::{Drain, Lane};
use contract::store::{AddKey, AuditSink as _, ListKeys, ReadAudit};
use runtime::{Policy, Supervision, SystemClock, world::World};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use store::{AuditQueue, Config, Store};

const PLACE: &str = "HAIA_STORE_TEST_PLACE";
const NOBODY: u32 = 65_534;

#[expect(clippy::disallowed_methods, reason = "how a test process is told what to do")]
fn place() -> Option<PathBuf> {
    std::env::var(PLACE).ok().map(PathBuf::from)
}

fn this_binary(binary: &Path, test: &str, place: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1"]).env(PLACE, place);
    command
}

/// Not a test of its own: the process that is killed. It stores keys and audit rows as fast as it can and tells each key once the store
/// answered that it is kept.
#[test]
#[ignore = "the process that another test kills"]
fn writes_until_it_is_killed() {
    let Some(path) = place() else { return };
    let mut out = std::io::stdout();
    writeln!(out, "\nstarting").unwrap();
    let started = std::process::id();
    actix_rt::System::new().block_on(async {
        let supervision = Supervision::new(|_| {});
        let arbiter = actix_rt::Arbiter::new();
        let config = Arc::new(ArcSwap::from_pointee(Config { path, ..Config::default() }));
        let queue = Arc::new(AuditQueue::new(16_384));
        let (rows, clock) = (Arc::clone(&queue), Arc::new(SystemClock::real()));
        let store = supervision.start(&arbiter.handle(), "store", Policy::optional(), move || {
            Store::new(Arc::clone(&config), Arc::clone(&rows), Arc::clone(&clock) as _, NOON)
        });
        let add = store.port::<AddKey>(Lane::Interactive);
        let read = store.port::<ReadAudit>(Lane::Interactive);
        for n in 0.. {
            (0..40).for_each(|_| queue.record(row("killed")));
            let name = format!("{started}-{n}");
            add.ask(AddKey(key(&name)), Duration::from_secs(60)).await.unwrap().unwrap();
            writeln!(out, "kept {name}").unwrap();
            if n % 3 == 0 {
                read.ask(ReadAudit { limit: 1, ..Default::default() }, Duration::from_secs(60)).await.unwrap().unwrap();
            }
        }
    });
}

/// Lets a process write until `enough` of the keys that it told of, kills it, and returns what it told.
fn kill_when(enough: impl Fn(&[String]) -> bool, path: &Path) -> Vec<String> {
    let binary = std::env::current_exe().unwrap();
    let mut child = this_binary(&binary, "processes::writes_until_it_is_killed", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = Vec::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(name) = line.strip_prefix("kept ") {
            told.push(name.to_owned());
        }
        if !killed && (line == "starting" || !told.is_empty()) && enough(&told) {
            killed = true;
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(killed, "the process ended by itself: {told:?}");
    told
}

fn names(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT name FROM api_keys").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn killed_at_any_moment_it_needs_no_repair() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    let mut told = Vec::new();
    for kept in [1, 2, 3, 10, 40, 5, 1, 25] {
        told.extend(kill_when(|told| told.len() >= kept, &path));
    }
    // The last one is looked at as the next daemon would find it: with its log.
    World::run(async |world| {
        let running = Running::start(world, &path);
        assert_eq!(running.report().await.problem, None);
        running.ask(AddKey(key("after"))).await.unwrap();
        running.ask(Drain).await;
    });
    assert_eq!(integrity(&path), "ok");
    let kept = names(&path);
    for name in &told {
        assert!(kept.contains(name), "{name} was told to be kept and is not");
    }
    assert!(told.len() >= 87, "{}", told.len());
}

#[test]
fn killed_while_it_makes_its_file_it_needs_no_repair() {
    for round in 0..9 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haia.db");
        let sign = [path.clone(), log_of(&path), folder.path().join("haia.db-shm")][round % 3].clone();
        let seen = |_: &[String]| {
            // A process that never gets so far is killed where it is.
            (0..10_000_000).any(|_| sign.exists());
            true
        };
        let told = kill_when(seen, &path);
        World::run(async |world| {
            let running = Running::start(world, &path);
            assert_eq!(running.report().await.problem, None);
            let kept = running.ask(ListKeys).await.unwrap();
            assert!(told.iter().all(|name| kept.iter().any(|key| *key.name == **name)));
            running.ask(Drain).await;
        });
        assert_eq!(integrity(&path), "ok");
    }
}

/// The system's superuser may write anything: then another user runs the test.
#[test]
fn a_store_that_may_not_be_written_stays_readable() {
    if let Some(folder) = place() {
        read_only_file(&folder);
        read_only_folder(&folder);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked");
    std::fs::write(&locked, "").unwrap();
    set_mode(&locked, 0o400);
    if std::fs::OpenOptions::new().write(true).open(&locked).is_err() {
        read_only_file(folder.path());
        read_only_folder(folder.path());
        return;
    }
    let binary = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    chown(&inner, Some(NOBODY), Some(NOBODY)).unwrap();
    set_mode(folder.path(), 0o755);
    set_mode(&binary, 0o755);
    let output = this_binary(&binary, "processes::a_store_that_may_not_be_written_stays_readable", &inner)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir(&inner)
        .output()
        .expect("the superuser can start a process as another user");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn with_one_key(path: &Path) {
    World::run(async |world| {
        let running = Running::start(world, path);
        running.ask(AddKey(key("web"))).await.unwrap();
        running.ask(Drain).await;
    });
}

fn read_only_file(folder: &Path) {
    let path = folder.join("file.db");
    with_one_key(&path);
    set_mode(&path, 0o400);
    World::run(async |world| {
        let running = Running::start(world, &path);
        let problem = running.problem().await;
        assert!(
            problem.contains("cannot be written") && problem.contains("Let the user that runs HAIA write the file"),
            "{problem}"
        );
        assert_eq!(running.ask(AddKey(key("new"))).await.unwrap_err().0, problem);
        assert_eq!(running.ask(ListKeys).await, Ok(vec![key("web")]), "keys must stay readable");
        running.queue.record(row("waits"));
        pass(30).await;
        assert_eq!(running.report().await.audit_waiting, 1);

        // What SQLite keeps beside the file took over its mode.
        for name in ["file.db", "file.db-wal", "file.db-shm"].map(|name| folder.join(name)) {
            if name.exists() {
                set_mode(&name, 0o600);
            }
        }
        pass(65).await;
        let report = running.report().await;
        assert_eq!((report.problem, report.audit_waiting), (None, 0));
        running.ask(AddKey(key("new"))).await.unwrap();
        running.ask(Drain).await;
    });
    assert_eq!(integrity(&path), "ok");
}

fn read_only_folder(outer: &Path) {
    let folder = outer.join("folder");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("haia.db");
    with_one_key(&path);
    set_mode(&folder, 0o500);
    World::run(async |world| {
        let running = Running::start(world, &path);
        let problem = running.problem().await;
        assert!(
            problem.contains("cannot be written") && problem.contains("Let the user that runs HAIA write the file"),
            "{problem}"
        );
        let fresh = store::origin(&folder.join("other.db"), NOON).unwrap_err();
        assert!(fresh.0.contains("cannot be written"), "{fresh}");
        set_mode(&folder, 0o700);
        pass(2).await;
        assert_eq!(running.report().await.problem, None);
        assert_eq!(running.ask(ListKeys).await, Ok(vec![key("web")]));
    });
}
