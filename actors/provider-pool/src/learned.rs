//! What a model turned out not to take, or to want, by how it refused a request: heeded in the second try, and remembered for the process.
//!
//! Pure bookkeeping: the formats' reader of errors says what a refusal means, and their encoders write what follows from it.

use crate::formats::ModelSettings;
use contract::failure::Failure;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// One thing that a refusal tells of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// It takes no tools.
    NoTools,
    /// It cannot be told how hard to think.
    NoThinking,
    /// It does not know the word that told it how hard to think.
    OtherEffort,
    /// It takes no `stream_options`.
    NoStreamOptions,
    /// It wants back what it thought.
    ReasoningBack,
    /// It takes ids of tool calls of nine letters and digits only.
    ShortCallIds,
    /// It takes no `temperature`.
    NoTemperature,
    /// It takes no `top_p`.
    NoTopP,
    /// It takes one of the two.
    OneOfSampling,
    /// It knows the limit of its answer by the newer name only.
    CompletionTokens,
    /// It refuses a proof of thinking that was kept for this conversation.
    ProofRefused,
}

/// What was learned of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned(u16);

/// What was learned of a model, as its calls share it.
#[derive(Debug, Default)]
pub struct Memory(AtomicU16);

impl Lesson {
    /// What this failure tells, if it tells anything of the kind.
    pub fn of(failure: &Failure) -> Option<Self> {
        Some(match failure.code.as_deref()? {
            "tools_unsupported" => Self::NoTools,
            "thinking_unsupported" => Self::NoThinking,
            "effort_unsupported" => Self::OtherEffort,
            "stream_options_unsupported" => Self::NoStreamOptions,
            "reasoning_content_missing" => Self::ReasoningBack,
            "tool_call_id_refused" => Self::ShortCallIds,
            "temperature_unsupported" => Self::NoTemperature,
            "top_p_unsupported" => Self::NoTopP,
            "temperature_with_top_p_unsupported" => Self::OneOfSampling,
            "max_tokens_unsupported" => Self::CompletionTokens,
            "proof_refused" => Self::ProofRefused,
            _ => return None,
        })
    }

    /// Whether it holds for every request: the next one may use another word for how hard to think, and bring back other proofs.
    fn lasts(self) -> bool {
        !matches!(self, Self::OtherEffort | Self::ProofRefused)
    }

    fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl Learned {
    /// Whether this is known.
    pub fn has(self, lesson: Lesson) -> bool {
        self.0 & lesson.bit() != 0
    }

    /// With this known too.
    pub fn and(self, lesson: Lesson) -> Self {
        Self(self.0 | lesson.bit())
    }

    /// Whether nothing is known.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The settings with which the model is asked.
    pub fn applied(self, settings: &ModelSettings) -> ModelSettings {
        ModelSettings {
            tools: if self.has(Lesson::NoTools) { Some(false) } else { settings.tools },
            thinking: if self.has(Lesson::NoThinking) { Some(false) } else { settings.thinking },
            other_effort: self.has(Lesson::OtherEffort),
            no_stream_options: self.has(Lesson::NoStreamOptions),
            reasoning_back: self.has(Lesson::ReasoningBack),
            short_call_ids: self.has(Lesson::ShortCallIds),
            no_temperature: self.has(Lesson::NoTemperature),
            no_top_p: self.has(Lesson::NoTopP),
            one_of_sampling: self.has(Lesson::OneOfSampling),
            completion_tokens: self.has(Lesson::CompletionTokens),
            ..settings.clone()
        }
    }
}

impl From<Learned> for Memory {
    fn from(learned: Learned) -> Self {
        Self(AtomicU16::new(learned.0))
    }
}

impl Memory {
    /// What is known by now.
    pub fn learned(&self) -> Learned {
        Learned(self.0.load(Relaxed))
    }

    /// Remembers a lesson that holds for every request.
    pub fn learn(&self, lesson: Lesson) {
        if lesson.lasts() {
            self.0.fetch_or(lesson.bit(), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::failure::FailureClass;

    #[test]
    fn a_refusal_teaches_and_a_word_alone_is_forgotten() {
        let lesson = |code: &'static str| Lesson::of(&Failure::new(FailureClass::InvalidRequest, "x").with_code(code));
        assert_eq!(lesson("thinking_unsupported"), Some(Lesson::NoThinking));
        assert_eq!(lesson("unsupported_value"), None);
        assert_eq!(Lesson::of(&Failure::new(FailureClass::InvalidRequest, "x")), None);
        let memory = Memory::default();
        memory.learn(Lesson::OtherEffort);
        memory.learn(Lesson::ProofRefused);
        assert!(memory.learned().is_empty());
        memory.learn(Lesson::NoThinking);
        memory.learn(Lesson::NoStreamOptions);
        let learned = memory.learned();
        assert!(learned.has(Lesson::NoThinking) && learned.has(Lesson::NoStreamOptions));
        assert!(!learned.has(Lesson::NoTools) && learned.and(Lesson::NoTools).has(Lesson::NoTools));
        let settings = ModelSettings { tools: Some(true), max_tokens: Some(5), ..ModelSettings::default() };
        let expected = ModelSettings { thinking: Some(false), no_stream_options: true, ..settings.clone() };
        assert_eq!(learned.applied(&settings), expected);
    }
}
