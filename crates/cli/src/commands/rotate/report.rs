//! What `turnkeep rotate` says at its end.

use std::time::Duration;

use secrets::SecretDescription;
use serde::Serialize;

use super::follow::Change;
use super::stopped::Stopped;
use crate::output::{Report, table};

/// How far a rotation got while somebody looked.
#[derive(Debug, Serialize)]
pub(super) struct Rotated {
    secret: Named,
    /// The version that the rotation makes.
    version_id: String,
    elapsed_ms: u64,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    arn: String,
}

/// How it ended.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    /// It was started and not waited for.
    Started,
    /// The new version is current.
    Rotated {
        /// What was seen, when.
        timeline: Vec<Moment>,
    },
    /// It was not completed.
    Stopped {
        /// What was seen, when.
        timeline: Vec<Moment>,
        /// Where it stopped.
        stopped: Stopped,
    },
}

/// A change and when it was seen.
#[derive(Debug, Serialize)]
pub(super) struct Moment {
    elapsed_ms: u64,
    change: Change,
}

impl Rotated {
    pub(super) fn new(
        secret: &SecretDescription,
        version_id: String,
        elapsed: Duration,
        outcome: Outcome,
    ) -> Self {
        Self {
            secret: Named {
                name: secret.name.clone(),
                arn: secret.arn.clone(),
            },
            version_id,
            elapsed_ms: milliseconds(elapsed),
            outcome,
        }
    }
}

impl Moment {
    pub(super) fn new(elapsed: Duration, change: Change) -> Self {
        Self {
            elapsed_ms: milliseconds(elapsed),
            change,
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Report for Rotated {
    fn outcome(&self) -> &'static str {
        match self.outcome {
            Outcome::Started => "started",
            Outcome::Rotated { .. } => "rotated",
            Outcome::Stopped { .. } => "stopped",
        }
    }

    fn text(&self) -> String {
        let mut rows = vec![
            ("secret", self.secret.name.clone()),
            ("version", self.version_id.clone()),
        ];
        match &self.outcome {
            Outcome::Started => rows.extend([
                ("rotation", "started".to_owned()),
                (
                    "next",
                    format!(
                        "follow it to its end: turnkeep rotate --follow {}",
                        self.version_id
                    ),
                ),
            ]),
            Outcome::Rotated { .. } => rows.push((
                "rotation",
                format!("done after {}", seconds(self.elapsed_ms)),
            )),
            Outcome::Stopped { stopped, .. } => {
                rows.push((
                    "rotation",
                    format!(
                        "not complete after {}: {}",
                        seconds(self.elapsed_ms),
                        stopped.reason.sentence()
                    ),
                ));
                rows.extend(stopped.rows());
            }
        }
        table(&rows)
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", Duration::from_millis(milliseconds).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::follow::Reason;
    use super::super::stopped::tests::stopped;
    use super::*;
    use crate::output::document;

    fn rotated(outcome: Outcome) -> Rotated {
        Rotated {
            secret: Named {
                name: "app".to_owned(),
                arn: "arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf".to_owned(),
            },
            version_id: "v2".to_owned(),
            elapsed_ms: 6_340,
            outcome,
        }
    }

    fn timeline() -> Vec<Moment> {
        vec![
            Moment::new(Duration::from_millis(410), Change::Pending),
            Moment::new(Duration::from_millis(1_520), Change::Value),
        ]
    }

    #[test]
    fn a_person_reads_how_it_ended() {
        insta::assert_snapshot!(rotated(Outcome::Started).text(), @r"
        secret    app
        version   v2
        rotation  started
        next      follow it to its end: turnkeep rotate --follow v2
        ");
        let timeline = timeline();
        insta::assert_snapshot!(rotated(Outcome::Rotated { timeline }).text(), @r"
        secret    app
        version   v2
        rotation  done after 6.3 s
        ");
    }

    #[test]
    fn a_person_reads_where_it_stopped() {
        let error = "ERROR setSecret: error_code=DB_UNREACHABLE";
        let stopped = stopped(Reason::Timeout, Some(true), Some(false), &[error]);
        let timeline = timeline();
        insta::assert_snapshot!(rotated(Outcome::Stopped { timeline, stopped }).text(), @r"
        secret    app
        version   v2
        rotation  not complete after 6.3 s: the time is over
        value     the new version has one
        database  refuses the new password
        step      setSecret is not done: the new version has a value, which the database refuses
        log       /aws/lambda/secret-rotation
                  ERROR setSecret: error_code=DB_UNREACHABLE
        next      find the cause and mend it: turnkeep preflight --secret app; then let the rotation go on: aws secretsmanager rotate-secret --secret-id app --client-request-token v2
        ");
    }

    #[test]
    fn a_log_that_may_not_be_read_comes_with_the_command() {
        let mut stopped = stopped(Reason::Cancelled, None, None, &[]);
        if let Some(log) = &mut stopped.log {
            log.unreadable = Some("AccessDeniedException".to_owned());
        }
        let timeline = Vec::new();
        insta::assert_snapshot!(rotated(Outcome::Stopped { timeline, stopped }).text(), @r"
        secret    app
        version   v2
        rotation  not complete after 6.3 s: rotation was switched off meanwhile
        value     unknown: the new version may not be read
        database  unknown: it was not asked, or not reached
        log       /aws/lambda/secret-rotation cannot be read: AccessDeniedException; look with: aws logs tail /aws/lambda/secret-rotation --since 1h
        next      find out, before a label is moved, which version the database takes: turnkeep recover --secret app --dry-run; and what is wrong: turnkeep preflight --secret app
        ");
    }

    #[test]
    fn a_program_reads_a_document() {
        let line = |outcome| {
            let rotated = rotated(outcome);
            document(rotated.outcome(), &rotated).unwrap()
        };
        let stopped = stopped(Reason::LabelRemoved, Some(true), None, &[]);
        let all = [
            line(Outcome::Started),
            line(Outcome::Rotated {
                timeline: timeline(),
            }),
            line(Outcome::Stopped {
                timeline: timeline(),
                stopped,
            }),
        ];
        insta::assert_snapshot!(all.concat(), @r#"
        {"outcome":"started","secret":{"name":"app","arn":"arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf"},"version_id":"v2","elapsed_ms":6340}
        {"outcome":"rotated","secret":{"name":"app","arn":"arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf"},"version_id":"v2","elapsed_ms":6340,"timeline":[{"elapsed_ms":410,"change":"pending"},{"elapsed_ms":1520,"change":"value"}]}
        {"outcome":"stopped","secret":{"name":"app","arn":"arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf"},"version_id":"v2","elapsed_ms":6340,"timeline":[{"elapsed_ms":410,"change":"pending"},{"elapsed_ms":1520,"change":"value"}],"stopped":{"reason":"label_removed","step":null,"has_value":true,"database_accepts":null,"log":{"group":"/aws/lambda/secret-rotation","lines":[],"unreadable":null},"next":"if clients are refused, make current what the database has: turnkeep recover --secret app"}}
        "#);
    }
}
