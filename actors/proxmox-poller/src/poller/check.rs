//! `RunCheck`: looks now at what some rules need, judges it, reports it, and says what was found.

use super::ask::Ask;
use super::{Fetched, PATIENCE, Polled, ProxmoxPoller, fetch};
use crate::client::ApiClient;
use crate::model::Snapshot;
use crate::rules::{Need, Rule, is_used, named};
use contract::alerts::{Finding, Reading};
use contract::cluster::{CheckOutcome, RunCheck};
use contract::failure::{Failure, FailureClass};
use contract::message::{Lane, Msg};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use runtime::{Context, Handle, Port, Reply};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Nodes asked at once.
const NODES_AT_ONCE: usize = 4;
/// The most findings and problems that are told.
const MOST: usize = 100;

/// Judges what is known of all clusters by some rules, after a check.
struct Judge {
    rules: Vec<&'static str>,
}

impl Msg for Judge {
    type Reply = CheckOutcome;
    const NAME: &'static str = "Judge";
}

/// What a check asks of one cluster.
struct Errand {
    name: Arc<str>,
    generation: u64,
    client: ApiClient,
    /// What is known, and the questions by the node that answers them; `None` before the first good poll.
    known: Option<(Arc<Snapshot>, Vec<Vec<Ask>>)>,
}

impl Handle<RunCheck> for ProxmoxPoller {
    fn handle(&mut self, asked: RunCheck, context: &Context<Self>) -> Reply<Result<CheckOutcome, Failure>> {
        let rules: Vec<&'static Rule> =
            named(&asked.check).into_iter().filter(|rule| is_used(rule, &self.book)).collect();
        if rules.is_empty() {
            let message = match named(&asked.check).is_empty() {
                true => {
                    format!("there is no rule {:?}: name one (backup_stale), a pattern (guest_*), or all", asked.check)
                }
                false => format!("{:?} is switched off ([monitor.rules] in haia.toml)", asked.check),
            };
            return Reply::Now(Err(Failure::new(FailureClass::NotFound, message)));
        }
        let needs: BTreeSet<Need> = rules.iter().flat_map(|rule| rule.needs.iter().copied()).collect();
        let published = self.ports.snapshots.load_full();
        let mut problems = Vec::new();
        let mut errands = Vec::new();
        for cluster in &self.clusters {
            match &cluster.client {
                Ok(client) => {
                    let known = published
                        .get(&cluster.name)
                        .map(|snapshot| (Arc::clone(snapshot), by_node(cluster.plan.serving(&needs), snapshot)));
                    errands.push(Errand {
                        name: Arc::clone(&cluster.name),
                        generation: cluster.generation,
                        client: client.clone(),
                        known,
                    });
                }
                Err(why) => problems.push(format!("{}: {why}", cluster.name)),
            }
        }
        let clock = Arc::clone(&self.ports.clock);
        let polled = context.mailbox().port::<Polled>(Lane::Background);
        let fetched = context.mailbox().port::<Fetched>(Lane::Background);
        let judge = context.mailbox().port::<Judge>(Lane::Background);
        Reply::later(async move {
            let looked = join_all(errands.into_iter().map(|errand| {
                let (clock, polled, fetched) = (Arc::clone(&clock), polled.clone(), fetched.clone());
                async move { run(errand, clock, &polled, &fetched).await }
            }));
            problems.extend(looked.await.into_iter().flatten());
            let names = rules.iter().map(|rule| rule.info.name).collect();
            let mut outcome = judge.ask(Judge { rules: names }, PATIENCE).await.map_err(Failure::from)?;
            problems.append(&mut outcome.problems);
            problems.truncate(MOST);
            Ok(CheckOutcome { problems, ..outcome })
        })
    }
}

/// The questions in lines: those for one node one after the other.
fn by_node(asks: Vec<Ask>, snapshot: &Snapshot) -> Vec<Vec<Ask>> {
    let mut lines: BTreeMap<Option<Arc<str>>, Vec<Ask>> = BTreeMap::new();
    for ask in asks {
        lines.entry(ask.node(snapshot).cloned()).or_default().push(ask);
    }
    lines.into_values().collect()
}

/// Looks at one cluster; what could not be looked at.
async fn run(
    errand: Errand,
    clock: contract::clock::SharedClock,
    polled: &Port<Polled>,
    fetched: &Port<Fetched>,
) -> Vec<String> {
    let Errand { name, generation, client, known } = errand;
    let news = fetch::poll(client.clone(), clock, false).await;
    let mut problems: Vec<String> = news.as_ref().err().map(|error| format!("{name}: {error}")).into_iter().collect();
    super::report(polled, Polled { cluster: Arc::clone(&name), generation, news }).await;
    let Some((snapshot, lines)) = known.filter(|_| problems.is_empty()) else { return problems };
    let lines = lines.into_iter().map(|line| {
        let (client, snapshot, name) = (client.clone(), Arc::clone(&snapshot), Arc::clone(&name));
        async move {
            let mut problems = Vec::new();
            for ask in line {
                let news = fetch::part(ask, client.clone(), Arc::clone(&snapshot)).await;
                if let Err(error) = &news.brought
                    && error.kind != crate::client::ErrorKind::NotInstalled
                {
                    problems.push(format!("{name}: {error}"));
                }
                super::report(fetched, Fetched { cluster: Arc::clone(&name), generation, news }).await;
            }
            problems
        }
    });
    let mut ended = futures_util::stream::iter(lines).buffer_unordered(NODES_AT_ONCE);
    while let Some(found) = ended.next().await {
        problems.extend(found);
    }
    problems.dedup();
    problems
}

impl Handle<Judge> for ProxmoxPoller {
    fn handle(&mut self, judge: Judge, context: &Context<Self>) -> Reply<CheckOutcome> {
        let (now, published) = (self.ports.clock.now(), self.ports.snapshots.load_full());
        let book = Arc::clone(&self.book);
        let mut outcome = CheckOutcome {
            rules: judge.rules.iter().map(|name| Arc::from(*name)).collect(),
            ..CheckOutcome::default()
        };
        for cluster in self.clusters.iter_mut().filter(|cluster| !cluster.is_blind) {
            let Some(snapshot) = published.get(&cluster.name) else { continue };
            let wanted = |rule: &Rule| judge.rules.contains(&rule.info.name);
            let judged = cluster.watch.judge(snapshot, &cluster.history.borrow(), &book, now, wanted);
            // The other rules are judged with the next look.
            cluster.watch.is_dirty = true;
            let raised = judged.iter().flat_map(|one| &one.findings).filter(|finding| is_raised(finding));
            outcome
                .findings
                .extend(raised.take(MOST).map(|finding| format!("{} {}", finding.subject, finding.summary)));
            let silent = judge.rules.iter().filter(|name| !judged.iter().any(|one| &*one.rule == **name));
            outcome.problems.extend(
                silent.map(|name| {
                    format!("{}: {name} could not be judged: what it needs cannot be read now", cluster.name)
                }),
            );
        }
        outcome.findings.truncate(MOST);
        self.start_due(context);
        Reply::Now(outcome)
    }
}

fn is_raised(finding: &Finding) -> bool {
    finding.levels.iter().any(|level| level.reading == Reading::Raised)
}
