//! What `secret-rotation` tells of itself.

use std::collections::BTreeSet;

use local::secrets_manager::Step;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::system::{ROTATION, SECRET, System};

impl System {
    /// The lines of the rotation function's log that are JSON.
    fn rotation_lines(&self) -> Vec<Value> {
        let lines = self.stack.functions().log(ROTATION).into_iter();
        lines
            .filter_map(|line| serde_json::from_str(&line.text).ok())
            .collect()
    }
}

/// Names in backticks in the page that operators read.
fn documented() -> BTreeSet<String> {
    let page = local::Checkout::find()
        .unwrap()
        .root()
        .join("docs/rotation.md");
    let page = std::fs::read_to_string(page).unwrap();
    page.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn each_step_writes_one_line_whose_fields_are_documented() {
    let system = System::start("lines").await;
    system.announce("VERSION_NOT_PENDING");
    system.rotate().await;
    let previous = system.version("AWSPREVIOUS").unwrap();
    let event = system.step("setSecret", &previous).await;
    system.refused(ROTATION, &event).await;
    let (metrics, lines): (Vec<Value>, Vec<Value>) = system
        .rotation_lines()
        .into_iter()
        .partition(|line| line.get("_aws").is_some());
    assert_eq!((lines.len(), metrics.len()), (5, 5), "{lines:#?}");

    let known = documented();
    let fields = lines
        .iter()
        .flat_map(|line| line["fields"].as_object().unwrap().keys());
    let values = metrics
        .iter()
        .flat_map(|line| line.as_object().unwrap().keys());
    for name in fields.chain(values).filter(|name| *name != "_aws") {
        assert!(known.contains(name), "`{name}` is not in docs/rotation.md");
    }
    let outcomes: Vec<&str> = lines
        .iter()
        .map(|line| line["fields"]["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["stored", "set", "tested", "promoted", "failed"]);
    let sum = |field: &str| -> u64 {
        lines
            .iter()
            .map(|line| line["fields"][field].as_u64().unwrap())
            .sum()
    };
    // The refused step looks at the labels once.
    assert_eq!(sum("api_calls"), 14);
    assert_eq!(
        (sum("logins"), sum("login_attempts"), sum("refused_logins")),
        (4, 4, 1)
    );
}

/// An expired role answers like a wrong password, so it is said before.
#[tokio::test]
async fn s15_a_role_that_expires_soon_is_named_ahead() {
    let system = System::start("s15").await;
    system.announce("ROLE_EXPIRES_SOON");
    let superuser = system.database.superuser().await.unwrap();
    let until = format!(
        "DO $$ BEGIN EXECUTE format('ALTER ROLE {} VALID UNTIL %L', now() + interval '10 days 1 hour'); END $$",
        system.application
    );
    superuser.batch_execute(&until).await.unwrap();
    system.rotate().await;
    let told = system.rotation_log("ROLE_EXPIRES_SOON");
    assert!(
        told.len() == 2 && told.iter().all(|line| line.contains("in 10 days")),
        "{told:#?}"
    );
}

/// The master sets the password of a role that refuses every password: the login right behind it is refused.
#[tokio::test]
async fn s15_a_role_that_refuses_every_password_is_named_where_its_new_one_is_refused() {
    let system = System::start("s15refused").await;
    system.announce("PENDING_REFUSED");
    system.name_master(&system.master_secret.clone()).await;
    system.define_rotation(&[
        ("ROTATION_STRATEGY", "alternating-users"),
        ("FAST_PROMOTION", "true"),
    ]);
    // Behind two rotations there are both users, and the clone's turn comes again.
    system.rotate().await;
    system.rotate().await;
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    let superuser = system.database.superuser().await.unwrap();
    let alter = async |change: &str| {
        let clone = format!("{}_clone", system.application);
        let alter = format!("ALTER ROLE {clone} {change}");
        superuser.batch_execute(&alter).await.unwrap();
    };
    for (change, repair, code) in [
        (
            "VALID UNTIL '2020-01-01'",
            "VALID UNTIL 'infinity'",
            "ROLE_EXPIRED",
        ),
        ("NOLOGIN", "LOGIN", "ROLE_NOLOGIN"),
    ] {
        alter(change).await;
        let (kind, message) = system.refused(ROTATION, &event).await;
        assert_eq!(kind, "ValueError", "{message}");
        let told = system.rotation_log("PENDING_REFUSED").pop().unwrap();
        assert!(told.contains(code), "{told}");
        assert!(system.opens("AWSCURRENT").await, "no label moved");
        alter(repair).await;
    }
    system.whole_rotation(&token).await;
}

/// It proves who asks for a rotation from another account.
#[tokio::test]
async fn the_rotation_token_is_passed_on_and_never_printed() {
    let system = System::start("token").await;
    system.announce("AccessDeniedException");
    system.define_rotation(&[("AWS_LAMBDA_LOG_LEVEL", "TRACE")]);
    let secrets_manager = system.stack.secrets_manager();
    secrets_manager.demand_rotation_token();
    let (version, hold) = system.rotation_before(Step::CreateSecret).await;
    let mut event = system.step("createSecret", &version).await;
    let (error_type, _) = system.refused(ROTATION, &event).await;
    assert_eq!(error_type, "AccessDeniedException");
    let token = secrets_manager.rotation_token(SECRET).unwrap();
    event["RotationToken"] = json!(token.expose_secret());
    let invoked = system.invoke(ROTATION, &event).await;
    assert!(invoked.function_error.is_none());
    drop(hold);
    let rotation = secrets_manager
        .rotation_over(&version, crate::system::PATIENCE)
        .await
        .unwrap();
    assert!(rotation.succeeded());
    assert!(system.rotation_log("createSecret").len() >= 3);
    assert!(system.rotation_log(token.expose_secret()).is_empty());
}
