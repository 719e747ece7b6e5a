//! What a call of a tool has before it: each cluster's newest snapshot, its past, and its client.

use crate::client::ApiClient;
use crate::history::{History, Metric, Subject, Trend};
use crate::memory::Stop;
use crate::model::Snapshot;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// After so many missed polls data counts as stale.
const STALE_POLLS: u64 = 3;

/// All clusters at the moment of a call.
pub struct Desk {
    /// HAIA's time.
    pub now: Timestamp,
    /// The clusters.
    pub views: Vec<View>,
}

/// One cluster.
#[derive(Clone)]
pub struct View {
    /// Its name.
    pub name: Arc<str>,
    /// What is known of it.
    pub snapshot: Option<Arc<Snapshot>>,
    /// What is wrong, for people.
    pub problem: Option<String>,
    /// Whether the last poll failed.
    pub is_blind: bool,
    /// Seconds between polls.
    pub interval_s: u64,
    /// Its client, if it could be made.
    pub client: Option<ApiClient>,
    /// Its past.
    pub history: Rc<RefCell<History>>,
    /// Why guests stopped, as the rules remember it.
    pub stops: Rc<BTreeMap<u32, Stop>>,
}

/// A cluster whose snapshot is there.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) view: View,
    pub(crate) snapshot: Arc<Snapshot>,
    /// The name to put into items; `None` when there is only one cluster.
    pub(crate) shown: Option<Arc<str>>,
    pub(crate) now: Timestamp,
}

impl Known {
    pub(super) fn trend(&self, metric: Metric, subject: Subject) -> Option<Trend> {
        self.view.history.borrow().trend(metric, subject, self.now)
    }
}

/// The clusters that a call is about.
pub(crate) struct Chosen {
    /// Those that something is known of.
    pub(crate) known: Vec<Known>,
    /// The member `data` of the result.
    pub(crate) data: Value,
}

impl Desk {
    /// The clusters that a call is about: the named one, or all.
    ///
    /// # Errors
    /// There is none of that name, or nothing is known of any.
    pub(crate) fn choose(&self, name: Option<&str>) -> Result<Chosen, String> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let matches = |view: &&View| {
            let own = view.snapshot.as_ref().and_then(|snapshot| snapshot.own_name.clone());
            name.is_none_or(|name| {
                view.name.eq_ignore_ascii_case(name) || own.is_some_and(|own| own.eq_ignore_ascii_case(name))
            })
        };
        let views: Vec<&View> = self.views.iter().filter(matches).collect();
        if views.is_empty() {
            let names: Vec<&str> = self.views.iter().map(|view| &*view.name).collect();
            return Err(match name {
                Some(name) if !names.is_empty() => {
                    format!("there is no cluster {name:?}; configured: {}", names.join(", "))
                }
                _ => "no Proxmox cluster is configured ([proxmox.<name>] in haia.toml)".to_owned(),
            });
        }
        let known: Vec<Known> = views
            .iter()
            .filter_map(|view| {
                Some(Known {
                    view: (*view).clone(),
                    snapshot: view.snapshot.clone()?,
                    shown: Some(Arc::clone(&view.name)).filter(|_| self.views.len() > 1),
                    now: self.now,
                })
            })
            .collect();
        if known.is_empty() {
            let why = |view: &&View| {
                let problem = view
                    .problem
                    .as_deref()
                    .unwrap_or("the first look at it has not ended yet; ask again in some seconds");
                format!("nothing is known of the cluster {}: {problem}", view.name)
            };
            return Err(views.iter().map(why).collect::<Vec<_>>().join("\n"));
        }
        Ok(Chosen { known, data: Value::Array(views.into_iter().map(|view| self.data(view)).collect()) })
    }

    /// How old what is known of a cluster is, and what is wrong.
    fn data(&self, view: &View) -> Value {
        let age = view.snapshot.as_ref().map(|snapshot| snapshot.age_s(self.now));
        let state = match age {
            None => "none",
            Some(age) if view.is_blind || age > view.interval_s.saturating_mul(STALE_POLLS) + 10 => "stale",
            Some(_) => "fresh",
        };
        json!({ "cluster": view.name, "age_s": age, "state": state, "problem": view.problem })
    }
}
