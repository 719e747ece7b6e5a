//! Buttons and commands of a simulated chat, in simulated time.

use crate::message::tests::{member, notice};
use crate::notifier::tests::support::*;
use contract::alerts::{AlertCommand, Severity};
use contract::notify::{Notice, NoticeButton, NoticeKind};
use runtime::world::World;
use std::sync::Arc;

fn with_buttons() -> Notice {
    let mut told = notice(NoticeKind::Opened, Severity::Critical, "vm-017 crashed");
    told.members.push(member(17, "vm-017", "crashed"));
    let button = |label: &str, command| NoticeButton { label: label.to_owned(), command };
    told.buttons = vec![
        button("Acknowledge", AlertCommand::Acknowledge { alert: 17 }),
        button("Silence 1 h", AlertCommand::Silence { alert: 17, minutes: 60 }),
        button("Expected", AlertCommand::Expect { alert: 17 }),
    ];
    told
}

fn done(outside: &Outside) -> Vec<String> {
    outside.done.lock().unwrap().clone()
}

#[test]
fn a_press_counts_once_and_the_message_says_who() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, LISTENING);
        deliver(&notifier, with_buttons()).await;
        pass(world, seconds(2)).await;
        let message = outside.telegram().receiver.messages[0].clone();
        let codes: Vec<String> = message.keyboard["inline_keyboard"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row.as_array().unwrap())
            .map(|button| button["callback_data"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(codes, ["a:17", "s:17:60", "e:17"]);

        outside.telegram().receiver.press(5, 7, message.id, "a:17");
        outside.telegram().receiver.press(6, 7, message.id, "s:17:60");
        outside.telegram().receiver.press(5, 8, message.id, "s:17:60");
        outside.telegram().receiver.press(5, 7, message.id, "what?");
        pass(world, seconds(5)).await;
        assert_eq!(done(&outside), ["ack 17 by telegram:user5"], "strangers and other chats are nobody");
        let edited = outside.telegram().receiver.messages[0].clone();
        assert!(edited.text.ends_with("\n#17 acknowledged by user5 at 13:00"), "{}", edited.text);
        assert_eq!(edited.keyboard["inline_keyboard"].as_array().unwrap().len(), 2, "the others stay");
        assert_eq!(outside.telegram().receiver.answered.len(), 2, "a stranger gets no word");

        outside.telegram().receiver.press(5, 7, message.id, "s:17:60");
        pass(world, seconds(5)).await;
        assert_eq!(done(&outside).len(), 2);
        assert!(outside.telegram().receiver.messages[0].text.ends_with("#17 silenced for 1 h by user5 at 13:00"));
        assert_eq!(outside.telegram().receiver.messages[0].keyboard["inline_keyboard"].as_array().unwrap().len(), 0);
        pass(world, seconds(60)).await;
        assert_eq!(outside.telegram().receiver.unconfirmed(), 0);
    });
}

#[test]
fn presses_made_while_haia_was_down_count_once_also_if_it_ends_before_confirming() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let press = outside.telegram().receiver.press(5, 7, 1, "s:17:480");
        start(world, &outside, LISTENING);
        pass(world, seconds(3)).await;
        assert_eq!(done(&outside), ["silence Some(17) 28800s"]);

        // As if the power had gone before the press was confirmed: neither the offset was kept nor the next question asked.
        world.supervision.stop("notifier");
        world.settle().await;
        outside.states.lock().unwrap().clear();
        let again = outside.telegram().receiver.press(5, 7, 1, "s:17:480");
        outside.telegram().receiver.rename(again, press);
        start(world, &outside, LISTENING);
        pass(world, seconds(3)).await;
        assert_eq!(done(&outside).len(), 1, "{:?}", done(&outside));
    });
}

#[test]
fn a_handled_press_is_not_asked_for_again_after_a_restart() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let id = outside.telegram().receiver.press(5, 7, 1, "e:17");
        start(world, &outside, LISTENING);
        pass(world, seconds(3)).await;
        assert_eq!(outside.states.lock().unwrap().get("telegram/offset-1"), Some(&(id + 1).to_string()));
        world.supervision.stop("notifier");
        world.settle().await;
        start(world, &outside, LISTENING);
        pass(world, seconds(3)).await;
        assert_eq!(done(&outside), ["expect 17"]);
    });
}

#[test]
fn commands_and_questions_are_answered_through_the_outbox() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        start(world, &outside, LISTENING);
        for (text, kind) in [
            ("/alerts", "private"),
            ("/ack 17", "private"),
            ("/silence 17 2h", "private"),
            ("why is web-01 down?", "private"),
            ("just chatting among people", "group"),
            ("@haia_bot all well?", "group"),
            ("/expected", "private"),
        ] {
            outside.telegram().receiver.say(5, 7, kind, text);
        }
        outside.telegram().receiver.say(99, 7, "private", "/alerts");
        pass(world, seconds(30)).await;
        let texts = outside.texts();
        assert_eq!(texts.len(), 6, "{texts:?}");
        for expected in [
            "• #17 web-01 (101) crashed: critical since 12:48",
            "#17 acknowledged.",
            "#17 silenced for 2 h.",
            "You asked: why is web-01 down?",
            "You asked: all well?",
            "Which alert? For example /expected 17",
        ] {
            assert!(texts.iter().any(|text| text.starts_with(expected)), "{expected}: {texts:?}");
        }
        let answers = outside.telegram().receiver.messages.iter().all(|message| message.answers.is_some());
        assert!(answers && outside.telegram().receiver.actions >= 2);
        assert!(done(&outside).contains(&"ask \"why is web-01 down?\" by telegram:user5".to_owned()));
    });
}

/// What belongs to the chat waits as its messages do; what was pressed is done at once all the same.
#[test]
fn a_chat_that_wants_a_pause_gets_no_courtesies() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, LISTENING);
        deliver(&notifier, with_buttons()).await;
        pass(world, seconds(2)).await;
        outside.telegram().faults.push_back(sim_receivers::Fault::Limited(100.0));
        deliver(&notifier, with_buttons()).await;
        pass(world, seconds(2)).await;
        let message = outside.telegram().receiver.messages[0].id;
        outside.telegram().receiver.press(5, 7, message, "a:17");
        outside.telegram().receiver.say(5, 7, "private", "why?");
        pass(world, seconds(60)).await;
        assert_eq!(done(&outside).len(), 2, "{:?}", done(&outside));
        assert_eq!(outside.telegram().receiver.answered.len(), 0);
        assert_eq!(outside.telegram().receiver.actions, 0);
        pass(world, seconds(60)).await;
        assert_eq!(outside.telegram().receiver.answered.len(), 1);
        assert_eq!(outside.telegram().violations, [""; 0]);
    });
}

#[test]
fn a_pause_is_kept_before_the_bot_is_known() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        outside.telegram().receiver.hello_limited = Some(30.0);
        start(world, &outside, LISTENING);
        pass(world, seconds(60)).await;
        let hellos = outside.telegram().receiver.hellos.clone();
        assert!(hellos.len() == 2 && hellos[1] - hellos[0] >= seconds(30), "{hellos:?}");
    });
}

#[test]
fn another_poller_is_given_way() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        outside.telegram().receiver.conflicts = 3;
        outside.telegram().receiver.press(5, 7, 1, "a:17");
        start(world, &outside, LISTENING);
        pass(world, seconds(30)).await;
        let polls = outside.telegram().receiver.polls.clone();
        assert!(polls[..4].windows(2).all(|pair| pair[1] - pair[0] >= seconds(3)), "{polls:?}");
        assert_eq!(done(&outside).len(), 1);
    });
}

#[test]
fn without_allowed_users_nobody_is_listened_to_and_no_buttons_are_shown() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        deliver(&notifier, with_buttons()).await;
        pass(world, seconds(10)).await;
        assert!(outside.telegram().receiver.polls.is_empty());
        assert!(outside.telegram().receiver.messages[0].keyboard.is_null());
    });
}
