//! Results made fit for a model: so many series, points and bytes, and a sentence that says what was cut. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The most series of one result.
pub const MOST_SERIES: usize = 30;
/// The most points of one series.
pub const MOST_POINTS: usize = 60;
/// The most rows of a list.
pub const MOST_ROWS: usize = 50;
/// The most bytes of a result.
const MOST_BYTES: usize = 24 << 10;
/// The longest text of an annotation or label.
const LONGEST_TEXT: usize = 200;

/// The result of a query: `{type, series: [{labels, value | points}], cut?, warnings?}`.
pub fn query(answer: &Value) -> Value {
    let data = &answer["data"];
    let kind = data["resultType"].as_str().unwrap_or("nothing");
    let mut shaped = match kind {
        "scalar" | "string" => json!({ "type": kind, "value": sample(&data["result"]) }),
        _ => series(kind, data["result"].as_array().map_or(&[], Vec::as_slice)),
    };
    if let Some(warnings) = answer["warnings"].as_array().filter(|warnings| !warnings.is_empty()) {
        shaped["warnings"] =
            Value::Array(warnings.iter().take(5).map(|warning| Value::from(cut_text(warning))).collect());
    }
    shaped
}

fn series(kind: &str, all: &[Value]) -> Value {
    let mut cuts = Vec::new();
    let mut shown: Vec<Value> = Vec::new();
    let (mut bytes, mut thinned) = (0, 0);
    for one in all.iter().take(MOST_SERIES) {
        let mut row = json!({ "labels": labels(&one["metric"]) });
        match one["values"].as_array() {
            Some(values) => {
                let (points, was_thinned) = points(values);
                thinned += usize::from(was_thinned);
                row["points"] = points;
                row["range"] = range(values);
            }
            None => row["value"] = sample(&one["value"]),
        }
        bytes += row.to_string().len();
        if bytes > MOST_BYTES && !shown.is_empty() {
            break;
        }
        shown.push(row);
    }
    if shown.len() < all.len() {
        cuts.push(format!(
            "{} of {} series are shown: ask for fewer, for example with topk(10, …), sum by (…) or a label",
            shown.len(),
            all.len()
        ));
    }
    if thinned > 0 {
        cuts.push(format!(
            "of {thinned} series every n-th point is shown; range has the least, greatest and last of all"
        ));
    }
    let mut shaped = json!({ "type": kind, "series": shown });
    if all.is_empty() {
        shaped["note"] = "nothing matches: check the metric's name and labels".into();
    }
    with_cuts(&mut shaped, &cuts);
    shaped
}

fn with_cuts(shaped: &mut Value, cuts: &[String]) {
    if !cuts.is_empty() {
        shaped["cut"] = cuts.join("; ").into();
    }
}

/// `[time, "value"]` as `{at, value}`.
fn sample(sample: &Value) -> Value {
    json!({ "at": time(&sample[0]), "value": number(&sample[1]) })
}

/// So many points as `[time, value]`, evenly chosen, and whether some were left out. The last is always there.
fn points(values: &[Value]) -> (Value, bool) {
    let step = values.len().div_ceil(MOST_POINTS).max(1);
    let last = values.len().saturating_sub(1);
    let chosen = values.iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(step));
    let points = chosen.map(|(_, point)| json!([time(&point[0]), number(&point[1])])).collect();
    (Value::Array(points), step > 1)
}

/// The least, the greatest and the last value.
fn range(values: &[Value]) -> Value {
    let numbers = || values.iter().filter_map(|point| point[1].as_str()?.parse::<f64>().ok()).filter(|n| !n.is_nan());
    json!({
        "min": numbers().reduce(f64::min).map(rounded),
        "max": numbers().reduce(f64::max).map(rounded),
        "last": values.last().map(|point| number(&point[1])),
    })
}

/// Seconds since 1970 as a moment in UTC, to the second.
fn time(seconds: &Value) -> Value {
    let at = seconds.as_f64().and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    at.map_or(Value::Null, |at| Value::from(at.to_string()))
}

/// `"1.25"` as a number; `NaN` and the infinities, which JSON does not have, as text.
fn number(text: &Value) -> Value {
    let Some(text) = text.as_str() else { return text.clone() };
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => rounded(number),
        _ => Value::from(text.chars().take(LONGEST_TEXT).collect::<String>()),
    }
}

/// A number to six digits: what a model reads is not what is computed with.
fn rounded(number: f64) -> Value {
    if number == 0.0 || !number.is_finite() {
        return json!(0);
    }
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return json!(number as i64);
    }
    let scale = 10_f64.powi(5 - number.abs().log10().floor() as i32);
    let short = if scale.is_finite() && scale > 0.0 { (number * scale).round() / scale } else { number };
    json!(short)
}

/// Labels with texts of sane length.
fn labels(labels: &Value) -> Value {
    let members = labels.as_object().map(|labels| {
        labels.iter().take(40).map(|(name, value)| (name.clone(), Value::from(cut_text(value)))).collect::<Map<_, _>>()
    });
    Value::Object(members.unwrap_or_default())
}

/// A text that others wrote, on one line and cut.
pub fn cut_text(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

/// A list: so many rows and bytes, and what was cut. `what` names the rows.
pub fn rows(what: &str, all: impl ExactSizeIterator<Item = Value>, hint: &str) -> Value {
    let total = all.len();
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for row in all.take(MOST_ROWS) {
        bytes += row.to_string().len();
        if bytes > MOST_BYTES && !shown.is_empty() {
            break;
        }
        shown.push(row);
    }
    let mut shaped = json!({ "total": total });
    if shown.len() < total {
        with_cuts(&mut shaped, &[format!("{} of {total} {what} are shown: {hint}", shown.len())]);
    }
    shaped[what] = Value::Array(shown);
    shaped
}

/// Labels of an alert, a target or a series, for a row.
pub fn label_set(value: &Value) -> Value {
    labels(value)
}

/// The step that gives at most [`MOST_POINTS`] points over so many seconds.
pub fn step_s(span_s: i64) -> i64 {
    let points = i64::try_from(MOST_POINTS).unwrap_or(60);
    (span_s.max(1).saturating_add(points - 1) / points).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix(series: usize, points: usize) -> Value {
        let values: Vec<Value> = (0..points).map(|at| json!([1_772_366_400 + at, format!("{at}.5")])).collect();
        let one = |at: usize| json!({"metric": {"__name__": "up", "n": at.to_string()}, "values": values});
        json!({"status": "success", "data": {"resultType": "matrix", "result": (0..series).map(one).collect::<Vec<_>>()}})
    }

    #[test]
    fn small_results_are_whole() {
        let answer = json!({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"job": "node"}, "value": [1_772_366_400.123, "0.30000000000000004"]},
            {"metric": {}, "value": [1_772_366_400, "NaN"]}]}, "warnings": ["slow"]});
        let shaped = query(&answer);
        assert_eq!(
            shaped["series"][0],
            json!({"labels": {"job": "node"}, "value": {"at": "2026-03-01T12:00:00Z", "value": 0.3}})
        );
        assert_eq!(shaped["series"][1]["value"]["value"], "NaN");
        assert_eq!((&shaped["cut"], &shaped["warnings"][0]), (&Value::Null, &json!("slow")));
        let scalar = json!({"data": {"resultType": "scalar", "result": [1, "2"]}});
        assert_eq!(query(&scalar)["value"]["value"], 2);
    }

    #[test]
    fn large_results_are_cut_and_say_so() {
        let shaped = query(&matrix(200, 1000));
        let shown = shaped["series"].as_array().unwrap();
        assert!(
            shown.len() <= MOST_SERIES && shaped.to_string().len() < 2 * MOST_BYTES,
            "{}",
            shaped.to_string().len()
        );
        assert!(shown.iter().all(|one| one["points"].as_array().unwrap().len() <= MOST_POINTS));
        let cut = shaped["cut"].as_str().unwrap();
        assert!(cut.contains("of 200 series are shown") && cut.contains("every n-th point"), "{cut}");
        assert_eq!(shown[0]["range"], json!({"min": 0.5, "max": 999.5, "last": 999.5}));
        assert_eq!(shown[0]["points"].as_array().unwrap().last().unwrap()[1], 999.5);
    }

    #[test]
    fn nothing_is_told_as_nothing() {
        assert!(query(&matrix(0, 0))["note"].as_str().unwrap().contains("nothing matches"));
    }

    #[test]
    fn steps_give_few_points() {
        for span in [1, 59, 60, 61, 3600, 86_400, 31 * 86_400] {
            assert!(span / step_s(span) <= 60, "{span}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(|n| json!(n)),
            "[a-z0-9.+NaInf-]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec(("(metric|values|value|data|result|resultType)", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_answer_is_too_odd(answer in any_json()) {
            query(&answer);
            query(&json!({"data": {"resultType": "matrix", "result": [answer]}}));
        }
    }
}
