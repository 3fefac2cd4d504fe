//! `turnkeep-local`: the local stack on the command line.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    local::command::run().await
}
