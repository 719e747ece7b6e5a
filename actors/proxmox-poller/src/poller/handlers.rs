//! What the poller answers, message by message.

use super::{
    Beat, Fetched, NotKept, Polled, ProxmoxPoller, Remembered, Reported, Resumed, STORE_DEADLINE, keep, plan, probe,
};
use crate::actions::{self, ACTION_TOOLS, ActionTool};
use crate::config::Config;
use crate::memory::unpack;
use crate::tools;
use contract::cluster::{ClusterProbe, ClusterStatus, ListClusters, ProbeCluster};
use contract::failure::{Failure, FailureClass};
use contract::message::{Drain, Reconfigure};
use contract::monitor::RuleBook;
use contract::tools::{CallTool, ListTools, Tool, ToolResult};
use futures_util::future::join_all;
use runtime::{Context, Handle, Reply};
use std::sync::Arc;

impl Handle<Beat> for ProxmoxPoller {
    fn handle(&mut self, _: Beat, context: &Context<Self>) -> Reply<()> {
        self.start_due(context);
        Reply::Now(())
    }
}

impl Handle<Polled> for ProxmoxPoller {
    fn handle(&mut self, polled: Polled, context: &Context<Self>) -> Reply<()> {
        let (now, published) = (self.ports.clock.now(), self.ports.snapshots.load_full());
        let before = published.get(&polled.cluster).map(Arc::as_ref);
        let (book, needs) = (Arc::clone(&self.book), self.needs.clone());
        let Some(cluster) = self.find(&polled.cluster, polled.generation) else { return Reply::Now(()) };
        if let Some(snapshot) = cluster.polled(polled.news, before, now, &book, &needs) {
            self.publish(snapshot);
            if let Some(kept) = self.history_due(&polled.cluster, false) {
                let port = self.ports.keep_history.clone();
                context.spawn(async move {
                    match port.ask(kept, STORE_DEADLINE).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::warn!(%error, "the history of a cluster was not kept"),
                        Err(fault) => tracing::warn!(%fault, "the history of a cluster was not kept"),
                    }
                });
            }
        }
        self.start_due(context);
        Reply::Now(())
    }
}

impl Handle<Fetched> for ProxmoxPoller {
    fn handle(&mut self, fetched: Fetched, _: &Context<Self>) -> Reply<()> {
        let (now, published) = (self.ports.clock.now(), self.ports.snapshots.load_full());
        let Some(snapshot) = published.get(&fetched.cluster) else { return Reply::Now(()) };
        if let Some(cluster) = self.find(&fetched.cluster, fetched.generation) {
            let next = cluster.fetched(fetched.news, snapshot, now);
            self.publish(next);
        }
        Reply::Now(())
    }
}

impl Handle<Reported> for ProxmoxPoller {
    fn handle(&mut self, reported: Reported, context: &Context<Self>) -> Reply<()> {
        let now = self.ports.clock.now();
        if let Some(cluster) = self.find(&reported.cluster, reported.generation) {
            cluster.watch.reported(reported.refused, now);
        }
        self.start_due(context);
        Reply::Now(())
    }
}

impl Handle<Resumed> for ProxmoxPoller {
    fn handle(&mut self, resumed: Resumed, context: &Context<Self>) -> Reply<()> {
        let states = resumed.states.unwrap_or_else(|error| {
            tracing::warn!(%error, "what the rules remembered could not be read: this is a first sight again");
            Vec::new()
        });
        for cluster in self.clusters.iter_mut().filter(|cluster| !cluster.watch.is_ready) {
            if !resumed.clusters.contains(&cluster.name) {
                continue;
            }
            let kept = states.iter().find(|(name, _)| *name == cluster.name);
            let read = kept.and_then(|(_, text)| unpack(&cluster.name, text));
            if kept.is_some() && read.is_none() {
                tracing::warn!(cluster = %cluster.name, "what the rules remembered of the cluster cannot be read and is left out");
            }
            cluster.watch.resume(read);
        }
        self.start_due(context);
        Reply::Now(())
    }
}

impl Handle<NotKept> for ProxmoxPoller {
    fn handle(&mut self, not_kept: NotKept, _: &Context<Self>) -> Reply<()> {
        if let Some(cluster) = self.clusters.iter_mut().find(|cluster| cluster.name == not_kept.cluster) {
            cluster.watch.not_kept();
        }
        Reply::Now(())
    }
}

impl Handle<Reconfigure<RuleBook>> for ProxmoxPoller {
    /// Takes over how the rules are set, and judges what is known by it.
    fn handle(&mut self, Reconfigure(book): Reconfigure<RuleBook>, context: &Context<Self>) -> Reply<()> {
        self.needs = plan::needs(&book);
        self.book = book;
        for cluster in &mut self.clusters {
            cluster.watch.is_dirty = true;
        }
        self.start_due(context);
        Reply::Now(())
    }
}

impl Handle<Remembered> for ProxmoxPoller {
    fn handle(&mut self, remembered: Remembered, _: &Context<Self>) -> Reply<()> {
        let cluster = self.clusters.iter().find(|cluster| cluster.name == remembered.cluster);
        match (cluster, remembered.slabs) {
            (Some(cluster), Ok(slabs)) => {
                if !cluster.history.borrow_mut().restore(&slabs) {
                    tracing::warn!(cluster = %cluster.name, "a part of the cluster's history could not be read and is left out");
                }
            }
            (_, Err(error)) => {
                tracing::warn!(cluster = %remembered.cluster, %error, "the cluster's history could not be read; trends begin anew");
            }
            (None, Ok(_)) => {}
        }
        Reply::Now(())
    }
}

impl Handle<ListClusters> for ProxmoxPoller {
    fn handle(&mut self, _: ListClusters, _: &Context<Self>) -> Reply<Vec<ClusterStatus>> {
        Reply::Now(self.statuses())
    }
}

impl Handle<ProbeCluster> for ProxmoxPoller {
    fn handle(&mut self, asked: ProbeCluster, _: &Context<Self>) -> Reply<Result<ClusterProbe, Failure>> {
        let Some(cluster) = self.clusters.iter().find(|cluster| cluster.name == asked.cluster) else {
            let message = format!("no cluster named {:?} is configured", asked.cluster);
            return Reply::Now(Err(Failure::new(FailureClass::NotFound, message)));
        };
        match &cluster.client {
            Ok(client) => {
                let (client, clock) = (client.clone(), Arc::clone(&self.ports.clock));
                let takes_actions = cluster.config.allow_actions;
                Reply::later(async move { Ok(probe::probe(&client, &clock, takes_actions).await) })
            }
            Err(why) => Reply::Now(Err(Failure::new(FailureClass::InvalidRequest, why.clone()))),
        }
    }
}

impl Handle<ListTools> for ProxmoxPoller {
    /// Without a cluster there is nothing to ask, and no tool to offer.
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        let offered = if self.clusters.is_empty() { &[] } else { tools::READ_TOOLS };
        let actions = if self.takes_actions() { ACTION_TOOLS } else { &[] };
        let actions = actions.iter().map(ActionTool::offer);
        Reply::Now(offered.iter().map(tools::ReadTool::offer).chain(actions).collect())
    }
}

impl Handle<CallTool> for ProxmoxPoller {
    fn handle(&mut self, call: CallTool, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        if let Some(tool) = actions::find(&call.name) {
            let said = format!(
                "{} changes something, so it is never called: it has to be proposed, and approved by a person. Nothing was done.",
                tool.name
            );
            return Reply::Now(Ok(ToolResult::error(said)));
        }
        let Some(tool) = tools::READ_TOOLS.iter().find(|tool| tool.name == &*call.name) else {
            return Reply::Now(Ok(ToolResult::error("the poller of clusters has no such tool")));
        };
        match (tool.begin)(&self.desk(), &call.arguments) {
            Ok(begun) => {
                let deadline = self.ports.clock.pause(call.timeout);
                Reply::later(async move {
                    Ok(tokio::select! {
                        biased;
                        result = begun => result,
                        () = deadline => ToolResult::error("the cluster did not answer in time"),
                    })
                })
            }
            Err(said) => Reply::Now(Ok(ToolResult::error(said))),
        }
    }
}

impl Handle<Reconfigure<Config>> for ProxmoxPoller {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, context: &Context<Self>) -> Reply<()> {
        let begun = self.take_over(&config);
        self.remember(begun, context);
        self.start_due(context);
        Reply::Now(())
    }
}

impl Handle<Drain> for ProxmoxPoller {
    /// Polls no more, and keeps what the history holds.
    fn handle(&mut self, _: Drain, _: &Context<Self>) -> Reply<()> {
        self.is_draining = true;
        let names: Vec<Arc<str>> = self.clusters.iter().map(|cluster| Arc::clone(&cluster.name)).collect();
        let due: Vec<_> = names.iter().filter_map(|name| self.history_due(name, true)).collect();
        let port = self.ports.keep_history.clone();
        let (now, published) = (self.ports.clock.now(), self.ports.snapshots.load_full());
        let mut states = Vec::new();
        for cluster in &mut self.clusters {
            let kept = published.get(&cluster.name).and_then(|snapshot| cluster.watch.keep_due(snapshot, now, true));
            states.extend(kept.map(|kept| (Arc::clone(&cluster.name), Some(kept))));
        }
        let store = self.ports.keep_states.clone();
        Reply::later(async move {
            if !states.is_empty() {
                keep(&store, states).await;
            }
            for answer in join_all(due.into_iter().map(|kept| port.ask(kept, STORE_DEADLINE))).await {
                if let Ok(Err(error)) = answer {
                    tracing::warn!(%error, "the history of a cluster was not kept");
                }
            }
        })
    }
}
