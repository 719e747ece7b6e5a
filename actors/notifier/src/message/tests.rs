//! What notices say, as tables: the words that people read.

use super::*;
use contract::notify::Notice;

/// A notice of one alert.
pub(crate) fn notice(kind: NoticeKind, severity: Severity, title: &str) -> Notice {
    Notice {
        id: "n1".into(),
        kind,
        severity,
        thread: "thread-1".into(),
        title: title.to_owned(),
        members: Vec::new(),
        more: 0,
        text: None,
        buttons: Vec::new(),
        at: "2026-03-01T12:00:00Z".parse().unwrap(),
        timezone: "Europe/Paris".into(),
        request_id: "r1".into(),
    }
}

/// A member with everything.
pub(crate) fn member(alert: u64, subject: &str, summary: &str) -> NoticeMember {
    NoticeMember {
        alert,
        name: format!("guest_crashed:lab/guest/{alert}").into(),
        rule: "guest_crashed".into(),
        subject: subject.to_owned(),
        summary: summary.to_owned(),
        severity: Severity::Critical,
        since: "2026-03-01T11:48:00Z".parse().unwrap(),
        ended: None,
        value: None,
        limit: None,
        before: None,
        meaning: None,
        affected: Vec::new(),
    }
}

fn shown(notice: &Notice) -> String {
    let message = Message::of(notice);
    let lines: Vec<String> = message.lines.iter().map(Line::text).collect();
    format!("{}{}\n{}", message.mark.prefix(), message.title, lines.join("\n"))
}

/// A program gets every member; a person reads so many.
#[test]
fn a_long_list_is_cut_for_people_and_says_so() {
    let mut told = notice(NoticeKind::Opened, Severity::Critical, "60 guests crashed");
    told.members.extend((0..60).map(|number| member(number, &format!("vm-{number:03}"), "crashed")));
    told.more = 2;
    let shown = shown(&told);
    assert_eq!(shown.matches("crashed").count(), 41, "{shown}");
    assert!(shown.ends_with("\nand 22 more"), "{shown}");
}

#[test]
fn one_alert_says_what_which_since_when_and_why() {
    let mut told = notice(NoticeKind::Opened, Severity::Critical, "web-01 (101) crashed");
    told.members.push(NoticeMember {
        before: Some("backup of 101 ended 2 min earlier".to_owned()),
        meaning: Some("its memory was probably used up; look at the task log".to_owned()),
        value: Some("96 %".to_owned()),
        limit: Some("95 %".to_owned()),
        ..member(17, "web-01 (101)", "crashed")
    });
    assert_eq!(
        shown(&told),
        "🔴 web-01 (101) crashed\n\
         Since 12:48 (12 min)\n\
         96 % (limit 95 %)\n\
         Just before: backup of 101 ended 2 min earlier\n\
         Its memory was probably used up; look at the task log.\n\
         #17 · guest_crashed"
    );
}

#[test]
fn an_end_says_how_long_it_was() {
    let mut told = notice(NoticeKind::Resolved, Severity::Critical, "web-01 (101) runs again");
    let ended = Some("2026-03-01T11:59:00Z".parse().unwrap());
    told.members.push(NoticeMember { ended, ..member(17, "web-01 (101)", "runs again") });
    assert_eq!(shown(&told), "✅ web-01 (101) runs again\nFrom 12:48 to 12:59 (11 min)\n#17 · guest_crashed");
}

#[test]
fn a_group_lists_its_members_and_a_cause_what_suffers() {
    let mut told = notice(NoticeKind::Opened, Severity::Critical, "Node pve2 does not answer, 30 guests with it");
    let affected: Vec<String> = (100..200).map(|id| format!("vm-{id}")).collect();
    told.members = vec![
        NoticeMember { affected, ..member(1, "node pve2", "does not answer") },
        NoticeMember { value: Some("3 min".to_owned()), ..member(2, "storage\nnfs", "is gone") },
    ];
    told.more = 3;
    let text = shown(&told);
    assert!(text.contains("\n• node pve2 does not answer since 12:48 (12 min) · #1\n"), "{text}");
    assert!(text.contains("\nAffected (100): vm-100, vm-101, "), "{text}");
    assert!(text.contains("vm-159 and 40 more\n"), "{text}");
    assert!(text.ends_with("\n• storage nfs is gone since 12:48 (12 min) · 3 min · #2\nand 3 more"), "{text}");
}

#[test]
fn free_text_keeps_its_shape_and_a_long_title_is_told_whole() {
    let mut told = notice(NoticeKind::Answer, Severity::Info, "");
    told.text = Some("All is **well**.\n\n- one\n- two".to_owned());
    assert_eq!(shown(&told), "\nAll is well.\n\n• one\n• two");
    let long = "word ".repeat(60);
    let told = notice(NoticeKind::Test, Severity::Info, &long);
    let message = Message::of(&told);
    assert!(message.title.ends_with("word…") && message.title.chars().count() <= TITLE);
    assert_eq!(message.lines[0].text(), long.trim_end());
}

#[test]
fn a_notice_that_says_nothing_still_says_so() {
    let message = Message::of(&notice(NoticeKind::Answer, Severity::Info, " \n\u{7}"));
    assert_eq!((message.title.as_str(), message.lines.len()), ("HAIA has nothing to add", 0));
}

#[test]
fn an_unknown_time_zone_counts_as_utc() {
    let mut told = notice(NoticeKind::Opened, Severity::Warning, "x");
    told.timezone = "Middle/Earth".into();
    told.members.push(member(1, "x", "y"));
    assert!(shown(&told).contains("Since 11:48 (12 min)"));
}
