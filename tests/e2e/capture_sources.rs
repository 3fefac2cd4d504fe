//! `conversation-capture` behind every source: what it brings is kept once, what fails comes again, and by HTTP nobody
//! speaks for another.

use std::io::Write as _;

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::canary::said;
use local::{Fault, FaultProxy};
use serde_json::{Value, json};

use crate::capture::{batch, failures, turn};
use crate::system::{CAPTURE, System};

fn base64(event: &Value) -> String {
    BASE64_STANDARD.encode(event.to_string())
}

/// A turn that brings neither id nor time of its own: those of its source count.
fn unnamed(conversation: &str) -> Value {
    let mut event = turn(conversation, 1);
    let fields = event.as_object_mut().unwrap();
    fields.remove("event_id");
    fields.remove("occurred_at");
    event
}

fn notification(message: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": format!("notification-{}", message.len()),
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:conversations", "Message": message,
        "Timestamp": "2026-11-23T10:00:00.000Z", "SignatureVersion": "1",
    })
}

fn topic(message: &str) -> Value {
    json!({"Records": [{
        "EventSource": "aws:sns", "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:us-east-1:000000000000:conversations:1", "Sns": notification(message),
    }]})
}

fn bus(detail: &Value) -> Value {
    json!({
        "version": "0", "id": format!("bus-{}", detail.to_string().len()), "detail-type": "Turn Captured", "source": "my.assistant",
        "account": "000000000000", "time": "2026-11-23T10:00:00Z", "region": "us-east-1", "resources": [], "detail": detail,
    })
}

/// Records of a shard; their sequence numbers are `seq-0`, `seq-1` and so on.
fn shard(events: &[Value]) -> Value {
    let record = |(number, event): (usize, &Value)| {
        json!({
            "eventSource": "aws:kinesis", "eventID": format!("shardId-000000000000:seq-{number}"),
            "kinesis": {
                "partitionKey": "k", "sequenceNumber": format!("seq-{number}"), "data": base64(event),
                "approximateArrivalTimestamp": 1_795_428_000.5,
            },
        })
    };
    json!({"Records": events.iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// What a pipe makes of the records of a shard.
fn pipe(events: &[Value]) -> Value {
    let records = shard(events)["Records"].as_array().unwrap().clone();
    let flat = records.into_iter().map(|mut record| {
        let kinesis = record.as_object_mut().unwrap().remove("kinesis").unwrap();
        let fields = kinesis.as_object().unwrap().clone();
        record.as_object_mut().unwrap().extend(fields);
        record
    });
    flat.collect()
}

fn table(event: &Value) -> Value {
    json!({"Records": [{
        "eventSource": "aws:dynamodb", "eventID": "change-1", "eventName": "INSERT",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_795_428_000, "Keys": {"pk": {"S": "1"}}, "SequenceNumber": "1",
            "NewImage": {"pk": {"S": "1"}, "event": {"S": event.to_string()}}, "StreamViewType": "NEW_IMAGE",
        },
    }]})
}

/// A request to an HTTP API with a token that has these claims.
pub fn request(claims: &Value, body: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "POST /captures", "rawPath": "/captures", "body": body, "isBase64Encoded": false,
        "headers": {"content-type": "application/json", "idempotency-key": format!("key-{}", body.len())},
        "requestContext": {
            "requestId": "request-1", "timeEpoch": 1_795_428_000_000_i64, "http": {"method": "POST", "path": "/captures"},
            "authorizer": {"jwt": {"claims": claims, "scopes": null}},
        },
    })
}

impl System {
    /// Sends a request and reads the response: its status and its body.
    pub async fn send(&self, request: &Value) -> (u64, Value) {
        let response = self.capture(request).await;
        let body = response["body"].as_str().unwrap();
        (
            response["statusCode"].as_u64().unwrap(),
            serde_json::from_str(body).unwrap(),
        )
    }

    async fn stored_events(&self) -> i64 {
        let stored = "SELECT count(*) FROM capture_events WHERE outcome = 'stored'";
        self.number(stored, &[]).await
    }
}

#[tokio::test]
async fn what_a_source_brings_again_is_kept_once() {
    let system = System::start("sources").await;
    let wrapped = |event: Value| batch(&[event.to_string()]);
    let user = json!({"sub": said("u-1")});
    let deliveries = [
        topic(&unnamed("topic").to_string()),
        wrapped(notification(&unnamed("topic-queue").to_string())),
        bus(&unnamed("bus")),
        wrapped(bus(&unnamed("bus-queue"))),
        wrapped(notification(&bus(&unnamed("bus-topic-queue")).to_string())),
        shard(&[unnamed("shard")]),
        pipe(&[unnamed("shard")]),
        table(&unnamed("table")),
        request(&user, &unnamed("request").to_string()),
    ];
    // The pipe brings what the shard has brought before.
    let events = i64::try_from(deliveries.len()).unwrap() - 1;
    for _ in 0..3 {
        for delivery in &deliveries {
            let answer = system.capture(delivery).await;
            let failed = answer.get("batchItemFailures");
            assert!(failed.is_none_or(|failed| failed == &json!([])), "{answer}");
            assert!(
                answer.get("statusCode").is_none_or(|status| status == 200),
                "{answer}"
            );
        }
        assert_eq!(system.stored_events().await, events);
    }
    assert_eq!(system.messages().await, 2 * events);
    assert_eq!(
        system.objects("conversations/").await.len(),
        deliveries.len() - 1
    );
    let dated = "SELECT count(*) FROM capture_events WHERE occurred_at::date = '2026-11-23'";
    assert_eq!(
        system.number(dated, &[]).await,
        events - 1,
        "the time is the source's; a sender's own key goes without"
    );
    system.assert_counters_are_exact().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_told_to_each_source_in_its_own_way() {
    let system = System::start("refusals").await;
    system.announce("Capture.UnknownShape");
    system.announce(r#""outcome":"not_json""#);
    let unknown = json!({"hello": said("world")});
    let broken = format!("{{\"user_input\": {}", said("anything"));
    for delivery in [topic(&unknown.to_string()), bus(&unknown)] {
        assert_eq!(
            system.refused(CAPTURE, &delivery).await.0,
            "Capture.UnknownShape"
        );
    }
    assert_eq!(system.capture(&topic(&broken)).await["put_aside"], 1);
    let queue = batch(&[
        notification(&unknown.to_string()).to_string(),
        notification(&broken).to_string(),
    ]);
    assert_eq!(failures(&system.capture(&queue).await), ["m-0"]);
    let events = [turn("a", 1), unknown.clone(), turn("b", 1), unknown.clone()];
    assert_eq!(failures(&system.capture(&shard(&events)).await), ["seq-1"]);
    assert_eq!(
        failures(&system.capture(&pipe(&events)).await),
        ["shardId-000000000000:seq-1", "shardId-000000000000:seq-3"]
    );
    assert_eq!(failures(&system.capture(&table(&unknown)).await), ["1"]);
    let user = json!({"sub": said("u-1")});
    let (status, body) = system.send(&request(&user, &unknown.to_string())).await;
    assert_eq!(
        (status, &body["errorType"]),
        (400, &json!("Capture.UnknownShape"))
    );
    assert_eq!(system.send(&request(&user, &broken)).await.0, 400);
    let list = format!("[{},{unknown}]", turn("c", 1));
    let (status, body) = system.send(&request(&user, &list)).await;
    assert_eq!(status, 400);
    assert_eq!(body["events"][0]["status"], "stored");
    assert_eq!(body["events"][1]["errorType"], "Capture.UnknownShape");
    assert_eq!(
        system.stored_events().await,
        3,
        "what stands beside is kept"
    );
}

#[tokio::test]
async fn where_the_database_is_away_every_source_delivers_again() {
    let system = System::start("sourcesaway").await;
    system.announce("Capture.DatabaseUnavailable");
    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    system.define_capture(&[("DB_PORT", &proxy.port().to_string())]);
    proxy.set(Fault::Refuse).await;
    let records = shard(&[turn("a", 1), turn("b", 1)]);
    let event = bus(&turn("c", 1));
    let user = json!({"sub": said("u-1")});
    let post = request(&user, &turn("d", 1).to_string());
    assert_eq!(failures(&system.capture(&records).await), ["seq-0"]);
    assert_eq!(
        system.refused(CAPTURE, &event).await.0,
        "Capture.DatabaseUnavailable"
    );
    let response = system.capture(&post).await;
    assert_eq!(
        (&response["statusCode"], &response["headers"]["retry-after"]),
        (&json!(503), &json!("5"))
    );
    proxy.set(Fault::Pass).await;
    assert_eq!(failures(&system.capture(&records).await), [""; 0]);
    assert_eq!(system.capture(&event).await["stored"], 1);
    assert_eq!(system.send(&post).await.0, 200);
    assert_eq!(system.stored_events().await, 4);
}

#[tokio::test]
async fn nobody_writes_in_anothers_name_by_http() {
    let system = System::start("http").await;
    for warning in [
        r#""outcome":"foreign""#,
        "Capture.Unidentified",
        "Capture.Tenant",
    ] {
        system.announce(warning);
    }
    let (ana, eve) = (json!({"sub": said("ana")}), json!({"sub": said("eve")}));
    let mut event = turn("c", 1);
    event["user_id"] = json!(said("somebody else"));
    assert_eq!(system.send(&request(&ana, &event.to_string())).await.0, 200);
    let owner = "SELECT count(*) FROM conversations WHERE user_id = $1 AND tenant_id = 'default'";
    assert_eq!(system.number(owner, &[&said("ana")]).await, 1);
    let mut claimed = turn("c", 2);
    claimed["user_id"] = json!(said("ana"));
    let (status, body) = system.send(&request(&eve, &claimed.to_string())).await;
    assert_eq!(
        (status, &body["errorType"]),
        (403, &json!("Capture.Foreign"))
    );

    let mut nobody = request(&ana, &turn("c", 3).to_string());
    nobody["requestContext"]
        .as_object_mut()
        .unwrap()
        .remove("authorizer");
    assert_eq!(system.send(&nobody).await.0, 401);

    system.define_capture(&[
        ("HTTP_TENANT", "authorizer.jwt.claims.org"),
        ("HTTP_AUTHORIZER", "none"),
    ]);
    let mut other = turn("c", 4);
    other["tenant_id"] = json!("default");
    let eve = json!({"sub": said("eve"), "org": "eves"});
    let (status, body) = system.send(&request(&eve, &other.to_string())).await;
    assert_eq!((status, &body["tenant_id"]), (200, &json!("eves")));
    assert_eq!(
        system
            .send(&request(&ana, &turn("c", 5).to_string()))
            .await
            .0,
        403,
        "no tenant"
    );
    let (status, _) = system.send(&nobody).await;
    assert_eq!(
        status, 403,
        "taken at its word, it is a stranger to the conversation of ana"
    );
    assert_eq!(system.messages().await, 4);
}

#[tokio::test]
async fn an_object_is_read_where_it_may_be_and_if_it_is_the_one_that_is_meant() {
    let system = System::start("claims").await;
    system.announce("Capture.ClaimRefused");
    system.announce("Capture.ClaimUnavailable");
    let uploads = system.stack.bucket("uploads").await.unwrap();
    system.define_capture(&[("CLAIM_CHECK_BUCKETS", &uploads)]);
    let client = aws_sdk_s3::Client::new(&system.stack.sdk_config());
    let put = async |key: &str, body: String| {
        let put = client.put_object().bucket(&uploads).key(key);
        put.body(ByteStream::from(body.into_bytes()))
            .send()
            .await
            .unwrap();
    };
    // More than any source but S3 brings.
    let words = said("words ").repeat(500_000);
    let body =
        json!({"messages": [{"role": "user", "parts": [{"type": "text", "content": words}]}]});
    let size = body.to_string().len();
    assert!(size > 6 * 1024 * 1024);
    put("large.json", body.to_string()).await;
    let referring = |number: usize, bucket: &str, key: &str, bytes: usize| {
        json!({
            "schema": "llm.capture/1", "event_id": format!("e-{number}"), "conversation_id": "c", "user_id": said("u-1"),
            "occurred_at": "2026-11-23T10:00:00Z", "body_ref": {"bucket": bucket, "key": key, "bytes": bytes},
        })
    };
    let stored = system
        .capture(&referring(1, &uploads, "large.json", size))
        .await;
    assert_eq!(stored["status"], "stored", "{stored}");
    let again = system
        .capture(&referring(1, &uploads, "large.json", size))
        .await;
    assert_eq!(again["status"], "duplicate");
    let object = client.head_object().bucket(&system.bucket);
    let object = object
        .key(stored["s3_key"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert!(
        object.content_length.unwrap() > i64::try_from(size).unwrap(),
        "nothing is cut"
    );

    let refused = async |event: &Value| system.refused(CAPTURE, event).await.0;
    let other_size = referring(2, &uploads, "large.json", size - 1);
    assert_eq!(refused(&other_size).await, "Capture.ClaimRefused");
    let archive = referring(3, &system.bucket, stored["s3_key"].as_str().unwrap(), size);
    assert_eq!(
        refused(&archive).await,
        "Capture.ClaimRefused",
        "no bucket but those named"
    );
    let gone = referring(4, &uploads, "gone.json", size);
    assert_eq!(refused(&gone).await, "Capture.ClaimUnavailable");

    let user = json!({"sub": said("u-1")});
    let by_http = referring(5, &uploads, "large.json", size);
    let (status, _) = system.send(&request(&user, &by_http.to_string())).await;
    assert_eq!(status, 403, "not below the prefix of the own tenant");
    put(
        "t=default/own.json",
        json!({"messages": [], "tenant_id": "another", "user_id": said("boss")}).to_string(),
    )
    .await;
    let mut own = referring(6, &uploads, "t=default/own.json", 0);
    own["body_ref"].as_object_mut().unwrap().remove("bytes");
    let (status, body) = system.send(&request(&user, &own.to_string())).await;
    assert_eq!(
        (status, &body["tenant_id"]),
        (200, &json!("default")),
        "{body}"
    );
    assert_eq!(system.messages().await, 1);
}

/// Bedrock writes lines into an object in gzip, and a body of more than 100 KB into one of its own.
#[tokio::test]
async fn a_log_of_bedrock_is_read_with_the_bodies_beside_it() {
    let system = System::start("bedrockbodies").await;
    system.announce("Capture.ClaimRefused");
    let logs = system.stack.bucket("logs").await.unwrap();
    system.define_capture(&[("CLAIM_CHECK_BUCKETS", &logs)]);
    let client = aws_sdk_s3::Client::new(&system.stack.sdk_config());
    let put = async |key: &str, body: Vec<u8>| {
        let put = client.put_object().bucket(&logs).key(key);
        put.body(ByteStream::from(body)).send().await.unwrap();
    };
    let words = said("words ").repeat(20_000);
    let asked = json!({"messages": [{"role": "user", "content": [{"text": words}]}]});
    put(
        "exports/data/q1_input.json.gz",
        gzip(asked.to_string().as_bytes()),
    )
    .await;
    let answered = json!({"output": {"message": {"role": "assistant", "content": [{"text": said("an answer")}]}}, "stopReason": "end_turn"});
    put(
        "exports/data/q1_output.json.gz",
        gzip(answered.to_string().as_bytes()),
    )
    .await;
    let line = |id: &str, bucket: &str| {
        json!({
            "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2026-11-23T10:00:00Z", "requestId": id,
            "operation": "Converse", "modelId": "m", "requestMetadata": {"conversation_id": "c", "team": said("team")},
            "input": {"inputContentType": "application/json", "inputBodyS3Path": format!("s3://{bucket}/exports/data/q1_input.json.gz"), "inputTokenCount": 30_000},
            "output": {"outputBodyS3Path": format!("s3://{bucket}/exports/data/q1_output.json.gz"), "outputTokenCount": 2},
        })
    };
    let lines = format!("{}\n{}\n", line("q1", &logs), line("q2", "elsewhere"));
    put("exports/lines.json.gz", gzip(lines.as_bytes())).await;
    let notification = json!({"Records": [{
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-23T10:00:00.000Z", "userIdentity": {"principalId": said("bedrock")},
        "s3": {"bucket": {"name": logs}, "object": {"key": "exports/lines.json.gz", "sequencer": "1"}},
    }]});
    let (code, message) = system.refused(CAPTURE, &notification).await;
    assert_eq!(code, "Capture.ClaimRefused", "{message}");
    assert_eq!(system.messages().await, 2, "of the line in a known bucket");
    let whole =
        "SELECT count(*) FROM messages WHERE conversation_id = 'c' AND length(content) = $1";
    let length = i32::try_from(words.chars().count()).unwrap();
    assert_eq!(system.number(whole, &[&length]).await, 1);

    let direct = system.capture(&line("q1", &logs)).await;
    assert_eq!(direct["status"], "duplicate", "{direct}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}
