//! What is read from a document, and what stays of it when its password is replaced.

use proptest::prelude::*;

use super::*;

const FULL: &str = r#"{"engine":"aurora-postgresql","host":"db.example","port":5432,
    "username":"ial_app","password":"old","dbname":"ial_conversations"}"#;

fn parse(json: &str) -> Result<DatabaseSecret, DocumentError> {
    DatabaseSecret::parse(&json.into())
}

#[track_caller]
fn check_error(json: &str, error_type: &str, message: &str) {
    let error = parse(json).unwrap_err();
    assert_eq!(error.error_type(), error_type);
    assert_eq!(error.reference_message(), message);
}

#[test]
fn a_number_that_is_none_is_told_by_its_key() {
    let error =
        parse(r#"{"engine":"postgres","host":"h","username":"u","password":"p","port":"many"}"#);
    assert_eq!(
        error.unwrap_err().to_string(),
        "port is not usable, a whole number is accepted: invalid literal for int() with base 10: 'many'"
    );
}

#[test]
fn the_reference_rules_and_messages_in_their_order() {
    const ENGINE: &str =
        "\"Database engine must be set to 'postgres' in order to use this rotation lambda\"";
    check_error("{}", "KeyError", ENGINE);
    check_error("[]", "KeyError", ENGINE);
    check_error(r#"{"engine":"mysql"}"#, "KeyError", ENGINE);
    check_error(r#"{"engine":null,"host":"h"}"#, "KeyError", ENGINE);
    check_error(r#"{"engine":"Postgres"}"#, "KeyError", ENGINE);
    check_error(
        r#"{"engine":"postgres","password":"p"}"#,
        "KeyError",
        "'host key is missing from secret JSON'",
    );
    check_error(
        r#"{"engine":"postgres","host":"h"}"#,
        "KeyError",
        "'username key is missing from secret JSON'",
    );
    check_error(
        r#"{"engine":"postgres","host":"h","username":"u"}"#,
        "KeyError",
        "'password key is missing from secret JSON'",
    );
    check_error(
        r#"{"engine":"postgres","host":"h","username":"u","password":"p","port":"x"}"#,
        "ValueError",
        "invalid literal for int() with base 10: 'x'",
    );
    check_error(
        r#"{"engine":"postgres","host":"h","username":"u","password":"p","port":65536}"#,
        "ValueError",
        "port is not in 1 to 65535: 65536",
    );
    check_error(
        r#"{"engine":"postgres","host":1,"username":"u","password":"p"}"#,
        "ValueError",
        "host is not a string",
    );
    check_error(
        "{\"engine\":\n hunter2}",
        "JSONDecodeError",
        "secret is not valid json: line 2 column 2",
    );
    check_error(
        "",
        "JSONDecodeError",
        "secret is not valid json: line 1 column 0",
    );
}

#[test]
fn defaults_and_forms_of_the_optional_keys() {
    let full = parse(FULL).unwrap();
    assert_eq!(
        (full.port, full.dbname.as_str(), full.ssl, &full.masterarn),
        (5432, "ial_conversations", Ssl::Unspecified, &None)
    );

    let base = r#"{"engine":"postgres","host":"h","username":"u","password":"p""#;
    let with = |more: &str| parse(&format!("{base}{more}}}")).unwrap();
    assert_eq!(with("").port, 5432);
    assert_eq!(with(r#","port":"6543""#).port, 6543);
    assert_eq!(with(r#","port":6543.0"#).port, 6543);
    assert_eq!(with("").dbname, "postgres");
    assert_eq!(with(r#","dbname":null"#).dbname, "u");
    assert_eq!(
        with(r#","masterarn":"arn:x""#).masterarn.as_deref(),
        Some("arn:x")
    );
    for (json, ssl) in [
        ("true", Ssl::Required),
        ("\"TRUE\"", Ssl::Required),
        ("false", Ssl::Disabled),
        ("\"False\"", Ssl::Disabled),
        ("\"yes\"", Ssl::Unspecified),
        ("1", Ssl::Unspecified),
        ("null", Ssl::Unspecified),
    ] {
        assert_eq!(with(&format!(r#","ssl":{json}"#)).ssl, ssl, "{json}");
    }
    // The last of several members counts.
    assert_eq!(with(r#","username":"v""#).username, "v");
}

#[test]
fn only_the_password_changes() {
    let json = "{ \"x\" : 1.50e+3 ,\r\n\t\"pass\\u0077ord\":\"o\\\"ld\", \"engine\":\"postgres\",\
        \"ü\":[ ], \"host\":\"h\",\"username\":\"u\", \"password\" :\"old\"}";
    let new = parse(json).unwrap().with_password(&"n\"\\ü\n".into());
    assert_eq!(
        new.expose_secret(),
        "{ \"x\" : 1.50e+3 ,\r\n\t\"pass\\u0077ord\":\"n\\\"\\\\ü\\n\", \"engine\":\"postgres\",\
        \"ü\":[ ], \"host\":\"h\",\"username\":\"u\", \"password\" :\"n\\\"\\\\ü\\n\"}"
    );
}

#[track_caller]
fn check_difference(other: &str, expected: Option<&str>) {
    let (one, other) = (parse(FULL).unwrap(), parse(other).unwrap());
    assert_eq!(one.differs_beyond_credentials(&other).as_deref(), expected);
    assert_eq!(other.differs_beyond_credentials(&one).as_deref(), expected);
}

#[test]
fn documents_are_compared_by_value_and_without_the_credentials() {
    check_difference(FULL, None);
    check_difference(
        r#"{ "dbname":"ial_conversations", "password":"new", "username":"ial_app_clone",
            "port":5432, "host":"db\u002eexample", "engine":"aurora-postgresql" }"#,
        None,
    );
    check_difference(&FULL.replace("db.example", "db2.example"), Some("host"));
    check_difference(&FULL.replace("5432", "\"5432\""), Some("port"));
    check_difference(&FULL.replace("\"port\":5432,", ""), Some("port"));
    check_difference(&FULL.replace('}', ",\"note\":null}"), Some("note"));
}

#[test]
fn debug_shows_no_password() {
    let secret = parse(&FULL.replace("old", "hunter2")).unwrap();
    assert!(!format!("{secret:?}").contains("hunter2"));
}

/// One member: how its key is written, and its value.
fn member() -> impl Strategy<Value = (String, String)> {
    let value = prop_oneof![
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
        any::<i128>().prop_map(|n| n.to_string()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        Just("null".to_owned()),
        Just("[ 1, {\"password\": 2} ]".to_owned()),
        Just("\"\\ud800\"".to_owned()),
    ];
    ("x[a-zé]{0,6}", value).prop_map(|(key, value)| (format!("\"{key}\""), value))
}

proptest! {
    #[test]
    fn all_but_the_password_survives_byte_for_byte(
        before in prop::collection::vec(member(), 0..4),
        after in prop::collection::vec(member(), 0..4),
        space in "[ \t\r\n]{0,3}",
        old in any::<String>(),
        new in any::<String>(),
    ) {
        let fixed = r#""engine":"postgres","host":"h","username":"u""#;
        let document = |password: &str| {
            let mut members: Vec<String> = before.iter().map(|(k, v)| format!("{k}:{space}{v}")).collect();
            members.push(fixed.to_owned());
            members.push(format!("\"password\"{space}:{space}{}", Value::from(password)));
            members.extend(after.iter().map(|(k, v)| format!("{k}{space}:{v}")));
            format!("{space}{{{space}{}{space}}}{space}", members.join(&format!("{space},")))
        };
        let secret = parse(&document(&old)).unwrap();
        let changed = secret.with_password(&new.as_str().into());
        let expected = document(&new);
        prop_assert_eq!(changed.expose_secret(), expected.as_str());

        let changed = DatabaseSecret::parse(&changed).unwrap();
        prop_assert_eq!(changed.password.expose_secret(), new.as_str());
        prop_assert_eq!(changed.differs_beyond_credentials(&secret), None);
    }
}
