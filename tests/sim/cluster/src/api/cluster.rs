//! `/cluster/…` beside resources, and the small calls about pools and permissions.

use super::{Answer, Context, Outcome, Reply, backup, ceph, flag, ha, index, resources, tasks};
use serde_json::{Map, Value, json};

pub(super) fn route(context: &Context<'_>, rest: &[&str]) -> Option<Outcome> {
    let outcome = match rest {
        [] => Ok(index(
            "name",
            &["backup", "backup-info", "ceph", "ha", "options", "replication", "resources", "status", "tasks"],
        )),
        ["resources"] => resources::resources(context),
        ["status"] => status(context),
        ["tasks"] => Ok(tasks::of_cluster(context)),
        ["nextid"] => {
            let free = (100..).find(|vmid| !context.cluster.guests.contains_key(vmid));
            Ok(json!(free).into())
        }
        ["options"] => Ok(json!({ "keyboard": "en-us", "mac_prefix": "BC:24:11" }).into()),
        ["log"] => Ok(Vec::new().into()),
        ["config", "nodes"] => context.need("/", "Sys.Audit").map(|()| {
            let rows = context
                .cluster
                .nodes
                .iter()
                .map(|node| json!({ "node": node.name, "nodeid": node.id, "ring0_addr": node.address }));
            rows.collect::<Vec<_>>().into()
        }),
        ["metrics", "export"] => metrics(context),
        ["ceph", rest @ ..] => return ceph::of_cluster(context, rest),
        ["ha", rest @ ..] => return ha::route(context, rest),
        ["backup", rest @ ..] => return backup::route(context, rest),
        ["backup-info"] => Ok(index("subdir", &["not-backed-up"])),
        ["backup-info", "not-backed-up"] => backup::not_backed_up(context),
        ["replication"] => Ok(replications(context)),
        ["replication", id] => replication(context, id),
        _ => return None,
    };
    Some(outcome)
}

fn status(context: &Context<'_>) -> Outcome {
    context.need("/", "Sys.Audit")?;
    let cluster = context.cluster;
    let mut rows = vec![json!({
        "id": "cluster", "type": "cluster", "name": cluster.name, "version": 3 + cluster.nodes.len(),
        "nodes": cluster.nodes.len(), "quorate": flag(cluster.quorate(context.local)),
    })];
    rows.extend(cluster.nodes.iter().map(|node| {
        json!({
            "id": format!("node/{}", node.name), "type": "node", "name": node.name, "nodeid": node.id, "ip": node.address,
            "online": flag(cluster.sees(context.local, node)), "local": flag(node.name == context.local), "level": "",
        })
    }));
    Ok(rows.into())
}

fn metrics(context: &Context<'_>) -> Outcome {
    context.need("/", "Sys.Audit")?;
    let cluster = context.cluster;
    let mut rows = Vec::new();
    for node in cluster.nodes.iter().filter(|node| cluster.sees(context.local, node)) {
        let guests = cluster.guests_on(&node.name);
        let gauge = |metric: &str, value: Value| json!({ "id": format!("node/{}", node.name), "metric": metric, "timestamp": cluster.now, "type": "gauge", "value": value });
        rows.push(gauge("cpu_current", json!(node.cpu(&guests, cluster.now))));
        rows.push(gauge("mem_used", json!(node.memory_used(&guests, cluster.now))));
    }
    for guest in cluster.guests.values().filter(|guest| guest.is_up() && context.sees_guest(guest.vmid)) {
        let Some((guest, at)) = cluster.seen_guest(context.local, guest) else { continue };
        let id = format!("{}/{}", guest.kind.word(), guest.vmid);
        let mut metric = |metric: &str, kind: &str, value: Value| {
            rows.push(json!({ "id": id, "metric": metric, "timestamp": at, "type": kind, "value": value }));
        };
        metric("cpu_current", "gauge", json!(guest.cpu(at)));
        metric("mem_used", "gauge", json!(guest.memory_used(at)));
        metric("net_in", "derive", json!(guest.counter(1, at)));
        metric("disk_read", "derive", json!(guest.counter(crate::model::Guest::DISK_READ, at)));
        metric("uptime", "gauge", json!(guest.uptime(at)));
    }
    Ok(json!({ "data": rows }).into())
}

/// `/access/permissions`: what the token holds, by path.
pub(super) fn permissions(context: &Context<'_>) -> Reply {
    let paths = context.access.paths().map(|(path, held)| {
        let held: Map<String, Value> = held.iter().map(|privilege| (privilege.clone(), json!(1))).collect();
        (path.clone(), Value::Object(held))
    });
    Value::Object(paths.collect()).into()
}

pub(super) fn pools(context: &Context<'_>) -> Outcome {
    let visible =
        context.cluster.services.pools.iter().filter(|(pool, _)| context.holds(&format!("/pool/{pool}"), "Pool.Audit"));
    let rows = visible.map(|(pool, comment)| json!({ "poolid": pool, "comment": comment }));
    Ok(rows.collect::<Vec<_>>().into())
}

pub(super) fn pool(context: &Context<'_>, pool: &str) -> Outcome {
    context.need(&format!("/pool/{pool}"), "Pool.Audit")?;
    let cluster = context.cluster;
    let missing = || Answer::error(500, &format!("no such pool '{pool}'"));
    let comment = cluster.services.pools.get(pool).ok_or_else(missing)?;
    let members = cluster.guests.values().filter(|guest| guest.pool.as_deref() == Some(pool)).map(|guest| {
        let kind = guest.kind.word();
        json!({
            "id": format!("{kind}/{}", guest.vmid), "type": kind, "node": guest.node, "vmid": guest.vmid,
            "name": guest.name, "status": guest.status(),
        })
    });
    Ok(json!({ "poolid": pool, "comment": comment, "members": members.collect::<Vec<_>>() }).into())
}

fn job(context: &Context<'_>, job: &crate::model::Replication) -> Value {
    let source = context.cluster.guests.get(&job.vmid).map(|guest| guest.node.clone());
    json!({
        "id": job.id(), "type": "local", "guest": job.vmid, "jobnum": 0, "target": job.target, "schedule": "*/15", "source": source,
    })
}

fn replications(context: &Context<'_>) -> Reply {
    let jobs = context.cluster.services.replications.iter().filter(|one| context.sees_guest(one.vmid));
    jobs.map(|one| job(context, one)).collect::<Vec<_>>().into()
}

fn replication(context: &Context<'_>, id: &str) -> Outcome {
    let found = context.cluster.services.replications.iter().find(|one| one.id() == id);
    let found = found.ok_or_else(|| Answer::error(500, &format!("no such replication job '{id}'")))?;
    context.need_guest(found.vmid)?;
    Ok(job(context, found).into())
}
