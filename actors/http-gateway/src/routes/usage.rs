//! `GET /api/usage`: what calls of models took, day by day, and of which model and for whom over all these days. It adds up what the store has
//! summed; it counts nothing itself.

use super::operate::{query, read};
use super::{About, Answer, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::usage::{ReadUsage, UsageFigures, UsageSlot, UsageTotals};
use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Get,
    path: "/api/usage",
    scope: Some(Scope::Read),
    starts_work: false,
    handler: |call: Call| -> Answer { Box::pin(usage(call)) },
    about: About {
        summary: "What calls of models took: by day, by model, by key",
        parameters: &[("query", "days", "So many days, today included: 1 to 800; 30 if not told")],
        takes: None,
        gives: ("application/json", Some("UsageHistory")),
        status: 200,
    },
}];

/// The store keeps no more.
const MOST_DAYS: u32 = 800;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default = "thirty")]
    days: u32,
}

fn thirty() -> u32 {
    30
}

#[derive(Serialize)]
struct History {
    /// The first day asked for.
    since: String,
    total: UsageFigures,
    /// Those on which something was called, the newest first.
    days: Vec<Day>,
    /// The dearest first.
    models: Vec<Model>,
    /// The dearest first.
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Day {
    day: String,
    #[serde(flatten)]
    figures: UsageFigures,
}

#[derive(Serialize)]
struct Model {
    provider: Arc<str>,
    name: Arc<str>,
    #[serde(flatten)]
    figures: UsageFigures,
}

#[derive(Serialize)]
struct Key {
    name: Arc<str>,
    #[serde(flatten)]
    figures: UsageFigures,
}

async fn usage(call: Call) -> Result<HttpResponse, Refusal> {
    let Wanted { days } = query(&call)?;
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Refusal::invalid(format!("\"days\" must be from 1 to {MOST_DAYS}")).with_param("days"));
    }
    // The zone in which the sums' days begin.
    let today = call.ports().clock.now().to_zoned(TimeZone::system()).date();
    let since = today.saturating_sub(SignedDuration::from_hours(24 * i64::from(days - 1)));
    let sums = read(&call.ports().usage, ReadUsage { since }).await?;
    answers::json(&history(since, &sums.map_err(|error| Refusal::store_unavailable(&error))?))
}

fn history(since: Date, sums: &[(UsageSlot, UsageTotals)]) -> History {
    let mut total = UsageTotals::default();
    let (mut days, mut models, mut keys) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (slot, sum) in sums {
        total.add(sum);
        let of_day: &mut UsageTotals = days.entry(slot.day).or_default();
        of_day.add(sum);
        let of_model: &mut UsageTotals = models.entry((&slot.provider, &slot.model)).or_default();
        of_model.add(sum);
        let of_key: &mut UsageTotals = keys.entry(&slot.who).or_default();
        of_key.add(sum);
    }
    let days = days.into_iter().rev().map(|(day, sum)| Day { day: day.to_string(), figures: sum.figures() });
    let models = dearest_first(models).map(|((provider, name), sum)| Model {
        provider: Arc::clone(provider),
        name: Arc::clone(name),
        figures: sum.figures(),
    });
    let keys = dearest_first(keys).map(|(name, sum)| Key { name: Arc::clone(name), figures: sum.figures() });
    History {
        since: since.to_string(),
        total: total.figures(),
        days: days.collect(),
        models: models.collect(),
        keys: keys.collect(),
    }
}

/// By what they cost, then by their tokens, then by their calls, then by name.
fn dearest_first<K>(sums: BTreeMap<K, UsageTotals>) -> impl Iterator<Item = (K, UsageTotals)> {
    let mut sums: Vec<(K, UsageTotals)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.cost_nanos, sum.tokens(), sum.calls)));
    sums.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use serde_json::json;

    fn sum(day: Date, who: &str, model: &str, told: Option<(u64, u64, u64)>) -> (UsageSlot, UsageTotals) {
        let slot = UsageSlot { day, who: who.into(), provider: "openai".into(), model: model.into() };
        let totals = UsageTotals {
            calls: 1,
            uncounted: u64::from(told.is_none()),
            input: told.map(|told| told.0),
            output: told.map(|told| told.1),
            cost_nanos: told.map(|told| told.2),
            ..UsageTotals::default()
        };
        (slot, totals)
    }

    #[test]
    fn sums_are_added_up_three_ways_and_what_is_unknown_stays_unknown() {
        let (first, second) = (date(2026, 2, 28), date(2026, 3, 1));
        let sums = [
            sum(first, "tablet", "small", Some((10, 5, 2_000_000_000))),
            sum(second, "tablet", "small", Some((1, 2, 500_000_000))),
            sum(second, "job:report", "large", Some((100, 50, 9_000_000_000))),
            sum(second, "tablet", "local", None),
        ];
        let told = serde_json::to_value(history(first, &sums)).unwrap();
        assert_eq!(told["since"], "2026-02-28");
        let total = &told["total"];
        assert_eq!(
            [&total["calls"], &total["uncounted"], &total["input_tokens"], &total["cost"]],
            [&json!(4), &json!(1), &json!(111), &json!(11.5)]
        );
        let column = |list: &str, names: [&str; 2]| -> Vec<[serde_json::Value; 2]> {
            let rows = told[list].as_array().unwrap();
            rows.iter().map(|row| names.map(|name| row[name].clone())).collect()
        };
        assert_eq!(
            column("days", ["day", "output_tokens"]),
            [[json!("2026-03-01"), json!(52)], [json!("2026-02-28"), json!(5)]]
        );
        assert_eq!(
            column("models", ["name", "cost"]),
            [[json!("large"), json!(9.0)], [json!("small"), json!(2.5)], [json!("local"), json!(null)]]
        );
        assert_eq!(column("keys", ["name", "calls"]), [[json!("job:report"), json!(1)], [json!("tablet"), json!(3)]]);
    }

    #[test]
    fn nothing_called_is_an_empty_history() {
        let told = serde_json::to_value(history(date(2026, 3, 1), &[])).unwrap();
        assert_eq!((&told["total"]["calls"], &told["total"]["cost"]), (&json!(0), &json!(null)));
        assert_eq!((&told["days"], &told["models"], &told["keys"]), (&json!([]), &json!([]), &json!([])));
    }
}
