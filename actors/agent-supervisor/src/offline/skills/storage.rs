//! "How full is storage?": storages, how full they are and when they will be.

use super::{Planned, Skill, call};
use crate::offline::facts::{Facts, answer, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::{Kind, Question};
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most storages in a table.
const ROWS: usize = 40;
/// From this use on a storage is marked, in per cent.
const FULL: f64 = 85.0;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "storage",
    example: Some("how full is storage?"),
    title: "Storage Use",
    patterns: &[
        "/storage",
        "storage|storages|datastore|datastores",
        "storage|storages|datastore|datastores|volumes|pools status|state|usage|use|space|overview|capacity|full|free|left|used|available|ok|okay|health|healthy|fine|fill|filling|report|levels",
        "list|show|which|what|how|check|all|any|state|status storage|storages|datastore|datastores",
        "how full storage|storages|disks|disk|pools|pool|datastore|datastores|drives|volumes|everything|we",
        "how full",
        "how much|many space|storage|disk|gigabytes|terabytes",
        "how much|many space|storage|disk|room left|free|used|available|remaining|remains",
        "how much|many disk|storage|free space left|free|used|available|remaining|remains",
        "how much|many free|available|unused|used space|storage|disk|room",
        "how much|many free|available|used disk|storage space",
        "have|is space|room|storage",
        "disk|storage|free|available|remaining space",
        "disk|storage space left|free|status|usage|used|available|remaining",
        "disk usage|use|utilization|utilisation|capacity",
        "which|what|any|is|are storage|storages|disk|disks|pool|pools|datastore full|fullest|filling|fills|running|low|nearly|almost|big|biggest|largest",
        "storage|storages|disk|disks|pool|pools|drive full",
        "@ full|filling",
        "free|available disk|storage space",
        "need|want bigger|larger|more disk|disks|drive|drives|storage|space",
        "how many tb|gb|tib|gib|terabytes|gigabytes left|free|available|used",
        "how much free|available space|storage|room pools|pool|storages|disks|storage|datastores|drives",
        "enough space|room|storage",
        "enough space|room|storage left|free|available",
        "storage|storages|disk|disks|pool|pools running|getting out|full|low",
        "any full|filling storage|storages|disk|disks|pools",
        "fullest|biggest|largest storage|storages|disk|pool",
        "running|run|low out|on of|on space|storage|disk",
        "running|run|low out|on space|storage|disk",
        "running|run out of|on disk|storage space",
        "when storage|storages|disk|disks|pool run|runs full|out",
        "when full|fill storage|storages|disk|disks|pool|@",
        "when storage|storages|disk|disks|pool|pools|@ full|fill|filled|out",
        "how full zfs|thin|lvm pool|pools|volume|storage",
        "how full @",
        "is @ full|filling",
        "how much|many space|storage|room on|in|at @",
        "how much|many space|storage|room left|free|used|available on|in|at @",
        "how much|many free|available space|storage|room on|in|at @",
        "space|storage|storages|free on|in|of|at @",
        "list|show|which|what|free storage|storages|space on|in|of|at @",
        "storage|storages|datastore @",
        "show|check|how storage|datastore @",
        "@ storage|datastore|space|capacity",
        "how much|space left|free on @",
    ],
    plan,
    then,
    render,
    ..Skill::CLUSTER
}];

fn plan(question: &Question) -> Vec<Planned> {
    let list = |name: Option<&str>| call("list_storage", &json!({"name": name, "limit": ROWS}));
    match question.named() {
        None => vec![list(None)],
        Some(named) if named.kind == Some(Kind::Node) => of_node(&named.name),
        Some(named) => vec![list(Some(&named.name))],
    }
}

fn of_node(name: &str) -> Vec<Planned> {
    vec![call("list_storage", &json!({"node": name, "limit": ROWS}))]
}

/// A name that no storage has may be a node's; else a guest's.
fn then(question: &Question, found: &[ToolResult]) -> Vec<Planned> {
    let Some(named) = question.named() else { return Vec::new() };
    let is_empty =
        value(found, found.len().saturating_sub(1)).is_ok_and(|value| Facts::new(&value).count("total") == Some(0));
    match found.len() {
        1 if is_empty && named.kind.is_none() => of_node(&named.name),
        1 | 2 if is_empty => vec![call("get_vm_status", &json!({"guest": named.name}))],
        _ => Vec::new(),
    }
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, results.len().saturating_sub(1))?;
    let facts = Facts::new(&value);
    if facts.has("guest") {
        return Ok(guest(facts));
    }
    let total = facts.count("total").unwrap_or(0);
    if total == 0 {
        return Ok(answer(facts, "**No storage is known.** The token may lack the privilege Datastore.Audit.\n"));
    }
    let mut body = headline(question, facts);
    let row = |storage: Facts<'_>| {
        let used = match storage.number("used_percent") {
            Some(percent) if percent >= FULL => format!("**{percent} %**"),
            _ => storage.percent("used_percent"),
        };
        let grows = storage
            .number("grows_percent_per_day")
            .map_or_else(|| "–".to_owned(), |per_day| format!("{per_day:+} % a day"));
        let full = if storage.has("full_in") { format!("in {}", storage.shown("full_in")) } else { "–".to_owned() };
        [label(storage), storage.shown("kind"), used, storage.shown("used"), grows, full, state(storage)]
    };
    body.push_str(&table(
        ["storage", "kind", "used", "amount", "grows", "full", "state"],
        facts.list("storages").map(row),
    ));
    let more = total.saturating_sub(u64::try_from(facts.len("storages")).unwrap_or(0));
    if more > 0 {
        let _ = writeln!(body, "\nand {more} more that are less full.");
    }
    Ok(answer(facts, &body))
}

/// The fullest one, and how many are nearly full.
fn headline(question: &Question, facts: Facts<'_>) -> String {
    let Some(fullest) = facts.list("storages").find(|storage| storage.has("used_percent")) else {
        return String::new();
    };
    let full = facts
        .list("storages")
        .filter(|storage| storage.number("used_percent").is_some_and(|used| used >= FULL))
        .count();
    let name = label(fullest);
    let used = fullest.percent("used_percent");
    if question.named().is_some() && facts.len("storages") == 1 {
        return format!("**{name}** is **{used}** full.\n\n");
    }
    match full {
        0 => format!("**No storage is nearly full.** The fullest is {name} with {used}.\n\n"),
        1 => format!("**One storage is nearly full:** {name} with {used}.\n\n"),
        full => format!("**{full} storages are nearly full**, {name} the most with {used}.\n\n"),
    }
}

/// A storage's name, with the node of a local one.
fn label(storage: Facts<'_>) -> String {
    let cluster = storage.text("cluster").map(|name| format!("{}/", inline(name))).unwrap_or_default();
    let node = storage.text("node").map(|node| format!(" ({})", inline(node))).unwrap_or_default();
    format!("{cluster}{}{node}", storage.shown("name"))
}

fn state(storage: Facts<'_>) -> String {
    let mut state = match storage.text("status") {
        Some("available") => "available".to_owned(),
        _ => format!("**{}**", storage.shown("status")),
    };
    if storage.has("unavailable_on") {
        let _ = write!(state, ", **not on {}**", storage.shown("unavailable_on"));
    }
    if storage.has("figures_age_s") {
        state.push_str(", figures stale");
    }
    state
}

/// A guest's own disk.
fn guest(facts: Facts<'_>) -> String {
    let (guest, live) = (facts.at("guest"), facts.at("live"));
    let body = match (guest.has("disk_percent"), live.has("disk")) {
        (true, _) => format!("The root disk of **{}** is **{}** full.\n", guest.guest(), guest.percent("disk_percent")),
        (_, true) => format!("The root disk of **{}**: {}.\n", guest.guest(), live.shown("disk")),
        _ => format!(
            "How full the disk of **{}** is the cluster does not know: Proxmox sees that of containers only.\n",
            guest.guest()
        ),
    };
    answer(facts, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::question::Named;

    const LIST: &str = r#"{"data":[{"cluster":"lab","age_s":4,"state":"fresh"}],"total":3,"storages":[
        {"name":"backup","shared":true,"kind":"nfs","status":"available","used":"1.8 TiB of 2.0 TiB","used_percent":90.1,"grows_percent_per_day":2.4,"full_in":"4 d 3 h","unavailable_on":["pve3"]},
        {"name":"local-zfs","node":"pve1","kind":"zfspool","status":"unknown","used":"80 GiB of 400 GiB","used_percent":20.0,"figures_age_s":400}]}"#;

    fn about(name: &str) -> Question {
        Question::new("how full is x").about(Some(Named { name: name.to_owned(), kind: None }), true)
    }

    #[test]
    fn renders_what_the_tool_answers() {
        let text = render(&Question::new("how full is storage?"), &[ToolResult::ok(LIST)]).expect("reads");
        assert_eq!(
            text,
            "**One storage is nearly full:** backup with 90.1 %.\n\n\
             | storage | kind | used | amount | grows | full | state |\n| --- | --- | --- | --- | --- | --- | --- |\n\
             | backup | nfs | **90.1 %** | 1.8 TiB of 2.0 TiB | +2.4 % a day | in 4 d 3 h | available, **not on pve3** |\n\
             | local-zfs (pve1) | zfspool | 20 % | 80 GiB of 400 GiB | – | – | **unknown**, figures stale |\n\
             \nand 1 more that are less full.\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        let text = render(&Question::new("storage"), &[ToolResult::ok(r#"{"total":0}"#)]).expect("reads");
        assert!(text.contains("Datastore.Audit"), "{text}");
    }

    #[test]
    fn a_name_is_a_storage_or_a_node_or_a_guest() {
        let none = ToolResult::ok(r#"{"total":0,"storages":[]}"#);
        let some = ToolResult::ok(LIST);
        assert!(plan(&about("backup"))[0].arguments.contains(r#""name":"backup""#));
        assert!(then(&about("backup"), std::slice::from_ref(&some)).is_empty());
        assert!(then(&about("pve1"), std::slice::from_ref(&none))[0].arguments.contains(r#""node":"pve1""#));
        let planned = then(&about("ct-1"), &[none.clone(), none.clone()]);
        assert_eq!((planned[0].tool, planned[0].arguments.as_str()), ("get_vm_status", r#"{"guest":"ct-1"}"#));
        assert!(then(&about("ct-1"), &[none.clone(), none.clone(), none]).is_empty());
        let guest = ToolResult::ok(r#"{"guest":{"vmid":7,"name":"dns","disk_percent":71.5}}"#);
        assert_eq!(
            render(&about("dns"), &[guest]).expect("reads"),
            "The root disk of **dns (7)** is **71.5 %** full.\n"
        );
        let guest = ToolResult::ok(r#"{"guest":{"vmid":8,"name":"web"}}"#);
        assert!(render(&about("web"), &[guest]).expect("reads").contains("does not know"));
    }
}
