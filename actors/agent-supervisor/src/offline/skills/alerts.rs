//! "Any alerts?", "show alerts", "which alerts were there last night?": what the alert desk has open, and what is over.

use super::{Planned, Skill, call};
use crate::offline::clock::{Now, moment};
use crate::offline::facts::{Facts, counted, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::{Question, Window};
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most alerts in a table.
const ROWS: usize = 30;
/// The most alerts looked through for a stretch of time.
const LOOKED_THROUGH: usize = 200;
/// The most alerts in an answer about something else.
const BRIEF: usize = 5;
/// Words of those who ask for what is over.
const OVER: &str = "ended|over|past|resolved|recent|history|closed|were|latest|last|old";

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "alerts",
    example: Some("any alerts?"),
    title: "Alerts",
    tag: "Monitoring",
    patterns: &[
        "/alerts",
        "alert|alerts|alarm|alarms",
        "any|what|which|show|list|give|check|how|are|is alert|alerts|alarm|alarms",
        "any|what|which|show|list|how|all|current|open|active|recent|latest|critical|new|ended|resolved|past|last alert|alerts|alarm|alarms",
        "any|what|which|show|list|how open|active|current|recent|latest|new|critical|firing|ended|resolved|past|last alert|alerts|alarm|alarms",
        "any|what|which|show|list|how alert|alerts|alarm|alarms open|active|firing|there|now|critical|ended|over|resolved|history|acknowledged|pending",
        "alert|alerts|alarm|alarms open|active|firing|list|status|overview|history|summary|now",
        "what|is alerting|firing",
        "is|are anything|something|any alerting|firing",
        "why did you|haia alert|page|wake|notify|message me",
        "what did you|haia alert|page|wake|notify|message me about",
    ],
    plan,
    render,
    ..Skill::PLAIN
}];

fn wants_past(question: &Question) -> bool {
    question.period().is_some() || question.has(OVER)
}

fn plan(question: &Question) -> Vec<Planned> {
    let is_past = wants_past(question);
    let limit = if is_past { LOOKED_THROUGH } else { ROWS };
    let arguments =
        json!({"ended": is_past, "limit": limit, "object": null, "pending": !is_past, "rule": null, "severity": null});
    vec![call("list_alerts", &arguments), call("get_time", &json!({"timezone": null}))]
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let (value, now) = (value(results, 0)?, Now::read(results, 1)?);
    let facts = Facts::new(&value);
    let window = question.period().map(|period| period.window(now.second_of_day()));
    let was_then = |alert: &Facts<'_>| window.is_none_or(|window| overlaps(*alert, window, &now));
    let all: Vec<Facts<'_>> = facts.list("alerts").filter(was_then).collect();
    let state = |alert: &&Facts<'_>, state: &str| alert.text("state") == Some(state);
    let is_open = |alert: &&Facts<'_>| state(alert, "firing") || state(alert, "acknowledged");
    let (open, over, pending) = (
        all.iter().filter(is_open).count() as u64,
        all.iter().filter(|alert| state(alert, "resolved")).count() as u64,
        all.iter().filter(|alert| state(alert, "pending")).count() as u64,
    );
    let critical = all.iter().filter(is_open).filter(|alert| alert.text("severity") == Some("critical")).count();
    let mut body = match (question.period(), open) {
        (Some(period), _) if all.is_empty() => format!("**No alert** {}.\n", period.words()),
        (Some(period), open) => {
            format!("**{}** {}: {open} still open, {over} over.\n", counted(open + over, "alert"), period.words())
        }
        (None, 0) => "**No alert is open.**\n".to_owned(),
        (None, 1) => "**One alert is open:**\n".to_owned(),
        (None, open) => {
            let worst = if critical > 0 { format!(", {critical} critical") } else { String::new() };
            format!("**{open} alerts are open**{worst}:\n")
        }
    };
    let known: Vec<Facts<'_>> = all.iter().filter(|alert| !state(alert, "pending")).copied().collect();
    if !known.is_empty() {
        let _ = write!(
            body,
            "\n{}",
            table(["alert", "severity", "state", "for", "what"], known.iter().take(ROWS).map(|alert| row(*alert)))
        );
    }
    if known.len() > ROWS {
        let _ = writeln!(body, "\nand {} more.", known.len() - ROWS);
    }
    if pending > 0 {
        let names: Vec<String> =
            all.iter().filter(|alert| state(alert, "pending")).take(BRIEF).map(|alert| alert.shown("what")).collect();
        let rest = if pending > BRIEF as u64 { format!(" and {} more", pending - BRIEF as u64) } else { String::new() };
        let _ = writeln!(body, "\nAbout to open: {}{rest}.", names.join("; "));
    }
    if let Some(first) = known.iter().find_map(|alert| alert.count("alert")) {
        let _ = writeln!(body, "\nFor one of them ask \"explain alert {first}\".");
    }
    Ok(body)
}

/// Whether an alert was open in a stretch of time.
fn overlaps(alert: Facts<'_>, window: Window, now: &Now) -> bool {
    let Some(began) = moment(alert, "since").map(|at| now.ago_s(at)) else { return true };
    let ended = moment(alert, "ended").map_or(0, |at| now.ago_s(at));
    began >= window.to_s && ended <= window.from_s
}

fn row(alert: Facts<'_>) -> [String; 5] {
    let number = alert.count("alert").map_or_else(|| "–".to_owned(), |number| format!("{number}"));
    let severity = match alert.text("severity") {
        Some("critical") => "**critical**".to_owned(),
        _ => alert.shown("severity"),
    };
    let mut state = match alert.text("state") {
        Some("firing") => "open".to_owned(),
        Some("resolved") => "over".to_owned(),
        _ => alert.shown("state"),
    };
    if let Some(who) = alert.text("acknowledged_by") {
        let _ = write!(state, " by {}", inline(who));
    }
    if let Some(held) = alert.text("held_by") {
        let _ = write!(state, ", {}", inline(held));
    }
    if alert.is("flapping") {
        state.push_str(", comes and goes");
    }
    [number, severity, state, alert.shown("for"), alert.shown("what")]
}

/// What is open, in few lines, from the extract of HAIA's status; empty where the alert desk did not answer.
pub(super) fn brief(status: Facts<'_>) -> String {
    let Some(open) = status.count("alerts_open") else { return String::new() };
    let mut body = match open {
        0 => return "No alert is open.\n".to_owned(),
        1 => "**One alert is open:**\n\n".to_owned(),
        open => format!("**{open} alerts are open:**\n\n"),
    };
    for alert in status.list("alerts").take(BRIEF) {
        let known = if alert.text("state") == Some("acknowledged") { ", acknowledged" } else { "" };
        let _ =
            writeln!(body, "- #{}, {}{known}: {}", alert.shown("alert"), alert.shown("severity"), alert.shown("what"));
    }
    if open > BRIEF as u64 {
        let _ = writeln!(body, "- and {} more: \"show alerts\"", open - BRIEF as u64);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = r#"{"utc":"2026-03-01T12:00:00Z","timezone":"UTC"}"#;
    const FOUND: &str = r#"{"total":3,"alerts":[
        {"alert":5,"state":"firing","severity":"critical","what":"web-01 (101) crashed","since":"2026-03-01T11:55:00Z","for":"5 min"},
        {"alert":4,"state":"acknowledged","severity":"warning","what":"nas_nfs is 93 % full","since":"2026-03-01T03:00:00Z","for":"9 h","acknowledged_by":"anna"},
        {"alert":3,"state":"resolved","severity":"warning","what":"pve2 was down","since":"2026-02-28T22:00:00Z","ended":"2026-02-28T23:00:00Z","for":"60 min"},
        {"state":"pending","severity":"warning","what":"pve1 is busy","since":"2026-03-01T11:59:00Z","for":"60 s"}]}"#;

    fn said(question: &str, found: &str) -> String {
        render(&Question::new(question), &[ToolResult::ok(found), ToolResult::ok(NOW)]).expect("reads")
    }

    #[test]
    fn open_ones_come_with_their_number_and_pending_ones_are_not_counted() {
        assert_eq!(
            said("any alerts?", FOUND),
            "**2 alerts are open**, 1 critical:\n\n\
             | alert | severity | state | for | what |\n| --- | --- | --- | --- | --- |\n\
             | 5 | **critical** | open | 5 min | web-01 (101) crashed |\n\
             | 4 | warning | acknowledged by anna | 9 h | nas\\_nfs is 93 % full |\n\
             | 3 | warning | over | 60 min | pve2 was down |\n\
             \nAbout to open: pve1 is busy.\n\nFor one of them ask \"explain alert 5\".\n"
        );
        assert_eq!(said("any alerts?", r#"{"total":0,"note":"no alert fits"}"#), "**No alert is open.**\n");
    }

    #[test]
    fn a_time_is_kept_to() {
        let night = said("any alerts last night?", FOUND);
        assert!(night.starts_with("**2 alerts** last night (20:00 to 08:00): 1 still open, 1 over.\n"), "{night}");
        assert!(!night.contains("web-01"), "{night}");
        assert_eq!(said("alerts in the last 10 minutes", "{}"), "**No alert** in the last 10 minutes.\n");
        assert!(plan(&Question::new("alerts of last night"))[0].arguments.contains(r#""ended":true"#));
        assert!(plan(&Question::new("any alerts?"))[0].arguments.contains(r#""ended":false"#));
    }

    #[test]
    fn other_answers_tell_of_them_in_brief() {
        let of = |text: &str| brief(Facts::new(&serde_json::from_str(text).expect("JSON")));
        assert_eq!((of("{}"), of(r#"{"alerts_open":0}"#)), (String::new(), "No alert is open.\n".to_owned()));
        assert_eq!(
            of(
                r#"{"alerts_open":7,"alerts":[{"alert":5,"severity":"critical","state":"firing","what":"web-01 crashed"}]}"#
            ),
            "**7 alerts are open:**\n\n- #5, critical: web-01 crashed\n- and 2 more: \"show alerts\"\n"
        );
    }
}
