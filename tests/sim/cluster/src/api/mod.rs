//! The API below `/api2/json`: who asks, what is asked, what comes back. It reads the cluster and never changes it.

mod backup;
mod ceph;
mod cluster;
mod disks;
mod guests;
mod ha;
mod nodes;
mod query;
mod resources;
mod storage;
mod tasks;

use crate::access::Access;
use crate::config::SimConfig;
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
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A status line and nothing else.
    pub(crate) fn bare(status: u16, reason: &str) -> Self {
        Self { status, reason: reason.to_owned(), body: Vec::new() }
    }

    /// An error with its text in the reason phrase, and as version 8 and later repeat it in the body.
    pub(crate) fn error(status: u16, reason: &str) -> Self {
        let body = json!({ "data": null, "message": format!("{reason}\n") }).to_string().into_bytes();
        Self { status, reason: reason.to_owned(), body }
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

fn not_implemented(method: &str, path: &str) -> Answer {
    Answer::error(501, &format!("Method '{method} {path}' not implemented"))
}

/// 400 with the parameter at fault, as the schema's check tells it.
fn bad_parameter(name: &str, text: &str) -> Answer {
    let body = json!({ "data": null, "errors": { name: text }, "message": "Parameter verification failed.\n" });
    Answer { status: 400, reason: "Parameter verification failed.".into(), body: body.to_string().into_bytes() }
}

/// Answers a request.
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

fn respond(asked: &Asked<'_>) -> Outcome {
    if asked.body {
        return Err(Answer::bare(
            501,
            "Unexpected content for method 'GET', or chunked transfer encoding not supported",
        ));
    }
    let (path, query) = asked.target.split_once('?').unwrap_or((asked.target, ""));
    let Some(path) = path.strip_prefix("/api2/json") else {
        return Err(Answer::bare(404, "not found"));
    };
    log_in(asked)?;
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if asked.method != "GET" {
        // Nothing is changed by a request, whatever the token holds: the simulation answers as to an auditor.
        let path =
            if let ["nodes", _, _, vmid, ..] = segments.as_slice() { format!("/vms/{vmid}") } else { "/".into() };
        return Err(Answer::error(403, &format!("Permission check failed ({path}, {})", write_privilege(&segments))));
    }
    let context = Context {
        cluster: asked.cluster,
        access: asked.access,
        local: asked.local,
        token: &asked.config.token_id,
        query: Query::parse(query),
    };
    route(&context, &segments).ok_or_else(|| not_implemented("GET", path))?
}

fn write_privilege(segments: &[&str]) -> &'static str {
    match segments {
        ["nodes", _, "qemu" | "lxc", _, "status", ..] => "VM.PowerMgmt",
        ["nodes", _, "qemu" | "lxc", _, "migrate", ..] => "VM.Migrate",
        ["nodes", _, "qemu" | "lxc", _, "snapshot", ..] => "VM.Snapshot",
        ["nodes", _, "vzdump", ..] => "VM.Backup",
        _ => "Sys.Modify",
    }
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
        ["version"] => Some(Ok(nodes::version().into())),
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

    #[test]
    fn a_writing_request_is_refused_even_with_every_privilege() {
        let all = Access::none().grant("/", &["VM.PowerMgmt", "Sys.Modify", "VM.Audit"]);
        let config = SimConfig { access: all, ..SimConfig::default() };
        let answer = answered(&config, "POST", "/api2/json/nodes/pve1/qemu/101/status/stop", Some(&token(&config)));
        assert_eq!((answer.status, answer.reason.as_str()), (403, "Permission check failed (/vms/101, VM.PowerMgmt)"));
    }
}
