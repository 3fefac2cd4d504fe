//! The command `turnkeep`: what a person, a script or a deploy step does with the database, its secret and its rotation.
//!
//! Start reading at [`run`]; a verb is a module of `commands`. Reports go to standard output, prose, progress and
//! errors to standard error. The password of the database leaves the process in two ways only: on a terminal that asks
//! for it, and in the environment of the program that `exec` runs.

mod access;
mod args;
mod commands;
mod failure;
mod function;
mod help;
mod label;
mod loading;
mod output;
mod progress;
mod settings;

use std::ffi::OsString;
use std::pin::Pin;
use std::process::ExitCode;

use startup::environment::Environment;

use crate::access::Access;
use crate::args::{Arguments, Verb};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::settings::Settings;

/// Runs the command line `arguments` (the program's name first) and returns the exit code that `--help` documents.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let output = Output {
        json: args::asks_for_json(&arguments),
    };
    let arguments = match Arguments::read(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // `--help` and `--version` come here too; whoever does not read them is told by the code all the same.
            let _ = error.print();
            if let Some(failure) = args::refusal(&error) {
                output.failure_document(&failure);
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    startup::logging::start_command(arguments.options.verbose);
    match verb(&arguments, environment, output).await {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit().code())
        }
    }
}

async fn verb(
    arguments: &Arguments,
    environment: &Environment,
    output: Output,
) -> Result<Exit, Failure> {
    let options = &arguments.options;
    let settings = Settings::new(options, environment)?;
    let aws = startup::aws::load(&startup::aws::Options {
        https_roots: settings.https_roots.clone(),
        region: options.region.clone(),
        profile: options.profile.clone(),
        endpoint_url: options.endpoint_url.clone(),
        only_environment_credentials: false,
    })
    .await;
    if aws.region().is_none() {
        return Err(
            Failure::new(Exit::Usage, "NoRegion", "no AWS region is configured")
                .next("name it with --region or AWS_REGION"),
        );
    }
    let access = Access::new(settings, aws);
    // Boxed, because the nested state of all verbs is more than the compiler lays out.
    let verb: Pin<Box<dyn Future<Output = Result<Exit, Failure>>>> = match &arguments.verb {
        Verb::Test => Box::pin(commands::test::run(&access, output)),
        Verb::CreateTables(options) => {
            Box::pin(commands::create_tables::run(&access, options, output))
        }
        Verb::Rotate(options) => Box::pin(commands::rotate::run(&access, options, output)),
        Verb::Audit => Box::pin(commands::audit::run(&access, output)),
        Verb::Preflight(options) => Box::pin(commands::preflight::run(&access, options, output)),
        Verb::Recover(options) => Box::pin(commands::recover::run(&access, options, output)),
        Verb::Credentials(options) => {
            Box::pin(commands::credentials::run(&access, options, output))
        }
        Verb::Replay(options) => Box::pin(commands::replay::run(&access, options, output)),
        Verb::Sweep(options) => Box::pin(commands::sweep::run(&access, options, output)),
        Verb::Exec(options) => Box::pin(commands::exec::run(&access, options)),
    };
    verb.await
}
