//! Which question is due when. The slow ones never delay a poll: they have places of their own, few at once, two at most for one node, and
//! none for a node that is away. Pure: the time is given.

use super::ask::{Ask, NodePiece, jittered_ms, shelf_at};
use super::is_under_way;
use crate::memory::Memory;
use crate::model::{GuestState, NodeState, Snapshot, TaskState, fraction};
use crate::rules::{Need, RULES, guest_memory_is_doubtful, is_used, memory_floor};
use contract::monitor::RuleBook;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Questions at once, in all and for one node.
const AT_ONCE: usize = 6;
const OF_A_NODE: usize = 2;
/// Seconds between two questions that go through all guests one after the other.
const SURVEY_S: i64 = 5;
/// How often a piece is looked for that the cluster does not have, or may not show.
const ABSENT_S: i64 = 600;
/// How soon a storage's backups are looked at again after a run ended.
const SHELF_SOON_S: i64 = 30;
/// A node's memory that is so far below the mark is looked at less often.
const ROOM: f64 = 0.05;
const ROOMY_S: i64 = 120;
/// After so long what the first round did not reach is not waited for.
const FIRST_ROUND_S: i64 = 600;

/// Which pieces are needed as the rules are set.
pub(super) fn needs(book: &RuleBook) -> BTreeSet<Need> {
    let used = RULES.iter().filter(|rule| is_used(rule, book));
    let mut needs: BTreeSet<Need> = used.flat_map(|rule| rule.needs.iter().copied()).collect();
    // What tools show, and what rules can do without but read all the same.
    needs.extend([
        Need::Ha,
        Need::Ceph,
        Need::Osds,
        Need::Replication,
        Need::BackupJobs,
        Need::StartsWithNode,
        Need::Details,
    ]);
    needs
}

/// The plan of one cluster.
#[derive(Default)]
pub(super) struct Plan {
    due: BTreeMap<Ask, Timestamp>,
    under_way: BTreeMap<Ask, (Timestamp, Duration, Option<Arc<str>>)>,
    tried: BTreeSet<Ask>,
    next_survey: Option<Timestamp>,
    began: Option<Timestamp>,
    seed: u64,
}

impl Plan {
    pub(super) fn new(cluster: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        cluster.hash(&mut hasher);
        Self { seed: hasher.finish(), ..Self::default() }
    }

    fn jittered(&self, ask: &Ask, pace_s: i64, now: Timestamp) -> Timestamp {
        let mut hasher = DefaultHasher::new();
        (self.seed, ask, now.as_second()).hash(&mut hasher);
        later_ms(now, jittered_ms(pace_s, hasher.finish()))
    }

    /// When the next poll is due.
    pub(super) fn next_poll(&self, pace_s: i64, now: Timestamp) -> Timestamp {
        let mut hasher = DefaultHasher::new();
        (self.seed, now.as_second()).hash(&mut hasher);
        later_ms(now, jittered_ms(pace_s, hasher.finish()))
    }

    /// Looks at what there is to ask for, after a poll.
    pub(super) fn refresh(
        &mut self,
        snapshot: &Snapshot,
        memory: &Memory,
        book: &RuleBook,
        needs: &BTreeSet<Need>,
        now: Timestamp,
    ) {
        self.began = self.began.or(Some(now));
        let wanted = wanted(snapshot, memory, book, needs);
        self.due.retain(|ask, _| wanted.contains(ask));
        self.tried.retain(|ask| wanted.contains(ask));
        for ask in wanted {
            self.due.entry(ask).or_insert(now);
        }
        self.hurry(snapshot, memory, now);
    }

    /// Brings forward what somebody waits for.
    fn hurry(&mut self, snapshot: &Snapshot, memory: &Memory, now: Timestamp) {
        for (vmid, _) in memory.stops.iter().filter(|(vmid, _)| snapshot.slow.starts_with_node(**vmid).is_none()) {
            if let Some(due) = self.due.get_mut(&Ask::StartsWithNode(*vmid))
                && !self.tried.contains(&Ask::StartsWithNode(*vmid))
            {
                // Before everything else, and not in the survey's own time.
                *due = Timestamp::MIN;
            }
        }
        let mut open = memory.failed_backups.values().filter(|failed| !failed.is_over);
        let Some(since) = open.next().map(|first| open.map(|one| one.started_s).fold(first.started_s, i64::min)) else {
            return;
        };
        let good = snapshot.tasks.iter().filter(|task| {
            &*task.kind == "vzdump"
                && task.started_s > since
                && matches!(task.state, TaskState::Ok | TaskState::Warnings(_))
        });
        let Some(good_s) = good.filter_map(|task| task.ended_s).max() else { return };
        let good = snapshot.haia_time(good_s);
        for (label, shelf) in &snapshot.slow.shelves {
            let is_old = shelf.at.is_none_or(|at| at < good && now.as_second() - at.as_second() > SHELF_SOON_S);
            if let Some(due) = self.due.get_mut(&Ask::Shelf(Arc::clone(label))).filter(|_| is_old) {
                *due = (*due).min(now);
            }
        }
    }

    /// Takes the questions to begin now.
    pub(super) fn begin(&mut self, snapshot: &Snapshot, now: Timestamp, real: Duration) -> Vec<Ask> {
        self.under_way.retain(|_, (since, since_real, _)| is_under_way(Some((*since, *since_real)), now, real));
        let mut of_node: HashMap<Arc<str>, usize> = HashMap::new();
        for node in self.under_way.values().filter_map(|(.., node)| node.clone()) {
            *of_node.entry(node).or_default() += 1;
        }
        let mut ready: Vec<(Timestamp, &Ask)> = self
            .due
            .iter()
            .filter(|(ask, due)| **due <= now && !self.under_way.contains_key(*ask))
            .map(|(ask, due)| (*due, ask))
            .collect();
        // The longest overdue first, surveys last.
        ready.sort_by_key(|(due, ask)| (ask.is_survey() && *due != Timestamp::MIN, *due));
        let mut begun = Vec::new();
        let mut next_survey = self.next_survey;
        for (due, ask) in ready {
            if self.under_way.len() + begun.len() >= AT_ONCE {
                break;
            }
            let is_unhurried = ask.is_survey() && due != Timestamp::MIN;
            if is_unhurried && next_survey.is_some_and(|next| next > now) {
                continue;
            }
            let node = ask.node(snapshot);
            if let Some(node) = node {
                if snapshot.node(node).is_none_or(|node| node.state == NodeState::Offline) {
                    continue;
                }
                let count = of_node.entry(Arc::clone(node)).or_default();
                if *count >= OF_A_NODE {
                    continue;
                }
                *count += 1;
            } else if matches!(ask, Ask::Shelf(_)) {
                continue;
            }
            if is_unhurried {
                next_survey = Some(later_ms(now, SURVEY_S * 1000));
            }
            begun.push((ask.clone(), node.cloned()));
        }
        self.next_survey = next_survey;
        for (ask, node) in &begun {
            let pace_s = pace_s(ask, snapshot);
            self.due.insert(ask.clone(), self.jittered(ask, pace_s, now));
            self.under_way.insert(ask.clone(), (now, real, node.clone()));
        }
        begun.into_iter().map(|(ask, _)| ask).collect()
    }

    /// A question was answered. `has_nothing`: there is no sense in asking again soon.
    pub(super) fn ended(&mut self, ask: &Ask, has_nothing: bool, now: Timestamp) {
        self.under_way.remove(ask);
        self.tried.insert(ask.clone());
        if has_nothing {
            let next = self.jittered(ask, ABSENT_S, now);
            if let Some(due) = self.due.get_mut(ask) {
                *due = (*due).max(next);
            }
        }
    }

    /// Whether everything that is asked regularly was asked once.
    pub(super) fn is_round(&self, now: Timestamp) -> bool {
        let Some(began) = self.began else { return false };
        let mut regular = self.due.keys().filter(|ask| !ask.is_survey());
        now.as_second() - began.as_second() >= FIRST_ROUND_S || regular.all(|ask| self.tried.contains(ask))
    }

    /// The questions that serve some needs, now.
    pub(super) fn serving(&self, needs: &BTreeSet<Need>) -> Vec<Ask> {
        self.due.keys().filter(|ask| needs.contains(&ask.serves())).cloned().collect()
    }
}

fn later_ms(now: Timestamp, ms: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MAX)
}

/// Every question that makes sense now.
fn wanted(snapshot: &Snapshot, memory: &Memory, book: &RuleBook, needs: &BTreeSet<Need>) -> BTreeSet<Ask> {
    let mut wanted = BTreeSet::from([Ask::Ha, Ask::Ceph, Ask::ReplicationJobs, Ask::BackupJobs, Ask::NotBackedUp]);
    let ceph = snapshot.ceph.value.as_deref();
    if ceph
        .is_some_and(|ceph| ceph.osds_up < ceph.osds_in || ceph.checks.iter().any(|check| &*check.code == "OSD_DOWN"))
    {
        wanted.insert(Ask::Osds);
    }
    let jobs = snapshot.replication.value.iter().flat_map(|jobs| jobs.iter());
    let sources: BTreeSet<&str> = jobs.map(|job| &*job.source).collect();
    let (node_floor, guest_floor) = memory_floor(book);
    for node in snapshot.nodes.iter().filter(|node| node.state != NodeState::Offline) {
        use NodePiece as P;
        let mut pieces =
            vec![P::Storages, P::Clock, P::BackupRuns, P::ThinPools, P::ZfsPools, P::Disks, P::Certificates];
        pieces.extend([P::Updates, P::Subscription]);
        if sources.contains(&*node.name) {
            pieces.push(P::Replication);
        }
        if fraction(node.memory_bytes, node.memory_total_bytes).is_some_and(|used| used * 100.0 >= node_floor) {
            pieces.push(P::Detail);
        }
        wanted.extend(pieces.into_iter().map(|piece| Ask::Node(piece, Arc::clone(&node.name))));
        let parts = snapshot.slow.nodes.get(&node.name);
        let pools = parts.and_then(|parts| parts.zfs_pools.value.as_deref());
        wanted.extend(
            pools.into_iter().flatten().map(|pool| Ask::ZfsState(Arc::clone(&node.name), Arc::clone(&pool.name))),
        );
    }
    for storage in snapshot.storages.iter().filter(|storage| storage.holds_backups()) {
        let label = storage.label();
        if shelf_at(snapshot, &label).is_some() {
            wanted.insert(Ask::Shelf(label.into()));
        }
    }
    for failed in memory.failed_backups.values().filter(|failed| !failed.is_over && !failed.is_read) {
        wanted.insert(Ask::BackupLog(Arc::clone(&failed.node), Arc::clone(&failed.upid)));
    }
    for guest in snapshot.guests.iter().filter(|guest| !guest.is_template && guest.missed_polls == 0) {
        wanted.insert(Ask::StartsWithNode(guest.vmid));
        wanted.insert(Ask::Snapshots(guest.vmid));
        let looks_full = guest.memory_fraction().is_some_and(|used| used * 100.0 >= guest_floor);
        if looks_full && guest.state == GuestState::Running && guest_memory_is_doubtful(guest) {
            wanted.insert(Ask::GuestDetail(guest.vmid));
        }
    }
    wanted.retain(|ask| needs.contains(&ask.serves()));
    wanted
}

fn pace_s(ask: &Ask, snapshot: &Snapshot) -> i64 {
    let pace_s = ask.pace_s(snapshot.nodes.len());
    if let Ask::Node(NodePiece::Detail, node) = ask {
        let detail = snapshot.slow.nodes.get(node).and_then(|parts| parts.detail.value.as_deref());
        let room = detail.and_then(|detail| fraction(detail.memory_available_bytes, detail.memory_total_bytes));
        // The cache fills the memory of many nodes for good: what is available says how near the end is.
        if room.is_some_and(|room| room > 0.12 + ROOM) {
            return pace_s.max(ROOMY_S);
        }
    }
    pace_s
}
