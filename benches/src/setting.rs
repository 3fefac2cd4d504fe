//! What the measured programs run in: the local stack with a stub S3, a database for each program, and their environments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local::secrets_manager::{Hold, Step};
use local::stack::template::{Deployment, Referred};
use local::stack::{ACCOUNT, CAPTURE, REGION, ROTATION};
use local::{Credentials, Database, Stack, StackOptions, StubS3};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::process::Program;
use crate::script;

/// The application's secret.
pub(crate) const SECRET: &str = "bench";
/// Its login role.
pub(crate) const USER: &str = "bench_app";

/// The stack, with tables, roles and a secret that `turnkeep` has made.
pub(crate) struct Setting {
    pub(crate) stack: Stack,
    pub(crate) s3: StubS3,
    /// The database that others are copied from.
    template: Database,
    login: Login,
    folder: TempDir,
}

/// What matters of the application's secret.
#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

/// A rotation that stands still before its first step.
pub(crate) struct Rotation<'a> {
    /// Id of the version that it makes.
    pub(crate) token: String,
    hold: Hold,
    setting: &'a Setting,
}

impl Rotation<'_> {
    /// Lets it go on, and waits until it is over.
    pub(crate) async fn end(self, patience: Duration) -> Result<()> {
        drop(self.hold);
        let secrets_manager = self.setting.stack.secrets_manager();
        let rotation = secrets_manager.rotation_over(&self.token, patience).await?;
        ensure!(rotation.succeeded(), "a rotation failed: {rotation:?}");
        Ok(())
    }
}

/// A database and a bucket of one measured program.
pub(crate) struct Home {
    pub(crate) dbname: String,
    pub(crate) bucket: String,
}

impl Setting {
    pub(crate) async fn start() -> Result<Self> {
        let stack = Stack::start(StackOptions::from_environment()?).await?;
        let template = stack.database("bench").await?;
        let master_secret = stack.master_secret()?;
        let port = template.server.port.to_string();
        let create = [
            ["create-tables", "--create-secret"],
            ["--app-user", USER],
            ["--secret", SECRET],
            ["--master-secret", &master_secret],
            ["--host", &template.server.host],
            ["--port", &port],
            ["--dbname", &template.name],
        ];
        turnkeep(&stack, &template, create.as_flattened())?;
        let secret = stack.secrets_manager().text(SECRET, "AWSCURRENT");
        let secret = secret.context("turnkeep made no secret")?;
        Ok(Self {
            login: serde_json::from_str(secret.expose_secret())?,
            s3: StubS3::start()?,
            folder: tempfile::tempdir()?,
            template,
            stack,
        })
    }

    /// An empty database with tables, under a name of its own.
    pub(crate) async fn home(&self, name: &str) -> Result<Home> {
        let dbname = format!("bench_{}", name.replace('-', "_"));
        let copy = format!("CREATE DATABASE {dbname} TEMPLATE {}", self.template.name);
        let client = self.stack.server().superuser("postgres").await?;
        client.batch_execute(&copy).await?;
        Ok(Home {
            dbname,
            bucket: format!("bench-{name}"),
        })
    }

    /// How many events and messages a home holds.
    pub(crate) async fn rows(&self, home: &Home) -> Result<(i64, i64)> {
        let client = self.stack.server().superuser(&home.dbname).await?;
        let count = "SELECT (SELECT count(*) FROM capture_events), (SELECT count(*) FROM messages)";
        let row = client.query_one(count, &[]).await?;
        Ok((row.get(0), row.get(1)))
    }

    /// How many statements the application has sent to a home's database.
    pub(crate) async fn statements(&self, home: &Home) -> Result<i64> {
        let client = self.stack.server().superuser("postgres").await?;
        let calls = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s
            JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.userid
            WHERE d.datname = $1 AND r.rolname = $2";
        let row = client.query_one(calls, &[&home.dbname, &USER]).await?;
        Ok(row.get(0))
    }

    /// A new connection of the application's role.
    pub(crate) async fn log_in(&self, home: &Home) -> Result<Client> {
        let Login { username, password } = &self.login;
        let credentials = Credentials::new(username, password.as_str());
        let server = self.stack.server();
        Ok(server.connect(&home.dbname, &credentials).await?)
    }

    /// `lambda_runtime` and nothing else.
    pub(crate) fn hello(&self) -> Program {
        self.program("hello", "hello", BTreeMap::new())
    }

    /// `conversation-capture` as the template deploys it; it finds no secret, and so connects to no database.
    pub(crate) fn capture_without_database(&self) -> Program {
        self.program(
            "capture",
            CAPTURE,
            self.variables([
                ("TURNKEEP_SECRET", "there-is-none".to_owned()),
                ("CONVERSATIONS_BUCKET", "none".to_owned()),
            ]),
        )
    }

    /// `secret-rotation` as the template deploys it.
    pub(crate) fn rotation(&self) -> Program {
        self.program("rotation", ROTATION, self.variables([]))
    }

    /// `secret-rotation` with a database to change passwords in.
    pub(crate) fn rotating(&self, fast_promotion: bool) -> Program {
        let name = if fast_promotion {
            "rotation-fast"
        } else {
            "rotation"
        };
        let ca_file = self.template.server.ca_file.to_string_lossy();
        let variables = self.variables([
            ("DB_CA_BUNDLE", ca_file.into_owned()),
            ("FAST_PROMOTION", fast_promotion.to_string()),
        ]);
        self.program(name, ROTATION, variables)
    }

    /// Lets the stack know the function that ends a rotation whose steps were measured.
    pub(crate) fn define_rotation(&self) -> Result<()> {
        let referred = Referred::new(&self.template, SECRET);
        let function = self
            .stack
            .function(ROTATION, Deployment::Existing, &referred)?;
        Ok(self.stack.functions().define(function)?)
    }

    /// Begins a rotation of the application's secret that stands still before its first step.
    pub(crate) fn begin_rotation(&self) -> Result<Rotation<'_>> {
        let hold = self.stack.secrets_manager().hold_before(Step::CreateSecret);
        let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{ROTATION}");
        let rotate = [
            "rotate",
            "--secret",
            SECRET,
            "--function",
            &arn,
            "--days",
            "30",
        ];
        self.turnkeep(&rotate)?;
        let versions = self.stack.secrets_manager().stages(SECRET);
        let pending = versions
            .into_iter()
            .find(|(_, stages)| stages.iter().any(|stage| stage == "AWSPENDING"));
        let (token, _) = pending.context("the rotation has no pending version")?;
        Ok(Rotation {
            token,
            hold,
            setting: self,
        })
    }

    /// How often Secrets Manager was called so far.
    pub(crate) fn calls(&self) -> usize {
        let calls = self.stack.gateway().calls();
        calls
            .iter()
            .filter(|call| call.service == "SecretsManager")
            .count()
    }

    /// How often PostgreSQL refused a password of the application so far.
    pub(crate) fn refused_logins(&self) -> Result<usize> {
        let refused = format!("password authentication failed for user \"{USER}\"");
        Ok(self.stack.server().log()?.matches(&refused).count())
    }

    /// `conversation-capture` at home.
    pub(crate) fn capture(&self, home: &Home) -> Program {
        self.capture_at(home, self.template.server.port)
    }

    /// As [`Setting::capture`], with something between it and the database.
    pub(crate) fn capture_at(&self, home: &Home, port: u16) -> Program {
        let ca_file = self.template.server.ca_file.to_string_lossy();
        self.program(
            "capture",
            CAPTURE,
            self.variables([
                ("TURNKEEP_SECRET", SECRET.to_owned()),
                ("CONVERSATIONS_BUCKET", home.bucket.clone()),
                ("DB_CA_BUNDLE", ca_file.into_owned()),
                ("DB_PORT", port.to_string()),
                ("DB_NAME", home.dbname.clone()),
                ("AWS_ENDPOINT_URL_S3", self.s3.endpoint()),
            ]),
        )
    }

    /// The environment of `turnkeep` at home.
    pub(crate) fn of_command(&self, home: &Home) -> BTreeMap<String, String> {
        let server = &self.template.server;
        self.variables([
            ("TURNKEEP_SECRET", SECRET.to_owned()),
            ("CONVERSATIONS_BUCKET", home.bucket.clone()),
            (
                "DB_CA_BUNDLE",
                server.ca_file.to_string_lossy().into_owned(),
            ),
            ("DB_NAME", home.dbname.clone()),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint()),
        ])
    }

    /// The floor at home, with a script or without.
    pub(crate) fn floor(&self, home: &Home, script: Option<&script::Script>) -> Result<Program> {
        let file = |kind: &str| {
            self.folder
                .path()
                .join(format!("{}.{kind}.json", home.dbname))
        };
        let path = script.is_some().then(|| file("script"));
        if let (Some(script), Some(path)) = (script, &path) {
            script.write(path)?;
        }
        let server = &self.template.server;
        let setting = script::Setting {
            script: path,
            bucket: home.bucket.clone(),
            host: server.host.clone(),
            port: server.port,
            dbname: home.dbname.clone(),
            username: self.login.username.clone(),
            password: self.login.password.clone(),
            ca_file: server.ca_file.clone(),
        };
        let setting_file = file("setting");
        fs::write(&setting_file, serde_json::to_vec(&setting)?)?;
        let variables = self.variables([("AWS_ENDPOINT_URL_S3", self.s3.endpoint())]);
        let mut program = self.program("floor", "floor", variables);
        program.arguments.push(OsString::from(setting_file));
        Ok(program)
    }

    fn turnkeep(&self, arguments: &[&str]) -> Result<()> {
        turnkeep(&self.stack, &self.template, arguments)
    }

    fn variables<const N: usize>(&self, more: [(&str, String); N]) -> BTreeMap<String, String> {
        let mut variables = self.stack.environment();
        variables.extend(more.map(|(name, value)| (name.to_owned(), value)));
        variables
    }

    fn program(
        &self,
        name: &'static str,
        binary: &str,
        variables: BTreeMap<String, String>,
    ) -> Program {
        Program {
            name,
            binary: self.binary(binary),
            arguments: Vec::new(),
            variables,
            log: self.folder.path().join(format!("{name}.log")),
        }
    }

    /// The program from a file that was written from front to end, as the service writes one out of a zip. A linker writes here
    /// and there, so that the file is cached in single pages: mapping them costs a start of capture 0.7 ms more.
    pub(crate) fn unpacked(&self, mut program: Program) -> Result<Program> {
        let file_name = program.binary.file_name().unwrap_or_default();
        let copy = self.folder.path().join(file_name);
        if !copy.exists() {
            fs::copy(&program.binary, &copy)
                .with_context(|| format!("copy {}", program.binary.display()))?;
        }
        program.binary = copy;
        Ok(program)
    }

    /// All release binaries lie in one folder, those of this crate too.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.stack.function_directory().join(name)
    }
}

/// Runs the release binary `turnkeep`.
fn turnkeep(stack: &Stack, database: &Database, arguments: &[&str]) -> Result<()> {
    let ran = Command::new(stack.function_directory().join("turnkeep"))
        .args(arguments)
        .env_clear()
        .envs(stack.environment())
        .env("DB_CA_BUNDLE", &database.server.ca_file)
        .output()
        .context("run turnkeep")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "turnkeep {arguments:?}: {said}");
    Ok(())
}
