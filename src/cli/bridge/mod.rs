//! `haia mcp` alone: HAIA's tools as an MCP server on stdin and stdout, for programs that start their servers themselves.
//!
//! Each message is passed on to the running daemon's `/mcp` over its socket, in either era of the protocol, and what comes back is written
//! out. The bridge keeps the session for the client, and opens it anew when the daemon has forgotten it. It runs no second daemon and
//! judges no message.

mod exchange;
mod message;

use super::Exit;
use super::output::Output;
use super::socket::Socket;
use contract::clock::SharedClock;
use exchange::Daemon;
use message::Told;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};

/// The longest line of a client, in bytes.
const LINE_BYTES: u64 = 8 << 20;
/// The most requests at once.
const REQUESTS: usize = 64;
/// Events between the threads.
const EVENTS: usize = 256;

/// What happens meanwhile.
enum Event {
    /// A line of the client.
    Line(String),
    /// The client has ended; why, if it was no ordinary end.
    End(Option<String>),
    /// A message for the client.
    Out(String),
    /// The daemon cannot be reached.
    Trouble(String),
    /// The daemon answered.
    Reached,
    /// A message was dealt with.
    Done,
}

/// Passes messages on until the client ends its input and everything is answered.
///
/// # Errors
/// The client does not read any more, or there are no threads.
pub fn run(
    input: impl Read + Send + 'static,
    sockets: Vec<PathBuf>,
    clock: &SharedClock,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (send, events) = mpsc::sync_channel(EVENTS);
    let trouble = Socket::find(&sockets, clock).err().map(|error| error.to_string());
    if let Some(said) = &trouble {
        output.problem(said);
    }
    let lines = send.clone();
    std::thread::Builder::new().name("haia-mcp-input".to_owned()).spawn(move || read(input, &lines))?;
    let daemon = Arc::new(Daemon::new(sockets, Arc::clone(clock), send.clone()));
    let exit = pass(&daemon, &send, &events, trouble, output)?;
    daemon.end_session();
    Ok(exit)
}

fn pass(
    daemon: &Arc<Daemon>,
    send: &SyncSender<Event>,
    events: &Receiver<Event>,
    mut trouble: Option<String>,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (mut running, mut ended, mut reached) = (0usize, false, false);
    loop {
        if ended && running == 0 {
            break;
        }
        match events.recv()? {
            Event::Line(line) if line.trim().is_empty() => {}
            Event::Line(line) => {
                let told = message::read(&line);
                if let Told::Cancel(id) = &told {
                    daemon.cancel(id);
                    continue;
                }
                if running >= REQUESTS {
                    refuse(&told, "too many requests are running", output)?;
                    continue;
                }
                let counts = !told.listens();
                running += usize::from(counts);
                let (daemon, done) = (Arc::clone(daemon), send.clone());
                let work = move || {
                    daemon.pass_on(&told, &line);
                    if counts {
                        // The main thread waits for this; where it is gone, nobody does.
                        let _ = done.send(Event::Done);
                    }
                };
                std::thread::Builder::new().name("haia-mcp".to_owned()).spawn(work)?;
            }
            Event::End(why) => {
                ended = true;
                if let Some(why) = why {
                    output.problem(&why);
                }
            }
            Event::Out(message) => output.line(&message)?,
            Event::Trouble(said) => {
                if trouble.as_ref() != Some(&said) {
                    output.problem(&said);
                    trouble = Some(said);
                }
            }
            Event::Reached => {
                reached = true;
                trouble = None;
            }
            Event::Done => running -= 1,
        }
    }
    Ok(if reached || trouble.is_none() { Exit::Done } else { Exit::Failed })
}

fn refuse(told: &Told, why: &str, output: &mut Output) -> std::io::Result<()> {
    match told.id() {
        Some(id) => output.line(&message::error(id, why)),
        None => Ok(()),
    }
}

/// Reads the client's lines until it ends.
fn read(input: impl Read, lines: &SyncSender<Event>) {
    let mut input = BufReader::new(input);
    let end = loop {
        let mut line = Vec::new();
        match input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => break None,
            Ok(_) if line.len() as u64 == LINE_BYTES && !line.ends_with(b"\n") => {
                break Some("a message of the client is longer than 8 MiB".to_owned());
            }
            Ok(_) => {
                if lines.send(Event::Line(String::from_utf8_lossy(&line).into_owned())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => break Some(format!("the input cannot be read: {error}")),
        }
    };
    // Nobody waits any more where this fails.
    let _ = lines.send(Event::End(end));
}

#[cfg(test)]
mod tests;
