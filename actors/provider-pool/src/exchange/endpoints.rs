//! The calling thread's connections to providers: the head of each chat request, made once, and the pool that every request goes out through.
//!
//! A kept connection may be gone without a sign: its request is sent once more over a fresh one. It knows no deadlines and reads no body.

use super::upload::Upload;
use crate::formats::direct::Outgoing;
use crate::provider::{Model, Provider};
use actix_http::error::ParseError;
use awc::error::{ConnectError, SendRequestError};
use awc::http::header::CONTENT_TYPE;
use bytes::Bytes;
use contract::failure::{Failure, FailureClass};
use runtime::http::{self, Answer, NoAnswer, Origin, Template};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Models come by name from callers: what is kept of them must not grow with them.
const KEPT: usize = 256;
/// A connection that was closed while nobody looked says so within a round trip. What takes longer may have been worked on, and is not
/// sent twice.
const STALE_WITHIN: Duration = Duration::from_secs(2);

/// What this thread calls models with.
#[derive(Default)]
pub struct Endpoints(RefCell<HashMap<Arc<str>, Endpoint, foldhash::fast::RandomState>>);

/// A provider's model as this thread calls it: the head of the request is made once.
#[derive(Clone)]
struct Endpoint {
    provider: Arc<Provider>,
    model: Arc<Model>,
    /// What its calls go out through.
    origin: Rc<Origin>,
    /// For a streamed answer, and for a whole one: some APIs have an address for each.
    streamed: Rc<Template>,
    whole: Rc<Template>,
}

impl Endpoints {
    /// Sends a request and waits for the head of the answer. The deadline is the caller's.
    ///
    /// # Errors
    /// `Unreachable`: no connection, or none that brought an answer. `ServerError`: an answer that cannot be read safely.
    pub async fn send(
        &self,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        body: Bytes,
        stream: bool,
    ) -> Result<Answer, Failure> {
        self.send_with(
            provider,
            model,
            || true,
            async |endpoint: &Endpoint| {
                let template = if stream { &endpoint.streamed } else { &endpoint.whole };
                endpoint.origin.send(template, &body).await
            },
        )
        .await
    }

    /// Sends a request that is no chat, as [`Endpoints::send`] does. One whose body still arrives goes over a connection of its own: a kept
    /// one that turns out to be gone would take what cannot be had again.
    ///
    /// # Errors
    /// As [`Endpoints::send`]. The upload knows whether its caller broke it off.
    pub async fn send_direct(
        &self,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        outgoing: &Outgoing,
        upload: &Upload,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, Failure> {
        let own = provider.format.headers(model.key.as_ref());
        let own = own.iter().map(|(name, value)| (*name, value.expose()));
        let told = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let kind = std::iter::once((CONTENT_TYPE.as_str(), outgoing.content_type.as_str()));
        let head = Template::post(&provider.url(&outgoing.path), kind.chain(told).chain(own));
        let head = head.ok_or_else(|| odd(provider))?;
        let (length, fresh) = (upload.length(&outgoing.body), upload.arrives());
        self.send_with(
            provider,
            model,
            || upload.is_repeatable(),
            async |endpoint: &Endpoint| endpoint.origin.upload(&head, length, upload.body(&outgoing.body), fresh).await,
        )
        .await
    }

    async fn send_with(
        &self,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        may_repeat: impl Fn() -> bool,
        send: impl AsyncFn(&Endpoint) -> Result<Answer, NoAnswer>,
    ) -> Result<Answer, Failure> {
        let mut endpoint = self.endpoint(provider, model)?;
        let mut sent = send(&endpoint).await;
        if let Err(NoAnswer { error, was_kept: true, after }) = &sent
            && may_repeat()
            && is_gone(error)
            && *after < STALE_WITHIN
        {
            tracing::debug!(provider = %provider.name, %error, "a kept connection was gone: once more over a fresh one");
            self.forget(&endpoint);
            endpoint = self.endpoint(provider, model)?;
            sent = send(&endpoint).await;
        }
        let response = sent.map_err(|none| unreachable(provider, &none.error))?;
        let status = response.head.status();
        if (100..200).contains(&status) {
            self.forget(&endpoint);
            let message = format!("{} sent an interim answer (HTTP {status}) that nobody asked for", provider.name);
            return Err(Failure::new(FailureClass::ServerError, message).with_retry(Some(false)));
        }
        Ok(response)
    }

    /// The frozen head of a request to this model. Made anew when a reload changed the provider.
    fn endpoint(&self, provider: &Arc<Provider>, model: &Arc<Model>) -> Result<Endpoint, Failure> {
        let mut endpoints = self.0.borrow_mut();
        if let Some(known) = endpoints.get(&model.id)
            && Arc::ptr_eq(&known.provider, provider)
            && Arc::ptr_eq(&known.model, model)
        {
            return Ok(known.clone());
        }
        let origin = match endpoints.values().find(|known| Arc::ptr_eq(&known.provider, provider)) {
            Some(known) => Rc::clone(&known.origin),
            None => Rc::new(Origin::new(provider.config.base_url(), &connect(provider)).ok_or_else(|| odd(provider))?),
        };
        let path = |stream| provider.format.chat_path(&model.name, stream);
        let streamed = Rc::new(template(provider, model, &path(true))?);
        let whole = if path(true) == path(false) {
            Rc::clone(&streamed)
        } else {
            Rc::new(template(provider, model, &path(false))?)
        };
        if endpoints.len() >= KEPT {
            endpoints.clear();
        }
        // A provider that a reload replaced takes its connections with it.
        endpoints.retain(|_, known| known.provider.name != provider.name || Arc::ptr_eq(&known.provider, provider));
        let endpoint = Endpoint { provider: Arc::clone(provider), model: Arc::clone(model), origin, streamed, whole };
        endpoints.insert(Arc::clone(&model.id), endpoint.clone());
        Ok(endpoint)
    }

    /// Lets go of the connections that this endpoint's client keeps. Those in use end with their answers.
    fn forget(&self, endpoint: &Endpoint) {
        let same = |known: &Endpoint| Rc::ptr_eq(&known.origin, &endpoint.origin);
        self.0.borrow_mut().retain(|_, known| !same(known));
    }
}

/// The head of a request for chats of this model.
fn template(provider: &Provider, model: &Model, path: &str) -> Result<Template, Failure> {
    let own = provider.format.headers(model.key.as_ref());
    let own = own.iter().map(|(name, value)| (*name, value.expose()));
    let headers = std::iter::once((CONTENT_TYPE.as_str(), "application/json")).chain(own);
    Template::post(&provider.url(path), headers).ok_or_else(|| odd(provider))
}

fn odd(provider: &Provider) -> Failure {
    let name = &provider.name;
    let message = format!("no request can be made for {name}: its address or key has characters that HTTP forbids");
    Failure::new(FailureClass::Unreachable, message)
}

/// A client with the provider's deadlines, for the calling thread.
pub(crate) fn client_of(provider: &Provider) -> awc::Client {
    http::client(&connect(provider))
}

fn connect(provider: &Provider) -> http::Connect {
    http::Connect {
        timeout: provider.config.connect_timeout.0,
        tls: provider.config.base_url().starts_with("https:"),
        ..http::Connect::default()
    }
}

/// Whether the other side had closed the connection before it said anything.
fn is_gone(error: &SendRequestError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => true,
        SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
        }
        _ => false,
    }
}

/// No connection, or none that brought an answer. The error's own text may hold an address, never a key.
pub(crate) fn unreachable(provider: &Provider, error: &SendRequestError) -> Failure {
    let name = &provider.name;
    let (class, message) = match error {
        SendRequestError::Connect(ConnectError::Timeout) => (
            FailureClass::Unreachable,
            format!("no connection to {name} within {} s", provider.config.connect_timeout.0.as_secs_f64()),
        ),
        SendRequestError::Connect(ConnectError::Disconnected) => {
            (FailureClass::Unreachable, format!("{name} closed the connection before an answer"))
        }
        SendRequestError::Connect(error) => (FailureClass::Unreachable, format!("no connection to {name}: {error}")),
        SendRequestError::Timeout => (FailureClass::Timeout, format!("{name} did not answer in time")),
        error => (FailureClass::Unreachable, format!("the connection to {name} broke before an answer: {error}")),
    };
    // Only a connection that was never made has certainly brought nothing: what was sent may have been worked on.
    let never_made = matches!(
        error,
        SendRequestError::Connect(ConnectError::Io(_) | ConnectError::Resolver(_) | ConnectError::NoRecords)
    );
    Failure::new(class, message).with_retry((!never_made).then_some(false))
}
