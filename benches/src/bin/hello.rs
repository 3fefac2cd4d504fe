//! The least a Lambda function in Rust can be: `lambda_runtime`, and an answer that is always the same.

use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::IgnoredAny;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run(service_fn(async |_: LambdaEvent<IgnoredAny>| {
        Ok::<_, lambda_runtime::Error>("hello")
    }))
    .await
}
