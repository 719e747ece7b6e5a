//! The life of the running actors: a new configuration, the drain, the end. It starts nothing.

use super::{Actors, DRAIN_DEADLINE, IDLE_PERIOD, RECONFIGURE_DEADLINE, watching};
use crate::config::{Changes, Settings};
use contract::clock::SharedClock;
use contract::message::{Drain, Lane, Reconfigure};
use runtime::{Handle, Mailbox};
use std::sync::Arc;
use std::time::Duration;
use toolbox::RefreshCatalogue;

/// How long the processes of attached MCP servers may take to end.
const MCP_DRAIN: Duration = Duration::from_secs(10);

impl Actors {
    /// Gives every actor its part of a new configuration, which was validated as a whole.
    ///
    /// # Errors
    /// The agent's prompt cannot be used; nothing has changed then.
    pub async fn reconfigure(&self, settings: Settings, changes: &Changes) -> anyhow::Result<()> {
        let watched = watching::Settings::of(&settings);
        let agent = agent_supervisor::Settings::new(settings.agent, &settings.prompts)?;
        self.live.store.store(Arc::new(settings.store));
        self.live.pool.store(Arc::new(settings.providers));
        self.live.clusters.store(Arc::new(settings.clusters));
        self.live.agents.store(Arc::new(agent));
        self.live.approvals.store(Arc::new(settings.approvals));
        self.live.toolbox.store(Arc::new(settings.tools));
        self.live.mcp.store(Arc::new(settings.mcp));
        // The desk first: it ends what is about what is removed, and must know of what is new before that is reported.
        if changes.watching || changes.clusters || changes.providers || changes.mcp {
            if self.watching.reconfigure(watched).await {
                tell(&self.poller, self.watching.live.rules.load_full()).await;
            }
            self.refresh_catalogue().await;
        }
        if changes.store {
            tell(&self.store, self.live.store.load_full()).await;
        }
        if changes.providers {
            tell(&self.pool, self.live.pool.load_full()).await;
        }
        if changes.clusters {
            tell(&self.poller, self.live.clusters.load_full()).await;
            self.refresh_catalogue().await;
        }
        if changes.agent {
            tell(&self.agents, self.live.agents.load_full()).await;
        }
        if changes.approvals {
            tell(&self.approvals, self.live.approvals.load_full()).await;
        }
        if changes.mcp {
            tell(&self.mcp, self.live.mcp.load_full()).await;
        }
        if changes.tools {
            tell(&self.toolbox, self.live.toolbox.load_full()).await;
        }
        if changes.server {
            tell(&self.gateway, Arc::new(settings.server)).await;
        }
        Ok(())
    }

    async fn refresh_catalogue(&self) {
        let refresh = self.toolbox.port::<RefreshCatalogue>(Lane::Control);
        if let Err(fault) = refresh.ask(RefreshCatalogue, RECONFIGURE_DEADLINE).await {
            tracing::warn!(%fault, "new tools are offered after the toolbox's next look");
        }
    }

    /// Stops taking new work.
    pub async fn drain(&self) {
        self.watching.drain().await;
        let (gateway, agents, pool, poller) = (
            self.gateway.port::<Drain>(Lane::Control),
            self.agents.port::<Drain>(Lane::Control),
            self.pool.port::<Drain>(Lane::Control),
            self.poller.port::<Drain>(Lane::Control),
        );
        let approvals = self.approvals.port::<Drain>(Lane::Control);
        let told = tokio::join!(
            gateway.ask(Drain, DRAIN_DEADLINE),
            agents.ask(Drain, DRAIN_DEADLINE),
            pool.ask(Drain, DRAIN_DEADLINE),
            poller.ask(Drain, DRAIN_DEADLINE),
            approvals.ask(Drain, DRAIN_DEADLINE),
        );
        for fault in [told.0.err(), told.1.err(), told.2.err(), told.3.err(), told.4.err()].into_iter().flatten() {
            tracing::warn!(%fault, "an actor did not drain");
        }
    }

    /// Waits until nobody is being answered. The deadline is the caller's.
    pub async fn idle(&self, clock: &SharedClock) {
        let gauges = &self.gateway_ports.gauges;
        let running = || {
            [&gauges.streams_open, &gauges.provider_connections, &gauges.turns_active, &gauges.turns_queued]
                .into_iter()
                .any(|gauge| gauge.get() > 0)
        };
        while running() {
            clock.pause(IDLE_PERIOD).await;
        }
    }

    /// Ends the actors, the store last, after its checkpoint.
    pub async fn stop(self) {
        if let Err(fault) = self.mcp.port::<Drain>(Lane::Control).ask(Drain, MCP_DRAIN).await {
            tracing::warn!(%fault, "attached MCP servers did not end in time; their guardians end them");
        }
        self.watching.finish().await;
        if let Err(fault) = self.store.port::<Drain>(Lane::Control).ask(Drain, DRAIN_DEADLINE).await {
            tracing::warn!(%fault, "the store did not write its checkpoint; its journal is read at the next start");
        }
        self.mcp_thread.stop();
        self.watch_thread.stop();
        self.core_thread.stop();
        self.store_thread.stop();
        let joined =
            [self.mcp_thread.join(), self.watch_thread.join(), self.core_thread.join(), self.store_thread.join()];
        if joined.iter().any(Result::is_err) {
            tracing::error!("an actors' thread crashed while it ended");
        }
    }
}

async fn tell<A, C>(mailbox: &Mailbox<A>, config: Arc<C>)
where
    A: Handle<Reconfigure<C>>,
    C: Send + Sync + 'static,
{
    if let Err(fault) = mailbox.port(Lane::Control).ask(Reconfigure(config), RECONFIGURE_DEADLINE).await {
        tracing::warn!(%fault, "an actor takes the new configuration over when it is built afresh");
    }
}
