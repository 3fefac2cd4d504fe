//! A secret with replicas in other regions.

use std::time::Duration;

use local::secrets_manager::Step;

use crate::system::{PATIENCE, ROTATION, SECRET, System};

impl System {
    fn replicate(&self, status: &str) {
        let secrets_manager = self.stack.secrets_manager();
        secrets_manager
            .replicate(SECRET, "eu-west-1", status)
            .unwrap();
    }

    /// Waits until the function has looked at the secret this often.
    async fn looked_at(&self, times: usize) {
        let what = format!("{times} looks at the secret");
        local::wait::until(what, PATIENCE, async || {
            let calls = self.stack.gateway().calls();
            let looks = calls
                .iter()
                .filter(|call| call.operation == "DescribeSecret");
            (looks.count() >= times).then_some(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn f6_the_label_moves_when_the_replicas_are_in_sync() {
    let system = System::start("f6").await;
    let (token, _hold) = system.rotation_before(Step::FinishSecret).await;
    let current = system.version("AWSCURRENT");
    let event = system.step("finishSecret", &token).await;
    system.replicate("InProgress");
    system.stack.gateway().clear_calls();
    let finish = tokio::spawn(system.invoke(ROTATION, &event));
    system.looked_at(3).await;
    assert_eq!(system.version("AWSCURRENT"), current);
    system.replicate("InSync");
    let invoked = finish.await.unwrap();
    assert!(invoked.function_error.is_none());
    assert_eq!(system.version("AWSCURRENT"), Some(token));
    assert!(system.opens("AWSCURRENT").await);
}

/// Nothing is broken yet where the database still has the old password, so the step stops and says what to do.
#[tokio::test]
async fn f6_before_the_change_replicas_that_stay_behind_stop_the_step() {
    let system = System::start("f6_set").await;
    system.announce("REPLICAS_BEHIND");
    let short = system.rotation_function();
    let functions = system.stack.functions();
    functions
        .define(short.timeout(Duration::from_secs(10)))
        .unwrap();
    let (token, _hold) = system.rotation_before(Step::SetSecret).await;
    system.replicate("InProgress");
    let event = system.step("setSecret", &token).await;
    let (error_type, message) = system.refused(ROTATION, &event).await;
    assert_eq!(error_type, "REPLICAS_BEHIND");
    assert!(message.ends_with("eu-west-1"), "{message}");
    assert!(system.opens("AWSCURRENT").await);
    system.replicate("InSync");
    system.step_succeeds("setSecret", &token).await;
}

/// A failed replica stays failed until somebody mends it: clients of the primary region are not made to wait for that.
#[tokio::test]
async fn f6_a_failed_replica_is_a_warning() {
    let system = System::start("f6_failed").await;
    system.announce("REPLICAS_NOT_IN_SYNC");
    system.replicate("Failed");
    system.rotate().await;
    assert!(system.opens("AWSCURRENT").await);
    assert!(system.rotation_log("REPLICAS_NOT_IN_SYNC")[0].contains("eu-west-1"));
}
