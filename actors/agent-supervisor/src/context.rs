//! The context window: which part of a long conversation the model gets to see. Pure.
//!
//! The newest messages stay. The cut is between turns, so that the part that stays begins with what the person said, and never between
//! a call and its result. Only when the newest turn alone is too long, its middle goes: the question and its newest exchanges stay.

use contract::chat::{Content, Message, Part, Role, ToolSpec};
use contract::provider::{ModelList, Target};
use std::ops::Range;

/// What a picture costs, roughly, whatever its size in bytes.
const IMAGE_TOKENS: usize = 1500;
/// What the frame of a message costs.
const MESSAGE_TOKENS: usize = 4;

/// How much may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Messages.
    pub(crate) messages: usize,
    /// Tokens, by estimate; `None`: any number.
    pub(crate) tokens: Option<usize>,
}

/// The tokens of a text, by estimate: 3.5 bytes each.
pub(crate) fn text_tokens(bytes: usize) -> usize {
    bytes.saturating_mul(2).div_ceil(7)
}

/// The tokens of a tool's description, by estimate.
pub(crate) fn tool_tokens(tool: &ToolSpec) -> usize {
    let schema = tool.parameters.as_ref().map_or(0, |schema| schema.get().len());
    MESSAGE_TOKENS + text_tokens(tool.name.len() + tool.description.as_ref().map_or(0, String::len) + schema)
}

/// The tokens of a message, by estimate.
pub(crate) fn message_tokens(message: &Message) -> usize {
    let said = match &message.content {
        None => 0,
        Some(Content::Text(text)) => text_tokens(text.len()),
        Some(Content::Parts(parts)) => parts.iter().map(part_tokens).sum(),
    };
    let calls = message.tool_calls.iter().map(|call| call.function.name.len() + call.function.arguments.len() + 16);
    MESSAGE_TOKENS + said + text_tokens(calls.sum())
}

fn part_tokens(part: &Part) -> usize {
    match part {
        Part::Text(text) | Part::Refusal(text) => text_tokens(text.len()),
        Part::Image { .. } => IMAGE_TOKENS,
        Part::Other { json, .. } => text_tokens(json.get().len()),
    }
}

/// What the target's model is known to take. Of a route the first model whose limit is known counts: it answers unless it fails.
pub fn known_tokens(list: &ModelList, target: &Target) -> Option<u64> {
    let of = |id: &str| {
        let (provider, model) = id.split_once('/')?;
        let found = list.models.iter().find(|entry| &*entry.provider == provider && &*entry.model == model)?;
        found.context_tokens
    };
    match target {
        Target::Model { provider, model } => of(&format!("{provider}/{model}")),
        Target::Route(name) => {
            let route = list.routes.iter().find(|route| route.name == *name)?;
            route.entries.iter().find_map(|entry| of(entry))
        }
    }
}

/// Cuts a conversation (without its system messages) down to `window`.
pub(crate) fn cut(history: Vec<Message>, window: Window) -> Vec<Message> {
    let sizes: Vec<usize> = match window.tokens {
        Some(_) => history.iter().map(message_tokens).collect(),
        None => vec![0; history.len()],
    };
    let most_tokens = window.tokens.unwrap_or(usize::MAX);
    let fits =
        |range: Range<usize>| range.len() <= window.messages && sizes[range].iter().sum::<usize>() <= most_tokens;
    if fits(0..history.len()) {
        return history;
    }
    let begins_turn = |at: &usize| history[*at].role == Role::User && (*at == 0 || history[*at - 1].role != Role::User);
    let turns: Vec<usize> = (0..history.len()).filter(begins_turn).collect();
    if let Some(start) = turns.iter().copied().find(|start| fits(*start..history.len())) {
        return history.into_iter().skip(start).collect();
    }
    let newest = turns.last().copied().unwrap_or(0);
    let asked = (newest..history.len()).take_while(|at| history[*at].role == Role::User).count();
    let question = newest..newest + asked;
    let keep_from = newest_exchanges(&history, &question, |range| {
        range.len() + question.len() <= window.messages
            && sizes[question.clone()].iter().chain(&sizes[range]).sum::<usize>() <= most_tokens
    });
    let stays = |at: usize| question.contains(&at) || at >= keep_from;
    history.into_iter().enumerate().filter(|(at, _)| stays(*at)).map(|(_, message)| message).collect()
}

/// Where the newest exchanges begin that fit beside the question. An exchange is an assistant's message with the results of its calls. The
/// newest always stays.
fn newest_exchanges(history: &[Message], question: &Range<usize>, fits: impl Fn(Range<usize>) -> bool) -> usize {
    let is_result = |at: usize| matches!(history[at].role, Role::Tool | Role::Function);
    let mut starts = (question.end..history.len()).filter(|at| !is_result(*at) || *at == question.end);
    let last = starts.clone().next_back().unwrap_or(history.len());
    starts.find(|start| fits(*start..history.len())).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::chat::ToolCall;
    use contract::provider::{ModelEntry, RouteEntry};
    use proptest::prelude::*;

    /// `u` a person, `a` an answer, `c` a call, `r` its result; numbered in order.
    fn history(kinds: &str) -> Vec<Message> {
        let message = |(at, kind): (usize, char)| match kind {
            'u' => Message::text(Role::User, format!("u{at}")),
            'a' => Message::text(Role::Assistant, format!("a{at}")),
            'c' => Message {
                tool_calls: vec![ToolCall::new(format!("id{at}"), "f", "{}")],
                ..Message::text(Role::Assistant, format!("c{at}"))
            },
            _ => Message::tool_result("id", "f", format!("r{at}")),
        };
        kinds.chars().enumerate().map(message).collect()
    }

    fn kept(kinds: &str, messages: usize, tokens: Option<usize>) -> String {
        let kept = cut(history(kinds), Window { messages, tokens });
        kept.iter().map(Message::plain_text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn cuts_at_turns() {
        for (kinds, messages, expected) in [
            ("uau", 3, "u0 a1 u2"),
            ("uauau", 4, "u2 a3 u4"),
            ("uauau", 3, "u2 a3 u4"),
            ("uauau", 2, "u4"),
            ("ucracrau", 8, "u0 c1 r2 a3 c4 r5 a6 u7"),
            ("uaucrau", 6, "u2 c3 r4 a5 u6"),
            ("uaucrau", 4, "u6"),
            ("aau", 2, "u2"),
            ("uuau", 3, "u3"),
            ("uuau", 4, "u0 u1 a2 u3"),
            // The newest turn alone is too long: the question and the newest exchanges stay.
            ("uaucrcrcr", 5, "u2 c5 r6 c7 r8"),
            ("uaucrcrcr", 3, "u2 c7 r8"),
            ("uaucrcrcr", 1, "u2 c7 r8"),
            ("uaucrrrr", 2, "u2 c3 r4 r5 r6 r7"),
            ("crcr", 2, "c2 r3"),
            ("u", 1, "u0"),
            ("", 1, ""),
        ] {
            assert_eq!(kept(kinds, messages, None), expected, "{kinds} to {messages}");
        }
    }

    #[test]
    fn cuts_by_tokens() {
        // Each of these messages is estimated at 5 tokens; a call has 6 more.
        assert_eq!(kept("uauau", 100, Some(25)), "u0 a1 u2 a3 u4");
        assert_eq!(kept("uauau", 100, Some(24)), "u2 a3 u4");
        assert_eq!(kept("uauau", 100, Some(14)), "u4");
        assert_eq!(kept("uauau", 100, Some(1)), "u4");
    }

    #[test]
    fn estimates_grow_with_the_text() {
        assert_eq!((text_tokens(0), text_tokens(7), text_tokens(350)), (0, 2, 100));
        let picture = Message {
            content: Some(Content::Parts(vec![Part::Image { url: "x".repeat(1 << 20), detail: None }])),
            ..Message::text(Role::User, "")
        };
        assert!(message_tokens(&picture) < 2000);
    }

    #[test]
    fn knows_what_models_take() {
        let entry = |provider: &str, model: &str, context_tokens| ModelEntry {
            provider: provider.into(),
            model: model.into(),
            created: None,
            context_tokens,
            tools: None,
            abilities: contract::provider::Abilities::default(),
        };
        let list = ModelList {
            routes: vec![RouteEntry {
                name: "default".into(),
                entries: vec!["openai/x".into(), "ollama/library/y:7b".into(), "builtin/offline".into()],
            }],
            models: vec![entry("openai", "x", None), entry("ollama", "library/y:7b", Some(8192))],
        };
        let model = |provider: &str, model: &str| Target::Model { provider: provider.into(), model: model.into() };
        assert_eq!(known_tokens(&list, &Target::Route("default".into())), Some(8192));
        assert_eq!(known_tokens(&list, &Target::Route("none".into())), None);
        assert_eq!(known_tokens(&list, &model("ollama", "library/y:7b")), Some(8192));
        assert_eq!(known_tokens(&list, &model("openai", "x")), None);
    }

    proptest! {
        /// Whatever the conversation, no result stays without its call, the newest message stays, and order holds.
        #[test]
        fn never_parts_a_call_from_its_result(kinds in "(ua|ucra|ucrrcra){0,12}u(cr|crr){0,6}", messages in 1usize..20, tokens in proptest::option::of(1usize..300)) {
            let whole = history(&kinds);
            let kept = cut(whole.clone(), Window { messages, tokens });
            prop_assert_eq!(kept.last(), whole.last());
            let places: Vec<usize> = kept.iter().filter_map(|one| whole.iter().position(|other| other == one)).collect();
            prop_assert!(places.is_sorted());
            for (at, message) in kept.iter().enumerate() {
                if message.role == Role::Tool {
                    let before = kept[..at].iter().rev().find(|one| one.role != Role::Tool);
                    prop_assert!(before.is_some_and(|one| !one.tool_calls.is_empty()));
                    let place = places[at];
                    prop_assert_eq!(places[at - 1], place - 1);
                }
            }
            prop_assert_eq!(kept.first().map(|message| message.role), Some(Role::User));
        }
    }
}
