//! `get_ha_status`: what high availability does.
//!
//! Result: `{data, ha: [{cluster, used, age_s?, managers?: [{kind, node?, status}], resources?: [{id, guest?: {vmid, name?}, node?, state, wanted?, status?}] (100 at most), resources_total?,
//! problem?}]}`.

use super::words::{arguments, text as short};
use super::{Begun, Desk, ReadTool, ready};
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "get_ha_status",
    title: "Looking at high availability",
    description: "High availability: the managers of each node (maintenance mode, dead?), and the guests that HA manages with their state and what HA wants of them.",
    parameters: r#"{"type":"object","properties":{"cluster":{"type":["string","null"],"description":"Only this cluster."}},"required":["cluster"],"additionalProperties":false}"#,
    begin,
};

/// The most managed guests shown of a cluster.
const MOST: usize = 100;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let result = desk.choose(wanted.cluster.as_deref()).map(|chosen| {
        let rows = chosen.known.iter().map(|known| {
            let part = &known.snapshot.ha;
            let ha = part.value.as_deref();
            let resources = ha.map(|ha| {
                let mut resources: Vec<_> = ha.resources.iter().collect();
                resources.sort_by_key(|one| (matches!(&*one.state, "started" | "stopped"), one.id.clone()));
                let row = |one: &&crate::model::HaResource| {
                    let guest = one.vmid().map(|vmid| {
                        json!({"vmid": vmid, "name": known.snapshot.guest(vmid).and_then(|guest| guest.name.clone())})
                    });
                    json!({"id": one.id, "guest": guest, "node": one.node, "state": one.state, "wanted": one.wanted, "status": one.status.as_deref().map(short)})
                };
                resources.iter().take(MOST).map(row).collect::<Vec<_>>()
            });
            let managers = ha.map(|ha| {
                let row = |one: &crate::model::HaManager| json!({"kind": one.kind, "node": one.node, "status": short(&one.status)});
                ha.managers.iter().map(row).collect::<Vec<_>>()
            });
            let problem = match (ha, &part.problem) {
                (_, Some(problem)) => Some(problem.to_string()),
                (None, None) if !part.is_absent => Some("HA has not been looked at yet; ask again in half a minute".to_owned()),
                _ => None,
            };
            json!({
                "cluster": known.view.name,
                "used": ha.map(|ha| !ha.resources.is_empty()).or(part.is_absent.then_some(false)),
                "age_s": part.age_s(known.now),
                "managers": managers,
                "resources_total": ha.map(|ha| ha.resources.len()),
                "resources": resources,
                "problem": problem,
            })
        });
        json!({ "data": chosen.data, "ha": rows.collect::<Vec<_>>() })
    });
    Ok(ready(result))
}
