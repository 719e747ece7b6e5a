//! The power is cut after every single step: nothing is lost, at most one message per channel comes twice and says so, order is kept.

use super::support::*;
use contract::clock::Clock as _;
use contract::notify::DeliveryState;
use runtime::world::World;
use sim_receivers::Fault;
use std::sync::Arc;

/// Titles in the order of their first arrival.
fn order(texts: &[String]) -> Vec<String> {
    let mut seen = Vec::new();
    for text in texts {
        let title = text.lines().next().unwrap_or_default().trim_start_matches(['🔴', '✅', ' ']).to_owned();
        if !seen.contains(&title) {
            seen.push(title);
        }
    }
    seen
}

fn cut_after(steps: i64, fault: Option<&Fault>) -> bool {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, ALL);
        pass(world, seconds(1)).await;
        let mut notices = Vec::new();
        for number in 0..3 {
            notices.push(alert(number, false));
        }
        if let Some(fault) = fault {
            outside.telegram().faults.push_back(fault.clone());
            outside.discord().faults.push_back(fault.clone());
            outside.hook().faults.push_back(fault.clone());
        }
        outside.fuse.lock().unwrap().0 = steps;
        for channel in ["telegram", "discord", "hook"] {
            let rows = queue(world, &outside, notices.clone(), channel);
            tell(&notifier, rows);
        }
        pass(world, seconds(30)).await;
        world.supervision.stop("notifier");
        world.settle().await;
        let was_cut = outside.fuse.lock().unwrap().0 == 0;
        outside.fuse.lock().unwrap().0 = -1;

        let again = start(world, &outside, ALL);
        pass(world, seconds(120)).await;
        let ends = queue(world, &outside, [alert(1, true)], "telegram");
        tell(&again, ends);
        pass(world, seconds(30)).await;
        let texts = outside.texts();
        assert_eq!(
            order(&texts),
            ["vm-000 crashed", "vm-001 crashed", "vm-002 crashed", "vm-001 runs again"],
            "{steps} {fault:?}: {texts:?}"
        );
        let repeats = texts.len() - 4;
        let allowed = 1 + usize::from(matches!(fault, Some(Fault::Lost | Fault::Cut)));
        assert!(repeats <= allowed, "{steps} {fault:?}: {texts:?}");
        let sent: Vec<String> = outside
            .telegram()
            .attempts
            .iter()
            .map(|(_, request)| String::from_utf8_lossy(&request.body).into_owned())
            .collect();
        let remarked = sent.iter().filter(|text| text.contains("(possibly repeated)")).count();
        assert!(repeats <= remarked, "{steps} {fault:?}: {texts:?}");
        let discord = outside.discord().receiver.messages.len();
        assert!((3..=3 + allowed).contains(&discord), "{steps} {fault:?}: {discord}");
        assert_eq!(outside.hook().receiver.keys().len(), 3, "{steps} {fault:?}");
        let rows = outside.rows.lock().unwrap();
        assert!(rows.values().all(|row| row.state == DeliveryState::Sent), "{steps} {fault:?}: {rows:?}");
        was_cut
    })
}

#[test]
fn no_cut_loses_anything() {
    for fault in [None, Some(Fault::Status(503)), Some(Fault::Lost), Some(Fault::Limited(2.0))] {
        let mut steps = 1;
        while cut_after(steps, fault.as_ref()) {
            steps += 1;
            assert!(steps < 500, "the scenario never ends");
        }
        assert!(steps > 20, "only {steps} steps: does the fuse still count?");
    }
}

#[test]
fn a_wait_outlasts_a_restart() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        outside.telegram().faults.push_back(Fault::Limited(100.0));
        deliver(&notifier, alert(1, false)).await;
        pass(world, seconds(10)).await;
        for _ in 0..5 {
            world.supervision.stop("notifier");
            world.settle().await;
            start(world, &outside, TELEGRAM);
            pass(world, seconds(10)).await;
        }
        assert_eq!(outside.telegram().attempts.len(), 1);
        pass(world, seconds(60)).await;
        assert_eq!(outside.telegram().violations, [""; 0]);
        assert_eq!(outside.texts().len(), 1);
    });
}

/// The row that met the limit is told by its end, an edit met it, or a call of the inbox: what was asked for binds whatever comes next.
#[test]
fn a_wait_outlasts_a_restart_whoever_met_it() {
    for who in ["an opening", "an edit", "an inbox"] {
        World::run(async |world| {
            let outside: Arc<Outside> = Arc::default();
            let notifier = start(world, &outside, LISTENING);
            pass(world, seconds(1)).await;
            let limit = || outside.telegram().faults.push_back(Fault::Limited(100.0));
            match who {
                "an opening" => {
                    limit();
                    deliver(&notifier, alert(1, false)).await;
                    pass(world, seconds(2)).await;
                    deliver(&notifier, alert(1, true)).await;
                }
                "an edit" => {
                    deliver(&notifier, alert(1, false)).await;
                    pass(world, seconds(2)).await;
                    deliver(&notifier, alert(1, true)).await;
                    pass(world, std::time::Duration::from_millis(500)).await;
                    limit();
                }
                _ => {
                    deliver(&notifier, alert(1, false)).await;
                    pass(world, seconds(2)).await;
                    limit();
                    outside.telegram().receiver.press(5, 7, 1, "a:17");
                }
            }
            pass(world, seconds(4)).await;
            assert!(outside.telegram().faults.is_empty(), "{who} did not meet it");
            for number in 2..6 {
                world.supervision.stop("notifier");
                world.settle().await;
                let notifier = start(world, &outside, LISTENING);
                deliver(&notifier, alert(number, false)).await;
                pass(world, seconds(10)).await;
            }
            pass(world, seconds(90)).await;
            assert_eq!(outside.telegram().violations, [""; 0], "{who}");
            assert!(outside.texts().len() >= 5, "{who}");
        });
    }
}

/// HAIA's time may run faster than the world's: a row is as old as the world's clock says, after a restart too.
#[test]
fn the_age_of_a_row_is_real_time_also_after_a_restart() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        for (minutes, title) in [(60, "young"), (25 * 60, "old")] {
            let mut told = alert(1, false);
            told.title = title.to_owned();
            let mut rows = queue(world, &outside, [told], "telegram");
            let mut row = rows.remove(0);
            let queued = world.clock.wall() - jiff::SignedDuration::from_mins(minutes);
            outside.rows.lock().unwrap().remove(&row.id);
            row.id = format!("{:012x}7{:019x}", queued.as_millisecond(), minutes).into();
            // Sixty times as fast.
            row.queued_at = world.clock.now() - jiff::SignedDuration::from_mins(minutes * 60);
            if title == "old" {
                row.queued_at = world.clock.now();
            }
            outside.rows.lock().unwrap().insert(Arc::clone(&row.id), row);
        }
        start(world, &outside, TELEGRAM);
        pass(world, seconds(30)).await;
        assert_eq!(outside.state_of("young", "telegram"), DeliveryState::Sent);
        assert_eq!(outside.state_of("old", "telegram"), DeliveryState::Dead);
    });
}

#[test]
fn a_long_message_goes_on_where_it_was_cut() {
    World::run(async |world| {
        let outside: Arc<Outside> = Arc::default();
        let notifier = start(world, &outside, TELEGRAM);
        pass(world, seconds(1)).await;
        let mut told = crate::message::tests::notice(
            contract::notify::NoticeKind::Answer,
            contract::alerts::Severity::Info,
            "Report",
        );
        told.text = Some((0..3000).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" "));
        let rows = queue(world, &outside, [told], "telegram");
        tell(&notifier, rows);
        pass(world, std::time::Duration::from_millis(2500)).await;
        let before = outside.texts().len();
        assert!((2..5).contains(&before), "{before}");
        world.supervision.stop("notifier");
        world.settle().await;
        start(world, &outside, TELEGRAM);
        pass(world, seconds(30)).await;
        let texts = outside.texts();
        let firsts = texts.iter().filter(|text| text.contains("(1/")).count();
        assert_eq!(firsts, 1, "the beginning is not told again");
        let all = texts.join(" ");
        assert!((0..3000).all(|number| all.contains(&format!("w{number}"))));
    });
}
