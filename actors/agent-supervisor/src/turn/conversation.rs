//! What the model is sent, round after round: system texts, the part of the history that fits, HAIA's own rounds, tools.

use super::mixed::restore;
use crate::context::{Window, cut, message_tokens, text_tokens, tool_tokens};
use contract::chat::{ChatRequest, KeptRound, Message, Role, ToolChoice, Tools, TurnLimits};
use std::rc::Rc;

/// What is left free for the answer when the caller sets no limit, in tokens.
const ANSWER_TOKENS: usize = 4096;

/// The request of the next round.
pub(super) struct Conversation {
    request: Rc<ChatRequest>,
    /// How many messages at the beginning are system texts.
    systems: usize,
    window: Window,
}

impl Conversation {
    /// The caller's request as it is.
    pub(super) fn plain(request: Rc<ChatRequest>) -> Self {
        Self { request, systems: 0, window: Window { messages: usize::MAX, tokens: None } }
    }

    /// HAIA's own system prompt first, then the caller's system texts in their order, then the history with HAIA's own earlier part of it.
    pub(super) fn open(
        request: Rc<ChatRequest>,
        system_prompt: &str,
        kept: Vec<KeptRound>,
        tools: Tools,
        limits: &TurnLimits,
        known_tokens: Option<u64>,
    ) -> Self {
        let mut request = Rc::unwrap_or_clone(request);
        let said = std::mem::take(&mut request.messages);
        let (callers_systems, history): (Vec<Message>, Vec<Message>) =
            said.into_iter().partition(|message| matches!(message.role, Role::System | Role::Developer));
        let mut messages = vec![Message::text(Role::System, system_prompt)];
        messages.extend(callers_systems);
        let systems = messages.len();
        messages.extend(restore(history, kept));
        request.messages = messages;
        request.tools = tools;
        if request.tools.is_empty() {
            request.tool_choice = None;
            request.parallel_tool_calls = None;
        }
        let tokens = history_tokens(&request, systems, limits, known_tokens);
        let window = Window { messages: limits.context_messages, tokens };
        let mut conversation = Self { request: Rc::new(request), systems, window };
        conversation.cut();
        // From now on the history only grows by HAIA's own rounds, which must not push out what was asked.
        conversation.window.messages = usize::MAX;
        conversation
    }

    /// The request of the next round.
    pub(super) fn request(&self) -> Rc<ChatRequest> {
        Rc::clone(&self.request)
    }

    /// Adds a round of HAIA's own tools. What the caller asked of tools was for the first round.
    pub(super) fn add_round(&mut self, assistant: Message, results: Vec<Message>) {
        let request = Rc::make_mut(&mut self.request);
        request.messages.push(assistant);
        request.messages.extend(results);
        request.tool_choice = None;
        if self.window.tokens.is_some() {
            self.cut();
        }
    }

    /// No more tools: they stay listed, because the history holds calls of them, but none may be called.
    pub(super) fn must_answer(&mut self) {
        Rc::make_mut(&mut self.request).tool_choice = Some(ToolChoice::None);
    }

    fn cut(&mut self) {
        let (systems, window) = (self.systems, self.window);
        let request = Rc::make_mut(&mut self.request);
        let history = request.messages.split_off(systems);
        request.messages.extend(cut(history, window));
    }
}

/// The tokens that the history may have.
fn history_tokens(
    request: &ChatRequest,
    systems: usize,
    limits: &TurnLimits,
    known_tokens: Option<u64>,
) -> Option<usize> {
    let tools: usize = request.tools.iter().map(tool_tokens).sum();
    if limits.context_tokens > 0 {
        return Some(limits.context_tokens.saturating_sub(tools));
    }
    let known = usize::try_from(known_tokens?).unwrap_or(usize::MAX);
    let asked = request.max_tokens.map_or(ANSWER_TOKENS, |tokens| usize::try_from(tokens).unwrap_or(usize::MAX));
    let answer = asked.min(known / 2);
    let system: usize = request.messages[..systems].iter().map(message_tokens).sum();
    Some(known.saturating_sub(tools + answer + system + text_tokens(64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::chat::{ToolSpec, TurnLimits};
    use std::time::Duration;

    const LIMITS: TurnLimits = TurnLimits {
        max_tool_rounds: 8,
        tool_timeout: Duration::from_secs(30),
        context_messages: 3,
        context_tokens: 0,
        tool_result_bytes: 1024,
        turn_timeout: Duration::from_secs(600),
    };

    fn request() -> Rc<ChatRequest> {
        let mut request = ChatRequest { model: "haia".into(), ..ChatRequest::default() };
        request.messages = vec![
            Message::text(Role::System, "s1"),
            Message::text(Role::User, "u1"),
            Message::text(Role::Assistant, "a1"),
            Message::text(Role::Developer, "d1"),
            Message::text(Role::User, "u2"),
            Message::text(Role::Assistant, "a2"),
            Message::text(Role::User, "u3"),
        ];
        request.tool_choice = Some(ToolChoice::Required);
        Rc::new(request)
    }

    fn tools() -> Tools {
        Tools::from_iter([ToolSpec { name: "f".into(), description: None, parameters: None, strict: None }])
    }

    fn texts(conversation: &Conversation) -> Vec<String> {
        conversation.request().messages.iter().map(Message::plain_text).collect()
    }

    #[test]
    fn system_texts_come_first_and_are_not_counted() {
        let open = Conversation::open(request(), "own", vec![], tools(), &LIMITS, None);
        assert_eq!(texts(&open), ["own", "s1", "d1", "u2", "a2", "u3"]);
    }

    #[test]
    fn the_callers_choice_of_tools_is_for_the_first_round() {
        let mut open = Conversation::open(request(), "own", vec![], tools(), &LIMITS, None);
        assert_eq!(open.request().tool_choice, Some(ToolChoice::Required));
        open.add_round(Message::text(Role::Assistant, "c"), vec![Message::tool_result("id", "f", "r")]);
        assert_eq!(open.request().tool_choice, None);
        // HAIA's own rounds do not push out the history.
        assert_eq!(texts(&open), ["own", "s1", "d1", "u2", "a2", "u3", "c", "r"]);
        open.must_answer();
        assert_eq!((open.request().tool_choice.clone(), open.request().tools.len()), (Some(ToolChoice::None), 1));
        let without = Conversation::open(request(), "own", vec![], Tools::default(), &LIMITS, None);
        assert_eq!(without.request().tool_choice, None);
    }

    #[test]
    fn a_budget_of_tokens_cuts_what_own_rounds_push_out() {
        let limits = TurnLimits { context_messages: 100, context_tokens: 1000, ..LIMITS };
        let mut open = Conversation::open(request(), "own", vec![], tools(), &limits, None);
        assert_eq!(texts(&open).len(), 8);
        open.add_round(Message::text(Role::Assistant, "c"), vec![Message::tool_result("id", "f", "r".repeat(3450))]);
        assert_eq!(texts(&open).len(), 5 + 1);
        assert_eq!(texts(&open)[3], "u3");
    }

    #[test]
    fn what_the_model_takes_is_shared_between_history_and_answer() {
        let request = request();
        let tokens = |limits: &TurnLimits, known| history_tokens(&request, 1, limits, known);
        assert_eq!(tokens(&LIMITS, None), None);
        assert_eq!(tokens(&LIMITS, Some(8192)), Some(8192 - 4096 - 5 - 19));
        assert_eq!(tokens(&LIMITS, Some(1000)), Some(1000 - 500 - 5 - 19));
        let configured = TurnLimits { context_tokens: 2000, ..LIMITS };
        assert_eq!(tokens(&configured, Some(1000)), Some(2000));
    }
}
