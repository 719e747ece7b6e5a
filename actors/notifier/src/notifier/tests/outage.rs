//! Long outages: patience, what is told after them, and what is given up.

use super::support::*;
use contract::message::{Drain, Lane};
use contract::notify::{DeliveryState, ListChannels};
use runtime::world::World;
use sim_receivers::Fault;
use std::sync::Arc;

#[test]
fn an_outage_ends_in_a_digest_with_everything_in_it_but_webhooks_get_every_event() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        pass(world, seconds(1)).await;
        for sim in ["telegram", "discord", "hook"] {
            outside.down.lock().unwrap().push(sim);
        }
        for number in 0..300 {
            deliver(&notifier, alert(number, false)).await;
            if number % 3 == 0 {
                deliver(&notifier, alert(number, true)).await;
            }
            pass(world, seconds(12)).await;
        }
        assert_eq!(outside.telegram().attempts.len(), 0);
        outside.down.lock().unwrap().clear();
        pass(world, seconds(900)).await;
        let texts = outside.texts();
        assert!(texts.len() <= 10, "{} messages", texts.len());
        let all = texts.join("\n");
        for number in 0..300 {
            assert!(all.contains(&format!("vm-{number:03}")), "vm-{number:03} is missing");
        }
        let digest = &texts[1];
        assert!(digest.starts_with("🔴 telegram could not be reached for a while: 200 open, 99 over (1/"), "{digest}");
        let newest = digest.lines().nth(1).unwrap();
        assert!(newest.contains("vm-299 crashed: critical since"), "{newest}");
        let discord = outside.discord().receiver.messages.len();
        assert!(discord <= 10, "{discord} messages");
        assert_eq!(outside.hook().receiver.keys().len(), 400);
        assert_eq!(outside.state_of("vm-120 crashed", "telegram"), DeliveryState::Merged);
        let reports = outside.reports.lock().unwrap();
        let of = |scope: &str| {
            reports
                .iter()
                .flat_map(|report| &report.judged)
                .filter(|judged| &*judged.scope == scope)
                .map(|judged| judged.findings[0].raised().is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("channel/telegram"), [true, false], "raised once, cleared once");
    });
}

#[test]
fn an_opening_and_its_end_that_both_wait_become_one_message() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        pass(world, seconds(1)).await;
        outside.down.lock().unwrap().extend(["telegram", "hook"]);
        for (number, is_over) in [(1, false), (2, false), (1, true), (3, false)] {
            deliver_to(&notifier, alert(number, is_over), &["telegram", "hook"]).await;
        }
        pass(world, seconds(20)).await;
        outside.down.lock().unwrap().clear();
        pass(world, seconds(400)).await;
        let titles: Vec<String> = outside.texts().iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
        assert_eq!(titles, ["🔴 vm-002 crashed", "✅ vm-001 runs again", "🔴 vm-003 crashed"]);
        assert!(outside.texts()[1].contains("Not told before: vm-001 crashed"));
        assert_eq!(outside.hook().receiver.keys().len(), 4);
        assert_eq!(outside.state_of("vm-001 crashed", "telegram"), DeliveryState::Merged);
    });
}

/// A proxy in front of a self-hosted server that is being set up answers 404 or 403 for a while: that is an outage, not the server's word.
#[test]
fn a_proxys_refusals_pass() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        outside.telegram().faults.extend([401, 403, 404].map(Fault::Status));
        for number in 0..3 {
            deliver(&notifier, alert(number, false)).await;
        }
        pass(world, seconds(60)).await;
        assert_eq!(outside.texts().len(), 3);
        assert!(outside.rows.lock().unwrap().values().all(|row| row.state == DeliveryState::Sent));
    });
}

#[test]
fn a_channel_that_refuses_every_message_is_reported_and_then_taken_back() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        outside.hook().outage = Some(Fault::Status(400));
        let raised = |outside: &Outside| -> Vec<bool> {
            let reports = outside.reports.lock().unwrap();
            let judged = reports.iter().flat_map(|report| &report.judged);
            judged
                .filter(|judged| &*judged.scope == "channel/hook")
                .map(|it| it.findings[0].raised().is_some())
                .collect()
        };
        for number in 0..3 {
            deliver(&notifier, alert(number, false)).await;
        }
        pass(world, seconds(5)).await;
        assert_eq!(raised(&outside), [true]);
        outside.hook().outage = None;
        deliver(&notifier, alert(7, false)).await;
        pass(world, seconds(5)).await;
        assert_eq!(raised(&outside), [true, false]);
    });
}

#[test]
fn after_a_day_a_row_is_given_up_and_seen() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        outside.telegram().outage = Some(Fault::Status(503));
        deliver(&notifier, alert(1, false)).await;
        pass(world, seconds(23 * 3600)).await;
        assert_eq!(outside.state_of("vm-001 crashed", "telegram"), DeliveryState::Queued);
        let attempts = outside.telegram().attempts.len();
        assert!((270..2000).contains(&attempts), "{attempts}");
        pass(world, seconds(2 * 3600)).await;
        assert_eq!(outside.state_of("vm-001 crashed", "telegram"), DeliveryState::Dead);
        let status = notifier.port::<ListChannels>(Lane::Interactive).ask(ListChannels, seconds(1)).await.unwrap();
        assert_eq!((status[0].dead, status[0].queued), (1, 0));
        assert!(status[0].last_error.as_deref().unwrap().contains("503"));
    });
}

#[test]
fn a_store_that_takes_nothing_stops_sending_and_loses_nothing() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        pass(world, seconds(1)).await;
        *outside.is_store_broken.lock().unwrap() = true;
        let rows = queue(world, &outside, [alert(1, false), alert(2, false)], "telegram");
        tell(&notifier, rows);
        pass(world, seconds(120)).await;
        assert_eq!(outside.telegram().attempts.len(), 0, "nothing is sent that could not be marked");
        *outside.is_store_broken.lock().unwrap() = false;
        pass(world, seconds(60)).await;
        assert_eq!(outside.texts().len(), 2);
        assert_eq!(outside.state_of("vm-002 crashed", "telegram"), DeliveryState::Sent);
    });
}

#[test]
fn rows_whose_word_was_lost_are_found_in_the_store() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        start(world, &outside, TELEGRAM);
        pass(world, seconds(1)).await;
        queue(world, &outside, [alert(1, false)], "telegram");
        pass(world, seconds(35)).await;
        assert_eq!(outside.texts().len(), 1);
    });
}

/// The desk stored a row, took it for not stored, and stored and told it again after it had been found and sent.
#[test]
fn a_row_that_was_sent_is_not_sent_again_when_its_word_comes_late() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        pass(world, seconds(1)).await;
        let rows = queue(world, &outside, [alert(1, false)], "hook");
        pass(world, seconds(60)).await;
        assert_eq!(outside.hook().attempts.len(), 1);
        tell(&notifier, rows);
        pass(world, seconds(10)).await;
        assert_eq!(outside.hook().attempts.len(), 1);
    });
}

#[test]
fn a_row_that_was_sent_is_not_sent_again_while_the_store_takes_nothing() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        pass(world, seconds(1)).await;
        outside.hook().faults.push_back(Fault::Hang);
        deliver_to(&notifier, alert(1, false), &["hook"]).await;
        pass(world, seconds(10)).await;
        // It answers within 20 s that it has no answer; the next attempt arrives, and just then the disk is full.
        *outside.breaks_after_sent.lock().unwrap() = true;
        pass(world, seconds(600)).await;
        assert!(*outside.is_store_broken.lock().unwrap(), "the store never broke");
        assert_eq!(outside.hook().attempts.len(), 2);
        *outside.is_store_broken.lock().unwrap() = false;
        pass(world, seconds(60)).await;
        assert_eq!(outside.hook().attempts.len(), 2);
        assert_eq!(outside.state_of("vm-001 crashed", "hook"), DeliveryState::Sent);
    });
}

#[test]
fn a_drain_sends_what_it_can_and_leaves_the_rest() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        pass(world, seconds(1)).await;
        outside.discord().outage = Some(Fault::Hang);
        for number in 0..30 {
            deliver(&notifier, alert(number, false)).await;
        }
        notifier.port::<Drain>(Lane::Control).ask(Drain, seconds(5)).await.unwrap();
        assert_eq!(outside.hook().receiver.keys().len(), 30);
        let sent = outside.texts().len();
        assert!((4..=6).contains(&sent), "{sent}");
        assert_eq!(outside.state_of("vm-029 crashed", "telegram"), DeliveryState::Queued);
    });
}
