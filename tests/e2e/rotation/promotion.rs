//! Fast promotion: the label moves within `setSecret`.

use local::secrets_manager::{Outcome, Step};

use crate::system::{PATIENCE, ROTATION, System};

/// The gap that the function has measured itself, in milliseconds.
fn gap(line: &str) -> u64 {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["fields"]["gap_ms"].as_u64().unwrap()
}

#[tokio::test]
async fn fast_promotion_ends_the_gap_within_set() {
    let system = System::start("fast").await;
    system.define_rotation(&[("FAST_PROMOTION", "true")]);
    let (token, hold) = system.rotation_before(Step::TestSecret).await;
    assert_eq!(system.version("AWSCURRENT"), Some(token.clone()));
    assert!(system.opens("AWSCURRENT").await);
    let told = system.rotation_log("set_and_promoted");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(gap(&told[0]) < 10_000, "{told:?}");
    drop(hold);
    let secrets_manager = system.stack.secrets_manager();
    let rotation = secrets_manager.rotation_over(&token, PATIENCE).await;
    assert_eq!(rotation.unwrap().outcome, Some(Outcome::Succeeded));
    assert_eq!(system.rotation_log("already_current").len(), 2);
    assert_eq!(system.version("AWSPENDING"), None);
}

/// What was cut off between the change and the label goes on with the label.
#[tokio::test]
async fn fast_promotion_is_repeated_where_the_label_did_not_move() {
    let system = System::start("fast_cut").await;
    system.announce("InternalServiceError");
    system.define_rotation(&[("FAST_PROMOTION", "true")]);
    let (token, _hold) = system.rotation_before(Step::SetSecret).await;
    let secrets_manager = system.stack.secrets_manager();
    let refused = secrets_manager.refuse("UpdateSecretVersionStage", None, "InternalServiceError");
    let event = system.step("setSecret", &token).await;
    system.refused(ROTATION, &event).await;
    assert!(system.opens("AWSPENDING").await && !system.opens("AWSCURRENT").await);
    drop(refused);
    system.step_succeeds("setSecret", &token).await;
    assert_eq!(system.version("AWSCURRENT"), Some(token));
    assert!(system.opens("AWSCURRENT").await);
}
