//! Alertmanager's webhook, payload version 4, as findings. Pure; unknown members are accepted, and every text is data.

use crate::rules::ALERTMANAGER;
use crate::wording::cut;
use contract::alerts::{Fact, Finding, Judged, Labels, Severity};
use contract::failure::Failure;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most characters of a label or a short annotation.
const SHORT: usize = 300;
/// The most characters of a description.
const LONG: usize = 1000;
/// The most labels of an alert.
const LABELS: usize = 64;
/// The most alerts of a payload.
const ALERTS: usize = 10_000;

/// What a payload says.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// One judgement per alert, each about that alert alone.
    pub judged: Vec<Judged>,
    /// Alerts that Alertmanager left out.
    pub truncated: u64,
}

#[derive(Deserialize)]
struct Payload {
    version: String,
    alerts: Vec<Alert>,
    #[serde(rename = "truncatedAlerts", default)]
    truncated: u64,
}

#[derive(Deserialize)]
struct Alert {
    status: Status,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(rename = "startsAt", default)]
    starts_at: Option<Timestamp>,
    #[serde(rename = "generatorURL", default)]
    generator: Option<String>,
    #[serde(default)]
    fingerprint: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

/// Reads a payload.
///
/// # Errors
/// It is not one, with the place that is wrong.
pub fn read(body: &[u8], now: Timestamp) -> Result<Received, Failure> {
    let deserializer = &mut serde_json::Deserializer::from_slice(body);
    let payload: Payload = serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        Failure::invalid(path.clone(), format!("this is no payload of Alertmanager: {} (at {path})", error.inner()))
    })?;
    if payload.version != "4" {
        let said =
            format!("payload version {:?} is not known: Alertmanager's webhook sends \"4\"", cut(&payload.version, 20));
        return Err(Failure::invalid("version", said));
    }
    if payload.alerts.len() > ALERTS {
        return Err(Failure::invalid("alerts", format!("holds more than {ALERTS} alerts")));
    }
    let judged = payload.alerts.into_iter().map(|alert| judge(alert, now)).collect();
    Ok(Received { judged, truncated: payload.truncated })
}

fn judge(alert: Alert, now: Timestamp) -> Judged {
    let fingerprint = alert.fingerprint.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let fingerprint = fingerprint.map_or_else(|| fingerprint_of(&alert.labels), |text| cut(text, SHORT));
    let object: Arc<str> = format!("alertmanager/{fingerprint}").into();
    let label = |name: &str| alert.labels.get(name).map(|text| cut(text, SHORT)).filter(|text| !text.is_empty());
    let note =
        |name: &str, most| alert.annotations.get(name).map(|text| cut(text, most)).filter(|text| !text.is_empty());
    let name = label("alertname").unwrap_or_else(|| "an alert without a name".to_owned());
    let subject = match label("instance") {
        Some(instance) => format!("{name} on {instance}"),
        None => name,
    };
    let is_firing = alert.status == Status::Firing;
    let summary = match (is_firing, note("summary", SHORT).or_else(|| note("message", SHORT))) {
        (true, Some(said)) => format!("fires: {said}"),
        (true, None) => "fires".to_owned(),
        (false, _) => "fires no longer".to_owned(),
    };
    let since = alert.starts_at.filter(|since| *since > Timestamp::UNIX_EPOCH && *since <= now).unwrap_or(now);
    let severity = severity(alert.labels.get("severity").map(String::as_str));
    let mut finding = Finding::new(ALERTMANAGER, Arc::clone(&object), subject, summary, Some(severity), since);
    if !is_firing {
        finding.levels.iter_mut().for_each(|level| level.reading = contract::alerts::Reading::Clear);
    }
    finding.meaning = note("description", LONG);
    let facts = [
        ("source", alert.generator.as_deref().map(|text| cut(text, SHORT)).filter(|text| !text.is_empty())),
        ("runbook", note("runbook_url", SHORT)),
    ];
    let facts = facts.into_iter().filter_map(|(label, text)| Some(Fact { label: label.into(), text: text? }));
    finding.facts = facts.collect();
    let labels = alert.labels.iter().take(LABELS);
    finding.labels = Labels(labels.map(|(name, value)| (cut(name, SHORT).into(), cut(value, SHORT).into())).collect());
    Judged { rule: ALERTMANAGER.into(), scope: object, findings: vec![finding], unseen: Vec::new() }
}

fn severity(label: Option<&str>) -> Severity {
    match label.map(str::to_ascii_lowercase).as_deref() {
        Some("critical" | "page" | "emergency" | "disaster") => Severity::Critical,
        Some("info" | "none" | "informational" | "debug") => Severity::Info,
        _ => Severity::Warning,
    }
}

/// A stable identity of labels, for senders that give none: FNV-1a over the sorted names and values.
fn fingerprint_of(labels: &BTreeMap<String, String>) -> String {
    let bytes = labels.iter().flat_map(|(name, value)| name.bytes().chain([0]).chain(value.bytes()).chain([0]));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::alerts::Reading;
    use contract::failure::FailureClass;

    const NOW: Timestamp = Timestamp::constant(1_772_366_400, 0);

    const PAYLOAD: &str = r#"{"version":"4","groupKey":"{}:{alertname=\"HighLoad\"}","truncatedAlerts":2,"status":"firing","receiver":"haia",
        "groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://am:9093","notification_reason":"new",
        "alerts":[
          {"status":"firing","labels":{"alertname":"HighLoad","instance":"web:9100","severity":"page"},
           "annotations":{"summary":"CPU above 90 %","description":"It has been so for 5 minutes.","runbook_url":"http://wiki/load"},
           "startsAt":"2026-03-01T11:00:00.123Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prom/graph","fingerprint":"abc","new":1},
          {"status":"resolved","labels":{"alertname":"Watchdog","severity":"none"},"annotations":{},"startsAt":"2026-03-01T11:00:00Z",
           "endsAt":"2026-03-01T11:30:00Z","fingerprint":"def"}]}"#;

    #[test]
    fn a_payload_becomes_one_finding_per_alert() {
        let received = read(PAYLOAD.as_bytes(), NOW).unwrap();
        assert_eq!((received.judged.len(), received.truncated), (2, 2));
        let finding = &received.judged[0].findings[0];
        assert_eq!(finding.key(), "alertmanager:alertmanager/abc");
        assert_eq!(*received.judged[0].scope, *finding.object);
        assert_eq!(format!("{} {}", finding.subject, finding.summary), "HighLoad on web:9100 fires: CPU above 90 %");
        assert_eq!(finding.raised(), Some(Severity::Critical));
        assert_eq!(finding.since.to_string(), "2026-03-01T11:00:00.123Z");
        assert_eq!(finding.labels.first("instance"), Some("web:9100"));
        assert_eq!(finding.facts.len(), 2);
        let over = &received.judged[1].findings[0];
        assert_eq!((over.levels[0].severity, over.levels[0].reading), (Severity::Info, Reading::Clear));
        assert_eq!(over.levels[0].clear_for.as_secs(), 0);
    }

    #[test]
    fn severities_are_mapped() {
        for (label, severity) in [
            (Some("critical"), Severity::Critical),
            (Some("PAGE"), Severity::Critical),
            (Some("info"), Severity::Info),
            (Some("none"), Severity::Info),
            (Some("warning"), Severity::Warning),
            (Some("odd"), Severity::Warning),
            (None, Severity::Warning),
        ] {
            assert_eq!(super::severity(label), severity, "{label:?}");
        }
    }

    #[test]
    fn garbage_is_an_invalid_request_that_names_the_place() {
        for (body, place) in [
            ("", "."),
            ("[]", "."),
            ("nonsense", "."),
            (r#"{"version":"4"}"#, "."),
            (r#"{"version":"3","alerts":[]}"#, "version"),
            (r#"{"version":"4","alerts":[{"status":"maybe"}]}"#, "alerts[0].status"),
            (r#"{"version":"4","alerts":[{"status":"firing","startsAt":"soon"}]}"#, "alerts[0].startsAt"),
            (r#"{"version":"4","alerts":[{"status":"firing","labels":{"a":1}}]}"#, "alerts[0].labels.a"),
        ] {
            let failure = read(body.as_bytes(), NOW).unwrap_err();
            assert_eq!(failure.class, FailureClass::InvalidRequest, "{body}");
            assert_eq!(failure.param.as_deref(), Some(place), "{body}");
        }
    }

    #[test]
    fn odd_alerts_are_taken_and_cut() {
        let body = format!(
            r#"{{"version":"4","alerts":[{{"status":"firing","labels":{{"alertname":"{}"}},"startsAt":"2099-01-01T00:00:00Z"}},
               {{"status":"firing","labels":{{"b":"2","a":"1"}}}},{{"status":"firing","labels":{{"a":"1","b":"2"}}}}]}}"#,
            "x".repeat(5000)
        );
        let received = read(body.as_bytes(), NOW).unwrap();
        let first = &received.judged[0].findings[0];
        assert!(first.subject.chars().count() <= SHORT && first.since == NOW, "{}", first.since);
        assert_eq!(received.judged[1].scope, received.judged[2].scope, "the order of labels does not matter");
        assert_ne!(received.judged[0].scope, received.judged[1].scope);
    }

    proptest::proptest! {
        #[test]
        fn no_body_is_too_odd(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = read(&body, NOW);
        }
    }
}
