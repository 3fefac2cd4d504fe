//! The rotation function's own words, from CloudWatch Logs.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use serde::{Deserialize, Serialize};

use crate::function::log_group;
use crate::output::printable;

/// What marks a line as worth showing: Turnkeep's, Python's and the Lambda service's ways to report a failure.
const MARKS: [&str; 7] = [
    "ERROR",
    "\"errorMessage\"",
    "Task timed out",
    "Runtime.ExitError",
    "panicked at",
    "Error: ",
    "Traceback",
];
/// Pages read in one look; FilterLogEvents may answer with empty pages before the one with lines.
const MAX_PAGES: usize = 10;
/// Lines kept, the last ones.
const MAX_LINES: usize = 10;
const MAX_CHARACTERS: usize = 600;
/// Steps that are no rotation's.
const OPERATORS: [&str; 4] = ["migrate", "audit", "recover", "preflight"];

/// The error lines of a function since a moment.
#[derive(Debug)]
pub(crate) struct Log {
    client: Client,
    group: String,
    since_ms: i64,
    seen: BTreeSet<String>,
    lines: Vec<String>,
    unreadable: Option<String>,
}

/// What was found in a function's log.
#[derive(Debug, Serialize)]
pub(crate) struct Excerpt {
    /// The log group.
    pub(crate) group: String,
    /// The last error lines, oldest first.
    pub(crate) lines: Vec<String>,
    /// Why the log could not be read.
    pub(crate) unreadable: Option<String>,
}

impl Log {
    /// The log of the function with this ARN, from `back` before now on.
    #[expect(
        clippy::disallowed_methods,
        reason = "CloudWatch Logs selects by wall-clock time"
    )]
    pub(crate) fn since(config: &SdkConfig, function_arn: &str, back: Duration) -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .saturating_sub(back);
        Self {
            client: Client::new(config),
            group: log_group(function_arn),
            since_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            seen: BTreeSet::new(),
            lines: Vec::new(),
            unreadable: None,
        }
    }

    /// Returns the error lines about version `version_id` that are new since the last look; none once the log turned out
    /// to be unreadable.
    pub(crate) async fn new_errors(&mut self, version_id: &str) -> Vec<String> {
        let mut fresh = Vec::new();
        let mut next_token = None;
        for _ in 0..MAX_PAGES {
            if self.unreadable.is_some() {
                break;
            }
            let answer = self
                .client
                .filter_log_events()
                .log_group_name(&self.group)
                .start_time(self.since_ms)
                .set_next_token(next_token.take())
                .send()
                .await;
            match answer {
                Ok(page) => {
                    for event in page.events() {
                        let id = event.event_id().unwrap_or_default().to_owned();
                        let message = event.message().unwrap_or_default();
                        let is_new = id.is_empty() || self.seen.insert(id);
                        if is_new && is_error(message) && concerns(message, version_id) {
                            fresh.push(readable(message));
                        }
                    }
                    next_token = page.next_token().map(str::to_owned);
                }
                Err(error) => {
                    self.unreadable = Some(match error.code() {
                        Some(code) => code.to_owned(),
                        None => printable(&DisplayErrorContext(&error).to_string()),
                    });
                }
            }
            if next_token.is_none() {
                break;
            }
        }
        self.lines.extend(fresh.iter().cloned());
        let surplus = self.lines.len().saturating_sub(MAX_LINES);
        self.lines.drain(..surplus);
        fresh
    }

    /// Returns everything found so far.
    pub(crate) fn into_excerpt(self) -> Excerpt {
        Excerpt {
            group: self.group,
            lines: self.lines,
            unreadable: self.unreadable,
        }
    }
}

impl Excerpt {
    /// The command with which a person reads the log.
    pub(crate) fn command(&self) -> String {
        format!("aws logs tail {} --since 1h", self.group)
    }
}

fn is_error(message: &str) -> bool {
    MARKS.iter().any(|mark| message.contains(mark))
}

/// Whether a line can be about this rotation: one that names another version, or another step, is not.
fn concerns(message: &str, version_id: &str) -> bool {
    if message.contains("version_id") {
        message.contains(version_id)
    } else {
        !OPERATORS.iter().any(|step| {
            message.contains(&format!("\"step\":\"{step}\""))
                || message.contains(&format!("step={step}"))
        })
    }
}

/// A line of Turnkeep's own function in the JSON format.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    fields: Fields<'a>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    step: Cow<'a, str>,
    #[serde(borrow)]
    error_code: Cow<'a, str>,
    #[serde(borrow)]
    error: Cow<'a, str>,
    #[serde(borrow)]
    warning: Option<Cow<'a, str>>,
}

/// Returns a line as a person reads it, cut to a readable length.
fn readable(message: &str) -> String {
    let sentence = match serde_json::from_str(message) {
        Ok(Line { fields }) => {
            let sentence = format!(
                "{} failed with {}: {}",
                fields.step, fields.error_code, fields.error
            );
            match fields.warning {
                Some(warning) => format!("{sentence}; {warning}"),
                None => sentence,
            }
        }
        Err(_) => message.trim().to_owned(),
    };
    printable(&sentence).chars().take(MAX_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_from_the_rest() {
        for line in [
            r#"{"level":"ERROR","fields":{"error_code":"DB_UNREACHABLE"}}"#,
            "[ERROR] ValueError: setSecret: Unable to log into database",
            "2026-01-01T00:00:00Z 1a2b Task timed out after 30.00 seconds",
            "RequestId: 1 Error: Runtime exited with error: signal: killed",
        ] {
            assert!(is_error(line), "{line}");
        }
        for line in [
            "START RequestId: 1",
            "INFO setSecret: outcome=done",
            "REPORT RequestId: 1",
        ] {
            assert!(!is_error(line), "{line}");
        }
    }

    #[test]
    fn a_line_is_cut_and_cannot_steer_a_terminal() {
        let line = readable(&format!("\u{1b}[31mERROR {}\n", "x".repeat(2_000)));
        assert_eq!(line.chars().count(), MAX_CHARACTERS);
        assert!(!line.contains('\u{1b}'));
    }

    #[test]
    fn our_own_lines_are_read_out() {
        insta::assert_snapshot!(readable(
            r#"{"level":"ERROR","fields":{"message":"the step failed","step":"setSecret","version_id":"v2","outcome":"failed","error_code":"DB_UNREACHABLE","elapsed_ms":376,"error":"a \"b\""},"span":{}}"#
        ), @r#"setSecret failed with DB_UNREACHABLE: a "b""#);
        insta::assert_snapshot!(readable(
            r#"{"level":"ERROR","fields":{"step":"testSecret","error_code":"PENDING_REFUSED","warning":"look there","error":"refused"}}"#
        ), @"testSecret failed with PENDING_REFUSED: refused; look there");
        assert_eq!(readable("[ERROR] ValueError: x\n"), "[ERROR] ValueError: x");
    }

    #[test]
    fn lines_about_other_rotations_are_left_out() {
        assert!(concerns(
            r#"{"fields":{"step":"setSecret","version_id":"v2"}}"#,
            "v2"
        ));
        assert!(concerns("ERROR step=setSecret version_id=v2", "v2"));
        assert!(concerns(
            "[ERROR] ValueError: setSecret: Unable to log in",
            "v2"
        ));
        assert!(!concerns(
            r#"{"fields":{"step":"setSecret","version_id":"v1"}}"#,
            "v2"
        ));
        assert!(!concerns(r#"{"fields":{"step":"migrate"}}"#, "v2"));
    }
}
