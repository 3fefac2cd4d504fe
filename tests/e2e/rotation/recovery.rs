//! The database has a password that no label names any more: the versions without a label are searched for it.

use local::secrets_manager::{Hold, Step};
use local::{Credentials, canary};
use serde_json::{Value, json};

use crate::system::{PATIENCE, ROTATION, SECRET, System};

impl System {
    /// Lets a rotation set its password and then takes its label off, so that no label names the password; its token.
    async fn lose_the_label(&self) -> String {
        self.announce("VERSION_WITHOUT_STAGE");
        let (token, hold) = self.rotation_before(Step::CreateSecret).await;
        self.step_succeeds("createSecret", &token).await;
        self.step_succeeds("setSecret", &token).await;
        self.remove_pending(&token).await;
        drop(hold);
        let rotation = self
            .stack
            .secrets_manager()
            .rotation_over(&token, PATIENCE)
            .await
            .unwrap();
        assert!(!rotation.succeeded());
        assert!(!self.opens("AWSCURRENT").await);
        token
    }

    /// Puts a version that no label names, with a password that opens nothing.
    async fn put_unlabelled(&self, number: u32) {
        let mut secret = self.secret("AWSCURRENT").unwrap();
        secret["password"] = json!(format!("{} of nobody {number}", canary::PASSWORD));
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config());
        let put = client
            .put_secret_value()
            .secret_id(SECRET)
            .secret_string(secret.to_string())
            .version_stages("MINE")
            .send()
            .await
            .unwrap();
        client
            .update_secret_version_stage()
            .secret_id(SECRET)
            .version_stage("MINE")
            .remove_from_version_id(put.version_id().unwrap())
            .send()
            .await
            .unwrap();
    }

    /// Expects `setSecret` of a new rotation to know no password; what the log says of the search, and what holds the
    /// rotation back.
    async fn password_unknown(&self) -> (String, Hold) {
        self.announce("DB_PASSWORD_UNKNOWN");
        let (token, hold) = self.rotation_before(Step::SetSecret).await;
        let event = self.step("setSecret", &token).await;
        let expected = format!(
            "Unable to log into database with previous, current, or pending secret of secret arn {}",
            self.secret_arn().await
        );
        let refused = self.refused(ROTATION, &event).await;
        assert_eq!(refused, ("ValueError".to_owned(), expected));
        let told = self.rotation_log("DB_PASSWORD_UNKNOWN").pop().unwrap();
        (told, hold)
    }
}

/// The usual advice for a stuck rotation locks the reference out for good.
#[tokio::test]
async fn s10_a_rotation_behind_a_removed_label_finds_the_password() {
    let system = System::start("s10").await;
    let lost = system.lose_the_label().await;
    system.rotate().await;
    assert!(system.opens("AWSCURRENT").await);
    let told = system.rotation_log("recovered_from");
    assert!(
        told.len() == 1 && told[0].contains(&lost),
        "one line names the version: {told:?}"
    );
}

#[tokio::test]
async fn s13_a_database_that_was_restored_has_the_password_of_an_old_version() {
    let system = System::start("s13").await;
    let restored = system.secret("AWSCURRENT").unwrap();
    system.rotate().await;
    system.rotate().await;
    let text = |key: &str| restored[key].as_str().unwrap().to_owned();
    let credentials = Credentials::new(text("username"), text("password"));
    let server = system.stack.server();
    server.set_password(&credentials).await.unwrap();
    assert!(!system.opens("AWSCURRENT").await && !system.opens("AWSPREVIOUS").await);
    system.rotate().await;
    assert!(system.opens("AWSCURRENT").await);
}

/// Newer versions that open nothing cost a login each, up to the number that is configured.
#[tokio::test]
async fn the_search_takes_as_many_logins_as_are_configured() {
    let system = System::start("bounded").await;
    let lost = system.lose_the_label().await;
    for number in 0..6 {
        system.put_unlabelled(number).await;
    }
    let before = system.refused_logins();
    let (told, _hold) = system.password_unknown().await;
    assert!(told.contains("refused: 7, 5"), "{told}");
    // Pending, current, the five and pending once more; there is no previous one.
    assert_eq!(system.refused_logins() - before, 8);

    system.define_rotation(&[("RECOVERY_VERSIONS", "7")]);
    let token = system.version("AWSPENDING").unwrap();
    system.step_succeeds("setSecret", &token).await;
    assert!(system.opens("AWSPENDING").await);
    let told = system.rotation_log("recovered_from");
    assert!(told.len() == 1 && told[0].contains(&lost), "{told:?}");
}

#[tokio::test]
async fn without_the_permission_to_list_or_with_the_search_off_the_reason_is_named() {
    let system = System::start("denied").await;
    system.lose_the_label().await;
    let secrets_manager = system.stack.secrets_manager();
    let denied = secrets_manager.refuse("ListSecretVersionIds", None, "AccessDeniedException");
    let (told, _hold) = system.password_unknown().await;
    assert!(told.contains("may not call ListSecretVersionIds"), "{told}");
    drop(denied);
    let token = system.version("AWSPENDING").unwrap();
    system.define_rotation(&[("RECOVERY_VERSIONS", "0")]);
    let event: Value = system.step("setSecret", &token).await;
    let (error_type, _) = system.refused(ROTATION, &event).await;
    assert_eq!(error_type, "ValueError");
    let told = system.rotation_log("DB_PASSWORD_UNKNOWN").pop().unwrap();
    assert!(told.contains("`RECOVERY_VERSIONS` is 0"), "{told}");
}

/// A policy may allow the value of the current and of the pending version only.
#[tokio::test]
async fn versions_that_may_be_listed_and_not_read_are_a_warning() {
    let system = System::start("unreadable").await;
    system.lose_the_label().await;
    let refusal = system.stack.secrets_manager().refuse_unlabelled();
    let (told, _hold) = system.password_unknown().await;
    assert!(told.contains("VERSIONS_NOT_READABLE"), "{told}");
    assert!(told.contains("GetSecretValue"), "{told}");
    assert!(told.contains("refused: 1, 0"), "{told}");
    drop(refusal);
    let token = system.version("AWSPENDING").unwrap();
    system.step_succeeds("setSecret", &token).await;
    assert!(system.opens("AWSPENDING").await);
}
