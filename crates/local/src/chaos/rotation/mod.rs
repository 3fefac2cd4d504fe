//! Rotations that are cut, delayed, killed, repeated and doubled at random.
//!
//! Each run has a secret and passwords of its own (`scene`). After each act, and wherever a flight stands still, the
//! database has to accept `AWSCURRENT` or `AWSPENDING`, and of alternating users `AWSCURRENT` itself, or what it accepted at
//! first while nothing has happened; at the end a normal rotation has to succeed, and both users to share their tables
//! (`promise`).

mod play;
mod promise;
mod scene;
mod script;

use std::fmt;
use std::sync::Arc;

use super::crew::{self, Game};
use super::{Broken, Played, Report, Runs, Told, chance};
use crate::{Database, Error, Stack, StackOptions};
use play::Player;
use script::Script;

/// How a rotation changes the password, as `ROTATION_STRATEGY` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The one user changes its own.
    SingleUser,
    /// The master sets that of the user which is not current.
    AlternatingUsers,
}

/// Plays on a stack of its own; without a strategy each run's seed chooses one.
///
/// # Errors
/// If the stack fails; what the runs find is in the report.
pub async fn run(
    options: StackOptions,
    runs: Runs,
    strategy: Option<Strategy>,
    told: impl Fn(Told<'_>),
) -> Result<Report, Error> {
    let stack = Arc::new(Stack::start(options).await?);
    let database = stack.database("chaos").await?;
    let rotations = Rotations {
        stack,
        database,
        strategy,
    };
    crew::play(rotations, runs, told).await
}

struct Rotations {
    stack: Arc<Stack>,
    database: Database,
    strategy: Option<Strategy>,
}

impl Game for Rotations {
    type Player = Player;
    type Script = Script;

    fn stack(&self) -> &Stack {
        &self.stack
    }

    async fn enter(&self, number: usize) -> Result<Player, Error> {
        Player::enter(&self.stack, &self.database, number).await
    }

    fn script(&self, seed: u64) -> Script {
        Script::of(seed, self.strategy)
    }

    async fn play(player: &mut Player, script: &Script) -> Result<Played, Error> {
        player.play(script).await
    }

    fn command(script: &Script) -> String {
        let Script { seed, strategy, .. } = script;
        format!("make rotation-chaos RUNS=1 SEED={seed} STRATEGY={strategy}")
    }
}

impl Strategy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::SingleUser, Self::AlternatingUsers];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SingleUser => "single-user",
            Self::AlternatingUsers => "alternating-users",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
