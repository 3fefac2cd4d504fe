//! Which version of the secret to try next, as a pure decision.
//!
//! A rotation changes the password in the database first and moves `AWSCURRENT` a moment later. A
//! client that is refused therefore tries, in this order: what it has cached, `AWSCURRENT` if that is
//! another version by now, `AWSPENDING` (in the moment between), `AWSCURRENT` once more (the rotation
//! may just have ended), `AWSPREVIOUS` (a database restored from a backup, a label moved back). After
//! that it asks Secrets Manager and no longer the database, until a label moves.
//!
//! No version is tried twice, with one exception: one that was refused as `AWSPENDING`, perhaps before
//! the database knew it, is tried again when it has become `AWSCURRENT`.
//!
//! 28000 says that the user may not log in at all (or not from here), and some proxies say it for a
//! wrong password. One is given the benefit of the doubt; a second one ends the search.

use secrets::Stage;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// Log in with the version that is at hand: the cached one, or the one read last.
    LogIn,
    /// Read the version with this label.
    Read(Stage),
    /// Pause; longer in each round, which are counted from 0.
    Wait {
        /// Pauses before this one.
        round: u32,
    },
    /// No version will do. Tell the last reason.
    GiveUp,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The login was refused.
    Refused {
        /// `28P01` or `28000`.
        sqlstate: &'a str,
    },
    /// The version was read.
    Found {
        /// Its id.
        version_id: &'a str,
        /// Whether it leads to the same host as the same user, or the other one of an alternating
        /// pair. Of no importance for `AWSCURRENT`, which may lead anywhere.
        stands_in: bool,
    },
    /// No version has the label, or it has no value yet.
    Absent,
    /// The policy does not let this client read the label.
    Denied,
    /// Secrets Manager gave no answer.
    Unavailable,
    /// The pause is over.
    Waited,
}

/// The search so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    step: Step,
    at_hand: Option<(String, Stage)>,
    refused: Vec<(String, Stage)>,
    not_the_password: u32,
    pending_denied: bool,
    rounds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Cached,
    Current,
    Pending,
    CurrentAgain,
    Previous,
    /// All was tried once; from here on only a moved label leads to a login.
    WatchCurrent,
    WatchPending,
    /// Paused, to go on with watching, or from the start if Secrets Manager failed before.
    Paused {
        complete: bool,
    },
    Over,
}

/// 28000 the first time may mean a wrong password; see the module's text.
const MAX_NOT_THE_PASSWORD: u32 = 2;

/// Starts a search; `cached` is the id of a version at hand, which the database has accepted before.
pub fn start(cached: Option<&str>) -> (Search, Try) {
    let search = Search {
        step: Step::Current,
        at_hand: None,
        refused: Vec::new(),
        not_the_password: 0,
        pending_denied: false,
        rounds: 0,
    };
    match cached {
        Some(version_id) => (
            Search {
                step: Step::Cached,
                // Whatever its label was: the database knew it, so a moved label is no reason for
                // another try.
                at_hand: Some((version_id.to_owned(), Stage::Current)),
                ..search
            },
            Try::LogIn,
        ),
        None => (search, Try::Read(Stage::Current)),
    }
}

/// Takes up a search that another task left, with all that it knows.
pub fn resume(search: Search) -> (Search, Try) {
    let complete = matches!(
        search.step,
        Step::WatchCurrent | Step::WatchPending | Step::Paused { complete: true }
    );
    if search.is_over() {
        return (search, Try::GiveUp);
    }
    from_the_top(search, complete)
}

/// Decides what follows on `outcome` of the last [`Try`].
pub fn next(mut search: Search, outcome: Outcome<'_>) -> (Search, Try) {
    match outcome {
        Outcome::Refused { sqlstate } => {
            search.refused.extend(search.at_hand.take());
            if sqlstate == "28000" {
                search.not_the_password += 1;
            }
            if search.not_the_password >= MAX_NOT_THE_PASSWORD {
                return give_up(search);
            }
            advance(search)
        }
        Outcome::Found {
            version_id,
            stands_in,
        } => {
            let Some(stage) = search.step.reads() else {
                return give_up(search);
            };
            let usable = stage == Stage::Current || stands_in;
            if usable && search.may_try(version_id, stage) {
                search.at_hand = Some((version_id.to_owned(), stage));
                (search, Try::LogIn)
            } else {
                advance(search)
            }
        }
        Outcome::Absent | Outcome::Denied => match search.step.reads() {
            // Without a current version there is no secret to speak of.
            None | Some(Stage::Current) => give_up(search),
            Some(stage) => {
                search.pending_denied |= outcome == Outcome::Denied && stage == Stage::Pending;
                advance(search)
            }
        },
        Outcome::Unavailable => {
            let complete = matches!(search.step, Step::WatchCurrent | Step::WatchPending);
            pause(search, complete)
        }
        Outcome::Waited => {
            let complete = search.step == Step::Paused { complete: true };
            from_the_top(search, complete)
        }
    }
}

impl Search {
    /// Whether it has ended without a version that will do.
    pub(crate) fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    fn may_try(&self, version_id: &str, stage: Stage) -> bool {
        self.refused
            .iter()
            .filter(|(refused, _)| refused == version_id)
            .all(|(_, then)| (*then, stage) == (Stage::Pending, Stage::Current))
    }
}

impl Step {
    fn reads(self) -> Option<Stage> {
        match self {
            Self::Current | Self::CurrentAgain | Self::WatchCurrent => Some(Stage::Current),
            Self::Pending | Self::WatchPending => Some(Stage::Pending),
            Self::Previous => Some(Stage::Previous),
            Self::Cached | Self::Paused { .. } | Self::Over => None,
        }
    }
}

fn advance(search: Search) -> (Search, Try) {
    let step = match search.step {
        Step::Cached => Step::Current,
        Step::Current => Step::Pending,
        Step::Pending => Step::CurrentAgain,
        Step::CurrentAgain => Step::Previous,
        Step::WatchCurrent if !search.pending_denied => Step::WatchPending,
        Step::Previous | Step::WatchCurrent | Step::WatchPending => return pause(search, true),
        Step::Paused { .. } | Step::Over => Step::Over,
    };
    go_to(search, step)
}

fn from_the_top(search: Search, complete: bool) -> (Search, Try) {
    let step = if complete {
        Step::WatchCurrent
    } else {
        Step::Current
    };
    go_to(search, step)
}

fn go_to(mut search: Search, step: Step) -> (Search, Try) {
    search.step = step;
    let next = step.reads().map_or(Try::GiveUp, Try::Read);
    (search, next)
}

fn pause(mut search: Search, complete: bool) -> (Search, Try) {
    search.step = Step::Paused { complete };
    let round = search.rounds;
    search.rounds = round.saturating_add(1);
    (search, Try::Wait { round })
}

fn give_up(mut search: Search) -> (Search, Try) {
    search.step = Step::Over;
    (search, Try::GiveUp)
}

#[cfg(test)]
mod tests;
