//! What people send back: buttons and commands of a Telegram chat, by long polling, so that HAIA needs no public address.
//!
//! Only the configured chat and the configured users count; anybody in a group can press a button. An update is confirmed by asking for the
//! next, which is done once it is handled and that is stored: a press made while HAIA was down counts at its start, and none counts twice.

mod commands;
mod desk;
mod poll;
mod press;
mod talk;
#[cfg(test)]
mod tests;
mod update;

pub use commands::{Command, parse};
pub use desk::Desk;
pub use poll::Inbox;
pub use update::{Press, Said, Update, read_updates};
