//! Tasks: the cluster's broadcast, a node's archive with its filters, and a task's state and log.

use super::{Answer, Context, Outcome, Reply};
use crate::model::{Node, Task};
use serde_json::{Value, json};

/// Whether the token may see a task: its own, or all with Sys.Audit.
fn sees(context: &Context<'_>, path: &str, task: &Task) -> bool {
    let user = context.token.split('!').next().unwrap_or_default();
    task.user == context.token || task.user == user || context.holds(path, "Sys.Audit")
}

fn row(task: &Task, now: i64) -> Value {
    let mut row = json!({
        "upid": task.upid, "node": task.node, "pid": task.pid, "pstart": task.pstart, "starttime": task.start,
        "type": task.kind, "id": task.id, "user": task.user,
    });
    if !task.runs(now) {
        row["endtime"] = json!(task.end);
        row["status"] = json!(task.status);
    }
    row
}

/// `/cluster/tasks`
pub(super) fn of_cluster(context: &Context<'_>) -> Reply {
    let (cluster, now) = (context.cluster, context.now());
    let mut tasks: Vec<&Task> =
        cluster.nodes.iter().flat_map(|node| cluster.tasks.broadcast(&node.name, now)).collect();
    // What starts later is scheduled work of a boot or a migration: nobody sees it yet.
    tasks.retain(|task| task.start <= now && sees(context, "/", task));
    tasks.sort_by_key(|task| std::cmp::Reverse(task.start));
    let rows = tasks.into_iter().map(|task| {
        let mut row = row(task, now);
        if !task.runs(now) {
            // The broadcast comes as text: an "1" where the archive would say 1.
            row["saved"] = json!("1");
        }
        row
    });
    rows.collect::<Vec<_>>().into()
}

/// `/nodes/{node}/tasks`
pub(super) fn of_node(context: &Context<'_>, node: &Node) -> Outcome {
    let (now, query) = (context.now(), &context.query);
    let since = query.number("since")?;
    let until = query.number("until")?;
    let vmid = query.number("vmid")?.map(|vmid| vmid.to_string());
    let begin = query.number("start")?.unwrap_or(0);
    let limit = query.number("limit")?.unwrap_or(50);
    let source = query.text("source").unwrap_or("archive");
    let path = format!("/nodes/{}", node.name);
    let failed = |task: &Task| task.status != "OK" && !task.status.starts_with("WARNINGS");
    let fits = |task: &&Task| {
        let state = match source {
            "active" => task.runs(now),
            "all" => true,
            _ => !task.runs(now),
        };
        let state = state && (!query.flag("errors") || (!task.runs(now) && failed(task)));
        let time = since.is_none_or(|since| task.start >= since) && until.is_none_or(|until| task.start <= until);
        let kind = query.text("typefilter").is_none_or(|kind| task.kind == kind);
        let user = query.text("userfilter").is_none_or(|user| task.user.contains(user));
        let guest = vmid.as_deref().is_none_or(|vmid| task.id == vmid);
        let status = query.text("statusfilter").is_none_or(|list| {
            list.split([',', ';', ' ']).any(|word| match word {
                "ok" => task.status == "OK",
                "warning" => task.status.starts_with("WARNINGS"),
                "error" => failed(task),
                _ => false,
            })
        });
        task.start <= now && state && time && kind && user && guest && status && sees(context, &path, task)
    };
    let found: Vec<&Task> = context.cluster.tasks.of_node(&node.name).into_iter().filter(fits).collect();
    let size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let rows = found.iter().skip(size(begin)).take(size(limit)).map(|task| row(task, now)).collect();
    Ok(Reply { data: Value::Array(rows), total: Some(found.len()) })
}

fn task<'a>(context: &'a Context<'_>, node: &Node, upid: &str) -> Result<&'a Task, Answer> {
    let found = context.cluster.tasks.find(upid).filter(|task| task.node == node.name && task.start <= context.now());
    let found = found.ok_or_else(|| Answer::error(500, &format!("no such task '{upid}'")))?;
    let path = format!("/nodes/{}", node.name);
    if sees(context, &path, found) { Ok(found) } else { context.need(&path, "Sys.Audit").map(|()| found) }
}

/// `/nodes/{node}/tasks/{upid}/status`
pub(super) fn status(context: &Context<'_>, node: &Node, upid: &str) -> Outcome {
    let (task, now) = (task(context, node, upid)?, context.now());
    let mut data = json!({
        "upid": task.upid, "node": task.node, "pid": task.pid, "pstart": task.pstart, "starttime": task.start,
        "type": task.kind, "id": task.id, "user": task.user, "status": if task.runs(now) { "running" } else { "stopped" },
    });
    if !task.runs(now) {
        data["exitstatus"] = json!(task.status);
    }
    Ok(data.into())
}

/// `/nodes/{node}/tasks/{upid}/log`
pub(super) fn log(context: &Context<'_>, node: &Node, upid: &str) -> Outcome {
    let task = task(context, node, upid)?;
    let begin = usize::try_from(context.query.number("start")?.unwrap_or(0)).unwrap_or(usize::MAX);
    // 0 is all of it.
    let limit = match context.query.number("limit")? {
        Some(0) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        None => 50,
    };
    Ok(lines(task.lines(context.now()), begin, limit))
}

/// Numbered lines from `begin` on, as logs come.
pub(super) fn lines(all: Vec<String>, begin: usize, limit: usize) -> Reply {
    let total = all.len();
    if total == 0 {
        return Reply { data: json!([{ "n": 1, "t": "no content" }]), total: Some(1) };
    }
    let rows = all.into_iter().enumerate().skip(begin).take(limit);
    let rows = rows.map(|(at, text)| json!({ "n": at + 1, "t": text })).collect();
    Reply { data: Value::Array(rows), total: Some(total) }
}
