//! The documented cases of the label rules, each asked through the API's documents as a client would ask.
//!
//! What AWS answers is in the API reference of Secrets Manager (`PutSecretValue`, `UpdateSecretVersionStage`,
//! `GetSecretValue`, `RotateSecret`, `ListSecretVersionIds`) and in the code of its rotation functions.

mod rotations;
mod versions;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Hold, SecretsManager, Step};
use crate::lambda::{Function, Functions};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:secret-rotation";

/// A Secrets Manager whose rotations stop before their first step, so that nothing is ever called.
struct World {
    manager: SecretsManager,
    _hold: Hold,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let functions = Functions::new(folder.path().to_owned());
        functions
            .define(Function::binary("secret-rotation", "/nonexistent"))
            .expect("a function");
        let manager = SecretsManager::new(functions);
        let hold = manager.hold_before(Step::CreateSecret);
        Self {
            manager,
            _hold: hold,
            _folder: folder,
        }
    }

    /// A secret `app` whose version `a` is current.
    fn with_secret() -> Self {
        let world = Self::new();
        world.ok(
            "CreateSecret",
            &json!({"Name": "app", "ClientRequestToken": token("a"), "SecretString": "one"}),
        );
        world
    }

    #[track_caller]
    fn ok(&self, operation: &str, request: &Value) -> Value {
        match self
            .manager
            .answer(operation, request.to_string().as_bytes())
        {
            Ok(answer) => answer,
            Err(refused) => panic!("{operation} {request}: {refused}"),
        }
    }

    #[track_caller]
    fn refused(&self, operation: &str, request: &Value, code: &str) {
        match self
            .manager
            .answer(operation, request.to_string().as_bytes())
        {
            Err(refused) => assert_eq!(refused.code, code, "{operation} {request}: {refused}"),
            Ok(answer) => panic!("{operation} {request}: {answer}, but {code} was expected"),
        }
    }

    #[track_caller]
    fn put(&self, version: &str, text: &str, stages: Value) -> Value {
        self.ok("PutSecretValue", &put(version, text, stages))
    }

    #[track_caller]
    fn rotate(&self, version: &str) -> Value {
        self.ok(
            "RotateSecret",
            &json!({"SecretId": "app", "ClientRequestToken": token(version), "RotationLambdaARN": FUNCTION}),
        )
    }

    /// Labels by the letter of their version, as `DescribeSecret` shows them.
    #[track_caller]
    fn check(&self, expected: &[(&str, &[&str])]) {
        let described = self.ok("DescribeSecret", &json!({"SecretId": "app"}));
        let shown: BTreeMap<String, Vec<String>> =
            serde_json::from_value(described["VersionIdsToStages"].clone())
                .expect("a map of labels");
        let expected: BTreeMap<String, Vec<String>> = expected
            .iter()
            .map(|(version, labels)| {
                (
                    token(version),
                    labels.iter().map(|&label| label.to_owned()).collect(),
                )
            })
            .collect();
        assert_eq!(shown, expected);
    }

    fn text(&self, stage: &str) -> Value {
        self.ok(
            "GetSecretValue",
            &json!({"SecretId": "app", "VersionStage": stage}),
        )["SecretString"]
            .clone()
    }
}

/// A token of the right length that ends in the version's letter.
fn token(version: &str) -> String {
    format!("{version:0>32}")
}

fn put(version: &str, text: &str, stages: Value) -> Value {
    let mut request =
        json!({"SecretId": "app", "ClientRequestToken": token(version), "SecretString": text});
    if !stages.is_null() {
        request["VersionStages"] = stages;
    }
    request
}

fn update(stage: &str, to: Option<&str>, from: Option<&str>) -> Value {
    json!({
        "SecretId": "app", "VersionStage": stage,
        "MoveToVersionId": to.map(token), "RemoveFromVersionId": from.map(token),
    })
}
