//! Something that stands still at a chosen moment, so that whoever chose it can do something just then.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::lock::lock;
use crate::wait::TimedOut;

/// What stands still, or will, until this is dropped.
#[must_use = "what stands still goes on when this is dropped"]
#[derive(Debug)]
pub struct Stop {
    reached: watch::Receiver<bool>,
    onward: oneshot::Sender<Onward>,
}

/// What becomes of something that stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onward {
    Pass,
    Cut,
}

/// The stops that are planned, each for the n-th time that its moment comes.
#[derive(Debug)]
pub(crate) struct Stops<M> {
    planned: Mutex<Vec<Planned<M>>>,
}

#[derive(Debug)]
struct Planned<M> {
    moment: M,
    left: u64,
    here: Here,
}

/// The side of what stands still.
#[derive(Debug)]
pub(crate) struct Here {
    reached: watch::Sender<bool>,
    onward: oneshot::Receiver<Onward>,
}

impl Stop {
    /// Waits until something stands still.
    pub async fn reached(&mut self, deadline: Duration) -> Result<(), TimedOut> {
        let waited = tokio::time::timeout(deadline, self.comes_true()).await;
        waited.map_err(|_| TimedOut {
            what: "something that stands still where it was told to".to_owned(),
            waited: deadline,
        })
    }

    /// As [`Stop::reached`], without an end where nothing ever comes.
    pub(crate) async fn comes_true(&mut self) {
        if self.reached.wait_for(|reached| *reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether something stands still.
    pub fn is_reached(&self) -> bool {
        *self.reached.borrow()
    }

    /// Lets it not go on: a connection is reset before the bytes pass, a call is answered with an error that may pass. What
    /// was called before has had its effect.
    pub fn cut(self) {
        // Nothing may stand there yet; then there is nothing to cut.
        let _ = self.onward.send(Onward::Cut);
    }
}

impl<M> Default for Stops<M> {
    fn default() -> Self {
        Self {
            planned: Mutex::default(),
        }
    }
}

impl<M: PartialEq> Stops<M> {
    /// Plans a stop for the n-th time from now that `moment` comes, counted from 1.
    pub(crate) fn plan(&self, moment: M, nth: u64) -> Stop {
        let (reached, is_reached) = watch::channel(false);
        let (onward, told) = oneshot::channel();
        let here = Here {
            reached,
            onward: told,
        };
        lock(&self.planned).push(Planned {
            moment,
            left: nth,
            here,
        });
        Stop {
            reached: is_reached,
            onward,
        }
    }

    /// Notes that `moment` has come; what stands still there waits for what it is given.
    pub(crate) fn come(&self, moment: &M) -> Option<Here> {
        let mut planned = lock(&self.planned);
        planned.retain(|one| !one.here.reached.is_closed());
        for one in planned.iter_mut().filter(|one| one.moment == *moment) {
            one.left = one.left.saturating_sub(1);
        }
        let due = planned
            .iter()
            .position(|one| one.moment == *moment && one.left == 0)?;
        Some(planned.remove(due).here)
    }
}

impl Here {
    /// Stands still until whoever planned it says how it goes on.
    pub(crate) async fn stand(self) -> Onward {
        self.reached.send_replace(true);
        self.onward.await.unwrap_or(Onward::Pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn the_nth_moment_stands_still_until_it_is_let_go() {
        let stops = Stops::default();
        let mut stop = stops.plan('a', 2);
        assert!(stops.come(&'a').is_none() && stops.come(&'b').is_none());
        let here = stops.come(&'a').unwrap();
        let standing = tokio::spawn(here.stand());
        stop.reached(SOON).await.unwrap();
        assert!(!standing.is_finished());
        drop(stop);
        assert_eq!(standing.await.unwrap(), Onward::Pass);
        assert!(stops.come(&'a').is_none(), "once only");
    }

    #[tokio::test]
    async fn what_stands_still_can_be_cut() {
        let stops = Stops::default();
        let stop = stops.plan("now", 1);
        let standing = tokio::spawn(stops.come(&"now").unwrap().stand());
        stop.cut();
        assert_eq!(standing.await.unwrap(), Onward::Cut);
    }

    #[test]
    fn a_plan_that_was_dropped_stops_nothing() {
        let stops = Stops::default();
        drop(stops.plan((), 1));
        assert!(stops.come(&()).is_none());
    }

    #[test]
    fn two_plans_for_one_moment_are_met_one_after_the_other() {
        let stops = Stops::default();
        let (_one, _two) = (stops.plan((), 1), stops.plan((), 1));
        assert!(stops.come(&()).is_some() && stops.come(&()).is_some());
        assert!(stops.come(&()).is_none());
    }
}
