//! `[routes]` of the configuration: who may answer, and by which rule one of them is chosen. Pure.

use contract::provider::BUILTIN_OFFLINE;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// One route: a list of `<provider>/<model>` entries in failover order, or a section that also says how one is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteConfig {
    /// How the first is chosen.
    pub strategy: Strategy,
    /// The `<provider>/<model>` entries.
    pub entries: Vec<String>,
    /// For `weighted`: one number for each entry but `builtin/offline`.
    pub weights: Vec<u32>,
}

/// How the entry that is asked first is chosen. The others follow if it fails, and `builtin/offline` is always the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As they are written.
    #[default]
    Ordered,
    /// By chance, in proportion to the weights.
    Weighted,
    /// Whoever began to answer the quickest of late.
    LeastLatency,
}

/// A route as a section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default)]
    strategy: Strategy,
    entries: Vec<String>,
    #[serde(default)]
    weights: Vec<u32>,
}

impl From<Vec<String>> for RouteConfig {
    fn from(entries: Vec<String>) -> Self {
        Self { entries, ..Self::default() }
    }
}

impl<'de> Deserialize<'de> for RouteConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrSection;
        impl<'de> Visitor<'de> for ListOrSection {
            type Value = RouteConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of \"<provider>/<model>\" entries, or a section with \"entries\"")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RouteConfig, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element::<String>()? {
                    entries.push(entry);
                }
                Ok(entries.into())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RouteConfig, A::Error> {
                let Section { strategy, entries, weights } = Section::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RouteConfig { strategy, entries, weights })
            }
        }
        deserializer.deserialize_any(ListOrSection)
    }
}

impl RouteConfig {
    /// What is wrong with it by itself, each with the key within the route (empty: the route as a whole).
    pub fn validate(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        if self.entries.is_empty() {
            wrong.push(("", "a route needs at least one \"<provider>/<model>\" entry".to_owned()));
        }
        let weighable = self.entries.iter().filter(|entry| *entry != BUILTIN_OFFLINE).count();
        match self.strategy {
            Strategy::Weighted if self.weights.len() != weighable => wrong.push((
                "weights",
                format!(
                    "a weighted route needs one weight for each of its {weighable} entries (builtin/offline aside), not {}",
                    self.weights.len()
                ),
            )),
            Strategy::Weighted if self.weights.iter().all(|weight| *weight == 0) => {
                wrong.push(("weights", "at least one weight must be above 0".to_owned()));
            }
            Strategy::Ordered | Strategy::LeastLatency if !self.weights.is_empty() => {
                wrong.push(("weights", "weights are used with strategy = \"weighted\" only".to_owned()));
            }
            _ => {}
        }
        wrong
    }
}

/// The places `0..weights.len()` in a random order: each is drawn with a chance in proportion to its weight among those that are left. Those
/// without a weight come last, as they are written. `chance` gives numbers from 0 up to, not including, 1.
pub fn draw(weights: &[u32], mut chance: impl FnMut() -> f64) -> Vec<usize> {
    let mut left: Vec<usize> = (0..weights.len()).collect();
    let mut drawn = Vec::with_capacity(left.len());
    loop {
        let total: u64 = left.iter().map(|at| u64::from(weights[*at])).sum();
        if total == 0 {
            drawn.append(&mut left);
            return drawn;
        }
        let mut mark = (chance() * total as f64) as u64;
        let hit = left.iter().position(|at| {
            let weight = u64::from(weights[*at]);
            let hit = mark < weight;
            mark = mark.saturating_sub(weight);
            hit
        });
        // A chance of 1 or more would lead beyond the last.
        drawn.push(left.remove(hit.unwrap_or(left.len() - 1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, prop_assert_eq, proptest};
    use serde_json::json;

    fn read(json: serde_json::Value) -> Result<RouteConfig, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_and_a_section_are_routes() {
        assert_eq!(read(json!(["a/b"])), Ok(vec!["a/b".to_owned()].into()));
        let fast = read(json!({ "strategy": "least_latency", "entries": ["a/b", "c/d"] })).expect("read");
        assert_eq!((fast.strategy, fast.entries.len(), fast.validate()), (Strategy::LeastLatency, 2, vec![]));
        for wrong in [json!("a/b"), json!({ "strategy": "ordered" }), json!({ "entries": [], "weight": [] })] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(read(json!({ "strategy": "fastest", "entries": [] })).expect_err("no such strategy").contains("least"));
    }

    #[test]
    fn weights_fit_their_entries() {
        let keys = |json| read(json).expect("read").validate().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        let entries = json!(["a/b", "c/d", "builtin/offline"]);
        assert_eq!(keys(json!({ "strategy": "weighted", "entries": entries, "weights": [3, 0] })), [""; 0]);
        assert_eq!(keys(json!({ "strategy": "weighted", "entries": entries })), ["weights"]);
        assert_eq!(keys(json!({ "strategy": "weighted", "entries": entries, "weights": [0, 0] })), ["weights"]);
        assert_eq!(keys(json!({ "entries": entries, "weights": [1, 1] })), ["weights"]);
        assert_eq!(keys(json!({ "entries": [] })), [""]);
    }

    #[test]
    fn chance_follows_the_weights() {
        assert_eq!(draw(&[1, 3, 0], || 0.0), [0, 1, 2]);
        assert_eq!(draw(&[1, 3, 0], || 0.25), [1, 0, 2]);
        assert_eq!(draw(&[1, 3, 0], || 0.999), [1, 0, 2]);
        let mut step = 0;
        let firsts = (0..400).filter(|_| {
            step += 1;
            draw(&[1, 3], || f64::from(step) / 401.0)[0] == 1
        });
        assert_eq!(firsts.count(), 300);
    }

    proptest! {
        #[test]
        fn every_entry_comes_once(weights in prop::collection::vec(0u32..5, 0..8), chances in prop::collection::vec(0.0f64..1.1, 8)) {
            let mut next = chances.iter().copied();
            let mut drawn = draw(&weights, || next.next().unwrap_or(0.5));
            drawn.sort_unstable();
            prop_assert_eq!(drawn, (0..weights.len()).collect::<Vec<_>>());
        }
    }
}
