//! Deliveries of a queue that are cut, delayed, killed and doubled at random.
//!
//! Each run has a tenant and a queue of its own. Until its acts are over its deliveries are disturbed; then those that the
//! queue still holds are delivered until there are none. What a delivery acknowledged has to be stored that very moment, and
//! in the end everything has to be stored once (`promise`).

mod play;
mod promise;
mod script;

use std::sync::Arc;

use tokio::process::Command;

use super::crew::{self, Game};
use super::{Broken, Played, Report, Runs, Told, chance};
use crate::postgres::unique;
use crate::{Database, Error, Stack, StackOptions};
use play::Player;
use script::Script;

/// Plays on a stack of its own.
///
/// # Errors
/// If the stack fails; what the runs find is in the report.
pub async fn run(
    options: StackOptions,
    runs: Runs,
    told: impl Fn(Told<'_>),
) -> Result<Report, Error> {
    let stack = Arc::new(Stack::start(options).await?);
    let database = stack.database("chaos").await?;
    let secret = create_tables(&stack, &database).await?;
    let captures = Captures {
        stack,
        database,
        secret,
    };
    crew::play(captures, runs, told).await
}

struct Captures {
    stack: Arc<Stack>,
    database: Database,
    secret: String,
}

impl Game for Captures {
    type Player = Player;
    type Script = Script;

    fn stack(&self) -> &Stack {
        &self.stack
    }

    async fn enter(&self, number: usize) -> Result<Player, Error> {
        Player::enter(&self.stack, &self.database, &self.secret, number).await
    }

    fn script(&self, seed: u64) -> Script {
        Script::of(seed)
    }

    async fn play(player: &mut Player, script: &Script) -> Result<Played, Error> {
        player.play(script).await
    }

    fn command(script: &Script) -> String {
        format!("make capture-chaos RUNS=1 SEED={}", script.seed)
    }
}

/// Makes tables, role and secret as a user does; the secret's name.
async fn create_tables(stack: &Stack, database: &Database) -> Result<String, Error> {
    let secret = unique("chaos");
    let turnkeep = stack.function_directory().join("turnkeep");
    let output = Command::new(&turnkeep)
        .args([
            "create-tables",
            "--create-secret",
            "--master-secret",
            &stack.master_secret()?,
        ])
        .args([
            "--app-user",
            &format!("app_{}", database.name),
            "--dbname",
            &database.name,
        ])
        .args(["--host", &database.server.host])
        .args(["--port", &database.server.port.to_string()])
        .envs(stack.environment())
        .env("TURNKEEP_SECRET", &secret)
        .env("DB_CA_BUNDLE", &database.server.ca_file)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::io(format!("run {}", turnkeep.display())))?;
    if output.status.success() {
        return Ok(secret);
    }
    Err(Error::Api {
        doing: "create the tables".to_owned(),
        reason: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
