//! The operator's steps of `secret-rotation`, by direct invoke and through `turnkeep`.

mod audit;
mod preflight;
mod recover;

use std::process::Output;

use serde_json::Value;

use crate::system::{ROTATION, System};

impl System {
    /// Invokes an operator's step and expects a report.
    pub async fn ordered(&self, event: &Value) -> Value {
        let invoked = self.invoke(ROTATION, event).await;
        let payload = String::from_utf8_lossy(&invoked.payload).into_owned();
        assert!(invoked.function_error.is_none(), "{event}: {payload}");
        serde_json::from_str(&payload).unwrap()
    }

    /// The calls of Secrets Manager's API since the record was cleared.
    pub fn asked(&self) -> Vec<String> {
        let calls = self.stack.gateway().calls().into_iter();
        let calls = calls.filter(|call| call.service == "SecretsManager");
        calls.map(|call| call.operation).collect()
    }
}

/// The codes of the findings of a report.
pub fn found(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    let codes = findings.iter().map(|finding| finding["code"].as_str());
    codes.map(Option::unwrap).collect()
}

/// What `turnkeep --json` printed, having ended with this code.
#[track_caller]
pub fn document(output: &Output, code: i32) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
