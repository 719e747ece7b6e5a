//! The simulated provider: an OpenAI server on a thread of its own that answers at once, whole or word by word. The name of the model says how.

use crate::stamp;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use futures_util::stream;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// Words of a stream.
pub const WORDS: usize = 50;

/// The models, by name.
pub const MODELS: [&str; 4] = ["mock", "short", "held", "cut"];

/// How a model answers when it streams.
#[derive(Clone, Copy)]
struct Manner {
    words: usize,
    pause: Duration,
    end: End,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    /// With its end mark.
    Whole,
    /// The connection breaks.
    Cut,
    /// Never: it is silent until the client leaves.
    Held,
}

fn manner(body: &[u8]) -> Manner {
    let is = |model: &str| memchr::memmem::find(body, format!("\"model\":\"{model}\"").as_bytes()).is_some();
    let brief = Duration::from_millis(1);
    if is("held") {
        Manner { words: 2, pause: brief, end: End::Held }
    } else if is("cut") {
        Manner { words: 3, pause: brief, end: End::Cut }
    } else if is("short") {
        Manner { words: 5, pause: brief, end: End::Whole }
    } else {
        Manner { words: WORDS, pause: Duration::from_millis(10), end: End::Whole }
    }
}

/// Starts it; it runs as long as the process.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket2::SockRef::from(&listener).listen(4096).expect("a longer queue of connections");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async {
            let server = HttpServer::new(|| {
                App::new()
                    .app_data(web::PayloadConfig::new(16 << 20))
                    .route("/v1/models", web::get().to(models))
                    .route("/v1/chat/completions", web::post().to(chat))
            });
            // A client that leaves is noticed though nothing is being written: what it left must not pile up here.
            let server = server.workers(1).tcp_nodelay(true).h1_allow_half_closed(false);
            let server = server.max_connections(100_000).disable_signals();
            server.listen(listener).expect("the port is ours").run().await.expect("the provider runs");
        });
    });
    address
}

async fn models() -> HttpResponse {
    let entries = MODELS
        .map(|id| format!("{{\"id\":\"{id}\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"bench\"}}"));
    json(format!("{{\"object\":\"list\",\"data\":[{}]}}", entries.join(",")))
}

async fn chat(body: Bytes) -> HttpResponse {
    if memchr::memmem::find(&body, b"\"stream\":true").is_some() {
        let words = stream::unfold((manner(&body), 0), next);
        return HttpResponse::Ok().content_type("text/event-stream").streaming(words);
    }
    json(format!(
        "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{{\"index\":0,\"message\":\
         {{\"role\":\"assistant\",\"content\":\"{}\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":12,\"total_tokens\":21}}}}",
        stamp::text()
    ))
}

fn json(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{{\"index\":0,\
         \"delta\":{{{delta}}},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

/// The next piece of a stream, after its pause.
async fn next((manner, at): (Manner, usize)) -> Option<(io::Result<Bytes>, (Manner, usize))> {
    let word = || chunk(&format!("\"content\":\"{}\"", stamp::text()), "null");
    if at > 0 && at <= manner.words {
        actix_rt::time::sleep(manner.pause).await;
    }
    let piece = match at {
        0 => chunk("\"role\":\"assistant\",\"content\":\"\"", "null") + &word(),
        at if at < manner.words => word(),
        at if at == manner.words => match manner.end {
            End::Whole => {
                chunk("", "\"stop\"")
                    + "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[],\
                       \"usage\":{\"prompt_tokens\":9,\"completion_tokens\":50,\"total_tokens\":59}}\n\ndata: [DONE]\n\n"
            }
            End::Cut => return Some((Err(io::Error::other("cut on purpose")), (manner, usize::MAX))),
            End::Held => std::future::pending().await,
        },
        _ => return None,
    };
    Some((Ok(Bytes::from(piece)), (manner, at + 1)))
}
