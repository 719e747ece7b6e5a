//! Faults of the HTTP side, switched on and off while the simulation runs. They change answers, never the cluster.

use std::time::Duration;

/// What goes wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is read and never answered, and nothing comes of it; the connection stays open until the client leaves.
    Hang,
    /// New connections are closed before the TLS handshake, open ones at their next request.
    Refuse,
    /// A right head, half of the body, then the connection is cut without a TLS end. What the request asked for has happened.
    DropMidBody,
    /// What the request asks for is done, and the connection ends in order, without a word of an answer.
    NoAnswer,
    /// 595: pveproxy cannot reach the node that should answer.
    NoRoute,
    /// 596: the node that should answer broke off.
    BrokenProxy,
    /// `/cluster/resources` lacks every third guest, as after a hiccup of the configuration file system.
    FewerRows,
    /// 500 with this text in the reason phrase.
    ServerError(String),
    /// 401, status line only.
    Unauthorized,
    /// 403 with pveproxy's wording for this path and privilege.
    Forbidden {
        /// Such as `/`.
        path: String,
        /// Such as `Sys.Audit`.
        privilege: String,
    },
    /// `/cluster/resources` is an empty list, all else as usual.
    EmptyResources,
    /// The answer comes this much later, in the clock's real time.
    Slow(Duration),
    /// The connection is cut without a word after this many requests on it.
    CloseAfter(u32),
    /// 200 with a body that is no JSON and no UTF-8.
    Garbage,
    /// Bytes that are no HTTP, then the end.
    NotHttp,
}

/// A fault with where and how often it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// Only paths that begin so, without `/api2/json`; empty: all.
    pub path: String,
    /// Only this endpoint, an index into `SimHandle::endpoints`.
    pub endpoint: Option<usize>,
    /// How many requests it strikes; without: until it is cleared.
    pub times: Option<u32>,
}

impl FaultRule {
    /// This fault, for every request of every endpoint, until it is cleared.
    pub fn always(fault: Fault) -> Self {
        Self { fault, path: String::new(), endpoint: None, times: None }
    }

    /// Only for paths that begin with `path`.
    pub fn on_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Only on this endpoint.
    pub fn on_endpoint(mut self, endpoint: usize) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Only the next `times` requests that it fits.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// The faults that are on. The first that fits strikes.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<(FaultRule, Option<i64>)>,
}

impl Faults {
    /// Switches a rule on, for good or until a moment.
    pub(crate) fn add(&mut self, rule: FaultRule, ends: Option<i64>) {
        self.rules.push((rule, ends));
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault that strikes this request, counted.
    pub(crate) fn strike(&mut self, endpoint: usize, path: &str, now: i64) -> Option<Fault> {
        self.forget_ended(now);
        let fits = |(rule, _): &(FaultRule, Option<i64>)| {
            let elsewhere = rule.endpoint.is_some_and(|only| only != endpoint);
            let of_resources = matches!(rule.fault, Fault::EmptyResources | Fault::FewerRows);
            let other = of_resources && path != "/cluster/resources";
            !elsewhere && !other && path.starts_with(&rule.path)
        };
        let at = self.rules.iter().position(fits)?;
        let rule = &mut self.rules[at].0;
        let fault = rule.fault.clone();
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.rules.remove(at);
            }
        }
        Some(fault)
    }

    /// Whether new connections of this endpoint are closed at once.
    pub(crate) fn refuses(&mut self, endpoint: usize, now: i64) -> bool {
        self.forget_ended(now);
        let here = |rule: &&FaultRule| rule.endpoint.is_none_or(|only| only == endpoint) && rule.path.is_empty();
        self.rules.iter().map(|(rule, _)| rule).filter(here).any(|rule| rule.fault == Fault::Refuse)
    }

    fn forget_ended(&mut self, now: i64) {
        self.rules.retain(|(_, ends)| ends.is_none_or(|ends| now < ends));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_where_and_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.add(FaultRule::always(Fault::Hang).on_path("/nodes").on_endpoint(1).times(2), None);
        assert_eq!(faults.strike(0, "/nodes", 0), None);
        assert_eq!(faults.strike(1, "/version", 0), None);
        assert_eq!(faults.strike(1, "/nodes/pve1/status", 0), Some(Fault::Hang));
        assert_eq!(faults.strike(1, "/nodes", 0), Some(Fault::Hang));
        assert_eq!(faults.strike(1, "/nodes", 0), None, "twice was said");
        faults.add(FaultRule::always(Fault::EmptyResources), None);
        assert_eq!(faults.strike(0, "/cluster/status", 0), None);
        assert_eq!(faults.strike(0, "/cluster/resources", 0), Some(Fault::EmptyResources));
        faults.clear();
        assert_eq!(faults.strike(0, "/cluster/resources", 0), None);
        faults.add(FaultRule::always(Fault::Refuse), Some(60));
        assert!(faults.refuses(0, 59) && !faults.refuses(0, 60), "it ends when it was said");
    }
}
