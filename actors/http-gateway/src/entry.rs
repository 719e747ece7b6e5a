//! What every request passes through, in this order: id, access line, identity, web page check, body, route; and what every answer gets
//! on its way out: the id, CORS headers, its line. No answer leaves without passing here.

use crate::access_log::{Access, Outcome};
use crate::anthropic;
use crate::arriving::Arriving;
use crate::auth::{Claims, Identity, Peer, identify};
use crate::openai::error::Refusal;
use crate::published::{Published, Shared};
use crate::thread::{Arrival, Thread};
use crate::{answers, body, cors, path, request_id, routes};
use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpResponse, ResponseError};
use bytes::Bytes;
use contract::ids::RequestId;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// The mark of connections over the unix socket, set when they are accepted.
pub(crate) struct OverSocket;

/// Headers that only a proxy sets.
const PROXY_HEADERS: [HeaderName; 3] =
    [header::FORWARDED, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// Where Anthropic's clients put the key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What is to become of a request before it is routed.
enum Verdict {
    /// To the routes, which know what they need.
    In(Identity),
    /// A browser's question before the real request.
    Preflight(HttpResponse),
    /// Not at all.
    Refused(Refusal),
}

/// The outermost layer.
///
/// # Errors
/// Only what a crash leaves: an error that prints as any other answer does.
pub(crate) async fn entry(
    thread: Rc<Thread>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let gateway = &thread.gateway;
    let clock = gateway.ports.clock.as_ref();
    let access = Rc::new(Access::new(
        request_id::of(request.headers(), gateway.ports.ids.as_ref()),
        request.method().clone(),
        request.path(),
        gateway.ports.clock.clone(),
        gateway.metrics.clone(),
    ));
    path::normalise(&mut request);
    // As the table of routes reads it: without escapes of letters.
    access.anthropic.set(anthropic::error::is_expected(request.match_info().as_str()));
    let published = gateway.shared.now_full();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let verdict = judge(&published, &request);
    if let Verdict::In(Ok(known)) = &verdict {
        access.caller.replace(Some(known.caller.name.clone()));
    }
    let mut payload = request.take_payload();
    let most = published.config.max_body;
    let mut arriving = None;
    let read = match &verdict {
        Verdict::In(Ok(_)) if routes::reads_by_itself(request.match_info().as_str()) => {
            let length = content_length(request.headers());
            arriving = Some(Arriving::new(payload.take(), length, most, gateway.ports.clock.clone()));
            Ok(Bytes::new())
        }
        Verdict::In(Ok(_)) => body::read(&mut payload, content_length(request.headers()), most, clock).await,
        // Refused, or welcome on few routes only: nothing is kept for strangers.
        _ => body::discard(&mut payload, most, clock).await.map(|()| Bytes::new()),
    };
    drop(payload);
    let response = match (read, verdict) {
        (Err(refusal), _) | (Ok(_), Verdict::Refused(refusal)) => {
            request.into_response(answers::refusal(&refusal, &access))
        }
        (Ok(_), Verdict::Preflight(answer)) => request.into_response(answer),
        (Ok(body), Verdict::In(identity)) => {
            let arrival = Arrival { identity, body, arriving: arriving.clone(), access: Rc::clone(&access) };
            request.extensions_mut().insert(arrival);
            match next.call(request).await {
                Ok(response) => response,
                Err(_) => {
                    let refusal = Refusal::internal("HAIA crashed on this request");
                    access.head(refusal.status);
                    access.ended(Outcome::Done);
                    let id = access.request_id.clone();
                    return Err(Crashed { refusal, id, origin, shared: gateway.shared.clone() }.into());
                }
            }
        }
    };
    let mut response = dispatch(response, &published, origin.as_ref(), &access);
    if let Some(arriving) = arriving {
        response = response.map_body(|_, answer| arriving.answered(answer));
    }
    Ok(response)
}

/// Decides by head alone.
fn judge(published: &Published, request: &ServiceRequest) -> Verdict {
    let headers = request.headers();
    if cors::is_preflight(request.method(), headers) {
        return cors::preflight(published, headers).map_or_else(Verdict::Refused, Verdict::Preflight);
    }
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let (host, origin) = (text(header::HOST), text(header::ORIGIN));
    let claims = Claims {
        peer: peer(request),
        authorization: headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes),
        // Anthropic's clients know no other way to send a key.
        api_key: headers
            .get(API_KEY)
            .filter(|_| anthropic::error::is_expected(request.match_info().as_str()))
            .map(HeaderValue::as_bytes),
        host,
        forwarded: PROXY_HEADERS.iter().any(|name| headers.contains_key(name)),
    };
    let identity = identify(published, &claims);
    if claims.peer == Peer::Socket {
        return Verdict::In(identity);
    }
    match cors::check_origin(published, origin, host, identity.as_ref().ok()) {
        Ok(()) => Verdict::In(identity),
        Err(refusal) => Verdict::Refused(refusal),
    }
}

fn peer(request: &ServiceRequest) -> Peer {
    if request.request().conn_data::<OverSocket>().is_some() {
        return Peer::Socket;
    }
    match request.peer_addr() {
        Some(address) if address.ip().to_canonical().is_loopback() => Peer::Loopback,
        _ => Peer::Remote,
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Sends an answer off.
fn dispatch(
    mut response: ServiceResponse<BoxBody>,
    published: &Published,
    origin: Option<&HeaderValue>,
    access: &Access,
) -> ServiceResponse<BoxBody> {
    let headers = response.headers_mut();
    request_id::put(&access.request_id, headers);
    cors::decorate(published, origin, headers);
    access.head(response.status().as_u16());
    match response.response().body().size() {
        // A streamed answer tells by itself what becomes of it.
        BodySize::Stream => {}
        BodySize::Sized(bytes) => {
            access.sent(usize::try_from(bytes).unwrap_or(usize::MAX));
            access.ended(Outcome::Done);
        }
        BodySize::None => access.ended(Outcome::Done),
    }
    response
}

/// The answer to a request whose handler panicked. The request itself is lost by then, so it cannot be a response of it.
struct Crashed {
    refusal: Refusal,
    id: RequestId,
    origin: Option<HeaderValue>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Crashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crashed({})", self.id)
    }
}

impl fmt::Display for Crashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.refusal.message)
    }
}

impl ResponseError for Crashed {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = answers::refusal_response(&self.refusal);
        request_id::put(&self.id, response.headers_mut());
        cors::decorate(&self.shared.now(), self.origin.as_ref(), response.headers_mut());
        response
    }
}
