//! The actor among scripted neighbours, in simulated time: runs, their history, results, failures, pauses over restarts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use contract::alerts::{MakeDigest, ReportFindings};
use contract::caller::{Caller, Origin, Scope};
use contract::chat::{RunTurn, TurnText};
use contract::clock::Clock as _;
use contract::cluster::{CheckOutcome, RunCheck};
use contract::failure::{Failure, FailureClass};
use contract::jobs::{JobRun, ListJobs, PauseJob, ReadJobHistory, RunJob, RunState};
use contract::message::{Lane, Reconfigure};
use contract::notify::{Deliver, NoticeKind};
use contract::store::{InterruptRuns, KeepRun, KeepStates, LoadStates, ReadRuns};
use runtime::world::World;
use runtime::{Mailbox, Policy, Port};
use scheduler::{Config, Ports, Scheduler, StepTicker};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A message as the notifier got it: its kind, text and channels.
type Told = (NoticeKind, String, Vec<Arc<str>>);

/// What the neighbours keep and got.
#[derive(Default)]
struct Props {
    runs: Mutex<BTreeMap<String, JobRun>>,
    states: Mutex<BTreeMap<Arc<str>, String>>,
    told: Mutex<Vec<Told>>,
    findings: Mutex<Vec<bool>>,
    /// What the desk was told: job and words.
    said: Mutex<Vec<String>>,
    model_fails: Mutex<bool>,
}

fn ports(world: &World, props: &Arc<Props>) -> Ports {
    let with = || Arc::clone(props);
    let (turns, told, found, keeps, reads, interrupts, puts, gets) =
        (with(), with(), with(), with(), with(), with(), with(), with());
    Ports {
        clock: world.clock.clone(),
        time_factor: 1.0,
        ids: world.ids.clone(),
        ticker: Arc::new(StepTicker::new(world.clock.clone())),
        run_turn: Port::scripted("background-turns", move |turn: RunTurn| {
            if *turns.model_fails.lock().unwrap() {
                return Err(Failure::new(FailureClass::Unreachable, "no model answers"));
            }
            assert_eq!((turn.caller.origin, turn.caller.scope), (Origin::Job, Scope::Read));
            Ok(TurnText { text: "All is well.".into(), model: "m".into(), tools: Vec::new(), usage: None })
        }),
        run_check: Port::scripted("proxmox-poller", |asked: RunCheck| {
            let findings = if &*asked.check == "all" { vec!["pve2 is down".to_owned()] } else { Vec::new() };
            Ok(CheckOutcome { rules: vec!["node_down".into()], findings, problems: Vec::new() })
        }),
        digest: Port::scripted("alert-desk", |_: MakeDigest| Ok(String::new())),
        deliver: Port::scripted("notifier", move |asked: Deliver| {
            let text = asked.notice.text.clone().unwrap_or_default();
            told.told.lock().unwrap().push((asked.notice.kind, text, asked.channels));
            Ok(())
        }),
        report: Port::scripted("alert-desk", move |report: ReportFindings| {
            for finding in report.judged.iter().flat_map(|judged| &judged.findings) {
                found.findings.lock().unwrap().push(finding.raised().is_some());
                found.said.lock().unwrap().push(format!("{} {}", finding.subject, finding.summary));
            }
            Ok(())
        }),
        keep_run: Port::scripted("store", move |kept: KeepRun| {
            keeps.runs.lock().unwrap().insert(kept.run.id.to_string(), kept.run);
            Ok(())
        }),
        read_runs: Port::scripted("store", move |asked: ReadRuns| {
            let runs = reads.runs.lock().unwrap();
            Ok(runs
                .values()
                .rev()
                .filter(|run| asked.job.as_ref().is_none_or(|job| *job == run.job))
                .cloned()
                .collect())
        }),
        interrupt_runs: Port::scripted("store", move |asked: InterruptRuns| {
            let mut runs = interrupts.runs.lock().unwrap();
            let running = runs.values_mut().filter(|run| run.state == RunState::Running);
            Ok(running
                .map(|run| {
                    (run.state, run.ended) = (RunState::Interrupted, Some(asked.at));
                    run.clone()
                })
                .collect())
        }),
        keep_states: Port::scripted("store", move |asked: KeepStates| {
            let mut states = puts.states.lock().unwrap();
            for (name, value) in asked.states {
                match value {
                    Some(value) => states.insert(name, value),
                    None => states.remove(&name),
                };
            }
            Ok(())
        }),
        load_states: Port::scripted("store", move |_: LoadStates| {
            Ok(gets.states.lock().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect())
        }),
        timezone: "UTC".into(),
    }
}

fn start(world: &World, props: &Arc<Props>, text: &str) -> Mailbox<Scheduler> {
    let config: Config = toml::from_str(text).unwrap();
    assert_eq!(config.validate(&["telegram"]), []);
    let config = Arc::new(arc_swap::ArcSwap::from_pointee(config));
    let factory = Scheduler::factory(config, ports(world, props));
    world.supervision.start(&world.thread(), "scheduler", Policy::default(), factory)
}

/// Waits until the scheduler has read what it kept.
async fn ready(scheduler: &Mailbox<Scheduler>) {
    while scheduler.port(Lane::Interactive).ask(ListJobs, SECOND).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn caller() -> Caller {
    Caller { name: "web".into(), scope: Scope::Control, origin: Origin::Chat }
}

/// Lets simulated time pass until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("never came: {what}");
}

fn states(props: &Props) -> Vec<RunState> {
    props.runs.lock().unwrap().values().map(|run| run.state).collect()
}

#[test]
fn a_question_by_the_clock_is_answered_and_sent() {
    World::run(async |world| {
        let props = Arc::<Props>::default();
        let text =
            "[report]\nschedule = '0 30 12 * * *'\ntimezone = 'UTC'\nask = 'How was the night?'\nnotify = ['telegram']";
        let scheduler = start(world, &props, text);
        until("a message", || !props.told.lock().unwrap().is_empty()).await;
        let told = props.told.lock().unwrap().clone();
        assert_eq!(told, [(NoticeKind::Answer, "All is well.".to_owned(), vec!["telegram".into()])]);
        let jobs = scheduler.port(Lane::Interactive).ask(ListJobs, SECOND).await.unwrap();
        assert_eq!(jobs[0].next.map(|next| next.to_string()).as_deref(), Some("2026-03-02T12:30:00Z"));
        until("the end of the run", || states(&props) == [RunState::Ok]).await;
        world.supervision.stop("scheduler");
        world.settle().await;
    });
}

#[test]
fn a_failure_is_kept_and_reported_and_its_end_too() {
    World::run(async |world| {
        let props = Arc::<Props>::default();
        *props.model_fails.lock().unwrap() = true;
        let scheduler = start(world, &props, "[report]\nevery = '1h'\nask = 'x'");
        until("a failure", || *props.findings.lock().unwrap() == [true]).await;
        assert!(props.told.lock().unwrap().is_empty());
        *props.model_fails.lock().unwrap() = false;
        until("a good run", || *props.findings.lock().unwrap() == [true, false]).await;
        let history = scheduler
            .port(Lane::Interactive)
            .ask(ReadJobHistory { name: "report".into(), limit: 0 }, SECOND)
            .await
            .unwrap()
            .unwrap();
        let states: Vec<RunState> = history.iter().map(|run| run.state).collect();
        assert_eq!(states, [RunState::Ok, RunState::Failed]);
        assert_eq!(history[1].error.as_deref(), Some("no model answers"));
        world.supervision.stop("scheduler");
        world.settle().await;
    });
}

#[test]
fn a_job_that_runs_once_does_not_stay_failed_for_ever() {
    World::run(async |world| {
        let props = Arc::<Props>::default();
        *props.model_fails.lock().unwrap() = true;
        let begun = world.clock.now();
        let once = |minutes: i64| {
            let at = begun + jiff::SignedDuration::from_mins(minutes);
            format!("[report]\nonce = '{at}'\nask = 'x'\n[other]\nevery = '500h'\ncheck = 'x'")
        };
        let scheduler = start(world, &props, &once(1));
        let said = || -> Vec<String> {
            let mut said = props.said.lock().unwrap().clone();
            // What is past is said again, in case the desk was away.
            said.dedup();
            said
        };
        until("a failure", || said() == ["job report failed"]).await;
        // A reload, and a new start: it stays open for a day.
        let reload = async |scheduler: &Mailbox<Scheduler>, text: &str| {
            let config = Arc::new(toml::from_str::<Config>(text).unwrap());
            scheduler.port(Lane::Control).ask(Reconfigure(config), SECOND).await.unwrap();
        };
        reload(&scheduler, &once(1)).await;
        world.supervision.stop("scheduler");
        world.settle().await;
        let scheduler = start(world, &props, &once(1));
        ready(&scheduler).await;
        tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
        assert_eq!(said(), ["job report failed"]);
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        assert_eq!(said(), ["job report failed", "job report was not run again"]);
        // With another moment it may fail anew.
        reload(&scheduler, &once(26 * 60)).await;
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        let told = said();
        assert_eq!(told[told.len() - 2..], ["job report is scheduled anew", "job report failed"]);
        world.supervision.stop("scheduler");
        world.settle().await;
    });
}

#[test]
fn checks_tell_what_they_found_and_digests_that_nothing_happened() {
    World::run(async |world| {
        let props = Arc::<Props>::default();
        let text = "[a]\non_start = true\ncheck = 'all'\n[b]\non_start = true\ncheck = 'backup_*'\n[c]\non_start = true\ndigest = true";
        let _scheduler = start(world, &props, text);
        until("all runs", || states(&props).iter().filter(|state| **state == RunState::Ok).count() == 3).await;
        let mut told: Vec<String> = props.told.lock().unwrap().iter().map(|(_, text, _)| text.clone()).collect();
        told.sort();
        assert_eq!(told, ["- pve2 is down", "Nothing happened since the last digest."]);
        world.supervision.stop("scheduler");
        world.settle().await;
    });
}

#[test]
fn a_pause_and_an_interrupted_run_survive_a_restart() {
    World::run(async |world| {
        let props = Arc::<Props>::default();
        let text = "[a]\nevery = '1h'\ncheck = 'x'\n[b]\nevery = '1h'\ncheck = 'x'";
        let scheduler = start(world, &props, text);
        ready(&scheduler).await;
        let pause = PauseJob { name: "a".into(), pause: true, by: caller() };
        let status = scheduler.port(Lane::Interactive).ask(pause, SECOND).await.unwrap().unwrap();
        assert_eq!(&*status.state, "paused");
        let run = scheduler
            .port(Lane::Interactive)
            .ask(RunJob { name: "b".into(), by: caller() }, SECOND)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((run.state, &*run.trigger), (RunState::Running, "web"));
        until("the run's end", || states(&props) == [RunState::Ok]).await;
        props.runs.lock().unwrap().values_mut().for_each(|run| (run.state, run.ended) = (RunState::Running, None));
        world.supervision.stop("scheduler");
        world.settle().await;
        let scheduler = start(world, &props, text);
        ready(&scheduler).await;
        until("the mark", || states(&props).contains(&RunState::Interrupted)).await;
        let jobs = scheduler.port(Lane::Interactive).ask(ListJobs, SECOND).await.unwrap();
        let states: Vec<&str> = jobs.iter().map(|job| &*job.state).collect();
        assert_eq!(states, ["paused", "scheduled"]);
        let odd =
            scheduler.port(Lane::Interactive).ask(RunJob { name: "c".into(), by: caller() }, SECOND).await.unwrap();
        assert_eq!(odd.unwrap_err().message, "there is no job \"c\"; known: a, b");
        world.supervision.stop("scheduler");
        world.settle().await;
    });
}
