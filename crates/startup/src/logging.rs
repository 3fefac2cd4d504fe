//! The log of a function or a command, built so that no payload and no SQL text can get into it.
//!
//! `lambda_runtime`'s own subscriber prints the whole event at `TRACE`, hyper prints request bodies and `tokio-postgres`
//! statements at `DEBUG`. A level is an operator's switch that must not leak, so the level that is set counts for
//! Turnkeep's crates only, and other crates stay at `WARN`.
//!
//! Fields of a log line are a closed list, in snake case: `step`, `secret_arn`, `version_id`, `stage`, `sqlstate`,
//! `attempt`, `elapsed_ms`, those of `docs/rotation.md` for a rotation, `outcome`, `error_code`, `error`, `source`, `event_id`, `message_id`, `key`, `items`, `stored`, `duplicate`,
//! `conflict`, `foreign`, `quarantined`, `failed`, `sanitized`.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::environment::{AWS_LAMBDA_LOG_FORMAT, AWS_LAMBDA_LOG_LEVEL, Environment};

/// Targets that obey the level which is set: Turnkeep's crates.
const OWN_TARGETS: [&str; 10] = [
    "archive",
    "aurora",
    "aurora_session",
    "capture",
    "conversation",
    "rotation",
    "secrets",
    "startup",
    "store",
    "turnkeep",
];

/// Starts the log of a Lambda function on standard output, as the service's log settings say.
///
/// The span of `lambda_runtime` that carries `requestId` is kept. A level that is not known counts as `INFO`: a wrong
/// word in a log setting must not stop a function.
pub fn start_function(environment: &Environment) {
    let level = environment
        .value(&AWS_LAMBDA_LOG_LEVEL)
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    let filter = filter(level)
        .with_target("lambda_runtime::layers::trace", LevelFilter::INFO)
        // It prints every error that a handler returns, which the handler's edge has logged with its causes by then. A
        // panic is printed by the panic hook.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    // CloudWatch Logs stamps each line itself.
    let lines = fmt::layer().with_target(false).without_time();
    let json = environment
        .value(&AWS_LAMBDA_LOG_FORMAT)
        .is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let registry = tracing_subscriber::registry();
    // There is one span, that of the invocation: a list of spans would say the same again.
    // A second start is a test's; the first subscriber stays.
    let _ = if json {
        registry
            .with(lines.json().with_span_list(false).with_filter(filter))
            .try_init()
    } else {
        registry
            .with(lines.with_ansi(false).with_filter(filter))
            .try_init()
    };
}

/// Starts the log of a command on standard error: warnings, or more for each `-v`. What other crates warn of shows from the
/// first `-v` on: the command's own error says the same in one line.
pub fn start_command(verbosity: u8) {
    let (own, others) = match verbosity {
        0 => (LevelFilter::WARN, LevelFilter::ERROR),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        _ => (LevelFilter::DEBUG, LevelFilter::WARN),
    };
    let lines = fmt::layer()
        .with_target(false)
        .without_time()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let filter = filter(own).with_default(others);
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init();
}

fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets(OWN_TARGETS.map(|target| (target, level)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn the_finest_level_opens_no_other_crate() {
        let filter = filter(LevelFilter::TRACE);
        for target in [
            "lambda_runtime::layers::api_response",
            "hyper::proto::h1",
            "tokio_postgres::query",
            "aws_smithy_runtime",
        ] {
            assert!(!filter.would_enable(target, &Level::INFO), "{target}");
            assert!(filter.would_enable(target, &Level::WARN), "{target}");
        }
        assert!(filter.would_enable("aurora_session::session", &Level::TRACE));
    }

    #[test]
    fn a_coarse_level_counts_for_all() {
        let filter = filter(LevelFilter::ERROR);
        assert!(!filter.would_enable("hyper", &Level::WARN));
        assert!(!filter.would_enable("capture::handler", &Level::WARN));
    }
}
