//! Start, stop, shutdown, reboot, suspend, resume, reset of a guest.

use super::{Aim, Begun, Order, Work, ask_manager, begin, is_managed, locked, only};
use crate::api::query::Query;
use crate::api::{Answer, not_implemented};
use crate::incidents::{Effect, ha};
use crate::model::{Cluster, Guest, Kind};

/// How long a shutdown waits by itself for a guest that does not react.
const PATIENCE: i64 = 180;
/// What becomes of that wait.
const NO_REACTION: &str = "VM quit/powerdown failed - got timeout";

pub(super) fn act(
    cluster: &mut Cluster,
    order: &Order<'_>,
    aim: &Aim<'_>,
    verb: &str,
    form: &Query,
) -> Result<Answer, Answer> {
    let known: &[&str] = match verb {
        "start" => &["timeout", "skiplock", "machine"],
        "stop" => &["timeout", "skiplock", "overrule-shutdown", "keepActive"],
        "shutdown" => &["timeout", "forceStop", "skiplock", "keepActive"],
        "reboot" => &["timeout"],
        "suspend" => &["todisk", "statestorage", "skiplock"],
        "resume" => &["nocheck", "skiplock"],
        "reset" if aim.kind == Kind::Qemu => &["skiplock"],
        _ => return Err(not_implemented("POST", order.path)),
    };
    let guest = order.guest(cluster, aim, "VM.PowerMgmt")?;
    only(form, known)?;
    let begun = match verb {
        "start" => start(cluster, order, &guest)?,
        "stop" => stop(cluster, order, &guest)?,
        "shutdown" => shutdown(cluster, order, &guest, form)?,
        "reboot" => reboot(cluster, order, &guest, form)?,
        "suspend" => suspend(cluster, order, &guest, form)?,
        "resume" => resume(cluster, order, &guest)?,
        _ => reset(cluster, order, &guest)?,
    };
    Ok(begun.answer())
}

fn work<'a>(guest: &'a Guest, action: &str, seconds: i64, error: Option<String>) -> Work<'a> {
    Work { guest, kind: guest.kind.task(action), seconds, error, log: Vec::new() }
}

/// 500 unless it runs.
fn must_run(guest: &Guest) -> Result<(), Answer> {
    if guest.is_up() {
        return Ok(());
    }
    Err(Answer::error(500, &format!("{} {} not running", guest.kind.noun(), guest.vmid)))
}

fn start(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest) -> Result<Begun, Answer> {
    if guest.template {
        return Err(Answer::error(500, "you can't start a vm if it's a template"));
    }
    let running = format!("{} {} already running", guest.kind.noun(), guest.vmid);
    if guest.kind == Kind::Lxc && guest.is_up() {
        return Err(Answer::error(500, &running));
    }
    if is_managed(cluster, guest.vmid) {
        let begun = ask_manager(cluster, order, guest, "hastart", "start");
        let effect = if begun.goes_well { Some(ha::ask_start(cluster, guest.vmid)) } else { None };
        later(cluster, &begun, effect);
        return Ok(begun);
    }
    // A guest that was suspended to disk is started out of it.
    let locked = locked(guest).filter(|_| guest.lock.as_deref() != Some("suspended"));
    let error = locked.or_else(|| guest.is_up().then_some(running));
    let begun = begin(cluster, order, work(guest, "start", 2, error));
    begun.then(cluster, Effect::Run(guest.vmid));
    if guest.lock.as_deref() == Some("suspended") {
        begun.then(cluster, Effect::Unlock(guest.vmid));
    }
    Ok(begun)
}

/// The manager acts some seconds after the request's task.
fn later(cluster: &mut Cluster, begun: &Begun, effect: Option<Effect>) {
    if let Some(effect) = effect {
        cluster.schedule(begun.ends + ha::ACTS_AFTER, effect);
    }
}

fn stop(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest) -> Result<Begun, Answer> {
    if guest.kind == Kind::Lxc {
        must_run(guest)?;
    }
    if is_managed(cluster, guest.vmid) {
        return Ok(ask_stop(cluster, order, guest, "stop"));
    }
    let begun = begin(cluster, order, work(guest, "stop", 1, locked(guest)));
    begun.then(cluster, Effect::Stop(guest.vmid));
    Ok(begun)
}

fn ask_stop(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest, how: &'static str) -> Begun {
    let begun = ask_manager(cluster, order, guest, "hastop", "stop");
    let effect = if begun.goes_well { Some(ha::ask_stop(cluster, guest.vmid, how)) } else { None };
    later(cluster, &begun, effect);
    begun
}

fn shutdown(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest, form: &Query) -> Result<Begun, Answer> {
    if guest.kind == Kind::Lxc {
        must_run(guest)?;
    }
    let patience = form.number("timeout")?.unwrap_or(PATIENCE);
    if is_managed(cluster, guest.vmid) {
        return Ok(ask_stop(cluster, order, guest, "shutdown"));
    }
    let force = form.flag("forceStop");
    let (seconds, error) = match locked(guest) {
        Some(locked) => (0, Some(locked)),
        None if guest.deaf => (patience, (!force).then(|| NO_REACTION.to_owned())),
        None => (4.min(patience), None),
    };
    let begun = begin_patiently(cluster, order, guest, "shutdown", seconds, error);
    begun.then(cluster, Effect::Stop(guest.vmid));
    Ok(begun)
}

/// A task that may fail only after a long wait.
fn begin_patiently(
    cluster: &mut Cluster,
    order: &Order<'_>,
    guest: &Guest,
    action: &str,
    seconds: i64,
    error: Option<String>,
) -> Begun {
    match error {
        Some(error) if error == NO_REACTION => {
            let (kind, id, start) = (guest.kind.task(action), guest.vmid.to_string(), cluster.now);
            let (node, user) = (guest.node.as_str(), order.token);
            let new =
                crate::model::NewTask { node, kind: &kind, id: &id, user, start, seconds, error: Some(NO_REACTION) };
            Begun { upid: cluster.task(new, Vec::new()), ends: start + seconds, goes_well: false }
        }
        error => begin(cluster, order, work(guest, action, seconds, error)),
    }
}

fn reboot(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest, form: &Query) -> Result<Begun, Answer> {
    must_run(guest)?;
    let patience = form.number("timeout")?.unwrap_or(PATIENCE);
    let (seconds, error) = match locked(guest) {
        Some(locked) => (0, Some(locked)),
        None if guest.deaf => (patience, Some(NO_REACTION.to_owned())),
        None => (5, None),
    };
    let begun = begin_patiently(cluster, order, guest, "reboot", seconds, error);
    if begun.goes_well {
        cluster.schedule((begun.ends - 1).max(cluster.now), Effect::Stop(guest.vmid).of_task(&begun.upid));
    }
    begun.then(cluster, Effect::Run(guest.vmid));
    Ok(begun)
}

fn suspend(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest, form: &Query) -> Result<Begun, Answer> {
    must_run(guest)?;
    if guest.kind == Kind::Lxc {
        // Containers cannot be frozen in practice.
        let error = format!("command 'lxc-checkpoint -n {} -s -D /var/lib/vz/dump' failed: exit code 1", guest.vmid);
        return Ok(begin(cluster, order, work(guest, "suspend", 1, Some(error))));
    }
    let to_disk = form.flag("todisk");
    if to_disk && is_managed(cluster, guest.vmid) {
        return Err(Answer::error(500, &format!("Cannot suspend VM {} to disk: it is managed by HA", guest.vmid)));
    }
    let begun = begin(cluster, order, work(guest, "suspend", if to_disk { 20 } else { 1 }, locked(guest)));
    if to_disk && begun.goes_well {
        cluster.schedule(cluster.now, Effect::Lock(guest.vmid, "suspending").of_task(&begun.upid));
        begun.then(cluster, Effect::Hibernate(guest.vmid));
    } else {
        begun.then(cluster, Effect::Status(guest.vmid, "paused"));
    }
    Ok(begun)
}

fn resume(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest) -> Result<Begun, Answer> {
    if guest.lock.as_deref() == Some("suspended") {
        let begun = begin(cluster, order, work(guest, "resume", 6, None));
        begun.then(cluster, Effect::Unlock(guest.vmid));
        begun.then(cluster, Effect::Run(guest.vmid));
        return Ok(begun);
    }
    must_run(guest)?;
    let begun = begin(cluster, order, work(guest, "resume", 1, locked(guest)));
    begun.then(cluster, Effect::Status(guest.vmid, "running"));
    Ok(begun)
}

fn reset(cluster: &mut Cluster, order: &Order<'_>, guest: &Guest) -> Result<Begun, Answer> {
    must_run(guest)?;
    // The process goes on, and its uptime with it.
    Ok(begin(cluster, order, work(guest, "reset", 1, locked(guest))))
}
