//! One cluster as the poller keeps it: its client, what is due when, and how well it is seen. It does no I/O of its own.

use super::Ports;
use super::fetch::{self, PartNews, PollNews};
use super::place::place;
use super::plan::Plan;
use super::watch::Watch;
use super::{UnderWay, is_under_way};
use crate::assemble::assemble;
use crate::client::{ApiClient, ApiError, ErrorKind};
use crate::config::ClusterConfig;
use crate::history::History;
use crate::model::{GuestState, MissingPrivilege, NodeState, Snapshot, grant_command};
use crate::rules::Need;
use contract::LocalBoxFuture;
use contract::cluster::{ClusterState, ClusterStatus};
use contract::monitor::RuleBook;
use jiff::{SignedDuration, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// How often the token's privileges are asked for: when all is well, and when one is missing.
const PERMISSIONS_EVERY_S: i64 = 600;
const PERMISSIONS_SOON_S: i64 = 60;

pub(super) struct Cluster {
    pub(super) name: Arc<str>,
    pub(super) config: ClusterConfig,
    /// Tells results of an older configuration apart.
    pub(super) generation: u64,
    /// The client; or why it cannot be made.
    pub(super) client: Result<ApiClient, String>,
    pub(super) history: Rc<RefCell<History>>,
    /// What is wrong, for people.
    pub(super) problem: Option<String>,
    /// Whether the last poll failed.
    pub(super) is_blind: bool,
    polls: u64,
    errors: u64,
    next_poll: Timestamp,
    poll_under_way: UnderWay,
    next_permissions: Timestamp,
    pub(super) plan: Plan,
    pub(super) watch: Watch,
    told_missing: Vec<MissingPrivilege>,
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

impl Cluster {
    pub(super) fn new(name: Arc<str>, config: ClusterConfig, generation: u64, ports: &Ports) -> Self {
        let now = ports.clock.now();
        let client = open(&config, ports);
        Self {
            generation,
            client,
            history: Rc::default(),
            problem: None,
            is_blind: false,
            polls: 0,
            errors: 0,
            next_poll: now,
            poll_under_way: None,
            next_permissions: now,
            plan: Plan::new(&name),
            watch: Watch::default(),
            told_missing: Vec::new(),
            config,
            name,
        }
    }

    /// Begins a poll if one is due.
    pub(super) fn begin_poll(&mut self, now: Timestamp, ports: &Ports) -> Option<LocalBoxFuture<'static, PollNews>> {
        let real = ports.clock.monotonic();
        // What was kept before the start comes first: the first poll is compared with it.
        if now < self.next_poll || !self.watch.is_ready || is_under_way(self.poll_under_way, now, real) {
            return None;
        }
        if self.client.is_err() {
            self.client = open(&self.config, ports);
        }
        let interval_s = i64::try_from(self.config.poll_interval.0.as_secs()).unwrap_or(10).max(1);
        self.next_poll = self.plan.next_poll(interval_s, now);
        self.poll_under_way = Some((now, real));
        self.polls += 1;
        let asks_permissions = now >= self.next_permissions;
        match &self.client {
            Ok(client) => {
                let (client, clock) = (client.clone(), Arc::clone(&ports.clock));
                Some(Box::pin(fetch::poll(client, clock, asks_permissions)))
            }
            Err(why) => {
                let error = ApiError::new(ErrorKind::Unreachable, why.clone());
                Some(Box::pin(std::future::ready(Err(error))))
            }
        }
    }

    /// Something has just been changed: the next poll is due now.
    pub(super) fn look_soon(&mut self, now: Timestamp) {
        self.next_poll = self.next_poll.min(now);
    }

    /// Begins to fetch the parts that are due.
    pub(super) fn begin_parts(
        &mut self,
        now: Timestamp,
        snapshot: &Arc<Snapshot>,
    ) -> Vec<LocalBoxFuture<'static, PartNews>> {
        let Ok(client) = &self.client else { return Vec::new() };
        if self.is_blind {
            return Vec::new();
        }
        let begun = self.plan.begin(snapshot, now, client.monotonic());
        let part = |ask| -> LocalBoxFuture<'static, PartNews> {
            Box::pin(fetch::part(ask, client.clone(), Arc::clone(snapshot)))
        };
        begun.into_iter().map(part).collect()
    }

    /// Takes the result of a poll; the new snapshot if it was good.
    pub(super) fn polled(
        &mut self,
        news: PollNews,
        before: Option<&Snapshot>,
        now: Timestamp,
        book: &RuleBook,
        needs: &BTreeSet<Need>,
    ) -> Option<Snapshot> {
        let began = self.poll_under_way.take().map_or(now, |(began, _)| began);
        let asked = news.as_ref().is_ok_and(|polled| polled.permissions.is_some());
        let is_refused = news.as_ref().err().is_some_and(|error| error.kind == ErrorKind::LoginRefused);
        let kept = self.watch.take_kept();
        let before = before.or(kept.as_ref());
        let snapshot = match news {
            Ok(polled) => assemble(&self.name, polled, before, now).map_err(|missing| {
                self.tell_missing(&missing);
                self.missing_text(&missing, "the cluster shows nothing at all, so the token")
            }),
            Err(error) => Err(error.text),
        };
        match snapshot {
            Ok(mut snapshot) => {
                snapshot.actions = self.watch.memory.actions.as_slice().into();
                if self.is_blind {
                    tracing::info!(cluster = %self.name, endpoint = %snapshot.endpoint, "the cluster is seen again");
                }
                self.is_blind = false;
                self.tell_missing(&snapshot.missing_privileges);
                if asked {
                    let every =
                        if snapshot.missing_privileges.is_empty() { PERMISSIONS_EVERY_S } else { PERMISSIONS_SOON_S };
                    self.next_permissions = later(now, every);
                }
                self.problem = self.complaint(&snapshot);
                self.history.borrow_mut().record(&snapshot);
                self.watch.memory.observe(before, &snapshot);
                self.plan.refresh(&snapshot, &self.watch.memory, book, needs, now);
                self.judge(&snapshot, book, now);
                // Looked at here and not as answers come: some questions follow from the answers to others.
                if self.plan.is_round(now) {
                    self.watch.settle();
                }
                Some(snapshot)
            }
            Err(why) => {
                self.errors += 1;
                if !self.is_blind {
                    tracing::warn!(cluster = %self.name, reason = %why, "the cluster cannot be seen");
                }
                self.is_blind = true;
                self.watch.memory.failed(began, now, is_refused, &why);
                self.watch.judge_failed(&self.name, book, now);
                self.problem = Some(why);
                None
            }
        }
    }

    /// What of a good poll is worth telling.
    fn complaint(&self, snapshot: &Snapshot) -> Option<String> {
        let mut complaints = Vec::new();
        if snapshot.quorum.as_ref().is_some_and(|quorum| !quorum.is_quorate) {
            complaints.push("the cluster has lost quorum".to_owned());
        }
        for node in snapshot.nodes.iter().filter(|node| node.state != NodeState::Online) {
            complaints.push(format!(
                "node {} is {}",
                node.name,
                match node.state {
                    NodeState::NoData => "online but gives no data",
                    _ => "offline",
                }
            ));
        }
        if !snapshot.missing_privileges.is_empty() {
            complaints.push(self.missing_text(&snapshot.missing_privileges, "the token"));
        }
        (!complaints.is_empty()).then(|| complaints.join("; "))
    }

    fn missing_text(&self, missing: &[MissingPrivilege], who: &str) -> String {
        let names: Vec<&str> = missing.iter().map(|one| one.0.name).collect();
        format!("{who} lacks {}; on a node run: {}", names.join(", "), grant_command(&self.config.token_id))
    }

    /// Names missing privileges once, and again only when they change.
    fn tell_missing(&mut self, missing: &[MissingPrivilege]) {
        if self.told_missing == missing {
            return;
        }
        for one in missing.iter().filter(|one| !self.told_missing.contains(one)) {
            tracing::warn!(
                cluster = %self.name,
                privilege = one.0.name,
                lost_without = one.0.lost_without,
                grant = grant_command(&self.config.token_id),
                "the token lacks a privilege"
            );
        }
        self.told_missing = missing.to_vec();
    }

    /// Judges what is known by every rule.
    pub(super) fn judge(&mut self, snapshot: &Snapshot, book: &RuleBook, now: Timestamp) {
        self.watch.judge(snapshot, &self.history.borrow(), book, now, |_| true);
    }

    /// Takes a part that was fetched; the snapshot with it.
    pub(super) fn fetched(&mut self, news: PartNews, snapshot: &Snapshot, now: Timestamp) -> Snapshot {
        let mut next = snapshot.clone();
        let ask = news.ask.clone();
        let has_nothing = place(news, &mut next, now);
        self.plan.ended(&ask, has_nothing, now);
        if ask.explains_backups() {
            self.watch.memory.observe_backups(&next);
        }
        self.watch.is_dirty = true;
        next
    }

    pub(super) fn status(&self, snapshot: Option<&Arc<Snapshot>>, now: Timestamp) -> ClusterStatus {
        let count = |count: usize| count as u64;
        let guests = || snapshot.iter().flat_map(|snapshot| &snapshot.guests).filter(|guest| !guest.is_template);
        let nodes = || snapshot.iter().flat_map(|snapshot| &snapshot.nodes);
        ClusterStatus {
            name: Arc::clone(&self.name),
            state: match (snapshot, &self.problem) {
                _ if self.is_blind => ClusterState::Blind,
                (None, _) => ClusterState::Starting,
                (Some(_), Some(_)) => ClusterState::Degraded,
                (Some(_), None) => ClusterState::Ok,
            },
            problem: self.problem.clone(),
            endpoint: snapshot.map(|snapshot| Arc::clone(&snapshot.endpoint)),
            last_good_poll: snapshot.map(|snapshot| snapshot.taken_at),
            last_good_poll_age_s: snapshot.map(|snapshot| snapshot.age_s(now)),
            poll_ms: snapshot.map(|snapshot| snapshot.poll_ms),
            polls: self.polls,
            errors: self.errors,
            nodes: count(nodes().count()),
            nodes_online: count(nodes().filter(|node| node.state != NodeState::Offline).count()),
            guests: count(guests().count()),
            guests_running: count(guests().filter(|guest| guest.state == GuestState::Running).count()),
            quorate: snapshot.and_then(|snapshot| Some(snapshot.quorum.as_ref()?.is_quorate)),
            missing_privileges: self.told_missing.iter().map(|one| one.0.name.to_owned()).collect(),
        }
    }
}

fn open(config: &ClusterConfig, ports: &Ports) -> Result<ApiClient, String> {
    let transport = (ports.transport)(config)?;
    let addresses = config.endpoints.iter().map(|endpoint| endpoint.trim_end_matches('/').into()).collect();
    Ok(ApiClient::new(transport, addresses, config.token_id.as_str().into(), Arc::clone(&ports.clock)))
}
