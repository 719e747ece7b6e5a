//! Whether what a finding is about is still configured. It judges names only; whether the thing itself exists is the watcher's business.

use super::Config;
use crate::rules::{CHANNEL_FAILED, JOB_FAILED, MCP_DEFINITION_CHANGED, MCP_SERVER_FAILED, PROVIDER_DOWN, is_standing};
use contract::alerts::Finding;

/// The object of the outbound sign of life.
pub(crate) const WATCHDOG: &str = "watchdog";

impl Config {
    /// Whether a finding is about something that is configured, as far as that is known.
    pub(crate) fn covers(&self, finding: &Finding) -> bool {
        let Some(configured) = &self.configured else { return true };
        let name = |kind: &str| finding.object.strip_prefix(kind);
        match &*finding.rule {
            JOB_FAILED => name("job/").is_none_or(|name| configured.jobs.contains(name)),
            PROVIDER_DOWN => name("provider/").is_none_or(|name| configured.providers.contains(name)),
            CHANNEL_FAILED if *finding.object == *WATCHDOG => self.monitor.watchdog.is_some(),
            CHANNEL_FAILED => name("channel/").is_none_or(|name| self.channels.iter().any(|known| **known == *name)),
            MCP_SERVER_FAILED | MCP_DEFINITION_CHANGED => {
                name("mcp/").zip(configured.mcp_servers.as_ref()).is_none_or(|(name, servers)| servers.contains(name))
            }
            rule if is_standing(rule) => true,
            _ => finding.labels.first("cluster").is_none_or(|cluster| configured.clusters.contains(cluster)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Configured;
    use contract::alerts::Severity;
    use jiff::Timestamp;

    #[test]
    fn every_kind_of_finding_is_looked_up_where_it_is_configured() {
        let names = |name: &str| [name.into()].into();
        let configured = Configured {
            clusters: names("lab"),
            providers: names("local"),
            jobs: names("morning"),
            mcp_servers: Some(names("files")),
        };
        let config =
            Config { channels: vec!["phone".into()], configured: Some(configured.clone()), ..Config::default() };
        let finding = |rule: &str, object: &str, cluster: &str| {
            let mut finding =
                Finding::new(rule, object, object, "fails", Some(Severity::Warning), Timestamp::UNIX_EPOCH);
            if !cluster.is_empty() {
                finding.labels.add("cluster", cluster);
            }
            finding
        };
        for (rule, object, cluster, is_covered) in [
            ("job_failed", "job/morning", "", true),
            ("job_failed", "job/evening", "", false),
            ("provider_down", "provider/local", "", true),
            ("provider_down", "provider/remote", "", false),
            ("mcp_server_failed", "mcp/files", "", true),
            ("mcp_server_failed", "mcp/old", "", false),
            ("mcp_definition_changed", "mcp/old", "", false),
            ("channel_failed", "channel/phone", "", true),
            ("channel_failed", "channel/mail", "", false),
            ("channel_failed", "watchdog", "", false),
            ("node_down", "lab/node/pve1", "lab", true),
            ("node_down", "old/node/pve1", "old", false),
            // Others decide over these, or they name no cluster of HAIA's.
            ("actor_failed", "actor/store", "", true),
            ("alertmanager", "0123", "old", true),
            ("guest_crashed", "x", "", true),
        ] {
            assert_eq!(config.covers(&finding(rule, object, cluster)), is_covered, "{rule} {object}");
            assert!(Config::default().covers(&finding(rule, object, cluster)), "nothing is known");
        }
        let monitor = serde_json::from_str(r#"{"watchdog":{"url":"http://x/"}}"#).unwrap();
        let unreadable = Configured { mcp_servers: None, ..configured };
        let config = Config { monitor, configured: Some(unreadable), ..Config::default() };
        assert!(config.covers(&finding("mcp_server_failed", "mcp/old", "")), "the file cannot be read");
        assert!(config.covers(&finding("channel_failed", "watchdog", "")));
    }
}
