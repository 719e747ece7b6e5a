//! How the tasks end that requests begin: as asked unless a rule says otherwise. A rule changes no task that is already running.

/// How a task ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TaskEnd {
    /// `OK`, with its effect.
    #[default]
    Ok,
    /// `WARNINGS: n`, with its effect.
    Warnings(u32),
    /// With this text, without its effect.
    Fails(String),
}

/// What the tasks that it fits take and how they end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskRule {
    /// Only tasks of this type, such as `qmstart`; empty: all.
    pub kind: String,
    /// Only tasks of this guest.
    pub vmid: Option<u32>,
    /// How many seconds of the cluster's clock it runs; without: what such a task usually takes.
    pub seconds: Option<u32>,
    /// How it ends.
    pub end: TaskEnd,
    /// How many tasks it fits; without: all.
    pub times: Option<u32>,
}

impl TaskRule {
    /// Tasks of this type run so long, and end well.
    pub fn takes(kind: &str, seconds: u32) -> Self {
        Self { kind: kind.to_owned(), seconds: Some(seconds), ..Self::default() }
    }

    /// Tasks of this type end so, after the usual time.
    pub fn ends(kind: &str, end: TaskEnd) -> Self {
        Self { kind: kind.to_owned(), end, ..Self::default() }
    }
}

/// The rules that are on. The first that fits counts.
#[derive(Debug, Default)]
pub(crate) struct TaskRules(Vec<TaskRule>);

impl TaskRules {
    pub(crate) fn add(&mut self, rule: TaskRule) {
        self.0.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The rule for a task that begins, counted.
    pub(crate) fn take(&mut self, kind: &str, vmid: u32) -> Option<TaskRule> {
        let fits =
            |rule: &TaskRule| (rule.kind.is_empty() || rule.kind == kind) && rule.vmid.is_none_or(|only| only == vmid);
        let at = self.0.iter().position(fits)?;
        let rule = self.0[at].clone();
        if let Some(times) = &mut self.0[at].times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.0.remove(at);
            }
        }
        Some(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_fits_its_tasks_as_often_as_it_says() {
        let mut rules = TaskRules::default();
        let fails = TaskEnd::Fails("got timeout".into());
        rules.add(TaskRule { vmid: Some(101), times: Some(1), ..TaskRule::ends("qmstart", fails.clone()) });
        assert_eq!(rules.take("qmstop", 101), None);
        assert_eq!(rules.take("qmstart", 102), None);
        assert_eq!(rules.take("qmstart", 101).map(|rule| rule.end), Some(fails));
        assert_eq!(rules.take("qmstart", 101), None);
        rules.add(TaskRule::takes("", 90));
        assert_eq!(rules.take("vzdump", 7).and_then(|rule| rule.seconds), Some(90));
        rules.clear();
        assert_eq!(rules.take("vzdump", 7), None);
    }
}
