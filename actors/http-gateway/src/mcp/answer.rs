//! One answer: JSON where it is there soon, else a stream of events with signs of life until it is.
//!
//! The HTTP body polls the work itself, so a client that leaves cancels it at once, in either era.

use super::era::Era;
use super::error::{INTERNAL_ERROR, RpcError, SERVER_ERROR};
use super::line::News;
use super::methods::Reply;
use super::sessions::Sessions;
use crate::access_log::{Access, Outcome};
use crate::answers;
use crate::exchange::panic_text;
use crate::published::Shared;
use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use bytes::Bytes;
use contract::clock::SharedClock;
use contract::status::GaugeGuard;
use contract::{BoxFuture, LocalBoxFuture};
use futures_util::FutureExt as _;
use futures_util::future::{AbortHandle, Abortable, Either, select};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a client that wants progress waits for the first sign.
const FIRST_PROGRESS: Duration = Duration::from_secs(1);
/// How often progress is told after that.
const PROGRESS: Duration = Duration::from_secs(5);
/// The longest silence.
const SILENCE: Duration = Duration::from_secs(10);

/// The work behind an answer.
type Work = LocalBoxFuture<'static, Result<Reply, RpcError>>;

/// A request's place in its session, so that it can be cancelled by its id.
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: String,
    pub(crate) request: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions().finish(&self.session, &self.request);
    }
}

impl Place {
    fn sessions(&self) -> &Sessions {
        &self.shared.mcp().sessions
    }
}

/// What the answer is to be like.
pub(crate) struct Form {
    /// The request's id as JSON.
    pub(crate) id: String,
    pub(crate) era: Era,
    /// Whether the client takes a plain JSON answer.
    pub(crate) json: bool,
    /// Whether it takes a stream of events.
    pub(crate) events: bool,
    /// The token for progress, as JSON, if the client wants to hear of it.
    pub(crate) progress: Option<String>,
    /// What is told as progress; `None` where whoever works tells it.
    pub(crate) title: Option<String>,
    /// What is to be sent before the answer.
    pub(crate) news: Option<News>,
    pub(crate) clock: SharedClock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) access: Rc<Access>,
}

/// Makes work endable by its id and safe against its own panics.
pub(crate) fn guarded(work: Work, place: Option<Place>) -> Result<Work, RpcError> {
    let (handle, registration) = AbortHandle::new_pair();
    if let Some(place) = &place
        && !place.sessions().begin(&place.session, &place.request, handle)
    {
        return Err(RpcError::new(SERVER_ERROR, "too many calls of this session are running").with_status(429));
    }
    let work = AssertUnwindSafe(Abortable::new(work, registration)).catch_unwind();
    Ok(Box::pin(async move {
        let ended = work.await;
        drop(place);
        match ended {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(RpcError::new(SERVER_ERROR, "the request was cancelled")),
            Err(panic) => {
                tracing::error!(panic = panic_text(panic.as_ref()), "an MCP request crashed");
                Err(RpcError::new(INTERNAL_ERROR, "HAIA crashed on this request"))
            }
        }
    }))
}

/// Waits for the answer for a moment, and sends it, or begins to send signs of life.
pub(crate) async fn respond(mut work: Work, mut form: Form, open: impl FnOnce() -> GaugeGuard) -> HttpResponse {
    let mut first_news = None;
    if form.json {
        let first = if form.progress.is_some() { FIRST_PROGRESS } else { SILENCE };
        let moment = form.clock.pause(first);
        let answer = if form.events {
            let first = {
                let news = Box::pin(next(&mut form.news));
                match select(work.as_mut(), select(news, moment)).await {
                    Either::Left((answer, _)) => First::Answer(answer),
                    Either::Right((Either::Left((news, _)), _)) => First::News(news),
                    Either::Right((Either::Right(_), _)) => First::Nothing,
                }
            };
            match first {
                First::Answer(answer) => {
                    // What was told before the answer goes out before it.
                    first_news = form.news.as_mut().and_then(|news| news.try_recv().ok());
                    if first_news.is_none() {
                        Some(answer)
                    } else {
                        work = Box::pin(std::future::ready(answer));
                        None
                    }
                }
                First::News(news) => {
                    first_news = Some(news);
                    None
                }
                First::Nothing => None,
            }
        } else {
            Some(work.as_mut().await)
        };
        if let Some(answer) = answer {
            return whole(&form.id, form.era, &answer);
        }
    }
    let body = AnswerBody {
        work: Some(work),
        answer: None,
        first_news,
        beat: None,
        beats: 0,
        form,
        ended: false,
        _open: open(),
    };
    stream(body)
}

/// What there is first of an answer.
enum First {
    /// All of it.
    Answer(Result<Reply, RpcError>),
    /// Something that goes before it.
    News(Bytes),
    /// Nothing yet.
    Nothing,
}

/// The next message that is to be sent before the answer; never, where there is none to come.
async fn next(news: &mut Option<News>) -> Bytes {
    if let Some(news) = news
        && let Some(message) = news.recv().await
    {
        return message;
    }
    std::future::pending().await
}

/// An answer in one piece.
fn whole(id: &str, era: Era, answer: &Result<Reply, RpcError>) -> HttpResponse {
    match answer {
        Ok(reply) => answers::bytes(StatusCode::OK, "application/json", reply.print(id, era).into()),
        Err(error) => refusal(error, id),
    }
}

/// An error in one piece.
pub(crate) fn refusal(error: &RpcError, id: &str) -> HttpResponse {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answers::bytes(status, "application/json", error.print(id).into())
}

/// A stream of events as a response.
pub(crate) fn stream(body: impl MessageBody + 'static) -> HttpResponse {
    let mut response = HttpResponse::with_body(StatusCode::OK, body).map_into_boxed_body();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// A message as an event.
pub(crate) fn event(message: &str) -> Bytes {
    Bytes::from(format!("data: {message}\n\n"))
}

/// A comment that only keeps the connection alive.
pub(crate) const ALIVE: Bytes = Bytes::from_static(b": alive\n\n");

struct AnswerBody {
    work: Option<Work>,
    /// The answer, while there is something to be sent before it.
    answer: Option<Result<Reply, RpcError>>,
    first_news: Option<Bytes>,
    beat: Option<BoxFuture<'static, ()>>,
    beats: u64,
    form: Form,
    ended: bool,
    _open: GaugeGuard,
}

impl AnswerBody {
    fn sign_of_life(&mut self) -> Bytes {
        self.beats += 1;
        match (&self.form.progress, &self.form.title) {
            (None, _) | (_, None) => ALIVE,
            (Some(token), Some(title)) => {
                // How much is left nobody knows: what counts is that it goes on.
                let title = serde_json::Value::from(title.as_str());
                event(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{},"message":{title}}}}}"#,
                    self.beats
                ))
            }
        }
    }

    fn end(&mut self, answer: &Result<Reply, RpcError>) -> Bytes {
        self.work = None;
        self.ended = true;
        let outcome = if answer.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.form.access.ended(outcome);
        match answer {
            Ok(reply) => event(&reply.print(&self.form.id, self.form.era)),
            Err(error) => event(&error.print(&self.form.id)),
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(news) = self.first_news.take() {
            return Poll::Ready(Some(news));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        if self.answer.is_none()
            && let Some(work) = &mut self.work
            && let Poll::Ready(answer) = work.as_mut().poll(context)
        {
            self.answer = Some(answer);
        }
        // What was told before the answer goes out before it.
        if let Some(news) = &mut self.form.news
            && let Poll::Ready(Some(news)) = news.poll_recv(context)
        {
            return Poll::Ready(Some(news));
        }
        if let Some(answer) = self.answer.take() {
            return Poll::Ready(Some(self.end(&answer)));
        }
        let clock = &self.form.clock;
        let patience = self.form.shared.patience_left(clock.as_ref());
        let period = match (&self.form.progress, self.beats) {
            (Some(_), 0) => Duration::ZERO,
            (Some(_), _) => PROGRESS,
            (None, _) => SILENCE,
        };
        let beat = self.beat.get_or_insert_with(|| clock.pause(patience.map_or(period, |left| left.min(period))));
        if beat.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.beat = None;
        if patience == Some(Duration::ZERO) {
            return Poll::Ready(Some(self.end(&Err(RpcError::new(SERVER_ERROR, "HAIA is shutting down")))));
        }
        Poll::Ready(Some(self.sign_of_life()))
    }
}

impl MessageBody for AnswerBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let body = self.get_mut();
        body.poll_piece(context).map(|piece| {
            piece.map(|piece| {
                body.form.access.sent(piece.len());
                Ok(piece)
            })
        })
    }
}
