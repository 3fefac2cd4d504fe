//! What a rotation costs.

use std::collections::BTreeMap;

use local::secrets_manager::Step;
use serde_json::{Value, json};

use crate::system::{ROTATION, System};

impl System {
    /// Runs the four steps of one rotation, and expects the calls of Secrets Manager and one refused login.
    async fn costs(&self, expected: Value) {
        let (token, _hold) = self.rotation_before(Step::CreateSecret).await;
        let arn = self.secret_arn().await;
        self.stack.gateway().clear_calls();
        let refused = self.refused_logins();
        for step in Step::ALL {
            let event =
                json!({"Step": step.as_str(), "SecretId": arn, "ClientRequestToken": token});
            let invoked = self.invoke(ROTATION, &event).await;
            assert!(invoked.function_error.is_none(), "{step}");
        }
        let mut calls: BTreeMap<String, u32> = BTreeMap::new();
        for call in self.stack.gateway().calls() {
            if call.service == "SecretsManager" {
                *calls.entry(call.operation).or_default() += 1;
            }
        }
        assert_eq!(json!(calls), expected);
        assert_eq!(self.refused_logins() - refused, 1);
        assert!(self.opens("AWSCURRENT").await);
    }
}

/// The reference makes 14 with fewer checks.
#[tokio::test]
async fn a_rotation_is_thirteen_calls_and_one_refused_login() {
    let system = System::start("calls").await;
    let calls = json!({
        "DescribeSecret": 5,
        "GetRandomPassword": 1,
        "GetSecretValue": 5,
        "PutSecretValue": 1,
        "UpdateSecretVersionStage": 1,
    });
    system.costs(calls).await;
}

#[tokio::test]
async fn a_rotation_with_fast_promotion_is_eleven_calls() {
    let system = System::start("fast_calls").await;
    system.define_rotation(&[("FAST_PROMOTION", "true")]);
    let calls = json!({
        "DescribeSecret": 5,
        "GetRandomPassword": 1,
        "GetSecretValue": 3,
        "PutSecretValue": 1,
        "UpdateSecretVersionStage": 1,
    });
    system.costs(calls).await;
}
