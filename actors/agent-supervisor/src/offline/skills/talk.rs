//! Help, greetings, thanks: answered without looking at anything.

use super::{LIMITS, Skill, examples};
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
        render: help,
        ..Skill::PLAIN
    },
    Skill {
        name: "greeting",
        title: "Greeting",
        patterns: &["hello|hi|hey|hiya|hallo|moin|servus|bonjour|salut|hola", "good morning|afternoon|evening|day"],
        render: greet,
        ..Skill::PLAIN
    },
    Skill {
        name: "thanks",
        title: "Thanks",
        patterns: &["thanks|thank|thx|cheers|danke|merci", "well done", "good job|work|bot"],
        render: welcome,
        ..Skill::PLAIN
    },
];

fn help(question: &Question, _: &[ToolResult]) -> Result<String, String> {
    Ok(format!(
        "HAIA looks after a homelab. Without a language model I recognise these questions, in many wordings:\n\n{}\n{}{LIMITS}\n\
         For anything else connect a model: set `HAIA_MODEL`, or add a provider to `haia.toml`.\n",
        examples(question.has_cluster()),
        if question.has_cluster() {
            ""
        } else {
            "With a Proxmox cluster configured I also answer about its nodes, guests, storages and backups.\n"
        },
    ))
}

fn greet(question: &Question, _: &[ToolResult]) -> Result<String, String> {
    Ok(format!("Hello. You can ask me:\n\n{}", examples(question.has_cluster())))
}

fn welcome(_: &Question, _: &[ToolResult]) -> Result<String, String> {
    Ok("You are welcome.\n".to_owned())
}
