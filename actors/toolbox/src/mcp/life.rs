//! One run of a server from its start to its end: connects, lists, follows changes, ends. It owns the process and the connection, and
//! reports to the host by message; whoever drops it ends both.

use super::begin::{Begin, Refusal, beginnings, refusal};
use super::ears::{Ears, Progress, Running};
use super::entry::{Dialect, Entry, Way};
use super::environment::{Environment, Masks};
use super::events::EventsTransport;
use super::link::Link;
use super::listing::{self, Listing};
use super::logs::Log;
use super::net::{self, Net};
use super::stdio::{self, Guardian};
use super::text::clean_line;
use contract::clock::SharedClock;
use contract::message::{Fault, Msg};
use contract::relay::ResourceUpdates;
use contract::units::Span;
use futures_util::FutureExt as _;
use rmcp::model::{ProtocolVersion, SubscriptionFilter};
use rmcp::service::{ClientInitializeError, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, serve_client_with_lifecycle};
use runtime::Port;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

/// The most bytes of one message of a server.
const MESSAGE_BYTES: usize = 16 << 20;
/// How long calls under way may take to end when their server is ended.
const LAST_CALLS: Duration = Duration::from_secs(3);
/// How long rmcp may take to close a connection.
const CLOSE: Duration = Duration::from_millis(500);
/// How long the host may take to hear a report.
const REPORT: Duration = Duration::from_secs(60);
/// How long a start keeps its place: one that hangs must not hold up the others.
const HOLD: Duration = Duration::from_secs(1);
/// Changes of the list that come closer together are followed as one.
const SETTLE: Duration = Duration::from_millis(100);

/// What a run reports.
pub(crate) enum Report {
    /// It is connected; its list, or why there is none.
    Up { link: Box<Link>, listing: Result<Listing, String>, peer: PeerFacts },
    /// Its list has changed.
    Listed(Result<Listing, String>),
    /// It is over.
    Down(String),
}

/// What a server told of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerFacts {
    pub(crate) era: Option<Arc<str>>,
    pub(crate) software: Option<String>,
    pub(crate) pid: Option<u32>,
}

/// A report with its origin.
pub(crate) struct Reported {
    pub(crate) server: Arc<str>,
    /// Which of several servers of this name, one after the other.
    pub(crate) epoch: u64,
    pub(crate) generation: u64,
    pub(crate) report: Report,
}

impl Msg for Reported {
    type Reply = ();
    const NAME: &'static str = "McpReported";
}

/// Everything that a run needs.
pub(crate) struct Life {
    pub(crate) server: Arc<str>,
    pub(crate) epoch: u64,
    pub(crate) generation: u64,
    pub(crate) entry: Arc<Entry>,
    /// The revision agreed on last.
    pub(crate) era: Option<Arc<str>>,
    pub(crate) log: Log,
    pub(crate) environment: Environment,
    pub(crate) guardian: Guardian,
    pub(crate) net: Net,
    pub(crate) clock: SharedClock,
    /// A place among the servers that start at once.
    pub(crate) starting: Arc<Semaphore>,
    pub(crate) start_timeout: Duration,
    pub(crate) max_tools: usize,
    pub(crate) concurrent: usize,
    pub(crate) updates: Arc<ResourceUpdates>,
    pub(crate) reports: Port<Reported>,
    /// Told, or dropped, when it must end.
    pub(crate) stop: oneshot::Receiver<()>,
}

type Service = RunningService<RoleClient, Ears>;

/// A place among the servers that start at once, until it is given back.
type Place = RefCell<Option<OwnedSemaphorePermit>>;

impl Life {
    /// Runs to the end, and reports it.
    pub(crate) async fn run(mut self) {
        let masks = self.entry.masks();
        let starting = Arc::clone(&self.starting);
        let place = tokio::select! {
            biased;
            _ = &mut self.stop => None,
            place = starting.acquire_owned() => place.ok(),
        };
        let why = match place {
            Some(place) => {
                let place = RefCell::new(Some(place));
                let hold = self.clock.pause(HOLD);
                let mut living = std::pin::pin!(self.connect(&masks, &place));
                tokio::select! {
                    why = &mut living => why,
                    () = hold => {
                        place.take();
                        living.await
                    }
                }
            }
            None => "it was told to end".to_owned(),
        };
        let why = clean_line(&masks.apply(why), 500);
        self.log.add("haia", &why, &masks);
        self.report(Report::Down(why)).await;
    }

    async fn report(&self, report: Report) {
        let server = Arc::clone(&self.server);
        let reported = Reported { server, epoch: self.epoch, generation: self.generation, report };
        if let Err(fault) = self.reports.ask(reported, REPORT).await
            && !matches!(fault, Fault::Closed { .. })
        {
            tracing::warn!(server = &*self.server, %fault, "the host of MCP servers did not take a report");
        }
    }

    /// Tries every beginning in turn; gives why it is over.
    async fn connect(&mut self, masks: &Masks, place: &Place) -> String {
        let mut first = None;
        let mut tries = beginnings(&self.entry, self.era.as_deref());
        tries.reverse();
        let mut events = matches!(&self.entry.way, Way::Http { dialect: Dialect::Events, .. });
        while let Some(begin) = tries.pop() {
            let refusal = match self.live(begin, events, masks, place).await {
                Ok(why) => return why,
                Err(refusal) => refusal,
            };
            if refusal.try_events && !events {
                events = true;
                tries = vec![Begin::Handshake];
            } else if !refusal.try_other {
                tries.clear();
            }
            // What the usual way was refused with tells more than what became of the others.
            first.get_or_insert(refusal.why);
        }
        first.unwrap_or_else(|| "it cannot be reached".to_owned())
    }

    /// One try: `Ok` is a connection that was there and is over.
    async fn live(&mut self, begin: Begin, events: bool, masks: &Masks, place: &Place) -> Result<String, Refusal> {
        let ears = Ears {
            progress: Progress::default(),
            running: Running::default(),
            ask_back: self.entry.own.ask_back.as_slice().into(),
            updates: Arc::clone(&self.updates),
            changed: Arc::new(Notify::new()),
            log: self.log.clone(),
            masks: masks.clone(),
        };
        if let Way::Stdio { .. } = &self.entry.way {
            let started = stdio::start(&self.entry.way, &self.guardian, &self.environment);
            let (mut process, (output, input)) = started.map_err(Refusal::last)?;
            let transport = AsyncRwTransport::new_client(output, input).with_max_line_length(MESSAGE_BYTES);
            let serving = serve_client_with_lifecycle(ears.clone(), transport, begin.mode());
            let guardian = process.guardian_pid();
            let log = self.log.clone();
            let outcome = {
                let mut watch = Box::pin(process.watch(&log, masks));
                let outcome = self.serve(serving, &ears, guardian, &mut watch, place).await;
                match outcome {
                    // The connection may be lost a moment before the process is gone, and its exit tells more.
                    Ok(Over::Lost) | Err((_, true)) => {
                        let why = tokio::select! {
                            why = &mut watch => Some(why),
                            () = self.clock.pause(CLOSE) => None,
                        };
                        let why =
                            why.map_or_else(|| "it closed the connection".to_owned(), |why| self.with_last_word(why));
                        if outcome.is_ok() { Ok(why) } else { Err(Refusal::last(why)) }
                    }
                    Ok(Over::Told) => Ok("it was told to end".to_owned()),
                    Ok(Over::Exited(why)) => Ok(self.with_last_word(why)),
                    Err((refusal, false)) => Err(refusal),
                }
            };
            process.end(&self.clock).await;
            return outcome;
        }
        let never = &mut Box::pin(std::future::pending::<String>());
        let transport_error = |error: String| Refusal::last(error);
        let client = self.net.client().map_err(transport_error)?;
        let headers = net::headers(&self.entry.way);
        let Way::Http { url, .. } = &self.entry.way else { return Err(Refusal::last("it has no address".to_owned())) };
        let url = url.clone();
        let outcome = if events {
            let opening = async {
                let transport = EventsTransport::open(client, url.expose(), headers).await;
                let transport =
                    transport.map_err(|error| ClientInitializeError::ConnectionClosed(error.to_string()))?;
                serve_client_with_lifecycle(ears.clone(), transport, begin.mode()).await
            };
            self.serve(opening, &ears, None, never, place).await
        } else {
            let mut config = StreamableHttpClientTransportConfig::with_uri(url.expose());
            config.custom_headers = headers.into_iter().filter_map(|(name, value)| Some((name?, value))).collect();
            config.max_concurrent_requests = self.concurrent.saturating_add(4);
            config.max_sse_event_size = MESSAGE_BYTES;
            let mut retry = rmcp::transport::common::client_side_sse::ExponentialBackoff::default();
            retry.max_delay = Some(Duration::from_secs(60));
            config.retry_config = Arc::new(retry);
            let transport = StreamableHttpClientTransport::with_client(client, config);
            let serving = serve_client_with_lifecycle(ears.clone(), transport, begin.mode());
            self.serve(serving, &ears, None, never, place).await
        };
        match outcome {
            Ok(Over::Told) => Ok("it was told to end".to_owned()),
            Ok(_) => Ok("the connection was lost".to_owned()),
            Err((refusal, _)) => Err(refusal),
        }
    }

    fn with_last_word(&self, why: String) -> String {
        match self.log.last_word() {
            Some(word) => format!("{why}; it said last: {word}"),
            None => why,
        }
    }

    /// Connects with a deadline, and then stays until the end. `Err((_, true))`: the connection closed while it was being made.
    async fn serve(
        &mut self,
        serving: impl Future<Output = Result<Service, ClientInitializeError>>,
        ears: &Ears,
        guardian: Option<u32>,
        exited: &mut (impl Future<Output = String> + Unpin),
        place: &Place,
    ) -> Result<Over, (Refusal, bool)> {
        let service = tokio::select! {
            biased;
            _ = &mut self.stop => return Ok(Over::Told),
            why = &mut *exited => return Err((Refusal::last(self.with_last_word(why)), false)),
            service = serving => service.map_err(|error| refusal(&error))?,
            () = self.clock.pause(self.start_timeout) => {
                let why = format!("it did not answer within {} after its start", Span(self.start_timeout));
                return Err((Refusal::last(why), false));
            }
        };
        let facts = facts(&service, guardian);
        let peer = service.peer().clone();
        let ending = service.cancellation_token();
        let mut closed = Box::pin(service.waiting());
        let stateless = facts.era.as_deref().is_some_and(|era| era >= ProtocolVersion::NO_INITIALIZE.as_str());
        let link = Link {
            peer: peer.clone(),
            progress: ears.progress.clone(),
            permits: Arc::new(Semaphore::new(self.concurrent)),
            generation: self.generation,
            clock: Arc::clone(&self.clock),
            running: ears.running.clone(),
            is_stateless: stateless,
            ask_back: Arc::clone(&ears.ask_back),
        };
        let listing = listing::list(&link, self.max_tools, self.start_timeout);
        let listing = tokio::select! {
            biased;
            _ = &mut self.stop => return Ok(Over::Told),
            why = &mut *exited => return Err((Refusal::last(self.with_last_word(why)), false)),
            _ = &mut closed => return Err((Refusal::last("it closed the connection while its tools were listed".to_owned()), true)),
            listing = listing => listing,
        };
        self.report(Report::Up { link: Box::new(link.clone()), listing, peer: facts }).await;
        // The next one may start.
        place.take();
        let over = self.stay(&mut closed, &link, ears, stateless, exited).await;
        if matches!(over, Over::Told) {
            let every = u32::try_from(self.concurrent).unwrap_or(u32::MAX);
            tokio::select! {
                _ = link.permits.acquire_many(every) => {}
                () = self.clock.pause(LAST_CALLS) => {}
            }
        }
        ending.cancel();
        if !matches!(over, Over::Lost) {
            tokio::select! {
                _ = &mut closed => {}
                () = self.clock.pause(CLOSE) => {}
            }
        }
        Ok(over)
    }

    async fn stay(
        &mut self,
        closed: &mut (impl Future + Unpin),
        link: &Link,
        ears: &Ears,
        subscribe: bool,
        exited: &mut (impl Future<Output = String> + Unpin),
    ) -> Over {
        let peer = link.peer.clone();
        let changed = Arc::clone(&ears.changed);
        // On a stateless connection changes are told only to those who listen.
        let mut listening = Box::pin(
            async move {
                if subscribe {
                    follow(&peer, &changed).await;
                }
                std::future::pending::<()>().await
            }
            .fuse(),
        );
        loop {
            tokio::select! {
                biased;
                _ = &mut self.stop => return Over::Told,
                why = &mut *exited => return Over::Exited(why),
                _ = &mut *closed => return Over::Lost,
                () = &mut listening => {}
                () = ears.changed.notified() => {
                    self.clock.pause(SETTLE).await;
                    let listing = tokio::select! {
                        biased;
                        _ = &mut self.stop => return Over::Told,
                        listing = listing::list(link, self.max_tools, self.start_timeout) => listing,
                    };
                    self.report(Report::Listed(listing)).await;
                }
            }
        }
    }
}

/// How a connection ended.
enum Over {
    /// It was told to.
    Told,
    /// The other side closed it.
    Lost,
    /// The process ended; how.
    Exited(String),
}

async fn follow(peer: &rmcp::Peer<RoleClient>, changed: &Notify) {
    let Some(info) = peer.peer_info() else { return };
    let told = &info.capabilities;
    let tools = told.tools.as_ref().and_then(|tools| tools.list_changed) == Some(true);
    let resources = told.resources.as_ref().and_then(|resources| resources.list_changed) == Some(true);
    let prompts = told.prompts.as_ref().and_then(|prompts| prompts.list_changed) == Some(true);
    if !tools && !resources && !prompts {
        return;
    }
    let mut filter = SubscriptionFilter::builder();
    if tools {
        filter = filter.tools_list_changed();
    }
    if resources {
        filter = filter.resources_list_changed();
    }
    if prompts {
        filter = filter.prompts_list_changed();
    }
    let Ok(mut subscription) = peer.listen(filter.build()).await else { return };
    while let Ok(Some(_)) = subscription.next().await {
        changed.notify_one();
    }
}

fn facts(service: &Service, guardian: Option<u32>) -> PeerFacts {
    let info = service.peer().peer_info();
    let software = info.as_ref().and_then(|info| info.server_info.as_ref());
    PeerFacts {
        era: info.as_ref().map(|info| info.protocol_version.as_str().into()),
        software: software.map(|software| clean_line(&format!("{} {}", software.name, software.version), 120)),
        pid: guardian.and_then(stdio::server_pid),
    }
}
