//! A simulated model provider: a real HTTP server on a real port that speaks OpenAI's, Anthropic's and Ollama's formats by script.
//!
//! It moves by events only: a test decides what is answered, holds an answer at any byte with a [`Gate`], and waits for what the daemon
//! does (asks, leaves) by condition. It never sleeps and never talks to anybody but who connects to it.

mod answer;
mod beside;
mod encode;
mod exchange;
mod fixture;
mod models;
mod obedient;
mod request;
mod rules;
mod server;

pub use answer::{Answer, Step};
pub use beside::SOUND;
pub use exchange::{Exchange, Outcome};
pub use fixture::{Fixture, fixtures};
pub use models::{MODELS, NEVER_TOLD, by_model, hello, says};
pub use request::{Format, Request};
pub use server::{Gate, Provider, refused_address};
