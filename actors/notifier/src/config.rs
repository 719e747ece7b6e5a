//! `[notify.channels.<name>]`: where messages go. It is read and checked here; nothing is connected to.

use contract::secret::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The channels by their names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Config {
    /// Each channel, by name.
    pub channels: BTreeMap<String, ChannelConfig>,
}

/// One channel. `kind` says which.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ChannelConfig {
    /// A chat with a Telegram bot.
    Telegram(TelegramConfig),
    /// A Discord channel, by its webhook.
    Discord(DiscordConfig),
    /// A topic of an ntfy server.
    Ntfy(NtfyConfig),
    /// An application of a Gotify server.
    Gotify(GotifyConfig),
    /// A mailbox.
    Email(EmailConfig),
    /// Any program that takes JSON.
    Webhook(WebhookConfig),
}

impl ChannelConfig {
    /// The kind as the configuration writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            ChannelConfig::Telegram(_) => "telegram",
            ChannelConfig::Discord(_) => "discord",
            ChannelConfig::Ntfy(_) => "ntfy",
            ChannelConfig::Gotify(_) => "gotify",
            ChannelConfig::Email(_) => "email",
            ChannelConfig::Webhook(_) => "webhook",
        }
    }
}

/// A chat with a Telegram bot.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    /// The bot's token, as BotFather gave it.
    pub bot_token: Secret,
    /// The chat: a number (negative for groups) or `@name` of a public one.
    #[serde(deserialize_with = "text_or_number")]
    pub chat_id: String,
    /// The topic of a forum group.
    #[serde(default)]
    pub thread_id: Option<i64>,
    /// The Bot API server; self-hosted ones exist.
    #[serde(default = "telegram_api")]
    pub api_base: String,
    /// Whose buttons and commands count, by user id; none: HAIA sends only, without buttons.
    #[serde(default)]
    pub allowed_users: Vec<i64>,
}

/// A Discord channel.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscordConfig {
    /// The webhook's whole address. Who knows it can write into the channel.
    pub webhook_url: Secret,
}

/// A topic of an ntfy server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NtfyConfig {
    /// The server.
    #[serde(default = "ntfy_server")]
    pub url: String,
    /// The topic. On a public server who knows it can read along.
    pub topic: String,
    /// An access token, where the server wants one.
    #[serde(default)]
    pub token: Option<Secret>,
}

/// An application of a Gotify server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GotifyConfig {
    /// The server.
    pub url: String,
    /// The application's token.
    pub token: Secret,
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// The mail server: `smtps://host:465` (TLS), `smtp://host:587` (TLS once connected, if the server offers it), or `host:port`.
    pub smtp: String,
    /// The sender.
    pub from: String,
    /// The receivers.
    #[serde(deserialize_with = "one_or_more")]
    pub to: Vec<String>,
    /// The login, where the server wants one.
    #[serde(default)]
    pub username: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<Secret>,
}

/// Any program that takes JSON.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to POST.
    pub url: String,
    /// Signs each request (HMAC-SHA256), so that the receiver knows it is HAIA.
    #[serde(default)]
    pub secret: Option<Secret>,
}

fn telegram_api() -> String {
    "https://api.telegram.org".to_owned()
}

fn ntfy_server() -> String {
    "https://ntfy.sh".to_owned()
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a chat is a number or a text, like \"123456\" or \"@name\"")]
    enum Written {
        Number(i64),
        Text(String),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    })
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an address or a list of addresses")]
    enum Written {
        One(String),
        More(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::One(one) => vec![one],
        Written::More(more) => more,
    })
}

impl Config {
    /// What is wrong beyond types: key and message.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (name, channel) in &self.channels {
            let mut wrong = |key: &str, why: String| problems.push((format!("notify.channels.{name}{key}"), why));
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
                wrong("", "a channel's name has letters, digits, \"-\", \"_\" and \".\" only".to_owned());
            }
            channel.validate(&mut wrong);
        }
        problems.extend(self.shared_bots());
        problems
    }

    /// Channels that would take each other's presses: Telegram gives each of them once, to whoever asks first, and refuses the others.
    fn shared_bots(&self) -> Vec<(String, String)> {
        let mut listening: Vec<(&str, &TelegramConfig)> = Vec::new();
        let mut problems = Vec::new();
        for (name, channel) in &self.channels {
            let ChannelConfig::Telegram(telegram) = channel else { continue };
            if telegram.allowed_users.is_empty() {
                continue;
            }
            let bot = telegram.bot_token.expose();
            match listening.iter().find(|(_, other)| other.bot_token.expose() == bot) {
                Some((other, _)) => problems.push((
                    format!("notify.channels.{name}.bot_token"),
                    format!(
                        "the channel {other:?} listens to people with the same bot, and each press reaches only one of the two; \
                         make another bot for {name:?}, or leave allowed_users out of one of them, which then only sends"
                    ),
                )),
                None => listening.push((name, telegram)),
            }
        }
        problems
    }
}

impl ChannelConfig {
    fn validate(&self, wrong: &mut dyn FnMut(&str, String)) {
        match self {
            ChannelConfig::Telegram(telegram) => telegram.validate(wrong),
            ChannelConfig::Discord(discord) => {
                if let Err(why) = check_url(discord.webhook_url.expose()) {
                    // The address is a secret: it is not repeated.
                    wrong(
                        ".webhook_url",
                        format!("{why}; copy it from the channel's settings, Integrations, Webhooks"),
                    );
                }
            }
            ChannelConfig::Ntfy(ntfy) => {
                if let Err(why) = check_url(&ntfy.url) {
                    wrong(".url", format!("{:?}: {why}; write for example \"https://ntfy.sh\"", ntfy.url));
                }
                let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                if ntfy.topic.is_empty() || ntfy.topic.len() > 64 || !ntfy.topic.chars().all(is_plain) {
                    wrong(".topic", "a topic has 1 to 64 letters, digits, \"-\" and \"_\"".to_owned());
                }
                check_token(ntfy.token.as_ref(), ".token", wrong);
            }
            ChannelConfig::Gotify(gotify) => {
                if let Err(why) = check_url(&gotify.url) {
                    wrong(".url", format!("{:?}: {why}; write for example \"https://gotify.lan\"", gotify.url));
                }
                check_token(Some(&gotify.token), ".token", wrong);
            }
            ChannelConfig::Email(email) => email.validate(wrong),
            ChannelConfig::Webhook(webhook) => {
                if let Err(why) = check_url(&webhook.url) {
                    wrong(".url", format!("{why}; write for example \"https://example.org/hook\""));
                }
                if webhook.secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
                    wrong(".secret", "it is empty; leave it out to send unsigned".to_owned());
                }
            }
        }
    }
}

impl TelegramConfig {
    fn validate(&self, wrong: &mut dyn FnMut(&str, String)) {
        let is_token = |token: &str| {
            let Some((bot, secret)) = token.split_once(':') else { return false };
            let is_secret = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            !bot.is_empty()
                && bot.bytes().all(|byte| byte.is_ascii_digit())
                && !secret.is_empty()
                && secret.chars().all(is_secret)
        };
        if !is_token(self.bot_token.expose()) {
            let why = "it is no bot token: BotFather gives one of the form 123456:ABC-DEF…";
            wrong(".bot_token", why.to_owned());
        }
        let is_name = self.chat_id.strip_prefix('@').is_some_and(|name| !name.is_empty());
        if !is_name && self.chat_id.parse::<i64>().is_err() {
            let why = format!(
                "{:?} is no chat: write its number (negative for groups) or \"@name\"; write to your bot, then look at \
                 https://api.telegram.org/bot<token>/getUpdates for message.chat.id",
                self.chat_id
            );
            wrong(".chat_id", why);
        }
        if let Err(why) = check_url(&self.api_base) {
            wrong(".api_base", format!("{:?}: {why}", self.api_base));
        }
    }
}

impl EmailConfig {
    fn validate(&self, wrong: &mut dyn FnMut(&str, String)) {
        if let Err(why) = MailServer::parse(&self.smtp) {
            wrong(".smtp", why);
        }
        let check = |text: &str| text.parse::<lettre::message::Mailbox>().is_ok();
        if !check(&self.from) {
            wrong(".from", format!("{:?} is no address; write for example \"HAIA <haia@example.org>\"", self.from));
        }
        if self.to.is_empty() {
            wrong(".to", "at least one receiver is needed".to_owned());
        }
        for to in self.to.iter().filter(|to| !check(to)) {
            wrong(".to", format!("{to:?} is no address; write for example \"me@example.org\""));
        }
        if self.username.is_some() != self.password.is_some() {
            wrong("", "username and password belong together: set both or none".to_owned());
        }
    }
}

/// How a mail server's connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// From the first byte.
    Wrapped,
    /// By STARTTLS; without it nothing is sent.
    Required,
    /// By STARTTLS where the server offers it.
    Offered,
}

/// A mail server taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: MailTls,
}

impl MailServer {
    /// Reads `smtps://host:465`, `smtp://host:587`, `host` or `host:port`. Port 465 alone means TLS from the first byte, 587 STARTTLS.
    ///
    /// # Errors
    /// What is wrong with it and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} {why}; write for example \"smtps://mail.example:465\"");
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("smtp" | "smtps"), rest)) => (Some(scheme), rest),
            Some(_) => return Err(wrong("is neither smtp:// nor smtps://")),
            None => (None, text),
        };
        let authority = rest.trim_end_matches('/');
        if authority.contains('@') {
            return Err(wrong("holds a login: write it as username and password"));
        }
        if authority.is_empty() || authority.contains(['/', '?', '#', ' ']) {
            return Err(wrong("must be a host and a port"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                (host, Some(port.parse::<u16>().map_err(|_| wrong("has no usable port"))?))
            }
            _ => (authority, None),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        let tls = match (scheme, port) {
            (Some("smtps"), _) | (None, Some(465)) => MailTls::Wrapped,
            (_, Some(587)) => MailTls::Required,
            _ => MailTls::Offered,
        };
        let port = port.unwrap_or(if tls == MailTls::Wrapped { 465 } else { 25 });
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

/// Whether a text is an address that HTTP can use.
fn check_url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return Err("it does not begin with https:// or http://".to_owned()) };
    let uri = text.parse::<awc::http::Uri>().map_err(|_| "it is not a usable address".to_owned())?;
    if uri.host().is_none_or(str::is_empty) || rest.starts_with(':') {
        return Err("it names no host".to_owned());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("it holds a login, which is not sent".to_owned());
    }
    Ok(())
}

fn check_token(token: Option<&Secret>, key: &str, wrong: &mut dyn FnMut(&str, String)) {
    let is_sound =
        |token: &Secret| !token.expose().is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_some_and(|token| !is_sound(token)) {
        wrong(key, "it is empty or holds characters that no token has".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(json: &str) -> Result<ChannelConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn problems(json: &str) -> Vec<String> {
        let channels = [("x".to_owned(), channel(json).unwrap())].into();
        Config { channels }.validate().into_iter().map(|(key, why)| format!("{key}: {why}")).collect()
    }

    #[test]
    fn every_kind_is_read_with_its_defaults_and_shows_no_secret() {
        for json in [
            r#"{"kind":"telegram","bot_token":"1:sEcret","chat_id":-100123,"allowed_users":[1]}"#,
            r#"{"kind":"telegram","bot_token":"1:sEcret","chat_id":"@home","api_base":"http://127.0.0.1:1"}"#,
            r#"{"kind":"discord","webhook_url":"https://discord.com/api/webhooks/1/sEcret"}"#,
            r#"{"kind":"ntfy","topic":"lab","token":"sEcret"}"#,
            r#"{"kind":"gotify","url":"http://gotify.lan","token":"sEcret"}"#,
            r#"{"kind":"webhook","url":"http://10.0.0.5/hook","secret":"sEcret"}"#,
            r#"{"kind":"email","smtp":"smtps://mail.example:465","from":"HAIA <a@b.c>","to":"me@b.c","username":"u","password":"sEcret"}"#,
        ] {
            assert_eq!(problems(json), [""; 0], "{json}");
            assert!(!format!("{:?}", channel(json).unwrap()).contains("sEcret"), "{json}");
        }
    }

    #[test]
    fn every_problem_is_named() {
        for (json, expected) in [
            (
                r#"{"kind":"telegram","bot_token":"abc","chat_id":"me","api_base":"api"}"#,
                vec![
                    ".bot_token: it is no bot token",
                    ".chat_id: \"me\" is no chat",
                    ".api_base: \"api\": it does not",
                ],
            ),
            (r#"{"kind":"discord","webhook_url":"nope"}"#, vec![".webhook_url: it does not begin"]),
            (r#"{"kind":"ntfy","url":"http://:1","topic":"a b","token":"ä"}"#, vec![".url", ".topic", ".token"]),
            (r#"{"kind":"gotify","url":"https://u:p@h","token":""}"#, vec![".url", ".token"]),
            (r#"{"kind":"webhook","url":"ftp://x","secret":""}"#, vec![".url", ".secret"]),
            (
                r#"{"kind":"email","smtp":"http://x","from":"x","to":["y"],"username":"u"}"#,
                vec![".smtp", ".from", ".to", ": username and password"],
            ),
        ] {
            let found = problems(json);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with(&format!("notify.channels.x{expected}")), "{found} / {expected}");
            }
        }
    }

    #[test]
    fn one_bot_hears_people_in_one_channel_only() {
        let chat = |bot: &str, chat: &str, users: &str| {
            channel(&format!(
                r#"{{"kind":"telegram","bot_token":"{bot}:sEcret","chat_id":"{chat}","allowed_users":{users}}}"#
            ))
            .unwrap()
        };
        let problems = |one, other, third| {
            let channels = [("family".to_owned(), one), ("phone".to_owned(), other), ("work".to_owned(), third)].into();
            Config { channels }.validate()
        };
        for (one, other) in [(("1", "[]"), ("1", "[5]")), (("1", "[5]"), ("1", "[]")), (("1", "[5]"), ("2", "[5]"))] {
            let found = problems(chat(one.0, "7", one.1), chat(other.0, "8", other.1), chat("3", "9", "[5]"));
            assert_eq!(found, [], "{one:?} {other:?}");
        }
        let found = problems(chat("1", "7", "[5]"), chat("2", "8", "[5]"), chat("1", "9", "[6]"));
        assert_eq!(found.len(), 1, "{found:?}");
        let (key, why) = &found[0];
        assert_eq!(key, "notify.channels.work.bot_token");
        assert!(why.contains("\"family\"") && why.contains("allowed_users") && !why.contains("sEcret"), "{why}");
    }

    #[test]
    fn unknown_keys_and_kinds_are_errors() {
        let error = channel(r#"{"kind":"ntfy","topic":"a","tokn":"b"}"#).unwrap_err();
        assert!(error.contains("unknown field `tokn`"), "{error}");
        let error = channel(r#"{"kind":"pager"}"#).unwrap_err();
        assert!(error.contains("unknown variant `pager`"), "{error}");
    }

    #[test]
    fn mail_servers_are_read_as_people_write_them() {
        for (text, host, port, tls) in [
            ("smtps://mail.example", "mail.example", 465, MailTls::Wrapped),
            ("smtp://mail.example:587", "mail.example", 587, MailTls::Required),
            ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, MailTls::Offered),
            ("mail.lan", "mail.lan", 25, MailTls::Offered),
            ("mail.lan:465", "mail.lan", 465, MailTls::Wrapped),
            ("smtp://[::1]:25", "::1", 25, MailTls::Offered),
        ] {
            assert_eq!(MailServer::parse(text), Ok(MailServer { host: host.to_owned(), port, tls }), "{text}");
        }
        for text in ["", "smtp://", "imap://x", "smtp://u@h", "h:99999", "smtp://h/x"] {
            assert!(MailServer::parse(text).is_err(), "{text}");
        }
    }
}
