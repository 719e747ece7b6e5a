//! The dry run: whether such a silence is there already, and which alerts it would silence now. It only asks.

use super::matcher::Matcher;
use super::wish::{NAME, Wish};
use super::{SILENCES, live};
use crate::client::{Server, Trouble};
use contract::alerts::{Fact, Labels};
use contract::approvals::{ActionClass, ActionPlan};
use contract::failure::{Failure, FailureClass};
use contract::tools::Risk;
use serde_json::Value;
use std::time::Duration;

/// How long making the silence may take, in seconds.
const TIMEOUT_S: u64 = 60;
/// The most alerts that are named.
const NAMED: usize = 5;

/// The plan of a call.
///
/// # Errors
/// Alertmanager cannot be asked.
pub(crate) async fn plan(server: &Server, wish: &Wish, within: Duration) -> Result<ActionPlan, Failure> {
    let unseen = |trouble: Trouble| Failure::new(FailureClass::Unreachable, trouble.to_string());
    let silences = server.get(SILENCES, &[], within / 2).await.map_err(unseen)?;
    let filters = wish.matchers.iter().map(|matcher| ("filter", matcher.to_string()));
    let query: Vec<(&str, String)> = [("active", "true".to_owned())].into_iter().chain(filters).collect();
    let alerts = server.get("/api/v2/alerts", &query, within / 2).await.map_err(unseen)?;
    Ok(of(server.address(), wish, &silences, &alerts))
}

/// The plan, from what was seen.
fn of(address: &str, wish: &Wish, silences: &Value, alerts: &Value) -> ActionPlan {
    let fact = |label: &str, text: String| Fact { label: label.into(), text };
    let same = live(silences).find(|silence| is_same(silence, wish));
    let known = |silence: &Value| silence["id"].as_str().unwrap_or("?").chars().take(64).collect::<String>();
    let blockers = same.map(|silence| {
        let until = silence["endsAt"].as_str().unwrap_or("?").chars().take(40).collect::<String>();
        format!("a silence with exactly these matchers is there already ({}), until {until}", known(silence))
    });
    let subject = wish.subject();
    let mut labels = Labels::default();
    for name in wish.matchers.iter().filter_map(Matcher::alert_name) {
        labels.add("name", name);
    }
    let state = vec![
        fact("Alertmanager", address.to_owned()),
        fact("such a silence", same.map_or_else(|| "none".to_owned(), known)),
    ];
    let patterns = wish.matchers.iter().filter(|matcher| matcher.is_pattern()).count();
    let warning =
        (patterns > 0).then(|| "it matches by a pattern, so it may silence more than what fires now".to_owned());
    ActionPlan {
        tool: NAME.into(),
        class: ActionClass::AlertmanagerSilence,
        risk: Risk::Write,
        arguments: wish.canonical(),
        action: format!("Silence {subject} in Alertmanager for {}", wish.duration),
        subject,
        labels,
        options: vec![fact("for", wish.duration.to_string())],
        reason: wish.reason.clone(),
        effect: effect(alerts),
        dependents: Vec::new(),
        warnings: warning.into_iter().collect(),
        blockers: blockers.into_iter().collect(),
        state_digest: state.iter().map(|fact| format!("{}={}\n", fact.label, fact.text)).collect(),
        state,
        evidence: vec![fact("alerts that match now", count(alerts).to_string())],
        timeout_s: TIMEOUT_S,
    }
}

fn count(alerts: &Value) -> usize {
    alerts.as_array().map_or(0, Vec::len)
}

fn effect(alerts: &Value) -> String {
    let name = |alert: &Value| {
        let label = |name: &str| alert["labels"][name].as_str().map(|text| text.chars().take(60).collect::<String>());
        match (label("alertname"), label("instance")) {
            (Some(name), Some(instance)) => format!("{name} ({instance})"),
            (name, instance) => name.or(instance).unwrap_or_else(|| "?".to_owned()),
        }
    };
    let all = alerts.as_array().map_or(&[][..], Vec::as_slice);
    let names: Vec<String> = all.iter().take(NAMED).map(name).collect();
    let now = match all.len() {
        0 => "No alert matches now.".to_owned(),
        1 => format!("One alert matches now: {}.", names.join(", ")),
        all if all > NAMED => format!("{all} alerts match now, among them {}.", names.join(", ")),
        all => format!("{all} alerts match now: {}.", names.join(", ")),
    };
    format!("Alertmanager tells nobody of what matches until it is over, HAIA's webhook included. {now}")
}

/// Whether a silence has exactly these matchers.
fn is_same(silence: &Value, wish: &Wish) -> bool {
    let theirs = silence["matchers"].as_array().map_or(&[][..], Vec::as_slice);
    let mut theirs: Vec<Option<Matcher>> = theirs.iter().map(Matcher::read).collect();
    theirs.sort();
    theirs.into_iter().eq(wish.matchers.iter().cloned().map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wish() -> Wish {
        let call = r#"{"matchers":["alertname=DiskFull","instance=~\"nas.*\""],"duration":"2h","reason":"It is being emptied."}"#;
        Wish::read(NAME, call).unwrap()
    }

    #[test]
    fn a_plan_says_what_would_be_silenced() {
        let alerts = json!([{ "labels": { "alertname": "DiskFull", "instance": "nas-1" } }]);
        let plan = of("http://am:9093", &wish(), &json!([]), &alerts);
        assert_eq!(plan.action, r#"Silence alertname="DiskFull", instance=~"nas.*" in Alertmanager for 2h"#);
        assert!(plan.effect.contains("One alert matches now: DiskFull (nas-1)."), "{}", plan.effect);
        assert_eq!((plan.labels.first("name"), plan.warnings.len(), plan.blockers.len()), (Some("DiskFull"), 1, 0));
        assert_eq!(plan.reason, "It is being emptied.");
        let many: Vec<Value> = (0..9).map(|at| json!({ "labels": { "alertname": format!("A{at}") } })).collect();
        assert!(
            of("x", &wish(), &json!([]), &json!(many))
                .effect
                .contains("9 alerts match now, among them A0, A1, A2, A3, A4.")
        );
    }

    #[test]
    fn one_that_is_there_stands_in_the_way() {
        let silence = |state: &str, value: &str| {
            let matchers = json!([
                { "name": "instance", "value": "nas.*", "isRegex": true, "isEqual": true },
                { "name": "alertname", "value": value, "isRegex": false },
            ]);
            json!([{ "id": "s-1", "endsAt": "2026-03-01T12:00:00.000Z", "status": { "state": state }, "matchers": matchers }])
        };
        let free = of("x", &wish(), &json!([]), &json!([]));
        for (silences, blocks) in [
            (silence("active", "DiskFull"), true),
            (silence("pending", "DiskFull"), true),
            (silence("expired", "DiskFull"), false),
            (silence("active", "Other"), false),
        ] {
            let plan = of("x", &wish(), &silences, &json!([]));
            assert_eq!(!plan.blockers.is_empty(), blocks, "{silences}");
            assert_eq!(plan.state_digest != free.state_digest, blocks);
        }
    }
}
