//! The sockets of the simulated provider: who is connected, what they asked, what they were given, when they left.

use super::answer::{Answer, Step};
use super::exchange::{Exchange, Outcome};
use super::models::by_model;
use super::request::Request;
use super::rules;
use std::collections::HashSet;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// How long a condition may take before its test fails. Only failures reach it.
const DEADLINE: Duration = Duration::from_secs(60);

type Script = Box<dyn Fn(&Request) -> Option<Answer> + Send>;

#[derive(Default)]
struct State {
    script: Option<Script>,
    exchanges: Vec<Exchange>,
    violations: Vec<String>,
    open_connections: usize,
    accepted: usize,
    gates: usize,
    opened: HashSet<usize>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ending: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }
}

/// Holds an answer until the test opens it.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
    number: usize,
}

impl Gate {
    /// Lets the answer go on.
    pub fn open(&self) {
        self.shared.change(|state| state.opened.insert(self.number));
    }
}

/// A provider that runs until it is dropped.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<thread::JoinHandle<()>>,
}

impl Provider {
    /// Starts on any free port, answering by the model's name (see [`by_model`]).
    pub fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts on this address.
    pub fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a port on loopback");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let listening = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if of_thread.ending.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { address, shared, listening: Some(listening) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers by `script`; what it leaves (`None`) is answered by the model's name.
    pub fn script(&self, script: impl Fn(&Request) -> Option<Answer> + Send + 'static) {
        self.shared.change(|state| state.script = Some(Box::new(script)));
    }

    /// A new gate, closed.
    pub fn gate(&self) -> Gate {
        let number = self.shared.change(|state| {
            state.gates += 1;
            state.gates
        });
        Gate { shared: Arc::clone(&self.shared), number }
    }

    /// Every chat request so far; lists of models and the like are left out.
    pub fn chats(&self) -> Vec<Exchange> {
        let state = self.shared.lock();
        state.exchanges.iter().filter(|exchange| exchange.request.format().is_some()).cloned().collect()
    }

    /// Every other question so far that a model works on: embeddings, speech and the like.
    pub fn beside_chats(&self) -> Vec<Exchange> {
        let is_one =
            |request: &Request| request.method == "POST" && request.format().is_none() && request.path != "/api/show";
        let state = self.shared.lock();
        state.exchanges.iter().filter(|exchange| is_one(&exchange.request)).cloned().collect()
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.lock().open_connections
    }

    /// Connections since the start.
    pub fn accepted_connections(&self) -> usize {
        self.shared.lock().accepted
    }

    /// What a real provider would have refused.
    pub fn violations(&self) -> Vec<String> {
        self.shared.lock().violations.clone()
    }

    /// Forgets the exchanges so far.
    pub fn forget(&self) {
        self.shared.change(|state| state.exchanges.clear());
    }

    /// Waits until the chats so far satisfy `condition`.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&[Exchange]) -> bool) {
        let chats = |state: &State| -> Vec<Exchange> {
            state.exchanges.iter().filter(|exchange| exchange.request.format().is_some()).cloned().collect()
        };
        let (state, waited) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), DEADLINE, |state| !condition(&chats(state)))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "the provider waited in vain for {what}; it saw {:?}", outcomes(&state));
    }

    /// Waits until `count` chats have been asked.
    pub fn wait_for_chats(&self, count: usize) {
        self.wait_until(&format!("{count} chats"), |chats| chats.len() >= count);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.shared.change(|_| ());
        // Wakes the listening thread, which then lets go of the port.
        drop(TcpStream::connect(self.address));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// An address on loopback where nothing listens.
pub fn refused_address() -> SocketAddr {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port on loopback");
    listener.local_addr().expect("a bound listener has an address")
}

fn outcomes(state: &State) -> Vec<(String, Outcome)> {
    state.exchanges.iter().map(|exchange| (exchange.request.path.clone(), exchange.outcome)).collect()
}

/// One connection: a thread of its own reads, so that a leave is noticed at once, also in the middle of an answer.
fn serve(shared: &Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    shared.change(|state| {
        state.open_connections += 1;
        state.accepted += 1;
    });
    let peer_gone = Arc::new(AtomicBool::new(false));
    let (requests, to_answer) = mpsc::channel();
    if let Ok(reading) = stream.try_clone() {
        let (shared, peer_gone) = (Arc::clone(shared), Arc::clone(&peer_gone));
        thread::spawn(move || {
            let mut reader = BufReader::new(reading);
            while let Ok(Some(request)) = Request::read(&mut reader) {
                if requests.send(request).is_err() {
                    break;
                }
            }
            peer_gone.store(true, Ordering::SeqCst);
            shared.change(|_| ());
        });
    }
    let mut connection = Connection { shared, stream, peer_gone: &peer_gone };
    for request in to_answer {
        if !connection.answer(request) {
            break;
        }
    }
    let _ = connection.stream.shutdown(Shutdown::Both);
    shared.change(|state| state.open_connections -= 1);
}

struct Connection<'a> {
    shared: &'a Shared,
    stream: TcpStream,
    peer_gone: &'a AtomicBool,
}

impl Connection<'_> {
    /// Answers one request. Says whether the connection may be used again.
    fn answer(&mut self, request: Request) -> bool {
        if request.path.starts_with("/sim/") {
            return self.tell(&request.path);
        }
        let request = Arc::new(request);
        let (number, answer) = self.shared.change(|state| {
            let scripted = state.script.as_ref().and_then(|script| script(&request));
            let broken = rules::violations(&request);
            let answer = scripted.unwrap_or_else(|| by_model(&request));
            state.violations.extend(broken);
            let exchange = Exchange { request: Arc::clone(&request), outcome: Outcome::Answering };
            state.exchanges.push(exchange);
            (state.exchanges.len() - 1, answer)
        });
        let outcome = match self.give(answer) {
            Ok(true) => Outcome::Answered,
            Ok(false) => Outcome::Cut,
            Err(_) => Outcome::Left,
        };
        // The list may have been forgotten meanwhile.
        self.shared.change(|state| {
            if let Some(exchange) = state.exchanges.get_mut(number) {
                exchange.outcome = outcome;
            }
        });
        outcome == Outcome::Answered
    }

    /// What a script in another process may ask of the simulation: `/sim/exchanges`, `/sim/violations`.
    fn tell(&mut self, path: &str) -> bool {
        let told = self.shared.change(|state| match path {
            "/sim/violations" => serde_json::json!(state.violations),
            "/sim/exchanges" => {
                let chats = state.exchanges.iter().filter(|exchange| exchange.request.format().is_some());
                let told = chats.map(|chat| {
                    let (model, outcome) = (chat.request.model(), format!("{:?}", chat.outcome).to_lowercase());
                    serde_json::json!({ "model": model, "outcome": outcome, "tools": chat.request.tools() })
                });
                told.collect()
            }
            _ => serde_json::Value::Null,
        });
        self.give(Answer::json(200, &told)).is_ok()
    }

    /// `Ok(false)`: cut by the script.
    fn give(&mut self, answer: Answer) -> io::Result<bool> {
        for step in answer.before_head {
            if !self.step(step, false)? {
                return Ok(false);
            }
        }
        let mut head = format!("HTTP/1.1 {} Simulated\r\n", answer.status);
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if answer.chunked {
            head.push_str("transfer-encoding: chunked\r\n\r\n");
        } else {
            let length: usize = answer.body.iter().map(|step| if let Step::Send(b) = step { b.len() } else { 0 }).sum();
            head.push_str(&format!("content-length: {length}\r\n\r\n"));
        }
        self.stream.write_all(head.as_bytes())?;
        for step in answer.body {
            if !self.step(step, answer.chunked)? {
                return Ok(false);
            }
        }
        if answer.chunked {
            self.stream.write_all(b"0\r\n\r\n")?;
        }
        Ok(true)
    }

    fn step(&mut self, step: Step, chunked: bool) -> io::Result<bool> {
        match step {
            Step::Send(bytes) if chunked && bytes.is_empty() => Ok(true),
            Step::Send(bytes) if chunked => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(&bytes);
                chunk.extend_from_slice(b"\r\n");
                self.stream.write_all(&chunk).map(|()| true)
            }
            Step::Send(bytes) => self.stream.write_all(&bytes).map(|()| true),
            Step::Hold(gate) => self.wait(|state| state.opened.contains(&gate.number)).map(|()| true),
            Step::Hang => self.wait(|_| false).map(|()| true),
            Step::Cut => Ok(false),
        }
    }

    /// Waits for a condition or for the other side to leave, which is an error.
    fn wait(&self, condition: impl Fn(&State) -> bool) -> io::Result<()> {
        let gone = || self.peer_gone.load(Ordering::SeqCst) || self.shared.ending.load(Ordering::Relaxed);
        let state = self
            .shared
            .changed
            .wait_while(self.shared.lock(), |state| !condition(state) && !gone())
            .unwrap_or_else(PoisonError::into_inner);
        if condition(&state) { Ok(()) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
    }
}
