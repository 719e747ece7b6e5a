//! Lanes by themselves: their order, what is put together, and what an outcome makes of a row.

use super::*;
use crate::channels::{Outcome, channel};
use crate::notifier::tests::support::{alert, seconds};
use contract::notify::{Notice, NoticeKind};

fn lane(config: &str) -> Lane {
    Lane::new("phone".into(), channel(&serde_json::from_str(config).unwrap()))
}

fn telegram() -> Lane {
    lane(r#"{"kind":"telegram","bot_token":"1:x","chat_id":"7"}"#)
}

fn row(id: &str, notice: Notice) -> OutboxRow {
    OutboxRow {
        id: id.into(),
        channel: "phone".into(),
        notice: Arc::new(notice),
        state: DeliveryState::Queued,
        attempts: 0,
        queued_at: Timestamp::UNIX_EPOCH,
        next_at: None,
        last_error: None,
        remote_id: None,
    }
}

fn at(second: u64) -> Now {
    let wall: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let wall = wall + jiff::SignedDuration::from_secs(second as i64);
    Now { mono: seconds(second), wall, haia: wall }
}

/// The id of what is sent next, with what is stored before.
fn send(lane: &mut Lane, now: Now) -> (String, KeepDeliveries) {
    match lane.next(now, &mut || "new".to_owned()) {
        (keep, Next::Send(attempt)) => (attempt.row.id.to_string(), keep),
        (_, Next::Wait(until)) => (format!("wait {}", until.as_secs()), KeepDeliveries::default()),
        (keep, Next::Idle) => ("idle".to_owned(), keep),
        (keep, Next::Mark(thread)) => (format!("mark {thread}"), keep),
    }
}

fn good() -> Outcome {
    Outcome::delivered(Some("9".into()))
}

fn retry() -> Outcome {
    Outcome::Retry { why: "down".to_owned(), wait: None }
}

#[test]
fn rows_go_out_by_their_ids_one_at_a_time_and_once() {
    let mut lane = telegram();
    for id in ["b", "a", "c", "a"] {
        lane.admit(row(id, alert(1, false)), Duration::ZERO, at(0));
    }
    let (first, keep) = send(&mut lane, at(0));
    assert_eq!((first.as_str(), keep.news.len(), keep.news[0].state), ("a", 1, DeliveryState::Sending));
    assert_eq!(send(&mut lane, at(0)).0, "idle", "one is under way");
    lane.admit(row("A", alert(2, false)), Duration::ZERO, at(0));
    let keep = lane.settle(good(), 1, at(0), 0.5);
    assert_eq!((keep.news[0].state, keep.news[0].remote_id.as_deref()), (DeliveryState::Sent, Some("9")));
    assert_eq!(send(&mut lane, at(0)).0, "wait 1", "a message a second");
    assert_eq!(send(&mut lane, at(2)).0, "A");
}

#[test]
fn an_end_of_some_does_not_swallow_the_beginning_of_all() {
    let mut group = alert(1, false);
    group.members.extend(alert(2, false).members);
    let mut end = alert(1, true);
    for (more, ends, merged) in [(0, 1, 0), (3, 2, 0), (0, 2, 1)] {
        let mut lane = telegram();
        group.more = more;
        lane.admit(row("a", group.clone()), Duration::ZERO, at(0));
        end.members.truncate(1);
        lane.admit(row("b", end.clone()), Duration::ZERO, at(0));
        if ends == 2 {
            let mut second = end.clone();
            second.members = alert(2, true).members;
            lane.admit(row("c", second), Duration::ZERO, at(0));
        }
        let (_, keep) = send(&mut lane, at(0));
        let count = keep.news.iter().filter(|news| news.state == DeliveryState::Merged).count();
        assert_eq!(count, merged, "{more} {ends}");
    }
}

#[test]
fn what_may_have_arrived_is_never_merged_and_stays_known_as_such() {
    let mut lane = telegram();
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    send(&mut lane, at(0));
    let keep = lane.settle(Outcome::Unknown { why: "lost".to_owned() }, 1, at(0), 0.0);
    assert_eq!(keep.news[0].state, DeliveryState::Sending, "so that a restart knows it too");
    lane.admit(row("b", alert(1, true)), Duration::ZERO, at(1));
    let (sent, keep) = send(&mut lane, at(5));
    assert_eq!((sent.as_str(), keep.news.len()), ("a", 0));
}

#[test]
fn a_wait_that_the_receiver_named_binds_tests_too_haias_own_patience_does_not() {
    let mut test = alert(9, false);
    test.kind = NoticeKind::Test;
    let mut lane = telegram();
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    for second in [0, 10, 20, 30] {
        send(&mut lane, at(second));
        lane.settle(retry(), 1, at(second), 1.0);
    }
    assert_eq!(send(&mut lane, at(32)).0, "wait 38");
    lane.admit(row("t", test.clone()), Duration::ZERO, at(32));
    assert_eq!(send(&mut lane, at(32)).0, "t");
    let limited = Outcome::Limited { wait: Some(seconds(40)), why: "slow".to_owned() };
    let keep = lane.settle(limited, 1, at(32), 1.0);
    assert_eq!(keep.news[0].next_at, Some(at(72).wall));
    assert_eq!(send(&mut lane, at(60)).0, "wait 72");
    assert_eq!(lane.state(at(60)), ("limited", Some(at(72).wall)));
}

#[test]
fn waits_survive_in_the_rows() {
    for (why, state) in [("asked to wait: slow", "limited"), ("connection refused", "idle")] {
        let mut lane = telegram();
        let kept = OutboxRow {
            next_at: Some(at(50).wall),
            last_error: Some(why.to_owned()),
            attempts: 3,
            ..row("a", alert(1, false))
        };
        lane.admit(kept, seconds(5), at(0));
        assert_eq!((send(&mut lane, at(10)).0.as_str(), lane.state(at(10)).0), ("wait 50", state));
        assert_eq!(send(&mut lane, at(50)).0, "a");
    }
}

fn limited(wait: u64) -> Outcome {
    Outcome::Limited { wait: Some(seconds(wait)), why: "slow".to_owned() }
}

/// What the lane wants kept of a pause until a minute after the beginning.
fn kept_pause(lane: &mut Lane) -> Option<String> {
    let kept = lane.next(at(1), &mut String::new).0.states.into_iter().find(|(name, _)| &**name == "phone/pause");
    kept.and_then(|(_, until)| until)
}

#[test]
fn a_pause_outlasts_the_row_that_met_it() {
    let minute = at(60).wall.to_string();
    let mut lane = telegram();
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    send(&mut lane, at(0));
    lane.settle(limited(60), 1, at(0), 0.5);
    assert_eq!(kept_pause(&mut lane).as_deref(), Some(minute.as_str()));
    assert_eq!(kept_pause(&mut lane), None, "once");
    // Its end tells it as well: what is left of the row is nothing.
    let mut lane = telegram();
    lane.restore("pause", &minute, at(5));
    lane.admit(row("b", alert(1, true)), Duration::ZERO, at(5));
    assert_eq!(send(&mut lane, at(59)).0, "wait 60");
    assert_eq!(kept_pause(&mut lane), None, "it is kept already");

    let mut lane = telegram();
    lane.restore("pause", "2096-01-01T00:00:00Z", at(0));
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    assert_eq!(send(&mut lane, at(5)).0, "wait 86400", "a clock that was set back is no reason to wait for ever");
}

#[test]
fn what_marking_and_other_calls_were_told_to_wait_counts_too() {
    let mut lane = telegram();
    lane.restore("marks", r#"["thread"]"#, at(0));
    assert_eq!(send(&mut lane, at(0)).0, "mark thread");
    lane.marked(Some(limited(60)), at(0), 0.5);
    assert!(kept_pause(&mut lane).is_some());

    let mut lane = telegram();
    lane.restore("marks", r#"["thread"]"#, at(0));
    send(&mut lane, at(0));
    lane.marked(Some(Outcome::Retry { why: "busy".to_owned(), wait: Some(seconds(60)) }), at(0), 0.5);
    assert!(kept_pause(&mut lane).is_some());

    let lane = &mut telegram();
    lane.bucket().borrow_mut().pause_until(seconds(60));
    assert!(kept_pause(lane).is_some(), "an inbox was told to wait");
}

#[test]
fn a_pause_outlasts_a_change_of_the_configuration() {
    let mut lane = telegram();
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    send(&mut lane, at(0));
    lane.settle(limited(60), 1, at(0), 0.5);
    lane.change(Rc::clone(telegram().channel()));
    assert_eq!(send(&mut lane, at(5)).0, "wait 60");
    assert_eq!(send(&mut lane, at(60)).0, "a");
}

#[test]
fn a_backlog_is_a_digest_only_after_an_outage() {
    let fill = |lane: &mut Lane, age| {
        for number in 0..30 {
            lane.admit(row(&format!("r{number:02}"), alert(number, false)), age, at(0));
        }
    };
    let merged = |keep: &KeepDeliveries| keep.news.iter().filter(|news| news.state == DeliveryState::Merged).count();
    let mut lane = telegram();
    fill(&mut lane, Duration::ZERO);
    send(&mut lane, at(0));
    lane.settle(good(), 1, at(0), 0.5);
    assert_eq!(merged(&send(&mut lane, at(5)).1), 0, "a burst is told message by message");

    let mut lane = telegram();
    fill(&mut lane, Duration::ZERO);
    send(&mut lane, at(0));
    lane.settle(retry(), 1, at(0), 0.0);
    assert_eq!(send(&mut lane, at(5)).0, "r00", "what comes first shows whether it works again");
    lane.settle(good(), 1, at(5), 0.5);
    let (sent, keep) = send(&mut lane, at(10));
    assert_eq!((sent.as_str(), merged(&keep), keep.rows.len()), ("new", 29, 1));
    assert_eq!(&*keep.rows[0].notice.title, "phone could not be reached for a while: 29 open, 0 over");

    let mut lane = lane_of_webhook();
    fill(&mut lane, seconds(3600));
    send(&mut lane, at(0));
    lane.settle(good(), 1, at(0), 0.5);
    assert_eq!(merged(&send(&mut lane, at(5)).1), 0, "a program gets every event");
}

/// Whatever a digest takes the place of is told in it: what it lists is nowhere else any more.
#[test]
fn a_digest_leaves_nothing_out() {
    let mut lane = telegram();
    for number in 0..2000 {
        lane.admit(row(&format!("r{number:04}"), alert(number, false)), Duration::ZERO, at(0));
    }
    send(&mut lane, at(0));
    lane.settle(retry(), 1, at(0), 0.0);
    send(&mut lane, at(5));
    lane.settle(good(), 1, at(5), 0.5);
    let (_, Next::Send(attempt)) = lane.next(at(10), &mut || "new".to_owned()) else { panic!("nothing to send") };
    let text: Vec<String> = attempt.parts.iter().flat_map(|part| part.lines.iter().map(Line::text)).collect();
    let is_told = |number: &u64| text.iter().any(|line| line.contains(&format!("vm-{number:03} crashed")));
    assert_eq!((1..2000).find(|number| !is_told(number)), None, "of {} parts", attempt.parts.len());
    assert!(text.iter().all(|line| line.contains("crashed")), "each line is whole");
}

fn lane_of_webhook() -> Lane {
    lane(r#"{"kind":"webhook","url":"http://x"}"#)
}

#[test]
fn an_unlimited_limit_waits_longer_and_longer() {
    let mut lane = lane(r#"{"kind":"ntfy","topic":"x"}"#);
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    let mut waits = Vec::new();
    let mut now = 0;
    for _ in 0..5 {
        send(&mut lane, at(now));
        lane.settle(Outcome::Limited { wait: None, why: "busy".to_owned() }, 1, at(now), 1.0);
        match lane.next(at(now), &mut String::new).1 {
            Next::Wait(until) => waits.push(until.as_secs() - now),
            _ => panic!("it should wait"),
        }
        now += 1000;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16]);
}

/// One bad message must not shut a channel again and again.
#[test]
fn what_was_refused_with_its_channel_gets_one_more_try() {
    let gone = || Outcome::Stopped { why: "gone".to_owned() };
    let mut lane = telegram();
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    lane.admit(row("b", alert(2, false)), Duration::ZERO, at(0));
    send(&mut lane, at(0));
    let first = lane.settle(gone(), 1, at(0), 0.5).news.remove(0);
    let second = send(&mut lane, at(5)).1.news.remove(0);
    let why = |news: &DeliveryNews| news.last_error.clone().unwrap();
    assert!(why(&first).starts_with(STOPPED_WITH) && why(&second).starts_with(STOPPED), "{first:?} {second:?}");
    let mut lane = telegram();
    let again = OutboxRow { last_error: first.last_error.clone(), attempts: 1, ..row("a", alert(1, false)) };
    lane.admit(again, Duration::ZERO, at(10));
    send(&mut lane, at(10));
    assert_eq!(why(&lane.settle(gone(), 1, at(10), 0.5).news[0]), "gone", "and no third");
}

#[test]
fn forms_get_plainer_and_smaller_until_nothing_is_left() {
    let mut lane = telegram();
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    let mut forms = Vec::new();
    let mut second = 0;
    let dead = loop {
        second += 10;
        let (_, Next::Send(attempt)) = lane.next(at(second), &mut String::new) else { panic!("nothing to send") };
        forms.push(attempt.form);
        let is_odd = forms.len() % 2 == 1;
        let outcome = match is_odd || attempt.form.is_plain {
            true if attempt.form.is_plain => Outcome::TooLong { why: "too long".to_owned() },
            _ => Outcome::Plainer { why: "can't parse".to_owned() },
        };
        let keep = lane.settle(outcome, 1, at(second), 0.5);
        if keep.news[0].state == DeliveryState::Dead {
            break keep.news[0].clone();
        }
    };
    assert_eq!(forms.len(), forms.iter().collect::<std::collections::HashSet<_>>().len(), "no form twice: {forms:?}");
    assert_eq!(dead.last_error.as_deref(), Some("too long"));
    assert_eq!(lane.counts.dead, 1);
}

#[test]
fn a_channel_that_refuses_every_message_is_in_trouble() {
    let refused = || Outcome::Refused { why: "spam".to_owned() };
    let mut lane = telegram();
    for number in 0..3 {
        assert_eq!((lane.trouble(at(number * 10)), lane.state(at(number * 10)).0), (None, "idle"), "{number}");
        lane.admit(row(&format!("r{number}"), alert(number, false)), Duration::ZERO, at(number * 10));
        send(&mut lane, at(number * 10));
        lane.settle(refused(), 1, at(number * 10), 0.5);
    }
    assert_eq!((lane.trouble(at(30)), lane.state(at(30)).0), (Some("spam"), "failing"));
    lane.admit(row("s", alert(9, false)), Duration::ZERO, at(40));
    send(&mut lane, at(40));
    lane.settle(good(), 1, at(40), 0.5);
    assert_eq!((lane.trouble(at(400)), lane.state(at(400)).0), (None, "ok"));
    // One odd message is none, however long nothing comes after it.
    for (number, trouble) in [(0, None), (1, Some("spam"))] {
        lane.admit(row(&format!("t{number}"), alert(number, false)), Duration::ZERO, at(500));
        send(&mut lane, at(500 + number * 10));
        lane.settle(refused(), 1, at(500 + number * 10), 0.5);
        assert_eq!((lane.trouble(at(799)), lane.trouble(at(900))), (None, trouble));
    }
}

#[test]
fn trouble_is_told_after_five_minutes_or_at_once_when_refused() {
    let mut lane = telegram();
    lane.admit(row("a", alert(1, false)), Duration::ZERO, at(0));
    send(&mut lane, at(0));
    lane.settle(retry(), 1, at(0), 0.5);
    assert_eq!((lane.trouble(at(299)), lane.trouble(at(300))), (None, Some("down")));
    send(&mut lane, at(300));
    lane.settle(good(), 1, at(300), 0.5);
    assert_eq!(lane.trouble(at(300)), None);
    lane.admit(row("b", alert(2, false)), Duration::ZERO, at(301));
    lane.admit(row("c", alert(3, false)), Duration::ZERO, at(301));
    send(&mut lane, at(310));
    lane.settle(Outcome::Stopped { why: "no such chat".to_owned() }, 1, at(310), 0.5);
    assert_eq!(lane.trouble(at(310)), Some("no such chat"));
    let (next, keep) = send(&mut lane, at(320));
    assert_eq!((next.as_str(), keep.news[0].state), ("idle", DeliveryState::Dead));
}
