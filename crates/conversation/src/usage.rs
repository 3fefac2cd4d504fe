//! Token counts and finish reasons in one vocabulary.

use crate::adapt::{AdaptError, Fields};

/// Tokens of an exchange. `None` is "not told", which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens given to the model, *including* those read from and written to a cache (OpenTelemetry's rule).
    pub input_tokens: Option<i32>,
    /// Tokens of the answer, including reasoning.
    pub output_tokens: Option<i32>,
    /// Of the input: read from the provider's cache.
    pub cache_read_input_tokens: Option<i32>,
    /// Of the input: written to the provider's cache.
    pub cache_creation_input_tokens: Option<i32>,
    /// Of the output: spent on reasoning.
    pub reasoning_output_tokens: Option<i32>,
}

impl Usage {
    /// The counts under the names of the canonical event, those that are told.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, i32)> {
        [
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("cache_read_input_tokens", self.cache_read_input_tokens),
            (
                "cache_creation_input_tokens",
                self.cache_creation_input_tokens,
            ),
            ("reasoning_output_tokens", self.reasoning_output_tokens),
        ]
        .into_iter()
        .filter_map(|(name, count)| count.map(|count| (name, count)))
    }

    /// Reads the canonical names, or else a provider's own object where its names tell which it is.
    ///
    /// `OpenAI`'s `prompt_tokens` includes cached tokens already; Bedrock Converse's `inputTokens` does not, so the
    /// cached ones are added. Anthropic's object has the canonical names with another meaning, which no look at it can
    /// tell: its producer adds the three numbers up.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, AdaptError> {
        if fields.has(OPENAI_CHAT) {
            Self::read_openai_chat(fields)
        } else if fields.has(CONVERSE) {
            Self::read_converse(fields)
        } else {
            Ok(Self {
                input_tokens: fields.count("input_tokens")?,
                output_tokens: fields.count("output_tokens")?,
                cache_read_input_tokens: fields.count("cache_read_input_tokens")?,
                cache_creation_input_tokens: fields.count("cache_creation_input_tokens")?,
                reasoning_output_tokens: fields.count("reasoning_output_tokens")?,
            })
        }
    }

    /// Whether these are a provider's names, and not those of the canonical event.
    pub(crate) fn is_a_providers(fields: &Fields<'_>) -> bool {
        fields.has(OPENAI_CHAT) || fields.has(CONVERSE)
    }

    /// `usage` of `OpenAI`'s Chat Completions.
    pub(crate) fn read_openai_chat(fields: &mut Fields<'_>) -> Result<Self, AdaptError> {
        let cache_read_input_tokens = detail(fields, "prompt_tokens_details", "cached_tokens")?;
        let reasoning_output_tokens =
            detail(fields, "completion_tokens_details", "reasoning_tokens")?;
        Ok(Self {
            input_tokens: fields.count(OPENAI_CHAT)?,
            output_tokens: fields.count("completion_tokens")?,
            cache_read_input_tokens,
            cache_creation_input_tokens: None,
            reasoning_output_tokens,
        })
    }

    /// `usage` of `OpenAI`'s Responses.
    pub(crate) fn read_openai_responses(fields: &mut Fields<'_>) -> Result<Self, AdaptError> {
        Ok(Self {
            cache_read_input_tokens: detail(fields, "input_tokens_details", "cached_tokens")?,
            reasoning_output_tokens: detail(fields, "output_tokens_details", "reasoning_tokens")?,
            input_tokens: fields.count("input_tokens")?,
            output_tokens: fields.count("output_tokens")?,
            cache_creation_input_tokens: None,
        })
    }

    /// `usage` of Anthropic's Messages, whose `input_tokens` are those beside the cache.
    pub(crate) fn read_anthropic(fields: &mut Fields<'_>) -> Result<Self, AdaptError> {
        let told = Self {
            input_tokens: fields.count("input_tokens")?,
            output_tokens: fields.count("output_tokens")?,
            cache_read_input_tokens: fields.count("cache_read_input_tokens")?,
            cache_creation_input_tokens: fields.count("cache_creation_input_tokens")?,
            reasoning_output_tokens: None,
        };
        Ok(told.with_cached_input())
    }

    /// `usage` of Bedrock's Converse, whose `inputTokens` are those beside the cache.
    pub(crate) fn read_converse(fields: &mut Fields<'_>) -> Result<Self, AdaptError> {
        let told = Self {
            input_tokens: fields.count(CONVERSE)?,
            output_tokens: fields.count("outputTokens")?,
            cache_read_input_tokens: fields.count("cacheReadInputTokens")?,
            cache_creation_input_tokens: fields.count("cacheWriteInputTokens")?,
            reasoning_output_tokens: None,
        };
        Ok(told.with_cached_input())
    }

    /// With an input that includes what was read from and written to a cache.
    #[must_use]
    pub(crate) fn with_cached_input(self) -> Self {
        let cached = [
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
        ];
        let sum = |uncached| {
            cached
                .into_iter()
                .flatten()
                .fold(uncached, i32::saturating_add)
        };
        Self {
            input_tokens: self.input_tokens.map(sum),
            ..self
        }
    }
}

/// A count that stands in an object of details.
fn detail(fields: &mut Fields<'_>, object: &str, name: &str) -> Result<Option<i32>, AdaptError> {
    match fields.fields(object)? {
        Some(mut details) => details.count(name),
        None => Ok(None),
    }
}

/// The name by which the `usage` of `OpenAI`'s Chat Completions is known.
const OPENAI_CHAT: &str = "prompt_tokens";
/// The name by which the `usage` of Bedrock's Converse is known.
const CONVERSE: &str = "inputTokens";

/// The canonical word for a provider's finish reason, or the provider's own where there is none.
///
/// Canonical are `stop`, `length`, `content_filter`, `tool_call`, `compaction` and `error`.
pub(crate) fn finish_reason(given: &str) -> &str {
    match given {
        "end_turn" | "stop_sequence" => "stop",
        "max_tokens" | "max_output_tokens" | "model_context_window_exceeded" => "length",
        "refusal" | "guardrail_intervened" | "content_filtered" => "content_filter",
        "tool_calls" | "function_call" | "tool_use" => "tool_call",
        malformed if malformed.starts_with("malformed_") => "error",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Raw;

    #[track_caller]
    fn check(json: &str, expected: [Option<i32>; 5]) {
        let raw = Raw::read(json).expect("JSON");
        let usage =
            Usage::read(&mut Fields::read("usage", raw).expect("an object")).expect("usage");
        let [
            input_tokens,
            output_tokens,
            cache_read_input_tokens,
            cache_creation_input_tokens,
            reasoning_output_tokens,
        ] = expected;
        let expected = Usage {
            input_tokens,
            output_tokens,
            cache_read_input_tokens,
            cache_creation_input_tokens,
            reasoning_output_tokens,
        };
        assert_eq!(usage, expected, "{json}");
    }

    #[test]
    fn input_always_includes_cached_tokens() {
        check(
            r#"{"input_tokens":120,"output_tokens":15,"cache_read_input_tokens":80,"cache_creation_input_tokens":0,"reasoning_output_tokens":null}"#,
            [Some(120), Some(15), Some(80), Some(0), None],
        );
        check(
            r#"{"prompt_tokens":120,"completion_tokens":15,"total_tokens":135,"prompt_tokens_details":{"cached_tokens":80},"completion_tokens_details":{"reasoning_tokens":7}}"#,
            [Some(120), Some(15), Some(80), None, Some(7)],
        );
        check(
            r#"{"prompt_tokens":3,"completion_tokens":1}"#,
            [Some(3), Some(1), None, None, None],
        );
        check(
            r#"{"inputTokens":30,"outputTokens":15,"totalTokens":135,"cacheReadInputTokens":80,"cacheWriteInputTokens":10}"#,
            [Some(120), Some(15), Some(80), Some(10), None],
        );
        check("{}", [None; 5]);
    }

    #[test]
    fn each_provider_has_its_own_rule() {
        let read = |json, by: fn(&mut Fields<'_>) -> Result<Usage, AdaptError>| {
            let raw = Raw::read(json).expect("JSON");
            by(&mut Fields::read("usage", raw).expect("an object")).expect("usage")
        };
        let anthropic = r#"{"input_tokens":30,"output_tokens":15,"cache_read_input_tokens":80,"cache_creation_input_tokens":10}"#;
        assert_eq!(
            read(anthropic, Usage::read_anthropic).input_tokens,
            Some(120)
        );
        assert_eq!(read("{}", Usage::read_anthropic), Usage::default());
        let responses = r#"{"input_tokens":120,"input_tokens_details":{"cached_tokens":80},"output_tokens":15,"output_tokens_details":{"reasoning_tokens":7}}"#;
        let expected = Usage {
            input_tokens: Some(120),
            output_tokens: Some(15),
            cache_read_input_tokens: Some(80),
            cache_creation_input_tokens: None,
            reasoning_output_tokens: Some(7),
        };
        assert_eq!(read(responses, Usage::read_openai_responses), expected);
    }

    #[test]
    fn finish_reasons_of_all_providers_are_one_vocabulary() {
        for (given, expected) in [
            ("stop", "stop"),
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("length", "length"),
            ("max_tokens", "length"),
            ("max_output_tokens", "length"),
            ("model_context_window_exceeded", "length"),
            ("tool_calls", "tool_call"),
            ("function_call", "tool_call"),
            ("tool_use", "tool_call"),
            ("content_filter", "content_filter"),
            ("refusal", "content_filter"),
            ("guardrail_intervened", "content_filter"),
            ("content_filtered", "content_filter"),
            ("malformed_model_output", "error"),
            ("compaction", "compaction"),
            ("pause_turn", "pause_turn"),
        ] {
            assert_eq!(finish_reason(given), expected);
        }
    }
}
