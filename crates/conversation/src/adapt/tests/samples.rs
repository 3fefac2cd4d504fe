//! The sample events of the repository.

use insta::assert_snapshot;
use serde_json::Value;

use super::{one, summary};
use crate::adapt::{AdaptError, captures_of};
use crate::capture::Capture;
use crate::delivery::Delivery;
use crate::layout::Layout;

/// The records of an SQS event, as the function unwraps them.
fn records(event: &str) -> Vec<Result<Vec<Capture>, AdaptError>> {
    let event: Value = serde_json::from_str(event).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let records = event["Records"].as_array().expect("records");
    records
        .iter()
        .map(|record| {
            let body = text(&record["body"]);
            let attribute = |name: &str| record["attributes"][name].as_str();
            let delivery = Delivery::sqs(&text(&record["messageId"]), attribute, &body);
            captures_of(body.as_bytes(), &delivery)
        })
        .collect()
}

#[test]
fn canonical_event() {
    assert_snapshot!(summary(&one(event!("direct-canonical.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=vpc-review/100000123-01KARQ5T9GQZ6D3W0V8N4M2J7C.json
    canonical vpc-review user=u-1001 history=full model=anthropic.claude-sonnet-4-20250514-v1:0 nul=0 surrogate=0
    0 input user h:d872daf2 <- - finish=- [] "Nossa VPC tem sub-redes públ"
    1 output assistant h:d323aa54 <- h:d872daf2 finish=stop [input_tokens=31 output_tokens=58] "Mova tudo o que não recebe t"
    context={"project":"ial","phase":"02-vpc-networking"} metadata={"extra":{"finish_reasons":["end_turn"]}}
    "#);
}

#[test]
fn canonical_event_with_tools() {
    assert_snapshot!(summary(&one(event!("direct-canonical-tools.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=queue-backlog/101509004-01KARR0C7N2F5K8V1B4Z6W9QTA.json
    canonical queue-backlog user=u-1002 history=delta model=gpt-5-mini-2025-08-07 nul=0 surrogate=0
    0 input user m-7 <- m-6 finish=- [] "Is the dead-letter queue of "
    1 output assistant m-8 <- m-7 finish=tool_call [] "get_queue_attributes {\"queue"
    2 input tool m-9 <- m-8 finish=- [] "{\"ApproximateNumberOfMessage"
    3 output assistant m-10 <- m-9 finish=stop [input_tokens=412 output_tokens=96 cache_read_input_tokens=256 reasoning_output_tokens=40] "Yes. No message has been mov"
    01KARR0C7N2F5K8V1B4Z6W9QTA-impl-0 of m-10: cloudformation monitoring/dlq-alarm.yaml
    context={"project":"ial"} metadata={"client":"cli","client_version":"2.4.0","extra":{"finish_reasons":["tool_calls","stop"],"usage":{"prompt_tokens":412,"completion_tokens":96,"total_tokens":508,"prompt_tokens_details":{"cached_tokens":256},"completion_tokens_details":{"reasoning_tokens":40}}}}
    "#);
}

#[test]
fn history_that_is_sent_again_is_found_again() {
    let first = one(event!("direct-canonical.json"));
    let second = one(event!("direct-full-history.json"));
    assert_snapshot!(summary(&second), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=vpc-review/100241870-01KARQB2M5H8Y1E4T6P9S3X0RD.json
    canonical vpc-review user=u-1001 history=full model=anthropic.claude-sonnet-4-20250514-v1:0 nul=0 surrogate=0
    0 input user h:d872daf2 <- - finish=- [] "Nossa VPC tem sub-redes públ"
    1 input assistant h:d323aa54 <- h:d872daf2 finish=- [] "Mova tudo o que não recebe t"
    2 input user h:169c5fd8 <- h:d323aa54 finish=- [] "E como as funções chegam ao "
    3 output assistant h:c0248d73 <- h:169c5fd8 finish=stop [input_tokens=112 output_tokens=41 cache_read_input_tokens=89 cache_creation_input_tokens=0] "Por um endpoint de interface"
    context={"project":"ial","phase":"02-vpc-networking"} metadata={"extra":{"finish_reasons":["end_turn"]}}
    "#);
    let ids = |capture: &Capture| {
        capture
            .messages
            .iter()
            .map(|message| message.message_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&second)[..2], ids(&first)[..]);
}

#[test]
fn legacy_event() {
    assert_snapshot!(summary(&one(event!("direct-legacy.json"))), @r#"
    conversations/v1/t=default/dt=undated/c=conv-20261123-001/request-1.json
    legacy conv-20261123-001 user=u-1001 history=delta model=- nul=0 surrogate=0
    0 input user request-1-user <- - finish=- [] "Crie um bucket S3 com versio"
    1 output assistant request-1-assistant <- request-1-user finish=- [] "Pronto: o bucket tem version"
    context={"project":"ial","phase":"08-s3-storage","iteration":1} metadata={}
    "#);
}

#[test]
fn legacy_event_with_implementations() {
    assert_snapshot!(summary(&one(event!("direct-legacy-implementations.json"))), @r#"
    conversations/v1/t=default/dt=undated/c=conv-20261123-001/request-1.json
    legacy conv-20261123-001 user=u-1001 history=delta model=- nul=0 surrogate=0
    0 input user request-1-user <- - finish=- [] "Now write it as CloudFormati"
    1 output assistant request-1-assistant <- request-1-user finish=- [] "Here are the template and th"
    request-1-impl-0 of request-1-assistant: cloudformation phases/08-s3-storage/bucket.yaml
    request-1-impl-1 of request-1-assistant: cloudformation phases/08-s3-storage/lifecycle.yaml
    context={"project":"ial","phase":"08-s3-storage","iteration":2} metadata={}
    "#);
}

#[test]
fn legacy_event_of_nulls() {
    assert_snapshot!(summary(&one(event!("direct-legacy-minimal.json"))), @r#"
    conversations/v1/t=default/dt=undated/c=c-19f1064b619d49d35392eac7261cd726/request-1.json
    legacy c-19f1064b619d49d35392eac7261cd726 user=- history=delta model=- nul=0 surrogate=0
    0 input user request-1-user <- - finish=- [] "Olá!"
    context={} metadata={}
    "#);
}

#[test]
fn openai_chat_event() {
    assert_snapshot!(summary(&one(event!("direct-openai-chat.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=queue-alarm/103009000-chatcmpl-CfQ1aBc2.json
    openai_chat queue-alarm user=u-1002 history=full model=gpt-5-mini-2025-08-07 nul=0 surrogate=0
    0 input developer h:64672289 <- - finish=- [] "Answer as an operator would."
    1 input user h:0330e5f6 <- - finish=- [] "Quantas mensagens há na fila"
    2 input assistant h:4cd98641 <- h:0330e5f6 finish=- [] "get_queue_attributes {\"queue"
    3 input tool h:8ab762d3 <- h:4cd98641 finish=- [] "{\"ApproximateNumberOfMessage"
    4 output assistant h:b081215a <- h:8ab762d3 finish=stop [input_tokens=118 output_tokens=22 cache_read_input_tokens=64 reasoning_output_tokens=12] "Nenhuma: a fila está vazia."
    context={} metadata={"extra":{"request":{"temperature":0.2,"tools":[{"type":"function","function":{"name":"get_queue_attributes","parameters":{"type":"object"}}}]},"usage":{"prompt_tokens":118,"completion_tokens":22,"total_tokens":140,"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":12,"audio_tokens":0}},"response":{"created":1795429809,"service_tier":"default"},"choices":[{"index":0}]}}
    "#);
}

#[test]
fn openai_responses_event() {
    assert_snapshot!(summary(&one(event!("direct-openai-responses.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=cost-of-nat/103500000-resp_68f1.json
    openai_responses cost-of-nat user=u-1002 history=full model=gpt-5-2025-08-07 nul=0 surrogate=0
    0 input user h:f787d1b2 <- - finish=- [] "What did the NAT gateway cos"
    1 input assistant h:d5c7c919 <- h:f787d1b2 finish=- [] "get_cost {\"service\":\"NatGate"
    2 input tool h:85501892 <- h:d5c7c919 finish=- [] "{\"usd\": 32.85}"
    3 output assistant h:0a332cf8 <- h:85501892 finish=stop [input_tokens=210 output_tokens=48 cache_read_input_tokens=128 reasoning_output_tokens=32] "32.85 USD, almost all of it "
    context={} metadata={"extra":{"usage":{"input_tokens":210,"input_tokens_details":{"cached_tokens":128},"output_tokens":48,"output_tokens_details":{"reasoning_tokens":32},"total_tokens":258},"response":{"created_at":1795430100,"status":"completed"}}}
    "#);
}

#[test]
fn anthropic_event() {
    assert_snapshot!(summary(&one(event!("direct-anthropic.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=drift-review/110512040-01KARV3M7Q2X9B4T6W8Z1C5D0F.json
    anthropic drift-review user=u-1003 history=full model=claude-sonnet-4-20250514 nul=0 surrogate=0
    0 input user h:593500dc <- - finish=- [] "Qual desvio é o mais grave?\n"
    1 input assistant h:50691c30 <- h:593500dc finish=- [] "who_changed {\"resource\":\"sg-"
    2 input user h:eef98ced <- h:50691c30 finish=- [] "u-1007, yesterday"
    3 output assistant h:b0d845a4 <- h:eef98ced finish=stop [input_tokens=896 output_tokens=31 cache_read_input_tokens=812 cache_creation_input_tokens=60] "A porta 22 aberta em sg-1, d"
    context={} metadata={"extra":{"request":{"max_tokens":1024},"usage":{"input_tokens":24,"output_tokens":31,"cache_read_input_tokens":812,"cache_creation_input_tokens":60,"service_tier":"standard"},"finish_reasons":["end_turn"]}}
    "#);
}

#[test]
fn converse_event() {
    assert_snapshot!(summary(&one(event!("direct-converse.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=bucket-policy/112040500-01KARW5T0N8C2J6H4G9V3P7QXB.json
    converse bucket-policy user=u-1004 history=full model=amazon.nova-pro-v1:0 nul=0 surrogate=0
    0 input user h:a8615323 <- - finish=- [] "Is the policy in this pictur"
    1 input assistant h:3264d864 <- h:a8615323 finish=- [] "validate_policy {\"bucket\":\"m"
    2 input user h:7be93540 <- h:3264d864 finish=- [] "{\"findings\":[\"Principal is *"
    3 output assistant h:5d903d10 <- h:7be93540 finish=stop [input_tokens=430 output_tokens=14 cache_read_input_tokens=400 cache_creation_input_tokens=0] "Não: qualquer pessoa pode le"
    context={} metadata={"extra":{"request":{"inferenceConfig":{"maxTokens":512}},"usage":{"inputTokens":30,"outputTokens":14,"totalTokens":444,"cacheReadInputTokens":400,"cacheWriteInputTokens":0},"response":{"metrics":{"latencyMs":812}},"finish_reasons":["end_turn"]}}
    "#);
}

#[test]
fn bedrock_log_line() {
    assert_snapshot!(summary(&one(event!("direct-bedrock-log.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=vpc-endpoints/114002000-ff4b6c63-5561-4431-93b8-06a817275900.json
    bedrock_log vpc-endpoints user=- history=full model=amazon.nova-lite-v1:0 nul=0 surrogate=0
    0 input user h:0760daa4 <- - finish=- [] "Which endpoints does the fun"
    1 output assistant h:604c6741 <- h:0760daa4 finish=stop [input_tokens=12 output_tokens=9 cache_read_input_tokens=0 cache_creation_input_tokens=0] "S3 e Secrets Manager."
    context={} metadata={"extra":{"request":{"inferenceConfig":{"maxTokens":512,"stopSequences":[]}},"response":{"metrics":{"latencyMs":302}},"operation":"ConverseStream","input":{"inputContentType":"application/json","inputTokenCount":12,"cacheReadInputTokenCount":0,"cacheWriteInputTokenCount":0},"output":{"outputContentType":"application/json","outputTokenCount":9},"finish_reasons":["end_turn"],"schemaVersion":"1.0","timestamp":"2026-11-23T11:40:02Z","accountId":"000000000000","identity":{"arn":"arn:aws:sts::000000000000:assumed-role/assistant/session"},"region":"us-east-1","requestMetadata":{"conversation_id":"vpc-endpoints","team":"network"}}}
    "#);
}

#[test]
fn opentelemetry_record() {
    assert_snapshot!(summary(&one(event!("direct-opentelemetry.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=budget-questions/120000250-chatcmpl-CfQ9.json
    opentelemetry budget-questions user=- history=full model=gpt-5-mini-2025-08-07 nul=0 surrogate=0
    0 input user h:26807bb2 <- - finish=- [] "Qual é o orçamento deste mês"
    1 output assistant h:21991d34 <- h:26807bb2 finish=stop [input_tokens=41 output_tokens=9 cache_read_input_tokens=32] "300 USD."
    context={} metadata={"extra":{"attributes":{"gen_ai.request.temperature":0.2},"name":"gen_ai.client.inference.operation.details","timestamp":"2026-11-23T12:00:00.250Z","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}}
    "#);
}

#[test]
fn otlp_batch() {
    let spans = super::read(event!("direct-otlp-spans.json")).expect("captures");
    assert_snapshot!(spans.iter().map(summary).collect::<Vec<_>>().join("\n"), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=on-call/120001250-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174.json
    opentelemetry on-call user=- history=full model=amazon.nova-lite-v1:0 nul=0 surrogate=0
    0 input user h:1f57502f <- - finish=- [] "Who is on call?"
    1 output assistant h:b5634537 <- h:1f57502f finish=tool_call [input_tokens=18 output_tokens=7] "rota {}"
    context={} metadata={"extra":{"resource":{"service.name":"assistant"},"scope":{"name":"opentelemetry.instrumentation.bedrock","version":"0.60b1"},"finish_reasons":["tool_use"],"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"chat amazon.nova-lite-v1:0","kind":3,"startTimeUnixNano":"1795435200000000000","endTimeUnixNano":"1795435201250000000","status":{}}}

    conversations/v1/t=default/dt=2026-11-23/c=on-call/120002000-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b176.json
    opentelemetry on-call user=- history=full model=amazon.nova-lite-v1:0 nul=0 surrogate=0
    0 input user h:1f57502f <- - finish=- [] "Who is on call?"
    1 input assistant h:b5634537 <- h:1f57502f finish=- [] "rota {}"
    2 input tool h:84ac136e <- h:b5634537 finish=- [] "Ana"
    3 output assistant h:c6236e57 <- h:84ac136e finish=stop [] "Ana, até segunda-feira."
    context={} metadata={"extra":{"resource":{"service.name":"assistant"},"scope":{"name":"opentelemetry.instrumentation.bedrock","version":"0.60b1"},"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b176","name":"chat amazon.nova-lite-v1:0","kind":3,"startTimeUnixNano":"1795435201500000000","endTimeUnixNano":"1795435202000000000","status":{}}}
    "#);
}

#[test]
fn agentcore_event() {
    assert_snapshot!(summary(&one(event!("direct-agentcore.json"))), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=onboarding-7/121000125-5f9c1d7e-0000-4000-8000-000000000001.json
    agentcore onboarding-7 user=u-1005 history=delta model=- nul=0 surrogate=0
    0 input user 5f9c1d7e-0000-4000-8000-000000000001-0 <- - finish=- [] "Onde ficam os diagramas?"
    1 output assistant 5f9c1d7e-0000-4000-8000-000000000001-1 <- 5f9c1d7e-0000-4000-8000-000000000001-0 finish=- [] "Na pasta docs do repositório"
    context={} metadata={"extra":{"payload":[{"blob":{"checkpoint":3}}],"memoryId":"assistant-0123456789","eventTimestamp":1795435800.125}}
    "#);
}

#[test]
fn one_text() {
    assert_snapshot!(summary(&one(event!("direct-text.json"))), @r#"
    conversations/v1/t=default/dt=undated/c=c-19f1064b619d49d35392eac7261cd726/request-1.json
    text_in_body c-19f1064b619d49d35392eac7261cd726 user=u-1001 history=delta model=- nul=0 surrogate=0
    0 input user request-1-0 <- - finish=- [] "A VPC foi criada."
    context={"project":"ial","phase":"02-vpc-networking"} metadata={}
    "#);
}

#[test]
fn batch_of_records() {
    let records = records(event!("sqs-batch.json"));
    let summaries: Vec<_> = records.iter().flatten().flatten().map(summary).collect();
    assert_eq!(summaries.len(), records.len());
    assert_snapshot!(summaries.join("\n"), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=cost-report/103000000-msg_01Xk.json
    canonical cost-report user=u-1003 history=full model=claude-sonnet-4 nul=0 surrogate=0
    0 input user h:67746cd7 <- - finish=- [] "Which service cost most last"
    1 output assistant h:50bf2ca7 <- h:67746cd7 finish=stop [input_tokens=24 output_tokens=37] "Aurora, with 61 % of the bil"
    context={} metadata={"extra":{"finish_reasons":["end_turn"]}}

    conversations/v1/t=default/dt=2026-11-23/c=conv-20261123-002/103000040-5e1f9a30-7c44-4d0b-9b6e-000000000002.json
    legacy conv-20261123-002 user=u-1001 history=delta model=- nul=0 surrogate=0
    0 input user 5e1f9a30-7c44-4d0b-9b6e-000000000002-user <- - finish=- [] "Quantas funções Lambda temos"
    1 output assistant 5e1f9a30-7c44-4d0b-9b6e-000000000002-assistant <- 5e1f9a30-7c44-4d0b-9b6e-000000000002-user finish=- [] "Duas: conversation-capture e"
    context={"project":"ial"} metadata={}

    conversations/v1/t=default/dt=2026-11-23/c=incident-17/102958500-01KARS4J8Z1Q5X7C2V9B6N3M0K.json
    canonical incident-17 user=u-1004 history=delta model=amazon.nova-pro-v1:0 nul=0 surrogate=0
    0 input user i17-1 <- - finish=- [] "Summarise the log of the fai"
    1 output assistant i17-2 <- i17-1 finish=length [input_tokens=120 output_tokens=64 cache_read_input_tokens=100 cache_creation_input_tokens=0] "The stack rolled back becaus"
    context={} metadata={"extra":{"finish_reasons":["max_tokens"],"usage":{"inputTokens":20,"outputTokens":64,"totalTokens":184,"cacheReadInputTokens":100,"cacheWriteInputTokens":0}}}
    "#);
}

#[test]
fn poisoned_batch() {
    let results: Vec<_> = records(event!("sqs-batch-poisoned.json"))
        .into_iter()
        .map(|record| match record {
            Ok(captures) => captures.iter().map(summary).collect(),
            Err(error) => {
                let told = error.to_string();
                let (found, _) = told.split_once("; accepted").unwrap_or((&told, ""));
                format!("{}: {found}\n", error.code())
            }
        })
        .collect();
    assert_snapshot!(results.join("\n"), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=poison-neighbours/103000000-5e1f9a30-7c44-4d0b-9b6e-000000000011.json
    canonical poison-neighbours user=u-1005 history=full model=- nul=0 surrogate=0
    0 input user h:bab926ed <- - finish=- [] "Does one bad message stop th"
    1 output assistant h:3a0a24da <- h:bab926ed finish=- [] "No. Each record of a batch h"
    context={} metadata={}

    not_json: not JSON: line 1, column 1

    unknown_shape: unknown event shape: found an object with `detail`, `account`

    conversations/v1/t=default/dt=2026-11-23/c=conv-20261123-003/103000014-5e1f9a30-7c44-4d0b-9b6e-000000000014.json
    legacy conv-20261123-003 user=u-1001 history=delta model=- nul=1 surrogate=1
    0 input user 5e1f9a30-7c44-4d0b-9b6e-000000000014-user <- - finish=- [] "Corta o emoji � aqui e um NU"
    1 output assistant 5e1f9a30-7c44-4d0b-9b6e-000000000014-assistant <- 5e1f9a30-7c44-4d0b-9b6e-000000000014-user finish=- [] "Nada se perde."
    context={} metadata={}

    conversations/v1/t=default/dt=2026-11-23/c=conv-20261123-004/103000021-5e1f9a30-7c44-4d0b-9b6e-000000000015.json
    legacy conv-20261123-004 user=u-1001 history=delta model=- nul=0 surrogate=0
    0 input user 5e1f9a30-7c44-4d0b-9b6e-000000000015-user <- - finish=- [] "Quantas funções Lambda temos"
    1 output assistant 5e1f9a30-7c44-4d0b-9b6e-000000000015-assistant <- 5e1f9a30-7c44-4d0b-9b6e-000000000015-user finish=- [] "Duas: conversation-capture e"
    context={"project":"ial"} metadata={}
    "#);
}

#[test]
fn archived_object() {
    let repaired = records(event!("sqs-batch-poisoned.json"))
        .remove(3)
        .unwrap()
        .remove(0);
    let object = repaired.object(Layout::Turn);
    assert_snapshot!(String::from_utf8(object.body).unwrap(), @r#"{"schema":"llm.capture/1","event_id":"5e1f9a30-7c44-4d0b-9b6e-000000000014","tenant_id":"default","conversation_id":"conv-20261123-003","user_id":"u-1001","occurred_at":"2026-11-23T10:30:00.014Z","history":"delta","messages":[{"message_id":"5e1f9a30-7c44-4d0b-9b6e-000000000014-user","direction":"input","role":"user","parts":[{"type":"text","content":"Corta o emoji � aqui e um NUL � ali"}],"metadata":{"source":"user_input"}},{"message_id":"5e1f9a30-7c44-4d0b-9b6e-000000000014-assistant","parent_message_id":"5e1f9a30-7c44-4d0b-9b6e-000000000014-user","direction":"output","role":"assistant","parts":[{"type":"text","content":"Nada se perde."}],"metadata":{"source":"assistant_output"}}],"_meta":{"schema":"turnkeep.capture/1","shape":"legacy","sanitized":{"nul":1,"surrogate":1}}}"#);
}
