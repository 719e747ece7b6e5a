//! "Which models are there?": providers and their models.

use super::{Planned, Skill, read};
use crate::offline::markdown::{inline, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde::Deserialize;
use std::fmt::Write as _;

/// The most models listed per provider.
const MODELS: usize = 20;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "models",
    example: Some("which models are there?"),
    title: "Available Models",
    tag: "Language Models",
    patterns: &[
        "/models",
        "models|providers|llms",
        "which|what models|providers|llm|llms|ai",
        "which|what models|providers|llm can|could use|ask",
        "list|show|available|configured|known models|providers|llms",
        "models|providers are|is available|configured|known|ready|up|down|reachable|ok|okay|working",
        "is|are|can anthropic|ollama|openai|gemini|openrouter|claude|gpt up|ok|okay|down|reachable|ready|working|available|online",
        "provider|providers|model status|state|health|errors",
        "why no model|models|llm available|reachable|working|ready",
        "why no model|models|llm",
    ],
    plan,
    render,
    ..Skill::PLAIN
}];

/// What `get_haia_status` answers, as far as it is shown.
#[derive(Deserialize)]
struct Status {
    providers: Vec<Provider>,
}

#[derive(Deserialize)]
struct Provider {
    name: String,
    kind: String,
    state: String,
    models_known: usize,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    last_error: Option<String>,
}

fn plan(_: &Question) -> Vec<Planned> {
    vec![Planned { tool: "get_haia_status", arguments: "{\"detail\":true}".to_owned() }]
}

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let status: Status = read(results, 0)?;
    if status.providers.is_empty() {
        return Ok("No provider of language models is configured; `builtin/offline` answers alone.\n\n\
                   To add one, set for example `HAIA_MODEL=ollama:qwen2.5-coder:7b`, or a `[providers.…]` section in `haia.toml`.\n"
            .to_owned());
    }
    let rows = status.providers.iter().map(|provider| {
        let error = provider.last_error.as_deref().map_or_else(|| "none".to_owned(), inline);
        let models = provider.models_known.to_string();
        [inline(&provider.name), inline(&provider.kind), inline(&provider.state), models, error]
    });
    let mut text = table(["provider", "kind", "state", "models", "last error"], rows);
    for provider in status.providers.iter().filter(|provider| !provider.models.is_empty()) {
        let _ = write!(text, "\n**{}**\n\n", inline(&provider.name));
        for model in provider.models.iter().take(MODELS) {
            let _ = writeln!(text, "- {}/{}", inline(&provider.name), inline(model));
        }
        let more = provider.models_known.saturating_sub(provider.models.len().min(MODELS));
        if more > 0 {
            let _ = writeln!(text, "- and {more} more (`GET /v1/models` lists them all)");
        }
    }
    text.push_str("\nBesides these there is `builtin/offline`, which needs no network.\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_tool_answers() {
        let sample = include_str!("../../../../toolbox/tests/samples/get_haia_status_detail.json");
        let text = render(&Question::new("models"), &[ToolResult::ok(sample)]).expect("reads");
        assert!(text.starts_with("| provider | kind | state | models | last error |\n"), "{text}");
        assert!(text.contains("| anthropic | ollama | failing | 2 | unreachable: connection refused |\n"), "{text}");
        assert!(text.contains("\n**ollama**\n\n- ollama/llama3.2:3b\n- ollama/qwen2.5-coder:7b\n"), "{text}");
        assert!(!text.contains("more ("), "{text}");
    }

    #[test]
    fn long_lists_are_cut_and_none_is_said() {
        let models: Vec<String> = (0..40).map(|at| format!("\"m{at}\"")).collect();
        let many = format!(
            r#"{{"providers":[{{"name":"p","kind":"openai","state":"ready","models_known":500,"models":[{}]}}]}}"#,
            models.join(",")
        );
        let text = render(&Question::new("models"), &[ToolResult::ok(many)]).expect("reads");
        assert!(text.contains("- and 480 more"), "{text}");
        let text = render(&Question::new("models"), &[ToolResult::ok(r#"{"providers":[]}"#)]).expect("reads");
        assert!(text.starts_with("No provider"), "{text}");
    }
}
