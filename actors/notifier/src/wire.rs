//! The way to receivers: one request, and what came back or how it failed. A trait, so that tests play the receivers.
//!
//! What matters of a failure is whether the receiver can have got the message: before the connection stood it cannot. It judges nothing and
//! tries nothing again.

use crate::channels::{Answer, Dispatch, HttpRequest, MailRequest, Verb};
use crate::config::{ChannelConfig, EmailConfig, MailServer, MailTls};
use awc::error::{ConnectError, SendRequestError};
use awc::http::Method;
use contract::LocalBoxFuture;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use runtime::http::{Connect, client};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The deadline for connecting, and again for the handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const LARGEST: usize = 4 << 20;
/// How long an idle connection is kept: shorter than servers keep it, because one that ends under a request leaves its outcome unknown.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// How a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The receiver cannot have got it.
    NotSent(String),
    /// The receiver may have got it: the connection ended before its answer did.
    Lost(String),
}

/// The way to one receiver.
pub trait Transport {
    /// Sends a request. Dropping the future ends it.
    fn send(&self, dispatch: Dispatch) -> LocalBoxFuture<'static, Result<Answer, WireError>>;
}

/// Makes the way to a receiver, on the thread that will use it.
pub type OpenTransport = Arc<dyn Fn(&ChannelConfig) -> Rc<dyn Transport> + Send + Sync>;

/// The real way, over the network.
pub fn open_network() -> OpenTransport {
    Arc::new(|config| Rc::new(Network::new(config)))
}

struct Network {
    http: awc::Client,
    mail: Option<EmailConfig>,
}

impl Network {
    fn new(config: &ChannelConfig) -> Self {
        let (tls, mail) = match config {
            ChannelConfig::Telegram(telegram) => (is_tls(&telegram.api_base), None),
            ChannelConfig::Discord(discord) => (is_tls(discord.webhook_url.expose()), None),
            ChannelConfig::Ntfy(ntfy) => (is_tls(&ntfy.url), None),
            ChannelConfig::Gotify(gotify) => (is_tls(&gotify.url), None),
            ChannelConfig::Webhook(webhook) => (is_tls(&webhook.url), None),
            ChannelConfig::Email(email) => (false, Some(email.clone())),
        };
        Self { http: client(&Connect { timeout: CONNECT, keep_alive: KEEP_ALIVE, tls }), mail }
    }
}

fn is_tls(url: &str) -> bool {
    url.starts_with("https://")
}

impl Transport for Network {
    fn send(&self, dispatch: Dispatch) -> LocalBoxFuture<'static, Result<Answer, WireError>> {
        match dispatch {
            Dispatch::Http(request) => Box::pin(http(self.http.clone(), request)),
            Dispatch::Mail(request) => match self.mail.clone() {
                Some(config) => Box::pin(mail(config, request)),
                None => no_mail(),
            },
            Dispatch::Greeting => match self.mail.clone() {
                Some(config) => Box::pin(greet(config)),
                None => no_mail(),
            },
        }
    }
}

fn no_mail() -> LocalBoxFuture<'static, Result<Answer, WireError>> {
    Box::pin(std::future::ready(Err(WireError::NotSent("this channel sends no mail".to_owned()))))
}

async fn http(client: awc::Client, request: HttpRequest) -> Result<Answer, WireError> {
    let method = match request.verb {
        Verb::Post => Method::POST,
        Verb::Patch => Method::PATCH,
        Verb::Get => Method::GET,
        Verb::Head => Method::HEAD,
    };
    let mut call = client.request(method, request.url.as_str()).insert_header(("User-Agent", "HAIA"));
    for (name, value) in &request.headers {
        call = call.insert_header((*name, value.as_str()));
    }
    let mut response = call.send_body(request.body).await.map_err(|error| match error {
        // awc's word for a connection that stood and ended before the head of an answer.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            WireError::Lost("the connection ended before the answer".to_owned())
        }
        SendRequestError::Connect(error) => WireError::NotSent(format!("it cannot be reached ({error})")),
        SendRequestError::Url(_) | SendRequestError::Http(_) => {
            WireError::NotSent("the request cannot be made from this address".to_owned())
        }
        error => WireError::Lost(format!("the connection ended before the answer ({error})")),
    })?;
    let status = response.status().as_u16();
    let header = |(name, value): (&awc::http::header::HeaderName, &awc::http::header::HeaderValue)| {
        (name.as_str().to_ascii_lowercase(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers: Vec<(String, String)> = response.headers().iter().map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok());
    match response.body().limit(LARGEST).await {
        // awc takes a connection that ends early for the end of the body.
        Ok(body) if status < 400 && length.is_some_and(|length: usize| body.len() < length) => {
            Err(WireError::Lost("the answer broke off".to_owned()))
        }
        Ok(body) => Ok(Answer { status, headers, body }),
        // A refusal is one whether or not its reasons came through; only of a good answer the rest matters.
        Err(_) if status >= 400 => Ok(Answer { status, headers, body: bytes::Bytes::new() }),
        Err(error) => Err(WireError::Lost(format!("the answer broke off ({error})"))),
    }
}

async fn mail(config: EmailConfig, request: MailRequest) -> Result<Answer, WireError> {
    let mut connection = match connect(&config).await {
        Ok(connection) => connection,
        Err(MailError::Smtp(error)) => return before_sending(&error),
        Err(MailError::Config(why)) => return Err(WireError::NotSent(why)),
    };
    let answered = match connection.send(&request.envelope, &request.message).await {
        Ok(response) => Ok(Answer {
            status: u16::from(response.code()),
            headers: Vec::new(),
            body: response.message().collect::<Vec<_>>().join(" ").into(),
        }),
        Err(error) if error.is_client() => return Err(WireError::NotSent(error.to_string())),
        Err(error) => match error.status() {
            Some(code) => Ok(Answer { status: u16::from(code), headers: Vec::new(), body: words(&error).into() }),
            None => Err(WireError::Lost(format!("the connection to the mail server ended ({error})"))),
        },
    };
    connection.abort().await;
    answered
}

/// Connects and signs in. Status 250 where that went well, with what was seen.
async fn greet(config: EmailConfig) -> Result<Answer, WireError> {
    let mut connection = match connect(&config).await {
        Ok(connection) => connection,
        Err(MailError::Smtp(error)) => return before_sending(&error),
        Err(MailError::Config(why)) => return Err(WireError::NotSent(why)),
    };
    let signed_in = match &config.username {
        Some(user) => format!("signed in as {user}"),
        None => "connected, without a login".to_owned(),
    };
    let secured = if connection.is_encrypted() { "with TLS" } else { "without TLS" };
    connection.abort().await;
    Ok(Answer { status: 250, headers: Vec::new(), body: format!("{signed_in}, {secured}").into() })
}

enum MailError {
    Smtp(lettre::transport::smtp::Error),
    Config(String),
}

impl From<lettre::transport::smtp::Error> for MailError {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        MailError::Smtp(error)
    }
}

async fn connect(config: &EmailConfig) -> Result<AsyncSmtpConnection, MailError> {
    let server = MailServer::parse(&config.smtp).map_err(MailError::Config)?;
    let hello = ClientId::default();
    let tls = || TlsParameters::new(server.host.clone());
    let wrapped = match server.tls {
        MailTls::Wrapped => Some(tls()?),
        MailTls::Required | MailTls::Offered => None,
    };
    let address = (server.host.as_str(), server.port);
    let mut connection = AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &hello, wrapped, None).await?;
    match server.tls {
        MailTls::Wrapped => {}
        MailTls::Required => connection.starttls(tls()?, &hello).await?,
        MailTls::Offered if connection.can_starttls() => connection.starttls(tls()?, &hello).await?,
        MailTls::Offered => {}
    }
    if let (Some(user), Some(password)) = (&config.username, &config.password) {
        let is_loopback = server.host == "localhost"
            || server.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if !connection.is_encrypted() && !is_loopback {
            let why = "the mail server offers no TLS, and the password must not go over the network in the clear: use smtps://";
            return Err(MailError::Config(why.to_owned()));
        }
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
    }
    Ok(connection)
}

/// A failure before any mail was given.
fn before_sending(error: &lettre::transport::smtp::Error) -> Result<Answer, WireError> {
    match error.status() {
        Some(code) => Ok(Answer { status: u16::from(code), headers: Vec::new(), body: words(error).into() }),
        None => Err(WireError::NotSent(format!("the mail server cannot be used ({error})"))),
    }
}

/// What the server said.
fn words(error: &lettre::transport::smtp::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
