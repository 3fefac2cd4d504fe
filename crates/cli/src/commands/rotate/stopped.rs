//! Where a rotation stopped, and what to do.

use serde::Serialize;

use super::follow::{Reason, Step};
use super::log::Excerpt;

/// Where a rotation stopped, as far as that can be found out.
#[derive(Debug, Serialize)]
pub(super) struct Stopped {
    /// Why it is not waited for any longer.
    pub(super) reason: Reason,
    /// The step that is missing.
    pub(super) step: Option<Step>,
    /// Whether the new version has a value; unknown if that may not be read.
    pub(super) has_value: Option<bool>,
    /// Whether the database takes its password; unknown if the database cannot be reached.
    pub(super) database_accepts: Option<bool>,
    /// What the function said; nothing if the secret has none.
    pub(super) log: Option<Excerpt>,
    /// What to do, with the command that does it.
    pub(super) next: String,
}

impl Stopped {
    /// Adds what to do; `current` is the version that was current before the rotation.
    ///
    /// A pending password that the database has, or may have, must never lose its label: no client could find it then.
    pub(super) fn with_next(
        mut self,
        secret_id: &str,
        version_id: &str,
        current: Option<&str>,
    ) -> Self {
        self.next = self.next_step(secret_id, version_id, current);
        self
    }

    /// Where it stopped, in one sentence.
    pub(super) fn sentence(&self) -> String {
        match self.step {
            Some(step) => format!("{}; {}", self.reason.sentence(), step.sentence()),
            None => self.reason.sentence().to_owned(),
        }
    }

    fn next_step(&self, secret_id: &str, version_id: &str, current: Option<&str>) -> String {
        let silent = self.log.as_ref().is_none_or(|log| log.lines.is_empty());
        let repair = self.repair(secret_id, version_id, current);
        if self.reason == Reason::Timeout && silent {
            format!(
                "it may still go on, follow it: turnkeep rotate --follow {version_id}; if it does not, {repair}"
            )
        } else {
            repair
        }
    }

    fn repair(&self, secret_id: &str, version_id: &str, current: Option<&str>) -> String {
        match (self.reason, self.step) {
            (_, Some(Step::Finish)) => {
                let from = current
                    .map_or_else(String::new, |id| format!(" --remove-from-version-id {id}"));
                format!(
                    "make current what the database has: turnkeep recover --secret {secret_id}; \
                     see why the function has not: turnkeep preflight --secret {secret_id}; \
                     where neither runs, by hand: \
                     aws secretsmanager update-secret-version-stage --secret-id {secret_id} \
                     --version-stage AWSCURRENT --move-to-version-id {version_id}{from}"
                )
            }
            (Reason::LabelRemoved, _) => format!(
                "if clients are refused, make current what the database has: \
                 turnkeep recover --secret {secret_id}"
            ),
            (_, Some(Step::Create | Step::Set)) => format!(
                "find the cause and mend it: turnkeep preflight --secret {secret_id}; \
                 then let the rotation go on: aws secretsmanager rotate-secret \
                 --secret-id {secret_id} --client-request-token {version_id}"
            ),
            (_, None) => format!(
                "find out, before a label is moved, which version the database takes: \
                 turnkeep recover --secret {secret_id} --dry-run; \
                 and what is wrong: turnkeep preflight --secret {secret_id}"
            ),
        }
    }

    /// What a person reads: names and values.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let known = |fact: Option<bool>, yes: &str, no: &str, unknown: &str| {
            match fact {
                Some(true) => yes,
                Some(false) => no,
                None => unknown,
            }
            .to_owned()
        };
        let mut rows = vec![
            (
                "value",
                known(
                    self.has_value,
                    "the new version has one",
                    "the new version has none",
                    "unknown: the new version may not be read",
                ),
            ),
            (
                "database",
                known(
                    self.database_accepts,
                    "takes the new password",
                    "refuses the new password",
                    "unknown: it was not asked, or not reached",
                ),
            ),
        ];
        if let Some(step) = self.step {
            rows.push(("step", step.sentence().to_owned()));
        }
        if let Some(log) = &self.log {
            rows.push((
                "log",
                match &log.unreadable {
                    Some(reason) => format!(
                        "{} cannot be read: {reason}; look with: {}",
                        log.group,
                        log.command()
                    ),
                    None if log.lines.is_empty() => format!(
                        "{} has no error lines; look with: {}",
                        log.group,
                        log.command()
                    ),
                    None => log.group.clone(),
                },
            ));
            rows.extend(log.lines.iter().map(|line| ("", line.clone())));
        }
        rows.push(("next", self.next.clone()));
        rows
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::commands::rotate) fn stopped(
        reason: Reason,
        has_value: Option<bool>,
        accepts: Option<bool>,
        lines: &[&str],
    ) -> Stopped {
        Stopped {
            reason,
            step: Step::missing(has_value, accepts),
            has_value,
            database_accepts: accepts,
            log: Some(Excerpt {
                group: "/aws/lambda/secret-rotation".to_owned(),
                lines: lines.iter().map(|&line| line.to_owned()).collect(),
                unreadable: None,
            }),
            next: String::new(),
        }
        .with_next("app", "v2", Some("v1"))
    }

    #[track_caller]
    fn check_next(stopped: &Stopped, expected: &str) {
        assert_eq!(stopped.next, expected);
    }

    #[test]
    fn the_next_command_never_hides_a_password_the_database_may_have() {
        let error = ["ERROR"];
        let finish = "make current what the database has: turnkeep recover --secret app; see why the function has \
             not: turnkeep preflight --secret app; where neither runs, by hand: aws secretsmanager \
             update-secret-version-stage --secret-id app --version-stage AWSCURRENT --move-to-version-id v2 \
             --remove-from-version-id v1";
        check_next(
            &stopped(Reason::Timeout, Some(true), Some(true), &error),
            finish,
        );
        check_next(
            &stopped(Reason::Timeout, Some(true), Some(true), &[]),
            &format!(
                "it may still go on, follow it: turnkeep rotate --follow v2; if it does not, {finish}"
            ),
        );
        check_next(
            &stopped(Reason::Timeout, Some(true), Some(false), &error),
            "find the cause and mend it: turnkeep preflight --secret app; then let the rotation go on: aws \
             secretsmanager rotate-secret --secret-id app --client-request-token v2",
        );
        check_next(
            &stopped(Reason::Cancelled, Some(true), None, &error),
            "find out, before a label is moved, which version the database takes: turnkeep recover --secret app \
             --dry-run; and what is wrong: turnkeep preflight --secret app",
        );
    }
}
