use super::*;

fn problems(text: &str) -> String {
    Policies::parse(text).expect_err("refused").join("\n")
}

fn policy_ids(text: &str) -> (String, String) {
    let policies = Policies::parse(text).expect("accepted").expect("not off");
    (
        policies.of("acme").id.clone(),
        policies.of("other").id.clone(),
    )
}

#[test]
fn a_word_is_enough() {
    assert!(Policies::parse("off").expect("accepted").is_none());
    for mode in Mode::ALL {
        let policies = Policies::parse(mode.as_str())
            .expect("accepted")
            .expect("not off");
        let policy = policies.of("anybody");
        assert!(
            Kind::ALL
                .iter()
                .all(|kind| policy.mode_of(*kind) == Some(mode))
        );
        assert!(policy.id.starts_with(mode.as_str()), "{}", policy.id);
    }
}

#[test]
fn every_problem_names_its_field() {
    insta::assert_snapshot!(problems("yes"), @"it is neither a word nor a JSON object; accepted: `off`, `mask`, `hash` or `drop`, or an object with `mode`, `kinds`, `patterns` and `tenants`");
    insta::assert_snapshot!(problems("[]"), @"it is neither a word nor a JSON object; accepted: `off`, `mask`, `hash` or `drop`, or an object with `mode`, `kinds`, `patterns` and `tenants`");
    insta::assert_snapshot!(problems("{}"), @"`mode` is missing; accepted: `off`, `mask`, `hash` or `drop`");
    insta::assert_snapshot!(
        problems(
            r#"{"mode":"hide","kind":{},"kinds":{"mail":"mask","card":7},
                "patterns":[{"name":"Employee","regex":"E+"},{"name":"x","regex":"(","mode":"off","flags":"i"},{"name":"x","regex":"a"}],
                "tenants":{"acme":"none","labs":{"mode":"mask","tenants":{}},"corp":7}}"#
        ),
        @r#"
    `kind` is not known; accepted: `mode`, `kinds`, `patterns`, `tenants`
    `mode` is not accepted: "hide"; accepted: `off`, `mask`, `hash` or `drop`
    `kinds.card` is not accepted: 7; accepted: `off`, `mask`, `hash` or `drop`
    `kinds.mail` is not known; accepted: `private_key`, `jwt`, `iban`, `card`, `aws_access_key`, `email`, `phone`
    `patterns[0].name` is no name; accepted: up to 32 letters from a to z and `_`
    `patterns[0].regex` has no limit; accepted: what matches 256 bytes at most, such as `{1,40}` in the place of `+`
    `patterns[1].regex` is no regular expression of the crate `regex` (without look-around and back references, classes in ASCII)
    `patterns[1].mode` is `off`; accepted: to leave the pattern out
    `patterns[1].flags` is not known; accepted: `name`, `regex`, `mode`
    `patterns[2].name` is taken; accepted: another name
    `tenants.acme` is not accepted: "none"; accepted: `off`, `mask`, `hash` or `drop`
    `tenants.corp` is no policy; accepted: `off`, `mask`, `hash` or `drop`, or an object
    `tenants.labs.tenants` is not known; accepted: `mode`, `kinds`, `patterns`
    "#
    );
    insta::assert_snapshot!(problems(r#"{"mode":"mask","kinds":[],"patterns":{},"tenants":[]}"#), @r"
    `kinds` is no object; accepted: a mode for any of `private_key`, `jwt`, `iban`, `card`, `aws_access_key`, `email`, `phone`
    `patterns` is no list of at most 32; accepted: objects with `name` and `regex`
    `tenants` is no object; accepted: a policy for each tenant
    ");
    let letters = "abcdefghij".chars();
    let large: Vec<_> = letters.map(|letter| format!("{letter}{{1,250}}")).collect();
    let pattern = |name: char| {
        format!(
            r#"{{"name":"{name}","regex":"{name}|{}"}}"#,
            large.join("|")
        )
    };
    let patterns: Vec<_> = ('a'..='z').map(pattern).collect();
    let large = format!(r#"{{"mode":"mask","patterns":[{}]}}"#, patterns.join(","));
    insta::assert_snapshot!(problems(&large), @"`patterns` are too large together; accepted: fewer, or shorter ones");
}

#[test]
fn a_policy_has_an_id() {
    let mask = policy_ids("mask").0;
    assert_eq!(policy_ids(r#"{"mode":"mask"}"#).0, mask, "the same policy");
    assert_eq!(
        policy_ids(r#"{"mode":"mask","kinds":{"card":"mask"}}"#).0,
        mask
    );
    assert_ne!(
        policy_ids(r#"{"mode":"mask","kinds":{"card":"hash"}}"#).0,
        mask
    );
    assert_ne!(
        policy_ids(r#"{"mode":"mask","patterns":[{"name":"x","regex":"a"}]}"#).0,
        mask
    );
    let (acme, other) = policy_ids(r#"{"mode":"mask","tenants":{"acme":"hash"}}"#);
    assert_eq!(other, mask);
    assert_eq!(acme, policy_ids("hash").0);
}

#[test]
fn what_a_tenant_does_not_say_all_others_say() {
    let text = r#"{"mode":"mask","kinds":{"card":"drop"},"patterns":[{"name":"x","regex":"a"}],
        "tenants":{"kinds":{"kinds":{"email":"hash"}},"mode":{"mode":"hash"},"word":"hash","off":"off"}}"#;
    let policies = Policies::parse(text).expect("accepted").expect("not off");
    let of = |tenant: &str| {
        let policy = policies.of(tenant);
        let modes = [Kind::Card, Kind::Email, Kind::Phone].map(|kind| policy.mode_of(kind));
        (modes, policy.own(0).map(|(_, mode)| mode))
    };
    let (mask, hash, drop) = (Some(Mode::Mask), Some(Mode::Hash), Some(Mode::Drop));
    assert_eq!(of("anybody"), ([drop, mask, mask], mask));
    assert_eq!(of("kinds"), ([mask, hash, mask], mask));
    assert_eq!(of("mode"), ([drop, hash, hash], hash));
    assert_eq!(of("word"), ([hash, hash, hash], hash));
    assert_eq!(of("off"), ([None, None, None], None));
}
