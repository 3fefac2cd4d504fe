use super::*;

fn description(enabled: Option<bool>, versions: &[(&str, &str)]) -> SecretDescription {
    let mut description = SecretDescription::default();
    description.arn = "arn:app".to_owned();
    description.rotation_enabled = enabled;
    description.rotation_function_arn = enabled.map(|_| "arn:function".to_owned());
    let versions = versions.iter();
    let versions = versions.map(|(id, label)| ((*id).to_owned(), vec![(*label).to_owned()]));
    description.versions = versions.collect();
    description
}

#[track_caller]
fn check_next(enabled: Option<bool>, pending: Option<&str>, expected: Option<&str>) {
    let labels: Vec<_> = pending.map(|id| (id, "AWSPENDING")).into_iter().collect();
    let found = next(&description(enabled, &labels), "v2");
    match expected {
        Some(part) => assert!(
            found.as_ref().is_some_and(|next| next.contains(part)),
            "{found:?}"
        ),
        None => assert_eq!(found, None),
    }
}

#[test]
fn what_is_left_to_do_is_named() {
    check_next(Some(true), None, None);
    check_next(None, None, None);
    check_next(Some(true), Some("v2"), None);
    check_next(Some(true), Some("v3"), Some("--client-request-token v3"));
    check_next(Some(false), Some("v3"), Some("--client-request-token v3"));
    check_next(
        Some(false),
        Some("v2"),
        Some("--function arn:function --wait"),
    );
}

#[test]
fn what_was_tried_in_vain_is_told_with_the_repair() {
    let error = |fruitless| RecoverError::NothingAccepted {
        secret_id: "app".to_owned(),
        fruitless,
    };
    let fruitless = Fruitless {
        login: Some(("ial_app".to_owned(), "db".to_owned())),
        refused: 3,
        unlabelled: Some(0),
    };
    insta::assert_snapshot!(error(fruitless.clone()), @"no label was moved, because the database refuses every version that was tried for user `ial_app` on db (3 refused login(s); 0 version(s) have no label); have the master user set it to what the current version holds: turnkeep create-tables --secret app --master-secret ID; an expired role, or one that may not log in, refuses every password: turnkeep preflight --secret app");
    let denied = Fruitless {
        unlabelled: None,
        ..fruitless
    };
    assert!(error(denied).to_string().contains("may not be listed"));
}

#[test]
fn it_reads_as_json_and_as_a_line() {
    let report = Report {
        dry_run: false,
        secret_arn: "arn:app".to_owned(),
        current: Current::Moved,
        version_id: "v3".to_owned(),
        found: "AWSPENDING".to_owned(),
        current_before: Some("v2".to_owned()),
        refused_logins: 1,
        next: None,
    };
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    insta::assert_snapshot!(json, @r#"{"dry_run":false,"secret_arn":"arn:app","current":"moved","version_id":"v3","found":"AWSPENDING","current_before":"v2","refused_logins":1,"next":null}"#);
    insta::assert_snapshot!(report, @"the database accepts version v3 (AWSPENDING), which was made current; refused logins before: 1");
    assert_eq!(report.outcome(), "recovered");
    let planned = Report {
        dry_run: true,
        ..report
    };
    assert_eq!(planned.outcome(), "planned");
}
