//! Simulated receivers of messages: a Telegram Bot API, a Discord webhook, an Alertmanager, and a program that takes anything. Each holds what it was given,
//! enforces the limits of the real one, notes every violation of what it asked for, and misbehaves as scripted.
//!
//! The receivers are pure: a request and a time in, an answer out. [`Server`] puts one behind a real socket on loopback; a test with simulated
//! time calls [`Sim::step`] itself.

mod alertmanager;
mod discord;
mod html;
mod recorder;
mod server;
mod sim;
mod telegram;

pub use alertmanager::Alertmanager;
pub use discord::{Discord, DiscordMessage};
pub use html::plain_text;
pub use recorder::{Record, Recorder};
pub use server::Server;
pub use sim::{Break, Fault, Limit, Receiver, Reply, Request, Sim, Step};
pub use telegram::{Telegram, TelegramMessage};
