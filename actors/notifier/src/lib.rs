//! The notifier: brings notices to people, through whatever befalls their channels.
//!
//! - [`message`]: what a notice says, before any markup.
//! - [`channels`]: how each kind of receiver wants it, and what its answers mean.
//! - [`lane`]: one ordered lane per channel: what is sent next, and what becomes of it.
//! - [`wire`]: the way to receivers.
//! - [`inbound`]: buttons and commands that come back from Telegram.
//! - [`probe`]: whether a channel would take a message.
//! - [`Notifier`]: the actor around them.
//!
//! A row is stored before it is sent and marked before each attempt, so that no end of the process loses one. It decides nothing about alerts
//! and depends on no other actor.

pub mod channels;
mod config;
pub mod inbound;
pub mod lane;
pub mod message;
mod notifier;
mod probe;
pub mod wire;

pub use config::{
    ChannelConfig, Config, DiscordConfig, EmailConfig, GotifyConfig, MailServer, MailTls, NtfyConfig, TelegramConfig,
    WebhookConfig,
};
pub use notifier::{Notifier, Observed, Ports, SharedConfig};
pub use probe::probe;
