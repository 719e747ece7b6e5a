//! The configuration together with the texts its files hold, checked and ready: what the actor runs on.

use crate::config::Config;
use crate::prompt::{self, Prompts};
use arc_swap::ArcSwap;
use contract::chat::{TurnDefaults, TurnLimits};
use std::fmt;
use std::sync::Arc;

/// The settings as the composition root publishes them: a crashed AgentSupervisor starts again with the newest.
pub type SharedSettings = Arc<ArcSwap<Settings>>;

/// What is wrong with a text that the prompt is made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// The key of `[agent]` that names the text.
    pub key: &'static str,
    /// The line of the profile's file, if it is about one.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

/// A checked configuration with its prompt.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) config: Config,
    pub(crate) defaults: Arc<TurnDefaults>,
}

impl Settings {
    /// Puts configuration and texts together. The configuration is taken as validated.
    ///
    /// # Errors
    /// The prompt or the profile cannot be used.
    pub fn new(config: Config, prompts: &Prompts) -> Result<Self, Problem> {
        let limits = TurnLimits {
            max_tool_rounds: config.max_tool_rounds,
            tool_timeout: config.tool_timeout.0,
            context_messages: config.context_messages,
            context_tokens: config.context_tokens,
            tool_result_bytes: config.tool_result_bytes.0,
            turn_timeout: config.turn_timeout.0,
        };
        let defaults = Arc::new(TurnDefaults { system_prompt: prompt::render(prompts)?, limits });
        Ok(Self { config, defaults })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
