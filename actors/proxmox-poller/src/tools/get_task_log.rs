//! `get_task_log`: what a task wrote.
//!
//! Result: `{data, upid, kind, node, user, status, failed?, started: {at, ago_s, ago}, lines_total, first_line, lines: [text]}`: the last lines, cut at 300 characters each.

use super::words::{self, arguments, moment, text as short};
use super::{Begun, Desk, ReadTool, ready};
use crate::client::segment;
use crate::decode;
use crate::model::Upid;
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "get_task_log",
    title: "Reading a task's log",
    description: "The last lines of one task's log and how it ended. list_tasks and explain_guest_stop give the upid.",
    parameters: r#"{"type":"object","properties":{"upid":{"type":"string","description":"The task's identifier, UPID:..."},"lines":{"type":["integer","null"],"description":"How many of the last lines: 40 by default, 200 at most."},"cluster":{"type":["string","null"],"description":"Its cluster, if there are several."}},"required":["upid","lines","cluster"],"additionalProperties":false}"#,
    begin,
};

/// The most lines that are fetched of a log.
const FETCHED: u32 = 5000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    upid: String,
    #[serde(default)]
    lines: Option<u64>,
    #[serde(default)]
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let upid = wanted.upid.trim().to_owned();
    let Some(node) = Upid::parse(&upid).map(|upid| upid.node.to_owned()) else {
        return Err(format!(
            "{:?} is no task: an identifier looks like UPID:pve1:…:qmstart:101:root@pam: (list_tasks shows them)",
            short(&upid)
        ));
    };
    let chosen = match desk.choose(wanted.cluster.as_deref()) {
        Ok(chosen) => chosen,
        Err(said) => return Ok(ready(Err(said))),
    };
    let mut known = chosen.known.into_iter();
    let Some(known) = known.find(|known| known.snapshot.node(&node).is_some()) else {
        return Ok(ready(Err(format!("there is no node {node:?}, where this task would have run"))));
    };
    let Some(client) = known.view.client.clone() else {
        return Ok(ready(Err("the cluster cannot be asked".to_owned())));
    };
    let most = wanted.lines.map_or(40, |lines| usize::try_from(lines).unwrap_or(200)).clamp(1, 200);
    let data = chosen.data;
    Ok(Box::pin(async move {
        let base = format!("/nodes/{}/tasks/{}", segment(&node), segment(&upid));
        let (log_path, status_path) = (format!("{base}/log?start=0&limit={FETCHED}"), format!("{base}/status"));
        let (log, end) = futures_util::future::join(
            client.slow(&log_path, decode::task_log),
            client.slow(&status_path, decode::task_end),
        )
        .await;
        let lines = match log {
            Ok(lines) => lines,
            Err(error) => return words::result(Err(format!("the log of {upid} cannot be read: {error}"))),
        };
        let parsed = Upid::parse(&upid);
        let state = end.as_ref().ok().map(|end| &end.state);
        let skipped = lines.len().saturating_sub(most);
        words::result(Ok(json!({
            "data": data,
            "upid": upid,
            "kind": parsed.as_ref().map(|upid| upid.kind),
            "node": node,
            "user": parsed.as_ref().map(|upid| upid.user),
            "status": state.map(|state| short(&state.to_string())),
            "failed": state.filter(|state| state.is_failure()).map(|_| true),
            "started": parsed.as_ref().map(|upid| moment(upid.started_s, &known.snapshot, known.now)),
            "lines_total": lines.len(),
            "first_line": lines.get(skipped).map(|(number, _)| number),
            "lines": lines.iter().skip(skipped).map(|(_, line)| short(line)).collect::<Vec<_>>(),
        })))
    }))
}
