//! Does what was approved, once: looks up where the guest is, sends the one request, and follows its task to the end.
//!
//! Nothing is ever sent twice but to the node that a guest has moved to, after Proxmox said that it is not on the first. Every way that this ends
//! is a true statement: done, failed with nothing done, failed with the reason, or not known.

mod follow;
mod lost;
mod stage;

use super::request::{Place, request};
use super::wish::Deed;
use super::words;
use crate::client::{ApiClient, PostError};
use crate::decode;
use crate::model::{GuestKind, GuestState, OwnAction, Task, task_kinds};
use contract::approvals::{ActionClass, ActionEnd, ActionOutcome, ActionProgress};
use contract::clock::SharedClock;
use contract::message::Msg;
use futures_util::future::join;
use runtime::Port;
use stage::Stage;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long the poller may take to note an action.
const NOTE_WITHIN: Duration = Duration::from_secs(5);

/// Something approved, and what is needed to do it.
pub(crate) struct Errand {
    pub(crate) cluster: Arc<str>,
    pub(crate) client: ApiClient,
    pub(crate) clock: SharedClock,
    pub(crate) deed: Deed,
    pub(crate) class: ActionClass,
    pub(crate) vmid: u32,
    /// The guest, for people.
    pub(crate) subject: String,
    /// How long the whole may take, in real time.
    pub(crate) within: Duration,
    pub(crate) proposal: u64,
    pub(crate) approved_by: Arc<str>,
    pub(crate) progress: Port<ActionProgress>,
    pub(crate) noted: Port<Noted>,
}

/// Tells the poller what HAIA itself does, before it does it: so that no rule takes it for an incident.
pub(crate) struct Noted {
    pub(crate) cluster: Arc<str>,
    pub(crate) action: OwnAction,
}

impl Msg for Noted {
    type Reply = ();
    const NAME: &'static str = "Noted";
}

/// Does it. Answered when it has ended, however.
pub(crate) async fn run(errand: Errand) -> ActionOutcome {
    let too_late = errand.clock.pause(errand.within);
    let run = Run::new(errand);
    let outcome = tokio::select! {
        biased;
        outcome = run.work() => outcome,
        () = too_late => run.late(),
    };
    run.note(true).await;
    outcome
}

/// One action under way.
struct Run {
    errand: Errand,
    stage: RefCell<Stage>,
    /// The server's clock at its newest answer, seconds since 1970.
    server_s: Cell<i64>,
    /// The same when the order was given.
    began_s: Cell<Option<i64>>,
    /// The guest's tasks of before.
    before: RefCell<BTreeSet<Arc<str>>>,
}

/// The end of an action on the way there.
type Ended = ActionOutcome;

impl Run {
    fn new(errand: Errand) -> Self {
        let server_s = Cell::new(errand.clock.now().as_second());
        Self { errand, stage: RefCell::default(), server_s, began_s: Cell::default(), before: RefCell::default() }
    }

    async fn work(&self) -> Ended {
        let errand = &self.errand;
        let subject = &errand.subject;
        let mut place = match self.place().await {
            Ok(Some(place)) => place,
            Ok(None) => return self.failed(format!("{subject} is not in the cluster any more. Nothing was done.")),
            Err(why) => return self.failed(format!("The cluster cannot be asked now ({why}). Nothing was done.")),
        };
        let mut has_moved = false;
        loop {
            if let Deed::Migrate { target, .. } = &errand.deed
                && *target == place.node
            {
                return self.failed(format!("Nothing was done: {subject} is on {target} already."));
            }
            self.began_s.set(Some(self.server_s.get()));
            self.note(false).await;
            let (path, form) = request(&errand.deed, &place);
            self.stage.replace(Stage::Sent);
            match errand.client.post(&path, &form).await {
                Ok(answer) => {
                    self.saw(answer.date_s);
                    match decode::begun(&answer.body) {
                        Ok(Some(upid)) => return self.follow(&place, upid).await,
                        // A backup of a guest that is elsewhere is left out without a word.
                        Ok(None) if errand.class == ActionClass::Backup => {}
                        Ok(None) => return self.search(&place, "Proxmox named no task").await,
                        Err(error) => return self.search(&place, &error.to_string()).await,
                    }
                }
                Err(PostError::Lost(error)) => return self.search(&place, &error.text).await,
                Err(PostError::Refused(error)) if words::is_elsewhere(&error) => {}
                Err(PostError::Refused(error)) => {
                    let why = words::refusal(&error, errand.client.token_id());
                    self.stage.replace(Stage::Before);
                    return self.failed(format!("Proxmox did not take the order: {why}. Nothing was done."));
                }
            }
            self.stage.replace(Stage::Before);
            match self.place().await {
                Ok(Some(new)) if new.node != place.node && !has_moved => {
                    self.tell(format!("it has moved from {} to {}: the order goes there", place.node, new.node), None);
                    place = new;
                    has_moved = true;
                }
                Ok(Some(new)) => {
                    let (asked, listed) = (&place.node, &new.node);
                    return self.failed(format!(
                        "{asked} says that {subject} is not there, and the cluster lists it on {listed}: it is on the move. Nothing was done."
                    ));
                }
                Ok(None) => {
                    return self.failed(format!("{subject} is gone: no node has it any more. Nothing was done."));
                }
                Err(why) => {
                    let asked = &place.node;
                    return self.failed(format!("{asked} says that {subject} is not there, and the cluster cannot be asked where it is ({why}). Nothing was done."));
                }
            }
        }
    }

    /// Where the guest is now, and which of its tasks there were before; `None` when it is nowhere.
    async fn place(&self) -> Result<Option<Place>, String> {
        let client = &self.errand.client;
        let resources = client.fast("/cluster/resources", decode::resources);
        let (resources, tasks) = join(resources, client.fast("/cluster/tasks", decode::tasks)).await;
        let (rows, answer) = resources.map_err(|error| error.text)?;
        self.saw(answer.date_s);
        if let Ok((tasks, _)) = tasks {
            let own = tasks.iter().filter(|task| task.vmid() == Some(self.errand.vmid));
            self.before.borrow_mut().extend(own.map(|task| Arc::clone(&task.upid)));
        }
        let row =
            rows.into_iter().find(|row| row.vmid == Some(self.errand.vmid) && matches!(&*row.kind, "qemu" | "lxc"));
        let Some((row, node)) = row.and_then(|row| row.node.clone().map(|node| (row, node))) else { return Ok(None) };
        let kind = if &*row.kind == "lxc" { GuestKind::Container } else { GuestKind::Vm };
        let mut state = GuestState::from_word(row.status.as_deref().unwrap_or_default());
        if self.errand.class == ActionClass::Migrate
            && let Some(now) = self.state_at(&node, kind).await
        {
            state = now;
        }
        Ok(Some(Place { node: node.to_string(), kind, vmid: self.errand.vmid, is_up: state != GuestState::Stopped }))
    }

    /// What the guest does, from itself.
    async fn state_at(&self, node: &str, kind: GuestKind) -> Option<GuestState> {
        let path = super::look::path_of(node, kind, self.errand.vmid, "status/current");
        let is_vm = kind == GuestKind::Vm;
        let (detail, _) = self.errand.client.fast(&path, |body| decode::guest_detail(body, is_vm)).await.ok()?;
        detail.qemu_status.or(detail.status).map(|word| GuestState::from_word(&word))
    }

    /// Whether a task may be the one that the order began.
    fn is_ours(&self, task: &Task) -> bool {
        task.vmid() == Some(self.errand.vmid)
            && *task.user == *self.errand.client.token_id()
            && task_kinds(self.errand.class).contains(&&*task.kind)
            && !self.before.borrow().contains(&task.upid)
    }

    fn saw(&self, date_s: Option<i64>) {
        if let Some(date_s) = date_s {
            self.server_s.set(date_s);
        }
    }

    /// Has the poller know of the action.
    async fn note(&self, is_over: bool) {
        let Some(began_s) = self.began_s.get() else { return };
        let errand = &self.errand;
        let action = OwnAction {
            proposal: errand.proposal,
            class: errand.class,
            vmid: errand.vmid,
            approved_by: Arc::clone(&errand.approved_by),
            user: errand.client.token_id().into(),
            began_s,
            ended_s: is_over.then(|| self.server_s.get()),
            upid: self.stage.borrow().upid(),
        };
        let noted = Noted { cluster: Arc::clone(&errand.cluster), action };
        if let Err(fault) = errand.noted.ask(noted, NOTE_WITHIN).await {
            tracing::warn!(proposal = errand.proposal, %fault, "an action could not be noted: an alert may tell of it");
        }
    }

    /// Tells the approvals desk how it is getting on.
    fn tell(&self, text: String, reference: Option<Arc<str>>) {
        let progress = ActionProgress { proposal: self.errand.proposal, text, reference };
        if let Err(fault) = self.errand.progress.tell(progress) {
            tracing::warn!(proposal = self.errand.proposal, %fault, "how an action is getting on could not be told");
        }
    }

    fn outcome(&self, end: ActionEnd, text: String) -> Ended {
        ActionOutcome { end, text, reference: self.stage.borrow().upid() }
    }

    fn failed(&self, text: String) -> Ended {
        self.outcome(ActionEnd::Failed, text)
    }

    fn unknown(&self, text: String) -> Ended {
        self.outcome(ActionEnd::Unknown, text)
    }
}
