//! What healthy and misbehaving receivers get, one at a time.

use super::support::*;
use crate::message::tests::notice;
use contract::alerts::Severity;
use contract::failure::FailureClass;
use contract::message::{Lane, Reconfigure};
use contract::notify::{DeliveryState, ListChannels, ListDeadLetters, NoticeKind, TestChannel};
use runtime::world::World;
use sim_receivers::{Fault, Limit};
use std::sync::Arc;

#[test]
fn every_channel_gets_its_form_and_the_end_answers_and_marks_the_beginning() {
    World::run(async |world| {
        let outside = Arc::default();
        let notifier = start(world, &outside, ALL);
        deliver(&notifier, alert(1, false)).await;
        pass(world, seconds(2)).await;
        deliver(&notifier, alert(1, true)).await;
        pass(world, seconds(5)).await;

        let telegram = &outside.telegram().receiver.messages;
        assert_eq!(telegram.len(), 2);
        assert_eq!(telegram[1].answers, Some(telegram[0].id));
        assert!(
            telegram[1].text.starts_with("✅ vm-001 runs again\nFrom 12:48 to 12:59 (11 min)"),
            "{}",
            telegram[1].text
        );
        assert!(
            telegram[0].source.starts_with("✅ <s>vm-001 crashed</s>\nOver since 12:59 (after 11 min)\n"),
            "{}",
            telegram[0].source
        );
        let discord = &outside.discord().receiver.messages;
        assert_eq!((discord.len(), discord[0].edits), (2, 1));
        assert_eq!(discord[0].body["content"], "✅ ~~vm-001 crashed~~");
        assert_eq!(discord[1].body["content"], "✅ **vm-001 runs again**");
        let hook = outside.hook();
        let events: Vec<serde_json::Value> = hook.receiver.records.iter().map(|record| record.request.json()).collect();
        assert_eq!(
            events.iter().map(|event| event["kind"].as_str().unwrap()).collect::<Vec<_>>(),
            ["opened", "resolved"]
        );
        let first = &hook.receiver.records[0].request;
        assert_eq!(first.header("idempotency-key"), events[0]["delivery"].as_str());
        let signed = [first.header("x-haia-timestamp").unwrap().as_bytes(), b".", &first.body].concat();
        assert_eq!(first.header("x-haia-signature").unwrap(), hmac_of("shared", &signed));
    });
}

/// Made another way than the channel makes it.
fn hmac_of(secret: &str, text: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut key = [0u8; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let pad = |with: u8| key.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    format!("sha256={}", outer.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[test]
fn every_misbehaviour_ends_in_delivery_and_only_an_unknown_outcome_repeats() {
    for (fault, copies, is_remarked) in [
        (Fault::Status(503), 1, false),
        (Fault::Status(500), 1, false),
        (Fault::Garbage, 1, true),
        (Fault::Reset, 1, true),
        (Fault::Hang, 1, true),
        (Fault::Lost, 2, true),
        (Fault::Cut, 2, true),
        (Fault::Limited(3.0), 1, false),
    ] {
        World::run(async |world| {
            let outside = Arc::default();
            let notifier = start(world, &outside, ALL);
            outside.telegram().faults.push_back(fault.clone());
            outside.discord().faults.push_back(fault.clone());
            outside.hook().faults.push_back(fault.clone());
            deliver(&notifier, alert(1, false)).await;
            pass(world, seconds(60)).await;
            let texts = outside.texts();
            assert_eq!(texts.len(), copies, "{fault:?}: {texts:?}");
            assert_eq!(texts[copies - 1].ends_with("(possibly repeated)"), is_remarked, "{fault:?}: {texts:?}");
            assert_eq!(outside.discord().receiver.messages.len(), copies, "{fault:?}");
            // A program that takes anything takes garbage and pages for what they say: 200.
            assert_eq!(outside.hook().receiver.keys().len(), usize::from(fault != Fault::Garbage), "{fault:?}");
            assert_eq!(outside.telegram().violations, [""; 0]);
            assert_eq!(outside.state_of("vm-001 crashed", "telegram"), DeliveryState::Sent);
        });
    }
}

#[test]
fn a_wait_is_kept_to_the_letter_and_other_channels_go_on() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        outside.telegram().limit = Some(Limit { burst: 3.0, rate: 0.25 });
        outside.discord().limit = Some(Limit { burst: 2.0, rate: 2.0 });
        for number in 0..12 {
            deliver(&notifier, alert(number, false)).await;
        }
        pass(world, seconds(1)).await;
        assert_eq!(outside.hook().receiver.keys().len(), 12, "a limited channel delays no other");
        pass(world, seconds(120)).await;
        assert_eq!((outside.telegram().violations.len(), outside.discord().violations.len()), (0, 0));
        let titles: Vec<String> =
            outside.texts().iter().map(|text| text[..text.find('\n').unwrap()].to_owned()).collect();
        let expected: Vec<String> = (0..12).map(|number| format!("🔴 vm-{number:03} crashed")).collect();
        assert_eq!(titles, expected);
        assert_eq!(outside.discord().receiver.messages.len(), 12);
    });
}

#[test]
fn what_cannot_be_read_or_is_too_long_arrives_in_another_form() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        outside.telegram().receiver.refuses_html = true;
        outside.telegram().receiver.longest = 1500;
        outside.discord().receiver.refuses_embeds = true;
        let mut told = notice(NoticeKind::Answer, Severity::Info, "Report <b>&");
        told.text = Some((0..400).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" "));
        deliver(&notifier, told.clone()).await;
        pass(world, seconds(60)).await;
        let all = outside.texts().join(" ");
        let discord: String =
            outside.discord().receiver.messages.iter().map(sim_receivers::DiscordMessage::text).collect();
        for number in 0..400 {
            assert!(all.contains(&format!("word{number}")), "word{number} of {all}");
            assert!(discord.contains(&format!("word{number}")), "word{number} of {discord}");
        }
        assert!(all.contains("Report <b>& (1/"), "{all}");
        let bodies: Vec<Vec<u8>> =
            outside.telegram().attempts.iter().map(|(_, request)| request.body.clone()).collect();
        let refused = bodies.iter().filter(|body| String::from_utf8_lossy(body).contains("parse_mode")).count();
        assert_eq!(refused, 1, "a refused form is never sent again");
    });
}

#[test]
fn a_chat_that_moved_is_found_also_after_a_restart() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        outside.telegram().receiver.moved.push(("7".to_owned(), -1007));
        deliver(&notifier, alert(1, false)).await;
        pass(world, seconds(5)).await;
        let notifier = start(world, &outside, TELEGRAM);
        pass(world, seconds(1)).await;
        deliver(&notifier, alert(2, false)).await;
        pass(world, seconds(5)).await;
        let chats: Vec<String> =
            outside.telegram().receiver.messages.iter().map(|message| message.chat.clone()).collect();
        assert_eq!(chats, ["-1007", "-1007"]);
        assert_eq!(outside.telegram().attempts.len(), 3, "only the very first went to the old chat");
    });
}

#[test]
fn another_chat_in_the_configuration_is_not_where_the_old_one_moved_to() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        outside.telegram().receiver.moved.push(("7".to_owned(), -1007));
        deliver(&notifier, alert(1, false)).await;
        pass(world, seconds(5)).await;
        let chats = |outside: &Outside| -> Vec<String> {
            outside.telegram().receiver.messages.iter().map(|message| message.chat.clone()).collect()
        };
        let other = TELEGRAM.replace("\"7\"", "\"8\"");
        let mut notifier = notifier;
        for (number, config) in [(2, other.as_str()), (3, TELEGRAM)] {
            world.supervision.stop("notifier");
            world.settle().await;
            notifier = start(world, &outside, config);
            deliver(&notifier, alert(number, false)).await;
            pass(world, seconds(5)).await;
        }
        assert_eq!(chats(&outside), ["-1007", "8", "-1007"]);
        assert_eq!(outside.telegram().attempts.len(), 4, "the move is known still");
        let people = TELEGRAM.replace("}}", ",\"allowed_users\":[5]}}");
        for (number, config) in [(4, people), (5, other)] {
            let config = Arc::new(serde_json::from_str::<crate::Config>(&config).unwrap());
            notifier.port(Lane::Control).ask(Reconfigure(config), seconds(1)).await.unwrap();
            deliver(&notifier, alert(number, false)).await;
            pass(world, seconds(5)).await;
        }
        assert_eq!(chats(&outside), ["-1007", "8", "-1007", "-1007", "8"]);
        assert_eq!(outside.telegram().attempts.len(), 6);
    });
}

#[test]
fn a_receiver_that_refuses_for_good_is_left_alone_until_somebody_changes_something() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        outside.discord().receiver.is_gone = true;
        for number in 0..5 {
            deliver(&notifier, alert(number, false)).await;
        }
        pass(world, seconds(600)).await;
        assert_eq!(outside.discord().attempts.len(), 1);
        assert_eq!(outside.texts().len(), 5, "the others go on");
        let letters =
            notifier.port::<ListDeadLetters>(Lane::Interactive).ask(ListDeadLetters::default(), seconds(1)).await;
        let letters = letters.unwrap().unwrap();
        assert_eq!(letters.len(), 5);
        assert!(letters[0].last_error.as_deref().unwrap().contains("make a new one"), "{letters:?}");
        assert!(!format!("{letters:?}").contains("secret"));
        let status = notifier.port::<ListChannels>(Lane::Interactive).ask(ListChannels, seconds(1)).await.unwrap();
        let discord = status.iter().find(|status| status.kind == "discord").unwrap();
        assert_eq!((&*discord.state, discord.dead, discord.queued), ("refused", 5, 0));
        let raised =
            outside.reports.lock().unwrap().iter().flat_map(|report| report.judged.clone()).collect::<Vec<_>>();
        let discord = raised.iter().find(|judged| &*judged.scope == "channel/discord").unwrap();
        assert_eq!((&*discord.rule, discord.findings.len()), ("channel_failed", 1));

        // A new webhook: what died with the old one lives again.
        outside.discord().receiver.is_gone = false;
        outside.discord().receiver.path = "/api/webhooks/2/secret".to_owned();
        let config = ALL.replace("webhooks/1", "webhooks/2");
        let config = Arc::new(serde_json::from_str::<crate::Config>(&config).unwrap());
        notifier.port(Lane::Control).ask(Reconfigure(config), seconds(1)).await.unwrap();
        pass(world, seconds(60)).await;
        let told: String =
            outside.discord().receiver.messages.iter().map(sim_receivers::DiscordMessage::text).collect();
        for number in 0..5 {
            assert!(told.contains(&format!("vm-{number:03}")), "{told}");
        }
        let cleared =
            outside.reports.lock().unwrap().iter().flat_map(|report| report.judged.clone()).next_back().unwrap();
        let over = &cleared.findings[0];
        assert_eq!(
            (&*cleared.scope, over.raised(), &*over.summary),
            ("channel/discord", None, "delivers messages again")
        );
    });
}

/// The message that was refused itself waits until the channel has shown that it works; those that waited behind it do not.
#[test]
fn a_restart_does_not_send_what_was_refused_again() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        outside.discord().receiver.is_gone = true;
        for number in 0..3 {
            deliver_to(&notifier, alert(number, false), &["discord"]).await;
        }
        pass(world, seconds(10)).await;
        world.supervision.stop("notifier");
        world.settle().await;
        start(world, &outside, ALL);
        pass(world, seconds(10)).await;
        let sent = |outside: &Outside| -> Vec<String> {
            let told = |body: &[u8]| String::from_utf8_lossy(body)[..].split("vm-").nth(1).unwrap()[..3].to_owned();
            outside.discord().attempts.iter().map(|(_, request)| told(&request.body)).collect()
        };
        assert_eq!(sent(&outside), ["000", "001"]);
        world.supervision.stop("notifier");
        world.settle().await;
        outside.discord().receiver.is_gone = false;
        start(world, &outside, ALL);
        pass(world, seconds(10)).await;
        assert_eq!(sent(&outside), ["000", "001", "002", "000", "001"], "it works again: now they may be tried");
        assert!(outside.rows.lock().unwrap().values().all(|row| row.state == DeliveryState::Sent));
    });
}

#[test]
fn a_test_says_how_it_went_at_once() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        let port = notifier.port::<TestChannel>(Lane::Interactive);
        let test = |channel: &'static str| port.ask(TestChannel { channel: channel.into() }, seconds(40));
        let good = test("telegram").await.unwrap().unwrap();
        assert!(good.contains("telegram: sent in") && good.contains("message 1"), "{good}");
        outside.down.lock().unwrap().push("discord");
        let bad = test("discord").await.unwrap().unwrap_err();
        assert_eq!((bad.class, bad.message.as_ref()), (FailureClass::Unreachable, "connection refused"));
        let unknown = test("pager").await.unwrap().unwrap_err();
        assert!(unknown.message.contains("there is discord, hook, telegram"), "{}", unknown.message);
        outside.hook().faults.push_back(Fault::Hang);
        let slow = test("hook").await.unwrap().unwrap_err();
        assert!(slow.message.contains("no answer within 20 s"), "{}", slow.message);
    });
}

#[test]
fn a_message_for_a_channel_that_is_not_there_is_a_visible_dead_letter() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        deliver_to(&notifier, alert(1, false), &["pager", "telegram"]).await;
        pass(world, seconds(2)).await;
        assert_eq!(outside.state_of("vm-001 crashed", "pager"), DeliveryState::Dead);
        assert_eq!(outside.texts().len(), 1);
    });
}

#[test]
fn a_group_gets_at_most_eighteen_messages_a_minute() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, &TELEGRAM.replace("\"7\"", "\"-7\""));
        for number in 0..30 {
            deliver(&notifier, alert(number, false)).await;
        }
        pass(world, seconds(180)).await;
        let sent: Vec<f64> = outside.telegram().attempts.iter().map(|(at, _)| at.as_secs_f64()).collect();
        assert_eq!(sent.len(), 30);
        assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= 1.0), "{sent:?}");
        assert!(sent.windows(19).all(|window| window[18] - window[0] >= 60.0), "{sent:?}");
    });
}
