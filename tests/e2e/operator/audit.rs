//! `audit`: labels and ages, without a value.

use local::secrets_manager::Step;
use serde_json::json;

use super::{document, found};
use crate::system::{ROTATION, SECRET, System, event};

#[tokio::test]
async fn an_audit_reads_no_value_and_needs_no_database() {
    let system = System::start("audit").await;
    system.rotate().await;
    system.define_rotation(&[
        ("TURNKEEP_SECRET", SECRET),
        // Nothing listens there.
        ("DB_HOST", "127.0.0.2"),
    ]);
    system.stack.gateway().clear_calls();
    let report = system.ordered(&event("rotation-audit.json")).await;
    let output = system.turnkeep(&["audit", "--json"]).await;
    let mut asked = system.asked();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["DescribeSecret", "ListSecretVersionIds"]);

    let told = document(&output, 0);
    for report in [&report, &told] {
        assert_eq!(found(report), [""; 0], "{report}");
        assert_eq!(report["arn"], system.secret_arn().await);
        assert_eq!(report["age_days"], 0);
        assert_eq!(report["rotation_rule"], "30 days");
        assert_eq!(report["deprecated"], 0);
        assert_eq!(report["pending"], json!(null));
    }
    let log = system.stack.functions().log(ROTATION);
    assert!(
        log.iter().any(|line| {
            let metrics = ["\"SecretAgeDays\":0.0", "\"PendingAgeHours\":0.0"];
            metrics.iter().all(|metric| line.text.contains(metric))
        }),
        "what an alarm on ages watches"
    );
}

#[tokio::test]
async fn an_audit_names_what_needs_attention_and_its_repair() {
    let system = System::start("attention").await;
    system.announce("needs_attention");
    let output = system.turnkeep(&["audit", "--json"]).await;
    assert_eq!(found(&document(&output, 7)), ["ROTATION_NOT_CONFIGURED"]);

    let (token, hold) = system.rotation_before(Step::SetSecret).await;
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let cancel = client.cancel_rotate_secret().secret_id(SECRET);
    cancel.send().await.unwrap();
    let audit = json!({"Step": "audit", "SecretId": SECRET});
    let report = system.ordered(&audit).await;
    assert_eq!(found(&report), ["ROTATION_OFF"]);
    assert_eq!(report["pending"]["version_id"], token);
    let human = system.turnkeep(&["audit"]).await;
    assert_eq!(human.status.code(), Some(7));
    let human = String::from_utf8_lossy(&human.stdout).into_owned();
    assert!(human.contains("turnkeep rotate --secret"), "{human}");
    drop(hold);

    // Who may not list versions is told the rest.
    let _refusal = system.stack.secrets_manager().refuse(
        "ListSecretVersionIds",
        None,
        "AccessDeniedException",
    );
    let report = system.ordered(&audit).await;
    assert_eq!(report["deprecated"], json!(null));
}
