//! Where new passwords come from, and how strong they have to be.

use local::canary;
use local::secrets_manager::Step;
use serde_json::json;

use crate::system::{ROTATION, SECRET, System};

#[tokio::test]
async fn a_password_of_the_systems_own_source_needs_no_call() {
    let system = System::start("local").await;
    system.define_rotation(&[("PASSWORD_SOURCE", "local"), ("PASSWORD_LENGTH", "40")]);
    // The password will have no mark, so something else in the secret has it.
    let mut marked = system.secret("AWSCURRENT").unwrap();
    marked["note"] = json!(canary::PASSWORD);
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    client
        .put_secret_value()
        .secret_id(SECRET)
        .secret_string(marked.to_string())
        .send()
        .await
        .unwrap();
    let secrets_manager = system.stack.secrets_manager();
    let _refused = secrets_manager.refuse("GetRandomPassword", None, "AccessDeniedException");
    system.rotate().await;
    assert!(system.opens("AWSCURRENT").await);
    let secret = system.secret("AWSCURRENT").unwrap();
    let password = secret["password"].as_str().unwrap();
    assert!(password.len() == 40 && !password.contains(canary::PASSWORD));
    assert_eq!(secret["note"], marked["note"]);
    assert!(system.rotation_log(password).is_empty());
    assert!(!system.stack.server().log().unwrap().contains(password));
}

#[tokio::test]
async fn a_weak_password_is_refused_whoever_makes_it() {
    let system = System::start("weak").await;
    system.announce("PASSWORD_TOO_WEAK");
    let (token, _hold) = system.rotation_before(Step::CreateSecret).await;
    let event = system.step("createSecret", &token).await;
    for source in ["api", "local"] {
        system.define_rotation(&[("PASSWORD_SOURCE", source), ("PASSWORD_LENGTH", "12")]);
        let (error_type, message) = system.refused(ROTATION, &event).await;
        assert_eq!(error_type, "PASSWORD_TOO_WEAK");
        assert!(message.contains("`PASSWORD_LENGTH`"), "{message}");
    }
    assert!(system.secret("AWSPENDING").is_none());
}
