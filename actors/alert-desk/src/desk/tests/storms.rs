//! Many findings at once, and root causes: one message for what belongs together.

use super::{Story, finding, judged, level, raised};
use contract::alerts::{Finding, Judged, Reading, ReportFindings, Severity};
use contract::notify::NoticeKind;
use {Reading::*, Severity::*};

fn caused(mut finding: Finding, causes: &[&str]) -> Finding {
    finding.causes = causes.iter().map(|cause| (*cause).into()).collect();
    finding
}

fn node_down(reading: Reading) -> Finding {
    let mut node = finding("node_down", "node/pve2", vec![level(Critical, reading, 60, 60)]);
    (node.subject, node.summary) = ("node pve2".to_owned(), "is down".to_owned());
    node.affected = (0..30).map(|n| format!("guest-{n} ({})", 100 + n)).collect();
    node
}

const NODE: &str = "node_down:lab/node/pve2";

#[test]
fn a_node_with_thirty_guests_is_one_message_that_lists_them() {
    let mut story = Story::new();
    let storage = caused(raised("storage_inactive", "storage/pve2/local", Critical), &[NODE]);
    let replication =
        caused(raised("replication", "replication/101-0", Warning), &["storage_inactive:lab/storage/pve2/local"]);
    while story.second < 600 {
        let node = judged("node_down", &[node_down(Raised)]);
        // What follows is seen before the node counts as down.
        story.report(vec![
            judged("storage_inactive", std::slice::from_ref(&storage)),
            judged("replication", std::slice::from_ref(&replication)),
            node,
        ]);
        let next = story.second + 10;
        story.until(next);
    }
    assert_eq!(story.told.len(), 1);
    let notice = &story.told[0].1;
    assert_eq!((story.told[0].0, &*notice.title), (90, "node pve2 is down, 30 guests with it"));
    assert_eq!(notice.members[0].affected.len(), 30);
    let members: Vec<&str> = notice.members.iter().map(|member| &*member.rule).collect();
    assert_eq!(members, ["node_down", "replication", "storage_inactive"]);
    // The node returns, the storage with it; the replication stays broken and is announced by itself, once.
    story.take();
    let mut back = node_down(Clear);
    back.summary = "is back".to_owned();
    while story.second < 1200 {
        let healed = if story.second < 640 { vec![storage.clone()] } else { Vec::new() };
        story.report(vec![
            judged("storage_inactive", &healed),
            judged("node_down", std::slice::from_ref(&back)),
            judged("replication", std::slice::from_ref(&replication)),
        ]);
        let next = story.second + 10;
        story.until(next);
    }
    let members: Vec<usize> = story.told.iter().map(|(_, draft)| draft.members.len()).collect();
    assert_eq!(
        story.take(),
        ["690 Resolved: node pve2 is back after 11 min", "810 Opened: replication/101-0 is in trouble"]
    );
    assert_eq!(members, [2, 1], "the end names what was told within it and is over too");
    story.reporting("replication", &[], 1300);
    assert_eq!(story.kinds(), [NoticeKind::Resolved]);
}

#[test]
fn a_cause_that_never_fires_leaves_its_consequences_to_themselves() {
    let mut story = Story::new();
    let guest = caused(raised("guest_error", "guest/1", Critical), &[NODE]);
    while story.second < 200 {
        let node = if story.second < 50 { vec![node_down(Raised)] } else { Vec::new() };
        story.report(vec![judged("node_down", &node), judged("guest_error", std::slice::from_ref(&guest))]);
        if story.second == 40 {
            assert_eq!(story.told.len(), 0, "it waits for the node");
            story.restart();
        }
        let next = story.second + 10;
        story.until(next);
    }
    assert_eq!(story.take(), ["50 Opened: guest/1 is in trouble"]);
}

#[test]
fn a_consequence_that_ends_with_its_cause_is_never_told_by_itself() {
    let mut story = Story::new();
    let guests: Vec<Finding> =
        (0..30).map(|n| caused(raised("guest_error", &format!("guest/{n}"), Warning), &[NODE])).collect();
    while story.second < 2000 {
        let is_down = story.second < 1000;
        // Guests recover after the node, one by one.
        let still = ((1100 - story.second).max(0) / 4).min(30) as usize;
        let node = if is_down { vec![node_down(Raised)] } else { Vec::new() };
        story.report(vec![judged("node_down", &node), judged("guest_error", &guests[..still])]);
        let next = story.second + 10;
        story.until(next);
    }
    assert_eq!(story.kinds(), [NoticeKind::Opened, NoticeKind::Resolved], "{:?}", story.take());
}

#[test]
fn what_comes_late_belongs_to_its_cause_also_when_that_is_over_first() {
    let mut story = Story::new();
    while story.second < 1200 {
        let node = if story.second < 600 { vec![node_down(Raised)] } else { Vec::new() };
        // Broken storage daemons are seen after the node was told, and for a while after it has returned: then without a cause.
        let causes: &[&str] = if story.second < 600 { &[NODE] } else { &[] };
        let daemons = caused(raised("osd_down", "ceph", Warning), causes);
        let daemons = if (200..650).contains(&story.second) { vec![daemons] } else { Vec::new() };
        story.report(vec![judged("node_down", &node), judged("osd_down", &daemons)]);
        let next = story.second + 10;
        story.until(next);
    }
    assert_eq!(story.kinds(), [NoticeKind::Opened, NoticeKind::Resolved], "{:?}", story.take());
}

#[test]
fn causes_in_a_circle_are_told_all_the_same() {
    let mut story = Story::new();
    let a = caused(raised("a", "x", Warning), &["b:lab/x"]);
    let b = caused(raised("b", "x", Warning), &["a:lab/x"]);
    let itself = caused(raised("c", "x", Warning), &["c:lab/x"]);
    story.report(vec![judged("a", &[a]), judged("b", &[b]), judged("c", &[itself])]);
    story.until(100);
    assert_eq!(story.told.len(), 1);
    assert_eq!(story.told[0].1.members.len(), 3);
}

#[test]
fn a_cause_that_only_digests_tell_hides_nothing() {
    let mut story = Story::new();
    let cause = raised("guest_stopped", "guest/1", Info);
    let effect = caused(raised("guest_error", "guest/1", Warning), &["guest_stopped:lab/guest/1"]);
    story.report(vec![judged("guest_stopped", &[cause]), judged("guest_error", &[effect])]);
    story.until(60);
    assert_eq!(story.kinds(), [NoticeKind::Opened]);
}

/// What was told and where, with these `[[notify.routes]]`, while a node is down and what follows from it goes on.
fn told_along(routes: &str) -> Vec<String> {
    let mut story = Story::of(crate::Config {
        routes: serde_json::from_str(routes).unwrap(),
        channels: vec!["phone".into(), "mail".into()],
        ..crate::Config::default()
    });
    let storage = || caused(raised("storage_inactive", "nas", Critical), &[NODE]);
    while story.second < 300 {
        story.report(vec![judged("node_down", &[node_down(Raised)]), judged("storage_inactive", &[storage()])]);
        story.until(story.second + 10);
    }
    story.told.iter().map(|(_, draft)| format!("{}: {}", draft.channels.join("+"), draft.title)).collect()
}

#[test]
fn a_cause_that_is_told_elsewhere_or_nowhere_hides_nothing() {
    let alone = "phone: nas is in trouble";
    assert_eq!(told_along(r#"[{"rules":["storage_*"],"channels":["phone"]}]"#), [alone]);
    let elsewhere =
        told_along(r#"[{"rules":["storage_*"],"channels":["phone"]},{"rules":["node_*"],"channels":["mail"]}]"#);
    assert_eq!(elsewhere.len(), 2, "{elsewhere:?}");
    assert!(elsewhere.iter().any(|told| told == alone), "{elsewhere:?}");
    let within = told_along(r#"[{"rules":["storage_*"],"channels":["phone"]},{"channels":["mail","phone"]}]"#);
    assert_eq!(within.len(), 1, "{within:?}");
    assert!(within[0].starts_with("phone+mail: "), "{within:?}");
}

#[test]
fn a_thousand_findings_in_ten_seconds_make_few_messages() {
    for (rule, clusters) in [("guest_error", 1), ("guest_error", 5), ("alertmanager", 1), ("job_failed", 1)] {
        let mut story = Story::new();
        for n in 0..1000 {
            let mut one = raised(rule, &format!("guest/{n}"), if n % 3 == 0 { Critical } else { Warning });
            one.labels.0.clear();
            one.labels.add("cluster", format!("lab{}", n % clusters));
            one.object = format!("lab{}/guest/{n}", n % clusters).into();
            let scope = one.object.clone();
            let judged = Judged { rule: rule.into(), scope, findings: vec![one], unseen: Vec::new() };
            story.report(vec![judged]);
            if n % 100 == 99 {
                let next = story.second + 1;
                story.until(next);
            }
        }
        story.until(400);
        assert!(story.told.len() <= 20, "{rule}: {}", story.told.len());
        assert_eq!(story.desk.open().count(), 1000);
        let counted: usize = story.told.iter().map(|(_, draft)| draft.members.len() + draft.more as usize).sum();
        assert_eq!(counted, 1000, "{rule}: every one is counted in some message");
        assert!(story.told.iter().all(|(_, draft)| draft.more == 0));
        // And all of them end at once.
        let scopes =
            (0..clusters).map(|cluster| Judged { scope: format!("lab{cluster}/").into(), ..judged(rule, &[]) });
        story.told.clear();
        story.report(scopes.collect());
        story.until(900);
        assert!(story.told.len() <= 20, "{rule}: {}", story.told.len());
        let ended: usize = story.told.iter().map(|(_, draft)| draft.members.len() + draft.more as usize).sum();
        assert_eq!(ended, 1000, "{rule}");
    }
}

#[test]
fn the_first_of_alertmanager_and_of_haia_itself_is_told_at_once() {
    let mut story = Story::new();
    story.until(5);
    story.report(vec![judged("job_failed", &[raised("job_failed", "job/a", Warning)])]);
    assert_eq!(story.take(), ["5 Opened: job/a is in trouble"]);
    story.report(vec![Judged {
        scope: "lab/job/b".into(),
        ..judged("job_failed", &[raised("job_failed", "job/b", Warning)])
    }]);
    story.until(100);
    assert_eq!(story.take(), ["35 Opened: job/b is in trouble"]);
}

#[test]
fn memory_is_bounded() {
    let mut story = Story::new();
    let many: Vec<Finding> = (0..21_000).map(|n| raised("guest_error", &format!("guest/{n:05}"), Info)).collect();
    let report = ReportFindings { source: "x".into(), is_baseline: false, judged: vec![judged("guest_error", &many)] };
    story.desk.report(super::at(0), report);
    assert_eq!(story.desk.size(), (20_000, 1000));
    // What is over makes room.
    let report = ReportFindings { source: "x".into(), is_baseline: false, judged: vec![judged("guest_error", &[])] };
    story.desk.report(super::at(1), report);
    let report = ReportFindings {
        source: "x".into(),
        is_baseline: false,
        judged: vec![judged("node_cpu", &[raised("node_cpu", "n", Warning)])],
    };
    story.desk.report(super::at(2), report);
    assert_eq!(story.desk.open().count(), 1);
}
