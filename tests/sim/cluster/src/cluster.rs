//! The simulated cluster without sockets: asked and steered by plain calls, in its own time. It reads no clock and does no I/O.
//!
//! A test that needs hours or days uses this: a poll is one call, and time passes when it says so.
//!
//! ```
//! use sim_cluster::{Cluster, HandClock, Incident, SimConfig};
//! use std::time::Duration;
//!
//! let mut cluster = Cluster::new(SimConfig::default(), HandClock::ORIGIN)?;
//! cluster.incident(Incident::GuestCrashes { vmid: 101 })?;
//! for _ in 0..360 {
//!     cluster.advance(Duration::from_secs(10));
//!     let answer = cluster.answer("/cluster/resources");
//!     assert_eq!(answer.status, 200);
//! }
//! # Ok::<(), sim_cluster::SimError>(())
//! ```

use crate::access::Access;
use crate::actions;
use crate::api::{self, Answer};
use crate::build;
use crate::config::SimConfig;
use crate::error::SimError;
use crate::fault::{Fault, FaultRule};
use crate::incidents::{Effect, Incident, happen};
use crate::model::Cluster as Model;
use crate::record::{Record, Request};
use crate::task_rule::TaskRule;
use jiff::Timestamp;
use std::time::Duration;

/// A simulated cluster in a box: its state, its faults, and the record of what was asked.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) model: Model,
    pub(crate) config: SimConfig,
    access: Access,
    record: Record,
    accepted: u64,
}

/// A request as it was heard.
pub(crate) struct Heard<'a> {
    pub(crate) method: &'a str,
    /// Path and query, with `/api2/json`.
    pub(crate) target: &'a str,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) body: &'a [u8],
    pub(crate) chunked: bool,
}

/// What is to be written for a request.
pub(crate) struct Plan {
    /// Nothing when the node is gone.
    pub(crate) answer: Option<Answer>,
    pub(crate) fault: Option<Fault>,
    /// The node's clock, for the `Date` header.
    pub(crate) date: i64,
}

impl Cluster {
    /// A cluster whose time begins at `start` and moves only by [`Cluster::advance`].
    ///
    /// # Errors
    ///
    /// [`SimError::Config`] when the configuration contradicts itself.
    pub fn new(config: SimConfig, start: Timestamp) -> Result<Self, SimError> {
        config.validate()?;
        let model = build::cluster(&config, start.as_second());
        let (access, record) = (config.access.clone(), Record::new(config.writes_allowed));
        Ok(Self { model, config, access, record, accepted: 0 })
    }

    /// The cluster's time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.model.now).unwrap_or(Timestamp::MAX)
    }

    /// Lets time pass: everything that becomes due happens, each at its own second.
    pub fn advance(&mut self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX / 2);
        self.model.advance(self.model.now.saturating_add(seconds));
    }

    /// Lets time pass until a moment; one that is over changes nothing.
    pub fn advance_to(&mut self, moment: Timestamp) {
        self.model.advance(moment.as_second());
    }

    /// What the first endpoint answers to a GET with the cluster's token. `path` is written without `/api2/json`, such as
    /// `/cluster/resources?type=vm`. Where a client over the network would get nothing (the node is down, the request hangs, the answer is
    /// cut) the status is 0; an answer that would be slow is given at once.
    pub fn answer(&mut self, path: &str) -> Answer {
        self.answer_of(0, path)
    }

    /// What an endpoint answers to a GET.
    pub fn answer_of(&mut self, endpoint: usize, path: &str) -> Answer {
        self.request(endpoint, "GET", path, "")
    }

    /// What the first endpoint that answers has under `data`, for tests that only look: faults and the record are passed over, and
    /// nothing is encoded, which makes it twice as fast as an answer.
    ///
    /// # Errors
    ///
    /// The answer, when it is no 200; status 0 when every endpoint's node is down.
    pub fn look(&self, path: &str) -> Result<serde_json::Value, Answer> {
        let endpoints = self.model.nodes.iter().take(self.config.endpoints);
        let there = endpoints.filter(|node| node.online).map(|node| node.name.as_str()).next();
        let authorization = format!("PVEAPIToken={}={}", self.config.token_id, self.config.token_secret);
        let target = format!("/api2/json{path}");
        api::data(&api::Asked {
            cluster: &self.model,
            access: &self.access,
            config: &self.config,
            local: there.ok_or_else(Answer::none)?,
            method: "GET",
            target: &target,
            authorization: Some(&authorization),
            body: false,
        })
    }

    /// What an endpoint answers to a request with the cluster's token; `body` is a form or JSON.
    pub fn request(&mut self, endpoint: usize, method: &str, path: &str, body: &str) -> Answer {
        let target = format!("/api2/json{path}");
        let authorization = format!("PVEAPIToken={}={}", self.config.token_id, self.config.token_secret);
        let heard = Heard {
            method,
            target: &target,
            authorization: Some(&authorization),
            body: body.as_bytes(),
            chunked: false,
        };
        let plan = self.hear(endpoint, &heard);
        match plan.fault {
            Some(Fault::Hang | Fault::Refuse | Fault::NotHttp | Fault::DropMidBody | Fault::NoAnswer) => Answer::none(),
            _ => plan.answer.unwrap_or_else(Answer::none),
        }
    }

    /// Lets an incident happen now.
    ///
    /// # Errors
    ///
    /// [`SimError`] when it names something unknown, or cannot happen as things are.
    pub fn incident(&mut self, incident: Incident) -> Result<(), SimError> {
        happen(&mut self.model, Effect::Incident(incident))?;
        self.settle();
        Ok(())
    }

    /// Switches a fault on where and as often as the rule says.
    pub fn fault_rule(&mut self, rule: FaultRule) {
        self.model.faults.add(rule, None);
    }

    /// Switches all faults off.
    pub fn clear_faults(&mut self) {
        self.model.faults.clear();
    }

    /// Says how tasks end that requests begin from now on. The first rule that fits counts.
    pub fn task_rule(&mut self, rule: TaskRule) {
        self.model.task_rules.add(rule);
    }

    /// Tasks end as they were asked for again.
    pub fn clear_task_rules(&mut self) {
        self.model.task_rules.clear();
    }

    /// Changes what the token may see and do.
    pub fn set_access(&mut self, access: Access) {
        self.access = access;
    }

    /// The newest requests, oldest first; at most 10,000.
    pub fn requests(&self) -> Vec<Request> {
        self.record.requests()
    }

    /// How many requests came since the start.
    pub fn request_count(&self) -> u64 {
        self.record.count()
    }

    /// Forgets the requests so far; the count and the writing ones stay.
    pub fn forget_requests(&mut self) {
        self.record.forget();
    }

    /// Every request that wanted to change something, whether it did or was refused.
    pub fn writes(&self) -> Vec<Request> {
        self.record.writes()
    }

    /// Fails when a writing request came that none may have come to: see [`SimConfig::writes_allowed`].
    pub(crate) fn settle_record(&mut self) {
        self.record.settle();
    }

    /// Does what became due at this very second.
    fn settle(&mut self) {
        self.model.advance(self.model.now);
    }

    /// The node of an endpoint.
    fn node_of(&self, endpoint: usize) -> String {
        self.model.nodes.get(endpoint).map(|node| node.name.clone()).unwrap_or_default()
    }

    /// Whether a new connection to this endpoint gets nowhere: its node is down, or a fault says so. It is counted.
    pub(crate) fn refuses(&mut self, endpoint: usize) -> bool {
        self.accepted += 1;
        let down = self.model.nodes.get(endpoint).is_none_or(|node| !node.online);
        down || self.model.faults.refuses(endpoint, self.model.now)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// What to do with a request, and the record of it.
    pub(crate) fn hear(&mut self, endpoint: usize, heard: &Heard<'_>) -> Plan {
        let local = self.node_of(endpoint);
        let now = self.model.now;
        let (there, drift) = self.model.node(&local).map_or((false, 0), |node| (node.online, node.drift));
        let path = heard.target.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("/api2/json").unwrap_or(path);
        let fault = there.then(|| self.model.faults.strike(endpoint, path, now)).flatten();
        let answer = there.then(|| self.answered(&local, heard, fault.as_ref()));
        let status = match &fault {
            Some(Fault::Hang | Fault::Refuse | Fault::NotHttp) => 0,
            _ => answer.as_ref().map_or(0, |answer| answer.status),
        };
        let (method, target) = (heard.method.to_owned(), heard.target.to_owned());
        let body = String::from_utf8_lossy(heard.body).chars().take(2_000).collect();
        self.record.note(Request { endpoint, method, target, body, status, at: now });
        Plan { answer, fault, date: now + drift }
    }

    fn answered(&mut self, local: &str, heard: &Heard<'_>, fault: Option<&Fault>) -> Answer {
        match fault {
            // What is never answered has no effect either.
            Some(Fault::Hang | Fault::Refuse | Fault::NotHttp) => Answer::none(),
            Some(Fault::NoRoute) => Answer::bare(595, "No route to host"),
            Some(Fault::BrokenProxy) => Answer::bare(596, "Connection timed out"),
            Some(Fault::ServerError(reason)) => Answer::error(500, reason),
            Some(Fault::Unauthorized) => Answer::bare(401, "invalid token value!"),
            Some(Fault::Forbidden { path, privilege }) => {
                Answer::error(403, &format!("Permission check failed ({path}, {privilege})"))
            }
            Some(Fault::EmptyResources) => Answer::raw(br#"{"data":[]}"#.to_vec()),
            Some(Fault::Garbage) => Answer::raw(b"<html>\xff\xfe\x00 not json {{{".to_vec()),
            Some(Fault::FewerRows) => api::fewer_rows(&self.plain(local, heard)),
            _ => self.plain(local, heard),
        }
    }

    fn plain(&mut self, local: &str, heard: &Heard<'_>) -> Answer {
        let asked = api::Asked {
            cluster: &self.model,
            access: &self.access,
            config: &self.config,
            local,
            method: heard.method,
            target: heard.target,
            authorization: heard.authorization,
            body: heard.chunked || (!heard.body.is_empty() && heard.method == "GET"),
        };
        if heard.method == "GET" {
            return api::answer(&asked);
        }
        let path = match api::admitted(&asked) {
            Ok((path, _)) => path.to_owned(),
            Err(refused) => return refused,
        };
        let token = self.config.token_id.clone();
        let path = path.as_str();
        let order =
            actions::Order { access: &self.access, token: &token, local, method: heard.method, path, body: heard.body };
        let answer = actions::act(&mut self.model, &order).unwrap_or_else(|refused| refused);
        self.settle();
        answer
    }
}
