//! Events of `AgentCore` Memory.

use insta::assert_snapshot;

use super::{one, refused, summary};

#[test]
fn an_event_of_agentcore_memory() {
    let event = |field: &str| {
        format!(
            r#"{{"memoryId":"mem","actorId":"u","sessionId":"c",{field},"payload":[{{"conversational":{{"role":"USER","content":{{"text":"q"}}}}}},
                {{"conversational":{{"role":"ASSISTANT","content":{{"text":"a"}}}}}},{{"conversational":{{"role":"OTHER","content":{{"text":"o"}}}}}},{{"blob":{{"k":1}}}}]}}"#
        )
    };
    assert_snapshot!(summary(&one(&event(r#""eventTimestamp":1763892000.123,"clientToken":"e1""#))), @r#"
    conversations/v1/t=default/dt=2025-11-23/c=c/100000123-e1.json
    agentcore c user=u history=delta model=- nul=0 surrogate=0
    0 input user e1-0 <- - finish=- [] "q"
    1 output assistant e1-1 <- e1-0 finish=- [] "a"
    2 input OTHER e1-2 <- e1-1 finish=- [] "o"
    context={} metadata={"extra":{"payload":[{"blob":{"k":1}}],"memoryId":"mem","eventTimestamp":1763892000.123}}
    "#);
    let listed = one(&event(
        r#""eventTimestamp":"2026-11-23T10:00:00Z","eventId":"0000001763892000#abc""#,
    ));
    assert_eq!(listed.event_id, "0000001763892000#abc");
    assert_eq!(
        listed.occurred_at.map(crate::instant::rfc3339).as_deref(),
        Some("2026-11-23T10:00:00Z")
    );
}

#[test]
fn what_is_no_conversational_payload_is_told_by_path() {
    refused(
        r#"{"memoryId":"m","actorId":"u","payload":[{"conversational":{"content":{"text":"q"}}}]}"#,
        "invalid `payload[0].conversational.role`: found nothing; accepted: a string that is not empty",
    );
}
