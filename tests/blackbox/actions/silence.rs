//! A silence in Alertmanager: proposed, approved, made once, on record; and without a word about it in the configuration no way to one.

use super::{Acting, word};
use crate::daemon::{ADMIN, CONTROL};
use sim_receivers::{Alertmanager, Server};

const SILENCE: &str = "DO(alertmanager_silence|matchers=[alertname=\"DiskFull\";instance=~\"nas.*\"]|duration=2h|reason=It is being emptied.)";

fn alertmanager() -> Server<Alertmanager> {
    let server = Server::start(Alertmanager::default()).expect("a receiver on loopback");
    server.sim().receiver.fire("DiskFull", "nas-1");
    server
}

#[test]
fn a_silence_is_made_once_when_a_person_has_approved_it() {
    let server = alertmanager();
    let more = format!(
        "[alertmanager]\nurl = \"{}\"\nallow_actions = true\n[[approvals.allow]]\nclasses = [\"alertmanager_silence\"]\nmatch = {{ name = \"Disk*\" }}\n",
        server.url()
    );
    let acting = Acting::start(&more);
    let refused = acting.say(CONTROL, "DO(alertmanager_silence|matchers=[severity=\"critical\"]|duration=2h|reason=x)");
    assert!(refused.contains("the policy does not allow alertmanager_silence"), "{refused}");
    let id = acting.propose(SILENCE);
    let (_, out, _) = acting.run(&["approvals", "show", &id.to_string()]);
    assert!(out.contains("instance=~\"nas.*\"") && out.contains("One alert matches now: DiskFull (nas-1)."), "{out}");
    assert_eq!(server.sim().receiver.orders.len(), 0);
    let (code, out, error) = acting.run(&["approvals", "approve", &id.to_string()]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(out.contains("done: Alertmanager silences alertname=\"DiskFull\""), "{out}");
    let made = server.sim().receiver.silences[0].clone();
    assert_eq!((word(&made, "createdBy"), server.sim().receiver.orders.len()), ("HAIA (approved by socket)", 1));
    assert!(word(&made, "comment").starts_with("It is being emptied. [HAIA proposal "), "{made}");
    assert_eq!(word(&acting.proposal(id), "reference"), word(&made, "id"));
    let again = acting.say(CONTROL, SILENCE);
    assert!(again.contains("is there already") && again.contains("Nothing was proposed or done."), "{again}");
    let (_, out, _) = acting.run(&["audit", "show", "--proposal", &id.to_string()]);
    assert!(
        out.contains("began") && out.contains("prometheus") && out.contains("done: Alertmanager silences"),
        "{out}"
    );
    acting.assert_on_record();
    assert_eq!(acting.orders(), [""; 0], "none of the cluster's business");
}

#[test]
fn without_its_switch_there_is_no_such_tool() {
    let server = alertmanager();
    let acting = Acting::start(&format!("[alertmanager]\nurl = \"{}\"\n", server.url()));
    let said = acting.say(ADMIN, SILENCE);
    assert!(said.contains("there is no tool named \"alertmanager_silence\""), "{said}");
    assert_eq!(server.sim().receiver.orders.len(), 0);
}
