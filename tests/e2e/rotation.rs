//! `secret-rotation`: the four steps, and the clients that go on meanwhile.

mod economy;
mod log;
mod password;
mod promotion;
mod recovery;
mod replicas;

use local::Credentials;
use local::secrets_manager::{Hold, Step};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::capture::turn;
use crate::system::{CAPTURE, PATIENCE, ROTATION, ROTATION_ARN, SECRET, System, event};

impl System {
    /// Starts a rotation that stands still before `step`, and returns its token and what lets it go on.
    pub async fn rotation_before(&self, step: Step) -> (String, Hold) {
        let hold = self.stack.secrets_manager().hold_before(step);
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config());
        let started = client
            .rotate_secret()
            .secret_id(SECRET)
            .rotation_lambda_arn(ROTATION_ARN)
            .rotation_rules(
                aws_sdk_secretsmanager::types::RotationRulesType::builder()
                    .automatically_after_days(30)
                    .build(),
            )
            .send()
            .await
            .unwrap();
        self.stands_before(step).await;
        (started.version_id().unwrap().to_owned(), hold)
    }

    /// Waits until a rotation stands still before `step`.
    pub async fn stands_before(&self, step: Step) {
        local::wait::until(
            format!("a rotation that stands before {step}"),
            PATIENCE,
            async || {
                let rotations = self.stack.secrets_manager().rotations();
                rotations
                    .last()
                    .is_some_and(|rotation| rotation.waiting_before == Some(step))
                    .then_some(())
            },
        )
        .await
        .unwrap();
    }

    /// The event of one step.
    pub async fn step(&self, step: &str, token: &str) -> Value {
        json!({"Step": step, "SecretId": self.secret_arn().await, "ClientRequestToken": token})
    }

    pub async fn secret_arn(&self) -> String {
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config());
        let described = client
            .describe_secret()
            .secret_id(SECRET)
            .send()
            .await
            .unwrap();
        described.arn().unwrap().to_owned()
    }

    /// Invokes a step and expects success, which is null.
    pub async fn step_succeeds(&self, step: &str, token: &str) {
        let invoked = self.invoke(ROTATION, &self.step(step, token).await).await;
        let payload = String::from_utf8_lossy(&invoked.payload).into_owned();
        assert!(
            invoked.function_error.is_none() && payload == "null",
            "{step}: {payload}"
        );
    }

    /// Whether the database accepts the version that holds `stage`.
    pub async fn opens(&self, stage: &str) -> bool {
        let secret = self.secret(stage).unwrap();
        let text = |key: &str| secret[key].as_str().unwrap().to_owned();
        let credentials = Credentials::new(text("username"), text("password"));
        self.database.connect(&credentials).await.is_ok()
    }

    /// Takes `AWSPENDING` off a version, as operators do who want to get rid of a rotation.
    pub async fn remove_pending(&self, token: &str) {
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config());
        client
            .update_secret_version_stage()
            .secret_id(SECRET)
            .version_stage("AWSPENDING")
            .remove_from_version_id(token)
            .send()
            .await
            .unwrap();
    }

    /// Lines of the rotation function's log that contain `fragment`.
    pub fn rotation_log(&self, fragment: &str) -> Vec<String> {
        let lines = self.stack.functions().log(ROTATION).into_iter();
        lines
            .map(|line| line.text)
            .filter(|text| text.contains(fragment))
            .collect()
    }

    /// How often the database refused a password of the application so far.
    pub fn refused_logins(&self) -> usize {
        let line = format!(
            "password authentication failed for user \"{}\"",
            self.application
        );
        self.stack
            .server()
            .log()
            .unwrap()
            .lines()
            .filter(|logged| logged.contains(&line))
            .count()
    }
}

#[tokio::test]
async fn a_rotation_replaces_the_password_and_moves_the_labels() {
    let system = System::start("rotate").await;
    let old = system.version("AWSCURRENT").unwrap();
    let old_secret = system.secret("AWSCURRENT").unwrap();
    system.rotate().await;
    let new_secret = system.secret("AWSCURRENT").unwrap();
    assert_ne!(system.version("AWSCURRENT").unwrap(), old);
    assert_eq!(system.version("AWSPREVIOUS").unwrap(), old);
    assert_ne!(new_secret["password"], old_secret["password"]);
    for key in ["engine", "host", "port", "username", "dbname"] {
        assert_eq!(new_secret[key], old_secret[key], "{key} is carried over");
    }
    assert!(system.opens("AWSCURRENT").await);
    assert!(!system.opens("AWSPREVIOUS").await);
    let verifier = "SELECT count(*) FROM pg_authid WHERE rolname = $1 AND rolpassword LIKE 'SCRAM-SHA-256$4096:%'";
    assert_eq!(system.number(verifier, &[&system.application]).await, 1);
}

/// The gap of a rotation: the database has the new password, AWSCURRENT is still the old one.
#[tokio::test]
async fn captures_go_on_in_the_gap() {
    let system = System::start("gap").await;
    system.capture(&turn("c", 1)).await;
    let (_, hold) = system.rotation_before(Step::FinishSecret).await;
    assert!(!system.opens("AWSCURRENT").await, "this is the gap");
    assert!(system.opens("AWSPENDING").await);

    let warm = system.capture(&turn("c", 2)).await;
    assert_eq!(
        warm["status"], "stored",
        "an open connection is not dropped"
    );
    system.stack.functions().retire(CAPTURE);
    let cold = system.capture(&turn("c", 3)).await;
    assert_eq!(
        cold["status"], "stored",
        "a new connection finds AWSPENDING"
    );
    let pending = system.stack.functions().log(CAPTURE);
    assert!(
        pending
            .iter()
            .any(|line| line.text.contains("logged in") && line.text.contains("AWSPENDING"))
    );

    drop(hold);
    local::wait::until("the end of the rotation", PATIENCE, async || {
        let rotations = system.stack.secrets_manager().rotations();
        rotations
            .last()
            .is_some_and(|rotation| rotation.ended.is_some())
            .then_some(())
    })
    .await
    .unwrap();
    system.stack.functions().retire(CAPTURE);
    assert_eq!(system.capture(&turn("c", 4)).await["status"], "stored");
}

#[tokio::test]
async fn the_preamble_refuses_as_the_reference_does() {
    let system = System::start("preamble").await;
    for code in [
        "ResourceNotFoundException",
        "INVALID_EVENT",
        "VERSION_WITHOUT_STAGE",
        "INVALID_STEP",
        "VERSION_NOT_PENDING",
    ] {
        system.announce(code);
    }
    let arn = system.secret_arn().await;
    let current = system.version("AWSCURRENT").unwrap();
    let error = async |event: Value| system.refused(ROTATION, &event).await;
    let value_error = |message: String| ("ValueError".to_owned(), message);

    let mut sample = event("rotation-create-secret.json");
    assert_eq!(error(sample.clone()).await.0, "ResourceNotFoundException");
    sample.as_object_mut().unwrap().remove("ClientRequestToken");
    assert_eq!(
        error(sample).await,
        value_error("No value provided for \"ClientRequestToken\".".to_owned())
    );
    let (_, hold) = system.rotation_before(Step::CreateSecret).await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    assert_eq!(
        error(system.step("createSecret", unknown).await).await,
        value_error(format!(
            "Secret version {unknown} has no stage for rotation of secret {arn}."
        ))
    );
    let pending = system.version("AWSPENDING").unwrap();
    assert_eq!(
        error(system.step("boilSecret", &pending).await).await,
        value_error(format!(
            "Invalid step parameter boilSecret for secret {arn}"
        ))
    );
    system.step_succeeds("boilSecret", &current).await;
    drop(hold);
    local::wait::until("the end of the rotation", PATIENCE, async || {
        (system.version("AWSCURRENT")? == pending).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(
        error(system.step("setSecret", &current).await).await,
        value_error(format!(
            "Secret version {current} not set as AWSPENDING for rotation of secret {arn}."
        ))
    );
    let missing =
        json!({"Step": "createSecret", "SecretId": "nowhere", "ClientRequestToken": current});
    assert_eq!(error(missing).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn the_application_user_need_not_be_simple() {
    let system = System::start("names").await;
    let superuser = system.database.superuser().await.unwrap();
    let role = "Ana \"the\" App";
    let create = "CREATE ROLE \"Ana \"\"the\"\" App\" LOGIN";
    superuser.batch_execute(create).await.unwrap();
    let first = Credentials::generate(role);
    system.stack.server().set_password(&first).await.unwrap();
    let text = system.database.secret(&first);
    let secret = system
        .stack
        .secrets_manager()
        .create("named", &text)
        .unwrap();
    let output = system
        .turnkeep(&[
            "--secret",
            "named",
            "rotate",
            "--function",
            ROTATION_ARN,
            "--days",
            "30",
            "--wait",
        ])
        .await;
    crate::system::succeeded(&output);
    let rotated = system
        .stack
        .secrets_manager()
        .text(&secret, "AWSCURRENT")
        .unwrap();
    let rotated: Value = serde_json::from_str(rotated.expose_secret()).unwrap();
    let password = rotated["password"].as_str().unwrap();
    assert!(
        system
            .database
            .connect(&Credentials::new(role, password))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_migrate_step_makes_an_empty_database_ready() {
    let system = System::empty("migrate").await;
    let secret = system.database.secret(&system.new_credentials());
    system
        .stack
        .secrets_manager()
        .create(SECRET, &secret)
        .unwrap();
    system.define_rotation(&[("BOOTSTRAP_SECRET", &system.master_secret)]);
    for _ in 0..2 {
        let invoked = system
            .invoke(ROTATION, &event("rotation-migrate.json"))
            .await;
        assert!(
            invoked.function_error.is_none(),
            "{}",
            String::from_utf8_lossy(&invoked.payload)
        );
    }
    assert_eq!(system.capture(&turn("c", 1)).await["status"], "stored");
}
