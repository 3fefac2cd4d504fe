//! The process that keeps the stack of `up` running, and the file in which it says so.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::{Parts, progress};
use crate::leftovers::{sweep_checkout, write_whole};
use crate::process::{CommandLine, Identity};
use crate::stack::template::{Deployment, Referred};
use crate::stack::{ACCOUNT, CAPTURE, REGION, ROTATION};
use crate::{Checkout, Database, Error, Stack};

/// Where `cargo lambda invoke` looks when it is not told otherwise.
const INVOKE_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 9000);

const SECRET: &str = "turnkeep-app";
const BUCKET: &str = "turnkeep-conversations";
const DATABASE: &str = "ial_conversations";

/// What the supervisor tells whoever wants to use or stop the stack.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) supervisor: Identity,
    pub(super) endpoint: String,
    /// Whether a plain `cargo lambda invoke` finds the stack.
    pub(super) invoke_default: bool,
    pub(super) variables: BTreeMap<String, String>,
    /// Folders that the stack's programs are found in.
    pub(super) paths: Vec<PathBuf>,
}

impl State {
    /// The stack of this checkout, if one runs.
    pub(super) fn read(checkout: &Checkout) -> Option<Self> {
        let state: Self = serde_json::from_slice(&fs::read(Self::file(checkout)).ok()?).ok()?;
        state.supervisor.is_alive().then_some(state)
    }

    pub(super) fn file(checkout: &Checkout) -> PathBuf {
        checkout.run().join("up.json")
    }

    /// What a shell can evaluate.
    pub(super) fn exports(&self) -> String {
        let mut lines: Vec<String> = self
            .variables
            .iter()
            .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
            .collect();
        let paths: Vec<String> = self
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        lines.push(format!(
            "export PATH='{}':\"$PATH\"\n",
            paths.join(":").replace('\'', r"'\''")
        ));
        lines.concat()
    }
}

/// Runs the stack until it is told to stop.
pub(super) async fn supervise(checkout: &Checkout, parts: &Parts) -> Result<ExitCode, Error> {
    let run = checkout.run();
    fs::create_dir_all(&run).map_err(Error::io(format!("create {}", run.display())))?;
    let lock = File::create(run.join("up.lock")).map_err(Error::io("open the lock of `up`"))?;
    if lock.try_lock().is_err() {
        return Err(Error::Setting {
            name: run.join("up.lock").display().to_string(),
            reason: "another stack is starting or running here; `turnkeep-local down` stops it"
                .to_owned(),
        });
    }
    sweep_checkout(checkout);
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("listen for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("listen for signals"))?;
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let served = async {
        progress("starting PostgreSQL and moto");
        let stack = Stack::start(parts.options(checkout).log_directory(run.join("logs"))).await?;
        let state = set_up(checkout, &stack).await?;
        write_whole(
            &State::file(checkout),
            &serde_json::to_vec_pretty(&state).unwrap_or_default(),
        )?;
        progress(&format!("ready: {}", state.endpoint));
        std::future::pending::<()>().await;
        Ok::<_, Error>(stack)
    };
    let outcome = tokio::select! {
        () = stopped => Ok(ExitCode::SUCCESS),
        ended = served => ended.map(|_| ExitCode::SUCCESS),
    };
    // It may not have come to be.
    let _ = fs::remove_file(State::file(checkout));
    outcome
}

/// Everything that the template would have made: bucket, database, master secret, functions; then the tables, through
/// `turnkeep` itself.
async fn set_up(checkout: &Checkout, stack: &Stack) -> Result<State, Error> {
    stack.create_bucket(BUCKET).await?;
    let database = stack.server().create_database(DATABASE).await?;
    let master_secret = stack.master_secret()?;
    let ca_file = checkout.run().join("ca.pem");
    fs::copy(&stack.server().ca_file, &ca_file)
        .map_err(Error::io(format!("write {}", ca_file.display())))?;
    let mut variables = stack.environment();
    let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
    set("TURNKEEP_SECRET", SECRET);
    set("CONVERSATIONS_BUCKET", BUCKET);
    set("DB_CA_BUNDLE", &ca_file.to_string_lossy());
    set("MASTER_SECRET", &master_secret);
    set(
        "INVOKE",
        &format!(
            "--invoke-address 127.0.0.1 --invoke-port {}",
            stack.gateway().address().port()
        ),
    );
    let referred = Referred {
        bucket: BUCKET,
        ..Referred::new(&database, SECRET)
    };
    let capture = stack.function(CAPTURE, Deployment::Existing, &referred)?;
    stack.functions().define(capture)?;
    // The step `migrate` may make roles here, too.
    let rotation = stack
        .function(ROTATION, Deployment::Existing, &referred)?
        .variable("BOOTSTRAP_SECRET", &master_secret);
    stack.functions().define(rotation)?;
    prepare(stack, &variables, &database, &master_secret).await?;
    let invoke_default = stack.gateway().also_at(INVOKE_DEFAULT).await.is_ok();
    Ok(State {
        supervisor: Identity::ours().ok_or_else(|| Error::Missing {
            what: "/proc cannot be read".to_owned(),
            remedy: "the local stack needs Linux with /proc mounted".to_owned(),
        })?,
        endpoint: stack.gateway().endpoint(),
        invoke_default,
        variables,
        paths: vec![
            stack.function_directory().to_owned(),
            checkout.tools().join("bin"),
        ],
    })
}

fn location(database: &Database) -> [(String, String); 3] {
    let (host, port) = (
        database.server.host.clone(),
        database.server.port.to_string(),
    );
    [
        ("DB_HOST".to_owned(), host),
        ("DB_PORT".to_owned(), port),
        ("DB_NAME".to_owned(), database.name.clone()),
    ]
}

/// Tables, roles, secret and the first rotation, through `turnkeep`, as an operator does it. Without its binary the stack
/// is up all the same.
async fn prepare(
    stack: &Stack,
    variables: &BTreeMap<String, String>,
    database: &Database,
    master_secret: &str,
) -> Result<(), Error> {
    let missing = [CAPTURE, ROTATION, "turnkeep"].map(|name| stack.function_directory().join(name));
    for path in missing.iter().filter(|path| !path.is_file()) {
        progress(&format!(
            "the binary is missing: {}; `make build` makes it",
            path.display()
        ));
    }
    if missing.iter().any(|path| !path.is_file()) {
        return Ok(());
    }
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .chain(location(database))
        .collect();
    progress("creating tables, role and secret by `turnkeep create-tables`");
    let create = [
        "create-tables",
        "--master-secret",
        master_secret,
        "--create-secret",
    ];
    turnkeep(stack, &variables, &create).await?;
    progress("rotating for the first time by `turnkeep rotate`");
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{ROTATION}");
    let rotate = ["rotate", "--function", &function, "--days", "30", "--wait"];
    turnkeep(stack, &variables, &rotate).await
}

async fn turnkeep(
    stack: &Stack,
    variables: &[(String, String)],
    arguments: &[&str],
) -> Result<(), Error> {
    let program = stack.function_directory().join("turnkeep");
    let mut command = CommandLine::new(&program).args(arguments);
    for (name, value) in variables {
        command = command.variable(name, value);
    }
    let output = command.output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Start {
        server: "turnkeep",
        reason: format!("it ended with {}", output.status),
        command: command.to_paste(),
        log: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
