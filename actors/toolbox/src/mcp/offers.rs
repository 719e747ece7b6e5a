//! The tools on offer under their names in the catalogue, made anew when something changed.

use super::definition;
use super::host::Host;
use super::names::{Named, assign};
use crate::toolbox::RefreshCatalogue;
use contract::message::{Lane, Msg};
use contract::tools::Tool;
use runtime::{Context, Handle, Reply};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Changes of tools that come closer together are told as one.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(50);

/// Tells the toolbox that tools have changed.
pub(super) struct Announce;

impl Msg for Announce {
    type Reply = ();
    const NAME: &'static str = "McpAnnounce";
}

/// The offered tools, made anew when something changed.
#[derive(Default)]
pub(super) struct Offers {
    /// Sorted by name.
    pub(super) tools: Vec<Tool>,
    /// Server and place among its tools, by offered name.
    pub(super) of: BTreeMap<Arc<str>, (Arc<str>, usize)>,
    /// Offered name by server and own name.
    pub(super) names: BTreeMap<(String, String), Arc<str>>,
}

impl Host {
    /// Tells the toolbox, soon, that tools have changed.
    pub(super) fn changed(&mut self, context: &Context<Self>) {
        self.is_stale = true;
        if !self.is_announcing {
            self.is_announcing = true;
            context.tell_after(ANNOUNCE_AFTER, Lane::Control, Announce);
        }
    }

    /// The offered tools of now.
    pub(super) fn offers(&mut self) -> &Offers {
        if self.is_stale {
            self.offers = self.name_tools();
            self.is_stale = false;
        }
        &self.offers
    }

    /// The offered tools must be named anew before they are used.
    pub(super) fn is_stale_now(&mut self) {
        self.is_stale = true;
    }

    /// Offered names by server and own name, as of the last naming.
    pub(super) fn names(&self) -> &BTreeMap<(String, String), Arc<str>> {
        &self.offers.names
    }

    fn name_tools(&self) -> Offers {
        let catalogue = self.ports.catalogue.load();
        let others = catalogue.tools.iter().filter(|tool| !definition::is_of_a_server(&tool.description));
        let reserved: HashSet<String> = others.map(|tool| tool.name.to_ascii_lowercase()).collect();
        let is_reserved =
            |name: &str| name == super::calls::READ_RESULT || reserved.contains(&name.to_ascii_lowercase());
        let named: Vec<Named<'_>> = self
            .servers
            .values()
            .filter_map(|server| {
                let prefix = server.entry()?.own.prefix;
                let offered = server.tools.iter().map(|tool| tool.definition.name.as_str());
                Some(Named {
                    server: &server.name,
                    prefix,
                    tools: offered.filter(|tool| server.offers(tool)).collect(),
                })
            })
            .collect();
        let names = assign(&named, is_reserved);
        let mut offers = Offers { names, ..Offers::default() };
        for server in self.servers.values() {
            let Some(entry) = server.entry() else { continue };
            for (at, tool) in server.tools.iter().enumerate() {
                let key = (server.name.to_string(), tool.definition.name.clone());
                let Some(name) = offers.names.get(&key) else { continue };
                offers.of.insert(Arc::clone(name), (Arc::clone(&server.name), at));
                offers.tools.push(Tool {
                    name: Arc::clone(name),
                    description: Arc::clone(&tool.description),
                    parameters: Arc::clone(&tool.parameters),
                    risk: entry.own.risk(&tool.definition.name),
                    title: Arc::clone(&tool.title),
                });
            }
        }
        if !offers.tools.is_empty() {
            offers.tools.push(super::calls::read_result_tool());
        }
        offers.tools.sort_by(|a, b| a.name.cmp(&b.name));
        offers
    }
}

impl Handle<Announce> for Host {
    fn handle(&mut self, _: Announce, _: &Context<Self>) -> Reply<()> {
        self.is_announcing = false;
        if let Some(refresh) = self.ports.refresh.get()
            && let Err(fault) = refresh.tell(RefreshCatalogue)
        {
            tracing::warn!(%fault, "the toolbox could not be told that tools of MCP servers have changed");
        }
        Reply::Now(())
    }
}
