//! The texts that `[agent]` names by file: the system prompt and the homelab's profile. Reads them, and nothing else.

use super::node::Node;
use super::origin::Origin;
use super::problem::Problem;
use agent_supervisor::{Config, Prompts};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// The profile beside the configuration that is read without being named.
pub const PROFILE: &str = "haia_profile.toml";
/// The largest text, in bytes. What the agent itself allows is less: this only keeps a wrong path from filling the memory.
const MAX_TEXT: u64 = 4 << 20;

/// Reads the texts. Relative paths begin at `folder`.
pub fn read(document: &Node, agent: &Config, folder: &Path, problems: &mut Vec<Problem>) -> Prompts {
    let before = problems.len();
    let mut wrong = |key: &str, message: String| {
        let origin = &document.nearest(&["agent", key]).origin;
        problems.push(Problem::at(origin, format!("\"agent.{key}\": {message}")));
    };
    let mut prompts = Prompts { system_prompt: agent.system_prompt.clone(), profile: None };
    if let Some(path) = &agent.system_prompt_file {
        let path = folder.join(path);
        match read_text(&path) {
            Ok(None) => wrong("system_prompt_file", format!("the file {} does not exist", path.display())),
            Ok(text) => prompts.system_prompt = text,
            Err(message) => wrong("system_prompt_file", message),
        }
    }
    let path = folder.join(agent.profile.as_deref().unwrap_or(Path::new(PROFILE)));
    match read_text(&path) {
        Ok(None) if agent.profile.is_some() => wrong("profile", format!("the file {} does not exist", path.display())),
        Ok(text) => prompts.profile = text,
        Err(message) => wrong("profile", message),
    }
    if problems.len() == before
        && let Err(problem) = agent_supervisor::render_prompt(&prompts)
    {
        let origin = match problem.line {
            Some(line) => {
                let name: Arc<str> = Arc::from(path.to_string_lossy());
                Origin::line(&name, u32::try_from(line).unwrap_or(0))
            }
            None => document.nearest(&["agent", problem.key]).origin.clone(),
        };
        problems.push(Problem::at(&origin, format!("\"agent.{}\": {}", problem.key, problem.message)));
    }
    prompts
}

/// The text of a file; nothing if there is none.
pub fn read_text(path: &Path) -> Result<Option<String>, String> {
    let shown = path.display();
    let known = match std::fs::metadata(path) {
        Ok(known) => known,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the file {shown} cannot be read: {error}")),
    };
    if !known.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if known.len() > MAX_TEXT {
        return Err(format!("the file {shown} is larger than 4 MiB: it is no text for a prompt"));
    }
    std::fs::read_to_string(path).map(Some).map_err(|error| format!("the file {shown} cannot be read: {error}"))
}
