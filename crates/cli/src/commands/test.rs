//! `turnkeep test`: whether an application can work, and over what. Writes nothing.

use std::time::Duration;

use serde::Serialize;
use store::migrate::{MigrateError, State};
use tokio::time::Instant;

use crate::access::{Access, Proven};
use crate::failure::{Exit, Failure};
use crate::output::{Output, Report, table};

#[derive(Debug, Serialize)]
struct Tested {
    secret: Secret,
    database: Database,
    tls: Option<Tls>,
    schema: Schema,
    latency_ms: Latency,
}

#[derive(Debug, Serialize)]
struct Secret {
    arn: String,
    version_id: String,
    stage: &'static str,
    refused_logins: u64,
}

#[derive(Debug, Serialize)]
struct Database {
    host: String,
    port: u16,
    dbname: String,
    username: String,
    server_version: String,
    read_only: bool,
}

#[derive(Debug, Serialize)]
struct Tls {
    version: String,
    cipher: String,
}

/// What the database has of Turnkeep's tables.
#[derive(Debug, Serialize)]
struct Schema {
    /// `current`, `behind`, `original`, `empty` or `foreign`.
    state: &'static str,
    applied: Vec<Migration>,
    pending: Vec<Migration>,
    /// Why the tables are not ours to use.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Migration {
    version: i32,
    name: String,
}

#[derive(Debug, Serialize)]
struct Latency {
    connect: f64,
    round_trip: f64,
}

/// Logs in as the application does and reports what it finds.
pub(crate) async fn run(access: &Access, output: Output) -> Result<Exit, Failure> {
    let proven = access.prove().await?;
    let tested = access
        .within("the database", async {
            let round_trip = round_trip(&proven).await?;
            tested(&proven, round_trip).await
        })
        .await?;
    let exit = if tested.schema.state == "current" {
        Exit::Done
    } else {
        Exit::NotReady
    };
    output.report(&tested)?;
    Ok(exit)
}

async fn round_trip(proven: &Proven) -> Result<Duration, Failure> {
    let asked = Instant::now();
    proven
        .login
        .client
        .check_connection()
        .await
        .map_err(store::StoreError::from)?;
    Ok(asked.elapsed())
}

async fn tested(proven: &Proven, round_trip: Duration) -> Result<Tested, Failure> {
    let client = &proven.login.client;
    let version = &proven.version;
    let server = aurora::server::describe(client)
        .await
        .map_err(store::StoreError::from)?;
    Ok(Tested {
        secret: Secret {
            arn: version.arn.clone(),
            version_id: version.version_id.clone(),
            stage: version.stage.as_str(),
            refused_logins: proven.refusals,
        },
        database: Database {
            host: version.target.host.clone(),
            port: version.target.port,
            dbname: server.dbname,
            username: server.session_user,
            server_version: server.version,
            read_only: server.read_only,
        },
        tls: server.tls.map(|tls| Tls {
            version: tls.version,
            cipher: tls.cipher,
        }),
        schema: Schema::of(store::migrate::plan(client).await)?,
        latency_ms: Latency {
            connect: milliseconds(proven.took),
            round_trip: milliseconds(round_trip),
        },
    })
}

/// Returns milliseconds with two decimals.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

impl Schema {
    /// Tables that are not ours or not for this program are a finding; a database that cannot be asked is a failure.
    fn of(plan: Result<store::migrate::Plan, MigrateError>) -> Result<Self, Failure> {
        let unusable = |state, error: &MigrateError| Self {
            state,
            applied: Vec::new(),
            pending: Vec::new(),
            reason: Some(startup::report::chain(error)),
        };
        match plan {
            Ok(plan) => Ok(Self {
                state: match plan.state {
                    State::Empty => "empty",
                    State::Original => "original",
                    State::Behind { .. } => "behind",
                    State::Current => "current",
                },
                applied: plan
                    .applied
                    .into_iter()
                    .map(|applied| Migration {
                        version: applied.version,
                        name: applied.name,
                    })
                    .collect(),
                pending: plan
                    .pending
                    .into_iter()
                    .map(|pending| Migration {
                        version: pending.version,
                        name: pending.name.to_owned(),
                    })
                    .collect(),
                reason: None,
            }),
            Err(error @ MigrateError::Newer { .. }) => Ok(unusable("newer", &error)),
            Err(error @ MigrateError::ForeignTable { .. }) => Ok(unusable("foreign", &error)),
            Err(error @ (MigrateError::Edited { .. } | MigrateError::Gap { .. })) => {
                Ok(unusable("inconsistent", &error))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn sentence(&self) -> String {
        let names = |migrations: &[Migration]| {
            migrations
                .iter()
                .map(|migration| format!("{} {}", migration.version, migration.name))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match (self.state, &self.reason) {
            (_, Some(reason)) => format!("not usable: {reason}"),
            ("current", _) => format!("current, applied: {}", names(&self.applied)),
            ("original", _) => format!(
                "the original's tables, not migrated yet, pending: {}",
                names(&self.pending)
            ),
            ("empty", _) => format!("no tables yet, pending: {}", names(&self.pending)),
            _ => format!(
                "behind, applied: {}; pending: {}",
                names(&self.applied),
                names(&self.pending)
            ),
        }
    }
}

impl Report for Tested {
    fn outcome(&self) -> &'static str {
        if self.schema.state == "current" {
            "ok"
        } else {
            "not_ready"
        }
    }

    fn text(&self) -> String {
        let Self {
            secret, database, ..
        } = self;
        let mut rows = vec![
            (
                "database",
                format!("{}:{}/{}", database.host, database.port, database.dbname),
            ),
            ("login", database.username.clone()),
            (
                "server",
                format!(
                    "PostgreSQL {}{}",
                    database.server_version,
                    if database.read_only {
                        ", takes no writes"
                    } else {
                        ""
                    }
                ),
            ),
            (
                "tls",
                match &self.tls {
                    Some(tls) => format!("{}, {}", tls.version, tls.cipher),
                    None => "none".to_owned(),
                },
            ),
            ("secret", secret.arn.clone()),
            (
                "version",
                format!(
                    "{} ({}), refused logins before: {}",
                    secret.version_id, secret.stage, secret.refused_logins
                ),
            ),
            ("schema", self.schema.sentence()),
            (
                "latency",
                format!(
                    "connect {} ms, round trip {} ms",
                    self.latency_ms.connect, self.latency_ms.round_trip
                ),
            ),
        ];
        if self.schema.state != "current" && self.schema.reason.is_none() {
            rows.push(("next", "turnkeep create-tables".to_owned()));
        }
        table(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::document;

    fn migration(version: i32, name: &str) -> Migration {
        Migration {
            version,
            name: name.to_owned(),
        }
    }

    fn sample(schema: Schema) -> Tested {
        Tested {
            secret: Secret {
                arn: "arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf".to_owned(),
                version_id: "0b0b0b0b-0000-4000-8000-000000000001".to_owned(),
                stage: "AWSPENDING",
                refused_logins: 1,
            },
            database: Database {
                host: "db.example.com".to_owned(),
                port: 5432,
                dbname: "ial_conversations".to_owned(),
                username: "ial_app".to_owned(),
                server_version: "17.4".to_owned(),
                read_only: false,
            },
            tls: Some(Tls {
                version: "TLSv1.3".to_owned(),
                cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            }),
            schema,
            latency_ms: Latency {
                connect: milliseconds(Duration::from_micros(41_237)),
                round_trip: milliseconds(Duration::from_micros(310)),
            },
        }
    }

    fn current() -> Schema {
        Schema {
            state: "current",
            applied: vec![migration(1, "original"), migration(2, "turns")],
            pending: Vec::new(),
            reason: None,
        }
    }

    #[test]
    fn a_person_reads_a_table() {
        insta::assert_snapshot!(sample(current()).text(), @r"
        database  db.example.com:5432/ial_conversations
        login     ial_app
        server    PostgreSQL 17.4
        tls       TLSv1.3, TLS_AES_256_GCM_SHA384
        secret    arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        version   0b0b0b0b-0000-4000-8000-000000000001 (AWSPENDING), refused logins before: 1
        schema    current, applied: 1 original, 2 turns
        latency   connect 41.24 ms, round trip 0.31 ms
        ");
    }

    #[test]
    fn missing_tables_name_the_next_step() {
        let schema = Schema {
            state: "behind",
            applied: vec![migration(1, "original")],
            pending: vec![migration(2, "turns")],
            reason: None,
        };
        insta::assert_snapshot!(sample(schema).text(), @r"
        database  db.example.com:5432/ial_conversations
        login     ial_app
        server    PostgreSQL 17.4
        tls       TLSv1.3, TLS_AES_256_GCM_SHA384
        secret    arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        version   0b0b0b0b-0000-4000-8000-000000000001 (AWSPENDING), refused logins before: 1
        schema    behind, applied: 1 original; pending: 2 turns
        latency   connect 41.24 ms, round trip 0.31 ms
        next      turnkeep create-tables
        ");
    }

    #[test]
    fn a_program_reads_a_document() {
        let tested = sample(current());
        insta::assert_snapshot!(document(tested.outcome(), &tested).unwrap(), @r#"{"outcome":"ok","secret":{"arn":"arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf","version_id":"0b0b0b0b-0000-4000-8000-000000000001","stage":"AWSPENDING","refused_logins":1},"database":{"host":"db.example.com","port":5432,"dbname":"ial_conversations","username":"ial_app","server_version":"17.4","read_only":false},"tls":{"version":"TLSv1.3","cipher":"TLS_AES_256_GCM_SHA384"},"schema":{"state":"current","applied":[{"version":1,"name":"original"},{"version":2,"name":"turns"}],"pending":[],"reason":null},"latency_ms":{"connect":41.24,"round_trip":0.31}}"#);
    }

    #[test]
    fn another_tools_table_is_a_finding_and_an_unreachable_database_is_not() {
        let schema = Schema::of(Err(MigrateError::ForeignTable {
            table: "messages".to_owned(),
        }))
        .unwrap();
        assert_eq!(schema.state, "foreign");
        assert_eq!(sample(schema).outcome(), "not_ready");
        let waited = Duration::from_secs(1);
        let error = store::StoreError::TimedOut { waited };
        assert!(Schema::of(Err(MigrateError::Store(error))).is_err());
    }
}
