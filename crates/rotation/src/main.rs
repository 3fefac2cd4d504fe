//! The Lambda function `secret-rotation`.

use lambda_runtime::service_fn;
use rotation::{Config, Rotation};
use startup::environment::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = Environment::of_this_process();
    startup::logging::start_function(&environment);
    let config = Config::from_environment(&environment)?;
    let options = startup::aws::Options::of_function(&environment, &config.https_roots);
    let aws = startup::aws::load(&options).await;
    let rotation = Rotation::new(config, &aws)?;
    lambda_runtime::run(service_fn(|event| rotation.handle(event))).await
}
