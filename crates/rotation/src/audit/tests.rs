use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

/// A secret that was rotated twelve days ago.
fn healthy() -> SecretDescription {
    let mut description = SecretDescription::default();
    description.arn = "arn:app".to_owned();
    description.name = "app".to_owned();
    description.rotation_enabled = Some(true);
    description.rotation_function_arn = Some("arn:function".to_owned());
    description.rotation_rules = Some(rules(Some(30), None));
    description.created_at = Some(NOW - Duration::days(400));
    description.last_changed_at = Some(NOW - Duration::days(12));
    description.last_rotated_at = Some(NOW - Duration::days(12));
    description.next_rotation_at = Some(NOW + Duration::days(18));
    description.versions = labels(&[("v1", &["AWSPREVIOUS"]), ("v2", &["AWSCURRENT"])]);
    description
}

fn rules(days: Option<i64>, schedule: Option<&str>) -> RotationRules {
    let mut rules = RotationRules::default();
    rules.days = days;
    rules.schedule = schedule.map(str::to_owned);
    rules
}

fn labels(versions: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let owned = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect();
    let versions = versions.iter();
    versions
        .map(|(id, labels)| ((*id).to_owned(), owned(labels)))
        .collect()
}

fn version(id: &str, stages: &[&str], age: Duration) -> VersionInfo {
    let mut version = VersionInfo::default();
    version.version_id = id.to_owned();
    version.stages = stages.iter().map(|&stage| stage.to_owned()).collect();
    version.created_at = Some(NOW - age);
    version
}

#[track_caller]
fn check(change: impl FnOnce(&mut SecretDescription), codes: &[&str]) -> Report {
    let mut description = healthy();
    change(&mut description);
    let report = audit(&description, None, NOW);
    let found: Vec<_> = report.findings.iter().map(|found| &found.code).collect();
    assert_eq!(found, codes, "{report}");
    report
}

#[test]
fn what_needs_attention_is_found_and_nothing_else() {
    check(|_| {}, &[]);
    check(|s| s.rotation_enabled = Some(false), &["ROTATION_OFF"]);
    check(|s| s.rotation_enabled = None, &["ROTATION_NOT_CONFIGURED"]);
    check(|s| s.deleted_at = Some(NOW), &["SECRET_DELETED"]);
    check(
        |s| s.versions = labels(&[("v1", &["AWSPREVIOUS"])]),
        &["NO_CURRENT_VALUE"],
    );
    check(
        |s| s.next_rotation_at = Some(NOW - Duration::SECOND),
        &["ROTATION_OVERDUE"],
    );
    // The service gives no date where it does not know one.
    let last = |days| {
        move |s: &mut SecretDescription| {
            s.next_rotation_at = None;
            s.last_rotated_at = Some(NOW - Duration::days(days));
        }
    };
    check(last(31), &[]);
    check(last(32), &["ROTATION_OVERDUE"]);
    let by_schedule = |schedule: &'static str| {
        move |s: &mut SecretDescription| {
            last(12)(s);
            s.rotation_rules = Some(rules(None, Some(schedule)));
        }
    };
    check(by_schedule("rate(10 days)"), &["ROTATION_OVERDUE"]);
    check(by_schedule("rate(4 hours)"), &["ROTATION_OVERDUE"]);
    check(by_schedule("rate(11 days)"), &[]);
    check(by_schedule("cron(0 16 1,15 * ? *)"), &[]);
}

/// AWSPENDING stays on the current version after some rotations, and a rotation takes a moment.
#[test]
fn a_version_is_stuck_when_it_is_pending_alone_and_for_long() {
    let pending = |age: Duration, on: &'static [&'static str]| {
        move |s: &mut SecretDescription| {
            s.versions = labels(&[("v2", &["AWSCURRENT"]), ("v3", on)]);
            s.last_changed_at = Some(NOW - age);
        }
    };
    check(pending(Duration::minutes(59), &["AWSPENDING"]), &[]);
    let report = check(
        pending(Duration::hours(26), &["AWSPENDING"]),
        &["PENDING_STUCK"],
    );
    assert_eq!(report.pending.unwrap().age_hours, Some(26));
    check(
        |s| s.versions = labels(&[("v2", &["AWSCURRENT", "AWSPENDING"])]),
        &[],
    );
    let mut unknown = healthy();
    pending(Duration::hours(26), &["AWSPENDING"])(&mut unknown);
    unknown.last_changed_at = None;
    assert_eq!(audit(&unknown, None, NOW).findings, []);
}

#[test]
fn listed_versions_tell_ages_that_the_description_does_not() {
    let mut description = healthy();
    description.versions = labels(&[("v2", &["AWSCURRENT"]), ("v3", &["AWSPENDING"])]);
    description.last_rotated_at = None;
    // A read counts as a change of nothing, a label as one.
    description.last_changed_at = Some(NOW - Duration::minutes(1));
    let versions = [
        version("v3", &["AWSPENDING"], Duration::hours(3)),
        version("v2", &["AWSCURRENT"], Duration::days(5)),
        version("v1", &[], Duration::days(9)),
        version("v0", &[], Duration::days(39)),
    ];
    let report = audit(&description, Some(&versions), NOW);
    assert_eq!(report.age_days, Some(5));
    assert_eq!(report.deprecated, Some(2));
    assert_eq!(report.pending.as_ref().unwrap().age_hours, Some(3));
    assert_eq!(report.outcome(), "needs_attention");
    insta::assert_snapshot!(report, @"audited app: 5 day(s) since the last rotation, version v3 is pending, needs attention: [PENDING_STUCK] version v3 has been pending for 3 hour(s): a rotation stopped before its end; find the cause with `turnkeep preflight --secret arn:app`, then let the rotation go on: aws secretsmanager rotate-secret --secret-id arn:app --client-request-token v3");
    description.versions.remove("v3");
    let report = audit(&description, None, NOW);
    assert_eq!((report.age_days, report.deprecated), (Some(400), None));
    insta::assert_snapshot!(serde_json::to_string(&report).unwrap(), @r#"{"name":"app","arn":"arn:app","rotation_enabled":true,"rotation_function_arn":"arn:function","rotation_rule":"30 days","last_rotated_at":null,"next_rotation_at":"2026-12-13T12:00:00Z","deleted_at":null,"age_days":400,"versions":[{"version_id":"v2","stages":["AWSCURRENT"],"created_at":null}],"pending":null,"deprecated":null,"findings":[{"code":"ROTATION_OVERDUE","severity":"error","message":"the time in which the secret was to be rotated is over","repair":"find the cause with `turnkeep preflight --secret arn:app`, then rotate: turnkeep rotate --secret arn:app --wait"}]}"#);
}
