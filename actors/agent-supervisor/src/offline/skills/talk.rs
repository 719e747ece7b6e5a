//! Help, greetings, thanks: answered without looking at anything.

use super::{Planned, Skill, examples};
use crate::offline::question::Question;
use contract::tools::ToolResult;

pub(super) const SKILLS: &[Skill] = &[
    Skill {
        name: "help",
        example: Some("/help"),
        title: "HAIA Help",
        tag: "Help",
        patterns: &[
            "/help",
            "help|commands|capabilities|usage|examples",
            "what can|could|should you|i do|ask|answer|say|tell",
            "what do you know",
            "how does|do|can this|it|i|you work|use",
            "how use this|it|haia|you",
            "who|what are you",
            "who|what is haia",
            "list|show commands|examples",
        ],
        slack: 0,
        plan: nothing,
        render: help,
    },
    Skill {
        name: "greeting",
        example: None,
        title: "Greeting",
        tag: "General",
        patterns: &["hello|hi|hey|hiya|hallo|moin|servus|bonjour|salut|hola", "good morning|afternoon|evening|day"],
        slack: 0,
        plan: nothing,
        render: greet,
    },
    Skill {
        name: "thanks",
        example: None,
        title: "Thanks",
        tag: "General",
        patterns: &["thanks|thank|thx|cheers|danke|merci", "well done", "good job|work|bot"],
        slack: 0,
        plan: nothing,
        render: welcome,
    },
];

fn nothing(_: &Question) -> Vec<Planned> {
    Vec::new()
}

fn help(_: &Question, _: &[ToolResult]) -> Result<String, String> {
    Ok(format!(
        "HAIA looks after a homelab. Without a language model I recognise these questions, in many wordings:\n\n{}\n\
         For anything else connect a model: set `HAIA_MODEL`, or add a provider to `haia.toml`.\n",
        examples()
    ))
}

fn greet(_: &Question, _: &[ToolResult]) -> Result<String, String> {
    Ok(format!("Hello. You can ask me:\n\n{}", examples()))
}

fn welcome(_: &Question, _: &[ToolResult]) -> Result<String, String> {
    Ok("You are welcome.\n".to_owned())
}
