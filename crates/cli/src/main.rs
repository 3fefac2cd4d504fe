//! See the library.

use std::process::ExitCode;

use startup::environment::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::run(std::env::args_os(), &Environment::of_this_process()).await
}
