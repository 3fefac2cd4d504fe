//! Every shape that is sent comes out as an object and as rows, sent directly and from a queue.

use local::canary::said;
use serde_json::Value;

use crate::capture::{batch, failures};
use crate::system::{System, event};

/// A sample event, and what must be in the database after it.
struct Sample {
    file: &'static str,
    /// What the answer, or else the last message, says in the sample.
    words: &'static str,
    conversation: &'static str,
    /// Of how many events the sample consists.
    events: usize,
    messages: i64,
    /// Model, finish reason and tokens on the row with the words, where they are told.
    answer: (Option<&'static str>, Option<&'static str>, Option<i32>),
}

const SAMPLES: [Sample; 8] = [
    Sample {
        file: "direct-openai-chat.json",
        words: "Nenhuma: a fila está vazia.",
        conversation: "queue-alarm",
        events: 1,
        messages: 5,
        answer: (Some("gpt-5-mini-2025-08-07"), Some("stop"), Some(118)),
    },
    Sample {
        file: "direct-openai-responses.json",
        words: "32.85 USD, almost all of it by the hour.",
        conversation: "cost-of-nat",
        events: 1,
        messages: 4,
        answer: (Some("gpt-5-2025-08-07"), Some("stop"), Some(210)),
    },
    Sample {
        file: "direct-anthropic.json",
        words: "A porta 22 aberta em sg-1, desde ontem (u-1007).",
        conversation: "drift-review",
        events: 1,
        messages: 4,
        answer: (Some("claude-sonnet-4-20250514"), Some("stop"), Some(896)),
    },
    Sample {
        file: "direct-converse.json",
        words: "Não: qualquer pessoa pode ler o bucket.",
        conversation: "bucket-policy",
        events: 1,
        messages: 4,
        answer: (Some("amazon.nova-pro-v1:0"), Some("stop"), Some(430)),
    },
    Sample {
        file: "direct-bedrock-log.json",
        words: "S3 e Secrets Manager.",
        conversation: "vpc-endpoints",
        events: 1,
        messages: 2,
        answer: (Some("amazon.nova-lite-v1:0"), Some("stop"), Some(12)),
    },
    Sample {
        file: "direct-opentelemetry.json",
        words: "300 USD.",
        conversation: "budget-questions",
        events: 1,
        messages: 2,
        answer: (Some("gpt-5-mini-2025-08-07"), Some("stop"), Some(41)),
    },
    // Two calls, of which the second sends the two messages of the first again.
    Sample {
        file: "direct-otlp-spans.json",
        words: "Ana, até segunda-feira.",
        conversation: "on-call",
        events: 2,
        messages: 4,
        answer: (Some("amazon.nova-lite-v1:0"), Some("stop"), None),
    },
    Sample {
        file: "direct-agentcore.json",
        words: "Na pasta docs do repositório.",
        conversation: "onboarding-7",
        events: 1,
        messages: 2,
        answer: (None, None, None),
    },
];

/// An event of every shape but the canonical and the original's.
pub fn events() -> Vec<Value> {
    SAMPLES.iter().map(Sample::event).collect()
}

impl Sample {
    /// The sample with words that can be looked for in the logs.
    fn event(&self) -> Value {
        let text = event(self.file).to_string();
        assert!(text.contains(self.words), "{}", self.file);
        serde_json::from_str(&text.replace(self.words, &said(self.words))).unwrap()
    }

    async fn assert_is_kept(&self, system: &System) {
        let (file, said) = (self.file, said(self.words));
        let prefix = |key: &String| key.contains(&format!("/c={}/", self.conversation));
        let objects = system.objects("conversations/").await;
        assert_eq!(
            objects.iter().filter(|key| prefix(key)).count(),
            self.events,
            "{file}: objects"
        );
        let rows = "SELECT count(*) FROM messages WHERE conversation_id = $1";
        assert_eq!(
            system.number(rows, &[&self.conversation]).await,
            self.messages,
            "{file}: messages"
        );
        let (model, finish_reason, input_tokens) = self.answer;
        let answer = "SELECT count(*) FROM messages WHERE conversation_id = $1 AND content = $2
            AND model IS NOT DISTINCT FROM $3 AND finish_reason IS NOT DISTINCT FROM $4 AND input_tokens IS NOT DISTINCT FROM $5";
        let parameters = [
            &self.conversation as _,
            &said as _,
            &model as _,
            &finish_reason as _,
            &input_tokens as _,
        ];
        assert_eq!(
            system.number(answer, &parameters).await,
            1,
            "{file}: the answer"
        );
    }
}

#[tokio::test]
async fn every_shape_is_kept_when_it_is_sent_directly() {
    let system = System::start("shapes").await;
    for sample in SAMPLES {
        let reply = system.capture(&sample.event()).await;
        let statuses: Vec<_> = match reply["events"].as_array() {
            Some(events) => events.iter().map(|event| &event["status"]).collect(),
            None => vec![&reply["status"]],
        };
        assert_eq!(
            statuses,
            vec!["stored"; sample.events],
            "{}: {reply}",
            sample.file
        );
        sample.assert_is_kept(&system).await;
        let again = system.capture(&sample.event()).await;
        assert!(
            again.to_string().contains("duplicate"),
            "{}: {again}",
            sample.file
        );
        sample.assert_is_kept(&system).await;
    }
    system.assert_counters_are_exact().await;
}

#[tokio::test]
async fn every_shape_is_kept_when_it_comes_from_a_queue() {
    let system = System::start("shapes").await;
    let bodies: Vec<_> = SAMPLES
        .iter()
        .map(|sample| sample.event().to_string())
        .collect();
    for _ in 0..2 {
        let reply = system.capture(&batch(&bodies)).await;
        assert_eq!(failures(&reply), [""; 0]);
        for sample in &SAMPLES {
            sample.assert_is_kept(&system).await;
        }
    }
    system.assert_counters_are_exact().await;
}

/// The first function's text: its sender reads `body`, and without an id in it the delivery is the event.
#[tokio::test]
async fn one_text_of_a_user_is_kept() {
    let system = System::start("text").await;
    let words = "A VPC foi criada.";
    let event = event("direct-text.json")
        .to_string()
        .replace(words, &said(words));
    system.capture(&serde_json::from_str(&event).unwrap()).await;
    let reply = system.capture(&batch(&[event])).await;
    assert_eq!(failures(&reply), [""; 0]);
    assert_eq!(system.objects("conversations/").await.len(), 2);
    let rows = "SELECT count(*) FROM messages WHERE role = 'user' AND content = $1";
    assert_eq!(system.number(rows, &[&said(words)]).await, 2);
    let owner = "SELECT count(*) FROM conversations WHERE user_id = 'u-1001' AND metadata -> 'context' ->> 'phase' = '02-vpc-networking'";
    assert_eq!(system.number(owner, &[]).await, 2);
    system.assert_counters_are_exact().await;
}
