//! `[approvals]`: what may be proposed, when, how often, and who may approve it.
//!
//! That a cluster takes actions at all is said in `[proxmox.<name>] allow_actions`, which is off as shipped: then nothing may be proposed there. Rules
//! under `allow` narrow what a cluster with it takes.

use contract::alerts::matches_pattern;
use contract::approvals::{ActionClass, ActionPlan};
use contract::monitor::ObjectMatch;
use contract::units::Span;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SHORTEST_EXPIRY: Duration = Duration::from_secs(60);
const LONGEST_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);

/// The settings of the approvals desk.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a proposal waits for a person, in HAIA's time.
    pub expiry: Span,
    /// Whether turns that no person waits for (jobs, explanations of alerts) may propose.
    pub background: bool,
    /// The channels that are told, by their names in `[notify.channels]`; empty: all.
    pub notify: Vec<String>,
    /// What may be proposed. The first rule that fits the action, its object and the hour applies, and without one that fits nothing is. No rules at
    /// all: whatever clusters with `allow_actions` and attached MCP servers take.
    pub allow: Vec<Rule>,
    /// What may never be proposed, whatever `allow` says.
    pub deny: Vec<Never>,
}

impl Default for Config {
    fn default() -> Self {
        Self { expiry: Span::seconds(3600), background: false, notify: Vec::new(), allow: Vec::new(), deny: Vec::new() }
    }
}

/// Something that may be proposed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which kinds of action.
    pub classes: Vec<ActionClass>,
    /// On which objects; left out: on all.
    #[serde(rename = "match", default)]
    pub objects: Option<ObjectMatch>,
    /// Through which tools, as patterns; empty: through any. For the tools of MCP servers, which have no object.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Who may approve: names of keys (with the scope admin), `telegram:<number of the user>`, `cli`. Empty: every key with the scope admin, the
    /// command line, and the Telegram users that their channel names as approvers.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// Whether a second person must approve too.
    #[serde(default)]
    pub second_approval: SecondApproval,
    /// When, as `08:00-22:00`; left out: always. Past midnight is fine.
    #[serde(default)]
    pub hours: Option<String>,
    /// The time zone of `hours`, by its IANA name; left out: HAIA's own.
    #[serde(default)]
    pub timezone: Option<String>,
    /// The most actions within an hour that may be run under this rule; 0: any number.
    #[serde(default = "ten")]
    pub max_per_hour: u32,
}

fn ten() -> u32 {
    10
}

/// When a second person must approve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondApproval {
    /// Never.
    #[default]
    Never,
    /// For what may destroy something.
    Destructive,
    /// Always.
    Always,
}

/// Something that may never be proposed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Never {
    /// Which kinds of action; empty: all.
    pub classes: Vec<ActionClass>,
    /// On which objects; left out: on all.
    #[serde(rename = "match")]
    pub objects: Option<ObjectMatch>,
    /// Through which tools, as patterns; empty: through any.
    pub tools: Vec<String>,
}

fn fits(classes: &[ActionClass], objects: Option<&ObjectMatch>, tools: &[String], plan: &ActionPlan) -> bool {
    classes.contains(&plan.class)
        && objects.is_none_or(|objects| objects.fits(&plan.labels))
        && (tools.is_empty() || tools.iter().any(|pattern| matches_pattern(pattern, &plan.tool)))
}

impl Rule {
    /// Every kind of action on every object, approved by one of those who may.
    pub(crate) fn of_everything() -> Self {
        Self {
            classes: ActionClass::ALL.to_vec(),
            objects: None,
            tools: Vec::new(),
            approvers: Vec::new(),
            second_approval: SecondApproval::Never,
            hours: None,
            timezone: None,
            max_per_hour: ten(),
        }
    }

    /// Whether it speaks of this action on this object.
    pub(crate) fn fits(&self, plan: &ActionPlan) -> bool {
        fits(&self.classes, self.objects.as_ref(), &self.tools, plan)
    }
}

impl Never {
    /// Whether it forbids this action on this object.
    pub(crate) fn fits(&self, plan: &ActionPlan) -> bool {
        let all = [plan.class];
        let classes = if self.classes.is_empty() { &all[..] } else { &self.classes };
        fits(classes, self.objects.as_ref(), &self.tools, plan)
    }
}

/// Reads `08:00-22:00`.
pub(crate) fn hours(text: &str) -> Option<(Time, Time)> {
    let time = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = time(from).zip(time(to))?;
    (from != to).then_some((from, to))
}

impl Config {
    /// The classes that the rules name for objects of a cluster; `None` where there are no rules, so that every class may be proposed. A class that
    /// is denied everywhere is not among them.
    pub fn named_classes(&self, cluster: &str) -> Option<Vec<ActionClass>> {
        if self.allow.is_empty() {
            return None;
        }
        let is_elsewhere = |rule: &&Rule| {
            let only = rule.objects.as_ref().and_then(|objects| objects.cluster.as_deref());
            only.is_some_and(|pattern| !matches_pattern(pattern, cluster))
        };
        let is_denied = |class: &ActionClass| {
            let everywhere = |never: &&Never| never.objects.is_none() && never.tools.is_empty();
            let fits = |never: &Never| never.classes.is_empty() || never.classes.contains(class);
            self.deny.iter().filter(everywhere).any(fits)
        };
        let named = self.allow.iter().filter(|rule| !is_elsewhere(rule)).flat_map(|rule| rule.classes.iter().copied());
        let mut named: Vec<ActionClass> = named.filter(|class| !is_denied(class)).collect();
        named.sort();
        named.dedup();
        Some(named)
    }

    /// What is wrong with the values: the key, and a sentence that says what to do.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if !(SHORTEST_EXPIRY..=LONGEST_EXPIRY).contains(&self.expiry.0) {
            let (least, most) = (Span(SHORTEST_EXPIRY), Span(LONGEST_EXPIRY));
            problems.push((
                "expiry".to_owned(),
                format!("is {}: it must be between \"{least}\" and \"{most}\"", self.expiry),
            ));
        }
        for (at, rule) in self.allow.iter().enumerate() {
            let mut wrong = |key: &str, message: String| problems.push((format!("allow[{at}].{key}"), message));
            if rule.classes.is_empty() {
                let all: Vec<&str> = ActionClass::ALL.iter().map(|class| class.as_str()).collect();
                wrong("classes", format!("is empty: name some of {}", all.join(", ")));
            }
            if rule.objects.as_ref().is_some_and(|objects| objects.matchers().is_empty()) {
                wrong(
                    "match",
                    "names nothing: give a tag, vmid, name, node, storage or cluster, or leave it out".to_owned(),
                );
            }
            for approver in &rule.approvers {
                let user = approver.strip_prefix("telegram:");
                if approver.is_empty() || user.is_some_and(|user| user.parse::<i64>().is_err()) {
                    let message = format!("{approver:?} is nobody: write a key's name, \"cli\" or \"telegram:123456\"");
                    wrong("approvers", message);
                }
            }
            if rule.second_approval != SecondApproval::Never && rule.approvers.len() == 1 {
                wrong(
                    "second_approval",
                    "needs a second person: name another approver, or leave approvers out".to_owned(),
                );
            }
            if let Some(text) = rule.hours.as_deref().filter(|text| hours(text).is_none()) {
                wrong("hours", format!("{text:?} are no hours: write for example \"08:00-22:00\""));
            }
            if let Some(zone) = rule.timezone.as_deref().filter(|zone| TimeZone::get(zone).is_err()) {
                wrong("timezone", format!("{zone:?} is no time zone: give an IANA name such as \"Europe/Paris\""));
            }
        }
        for (at, never) in self.deny.iter().enumerate() {
            if never.objects.as_ref().is_some_and(|objects| objects.matchers().is_empty()) {
                problems.push((
                    format!("deny[{at}].match"),
                    "names nothing: give a tag, vmid, name, node, storage or cluster, or leave it out".to_owned(),
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_allowed_as_shipped() {
        let config = read("").unwrap();
        assert_eq!(config, Config::default());
        assert!(config.allow.is_empty() && !config.background);
        assert_eq!(config.validate(), []);
    }

    #[test]
    fn every_key_is_read_and_no_other() {
        let config = read(
            r#"
            expiry = "30m"
            background = true
            notify = ["telegram"]
            [[allow]]
            classes = ["start", "alertmanager_silence"]
            match = { tag = "lab", vmid = 101 }
            tools = ["start_*"]
            approvers = ["anna", "telegram:123", "cli"]
            second_approval = "destructive"
            hours = "22:00-06:00"
            timezone = "Europe/Paris"
            max_per_hour = 3
            [[deny]]
            match = { name = "nas-*" }
            "#,
        )
        .unwrap();
        assert_eq!(config.validate(), []);
        assert_eq!(config.allow[0].objects.as_ref().unwrap().vmid.as_deref(), Some("101"));
        assert_eq!(
            hours(config.allow[0].hours.as_deref().unwrap()),
            Some((Time::constant(22, 0, 0, 0), Time::constant(6, 0, 0, 0)))
        );
        for wrong in [
            "expire = \"1h\"",
            "[[allow]]\nclasses = [\"destroy\"]",
            "[[allow]]\nmatch = {tag=\"x\"}",
            "[[deny]]\nclass = []",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_classes_of_a_cluster_are_those_that_its_rules_name() {
        assert_eq!(Config::default().named_classes("lab"), None);
        let config = read(
            r#"
            [[allow]]
            classes = ["stop", "start"]
            [[allow]]
            classes = ["backup", "start"]
            match = { cluster = "home*", tag = "x" }
            [[deny]]
            classes = ["stop"]
            [[deny]]
            classes = ["start"]
            match = { tag = "prod" }
            "#,
        )
        .unwrap();
        assert_eq!(config.named_classes("lab"), Some(vec![ActionClass::Start]));
        assert_eq!(config.named_classes("homelab"), Some(vec![ActionClass::Start, ActionClass::Backup]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key() {
        let config = read(
            r#"
            expiry = "5s"
            [[allow]]
            classes = []
            match = {}
            approvers = ["telegram:anna"]
            second_approval = "always"
            hours = "8-20"
            timezone = "Europe/Pariss"
            [[deny]]
            match = {}
            "#,
        )
        .unwrap();
        let keys: Vec<String> = config.validate().into_iter().map(|(key, _)| key).collect();
        let expected = [
            "expiry",
            "allow[0].classes",
            "allow[0].match",
            "allow[0].approvers",
            "allow[0].second_approval",
            "allow[0].hours",
            "allow[0].timezone",
            "deny[0].match",
        ];
        assert_eq!(keys, expected);
        for text in ["", "08:00", "08:00-08:00", "24:00-01:00", "a-b"] {
            assert_eq!(hours(text), None, "{text}");
        }
    }
}
