//! The agent: turns, tool rounds, prompts, the context window, the offline responder, and the approvals desk.
//!
//! [`AgentSupervisor`] is the actor. It admits turns, keeps what belongs beside a caller's own tool calls, and holds prompt and limits. A
//! turn itself runs on the thread that asked for it: [`Turns`] is the port through which the gateway gets one, [`BackgroundTurns`] runs those
//! that nobody reads as they come.
//!
//! It never executes a caller's tool, never treats a tool's result as an instruction, and owns no connection: models and tools are
//! reached through ports.

mod admission;
pub mod approvals;
mod background;
mod config;
mod context;
mod housekeeping;
mod kept;
mod offline;
mod profile;
mod prompt;
mod settings;
mod supervisor;
mod turn;
mod turns;

pub use background::BackgroundTurns;
pub use config::Config;
pub use context::known_tokens;
pub use profile::{Host, Person, Profile, parse as parse_profile};
pub use prompt::{Prompts, render as render_prompt};
pub use settings::{Problem, Settings, SharedSettings};
pub use supervisor::{AgentSupervisor, Observed};
pub use turns::{KnownTokens, TurnPorts, Turns};
