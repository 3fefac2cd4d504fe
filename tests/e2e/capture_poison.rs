//! Poison: what breaks a parser, a database or a key ends as the table of docs/capture.md says, and nothing beside it notices.

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::canary::said;
use serde_json::{Value, json};

use crate::capture::{batch, failures};
use crate::system::{CAPTURE, System};

/// What becomes of an event.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Kept,
    /// Kept, with characters replaced.
    Repaired,
    PutAside,
    /// Its source delivers it again; this is the code.
    Failed(&'static str),
}

use End::{Failed, Kept, PutAside, Repaired};

/// One event among others.
type Poison = (Vec<u8>, End);

/// In the place of half a surrogate pair in the outermost JSON, which no `Value` can hold.
const HALF: &str = "@half@";

/// An event of the original's shape whose text ends with this piece of a JSON string.
fn asked(conversation: &str, piece: &str) -> Vec<u8> {
    let words = said("?");
    format!(r#"{{"conversation_id":"{conversation}","user_input":"{words}{piece}"}}"#).into_bytes()
}

/// An event of the original's shape with these fields besides.
fn with(conversation: &str, fields: &str) -> Vec<u8> {
    let words = said("?");
    format!(r#"{{"conversation_id":"{conversation}","user_input":"{words}",{fields}}}"#)
        .into_bytes()
}

/// Events that every source can bring, good ones at both ends and in the middle.
fn poisons(source: &str, uploads: &str) -> Vec<Poison> {
    let named = |name: &str| format!("{source}-{name}");
    let nested = |depth: usize| {
        format!(
            "{}\"{}\"{}",
            "[".repeat(depth),
            said("deep"),
            "]".repeat(depth)
        )
    };
    let digits = "1234567890".repeat(100);
    let long = "i".repeat(4096);
    vec![
        (asked(&named("first"), ""), Kept),
        (asked(&named("nul"), r"\u0000"), Repaired),
        (with(&named("nul-key"), r#""a\u0000b":{"\u0000":"\u0000"}"#), Repaired),
        (asked(&named("surrogate"), r"\ud83d"), Repaired),
        (asked(&named("surrogates"), r"\ude00\ud83d"), Repaired),
        (with(&named("depth"), &format!(r#""context":{{"x":{}}}"#, nested(1000))), Kept),
        (nested(1000).into_bytes(), Failed("Capture.UnknownShape")),
        (format!("{{\"user_input\":{}", nested(100_000).replace(']', "")).into_bytes(), PutAside),
        (
            format!(
                r#"{{"schema":"llm.capture/1","conversation_id":"{}","body_ref":{{"bucket":"{uploads}","key":"t=default/large.json"}}}}"#,
                named("large")
            )
            .into_bytes(),
            Kept,
        ),
        (with(&named("twice"), r#""context":{"a":1,"a":2},"user_id":"x","user_id":"u","x":1,"x":[2],"context":{}"#), Kept),
        (asked(&named("middle"), ""), Kept),
        (
            with(
                &named("numbers"),
                &format!(r#""context":{{"a":1e400,"b":-1e-400,"c":1E99999999999999999999,"d":-{digits},"e":0.{digits},"f":-0}}"#),
            ),
            Kept,
        ),
        (
            format!(
                r#"{{"schema":"llm.capture/1","conversation_id":"{}","messages":[],"usage":{{"input_tokens":{digits}}}}}"#,
                named("tokens")
            )
            .into_bytes(),
            Failed("Capture.InvalidField"),
        ),
        (with(&named(&long), &format!(r#""event_id":"{source}{long}","user_id":"u""#)), Kept),
        (with(&format!("../../{source}/../x"), &format!(r#""event_id":"/{source}/..//.","tenant_id":"default""#)), Kept),
        (with(&named(r"\u0001\n\r\t\u001b[2J\u007f\u202e\\"), r#""event_id":"\u0007""#), Kept),
        (format!("{source}: {}", said("no JSON")).into_bytes(), PutAside),
        (json!({"hello": said(source)}).to_string().into_bytes(), Failed("Capture.UnknownShape")),
        (asked(&named("last"), ""), Kept),
    ]
}

fn stream(source: &str, events: &[Poison]) -> Value {
    let record = |(number, (event, _)): (usize, &Poison)| {
        json!({
            "eventSource": "aws:kinesis", "eventID": format!("shardId-000000000000:{source}-{number}"),
            "kinesis": {
                "partitionKey": "k", "sequenceNumber": format!("seq-{number}"), "data": BASE64_STANDARD.encode(event),
                "approximateArrivalTimestamp": 1_795_428_000.5,
            },
        })
    };
    json!({"Records": events.iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// A request whose body is one line for each event.
fn lines(source: &str, events: &[Poison]) -> Value {
    let lines: Vec<_> = events.iter().map(|(event, _)| event.as_slice()).collect();
    json!({
        "version": "2.0", "routeKey": "POST /captures", "rawPath": "/captures", "isBase64Encoded": true,
        "body": BASE64_STANDARD.encode(lines.join(&b'\n')),
        "headers": {"content-type": "application/x-ndjson"},
        "requestContext": {
            "requestId": source, "timeEpoch": 1_795_428_000_000_i64, "http": {"method": "POST", "path": "/captures"},
            "authorizer": {"jwt": {"claims": {"sub": said("u-1")}, "scopes": null}},
        },
    })
}

/// What is stored and counted: rows of the ledger, messages, objects put aside.
type Stored = (i64, i64, usize);

impl System {
    async fn stored(&self) -> Stored {
        let events = "SELECT count(*) FROM capture_events WHERE outcome = 'stored'";
        (
            self.number(events, &[]).await,
            self.messages().await,
            self.objects("quarantine/").await.len(),
        )
    }

    /// What the last invocation has counted under this name.
    fn counted(&self, name: &str) -> usize {
        let log = self.stack.functions().log(CAPTURE);
        let mut metrics = log
            .iter()
            .rev()
            .filter(|line| line.text.contains("\"_aws\""));
        let metrics: Value = serde_json::from_str(&metrics.next().unwrap().text).unwrap();
        metrics[name].as_f64().unwrap().to_string().parse().unwrap()
    }

    /// Delivers these events twice and expects each to end as it has to; answers with the first reply.
    async fn deliver_twice(&self, payload: &str, events: &[Poison]) -> Value {
        let ending =
            |wanted: fn(End) -> bool| events.iter().filter(|(_, end)| wanted(*end)).count();
        let kept = ending(|end| matches!(end, Kept | Repaired));
        let put_aside = ending(|end| end == PutAside);
        let before = self.stored().await;
        let mut replies = Vec::new();
        for stored in [kept, 0] {
            let invoked = self.deliver(CAPTURE, payload.to_owned()).await;
            let reply: Value = serde_json::from_slice(&invoked.payload).unwrap();
            assert!(invoked.function_error.is_none(), "{reply}");
            replies.push(reply);
            let rows = i64::try_from(kept).unwrap();
            assert_eq!(
                self.stored().await,
                (before.0 + rows, before.1 + rows, before.2 + put_aside)
            );
            assert_eq!(self.counted("Received"), events.len());
            assert_eq!(self.counted("Stored"), stored);
            assert_eq!(self.counted("Duplicate"), kept - stored);
            assert_eq!(self.counted("Sanitized"), ending(|end| end == Repaired));
            assert_eq!(self.counted("Quarantined"), put_aside);
            assert_eq!(
                self.counted("Failed"),
                ending(|end| matches!(end, Failed(_)))
            );
        }
        replies.remove(0)
    }
}

fn failing(events: &[Poison], named: fn(usize) -> String) -> Vec<String> {
    let failing = events.iter().enumerate();
    failing
        .filter(|(_, (_, end))| matches!(end, Failed(_)))
        .map(|(number, _)| named(number))
        .collect()
}

#[tokio::test]
async fn poison_ends_by_itself_whichever_way_it_comes() {
    let system = System::start("poison").await;
    for warning in [
        "Capture.UnknownShape",
        "Capture.InvalidField",
        r#""outcome":"not_json""#,
    ] {
        system.announce(warning);
    }
    let uploads = system.stack.bucket("poison").await.unwrap();
    system.define_capture(&[("CLAIM_CHECK_BUCKETS", &uploads)]);
    let words = format!(
        "{}{}",
        said("words"),
        " and more".repeat(1024 * 1024 + 1024)
    );
    assert!(words.len() > 9 * 1024 * 1024);
    let large =
        json!({"messages": [{"role": "user", "parts": [{"type": "text", "content": words}]}]});
    let client = aws_sdk_s3::Client::new(&system.stack.sdk_config());
    let put = client
        .put_object()
        .bucket(&uploads)
        .key("t=default/large.json");
    put.body(ByteStream::from(large.to_string().into_bytes()))
        .send()
        .await
        .unwrap();

    // A queue's message is text, so what is not UTF-8 cannot come in it. Half a surrogate pair can, in the outermost JSON.
    let mut queue = poisons("queue", &uploads);
    queue.insert(1, (asked("queue-outermost", HALF), Repaired));
    queue.insert(2, (Vec::new(), PutAside));
    let bodies: Vec<_> = queue
        .iter()
        .map(|(event, _)| String::from_utf8(event.clone()).unwrap())
        .collect();
    let payload = batch(&bodies).to_string();
    let payload = payload.replace(HALF, r"\ud83d");
    let reply = system.deliver_twice(&payload, &queue).await;
    assert_eq!(
        failures(&reply),
        failing(&queue, |number| format!("m-{number}"))
    );

    let not_utf8 = |source: &str| {
        let mut event = asked(&format!("{source}-utf8"), "@");
        let place = event.iter().position(|byte| *byte == b'@').unwrap();
        event.splice(place..=place, [0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80]);
        (event, Repaired)
    };
    let mut shard = poisons("shard", &uploads);
    shard.insert(3, not_utf8("shard"));
    let payload = stream("shard", &shard).to_string();
    let reply = system.deliver_twice(&payload, &shard).await;
    let first = failing(&shard, |number| format!("seq-{number}"));
    assert_eq!(failures(&reply), first[..1]);

    let mut request = poisons("request", &uploads);
    request.insert(3, not_utf8("request"));
    let payload = lines("request", &request).to_string();
    let reply = system.deliver_twice(&payload, &request).await;
    assert_eq!(reply["statusCode"], 400);
    let told: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
    for ((_, end), told) in request.iter().zip(told["events"].as_array().unwrap()) {
        match end {
            Kept | Repaired => assert_eq!(told["status"], "stored", "{told}"),
            PutAside => assert_eq!(told["errorType"], "Capture.BadInput", "{told}"),
            Failed(code) => assert_eq!(told["errorType"], *code, "{told}"),
        }
    }

    for key in system.objects("conversations/").await {
        assert!(
            key.starts_with("conversations/v1/t=default/dt=2026-11-23/c="),
            "{key}"
        );
        assert!(key.len() <= 1024 && key.split('/').count() == 6, "{key}");
        assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
        assert!(
            key.split('/').all(|segment| !segment.starts_with('.')),
            "{key}"
        );
    }
    let cut = "SELECT count(*) FROM messages WHERE content_truncated AND octet_length(parts::text) > 9000000";
    assert_eq!(system.number(cut, &[]).await, 3);
    let numbers = "SELECT count(*) FROM conversations WHERE conversation_id LIKE '%-numbers'";
    assert_eq!(system.number(numbers, &[]).await, 3);
    system.assert_counters_are_exact().await;
}
