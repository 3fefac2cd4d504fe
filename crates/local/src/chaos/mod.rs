//! What is disturbed at random, and what must hold all the same: [`rotation`] and [`capture`].
//!
//! Each run is a script, made of its seed; the release binaries speak with PostgreSQL and with the API through proxies of
//! its player. Seeds count up from the first, so that a run is repeated by its seed.

pub mod capture;
mod crew;
mod report;
pub mod rotation;

use std::time::Duration;

pub use report::{Report, Violation};

/// What is to be played.
#[derive(Debug, Clone, Copy)]
pub struct Runs {
    /// The seed of the first run.
    pub seed: u64,
    /// How many runs.
    pub runs: u64,
    /// How many of them at a time.
    pub players: usize,
    /// How long the caller hears nothing, at most.
    pub silence: Duration,
}

/// What the caller hears while it goes on.
#[derive(Debug)]
pub enum Told<'a> {
    /// How far it is.
    Report(&'a Report),
    /// A promise was broken this moment.
    Violation(&'a Violation),
}

/// How a run went.
#[derive(Debug, Default)]
struct Played {
    /// What kind of run it was.
    kind: &'static str,
    invocations: u64,
    troubles: u64,
    cut: u64,
    killed: u64,
    errors: Vec<String>,
    violation: Option<String>,
}

/// Why a run ends: a broken promise, or a stack that fails.
enum Broken {
    Promise(String),
    Stack(crate::Error),
}

impl From<crate::Error> for Broken {
    fn from(error: crate::Error) -> Self {
        Self::Stack(error)
    }
}

fn chance(rng: &mut fastrand::Rng, percent: u32) -> bool {
    rng.u32(..100) < percent
}
