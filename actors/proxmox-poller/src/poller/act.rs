//! Actions: their plans, and running what was approved. The work itself is `crate::actions`; here is who may ask and what is noted.

use super::ProxmoxPoller;
use super::cluster::Cluster;
use crate::actions::{Errand, Noted, Ward, Wish, find, propose, run};
use contract::approvals::{ActionOutcome, ActionPlan, PlanAction, RunAction};
use contract::failure::{Failure, FailureClass};
use contract::message::Lane;
use runtime::{Context, Handle, Reply};
use std::sync::Arc;
use std::time::Duration;

fn refused(class: FailureClass, why: impl std::fmt::Display) -> Failure {
    Failure::new(class, format!("{why}. Nothing was done."))
}

impl ProxmoxPoller {
    /// Whether any cluster takes actions: only then their tools are offered.
    pub(super) fn takes_actions(&self) -> bool {
        self.clusters.iter().any(|cluster| cluster.config.allow_actions)
    }

    fn errand(&self, asked: RunAction, context: &Context<Self>) -> Result<Errand, Failure> {
        let (proposal, approved_by) = (asked.proposal, asked.approved_by);
        let plan = asked.approved.into_inner();
        let wrong = |why: String| refused(FailureClass::InvalidRequest, why);
        let tool = find(&plan.tool).ok_or_else(|| refused(FailureClass::NotFound, "there is no such action"))?;
        let wish = Wish::read(tool, &plan.arguments).map_err(wrong)?;
        let name = wish.cluster.clone().unwrap_or_default();
        let vmid = wish.guest.parse::<u32>().map_err(|_| wrong("the approved action names no VMID".to_owned()))?;
        let known = self.clusters.iter().find(|cluster| *cluster.name == *name);
        let cluster =
            known.ok_or_else(|| refused(FailureClass::NotFound, format!("no cluster {name:?} is configured")))?;
        if !cluster.config.allow_actions {
            return Err(crate::actions::not_allowed(&cluster.name));
        }
        if self.is_draining {
            return Err(refused(FailureClass::ShuttingDown, "HAIA is shutting down"));
        }
        let client = cluster.client.clone().map_err(wrong)?;
        Ok(Errand {
            cluster: Arc::clone(&cluster.name),
            client,
            clock: Arc::clone(&self.ports.clock),
            class: wish.class(),
            deed: wish.deed,
            vmid,
            subject: plan.subject,
            within: Duration::from_secs(plan.timeout_s),
            proposal,
            approved_by,
            progress: self.ports.progress.clone(),
            noted: context.mailbox().port::<Noted>(Lane::Control),
        })
    }
}

fn ward(cluster: &Cluster) -> Ward {
    Ward {
        cluster: Arc::clone(&cluster.name),
        allows_actions: cluster.config.allow_actions,
        timeouts: cluster.config.action_timeouts.clone(),
    }
}

impl Handle<PlanAction> for ProxmoxPoller {
    /// Looks and changes nothing.
    fn handle(&mut self, PlanAction { call }: PlanAction, _: &Context<Self>) -> Reply<Result<ActionPlan, Failure>> {
        let Some(tool) = find(&call.name).filter(|_| self.takes_actions()) else {
            let message = "the poller of clusters has no such action, or no cluster takes actions (allow_actions)";
            return Reply::Now(Err(Failure::new(FailureClass::NotFound, message)));
        };
        let wish = match Wish::read(tool, &call.arguments) {
            Ok(wish) => wish,
            Err(said) => return Reply::Now(Err(Failure::new(FailureClass::InvalidRequest, said))),
        };
        let (desk, clock) = (self.desk(), Arc::clone(&self.ports.clock));
        let (wards, too_late) = (self.clusters.iter().map(ward).collect(), clock.pause(call.timeout));
        Reply::later(async move {
            tokio::select! {
                biased;
                plan = propose(desk, wards, wish, clock) => plan,
                () = too_late => Err(Failure::new(FailureClass::Timeout, "the cluster did not answer in time")),
            }
        })
    }
}

impl Handle<RunAction> for ProxmoxPoller {
    /// Does what was approved, once.
    fn handle(&mut self, asked: RunAction, context: &Context<Self>) -> Reply<Result<ActionOutcome, Failure>> {
        let (proposal, request_id) = (asked.proposal, Arc::clone(&asked.request_id));
        match self.errand(asked, context) {
            Ok(errand) => {
                tracing::info!(proposal, %request_id, cluster = %errand.cluster, vmid = errand.vmid, class = errand.class.as_str(), "an approved action begins");
                Reply::later(async move {
                    let outcome = run(errand).await;
                    tracing::info!(proposal, %request_id, end = ?outcome.end, reference = outcome.reference.as_deref(), "an action has ended");
                    Ok(outcome)
                })
            }
            Err(refused) => Reply::Now(Err(refused)),
        }
    }
}

impl Handle<Noted> for ProxmoxPoller {
    fn handle(&mut self, noted: Noted, context: &Context<Self>) -> Reply<()> {
        let is_over = noted.action.ended_s.is_some();
        let Some(cluster) = self.clusters.iter_mut().find(|cluster| cluster.name == noted.cluster) else {
            return Reply::Now(());
        };
        cluster.watch.memory.note(noted.action);
        cluster.watch.keep_soon();
        let actions = cluster.watch.memory.actions.as_slice().into();
        if is_over {
            cluster.look_soon(self.ports.clock.now());
        }
        let published = self.ports.snapshots.load_full();
        if let Some(snapshot) = published.get(&noted.cluster) {
            let mut next = (**snapshot).clone();
            next.actions = actions;
            self.publish(next);
        }
        self.start_due(context);
        Reply::Now(())
    }
}
