//! One text of a user, as the first function of `IaL` took it.

use insta::assert_snapshot;

use super::{one, read, summary};
use crate::capture::Shape;

#[test]
fn one_text_of_a_user() {
    let bare = one(
        r#"{"text":"olá","user":"u","metadata":{"project":"ial"},"mood":"good","timestamp":"2026-11-23T10:00:00"}"#,
    );
    assert_snapshot!(summary(&bare), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=c-19f1064b619d49d35392eac7261cd726/100000000-request-1.json
    text c-19f1064b619d49d35392eac7261cd726 user=u history=delta model=- nul=0 surrogate=0
    0 input user request-1-0 <- - finish=- [] "olá"
    context={"project":"ial"} metadata={"extra":{"mood":"good","timestamp":"2026-11-23T10:00:00"}}
    "#);
    let inside =
        one(r#"{"headers":{"h":1},"body":{"text":"olá","user":"u","conversation_id":"c"}}"#);
    assert_snapshot!(summary(&inside), @r#"
    conversations/v1/t=default/dt=undated/c=c/request-1.json
    text_in_body c user=u history=delta model=- nul=0 surrogate=0
    0 input user request-1-0 <- - finish=- [] "olá"
    context={} metadata={"extra":{"request":{"headers":{"h":1}}}}
    "#);
    let text = one(r#"{"body":"{\"text\":\"a\\ud83d\",\"user\":7}"}"#);
    assert_eq!(text.shape, Shape::TextInBody);
    assert_eq!(text.messages[0].content().0, "a\u{fffd}");
    assert_eq!(text.sanitized.surrogate, 1);
    assert_eq!(text.metadata.to_string(), r#"{"extra":{"user":7}}"#);
    assert_eq!(bare.shape, Shape::Text);
    // Nobody's text.
    assert!(read(r#"{"body":"{\"hello\":1}"}"#).is_err());
    assert!(read(r#"{"text":"a"}"#).is_err());
}
