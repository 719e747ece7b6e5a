//! What a reload changes: which actors get a new section, and what only a restart can take over. Pure.

use super::settings::Settings;

/// The difference of two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// `[server]` differs.
    pub server: bool,
    /// `[store]` differs.
    pub store: bool,
    /// `[agent]`, or a file that it names, differs.
    pub agent: bool,
    /// `[approvals]` differs.
    pub approvals: bool,
    /// `[mcp]`, or the file that it names, differs.
    pub mcp: bool,
    /// `[tools]` differs.
    pub tools: bool,
    /// `[providers]` or `[routes]` differ.
    pub providers: bool,
    /// `[proxmox]` differs.
    pub clusters: bool,
    /// `[monitor]`, `[jobs]`, `[notify]`, `[prometheus]` or `[alertmanager]` differ.
    pub watching: bool,
    /// Keys that differ and that a running daemon cannot change: the reload is refused.
    pub needs_restart: Vec<String>,
}

impl Changes {
    /// Why the reload is refused, one line for each key; nothing if it is not.
    pub fn refusals(&self) -> Vec<String> {
        self.needs_restart.iter().map(|key| format!("\"{key}\" has changed: this needs a restart")).collect()
    }
}

/// Compares the running configuration with a new one.
pub fn diff(old: &Settings, new: &Settings) -> Changes {
    let mut needs_restart: Vec<String> =
        old.server.needs_restart(&new.server).into_iter().map(|key| format!("server.{key}")).collect();
    if old.store.path != new.store.path {
        needs_restart.push("store.path".to_owned());
    }
    Changes {
        server: old.server != new.server,
        store: old.store != new.store,
        agent: old.agent != new.agent || old.prompts != new.prompts,
        approvals: old.approvals != new.approvals,
        mcp: old.mcp != new.mcp,
        tools: old.tools != new.tools,
        providers: old.providers != new.providers,
        clusters: old.clusters != new.clusters,
        watching: old.desk != new.desk
            || old.channels != new.channels
            || old.jobs != new.jobs
            || old.prometheus != new.prometheus,
        needs_restart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_differs_in_nothing() {
        assert_eq!(diff(&Settings::default(), &Settings::default()), Changes::default());
    }

    #[test]
    fn each_section_is_told_by_itself() {
        let old = Settings::default();
        let mut new = old.clone();
        new.providers.routes.0.push(("default".to_owned(), vec!["builtin/offline".to_owned()].into()));
        new.tools.disabled.push("get_time".to_owned());
        assert_eq!(diff(&old, &new), Changes { providers: true, tools: true, ..Changes::default() });
        let mut new = old.clone();
        new.server.allowed_hosts.push("haia.lan".to_owned());
        assert_eq!(diff(&old, &new), Changes { server: true, ..Changes::default() });
    }

    #[test]
    fn some_keys_need_a_restart() {
        let old = Settings::default();
        let mut new = old.clone();
        new.server.listen = "127.0.0.1:9".to_owned();
        new.server.workers = 3;
        new.store.path = "/elsewhere.db".into();
        let changes = diff(&old, &new);
        assert_eq!(changes.needs_restart, ["server.listen", "server.workers", "store.path"]);
        assert_eq!(changes.refusals()[2], "\"store.path\" has changed: this needs a restart");
    }
}
