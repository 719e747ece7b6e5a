//! The routes for operators, among scripted neighbours: what reaches the owners, and how their failures come back.

use super::stage::{Reply, Stage, get, post};
use crate::config::Config;
use crate::ports::WatchPorts;
use contract::alerts::{
    Acknowledge, AddSilence, AlertState, AlertView, Beat, DeskStatus, EndSilence, ExpectAlert, Finding, ListAlerts,
    ListSilences, ReadAlertHistory, ReadDeskStatus, ReceiveAlertmanager, Severity, ShowAlert, SilenceView,
};
use contract::failure::{Failure, FailureClass};
use contract::jobs::{JobRun, JobStatus, ListJobs, PauseJob, ReadJobHistory, RunJob, RunState};
use contract::notify::{ListChannels, ListDeadLetters, TestChannel};
use jiff::Timestamp;
use runtime::Port;
use runtime::world::{TestClock, World};

const NOON: Timestamp = TestClock::ORIGIN;

fn alert(id: u64) -> AlertView {
    let finding = Finding::new("node_down", "lab/node/pve2", "node pve2", "is down", Some(Severity::Critical), NOON);
    AlertView {
        id,
        name: finding.key(),
        state: if id == 1 { AlertState::Firing } else { AlertState::Pending },
        severity: Severity::Critical,
        opened: Some(NOON),
        ended: None,
        acknowledged: None,
        held: None,
        cause: None,
        is_flapping: false,
        explanation: None,
        finding,
    }
}

fn known(id: u64) -> Result<AlertView, Failure> {
    if id == 1 { Ok(alert(1)) } else { Err(Failure::new(FailureClass::NotFound, format!("there is no alert {id}"))) }
}

fn silence(asked: &AddSilence) -> SilenceView {
    SilenceView {
        id: 4,
        matchers: asked.matchers.clone(),
        from: NOON,
        until: NOON + jiff::SignedDuration::try_from(asked.duration).expect("short"),
        by: asked.by.name.clone(),
        reason: asked.reason.clone(),
    }
}

fn job() -> JobStatus {
    JobStatus {
        name: "report".into(),
        state: "scheduled".into(),
        kind: "ask",
        schedule: "0 0 8 * * *".into(),
        next: Some(NOON),
        last: None,
        failures: 0,
    }
}

fn run(job: &str) -> Result<JobRun, Failure> {
    let run = JobRun {
        id: "r1".into(),
        job: job.into(),
        trigger: "loopback".into(),
        due: NOON,
        started: NOON,
        ended: None,
        state: RunState::Running,
        error: None,
        output: None,
    };
    if job == "report" {
        Ok(run)
    } else {
        Err(Failure::new(FailureClass::NotFound, format!("there is no job {job:?}")))
    }
}

/// Neighbours that know one alert, one job, one heartbeat and one channel.
pub(crate) fn ports() -> WatchPorts {
    let desk = "alert-desk";
    let refused = |channel: &str| Failure::new(FailureClass::NotFound, format!("there is no channel {channel:?}"));
    WatchPorts {
        alerts: Port::scripted(desk, |ListAlerts(filter): ListAlerts| {
            Ok(if filter.pending { vec![alert(1), alert(0)] } else { vec![alert(1)] })
        }),
        show_alert: Port::scripted(desk, |ShowAlert { id }: ShowAlert| known(id).map(|alert| (alert, Vec::new()))),
        alert_history: Port::scripted(desk, |_: ReadAlertHistory| Ok(Vec::new())),
        acknowledge: Port::scripted(desk, |asked: Acknowledge| known(asked.id)),
        expect_alert: Port::scripted(desk, |asked: ExpectAlert| known(asked.id)),
        add_silence: Port::scripted(desk, |asked: AddSilence| Ok(silence(&asked))),
        end_silence: Port::scripted(desk, |asked: EndSilence| {
            Err(Failure::new(FailureClass::NotFound, format!("there is no silence {}", asked.id)))
        }),
        silences: Port::scripted(desk, |_: ListSilences| Vec::new()),
        desk: Port::scripted(desk, |_: ReadDeskStatus| DeskStatus::default()),
        beat: Port::scripted(desk, |beat: Beat| match &*beat.name {
            "nas-backup" => Ok(()),
            other => Err(Failure::new(FailureClass::NotFound, format!("there is no heartbeat {other:?}"))),
        }),
        alertmanager: Port::scripted(desk, |asked: ReceiveAlertmanager| match asked.body.as_ref() {
            b"full" => Err(Failure::new(FailureClass::Overloaded, "the store cannot take it now")),
            b"{}" => Err(Failure::new(FailureClass::InvalidRequest, "no payload of version 4")),
            _ => Ok(2),
        }),
        jobs: Port::scripted("scheduler", |_: ListJobs| vec![job()]),
        job_history: Port::scripted("scheduler", |asked: ReadJobHistory| run(&asked.name).map(|run| vec![run])),
        run_job: Port::scripted("scheduler", |asked: RunJob| run(&asked.name)),
        pause_job: Port::scripted("scheduler", |asked: PauseJob| {
            run(&asked.name)
                .map(|_| JobStatus { state: if asked.pause { "paused" } else { "scheduled" }.into(), ..job() })
        }),
        channels: Port::scripted("notifier", |_: ListChannels| Vec::new()),
        dead_letters: Port::scripted("notifier", |_: ListDeadLetters| Ok(Vec::new())),
        test_channel: Port::scripted("notifier", move |asked: TestChannel| match &*asked.channel {
            "telegram" => Ok("arrived".to_owned()),
            other => Err(refused(other)),
        }),
    }
}

async fn sent(stage: &Stage, method: &str, path: &str, body: &str) -> Reply {
    match method {
        "GET" => stage.send(get(path)).await,
        "DELETE" => stage.send(get(path).method(actix_web::http::Method::DELETE)).await,
        _ => stage.send(post(path, body)).await,
    }
}

#[test]
fn operators_reach_the_owners_and_their_answers_come_back() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for (method, path, body, pointer, value) in [
            ("GET", "/api/alerts", "", "/alerts/0/state", "firing"),
            ("GET", "/api/alerts?state=pending", "", "/alerts/0/state", "pending"),
            ("GET", "/api/alerts/1", "", "/alert/name", "node_down:lab/node/pve2"),
            ("GET", "/api/alerts/%231", "", "/alert/rule", "node_down"),
            ("POST", "/api/alerts/1/acknowledge", "", "/subject", "node pve2"),
            ("POST", "/api/alerts/1/expect", "{}", "/severity", "critical"),
            ("POST", "/api/alerts/1/silence", r#"{"for":"2h","reason":"works"}"#, "/until", "2026-03-01T14:00:00Z"),
            ("POST", "/api/silences", r#"{"for":"2h","match":{"node":"pve2"}}"#, "/matchers/0/label", "node"),
            ("GET", "/api/jobs", "", "/jobs/0/name", "report"),
            ("GET", "/api/jobs/report?limit=5", "", "/runs/0/state", "running"),
            ("POST", "/api/jobs/report/run", "", "/trigger", "loopback"),
            ("POST", "/api/jobs/report/pause", "", "/state", "paused"),
            ("POST", "/api/jobs/report/resume", "", "/state", "scheduled"),
            ("POST", "/api/heartbeats/nas-backup", "", "/name", "nas-backup"),
            ("POST", "/api/channels/telegram/test", "", "/result", "arrived"),
        ] {
            let reply = sent(&stage, method, path, body).await;
            assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
            assert_eq!(reply.json().pointer(pointer).and_then(|found| found.as_str()), Some(value), "{path}");
        }
        let reply = sent(&stage, "POST", "/api/alerts/alertmanager", "[]").await;
        assert_eq!(reply.json()["received"], 2);
    });
}

#[test]
fn what_is_wrong_is_told_with_its_status() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for (method, path, body, status) in [
            ("GET", "/api/alerts?state=odd", "", 400),
            ("GET", "/api/alerts?limit=0", "", 400),
            ("GET", "/api/alerts/9", "", 404),
            ("GET", "/api/alerts/x", "", 400),
            ("POST", "/api/alerts/9/acknowledge", "", 404),
            ("POST", "/api/alerts/1/silence", "{}", 400),
            ("POST", "/api/alerts/1/silence", r#"{"for":"soon"}"#, 400),
            ("POST", "/api/silences", r#"{"for":"2h"}"#, 400),
            ("POST", "/api/silences", r#"{"for":"999d","match":{"node":"x"}}"#, 400),
            ("DELETE", "/api/silences/3", "", 404),
            ("POST", "/api/jobs/other/run", "", 404),
            ("GET", "/api/jobs/report?limit=5000", "", 400),
            ("POST", "/api/heartbeats/other", "", 404),
            ("POST", "/api/channels/other/test", "", 404),
            ("POST", "/api/alerts/alertmanager", "{}", 400),
            ("POST", "/api/alerts/alertmanager", "full", 503),
        ] {
            let reply = sent(&stage, method, path, body).await;
            assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
            reply.error();
        }
    });
}
