//! What happens in one run: made of a seed alone, so that the same seed makes the same script.

use std::fmt;

use fastrand::Rng;

use super::{Strategy, chance};
use crate::proxy::Flight;
use crate::secrets_manager::Step;

/// Of a hundred runs, those of alternating users where both strategies are played.
const ALTERNATING: u32 = 40;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) seed: u64,
    pub(super) strategy: Strategy,
    pub(super) start: Start,
    /// Whether the master is in the gap of its own rotation at first; with alternating users only.
    pub(super) master_in_gap: bool,
    /// Whether the function promotes at once.
    pub(super) fast: bool,
    pub(super) acts: Vec<Act>,
}

/// What is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// `AWSCURRENT` opens the database, and there is no other version.
    New,
    /// `AWSCURRENT` opens it, and `AWSPREVIOUS` did; of alternating users it is the second's, and both open it.
    Rotated,
    /// `AWSPREVIOUS` opens it, because somebody typed `AWSCURRENT` wrongly.
    WrongCurrent,
    /// As `Rotated`, by AWS's function for alternating users: the second owns what it has made.
    FromReference,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// A rotation begins, unless another is not over; `tidy` takes `AWSPENDING` off the current version before.
    Begin { tidy: bool },
    /// The function is called.
    Call(Call),
    /// Somebody takes `AWSPENDING` off the version that is being made, as is often advised.
    TakeLabel,
    /// The master's own rotation gets on: into its gap, or out of it.
    RotateMaster,
}

/// One call of the function, or two at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) step: Step,
    /// For the rotation before the newest.
    pub(super) outdated: bool,
    pub(super) copies: usize,
    pub(super) trouble: Option<Trouble>,
}

/// What goes wrong in a call, where it speaks with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) link: Link,
    pub(super) flight: Flight,
    /// Counted from 1.
    pub(super) nth: u64,
    pub(super) what: What,
}

/// Whom the function speaks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Api,
    Database,
}

/// What becomes of a flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The connection is reset before it arrives.
    Cut,
    /// The function is killed, and the flight does not arrive.
    Kill,
    /// It arrives late, in milliseconds.
    Late(u64),
    /// It arrives only after that many more acts.
    Outlived(usize),
    /// It never arrives, and nobody says so.
    Lost,
}

impl Script {
    /// The script of a seed, for `strategy` or, without one, for the strategy that the seed chooses.
    pub(super) fn of(seed: u64, strategy: Option<Strategy>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let chosen = if chance(&mut rng, ALTERNATING) {
            Strategy::AlternatingUsers
        } else {
            Strategy::SingleUser
        };
        let strategy = strategy.unwrap_or(chosen);
        let alternating = strategy == Strategy::AlternatingUsers;
        let start = match rng.u32(..10) {
            0 => Start::WrongCurrent,
            1..=3 => Start::Rotated,
            4..=5 if alternating => Start::FromReference,
            _ => Start::New,
        };
        let fast = chance(&mut rng, 25);
        let master_in_gap = alternating && chance(&mut rng, 25);
        let mut acts = Vec::new();
        for _ in 0..rng.usize(1..=2) {
            acts.push(Act::Begin { tidy: rng.bool() });
            for _ in 0..rng.usize(1..=2) {
                attempt(&mut rng, strategy, &mut acts);
                if chance(&mut rng, 10) {
                    acts.push(Act::TakeLabel);
                }
            }
        }
        Self {
            seed,
            strategy,
            start,
            master_in_gap,
            fast,
            acts,
        }
    }
}

/// What the service does for one rotation, in order for the most part.
fn attempt(rng: &mut Rng, strategy: Strategy, acts: &mut Vec<Act>) {
    for step in Step::ALL {
        if strategy == Strategy::AlternatingUsers && chance(rng, 8) {
            acts.push(Act::RotateMaster);
        }
        if chance(rng, 6) {
            continue;
        }
        acts.push(Act::Call(call(rng, strategy, step)));
        if chance(rng, 12) {
            acts.push(Act::Call(call(rng, strategy, step)));
        }
        if chance(rng, 10) {
            let any = Step::ALL.get(rng.usize(..Step::ALL.len()));
            let any = any.copied().unwrap_or(step);
            acts.push(Act::Call(call(rng, strategy, any)));
        }
        if chance(rng, 10) {
            // It gives up, and begins anew.
            return;
        }
    }
}

fn call(rng: &mut Rng, strategy: Strategy, step: Step) -> Call {
    Call {
        step,
        outdated: chance(rng, 10),
        copies: if chance(rng, 12) { 2 } else { 1 },
        trouble: chance(rng, 50).then(|| trouble(rng, strategy, step)),
    }
}

fn trouble(rng: &mut Rng, strategy: Strategy, step: Step) -> Trouble {
    let link = if step == Step::CreateSecret || chance(rng, 40) {
        Link::Api
    } else {
        Link::Database
    };
    // About as many flights as the step has; where there are fewer, nothing happens.
    let flights = match (link, step, strategy) {
        (Link::Database, Step::SetSecret, Strategy::SingleUser) => 19,
        (Link::Database, Step::SetSecret, Strategy::AlternatingUsers) => 40,
        (Link::Database, _, _) => 7,
        (Link::Api, Step::SetSecret, Strategy::AlternatingUsers) => 6,
        (Link::Api, Step::CreateSecret | Step::SetSecret, _) => 5,
        (Link::Api, _, _) => 3,
    };
    Trouble {
        link,
        flight: if rng.bool() {
            Flight::Request
        } else {
            Flight::Answer
        },
        nth: rng.u64(1..=flights),
        what: match rng.u32(..100) {
            0..45 => What::Cut,
            45..75 => What::Kill,
            75..92 => What::Late(rng.u64(1..=40)),
            92..99 => What::Outlived(rng.usize(1..=6)),
            _ => What::Lost,
        },
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let promotion = if self.fast { ", fast promotion" } else { "" };
        let gap = if self.master_in_gap {
            ", the master in its gap"
        } else {
            ""
        };
        let Self {
            seed,
            strategy,
            start,
            ..
        } = self;
        writeln!(
            f,
            "seed {seed}, {strategy}, at first: {start:?}{gap}{promotion}"
        )?;
        for (number, act) in self.acts.iter().enumerate() {
            writeln!(f, "  {}. {act}", number + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { tidy: true } => f.write_str("a rotation begins, the last one is tidied"),
            Self::Begin { tidy: false } => f.write_str("a rotation begins"),
            Self::Call(call) => write!(f, "{call}"),
            Self::TakeLabel => f.write_str("somebody takes the label AWSPENDING off"),
            Self::RotateMaster => f.write_str("the master's own rotation gets on"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step.as_str())?;
        if self.outdated {
            f.write_str(" of the rotation before")?;
        }
        if self.copies > 1 {
            write!(f, ", {} times at once", self.copies)?;
        }
        let Some(trouble) = self.trouble else {
            return Ok(());
        };
        let link = match trouble.link {
            Link::Api => "the API",
            Link::Database => "the database",
        };
        write!(f, ", {} {} of {link}: ", trouble.flight, trouble.nth)?;
        match trouble.what {
            What::Cut => f.write_str("the connection is reset"),
            What::Kill => f.write_str("the function is killed"),
            What::Late(milliseconds) => write!(f, "{milliseconds} ms late"),
            What::Outlived(acts) => write!(f, "as late as {acts} acts later"),
            What::Lost => f.write_str("never arrives"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_script() {
        for seed in 0..100 {
            let script = Script::of(seed, None);
            assert_eq!(script, Script::of(seed, None));
            assert_eq!(script, Script::of(seed, Some(script.strategy)));
        }
        assert_ne!(Script::of(1, None).acts, Script::of(2, None).acts);
    }

    #[test]
    fn each_strategy_has_its_share() {
        let scripts = (0..1000).map(|seed| Script::of(seed, None).strategy);
        let alternating = scripts.filter(|strategy| *strategy == Strategy::AlternatingUsers);
        assert!((350..450).contains(&alternating.count()));
    }

    #[track_caller]
    fn check(strategy: Strategy, parts: &[&str], absent: &[&str]) {
        let scripts = (0..1000).map(|seed| Script::of(seed, Some(strategy)).to_string());
        let all: String = scripts.collect();
        for part in parts {
            assert!(all.contains(part), "{part}");
        }
        for part in absent {
            assert!(!all.contains(part), "{part}");
        }
    }

    #[test]
    fn a_thousand_scripts_have_every_kind_of_trouble() {
        let parts = [
            "New",
            "Rotated",
            "WrongCurrent",
            "rotation before",
            "2 times at once",
            "reset",
            "killed",
            "ms late",
            "acts later",
            "never arrives",
            "request 1 of the API",
            "answer 19 of the database",
            "finishSecret",
            "label AWSPENDING off",
            "fast promotion",
        ];
        let of_two_users = [
            "FromReference",
            "master in its gap",
            "master's own rotation",
            "answer 40 of the database",
        ];
        check(Strategy::SingleUser, &parts, &of_two_users);
        check(Strategy::AlternatingUsers, &parts, &[]);
        check(Strategy::AlternatingUsers, &of_two_users, &[]);
    }
}
