//! What the offline responder can answer. A family of questions is one file here and one line in [`FAMILIES`].

mod actions;
mod alerts;
mod backups;
mod ceph;
mod channels;
mod disks;
mod guests;
mod ha;
mod health;
mod history;
mod jobs;
mod load;
mod models;
mod nodes;
mod one_alert;
mod replication;
mod silences;
mod snapshots;
mod status;
mod stops;
mod storage;
mod talk;
mod task_log;
mod tasks;
mod thing;
mod time;

use super::question::{Match, Question};
use contract::tools::{Catalogue, ToolResult};
use serde::de::DeserializeOwned;

/// Every family. Of two skills that fit equally well the earlier answers.
const FAMILIES: &[&[Skill]] = &[
    alerts::SKILLS,
    health::SKILLS,
    guests::SKILLS,
    stops::SKILLS,
    storage::SKILLS,
    backups::SKILLS,
    history::SKILLS,
    silences::SKILLS,
    jobs::SKILLS,
    channels::SKILLS,
    one_alert::SKILLS,
    nodes::SKILLS,
    tasks::SKILLS,
    task_log::SKILLS,
    load::SKILLS,
    ha::SKILLS,
    ceph::SKILLS,
    replication::SKILLS,
    snapshots::SKILLS,
    disks::SKILLS,
    thing::SKILLS,
    actions::SKILLS,
    time::SKILLS,
    models::SKILLS,
    status::SKILLS,
    talk::SKILLS,
];

/// A tool that is there where a cluster is configured.
const CLUSTER_TOOL: &str = "get_cluster_resources";

/// What a skill is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// HAIA itself, or nothing that has to be looked at.
    Own,
    /// A Proxmox cluster. Where none is configured the answer is how to configure one.
    Cluster,
    /// All there is: where no cluster is configured another skill answers about HAIA itself.
    Everything,
}

/// One kind of question.
pub(crate) struct Skill {
    /// Its name in tests.
    pub(crate) name: &'static str,
    /// How people may ask it, for `/help` and as a proposal; `None` is not shown.
    pub(crate) example: Option<&'static str>,
    /// A chat that begins with it is called this.
    pub(crate) title: &'static str,
    /// A chat about it is tagged this.
    pub(crate) tag: &'static str,
    /// What it is about.
    pub(crate) scope: Scope,
    /// How it is recognised (see [`Question::matches`]).
    pub(crate) patterns: &'static [&'static str],
    /// Words with a meaning that may be left over.
    pub(crate) slack: usize,
    /// The tools to call first.
    pub(crate) plan: fn(&Question) -> Vec<Planned>,
    /// The tools to call after those whose results are there; none when all is known. Asked again after each, [`LOOKS`] times at most.
    pub(crate) then: fn(&Question, &[ToolResult]) -> Vec<Planned>,
    /// Whether it answers although a tool failed.
    pub(crate) bears_errors: bool,
    /// The answer in Markdown, from the results in the order of the calls; or why they cannot be read.
    pub(crate) render: fn(&Question, &[ToolResult]) -> Result<String, String>,
}

/// The most times that tools are called for one answer.
pub(crate) const LOOKS: usize = 4;

impl Skill {
    /// A skill about HAIA itself that calls nothing and says nothing: what others are written as a difference to.
    const PLAIN: Skill = Skill {
        name: "",
        example: None,
        title: "Homelab",
        tag: "General",
        scope: Scope::Own,
        patterns: &[],
        slack: 0,
        plan: |_| Vec::new(),
        then: |_, _| Vec::new(),
        bears_errors: false,
        render: |_, _| Ok(String::new()),
    };
    /// The same for one about a cluster.
    const CLUSTER: Skill = Skill { tag: "Proxmox", scope: Scope::Cluster, ..Skill::PLAIN };
}

/// A tool to call.
pub(crate) struct Planned {
    pub(crate) tool: &'static str,
    pub(crate) arguments: String,
}

/// A call of a tool with these arguments.
fn call(tool: &'static str, arguments: &serde_json::Value) -> Planned {
    Planned { tool, arguments: arguments.to_string() }
}

/// Every skill, in order.
pub(crate) fn all() -> impl Iterator<Item = &'static Skill> {
    FAMILIES.iter().copied().flatten()
}

/// Whether there is a cluster to ask.
pub(crate) fn has_cluster(catalogue: &Catalogue) -> bool {
    catalogue.get(CLUSTER_TOOL).is_some()
}

/// The skill that fits best: most words found, then fewest left over.
pub(crate) fn recognise(question: &Question, with_cluster: bool) -> Option<(&'static Skill, Match)> {
    if question.asks_for_a_meaning() {
        return None;
    }
    let fit = |skill: &'static Skill| {
        let counted = |one: Match| match skill.scope {
            Scope::Own => Match { left: one.left + one.places, ..one },
            Scope::Everything if !with_cluster => Match { left: one.left + one.places, ..one },
            Scope::Cluster | Scope::Everything => one,
        };
        let fits = skill.patterns.iter().filter_map(|pattern| question.matches(pattern)).map(counted);
        let best = fits.filter(|one| one.left <= skill.slack).reduce(|best, next| better(best, next, |one| one))?;
        Some((skill, best))
    };
    let best = |skills: &mut dyn Iterator<Item = &'static Skill>| {
        skills.filter_map(fit).reduce(|best, next| better(best, next, |(_, one)| one))
    };
    // Without a cluster "did anything crash?" can only be about HAIA itself; of a past night HAIA itself has nothing to tell.
    let own = (!with_cluster && question.period().is_none())
        .then(|| best(&mut all().filter(|skill| skill.scope != Scope::Cluster)))
        .flatten();
    // Nothing but a name ("plex?") asks about what it names; whether it is a name only the cluster can tell.
    let name = || question.bare_name().filter(|_| with_cluster).map(|fit| (&thing::SKILLS[0], fit));
    let (skill, fit) = own.or_else(|| best(&mut all())).or_else(name)?;
    Some(if skill.scope == Scope::Everything && !with_cluster { (status::WHOLE, fit) } else { (skill, fit) })
}

/// The next only if it fits better.
fn better<T>(best: T, next: T, fit: fn(&T) -> &Match) -> T {
    let rank = |one: &T| (fit(one).found, std::cmp::Reverse(fit(one).left));
    if rank(&next) > rank(&best) { next } else { best }
}

/// What is said when nothing fits.
pub(crate) fn cannot_answer(with_cluster: bool) -> String {
    format!(
        "I cannot answer that. Without a language model I know only these questions:\n\n{}\n{LIMITS}",
        examples(with_cluster)
    )
}

/// What no wording helps with.
const LIMITS: &str = "I only look: starting, stopping or changing anything is not possible offline.\n";

/// What is said to a question about a cluster where there is none.
pub(crate) const NO_CLUSTER: &str = "No Proxmox cluster is configured, so there is nothing I could look at.\n\n\
To configure one, add it to `haia.toml`:\n\n\
```toml\n[proxmox.homelab]\nendpoints = [\"https://10.0.0.11:8006\"]   # any member answers for the cluster\n\
token_id = \"haia@pve!monitor\"\ntoken_secret = \"env:PROXMOX_TOKEN\"\ntls = { fingerprints = [\"AB:CD:…\"] }\n```\n\n\
`haia check` then tells whether it can be reached and what its token may see.\n";

/// Whether a tool's error says that there is no cluster.
pub(crate) fn is_no_cluster(error: &str) -> bool {
    error.starts_with("no Proxmox cluster is configured")
}

/// What can be asked, as a list.
fn examples(with_cluster: bool) -> String {
    suggestions(with_cluster).filter_map(|skill| skill.example).map(|example| format!("- {example}\n")).collect()
}

/// The skills that people may be pointed to: without a cluster those about one are left out.
pub(crate) fn suggestions(with_cluster: bool) -> impl Iterator<Item = &'static Skill> {
    all().filter(move |skill| with_cluster || skill.scope == Scope::Own)
}

/// Reads the result at `at` of the plan.
fn read<T: DeserializeOwned>(results: &[ToolResult], at: usize) -> Result<T, String> {
    let result = results.get(at).ok_or_else(|| "there is no result".to_owned())?;
    serde_json::from_str(&result.text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
