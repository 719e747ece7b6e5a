//! What is taken out of the configuration: its alerts end, while HAIA runs or at its next start, and what comes back is told anew.

use super::{Story, at, finding, judged, level, raised};
use crate::{Config, Configured};
use contract::alerts::{AlertState, Finding, Judged, Reading, Severity};
use std::sync::Arc;
use {Reading::*, Severity::*};

/// A configuration with everything in it, or with nothing that HAIA watches.
fn config(is_whole: bool) -> Config {
    let names = |name: &str| if is_whole { [name.into()].into() } else { Default::default() };
    let monitor = if is_whole { r#"{"watchdog":{"url":"http://hc.example/"}}"# } else { "{}" };
    Config {
        monitor: serde_json::from_str(monitor).unwrap(),
        channels: if is_whole { vec!["phone".into(), "mail".into()] } else { vec!["phone".into()] },
        configured: Some(Configured {
            clusters: names("lab"),
            providers: names("local"),
            jobs: names("morning"),
            mcp_servers: Some(names("files")),
        }),
        ..Config::default()
    }
}

fn own(rule: &str, object: &str) -> Judged {
    let finding = Finding::new(rule, object, object, "fails", Some(Warning), at(0));
    Judged { rule: rule.into(), scope: object.into(), findings: vec![finding], unseen: Vec::new() }
}

/// One alert of each kind, and one that is about to open.
fn everything() -> Vec<Judged> {
    let mut stays = raised("node_down", "node/pve2", Critical);
    stays.levels[0].clear_for = std::time::Duration::from_secs(3600);
    vec![
        judged("node_down", &[stays]),
        judged("guest_crashed", &[raised("guest_crashed", "guest/101", Warning)]),
        judged("storage_full", &[finding("storage_full", "storage/nas", vec![level(Warning, Raised, 1200, 0)])]),
        own("job_failed", "job/morning"),
        own("provider_down", "provider/local"),
        own("mcp_server_failed", "mcp/files"),
        own("channel_failed", "channel/mail"),
        own("channel_failed", "watchdog"),
        own("actor_failed", "actor/store"),
    ]
}

fn open(story: &Story) -> Vec<&str> {
    let alerts = story.desk.alerts.iter();
    alerts.filter(|(_, alert)| alert.state.is_open() || alert.pending().is_some()).map(|(key, _)| &**key).collect()
}

fn told_everything() -> Story {
    let mut story = Story::of(config(true));
    story.report(everything());
    story.until(400);
    assert_eq!(open(&story).len(), 9);
    let meant = story.number("guest_crashed:lab/guest/101");
    story.desk.expect(at(400), meant, &"me".into()).unwrap();
    story.report(Vec::new());
    story.take();
    story
}

/// What is gone has ended and is told; what comes back is told as new.
fn check(mut story: Story) {
    assert_eq!(open(&story), ["actor_failed:actor/store"]);
    assert!(story.desk.alerts.values().all(|alert| !alert.is_expected));
    // Reports that were under way raise nothing.
    story.report(everything());
    story.until(2400);
    assert_eq!(open(&story), ["actor_failed:actor/store"]);
    let told = story.take();
    assert!(told.iter().all(|told| told.contains("Resolved")), "{told:?}");
    let of_node: Vec<&String> = told.iter().filter(|told| told.contains("node/pve2")).collect();
    assert_eq!(of_node, ["430 Resolved: node/pve2 is not watched any more after 6 min"]);
    story.config = Arc::new(config(true));
    story.desk.reconfigure(Arc::clone(&story.config), at(2400));
    story.report(everything());
    story.until(4000);
    assert_eq!(open(&story).len(), 9);
    let members: usize = story.told.iter().map(|(_, draft)| draft.members.len()).sum();
    assert_eq!(members, 7, "{:?}: all but the actor, told before, and what has not lasted yet", story.take());
}

#[test]
fn what_a_reload_takes_out_ends() {
    let mut story = told_everything();
    story.config = Arc::new(config(false));
    story.desk.reconfigure(Arc::clone(&story.config), at(400));
    story.report(Vec::new());
    check(story);
}

#[test]
fn what_was_taken_out_while_haia_was_down_ends_at_its_start() {
    let mut story = told_everything();
    story.config = Arc::new(config(false));
    story.start_again();
    check(story);
}

#[test]
fn what_comes_and_goes_ends_at_once_when_it_is_gone() {
    let mut story = Story::of(config(true));
    while story.second < 600 {
        story.reporting("guest_crashed", &[raised("guest_crashed", "guest/101", Warning)], story.second + 60);
        story.reporting("guest_crashed", &[], story.second + 60);
    }
    story.reporting("guest_crashed", &[raised("guest_crashed", "guest/101", Warning)], 620);
    let alert = &story.desk.alerts["guest_crashed:lab/guest/101"];
    assert!(alert.is_flapping && alert.state == AlertState::Firing);
    story.desk.reconfigure(Arc::new(config(false)), at(620));
    story.report(Vec::new());
    assert_eq!(open(&story), [""; 0]);
}

#[test]
fn where_nothing_is_known_of_the_configuration_nothing_ends() {
    let mut story = told_everything();
    story.config = Arc::new(Config { configured: None, ..config(false) });
    story.start_again();
    assert_eq!(open(&story).len(), 8);
}
