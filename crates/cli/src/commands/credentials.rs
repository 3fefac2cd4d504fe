//! `turnkeep credentials`: what the secret holds, the password masked.

use std::io::{self, IsTerminal as _};

use secrecy::ExposeSecret as _;
use secrets::{LoginSecret, SecretDescription, SecretValue, Stage, Version};
use serde::Serialize;

use crate::access::{Access, Place, unreadable};
use crate::args;
use crate::failure::{Exit, Failure};
use crate::output::{Output, Report, table};

/// Stands for the password; as long for every password, so that it says nothing about one.
const MASK: &str = "********";

#[derive(Debug, Serialize)]
struct Shown {
    secret: Named,
    version_id: String,
    stages: Vec<String>,
    host: Option<String>,
    port: u16,
    dbname: String,
    username: String,
    password: String,
    rotation: Rotation,
    versions: Vec<Labelled>,
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    arn: String,
}

#[derive(Debug, Serialize)]
struct Rotation {
    enabled: bool,
    function_arn: Option<String>,
}

#[derive(Debug, Serialize)]
struct Labelled {
    version_id: String,
    stages: Vec<String>,
}

/// Shows a version of the secret, the current one if no label is named, and which versions have which labels.
pub(crate) async fn run(
    access: &Access,
    options: &args::Credentials,
    output: Output,
) -> Result<Exit, Failure> {
    if options.show_password && !io::stdout().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "NotATerminal",
            "`--show-password` is refused: standard output is not a terminal",
        )
        .next("start a program with the credentials: turnkeep exec -- CMD"));
    }
    let secret_id = &access.settings.secret;
    let stage = Stage::from(options.stage);
    let (value, description) = access
        .within("Secrets Manager", async {
            let named = |error| unreadable(secret_id, error);
            // First, because only this call tells a secret that is not there from a label that is not.
            let description = access.secrets.describe(secret_id).await.map_err(named)?;
            let value = access
                .secrets
                .find(secret_id, Version::Stage(stage))
                .await
                .map_err(named)?
                .ok_or_else(|| without(secret_id, stage))?;
            Ok((value, description))
        })
        .await?;
    let unusable =
        |error| Failure::from(error).context(format!("secret {secret_id} cannot be used"));
    let login = value
        .text()
        .and_then(LoginSecret::parse)
        .map_err(unusable)?;
    let place = access.place(&login);
    output.report(&shown(
        &value,
        description,
        &login,
        place,
        options.show_password,
    ))?;
    Ok(Exit::Done)
}

/// A rotation has an empty pending version for a moment before it has made the password.
fn without(secret_id: &str, stage: Stage) -> Failure {
    let failure = Failure::new(
        Exit::Failed,
        "NoVersion",
        format!("secret {secret_id} has no value with the label {stage}"),
    );
    match stage {
        Stage::Pending => {
            failure.next("no rotation is under way, or it has only begun; what is: turnkeep audit")
        }
        Stage::Current | Stage::Previous => {
            failure.next("which versions have which labels: turnkeep audit")
        }
    }
}

fn shown(
    value: &SecretValue,
    description: SecretDescription,
    login: &LoginSecret,
    place: Place,
    show_password: bool,
) -> Shown {
    Shown {
        secret: Named {
            name: value.name.clone(),
            arn: value.arn.clone(),
        },
        version_id: value.version_id.clone(),
        stages: value.stages.clone(),
        host: place.host,
        port: place.port,
        dbname: place.dbname,
        username: login.username.clone(),
        password: if show_password {
            login.password.expose_secret().to_owned()
        } else {
            MASK.to_owned()
        },
        rotation: Rotation {
            enabled: description.rotation_enabled == Some(true),
            function_arn: description.rotation_function_arn,
        },
        versions: description
            .versions
            .into_iter()
            .map(|(version_id, stages)| Labelled { version_id, stages })
            .collect(),
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let mut rows = vec![
            ("secret", self.secret.name.clone()),
            ("arn", self.secret.arn.clone()),
            (
                "database",
                format!(
                    "{}:{}/{}",
                    self.host.as_deref().unwrap_or("(no host)"),
                    self.port,
                    self.dbname
                ),
            ),
            ("username", self.username.clone()),
            ("password", self.password.clone()),
            (
                "rotation",
                match (&self.rotation.function_arn, self.rotation.enabled) {
                    (Some(arn), true) => format!("on, by {arn}"),
                    (_, true) => "on".to_owned(),
                    (_, false) => "off".to_owned(),
                },
            ),
        ];
        for version in &self.versions {
            rows.push((
                "version",
                format!("{} ({})", version.version_id, version.stages.join(", ")),
            ));
        }
        table(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::document;

    fn sample() -> Shown {
        let version = |id: &str, stage: &str| Labelled {
            version_id: id.to_owned(),
            stages: vec![stage.to_owned()],
        };
        Shown {
            secret: Named {
                name: "ial-aurora-master-secret".to_owned(),
                arn: "arn:aws:secretsmanager:us-east-1:000000000000:secret:ial-aurora-master-secret-AbCdEf"
                    .to_owned(),
            },
            version_id: "v2".to_owned(),
            stages: vec!["AWSCURRENT".to_owned()],
            host: Some("db.example.com".to_owned()),
            port: 5432,
            dbname: "ial_conversations".to_owned(),
            username: "ial_app".to_owned(),
            password: MASK.to_owned(),
            rotation: Rotation {
                enabled: true,
                function_arn: Some(
                    "arn:aws:lambda:us-east-1:000000000000:function:secret-rotation".to_owned(),
                ),
            },
            versions: vec![version("v1", "AWSPREVIOUS"), version("v2", "AWSCURRENT")],
        }
    }

    #[test]
    fn a_person_reads_a_table() {
        insta::assert_snapshot!(sample().text(), @r"
        secret    ial-aurora-master-secret
        arn       arn:aws:secretsmanager:us-east-1:000000000000:secret:ial-aurora-master-secret-AbCdEf
        database  db.example.com:5432/ial_conversations
        username  ial_app
        password  ********
        rotation  on, by arn:aws:lambda:us-east-1:000000000000:function:secret-rotation
        version   v1 (AWSPREVIOUS)
        version   v2 (AWSCURRENT)
        ");
    }

    #[test]
    fn a_program_reads_a_document() {
        let shown = sample();
        insta::assert_snapshot!(document(shown.outcome(), &shown).unwrap(), @r#"{"outcome":"ok","secret":{"name":"ial-aurora-master-secret","arn":"arn:aws:secretsmanager:us-east-1:000000000000:secret:ial-aurora-master-secret-AbCdEf"},"version_id":"v2","stages":["AWSCURRENT"],"host":"db.example.com","port":5432,"dbname":"ial_conversations","username":"ial_app","password":"********","rotation":{"enabled":true,"function_arn":"arn:aws:lambda:us-east-1:000000000000:function:secret-rotation"},"versions":[{"version_id":"v1","stages":["AWSPREVIOUS"]},{"version_id":"v2","stages":["AWSCURRENT"]}]}"#);
    }
}
