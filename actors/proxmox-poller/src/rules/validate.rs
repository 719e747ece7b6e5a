//! Checks how rules are set, as far as this crate knows the rules: levels that a rule has, and thresholds that make sense.

use super::{RULES, Rule};
use contract::alerts::matches_pattern;
use contract::monitor::{LevelSettings, RuleBook, RuleSettings};
use std::time::Duration;

/// A time beyond this is a slip: nobody waits for so long.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);

/// What is wrong with the settings of this crate's rules: key and message. Names of rules that it does not know are not its business.
pub fn validate_rules(book: &RuleBook) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    for rule in RULES {
        if let Some(set) = book.rules.get(rule.info.name) {
            let mut whole = rule.info.defaults.clone();
            whole.lay(set);
            check(rule, set, &whole, &format!("monitor.rules.{}", rule.info.name), &mut problems);
        }
    }
    for (at, narrower) in book.overrides.iter().enumerate() {
        let key = format!("monitor.overrides[{at}].set");
        let concerned = |rule: &&&Rule| {
            narrower.rules.is_empty() || narrower.rules.iter().any(|pattern| matches_pattern(pattern, rule.info.name))
        };
        let concerned: Vec<&Rule> = RULES.iter().filter(concerned).copied().collect();
        let mut found = Vec::new();
        for rule in &concerned {
            let mut whole = book.general(&rule.info);
            whole.lay(&narrower.set);
            check(rule, &narrower.set, &whole, &key, &mut found);
        }
        // A pattern may pick rules of several kinds: a level counts as known when any of them has it.
        let unknown = |problem: &(String, String)| problem.1.contains("has no level");
        if concerned.len() > 1 && found.iter().filter(|problem| unknown(problem)).count() < concerned.len() {
            found.retain(|problem| !unknown(problem));
        }
        found.dedup();
        problems.extend(found);
    }
    problems
}

const NAMES: [&str; 3] = ["info", "warning", "critical"];

fn of(settings: &RuleSettings) -> [&Option<LevelSettings>; 3] {
    [&settings.info, &settings.warning, &settings.critical]
}

fn check(rule: &Rule, set: &RuleSettings, whole: &RuleSettings, key: &str, problems: &mut Vec<(String, String)>) {
    let name = rule.info.name;
    let has: Vec<&str> =
        NAMES.iter().zip(of(&rule.info.defaults)).filter(|(_, level)| level.is_some()).map(|(name, _)| *name).collect();
    for (at, word) in NAMES.iter().enumerate() {
        let (Some(level), Some(merged)) = (of(set)[at], of(whole)[at]) else { continue };
        let key = format!("{key}.{word}");
        let Some(usual) = of(&rule.info.defaults)[at] else {
            problems.push((key, format!("{name} has no level {word}; it has {}", has.join(" and "))));
            continue;
        };
        let mut wrong = |member: &str, why: String| problems.push((format!("{key}.{member}"), why));
        for (member, mark, used) in [("above", level.above, usual.above), ("below", level.below, usual.below)] {
            match (mark, used) {
                (Some(_), None) => wrong(member, format!("{name} has no threshold of this kind{}", other(usual))),
                (Some(mark), Some(_)) if !mark.is_finite() || mark < 0.0 => {
                    wrong(member, format!("{mark} is no threshold: write a number from 0 on"));
                }
                (Some(mark), Some(_)) if rule.info.unit == "%" && mark > 100.0 => {
                    wrong(member, format!("{mark} % is never reached: write 0 to 100"));
                }
                _ => {}
            }
        }
        match (level.clear, merged.above, merged.below, merged.clear) {
            (Some(_), None, None, _) => wrong("clear", format!("{name} has no threshold that could be cleared")),
            (_, Some(above), _, Some(clear)) if !clear.is_finite() || clear > above => {
                wrong(
                    "clear",
                    format!("{clear} must not be higher than above ({above}): it would clear while it raises"),
                );
            }
            (_, None, Some(below), Some(clear)) if !clear.is_finite() || clear < below => {
                wrong(
                    "clear",
                    format!("{clear} must not be lower than below ({below}): it would clear while it raises"),
                );
            }
            _ => {}
        }
        for (member, span) in [("for", level.hold), ("clear_for", level.clear_for)] {
            if span.is_some_and(|span| span.0 > LONGEST) {
                wrong(member, "it is longer than a year".to_owned());
            }
        }
    }
    for (member, span, used) in
        [("within", set.within, rule.info.defaults.within), ("grace", set.grace, rule.info.defaults.grace)]
    {
        if span.is_some() && used.is_none() && key.starts_with("monitor.rules") {
            problems.push((format!("{key}.{member}"), format!("{name} has no such time")));
        }
    }
    if let (Some(warning), Some(critical)) = (&whole.warning, &whole.critical) {
        let swapped = match (warning.above, critical.above, warning.below, critical.below) {
            (Some(warning), Some(critical), ..) => critical < warning,
            (.., Some(warning), Some(critical)) => critical > warning,
            _ => false,
        };
        if swapped {
            problems.push((key.to_owned(), format!("{name} would be critical before it is a warning")));
        }
    }
}

fn other(usual: &LevelSettings) -> &'static str {
    match (usual.above, usual.below) {
        (Some(_), _) => "; it has above",
        (_, Some(_)) => "; it has below",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let book: RuleBook = serde_json::from_str(json).unwrap();
        validate_rules(&book).into_iter().map(|(key, why)| format!("{key}: {why}")).collect()
    }

    #[test]
    fn sound_settings_have_no_problems() {
        for json in [
            "{}",
            r#"{"rules":{"storage_usage":{"enabled":true,"warning":{"above":80,"clear":75,"for":"2m","clear_for":"2m"}}}}"#,
            r#"{"rules":{"disk_health":{"warning":{"below":20,"clear":20}},"no_such_rule":{"info":{"above":1}}}}"#,
            r#"{"overrides":[{"match":{"tag":"lab"},"rules":["guest_*"],"set":{"enabled":false,"critical":{"for":"5m"}}}]}"#,
        ] {
            assert_eq!(problems(json), [""; 0], "{json}");
        }
    }

    #[test]
    fn every_problem_is_named_with_its_key() {
        for (json, said) in [
            (
                r#"{"rules":{"node_cpu":{"critical":{"above":99}}}}"#,
                "monitor.rules.node_cpu.critical: node_cpu has no level critical; it has warning",
            ),
            (
                r#"{"rules":{"node_cpu":{"warning":{"above":70}}}}"#,
                "monitor.rules.node_cpu.warning.clear: 80 must not be higher than above (70)",
            ),
            (
                r#"{"rules":{"node_cpu":{"warning":{"above":101}}}}"#,
                "monitor.rules.node_cpu.warning.above: 101 % is never reached",
            ),
            (
                r#"{"rules":{"node_cpu":{"warning":{"below":5}}}}"#,
                "monitor.rules.node_cpu.warning.below: node_cpu has no threshold of this kind; it has above",
            ),
            (
                r#"{"rules":{"certificate":{"warning":{"clear":2}}}}"#,
                "monitor.rules.certificate.warning.clear: 2 must not be lower than below (14)",
            ),
            (
                r#"{"rules":{"node_down":{"critical":{"clear":2}}}}"#,
                "monitor.rules.node_down.critical.clear: node_down has no threshold",
            ),
            (
                r#"{"rules":{"storage_usage":{"warning":{"above":98,"clear":90}}}}"#,
                "monitor.rules.storage_usage: storage_usage would be critical before",
            ),
            (r#"{"rules":{"node_cpu":{"within":"5m"}}}"#, "monitor.rules.node_cpu.within: node_cpu has no such time"),
            (
                r#"{"rules":{"node_cpu":{"warning":{"for":"500d"}}}}"#,
                "monitor.rules.node_cpu.warning.for: it is longer than a year",
            ),
            (
                r#"{"overrides":[{"match":{"tag":"x"},"rules":["node_cpu"],"set":{"critical":{"above":5}}}]}"#,
                "monitor.overrides[0].set.critical: node_cpu has no level critical",
            ),
        ] {
            let found = problems(json);
            assert!(found.iter().any(|found| found.starts_with(said)), "{json}\n{found:?}");
        }
    }
}
