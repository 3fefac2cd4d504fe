//! The Lambda function `conversation-capture`; see the library beside it.

use lambda_runtime::{LambdaEvent, service_fn};
use startup::environment::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    startup::memory::keep_mapped();
    let environment = Environment::of_this_process();
    startup::logging::start_function(&environment);
    let config = capture::Config::from_environment(&environment)?;
    let options = startup::aws::Options::of_function(&environment, &config.https_roots);
    let aws = startup::aws::load(&options).await;
    let function = capture::Function::new(config, &aws)?;
    function.warm_up().await;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| function.handle(event))).await
}
