//! A phone chat: buttons, commands and questions, each heard once, also those of the time when HAIA was down, and only from whom they may come.

use crate::daemon::{Daemon, Setup, eventually};
use crate::lookout::{alert, payload};
use crate::sim::Provider;
use serde_json::{Value, json};
use sim_receivers::{Server, Telegram, TelegramMessage};

const TOKEN: &str = "42:sim-bot-token";
/// Whose buttons count, and somebody else.
const OWNER: i64 = 7;
const STRANGER: i64 = 99;
const CHAT: i64 = 77;

fn setup(models: &Provider, telegram: &Server<Telegram>) -> Setup {
    Setup::with_sim(models).config(&format!(
        "[monitor.explain]\nenabled = false\n[notify.channels.phone]\nkind = \"telegram\"\nbot_token = \"{TOKEN}\"\nchat_id = \"{CHAT}\"\n\
         api_base = \"{}\"\nallowed_users = [{OWNER}]\n",
        telegram.url()
    ))
}

fn fire(daemon: &Daemon, name: &str) {
    let taken = daemon.post("/api/alerts/alertmanager", &payload(&[alert(name, true)]));
    assert_eq!(taken.status, 200, "{}", taken.text());
}

/// Waits for a message that holds `text`.
pub fn until_said(telegram: &Server<Telegram>, text: &str) -> TelegramMessage {
    eventually(&format!("a message with {text:?}"), || {
        let sim = telegram.sim();
        sim.receiver.messages.iter().find(|message| message.text.contains(text)).cloned()
    })
}

/// The code of the button whose face begins so.
pub fn code(message: &TelegramMessage, label: &str) -> String {
    let rows = message.keyboard["inline_keyboard"].as_array().cloned().unwrap_or_default();
    let buttons = rows.iter().filter_map(Value::as_array).flatten();
    let button = buttons.into_iter().find(|button| button["text"].as_str().is_some_and(|text| text.starts_with(label)));
    button
        .and_then(|button| button["callback_data"].as_str())
        .unwrap_or_else(|| panic!("no {label}: {message:?}"))
        .to_owned()
}

pub fn until_heard(telegram: &Server<Telegram>) {
    eventually("every update to be confirmed", || (telegram.sim().receiver.unconfirmed() == 0).then_some(()));
}

fn the_alert(daemon: &Daemon, name: &str) -> Value {
    let alerts = daemon.get("/api/alerts?state=all").json()["alerts"].as_array().cloned().unwrap_or_default();
    let found = alerts.iter().find(|alert| alert["subject"].as_str().is_some_and(|subject| subject.contains(name)));
    found.cloned().unwrap_or_else(|| panic!("no {name} in {alerts:#?}"))
}

#[test]
fn buttons_and_commands_do_what_they_say_once_and_for_nobody_else() {
    let models = Provider::start();
    let telegram = Server::start(Telegram::new(TOKEN)).expect("a receiver on loopback");
    let mut daemon = setup(&models, &telegram).start();
    fire(&daemon, "DiskFull");
    let message = until_said(&telegram, "DiskFull");
    let press = |user, label: &str| {
        let code = code(&message, label);
        telegram.sim().receiver.press(user, CHAT, message.id, &code)
    };
    press(STRANGER, "Acknowledge");
    until_heard(&telegram);
    assert!(the_alert(&daemon, "DiskFull")["acknowledged"].is_null(), "a stranger's press does nothing");

    // While HAIA is down: twice, and the same update again under its number is what Telegram itself sends.
    daemon.signal("KILL");
    daemon.wait();
    press(OWNER, "Acknowledge");
    press(OWNER, "Acknowledge");
    let folder = daemon.folder();
    let daemon = setup(&models, &telegram).folder(folder).start();
    let acknowledged = eventually("the acknowledgement", || {
        Some(the_alert(&daemon, "DiskFull")).filter(|alert| !alert["acknowledged"].is_null())
    });
    until_heard(&telegram);
    assert_eq!(acknowledged["state"], "acknowledged");
    let id = acknowledged["id"].as_u64().expect("a number");
    let events = daemon.get(&format!("/api/alerts/{id}")).json()["events"].as_array().cloned().unwrap_or_default();
    let count = events.iter().filter(|event| event.to_string().contains("acknowledged")).count();
    assert_eq!(count, 1, "{events:#?}");
    let shown = eventually("the message to show it", || {
        let sim = telegram.sim();
        let shown = sim.receiver.messages.iter().find(|known| known.id == message.id && known.edits > 0);
        shown.map(|message| message.text.clone())
    });
    assert!(shown.contains("acknowledged"), "{shown}");

    telegram.sim().receiver.say(STRANGER, CHAT, "private", &format!("/silence {id} 2h"));
    until_heard(&telegram);
    assert_eq!(daemon.get("/api/silences").json()["silences"], json!([]));
    press(OWNER, "Silence");
    eventually("the silence", || {
        let silences = daemon.get("/api/silences").json()["silences"].as_array().cloned().unwrap_or_default();
        (silences.len() == 1).then_some(())
    });

    let say = |text: &str| telegram.sim().receiver.say(OWNER, CHAT, "private", text);
    say("/status");
    until_said(&telegram, "1 open alert");
    say("/alerts");
    until_said(&telegram, "#1 DiskFull");
    say(&format!("/expected {id}"));
    until_said(&telegram, "was expected");
    say("What is going on?");
    until_said(&telegram, "Final answer after 3 results");
    assert!(telegram.sim().receiver.actions > 0, "it shows that it is at it");
    assert_eq!(telegram.sim().violations, [""; 0]);
    let asked = models.chats().len();
    telegram.sim().receiver.say(STRANGER, CHAT, "private", "What is going on?");
    until_heard(&telegram);
    assert_eq!(models.chats().len(), asked, "a stranger asks no model");
}
