//! Requests that change something: who may, whether it can be begun, and the task that does it. Nothing else in the API changes anything.
//!
//! As on a real server the answer means "begun": what becomes of it is in the task. A guest that is locked, or a migration that
//! cannot be, is a task that fails; a guest that is not on that node, a missing privilege or a wrong parameter is an answer.

mod guests;
mod power;

use crate::access::Access;
use crate::api::guests::no_configuration;
use crate::api::query::Query;
use crate::api::{Answer, bad_parameter, segments};
use crate::incidents::Effect;
use crate::model::{Cluster, Guest, Kind, NewTask};
use crate::task_rule::TaskEnd;
use serde_json::json;

/// A request to change something, its login checked.
pub(crate) struct Order<'a> {
    pub(crate) access: &'a Access,
    /// The token's whole id: it is the user of the tasks.
    pub(crate) token: &'a str,
    /// The node of the endpoint that was asked.
    pub(crate) local: &'a str,
    pub(crate) method: &'a str,
    /// Without `/api2/json` and query.
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
}

/// Does what is asked, or says why not.
pub(crate) fn act(cluster: &mut Cluster, order: &Order<'_>) -> Result<Answer, Answer> {
    let parts = segments(order.path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let form = Query::of_body(order.body);
    match (order.method, parts.as_slice()) {
        ("POST", ["nodes", node, kind @ ("qemu" | "lxc"), vmid, "status", verb]) => {
            let aim = Aim::new(node, kind, vmid)?;
            power::act(cluster, order, &aim, verb, &form)
        }
        ("POST", ["nodes", node, kind @ ("qemu" | "lxc"), vmid, "migrate"]) => {
            guests::migrate(cluster, order, &Aim::new(node, kind, vmid)?, &form)
        }
        ("POST", ["nodes", node, kind @ ("qemu" | "lxc"), vmid, "snapshot"]) => {
            guests::snapshot(cluster, order, &Aim::new(node, kind, vmid)?, &form)
        }
        ("POST", ["nodes", node, "vzdump"]) => guests::back_up(cluster, order, node, &form),
        // Whatever else: the simulation answers as to somebody who may not.
        (_, ["nodes", _, "qemu" | "lxc", vmid, ..]) => Err(forbidden(&format!("/vms/{vmid}"), "VM.Config.Options")),
        _ => Err(forbidden("/", "Sys.Modify")),
    }
}

/// Which guest, on which node.
struct Aim<'a> {
    node: &'a str,
    kind: Kind,
    vmid: u32,
}

impl<'a> Aim<'a> {
    fn new(node: &'a str, kind: &str, vmid: &str) -> Result<Self, Answer> {
        let vmid = vmid.parse().map_err(|_| bad_parameter("vmid", "type check ('integer') failed"))?;
        Ok(Self { node, kind: if kind == "qemu" { Kind::Qemu } else { Kind::Lxc }, vmid })
    }
}

fn forbidden(path: &str, privilege: &str) -> Answer {
    Answer::error(403, &format!("Permission check failed ({path}, {privilege})"))
}

impl Order<'_> {
    /// Refuses without this privilege on the guest, by its own path or its pool's.
    fn need(&self, cluster: &Cluster, vmid: u32, privilege: &str) -> Result<(), Answer> {
        let path = format!("/vms/{vmid}");
        let pool = cluster.guests.get(&vmid).and_then(|guest| guest.pool.as_deref());
        let by_pool = pool.is_some_and(|pool| self.access.holds(&format!("/pool/{pool}"), privilege));
        if by_pool || self.access.holds(&path, privilege) { Ok(()) } else { Err(forbidden(&path, privilege)) }
    }

    /// The node must be there, and the cluster writable.
    fn reach(&self, cluster: &Cluster, name: &str) -> Result<(), Answer> {
        let unknown = || {
            let text = format!(
                "hostname lookup '{name}' failed - failed to get address info for: {name}: Name or service not known"
            );
            Answer::error(500, &text)
        };
        let node = cluster.node(name).ok_or_else(unknown)?;
        if !cluster.sees(self.local, node) {
            return Err(Answer::bare(595, "No route to host"));
        }
        if cluster.quorate(name) { Ok(()) } else { Err(Answer::error(500, "cluster not ready - no quorum?")) }
    }

    /// The guest, when the token may do this to it and it is on that node.
    fn guest(&self, cluster: &Cluster, aim: &Aim<'_>, privilege: &str) -> Result<Guest, Answer> {
        self.need(cluster, aim.vmid, privilege)?;
        self.reach(cluster, aim.node)?;
        let found = cluster.guests.get(&aim.vmid).filter(|guest| guest.node == aim.node && guest.kind == aim.kind);
        found.cloned().ok_or_else(|| no_configuration(aim.node, aim.kind, aim.vmid))
    }
}

/// Refuses a parameter that the call does not know.
fn only(form: &Query, known: &[&str]) -> Result<(), Answer> {
    let text = "property is not defined in schema and the schema does not allow additional properties";
    match form.names().find(|name| !known.contains(name)) {
        Some(unknown) => Err(bad_parameter(unknown, text)),
        None => Ok(()),
    }
}

/// Why a task that touches the configuration fails at once.
fn locked(guest: &Guest) -> Option<String> {
    guest.lock.as_ref().map(|lock| format!("{} is locked ({lock})", guest.kind.noun()))
}

/// A task that is to begin.
struct Work<'a> {
    guest: &'a Guest,
    kind: String,
    seconds: i64,
    /// Why it fails, whatever a rule says.
    error: Option<String>,
    log: Vec<(i64, String)>,
}

/// A task that has begun.
struct Begun {
    upid: String,
    ends: i64,
    /// Whether it does what it is for.
    goes_well: bool,
}

impl Begun {
    /// Has something happen at its end, if it goes well.
    fn then(&self, cluster: &mut Cluster, effect: Effect) {
        if self.goes_well {
            self.whatever(cluster, effect);
        }
    }

    /// Has something happen at its end, whether it goes well or not.
    fn whatever(&self, cluster: &mut Cluster, effect: Effect) {
        cluster.schedule(self.ends, effect.of_task(&self.upid));
    }

    fn answer(self) -> Answer {
        Answer::with(&json!(self.upid))
    }
}

/// Begins a task as its token. What fails by itself fails at once and uses no rule up.
fn begin(cluster: &mut Cluster, order: &Order<'_>, work: Work<'_>) -> Begun {
    let vmid = work.guest.vmid;
    let rule = if work.error.is_none() {
        cluster.task_rules.take(&work.kind, vmid).unwrap_or_default()
    } else {
        Default::default()
    };
    let seconds = match (&work.error, rule.seconds) {
        (Some(_), _) => work.seconds.min(1),
        (None, Some(seconds)) => i64::from(seconds),
        (None, None) => work.seconds,
    };
    let status = match (work.error, rule.end) {
        (Some(error), _) | (None, TaskEnd::Fails(error)) => Some(error),
        (None, TaskEnd::Warnings(count)) => Some(format!("WARNINGS: {count}")),
        (None, TaskEnd::Ok) => None,
    };
    let goes_well = status.as_ref().is_none_or(|status| status.starts_with("WARNINGS"));
    let (start, id) = (cluster.now, vmid.to_string());
    let new = NewTask {
        node: &work.guest.node,
        kind: &work.kind,
        id: &id,
        user: order.token,
        start,
        seconds,
        error: status.as_deref(),
    };
    let log = if goes_well || work.seconds == seconds { work.log } else { Vec::new() };
    Begun { upid: cluster.task(new, log), ends: start + seconds, goes_well }
}

/// Whether the HA manager keeps the guest.
fn is_managed(cluster: &Cluster, vmid: u32) -> bool {
    cluster.services.ha.iter().any(|service| service.vmid == vmid)
}

/// A request to the HA manager: a task that is over before anything has happened to the guest.
fn ask_manager(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest, kind: &str, what: &str) -> Begun {
    let in_error = cluster.services.ha.iter().any(|service| service.vmid == guest.vmid && service.state == "error");
    let sid = guest.kind.sid(guest.vmid);
    let error = in_error.then(|| format!("service '{sid}' in error state, must be disabled and fixed first"));
    let log = vec![(cluster.now, format!("Requesting HA {what} for {} {}", guest.kind.noun(), guest.vmid))];
    begin(cluster, order, Work { guest, kind: kind.to_owned(), seconds: 2, error, log })
}
