//! `get_ceph_status`: how Ceph does.
//!
//! Result: `{data, ceph: [{cluster, installed, age_s?, health?, checks?: [{code, severity, message, muted?}], osds?: {total, up, in}, used?, used_percent?, placement_groups?:
//! {<state>: count}, monitors?: [name], read_per_s?, write_per_s?, problem?}]}`.

use super::words::{arguments, percent, size, text as short, used_of};
use super::{Begun, Desk, ReadTool, ready};
use crate::model::fraction;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "get_ceph_status",
    title: "Looking at Ceph",
    description: "Ceph's health, what it complains about, storage daemons up and in, use, placement groups and monitors.",
    parameters: r#"{"type":"object","properties":{"cluster":{"type":["string","null"],"description":"Only this cluster."}},"required":["cluster"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let result = desk.choose(wanted.cluster.as_deref()).map(|chosen| {
        let rows = chosen.known.iter().map(|known| {
            let part = &known.snapshot.ceph;
            let ceph = part.value.as_deref();
            let checks = ceph.map(|ceph| {
                let check = |check: &crate::model::CephCheck| {
                    json!({"code": check.code, "severity": check.severity, "message": short(&check.message), "muted": check.is_muted.then_some(true)})
                };
                ceph.checks.iter().take(20).map(check).collect::<Vec<Value>>()
            });
            let groups: Option<BTreeMap<&str, u32>> =
                ceph.map(|ceph| ceph.placement_groups.iter().map(|(state, count)| (&**state, *count)).collect());
            let problem = match (ceph, &part.problem, part.is_absent) {
                (_, Some(problem), _) => Some(problem.to_string()),
                (None, None, false) => Some("Ceph has not been looked at yet; ask again in half a minute".to_owned()),
                _ => None,
            };
            json!({
                "cluster": known.view.name,
                "installed": (ceph.is_some() || part.is_absent).then_some(!part.is_absent),
                "age_s": part.age_s(known.now),
                "health": ceph.map(|ceph| &ceph.health),
                "checks": checks,
                "osds": ceph.map(|ceph| json!({"total": ceph.osds, "up": ceph.osds_up, "in": ceph.osds_in})),
                "used": ceph.and_then(|ceph| used_of(ceph.used_bytes, ceph.total_bytes)),
                "used_percent": ceph.and_then(|ceph| percent(fraction(ceph.used_bytes, ceph.total_bytes))),
                "placement_groups": groups,
                "monitors": ceph.map(|ceph| &ceph.monitors),
                "read_per_s": ceph.and_then(|ceph| ceph.read_bytes_per_s).map(size),
                "write_per_s": ceph.and_then(|ceph| ceph.write_bytes_per_s).map(size),
                "problem": problem,
            })
        });
        json!({ "data": chosen.data, "ceph": rows.collect::<Vec<_>>() })
    });
    Ok(ready(result))
}
