//! What each thread that answers gets: the pool's shard, the exchange with providers over the thread's own connections, and its turns.

use agent_supervisor::{AgentSupervisor, TurnPorts, Turns, approvals};
use contract::approvals::DecideProposal;
use contract::clock::SharedClock;
use contract::ids::SharedIds;
use contract::message::Lane;
use contract::status::Gauges;
use contract::tools::{CallTool, SharedCatalogue};
use provider_pool::{CallFailed, CallRecovered, Exchange, ExchangePorts, GrantCall, Meter, Proofs, Shard};
use runtime::{Mailbox, Policy, Port, Supervision};
use std::rc::Rc;
use std::sync::Arc;
use store::AuditQueue;
use toolbox::Toolbox;

/// What the turns of a thread are made of.
#[derive(Clone)]
pub struct Bench {
    pub table: provider_pool::SharedTable,
    pub failed: Port<CallFailed>,
    pub recovered: Port<CallRecovered>,
    pub agents: Mailbox<AgentSupervisor>,
    pub toolbox: Mailbox<Toolbox>,
    pub decide: Port<DecideProposal>,
    pub approvals: approvals::SharedConfig,
    pub catalogue: SharedCatalogue,
    pub audit: Arc<AuditQueue>,
    pub meter: Arc<Meter>,
    pub proofs: Arc<Proofs>,
    pub gauges: Arc<Gauges>,
    pub clock: SharedClock,
    pub ids: SharedIds,
}

impl Bench {
    /// Starts the pool's shard of a thread.
    pub fn shard(&self, supervision: &Supervision, on: &actix_rt::ArbiterHandle, name: &'static str) -> Mailbox<Shard> {
        let (table, meter) = (Arc::clone(&self.table), Arc::clone(&self.meter));
        let (clock, ids) = (Arc::clone(&self.clock), Arc::clone(&self.ids));
        supervision.start(on, name, Policy::default(), move || {
            Shard::new(Arc::clone(&table), Arc::clone(&meter), Arc::clone(&clock), Arc::clone(&ids))
        })
    }

    /// Makes the turns of the calling thread, and its models.
    pub fn turns(&self, grant: Port<GrantCall>, lane: Lane) -> (Turns, Rc<Exchange>) {
        let models = Rc::new(Exchange::new(ExchangePorts {
            grant,
            failed: self.failed.clone(),
            recovered: self.recovered.clone(),
            audit: self.audit.clone(),
            meter: Arc::clone(&self.meter),
            gauges: Arc::clone(&self.gauges),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            proofs: Arc::clone(&self.proofs),
        }));
        let known = Arc::clone(&self.table);
        let turns = Turns::new(TurnPorts {
            start_turn: self.agents.port(lane),
            keep_round: self.agents.port(lane),
            call_tool: self.toolbox.port::<CallTool>(lane),
            decide: self.decide.clone(),
            approvals: Arc::clone(&self.approvals),
            models: models.clone(),
            catalogue: Arc::clone(&self.catalogue),
            known_tokens: Rc::new(move |target| known.load().context_tokens(target)),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
        });
        (turns, models)
    }
}

/// The shards' names: as many as there are likely workers; beyond, they share the last.
pub fn shard_name(worker: usize) -> &'static str {
    const NAMES: [&str; 16] = [
        "provider-shard-0",
        "provider-shard-1",
        "provider-shard-2",
        "provider-shard-3",
        "provider-shard-4",
        "provider-shard-5",
        "provider-shard-6",
        "provider-shard-7",
        "provider-shard-8",
        "provider-shard-9",
        "provider-shard-10",
        "provider-shard-11",
        "provider-shard-12",
        "provider-shard-13",
        "provider-shard-14",
        "provider-shard-15",
    ];
    NAMES[worker.min(NAMES.len() - 1)]
}
