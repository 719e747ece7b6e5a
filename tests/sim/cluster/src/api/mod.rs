//! The API below `/api2/json`: who asks, what is asked, what comes back. It reads the cluster and never changes it.

mod backup;
mod ceph;
mod cluster;
mod disks;
pub(crate) mod guests;
mod ha;
mod nodes;
pub(crate) mod query;
mod replication;
mod resources;
mod storage;
mod tasks;

use crate::access::Access;
use crate::config::{SimConfig, Version};
use crate::model::{Cluster, Node};
use query::{Query, decoded};
use serde_json::{Value, json};

/// A request, as far as an answer needs it.
pub(crate) struct Asked<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) access: &'a Access,
    pub(crate) config: &'a SimConfig,
    /// The node of the endpoint that was asked.
    pub(crate) local: &'a str,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) authorization: Option<&'a str>,
    /// It carries a body that pveproxy refuses: chunked, or with a GET.
    pub(crate) body: bool,
}

/// What is written back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; 0 when there is no answer at all: the node is down, or a fault keeps it back.
    pub status: u16,
    /// The reason phrase, which carries the text of errors.
    pub reason: String,
    /// JSON, or nothing.
    pub body: Vec<u8>,
}

impl Answer {
    /// No answer at all.
    pub(crate) fn none() -> Self {
        Self::bare(0, "")
    }

    /// What the answer holds under `data`; null without an answer or with an error.
    pub fn data(&self) -> Value {
        serde_json::from_slice::<Value>(&self.body).map_or(Value::Null, |mut body| body["data"].take())
    }

    /// A status line and nothing else.
    pub(crate) fn bare(status: u16, reason: &str) -> Self {
        Self { status, reason: reason.to_owned(), body: Vec::new() }
    }

    /// An error with its text in the reason phrase, and as version 8 and later repeat it in the body.
    pub(crate) fn error(status: u16, reason: &str) -> Self {
        let body = json!({ "data": null, "message": format!("{reason}\n") }).to_string().into_bytes();
        Self { status, reason: reason.to_owned(), body }
    }

    /// 200 with this data.
    pub(crate) fn with(data: &Value) -> Self {
        Self::raw(json!({ "data": data }).to_string().into_bytes())
    }

    /// 200 with these bytes.
    pub(crate) fn raw(body: Vec<u8>) -> Self {
        Self { status: 200, reason: "OK".into(), body }
    }
}

/// What a call gives: its data, and for paged lists how many rows there are in all.
struct Reply {
    data: Value,
    total: Option<usize>,
}

impl From<Value> for Reply {
    fn from(data: Value) -> Self {
        Self { data, total: None }
    }
}

impl From<Vec<Value>> for Reply {
    fn from(rows: Vec<Value>) -> Self {
        Self { data: Value::Array(rows), total: None }
    }
}

type Outcome = Result<Reply, Answer>;

/// What every call may look at.
struct Context<'a> {
    cluster: &'a Cluster,
    access: &'a Access,
    local: &'a str,
    /// The token's whole id.
    token: &'a str,
    version: Version,
    query: Query,
}

impl Context<'_> {
    fn now(&self) -> i64 {
        self.cluster.now
    }

    fn holds(&self, path: &str, privilege: &str) -> bool {
        self.access.holds(path, privilege)
    }

    /// Refuses without this privilege, in pveproxy's words.
    fn need(&self, path: &str, privilege: &str) -> Result<(), Answer> {
        self.need_any(path, &[privilege])
    }

    /// Refuses without one of these privileges.
    fn need_any(&self, path: &str, privileges: &[&str]) -> Result<(), Answer> {
        if privileges.iter().any(|privilege| self.holds(path, privilege)) {
            return Ok(());
        }
        Err(Answer::error(403, &format!("Permission check failed ({path}, {})", privileges.join("|"))))
    }

    /// Whether the token may see a guest: by its own path, or its pool's.
    fn sees_guest(&self, vmid: u32) -> bool {
        let pool = self.cluster.guests.get(&vmid).and_then(|guest| guest.pool.as_deref());
        self.holds(&format!("/vms/{vmid}"), "VM.Audit")
            || pool.is_some_and(|pool| self.holds(&format!("/pool/{pool}"), "VM.Audit"))
    }

    fn need_guest(&self, vmid: u32) -> Result<(), Answer> {
        if self.sees_guest(vmid) { Ok(()) } else { self.need(&format!("/vms/{vmid}"), "VM.Audit") }
    }

    /// The node that a call is for, reached from the endpoint's own node.
    fn reach(&self, name: &str) -> Result<&Node, Answer> {
        let unknown = || {
            let text = format!(
                "hostname lookup '{name}' failed - failed to get address info for: {name}: Name or service not known"
            );
            Answer::error(500, &text)
        };
        let node = self.cluster.node(name).ok_or_else(unknown)?;
        if self.cluster.sees(self.local, node) { Ok(node) } else { Err(Answer::bare(595, "No route to host")) }
    }
}

pub(crate) fn not_implemented(method: &str, path: &str) -> Answer {
    Answer::error(501, &format!("Method '{method} {path}' not implemented"))
}

/// 400 with the parameter at fault, as the schema's check tells it.
pub(crate) fn bad_parameter(name: &str, text: &str) -> Answer {
    let body = json!({ "data": null, "errors": { name: text }, "message": "Parameter verification failed.\n" });
    Answer { status: 400, reason: "Parameter verification failed.".into(), body: body.to_string().into_bytes() }
}

/// The data of a reading request, or why there is none.
pub(crate) fn data(asked: &Asked<'_>) -> Result<Value, Answer> {
    respond(asked).map(|reply| reply.data)
}

/// Answers a reading request.
pub(crate) fn answer(asked: &Asked<'_>) -> Answer {
    match respond(asked) {
        Ok(reply) => {
            let mut body = json!({ "data": reply.data });
            if let Some(total) = reply.total {
                body["total"] = json!(total);
            }
            Answer::raw(body.to_string().into_bytes())
        }
        Err(answer) => answer,
    }
}

/// What every request passes first: a body that a server takes, a path of the API, a login. Gives path and query.
pub(crate) fn admitted<'a>(asked: &Asked<'a>) -> Result<(&'a str, &'a str), Answer> {
    if asked.body {
        let text = if asked.method == "GET" {
            "Unexpected content for method 'GET'"
        } else {
            "chunked transfer encoding not supported"
        };
        return Err(Answer::bare(501, text));
    }
    let (path, query) = asked.target.split_once('?').unwrap_or((asked.target, ""));
    let Some(path) = path.strip_prefix("/api2/json") else {
        return Err(Answer::bare(404, "not found"));
    };
    log_in(asked)?;
    Ok((path, query))
}

/// A path's parts, decoded.
pub(crate) fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(decoded).collect()
}

/// A list with every third guest missing.
pub(crate) fn fewer_rows(answer: &Answer) -> Answer {
    let mut data = answer.data();
    if let Some(rows) = data.as_array_mut() {
        rows.retain(|row| row["vmid"].as_u64().is_none_or(|vmid| !vmid.is_multiple_of(3)));
        return Answer::with(&data);
    }
    answer.clone()
}

fn respond(asked: &Asked<'_>) -> Outcome {
    let (path, query) = admitted(asked)?;
    let segments = segments(path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let context = Context {
        cluster: asked.cluster,
        access: asked.access,
        local: asked.local,
        token: &asked.config.token_id,
        version: asked.config.version,
        query: Query::parse(query),
    };
    route(&context, &segments).ok_or_else(|| not_implemented("GET", path))?
}

/// Checks the token. What is refused here gets a status line only.
fn log_in(asked: &Asked<'_>) -> Result<(), Answer> {
    let refused = |reason: String| Answer::bare(401, &reason);
    let Some(given) = asked.authorization.and_then(|value| value.strip_prefix("PVEAPIToken=")) else {
        return Err(refused("No ticket".into()));
    };
    let config = asked.config;
    let Some((id, secret)) = given.split_once('=') else {
        return Err(refused("no token secret given".into()));
    };
    let (user, token) = id.split_once('!').unwrap_or((id, ""));
    let (known_user, known_token) = config.token_id.split_once('!').unwrap_or((&config.token_id, ""));
    if user != known_user {
        return Err(refused(format!("no such user ('{user}')")));
    }
    if token != known_token {
        return Err(refused(format!("no such token '{token}' for user '{user}'")));
    }
    if secret != config.token_secret {
        return Err(refused("invalid token value!".into()));
    }
    Ok(())
}

/// The call for a path; nothing for a path that does not exist.
fn route(context: &Context<'_>, segments: &[&str]) -> Option<Outcome> {
    match segments {
        ["version"] => Some(Ok(nodes::version(context).into())),
        ["access", "permissions"] => Some(Ok(cluster::permissions(context))),
        ["pools"] => Some(cluster::pools(context)),
        ["pools", pool] => Some(cluster::pool(context, pool)),
        ["storage"] => Some(storage::definitions(context)),
        ["cluster", rest @ ..] => cluster::route(context, rest),
        ["nodes"] => Some(Ok(resources::nodes(context))),
        ["nodes", node, rest @ ..] => nodes::route(context, node, rest),
        _ => None,
    }
}

/// A boolean as the API writes it.
fn flag(on: bool) -> Value {
    json!(u8::from(on))
}

/// An index of subfolders.
fn index(key: &str, names: &[&str]) -> Reply {
    names.iter().map(|name| json!({ key: name })).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(config: &SimConfig, method: &str, target: &str, authorization: Option<&str>) -> Answer {
        let cluster = crate::build::cluster(config, 1_772_366_400);
        let access = &config.access;
        let asked =
            Asked { cluster: &cluster, access, config, local: "pve1", method, target, authorization, body: false };
        answer(&asked)
    }

    fn token(config: &SimConfig) -> String {
        format!("PVEAPIToken={}={}", config.token_id, config.token_secret)
    }

    #[test]
    fn a_wrong_login_is_told_what_is_wrong_in_the_status_line_only() {
        let config = SimConfig::default();
        let cases = [
            (None, "No ticket"),
            (Some("Bearer x"), "No ticket"),
            (Some("PVEAPIToken=haia@pve!monitor=wrong"), "invalid token value!"),
            (Some("PVEAPIToken=haia@pve!other=x"), "no such token 'other' for user 'haia@pve'"),
            (Some("PVEAPIToken=nobody@pve!monitor=x"), "no such user ('nobody@pve')"),
        ];
        for (given, reason) in cases {
            let answer = answered(&config, "GET", "/api2/json/version", given);
            assert_eq!(answer, Answer::bare(401, reason), "{given:?}");
        }
    }

    #[test]
    fn paths_that_do_not_exist_are_not_implemented() {
        let config = SimConfig::default();
        for path in ["/nonsense", "/cluster/nonsense", "/nodes/pve1/nonsense", "/nodes/pve1/qemu/101/nonsense"] {
            let answer = answered(&config, "GET", &format!("/api2/json{path}"), Some(&token(&config)));
            assert_eq!((answer.status, answer.reason), (501, format!("Method 'GET {path}' not implemented")));
        }
    }
}
