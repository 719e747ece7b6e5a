//! HAIA is killed at each step of an action: nothing is lost, nothing is done twice, and what nobody can know is said to be unknown.

use super::{Acting, word};
use crate::clusters::until_polled;
use crate::daemon::{ADMIN, CONTROL, eventually};
use sim_cluster::{Fault, FaultRule, TaskRule};

const SHUTDOWN: &str = "DO(shutdown_guest|guest=web-01)";

/// It is told as unknown, also to the agent and to whoever presses again, and no order follows.
#[track_caller]
fn assert_unknown(acting: &Acting, id: u64, why: &str, orders: usize) {
    let ended = acting.ended(id);
    assert_eq!(word(&ended, "state"), "unknown", "{ended}");
    assert!(word(&ended, "result").contains(why), "{ended}");
    let late = acting.decide(ADMIN, id, "approve");
    assert!(
        late.status == 409 && late.text().contains("its result is unknown and it is not tried again"),
        "{}",
        late.text()
    );
    let fate = acting.say(CONTROL, &format!("DO(get_proposal|proposal={id})"));
    assert!(fate.contains("its result is unknown and it is not tried again"), "{fate}");
    until_polled(&acting.daemon, 5);
    assert_eq!(acting.orders().len(), orders, "{:?}", acting.orders());
    acting.assert_on_record();
}

#[test]
fn before_the_approval_nothing_is_lost() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    let acting = acting.kill_and_start();
    assert_eq!(word(&acting.proposal(id), "state"), "proposed");
    let ended = acting.approve(id);
    assert_eq!(word(&ended, "state"), "done", "{ended}");
    let next = acting.propose("DO(start_guest|guest=web-01)");
    assert_eq!((next, acting.orders().len()), (id + 1, 1), "numbers go on");
    let acting = acting.kill_and_start();
    assert_eq!(word(&acting.proposal(id), "state"), "done", "what is over stays so");
    assert_eq!(acting.orders().len(), 1);
    acting.assert_on_record();
}

#[test]
fn between_the_approval_and_the_beginning() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    // The last look at the guest takes for ever.
    acting.cluster.fault_rule(FaultRule::always(Fault::Hang).on_path("/nodes/pve1/qemu/101/status/current"));
    let decided = acting.decide(ADMIN, id, "approve");
    assert_eq!((decided.status, word(&acting.proposal(id), "state")), (200, "approved"));
    let acting = acting.kill_and_start();
    acting.cluster.clear_faults();
    assert_unknown(&acting, id, "HAIA ended after the approval, before it began", 0);
}

#[test]
fn while_the_order_is_under_way() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    acting.cluster.fault_rule(FaultRule::always(Fault::Hang).on_path("/nodes/pve1/qemu/101/status/shutdown"));
    assert_eq!(acting.decide(ADMIN, id, "approve").status, 200);
    eventually("the order", || (acting.orders().len() == 1).then_some(()));
    let acting = acting.kill_and_start();
    acting.cluster.clear_faults();
    assert_unknown(&acting, id, "HAIA ended as it began; look whether it was done", 1);
}

#[test]
fn while_the_task_runs() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    acting.cluster.task_rule(TaskRule::takes("qmshutdown", 100_000));
    assert_eq!(acting.decide(ADMIN, id, "approve").status, 200);
    let reference = eventually("the task", || {
        Some(word(&acting.proposal(id), "reference").to_owned()).filter(|reference| reference.starts_with("UPID:pve1:"))
    });
    // Not done twice by a second of the same while it runs, either.
    let again = acting.say(CONTROL, SHUTDOWN);
    assert!(again.contains("Nothing was"), "{again}");
    let acting = acting.kill_and_start();
    assert_unknown(&acting, id, &format!("HAIA ended while it ran; look up how {reference} ended"), 1);
}

#[test]
fn an_orderly_end_begins_nothing_new() {
    let mut acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    acting.cluster.task_rule(TaskRule::takes("qmshutdown", 100_000));
    assert_eq!(acting.decide(ADMIN, id, "approve").status, 200);
    eventually("the order", || (acting.orders().len() == 1).then_some(()));
    acting.daemon.signal("TERM");
    assert_eq!(acting.daemon.wait().code(), Some(0));
    acting.daemon = acting.setup.start();
    assert_unknown(&acting, id, "HAIA ended while it ran", 1);
}
