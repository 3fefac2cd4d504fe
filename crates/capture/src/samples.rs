//! The sample events of `events/` end as the page beside them says.

use conversation::Layout;
use store::Status;

use crate::batch::Batch;
use crate::batch::tests::{STORED, carry, outcomes};

macro_rules! check {
    ($file:literal, $outcomes:literal, messages: $messages:literal, implementations: $implementations:literal) => {
        let payload = include_str!(concat!("../../../events/", $file));
        let mut batch = Batch::read(payload, "request", Layout::Turn).unwrap();
        carry(&mut batch, |_| STORED(), |_| Ok(Status::Stored));
        assert_eq!(outcomes(&batch), $outcomes, $file);
        let captures = || {
            batch
                .items()
                .iter()
                .flat_map(|item| item.entries())
                .map(|entry| &entry.capture)
        };
        assert_eq!(
            captures()
                .map(|capture| capture.messages.len())
                .sum::<usize>(),
            $messages,
            $file
        );
        assert_eq!(
            captures()
                .map(|capture| capture.implementations.len())
                .sum::<usize>(),
            $implementations,
            $file
        );
    };
}

#[test]
fn direct_events_are_kept() {
    check!("direct-canonical.json", "kept", messages: 2, implementations: 0);
    check!("direct-full-history.json", "kept", messages: 4, implementations: 0);
    check!("direct-canonical-tools.json", "kept", messages: 4, implementations: 1);
    check!("direct-legacy.json", "kept", messages: 2, implementations: 0);
    check!("direct-legacy-implementations.json", "kept", messages: 2, implementations: 2);
    check!("direct-legacy-minimal.json", "kept", messages: 1, implementations: 0);
}

#[test]
fn exchanges_of_other_shapes_are_kept() {
    check!("direct-openai-chat.json", "kept", messages: 5, implementations: 0);
    check!("direct-openai-responses.json", "kept", messages: 4, implementations: 0);
    check!("direct-anthropic.json", "kept", messages: 4, implementations: 0);
    check!("direct-converse.json", "kept", messages: 4, implementations: 0);
    check!("direct-bedrock-log.json", "kept", messages: 2, implementations: 0);
    check!("direct-opentelemetry.json", "kept", messages: 2, implementations: 0);
    check!("direct-otlp-spans.json", "kept", messages: 6, implementations: 0);
    check!("direct-agentcore.json", "kept", messages: 2, implementations: 0);
    check!("direct-text.json", "kept", messages: 1, implementations: 0);
}

#[test]
fn batches_end_message_by_message() {
    check!("sqs-batch.json", "kept kept kept", messages: 6, implementations: 0);
    check!(
        "sqs-batch-poisoned.json", "kept not_json Capture.UnknownShape kept kept", messages: 6, implementations: 0
    );
}
