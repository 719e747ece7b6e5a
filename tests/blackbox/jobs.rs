//! Jobs when something goes wrong: it is recorded, and the next run takes place.

use crate::daemon::{Daemon, Setup, eventually};
use crate::sim::Provider;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

/// A daemon with a job that asks `model` every so often.
fn asking(models: &Provider, model: &str, job: &str) -> Setup {
    Setup::with_sim(models)
        .route("jobs", &[&format!("openai/{model}")])
        .config(&format!("[jobs.probe]\nask = \"What is going on?\"\nroute = \"jobs\"\n{job}\n"))
        .environment("HAIA_FAULTS", "1")
}

/// The runs of the job, newest first.
fn runs(daemon: &Daemon) -> Vec<Value> {
    daemon.get("/api/jobs/probe?limit=1000").json()["runs"].as_array().cloned().unwrap_or_default()
}

fn state(run: &Value) -> &str {
    run["state"].as_str().unwrap_or_default()
}

/// Waits for a run that satisfies `condition`.
fn until(daemon: &Daemon, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    eventually(what, || {
        let runs = runs(daemon);
        assert!(begun.elapsed() < Duration::from_secs(55), "no {what}: {runs:#?}");
        runs.into_iter().find(|run| condition(run))
    })
}

/// Waits for a run that began after `run`, and is in one of these states.
fn until_next(daemon: &Daemon, run: &Value, states: &[&str]) -> Value {
    let id = run["id"].as_str().unwrap_or_default().to_owned();
    until(daemon, "the next run", |next| {
        next["id"].as_str().is_some_and(|next| next > id.as_str()) && states.contains(&state(next))
    })
}

#[test]
fn a_hanging_job_ends_in_time_and_overruns_are_told() {
    let models = Provider::start();
    let daemon = asking(&models, "hang", "every = \"1s\"\ntimeout = \"3s\"").start();
    let late = until(&daemon, "a run that took too long", |run| state(run) == "timeout");
    assert!(late["error"].as_str().is_some_and(|why| why.contains("3s")), "{late}");
    let skipped = until(&daemon, "a run that was skipped", |run| state(run) == "skipped");
    assert!(skipped["error"].as_str().is_some_and(|why| why.contains("still going")), "{skipped}");
    until_next(&daemon, &late, &["timeout"]);
    let all = runs(&daemon);
    assert!(all.iter().filter(|run| state(run) == "running").count() <= 1, "one at a time: {all:#?}");
}

#[test]
fn panics_of_the_agent_and_of_the_scheduler_itself_stop_no_job() {
    let models = Provider::start();
    let daemon = asking(&models, "hang", "every = \"2s\"\ntimeout = \"20s\"").start();
    let running = until(&daemon, "a run under way", |run| state(run) == "running");
    models.wait_for_chats(1);
    assert_eq!(daemon.post("/api/faults/panic/scheduler", &json!({})).status, 202, "it is told to panic");
    let id = running["id"].clone();
    let ended = until(&daemon, "its end", |run| run["id"] == id && state(run) != "running");
    assert!(["failed", "interrupted", "timeout"].contains(&state(&ended)), "{ended}");
    let next = until_next(&daemon, &ended, &["running"]);
    assert_eq!(daemon.post("/api/faults/panic/agent-supervisor", &json!({})).status, 202);
    let id = next["id"].clone();
    let ended = until(&daemon, "its end", |run| run["id"] == id && state(run) != "running");
    assert!(ended["error"].is_string(), "{ended}");
    until_next(&daemon, &ended, &["running"]);
}

#[test]
fn a_run_that_haia_did_not_survive_is_told_and_the_next_takes_place() {
    let models = Provider::start();
    let mut daemon = asking(&models, "hang", "every = \"2s\"\ntimeout = \"50s\"").start();
    let running = until(&daemon, "a run under way", |run| state(run) == "running");
    daemon.signal("KILL");
    daemon.wait();
    let folder = daemon.folder();
    let again = asking(&models, "text", "every = \"2s\"\ntimeout = \"50s\"").folder(folder).start();
    let id = running["id"].clone();
    let ended = until(&again, "its end", |run| run["id"] == id && state(run) != "running");
    assert_eq!(state(&ended), "interrupted", "{ended}");
    until_next(&again, &running, &["ok"]);
}

/// Stops the process for so long, and lets it go on.
fn stopped_for(span: Duration) {
    let models = Provider::start();
    let daemon = asking(&models, "text", "schedule = \"* * * * * *\"\ngrace = \"3s\"").start();
    let before = until(&daemon, "a good run", |run| state(run) == "ok");
    daemon.signal("STOP");
    let until_then = Instant::now() + span;
    while let Some(left) = until_then.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
    daemon.signal("CONT");
    let due = |run: &Value| run["due"].as_str().and_then(|due| due.parse::<jiff::Timestamp>().ok()).expect("a time");
    let stop = due(&before);
    let next = until(&daemon, "a run after the stop", |run| {
        state(run) == "ok" && due(run).duration_since(stop).as_secs_f64() >= span.as_secs_f64()
    });
    until_next(&daemon, &next, &["ok"]);
    let all = runs(&daemon);
    assert!(all.len() < 30, "what was missed is not run one by one: {}", all.len());
}

#[test]
fn a_stopped_process_goes_on() {
    // Longer than the alarm clock may be silent.
    stopped_for(Duration::from_secs(6));
}

#[test]
#[ignore = "a minute: .ci/watching runs it"]
fn a_process_that_was_stopped_for_a_minute_goes_on() {
    stopped_for(Duration::from_secs(60));
}

#[test]
fn jobs_are_operated_from_the_command_line() {
    let models = Provider::start();
    let setup = asking(&models, "text", "schedule = \"0 0 3 1 1 *\"");
    let _daemon = setup.start();
    let haia = |words: &[&str]| {
        let output = setup.run(words);
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "haia {words:?}: {told}");
        told
    };
    assert!(haia(&["jobs"]).contains("probe"));
    haia(&["jobs", "run", "probe"]);
    eventually("the run to be told", || haia(&["jobs", "history", "probe"]).contains("ok").then_some(()));
    haia(&["jobs", "pause", "probe"]);
    assert!(haia(&["jobs", "list"]).contains("paused"));
    haia(&["jobs", "resume", "probe"]);
    assert!(!haia(&["jobs", "list"]).contains("paused"));
}

/// The daemon's clock is faked: a night over a change of clocks, and what is due in it. `faketime` is a package of Debian.
#[test]
#[ignore = "needs faketime: .ci/watching runs it"]
fn a_night_over_the_change_of_clocks_runs_each_job_once() {
    std::thread::scope(|scope| {
        for (zone, start) in [
            ("Europe/Paris", "2026-03-28T22:00:00Z"),
            ("Europe/Paris", "2026-10-24T22:00:00Z"),
            ("America/New_York", "2026-03-08T04:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T12:00:00Z"),
        ] {
            scope.spawn(move || over_a_change(zone, start));
        }
    });
}

/// The wall clock is set two hours ahead, and back: each is noted, and the job goes on by the new time.
#[test]
#[ignore = "needs faketime: .ci/watching runs it"]
fn a_clock_that_is_set_stops_no_job() {
    let models = Provider::start();
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("offset");
    let set = |seconds: i64| std::fs::write(&file, format!("{seconds:+}\n")).expect("it can be written");
    set(0);
    let daemon = asking(&models, "text", "schedule = \"* * * * * *\"\ngrace = \"3s\"")
        .environment("LD_PRELOAD", &faketime().to_string_lossy())
        .environment("FAKETIME_TIMESTAMP_FILE", &file.to_string_lossy())
        .environment("FAKETIME_NO_CACHE", "1")
        .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .start();
    let good = || runs(&daemon).iter().filter(|run| state(run) == "ok").count();
    let jumped = || daemon.log.lines().iter().filter(|line| line.contains("the wall clock jumped")).count();
    eventually("two good runs", || (good() >= 2).then_some(()));
    for (seconds, jumps) in [(7200, 1), (0, 2)] {
        set(seconds);
        eventually("the jump to be noted", || (jumped() >= jumps).then_some(()));
        let before = good();
        eventually("further runs", || (good() >= before + 2).then_some(()));
    }
    let all = runs(&daemon);
    assert!(all.len() < 200, "what was missed is not run one by one: {}", all.len());
}

/// Seconds of the faked clock in one of ours, and for how many of its hours it is watched.
const FAKED: u32 = 600;
const HOURS: u32 = 11;

/// The library of the package.
fn faketime() -> std::path::PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("a system").flatten().map(|entry| entry.path());
    let libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    libraries.into_iter().find(|library| library.exists()).expect("the package faketime is installed")
}

fn over_a_change(zone: &str, start: &str) {
    let job = |name: &str, schedule: &str| {
        format!(
            "[jobs.{name}]\nschedule = \"{schedule}\"\ntimezone = \"{zone}\"\ndigest = true\nnotify_empty = false\ngrace = \"2h\"\n"
        )
    };
    let config = job("morning", "30 8 * * *") + &job("night", "30 2 * * *") + &job("often", "*/30 * * * *");
    let setup = Setup::new().config(&config);
    std::fs::write(setup.path(), setup.text()).expect("the folder can be written");
    let spelled = start.replace('T', " ").replace('Z', "");
    // Not by the command, whose child would outlive it.
    let mut daemon = Command::new(crate::daemon::binary())
        .args(["--config", "haia.toml"])
        .env("LD_PRELOAD", faketime())
        .env("FAKETIME", format!("@{spelled} x{FAKED}"))
        .current_dir(setup.path().parent().expect("a folder"))
        .env("TZ", "UTC")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let until_then = Instant::now() + Duration::from_secs(3600) * HOURS / FAKED;
    while let Some(left) = until_then.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
    let due = |name: &str| -> Vec<jiff::Zoned> {
        let output = setup.run(&["jobs", "history", name, "--json"]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let runs = told["runs"].as_array().cloned().unwrap_or_default();
        let ran = runs.iter().filter(|run| ["ok", "failed", "running"].contains(&state(run)));
        let due = ran.filter_map(|run| run["due"].as_str()?.parse::<jiff::Timestamp>().ok());
        let mut due: Vec<_> = due.map(|due| due.in_tz(zone).expect("a zone")).collect();
        due.sort();
        due
    };
    let (morning, night, often) = (due("morning"), due("night"), due("often"));
    let _ = daemon.kill();
    let _ = daemon.wait();
    println!("{zone} from {start}: morning {morning:?}, night {night:?}, often {} times", often.len());
    assert_eq!(morning.len(), 1, "{zone}: {morning:?}");
    assert_eq!((morning[0].hour(), morning[0].minute()), (8, 30), "{zone}");
    assert_eq!(night.len(), 1, "{zone}: {night:?}");
    assert!(often.len() >= 20, "{zone}: {often:?}");
    let gaps = often.windows(2).map(|pair| pair[1].duration_since(&pair[0]).as_secs());
    assert!(gaps.clone().all(|gap| gap <= 1800), "{zone}: {often:?}");
}
