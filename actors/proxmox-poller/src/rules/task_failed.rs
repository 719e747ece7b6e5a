//! `task_failed`: a task failed that no other rule tells of: migrations, restores, HA, updates. Good to know.

use super::defaults::{level, settings};
use super::scene::{Case, Court, raised, seconds};
use super::{Rule, words};
use crate::memory::Raised;
use crate::model::TaskState;
use contract::alerts::{Fact, Judged};
use contract::monitor::RuleInfo;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "task_failed",
        condition: "A task of migration, restore, replication, HA or package updates failed within the last hour (within).",
        defaults: settings([Some(level(0, 0)), None, None], Some(3600), None),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

fn is_told(kind: &str) -> bool {
    matches!(
        kind,
        "qmigrate"
            | "vzmigrate"
            | "hamigrate"
            | "migrateall"
            | "qmrestore"
            | "vzrestore"
            | "hastart"
            | "hastop"
            | "pvesr"
            | "replicate"
            | "aptupdate"
            | "aptupgrade"
            | "imgcopy"
            | "download"
    )
}

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut case = Case::default();
    let mut told: BTreeSet<(Arc<str>, Arc<str>)> = BTreeSet::new();
    // Newest first: a task that went well since makes the failure before it old news.
    for task in scene.snapshot.tasks.iter().filter(|task| is_told(&task.kind) && task.state != TaskState::Running) {
        let about = if task.id.is_empty() { &task.node } else { &task.id };
        if !told.insert((Arc::clone(&task.kind), Arc::clone(about))) {
            continue;
        }
        let TaskState::Failed(error) = &task.state else { continue };
        let ended_s = task.ended_s.unwrap_or(task.started_s);
        let guest = task.vmid().and_then(|vmid| scene.snapshot.guest(vmid));
        let mut labels = guest.map_or_else(|| scene.node_labels(&task.node), |guest| scene.guest_labels(guest));
        labels.0.retain(|(name, _)| &**name != "kind");
        labels.add("kind", Arc::clone(&task.kind));
        let Some(settings) = court.settings(&labels) else { continue };
        if scene.snapshot.seconds_since_s(ended_s, scene.now) >= seconds(settings.within, 3600) {
            continue;
        }
        let deed = words::deed(&task.kind);
        let object = scene.object(format_args!("task/{}/{about}", task.kind));
        let subject = match guest {
            Some(guest) => format!("{deed} of {}", guest.label()),
            None => format!("{deed} on {}", task.node),
        };
        let since = scene.snapshot.haia_time(ended_s);
        let mut finding = court.finding(object, subject, "failed", since, raised(&settings));
        finding.labels = labels;
        finding.before = Some(format!("begun by {}", words::quoted(&task.user)));
        finding.meaning = Some(words::quoted(error));
        finding.facts = vec![Fact { label: "task".into(), text: task.upid.to_string() }];
        finding.causes = scene.causes_of_node(&task.node);
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let about = raised.object.rsplit('/').next()?;
    let kind = raised.labels.first("kind")?;
    let mut tasks = court.scene.snapshot.tasks.iter().filter(|task| task.state != TaskState::Running);
    let newest = tasks
        .find(|task| &*task.kind == kind && (&*task.id == about || (task.id.is_empty() && &*task.node == about)))?;
    (!newest.state.is_failure()).then(|| "has succeeded since".to_owned())
}
