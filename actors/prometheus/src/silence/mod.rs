//! `alertmanager_silence`: a silence in Alertmanager, the one thing here that changes something.
//!
//! - `matcher`: which alerts, as Alertmanager writes it. `wish`: the tool, and a call of it, read strictly.
//! - `plan`: the dry run behind a proposal. `run`: makes the silence that a person approved, once.
//!
//! A call only leads to a plan; nothing but an approved plan is ever sent.

mod matcher;
mod plan;
mod run;
mod wish;

pub(crate) use plan::plan;
pub(crate) use run::run;
pub(crate) use wish::{NAME, Wish, offer};

use serde_json::Value;

/// Where silences are listed and made.
const SILENCES: &str = "/api/v2/silences";

/// The silences of a list that still count.
fn live(list: &Value) -> impl Iterator<Item = &Value> {
    let all = list.as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter(|silence| silence["status"]["state"] != "expired")
}
