//! `/cluster/tasks`, `/nodes/{n}/tasks`, and a task's end and log.

use super::scalar::{Signed, Text, Whole};
use super::shape::{self, DecodeError};
use crate::model::{Task, TaskState, Upid};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireTask {
    upid: Text,
    node: Text,
    r#type: Text,
    id: Text,
    user: Text,
    starttime: Signed,
    endtime: Signed,
    status: Text,
    exitstatus: Text,
}

/// Reads a list of tasks. Rows without an identifier are left out; what a row does not say its identifier does.
///
/// # Errors
/// The answer is not JSON.
pub fn tasks(body: &[u8]) -> Result<Vec<Task>, DecodeError> {
    Ok(shape::list::<WireTask>(body)?.into_iter().filter_map(task).collect())
}

fn task(row: WireTask) -> Option<Task> {
    let upid = row.upid.filled()?;
    let parsed = Upid::parse(&upid);
    let from_id = |of: fn(&Upid<'_>) -> Option<Arc<str>>| parsed.as_ref().and_then(of);
    let ended_s = row.endtime.get();
    let state = match row.status.filled() {
        Some(status) => TaskState::from_status(&status),
        // In a list a task that ended has a status; one that ended without leaving one was killed with its node.
        None if ended_s.is_none() => TaskState::Running,
        None => TaskState::Failed("it ended without saying how".into()),
    };
    Some(Task {
        node: row.node.filled().or_else(|| from_id(|upid| Some(upid.node.into())))?,
        kind: row.r#type.filled().or_else(|| from_id(|upid| Some(upid.kind.into())))?,
        id: row.id.0.or_else(|| from_id(|upid| Some(upid.id.into()))).unwrap_or_default(),
        user: row.user.filled().or_else(|| from_id(|upid| Some(upid.user.into()))).unwrap_or_default(),
        started_s: row.starttime.get().or_else(|| parsed.as_ref().map(|upid| upid.started_s)).unwrap_or(0),
        ended_s,
        state,
        upid,
    })
}

/// Reads the answer to a request that began a task: its identifier. `None` where nothing was begun.
///
/// # Errors
/// The answer is not JSON, or its text is no identifier.
pub fn begun(body: &[u8]) -> Result<Option<Arc<str>>, DecodeError> {
    match shape::text(body)?.filled() {
        None => Ok(None),
        // What vzdump says when no guest of the list is on its node.
        Some(text) if &*text == "OK" => Ok(None),
        Some(text) if Upid::parse(&text).is_some() => Ok(Some(text)),
        Some(_) => Err(DecodeError("it names no task".to_owned())),
    }
}

/// How a task stands, asked for by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// How it stands.
    pub state: TaskState,
    /// When it began, seconds since 1970.
    pub started_s: Option<i64>,
    /// Its type.
    pub kind: Option<Arc<str>>,
    /// Who began it.
    pub user: Option<Arc<str>>,
}

/// Reads `/nodes/{n}/tasks/{upid}/status`.
///
/// # Errors
/// The answer is not JSON.
pub fn task_end(body: &[u8]) -> Result<TaskEnd, DecodeError> {
    let row = shape::object::<WireTask>(body)?;
    let state = match (row.status.as_str(), row.exitstatus.filled()) {
        ("running", _) => TaskState::Running,
        (_, Some(exit)) => TaskState::from_status(&exit),
        (_, None) => TaskState::Failed("it ended without saying how".into()),
    };
    Ok(TaskEnd { state, started_s: row.starttime.get(), kind: row.r#type.filled(), user: row.user.filled() })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireLine {
    n: Whole,
    t: Text,
}

/// Reads `/nodes/{n}/tasks/{upid}/log`: lines with their numbers, from 1.
///
/// # Errors
/// The answer is not JSON.
pub fn task_log(body: &[u8]) -> Result<Vec<(u64, Arc<str>)>, DecodeError> {
    let lines = shape::list::<WireLine>(body)?.into_iter().zip(1..);
    Ok(lines.map(|(line, at)| (line.n.get().unwrap_or(at), line.t.0.unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_begun_task_has_its_name() {
        let upid = "UPID:a:1:1:64:qmstart:101:haia@pve!m:";
        assert_eq!(begun(format!("{{\"data\":\"{upid}\"}}").as_bytes()).unwrap().as_deref(), Some(upid));
        for none in ["{\"data\":null}", "{\"data\":\"OK\"}", "{\"data\":\"\"}"] {
            assert_eq!(begun(none.as_bytes()), Ok(None), "{none}");
        }
        assert!(begun(b"{\"data\":\"../../x\"}").is_err() && begun(b"{\"da").is_err());
    }

    #[test]
    fn a_running_task_has_no_status_or_says_running() {
        let body = br#"{"data":[
            {"upid":"UPID:a:1:1:64:qmstart:101:root@pam:","node":"a","type":"qmstart","id":"101","user":"root@pam","starttime":100},
            {"upid":"UPID:a:1:1:64:qmstart:101:root@pam:","status":"running"},
            {"upid":"UPID:a:1:1:64:vzdump::root@pam:","status":"job errors","endtime":"130","id":""},
            {"upid":"UPID:a:1:1:64:vzdump:7:root@pam:","endtime":130},
            {"node":"a"}
        ]}"#;
        let tasks = tasks(body).unwrap();
        let states: Vec<String> = tasks.iter().map(|task| task.state.to_string()).collect();
        assert_eq!(states, ["running", "running", "job errors", "it ended without saying how"]);
        assert_eq!((tasks[1].vmid(), &*tasks[1].user, tasks[1].started_s), (Some(101), "root@pam", 100));
        assert_eq!((tasks[2].vmid(), tasks[2].duration_s()), (None, Some(30)));
    }
}
