//! `turnkeep recover`: has the rotation function make the version current that the database accepts.

use rotation::event::RecoverEvent;
use rotation::recover::{Current, Report as Recovered};

use crate::access::Access;
use crate::args;
use crate::failure::{Exit, Failure};
use crate::function;
use crate::output::{Output, Report, table};

/// Repairs the labels, or tells how.
pub(crate) async fn run(
    access: &Access,
    options: &args::Recover,
    output: Output,
) -> Result<Exit, Failure> {
    let function = function::of_secret(access, options.function.as_deref()).await?;
    let event = RecoverEvent {
        secret_id: access.settings.secret.clone(),
        dry_run: options.dry_run,
    };
    let deadline = access.deadline(function::TIME);
    let report: Recovered = function::order(access, &function, &event, deadline).await?;
    output.report(&report)?;
    Ok(Exit::Done)
}

impl Report for Recovered {
    fn outcome(&self) -> &'static str {
        self.outcome()
    }

    fn text(&self) -> String {
        let becomes = match (self.current, self.dry_run) {
            (Current::Kept, _) => "is current, and the database accepts it",
            (Current::Moved, true) => "is what the database accepts, and would be made current",
            (Current::Moved, false) => "is what the database accepts, and was made current",
        };
        let mut rows = vec![
            ("secret", self.secret_arn.clone()),
            (
                "version",
                format!("{} ({}) {becomes}", self.version_id, self.found),
            ),
            ("refused", format!("{} login(s)", self.refused_logins)),
        ];
        if let (Some(before), Current::Moved) = (&self.current_before, self.current) {
            rows.push(("before", before.clone()));
        }
        rows.extend(self.next.clone().map(|next| ("next", next)));
        table(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_what_became_current_and_what_is_left_to_do() {
        let reply = r#"{"dry_run":false,"secret_arn":"arn:app","current":"moved","version_id":"v3","found":"AWSPENDING","current_before":"v2","refused_logins":1,"next":"rotation is switched off"}"#;
        let report: Recovered = serde_json::from_str(reply).unwrap();
        insta::assert_snapshot!(report.text(), @r"
        secret   arn:app
        version  v3 (AWSPENDING) is what the database accepts, and was made current
        refused  1 login(s)
        before   v2
        next     rotation is switched off
        ");
    }
}
