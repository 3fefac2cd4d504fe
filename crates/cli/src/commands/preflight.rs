//! `turnkeep preflight`: has the rotation function look for what would make a rotation fail.

use rotation::event::PreflightEvent;
use rotation::finding::Severity;
use rotation::preflight::Report as Looked;

use super::audit::finding;
use crate::access::Access;
use crate::args;
use crate::failure::{Exit, Failure};
use crate::function;
use crate::output::{Output, Report, table};

/// Reports what the function found.
pub(crate) async fn run(
    access: &Access,
    options: &args::Preflight,
    output: Output,
) -> Result<Exit, Failure> {
    let function = function::of_secret(access, options.function.as_deref()).await?;
    let event = PreflightEvent {
        secret_id: access.settings.secret.clone(),
    };
    let deadline = access.deadline(function::TIME);
    let report: Looked = function::order(access, &function, &event, deadline).await?;
    output.report(&report)?;
    let fails = |finding: &rotation::finding::Finding| finding.severity == Severity::Error;
    Ok(if report.findings.iter().any(fails) {
        Exit::Attention
    } else {
        Exit::Done
    })
}

impl Report for Looked {
    fn outcome(&self) -> &'static str {
        self.outcome()
    }

    fn text(&self) -> String {
        let verdict = match self.outcome() {
            "ready" => "nothing was found that would make a rotation fail",
            "not_ready" => "a rotation would fail",
            _ => "a rotation would succeed; look after what was found",
        };
        let mut rows = vec![
            ("secret", self.secret_id.clone()),
            ("rotation", verdict.to_owned()),
        ];
        rows.extend(self.findings.iter().flat_map(finding));
        rows.extend(self.unchecked.iter().map(|part| ("skipped", part.clone())));
        table(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rotation::finding::Finding;

    #[test]
    fn a_person_reads_the_verdict_and_every_repair() {
        let mut report = Looked {
            secret_id: "app".to_owned(),
            findings: Vec::new(),
            unchecked: Vec::new(),
        };
        insta::assert_snapshot!(report.text(), @r"
        secret    app
        rotation  nothing was found that would make a rotation fail
        ");
        report.findings.push(Finding {
            code: "NO_TLS".to_owned(),
            severity: Severity::Error,
            message: "db:5432 offers no tls".to_owned(),
            repair: "switch TLS on".to_owned(),
        });
        report.unchecked.push("the master's rights".to_owned());
        insta::assert_snapshot!(report.text(), @r"
        secret     app
        rotation   a rotation would fail
        attention  [NO_TLS] db:5432 offers no tls
        repair     switch TLS on
        skipped    the master's rights
        ");
    }
}
