//! What the host keeps over restarts, through a port: pins and switches, as small named texts. One writer, in order, until it is kept.

use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Named states: a name and what is kept under it; `None` forgets it.
pub type NamedState = (Arc<str>, Option<String>);

/// What is kept: names and texts.
pub type KeptStates = Vec<(Arc<str>, String)>;

/// Keeps small named states of the host of MCP servers.
pub trait States: Send + Sync + 'static {
    /// Reads every state.
    ///
    /// # Errors
    /// Why they cannot be read now; it is tried again.
    fn load(&self) -> LocalBoxFuture<'static, Result<KeptStates, String>>;

    /// Keeps states in place of those with the same names.
    ///
    /// # Errors
    /// Why they cannot be kept now; it is tried again.
    fn keep(&self, states: Vec<NamedState>) -> LocalBoxFuture<'static, Result<(), String>>;
}

const AGAIN: Duration = Duration::from_secs(5);
const QUEUE: usize = 1024;

type Waiter = oneshot::Sender<Result<(), String>>;

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Keeper(mpsc::Sender<(NamedState, Option<Waiter>)>);

impl Keeper {
    /// The way, and the writer to be run beside the actor.
    pub(crate) fn new(states: Arc<dyn States>, clock: SharedClock) -> (Self, impl Future<Output = ()> + 'static) {
        let (sender, mut queue) = mpsc::channel::<(NamedState, Option<Waiter>)>(QUEUE);
        let writer = async move {
            while let Some((state, waiter)) = queue.recv().await {
                let mut states_now = vec![state];
                let mut waiters: Vec<Waiter> = waiter.into_iter().collect();
                while let Ok((state, waiter)) = queue.try_recv() {
                    states_now.push(state);
                    waiters.extend(waiter);
                }
                while let Err(error) = states.keep(states_now.clone()).await {
                    tracing::warn!(error, "pins and switches of MCP servers could not be kept; trying again");
                    for waiter in waiters.drain(..) {
                        let _ = waiter.send(Err(error.clone()));
                    }
                    clock.pause(AGAIN).await;
                }
                for waiter in waiters {
                    let _ = waiter.send(Ok(()));
                }
            }
        };
        (Self(sender), writer)
    }

    /// Keeps a state some time soon.
    pub(crate) fn keep(&self, name: String, state: String) {
        if self.0.try_send(((name.into(), Some(state)), None)).is_err() {
            tracing::warn!(
                "too many pins and switches of MCP servers wait to be kept; one is lost at the next restart"
            );
        }
    }

    /// Keeps a state and waits until that is done, or failed for now.
    pub(crate) async fn kept(&self, name: String, state: String) -> Result<(), String> {
        let (waiter, answer) = oneshot::channel();
        let gone = |_| "the host of MCP servers ends".to_owned();
        self.0.send(((name.into(), Some(state)), Some(waiter))).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}
