//! What a rule looks at, and how it writes down what it found.

use super::Rule;
use super::words;
use crate::history::History;
use crate::memory::{Memory, Raised};
use crate::model::{Guest, GuestState, Node, NodeParts, NodeState, Part, Snapshot, Storage, seconds_between};
use contract::alerts::{Finding, Judged, Labels, LevelReading, Reading, Severity};
use contract::monitor::{LevelSettings, RuleBook, RuleSettings};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// All that is known of a cluster when it is judged.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The newest snapshot.
    pub snapshot: &'a Snapshot,
    /// What is remembered.
    pub memory: &'a Memory,
    /// The past.
    pub history: &'a History,
    /// How the rules are set.
    pub book: &'a RuleBook,
    /// HAIA's time.
    pub now: Timestamp,
}

impl<'a> Scene<'a> {
    /// The cluster's name: the first part of every object.
    pub(super) fn cluster(&self) -> &'a str {
        &self.snapshot.cluster
    }

    /// An object of this cluster (`guest/101`).
    pub(super) fn object(&self, rest: impl std::fmt::Display) -> Arc<str> {
        format!("{}/{rest}", self.cluster()).into()
    }

    pub(super) fn guest_object(&self, guest: &Guest) -> Arc<str> {
        self.object(format_args!("guest/{}", guest.vmid))
    }

    pub(super) fn node_object(&self, name: &str) -> Arc<str> {
        self.object(format_args!("node/{name}"))
    }

    pub(super) fn storage_object(&self, storage: &Storage) -> Arc<str> {
        self.object(format_args!("storage/{}", storage.label()))
    }

    /// Every guest that can run.
    pub(super) fn guests(&self) -> impl Iterator<Item = &'a Guest> {
        self.snapshot.guests.iter().filter(|guest| !guest.is_template)
    }

    /// Every node that is a member now.
    pub(super) fn members(&self) -> impl Iterator<Item = &'a Node> {
        self.snapshot.nodes.iter().filter(|node| node.state != NodeState::Offline)
    }

    pub(super) fn is_offline(&self, name: &str) -> bool {
        self.snapshot.node(name).is_some_and(|node| node.state == NodeState::Offline)
    }

    /// The identity of a node's absence, as a cause.
    pub(super) fn down(&self, name: &str) -> Arc<str> {
        format!("node_down:{}/node/{name}", self.cluster()).into()
    }

    /// The causes that lie with a node: its absence, and the loss of quorum.
    pub(super) fn causes_of_node(&self, name: &str) -> Vec<Arc<str>> {
        vec![self.down(name), self.no_quorum()]
    }

    pub(super) fn no_quorum(&self) -> Arc<str> {
        format!("quorum_lost:{}", self.cluster()).into()
    }

    /// The absences of all nodes that are away, and of quorum.
    pub(super) fn causes_of_absence(&self) -> Vec<Arc<str>> {
        let away = self.snapshot.nodes.iter().filter(|node| node.state == NodeState::Offline);
        away.map(|node| self.down(&node.name)).chain([self.no_quorum()]).collect()
    }

    /// Seconds since a node's boot, or since it came back: for minutes after that the cluster shows what it told before it went.
    pub(super) fn uptime_s(&self, name: &str) -> Option<u64> {
        let uptime_s = self.snapshot.node(name).filter(|node| node.state == NodeState::Online)?.uptime_s?;
        Some(self.back_s(name).map_or(uptime_s, |back_s| back_s.min(uptime_s)))
    }

    /// Whether a node has booted or come back less than so many seconds ago.
    pub(super) fn has_just_booted(&self, name: &str, within_s: u64) -> bool {
        let seconds = self.uptime_s(name).or_else(|| self.back_s(name));
        !self.is_offline(name) && seconds.is_some_and(|seconds| seconds < within_s)
    }

    /// Seconds since a node that was away came back.
    fn back_s(&self, name: &str) -> Option<u64> {
        self.memory.nodes.get(name)?.back_at.map(|at| seconds_between(at, self.now))
    }

    /// A part's value, if it is no older than `most_s`.
    pub(super) fn fresh<'p, T>(&self, part: &'p Part<T>, most_s: u64) -> Option<&'p T> {
        part.value.as_deref().filter(|_| part.age_s(self.now).is_some_and(|age| age <= most_s))
    }

    pub(super) fn cluster_labels(&self) -> Labels {
        let mut labels = Labels::default();
        labels.add("cluster", Arc::clone(&self.snapshot.cluster));
        labels
    }

    pub(super) fn guest_labels(&self, guest: &Guest) -> Labels {
        let mut labels = self.cluster_labels();
        labels.add("node", Arc::clone(&guest.node));
        labels.add("vmid", guest.vmid.to_string());
        if let Some(name) = &guest.name {
            labels.add("name", Arc::clone(name));
        }
        for tag in guest.tags.iter() {
            labels.add("tag", Arc::clone(tag));
        }
        labels.add("kind", guest.kind.as_str());
        labels
    }

    pub(super) fn node_labels(&self, name: &str) -> Labels {
        let mut labels = self.cluster_labels();
        labels.add("node", name);
        labels
    }

    /// The guest that something was found about, if it still is in the cluster.
    pub(super) fn guest_of(&self, raised: &Raised) -> Option<&'a Guest> {
        self.snapshot.guest(raised.labels.first("vmid")?.parse().ok()?)
    }

    pub(super) fn storage_labels(&self, storage: &Storage) -> Labels {
        let mut labels = self.cluster_labels();
        labels.add("storage", Arc::clone(&storage.name));
        if let Some(node) = storage.node() {
            labels.add("node", Arc::clone(node));
        }
        if let Some(kind) = &storage.kind {
            labels.add("kind", Arc::clone(kind));
        }
        labels
    }
}

/// How the end of anything about what left the cluster is told.
pub(super) const GONE: &str = "is no longer in the cluster";

/// One rule over one scene.
pub struct Court<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) rule: &'static Rule,
    general: RuleSettings,
    is_uniform: bool,
}

impl<'a> Court<'a> {
    pub(super) fn new(scene: Scene<'a>, rule: &'static Rule) -> Self {
        let (general, is_uniform) = (scene.book.general(&rule.info), scene.book.is_uniform(&rule.info));
        Self { scene, rule, general, is_uniform }
    }

    /// Whether the rule is used for anything at all.
    pub(super) fn is_used(&self) -> bool {
        is_set(&self.general, self.scene.book, self.rule)
    }

    /// The settings for an object; `None` when the rule leaves it alone.
    pub(super) fn settings(&self, labels: &Labels) -> Option<Cow<'_, RuleSettings>> {
        let settings = match self.is_uniform {
            true => Cow::Borrowed(&self.general),
            false => Cow::Owned(self.scene.book.settings(&self.rule.info, labels)),
        };
        settings.is_enabled().then_some(settings)
    }

    /// The lowest figure at which some object's level could be anything but clear: below it nothing needs a closer look.
    pub(super) fn floor(&self) -> f64 {
        lowest(&self.general, self.scene.book)
    }

    /// A new finding about an object, with a level of each severity in use as `read` sees it.
    pub(super) fn finding(
        &self,
        object: Arc<str>,
        subject: impl Into<String>,
        summary: impl Into<String>,
        since: Timestamp,
        levels: Vec<LevelReading>,
    ) -> Finding {
        Finding { levels, ..Finding::new(self.rule.info.name, object, subject, summary, None, since) }
    }

    /// One judgement over objects that begin with `scope`.
    pub(super) fn judged(&self, scope: impl Into<Arc<str>>, case: Case) -> Judged {
        Judged { rule: self.rule.info.name.into(), scope: scope.into(), findings: case.findings, unseen: case.unseen }
    }

    /// One judgement over everything below the cluster's name.
    pub(super) fn everything(&self, case: Case) -> Vec<Judged> {
        vec![self.judged(format!("{}/", self.scene.cluster()), case)]
    }

    /// One judgement over the cluster itself.
    pub(super) fn cluster(&self, finding: Option<Finding>) -> Vec<Judged> {
        vec![self.judged(self.scene.cluster(), Case { findings: finding.into_iter().collect(), unseen: Vec::new() })]
    }

    /// Nothing is found, whatever was: for a rule that is switched off.
    pub(super) fn nothing(&self) -> Vec<Judged> {
        self.cluster(None).into_iter().chain(self.everything(Case::default())).collect()
    }

    /// Adds how that ended which was found lately, lies within the judgement, and is neither found nor unseen now.
    pub(super) fn with_ends(&self, mut judged: Judged) -> Judged {
        let mut past = self.scene.memory.raised_within(&judged.rule, &judged.scope).peekable();
        if past.peek().is_none() {
            drop(past);
            return judged;
        }
        let told: BTreeSet<&str> = judged
            .findings
            .iter()
            .map(|found| &*found.object)
            .chain(judged.unseen.iter().map(|object| &**object))
            .collect();
        let ended = past.filter(|raised| !told.contains(&*raised.object) && self.settings(&raised.labels).is_some());
        let ended: Vec<Finding> = ended
            .filter_map(|raised| {
                let said = (self.rule.ended)(self, raised)?;
                let clear = |level: &LevelReading| LevelReading { reading: Reading::Clear, ..*level };
                let levels = raised.levels.iter().map(clear).collect();
                let subject = raised.subject.as_str();
                let finding = self.finding(Arc::clone(&raised.object), subject, said, raised.since, levels);
                Some(Finding { labels: raised.labels.clone(), ..finding })
            })
            .collect();
        judged.findings.extend(ended);
        judged
    }

    /// How something about a guest ended: `running` says it of one that runs.
    pub(super) fn guest_end(
        &self,
        raised: &Raised,
        running: impl FnOnce(&'a Guest) -> Option<String>,
    ) -> Option<String> {
        let Some(guest) = self.scene.guest_of(raised) else { return Some(GONE.to_owned()) };
        match guest.state {
            GuestState::Running => running(guest),
            GuestState::Stopped => Some("is stopped now".to_owned()),
            GuestState::Paused => Some("is paused now".to_owned()),
            _ => None,
        }
    }

    /// How something about a node ended: `online` says it of one that is there.
    pub(super) fn node_end(&self, raised: &Raised, online: impl FnOnce(&'a Node) -> Option<String>) -> Option<String> {
        let Some(node) = self.scene.snapshot.node(raised.labels.first("node")?) else { return Some(GONE.to_owned()) };
        if node.state == NodeState::Online { online(node) } else { None }
    }

    /// How something about a part of a node ended: `there` says it of a node that is known with its parts.
    pub(super) fn node_parts_end(
        &self,
        raised: &Raised,
        there: impl FnOnce(&'a NodeParts) -> Option<String>,
    ) -> Option<String> {
        let node = raised.labels.first("node")?;
        let parts = self.scene.snapshot.slow.nodes.get(node).filter(|_| self.scene.snapshot.node(node).is_some());
        parts.map_or_else(|| Some(GONE.to_owned()), there)
    }

    /// One judgement for each node whose piece can be read, over the objects `node/<name>/<word>`. A node whose piece is missing or too old
    /// is passed over; one that is no member for good has nothing.
    pub(super) fn by_node(
        &self,
        word: &str,
        mut judge: impl FnMut(&'a Node, &'a NodeParts, &mut Case) -> Option<()>,
    ) -> Vec<Judged> {
        let scope = |name: &str| self.scene.object(format_args!("node/{name}/{word}"));
        let mut judged = Vec::new();
        for node in self.scene.members() {
            let Some(parts) = self.scene.snapshot.slow.nodes.get(&node.name) else { continue };
            let mut case = Case::default();
            if judge(node, parts, &mut case).is_some() {
                judged.push(self.judged(scope(&node.name), case));
            }
        }
        let gone = self.scene.memory.gone_nodes(self.scene.snapshot);
        judged.extend(gone.map(|name| self.judged(scope(name), Case::default())));
        judged
    }

    /// One judgement over the guests: `judge` says what it finds of one that can be seen. `None` is nothing, `Some(None)` that it cannot be told.
    pub(super) fn by_guest(&self, mut judge: impl FnMut(&'a Guest) -> Option<Option<Finding>>) -> Vec<Judged> {
        let mut case = Case::default();
        for guest in self.scene.guests() {
            if guest.state == GuestState::Unknown {
                case.unseen.push(self.scene.guest_object(guest));
                continue;
            }
            match judge(guest) {
                None => {}
                Some(None) => case.unseen.push(self.scene.guest_object(guest)),
                Some(Some(finding)) => case.findings.push(finding),
            }
        }
        self.everything(case)
    }

    /// What is the same in every finding about a guest.
    pub(super) fn about_guest(
        &self,
        guest: &Guest,
        summary: impl Into<String>,
        since: Timestamp,
        levels: Vec<LevelReading>,
    ) -> Finding {
        let mut finding = self.finding(self.scene.guest_object(guest), guest.label(), summary, since, levels);
        finding.labels = self.scene.guest_labels(guest);
        finding.before = words::last_task_of_guest(&self.scene, guest.vmid, since);
        finding
    }

    /// What is the same in every finding about a node.
    pub(super) fn about_node(
        &self,
        name: &str,
        summary: impl Into<String>,
        since: Timestamp,
        levels: Vec<LevelReading>,
    ) -> Finding {
        let subject = format!("node {name}");
        let mut finding = self.finding(self.scene.node_object(name), subject, summary, since, levels);
        finding.labels = self.scene.node_labels(name);
        finding.before = words::last_task_on_node(&self.scene, name, since);
        finding
    }
}

/// The lowest figure that matters to a rule, whatever the object.
pub(super) fn floor(book: &RuleBook, rule: &Rule) -> f64 {
    lowest(&book.general(&rule.info), book)
}

fn lowest(general: &RuleSettings, book: &RuleBook) -> f64 {
    let overrides = book.overrides.iter().map(|narrower| &narrower.set);
    let levels = [general]
        .into_iter()
        .chain(overrides)
        .flat_map(|settings| [&settings.info, &settings.warning, &settings.critical].into_iter().flatten());
    let marks = levels.flat_map(|level| [level.clear, level.above].into_iter().flatten());
    marks.fold(f64::INFINITY, f64::min)
}

/// Whether a rule is used for anything: as it is set in general, or by an override.
pub(super) fn is_set(general: &RuleSettings, book: &RuleBook, rule: &Rule) -> bool {
    general.is_enabled()
        || book.overrides.iter().any(|narrower| {
            let concerns = narrower.rules.is_empty()
                || narrower.rules.iter().any(|pattern| contract::alerts::matches_pattern(pattern, rule.info.name));
            concerns && narrower.set.enabled == Some(true)
        })
}

/// What a rule found so far.
#[derive(Default)]
pub(super) struct Case {
    pub(super) findings: Vec<Finding>,
    pub(super) unseen: Vec<Arc<str>>,
}

/// The levels in use, each as `read` sees it; levels that it leaves out are not told.
pub(super) fn levels(
    settings: &RuleSettings,
    mut read: impl FnMut(Severity, &LevelSettings) -> Option<Reading>,
) -> Vec<LevelReading> {
    let time = |span: Option<contract::units::Span>| span.map_or(Duration::ZERO, |span| span.0);
    settings
        .levels()
        .filter_map(|(severity, level)| {
            Some(LevelReading {
                severity,
                reading: read(severity, level)?,
                raise_for: time(level.hold),
                clear_for: time(level.clear_for),
            })
        })
        .collect()
}

/// The levels for a condition that is met.
pub(super) fn raised(settings: &RuleSettings) -> Vec<LevelReading> {
    levels(settings, |_, _| Some(Reading::Raised))
}

/// The levels for a condition that is met as badly as `severity`: worse levels are clear.
pub(super) fn raised_up_to(settings: &RuleSettings, worst: Severity) -> Vec<LevelReading> {
    levels(settings, |severity, _| Some(if severity <= worst { Reading::Raised } else { Reading::Clear }))
}

/// How a figure reads on a level.
pub(super) fn reading(level: &LevelSettings, figure: f64) -> Reading {
    match (level.above, level.below) {
        (Some(above), _) if figure >= above => Reading::Raised,
        (Some(above), _) if figure >= level.clear.unwrap_or(above) => Reading::Held,
        (None, Some(below)) if figure <= below => Reading::Raised,
        (None, Some(below)) if figure <= level.clear.unwrap_or(below) => Reading::Held,
        _ => Reading::Clear,
    }
}

/// The levels of a figure; `None` when all of them are clear.
pub(super) fn graded(settings: &RuleSettings, figure: f64) -> Option<Vec<LevelReading>> {
    let levels = levels(settings, |_, level| Some(reading(level, figure)));
    levels.iter().any(|level| level.reading != Reading::Clear).then_some(levels)
}

/// The threshold to show: of the worst level that is raised, else of the mildest.
pub(super) fn limit(settings: &RuleSettings, figure: f64) -> Option<f64> {
    let mark = |level: &LevelSettings| level.above.or(level.below);
    let raised = settings.levels().filter(|(_, level)| reading(level, figure) == Reading::Raised).last();
    raised.or_else(|| settings.levels().find(|(_, level)| mark(level).is_some())).and_then(|(_, level)| mark(level))
}

/// A setting in seconds.
pub(super) fn seconds(span: Option<contract::units::Span>, usual: u64) -> u64 {
    span.map_or(usual, |span| span.0.as_secs())
}
