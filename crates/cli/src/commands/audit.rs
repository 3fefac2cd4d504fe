//! `turnkeep audit`: labels and ages of the secret, and what needs attention.

use rotation::audit::{self, Report as Audited};
use rotation::finding::Finding;

use crate::access::{Access, unreadable};
use crate::failure::{Exit, Failure};
use crate::output::{Output, Report, table};

/// Reports on the secret, without reading its value.
pub(crate) async fn run(access: &Access, output: Output) -> Result<Exit, Failure> {
    let secret_id = &access.settings.secret;
    let report = access
        .within("Secrets Manager", async {
            let audited = audit::run(&access.secrets, secret_id).await;
            audited.map_err(|error| unreadable(secret_id, error))
        })
        .await?;
    output.report(&report)?;
    Ok(if report.findings.is_empty() {
        Exit::Done
    } else {
        Exit::Attention
    })
}

impl Report for Audited {
    fn outcome(&self) -> &'static str {
        self.outcome()
    }

    fn text(&self) -> String {
        let known = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
        let mut rows = vec![
            ("secret", self.name.clone()),
            ("rotation", rotation(self)),
            (
                "age",
                known(self.age_days.map(|days| format!("{days} day(s)"))),
            ),
            (
                "next",
                known(self.next_rotation_at.map(|date| date.to_string())),
            ),
        ];
        for version in &self.versions {
            let made = version.created_at;
            let made = made.map_or_else(String::new, |date| format!(", made {date}"));
            let stages = version.stages.join(", ");
            rows.push((
                "version",
                format!("{} ({stages}){made}", version.version_id),
            ));
        }
        if let Some(deprecated) = self.deprecated {
            rows.push(("deprecated", format!("{deprecated} version(s)")));
        }
        rows.extend(self.findings.iter().flat_map(finding));
        if self.findings.is_empty() {
            rows.push(("attention", "nothing needs any".to_owned()));
        }
        table(&rows)
    }
}

/// What a person reads of a finding.
pub(crate) fn finding(finding: &Finding) -> [(&'static str, String); 2] {
    [
        (
            "attention",
            format!("[{}] {}", finding.code, finding.message),
        ),
        ("repair", finding.repair.clone()),
    ]
}

fn rotation(report: &Audited) -> String {
    let rule = report.rotation_rule.as_deref().unwrap_or("no schedule");
    match (&report.rotation_function_arn, report.rotation_enabled) {
        (Some(arn), true) => format!("on, {rule}, by {arn}"),
        (None, true) => format!("on, {rule}"),
        (Some(arn), false) => format!("off; by {arn}"),
        (None, false) => "not configured".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rotation::audit::{Pending, Version};

    fn sample() -> Audited {
        let version = |id: &str, stage: &str| Version {
            version_id: id.to_owned(),
            stages: vec![stage.to_owned()],
            created_at: None,
        };
        Audited {
            name: "app".to_owned(),
            arn: "arn:app".to_owned(),
            rotation_enabled: true,
            rotation_function_arn: Some("arn:function".to_owned()),
            rotation_rule: Some("30 days".to_owned()),
            last_rotated_at: None,
            next_rotation_at: None,
            deleted_at: None,
            age_days: Some(12),
            versions: vec![version("v3", "AWSPENDING"), version("v2", "AWSCURRENT")],
            pending: Some(Pending {
                version_id: "v3".to_owned(),
                age_hours: Some(26),
            }),
            deprecated: Some(4),
            findings: Vec::new(),
        }
    }

    #[test]
    fn a_person_reads_what_needs_attention_with_its_repair() {
        let mut report = sample();
        insta::assert_snapshot!(report.text(), @r"
        secret      app
        rotation    on, 30 days, by arn:function
        age         12 day(s)
        next        unknown
        version     v3 (AWSPENDING)
        version     v2 (AWSCURRENT)
        deprecated  4 version(s)
        attention   nothing needs any
        ");
        report.findings = vec![Finding {
            code: "ROTATION_OFF".to_owned(),
            severity: rotation::finding::Severity::Error,
            message: "rotation is switched off".to_owned(),
            repair: "switch it on: turnkeep rotate".to_owned(),
        }];
        insta::assert_snapshot!(report.text().lines().skip(7).collect::<Vec<_>>().join("\n"), @r"
        attention   [ROTATION_OFF] rotation is switched off
        repair      switch it on: turnkeep rotate
        ");
    }
}
