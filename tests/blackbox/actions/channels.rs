//! Who approves, and from where: the command line, the API, a chat, a phone. Who may not is refused, whoever comes second is told who decided.

use super::{Acting, word};
use crate::buttons::{code, until_heard, until_said};
use crate::daemon::{ADMIN, CONTROL, READ, eventually};
use serde_json::json;
use sim_receivers::{Server, Telegram};

const SHUTDOWN: &str = "DO(shutdown_guest|guest=web-01|reason=It leaks.)";

#[test]
fn on_the_command_line() {
    let acting = Acting::start("");
    let said = acting.say(CONTROL, SHUTDOWN);
    assert!(said.contains("Proposal 1 was made: Shut down web-01 (101) on pve1. Nothing has been done."), "{said}");
    assert_eq!(acting.orders(), [""; 0]);
    let (code, out, _) = acting.run(&["approvals"]);
    assert!(code == Some(0) && out.contains("proposed  Shut down web-01 (101) on pve1  control"), "{out}");
    let (_, out, _) = acting.run(&["approvals", "show", "1"]);
    assert!(out.contains("why          It leaks.") && out.contains("status running"), "{out}");

    let (code, out, error) = acting.run(&["approvals", "approve", "1"]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(out.contains("Proposal 1 is approved: Shut down web-01 (101) on pve1."), "{out}");
    assert!(out.ends_with("done: web-01 (101) was shut down on pve1.\n"), "{out}");
    assert!(error.contains("the task qmshutdown has begun on pve1"), "{error}");
    assert_eq!(
        (acting.orders(), &acting.guest("qemu/101")["status"]),
        (vec!["pve1/qemu/101/status/shutdown".into()], &json!("stopped"))
    );

    let (code, out, error) = acting.run(&["approvals", "approve", "1"]);
    assert!(code == Some(1) && error.contains("was approved by somebody on the command line"), "{out}{error}");
    assert_eq!(
        acting.rows(1),
        ["proposed control chat", "decided socket cli", "began haia proxmox-poller", "ended haia proxmox-poller"]
    );
    acting.assert_on_record();
    let (_, out, _) = acting.run(&["audit", "show", "--proposal", "1"]);
    for row in [
        "proposed",
        "approved (1 of 1): Shut down web-01 (101) on pve1",
        "the task qmshutdown has begun",
        "done: web-01 (101) was shut down",
    ] {
        assert!(out.contains(row), "no {row:?} in {out}");
    }
    let fate = acting.say(CONTROL, "What became of it? DO(get_proposal|proposal=1)");
    assert!(fate.contains("Proposal 1 was approved by somebody on the command line at"), "{fate}");
    assert!(fate.contains("and is done: web-01 (101) was shut down on pve1."), "{fate}");
    assert_eq!(acting.orders().len(), 1);
}

#[test]
fn through_the_api() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    for (key, status) in [(CONTROL, 403), (READ, 403), ("", 401), ("wrong", 401)] {
        for decision in ["approve", "deny"] {
            assert_eq!(acting.decide(key, id, decision).status, status, "{key:?} {decision}");
        }
    }
    assert_eq!((word(&acting.proposal(id), "state"), acting.orders()), ("proposed", vec![]));
    assert_eq!(acting.decide(ADMIN, 99, "approve").status, 404);

    let decided = acting.decide(ADMIN, id, "approve").json();
    assert_eq!((&decided["counted"], &decided["proposal"]["id"]), (&json!(true), &json!(id)));
    let ended = acting.ended(id);
    assert_eq!((word(&ended, "state"), word(&ended, "result")), ("done", "web-01 (101) was shut down on pve1."));
    assert!(word(&ended, "reference").starts_with("UPID:pve1:"), "{ended}");
    assert_eq!((word(&ended["decisions"][0], "by"), word(&ended["decisions"][0], "channel")), ("admin", "api"));
    for decision in ["approve", "deny"] {
        let late = acting.decide(ADMIN, id, decision);
        assert_eq!((late.status, word(&late.json()["error"], "code")), (409, "already_decided"));
        assert!(late.text().contains("was approved by admin through the API"), "{}", late.text());
    }
    assert_eq!(acting.rows(id)[1], "decided admin api");
    assert_eq!(acting.orders().len(), 1);
    acting.assert_on_record();
}

#[test]
fn in_a_chat() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    let line = format!("approve {id}");
    let asked = acting.models.chats().len();
    let refused = acting.say(CONTROL, &line);
    let expected =
        format!("Proposal {id} was not approved: this needs a key with the scope \"admin\". Nothing was done.");
    assert_eq!(refused, expected);
    assert_eq!((word(&acting.proposal(id), "state"), acting.orders()), ("proposed", vec![]));
    let said = acting.say(ADMIN, &format!(" Approve #{id}\n"));
    assert!(said.starts_with(&format!("Proposal {id} is approved: Shut down web-01 (101) on pve1.")), "{said}");
    assert_eq!(word(&acting.ended(id), "state"), "done");
    assert!(acting.say(ADMIN, &line).contains("was approved by admin in a chat"));
    assert_eq!(acting.models.chats().len(), asked, "no model is asked what a decision is");
    assert_eq!(acting.rows(id)[1..3], ["refused control chat", "decided admin chat"]);

    let id = acting.propose("DO(start_guest|guest=web-01)");
    assert_eq!(
        acting.say(ADMIN, &format!("deny {id}")),
        format!("Proposal {id} is denied: Start web-01 (101) on pve1. Nothing is done.")
    );
    assert!(acting.say(ADMIN, &format!("approve {id}")).contains("was denied by admin in a chat"));
    assert_eq!((word(&acting.proposal(id), "state"), acting.orders().len()), ("denied", 1));
    acting.assert_on_record();
}

const TOKEN: &str = "42:sim-bot-token";
const OWNER: i64 = 7;
const CHAT: i64 = 77;

#[test]
fn by_a_button_on_a_phone() {
    let telegram = Server::start(Telegram::new(TOKEN)).expect("a receiver on loopback");
    let acting = Acting::start(&format!(
        "[notify.channels.phone]\nkind = \"telegram\"\nbot_token = \"{TOKEN}\"\nchat_id = \"{CHAT}\"\napi_base = \"{}\"\nallowed_users = [{OWNER}]\n",
        telegram.url()
    ));
    let id = acting.propose(SHUTDOWN);
    let message = until_said(&telegram, &format!("Approve #{id}?"));
    for shown in ["Shut down web-01 (101) on pve1", "It leaks.", "status running", "control (chat)"] {
        assert!(message.text.contains(shown), "no {shown:?} in {}", message.text);
    }
    let yes = code(&message, "Approve");
    telegram.sim().receiver.press(99, CHAT, message.id, &yes);
    until_heard(&telegram);
    assert_eq!((word(&acting.proposal(id), "state"), acting.orders()), ("proposed", vec![]), "a stranger's press");
    telegram.sim().receiver.press(OWNER, CHAT, message.id, &yes);
    assert_eq!(word(&acting.ended(id), "state"), "done");
    until_said(&telegram, &format!("#{id} is done"));
    telegram.sim().receiver.press(OWNER, CHAT, message.id, &yes);
    let popped = eventually("the second press to be answered", || {
        let sim = telegram.sim();
        let told = sim.receiver.answered.iter().map(|answer| word(answer, "text").to_owned());
        told.into_iter().find(|told| told.contains("was approved by"))
    });
    assert!(popped.contains("in Telegram"), "{popped}");
    assert_eq!(acting.rows(id)[1], format!("decided telegram:user{OWNER} telegram"));
    assert_eq!(acting.orders().len(), 1);

    let id = acting.propose("DO(start_guest|guest=web-01)");
    until_said(&telegram, &format!("Approve #{id}?"));
    telegram.sim().receiver.say(99, CHAT, "private", &format!("approve {id}"));
    telegram.sim().receiver.say(OWNER, CHAT, "private", &format!("deny {id}"));
    until_said(&telegram, &format!("#{id} was denied"));
    assert_eq!((word(&acting.proposal(id), "state"), acting.orders().len()), ("denied", 1));
    acting.assert_on_record();
}

#[test]
fn what_nobody_decides_expires() {
    let acting = Acting::start("[approvals]\nexpiry = \"1m\"\n");
    let id = acting.propose(SHUTDOWN);
    let ended = acting.ended(id);
    assert_eq!(word(&ended, "state"), "expired");
    let late = acting.decide(ADMIN, id, "approve");
    assert!(late.status == 409 && late.text().contains("nobody decided in time. Nothing was done."), "{}", late.text());
    let fate = acting.say(CONTROL, &format!("DO(get_proposal|proposal={id})"));
    assert!(fate.contains("expired at"), "{fate}");
    assert_eq!(
        (acting.rows(id), acting.orders()),
        (vec!["proposed control chat".into(), "ended haia haia".into()], vec![])
    );
}

#[test]
fn what_may_destroy_needs_two_people_where_the_policy_says_so() {
    let acting =
        Acting::start("[[approvals.allow]]\nclasses = [\"stop\", \"shutdown\"]\nsecond_approval = \"destructive\"\n");
    let refused = acting.say(CONTROL, "DO(start_guest|guest=win11-lab)");
    assert!(refused.contains("the policy does not allow start of win11-lab (130)"), "{refused}");
    let id = acting.propose("DO(stop_guest|guest=media-01)");
    let first = acting.decide(ADMIN, id, "approve").json();
    assert!(word(&first, "said").contains("counts (1 of 2)"), "{first}");
    let again = acting.decide(ADMIN, id, "approve");
    assert!(again.status == 409 && again.text().contains("another person must approve it too"), "{}", again.text());
    let in_chat = acting.say(ADMIN, &format!("approve {id}"));
    assert!(in_chat.contains("You have approved"), "the same key through another door: {in_chat}");
    assert_eq!((word(&acting.proposal(id), "state"), acting.orders()), ("proposed", vec![]));
    let (code, out, error) = acting.run(&["approvals", "approve", &id.to_string()]);
    assert!(code == Some(0) && out.contains("media-01 (114) was switched off"), "{out}{error}");
    assert_eq!(
        acting.approve(acting.propose("DO(shutdown_guest|guest=web-01)"))["state"],
        "done",
        "one is enough for this"
    );
    acting.assert_on_record();
}

/// A model that keeps quiet about a proposal, or lies about it, does not keep it from the person: HAIA says itself what it is.
#[test]
fn the_answer_tells_what_was_proposed_whatever_the_model_says() {
    let acting = Acting::start("");
    acting.models.script(|request| {
        let is_done = request.results().iter().any(|result| result.contains(" was made: "));
        is_done.then(|| crate::sim::says(request, "Proposal 1 only takes a snapshot. It is done already."))
    });
    let told = "Proposal 1 was made: Switch off media-01 (114) on pve3. Nothing has been done.";
    let said = acting.say(CONTROL, "DO(stop_guest|guest=media-01)");
    assert!(said.starts_with("Proposal 1 only takes a snapshot. It is done already.\n\n*"), "{said}");
    assert!(said.contains(told), "{said}");
    let body = json!({ "model": "haia", "stream": true, "messages": [{ "role": "user", "content": "DO(stop_guest|guest=music)" }] });
    let streamed = acting.daemon.stream(&body).finish();
    streamed.assert_whole();
    assert!(streamed.text().contains("Switch off music (117) on pve1. Nothing has been done."), "{}", streamed.text());
    assert_eq!(acting.orders(), [""; 0]);
}
