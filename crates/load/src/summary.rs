//! What a run comes to, in figures.

use std::time::Duration;

use aurora_session::Stage;
use serde::Serialize;

use crate::{Connect, Run, Turn};

/// The figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Connects, whatever came of them.
    pub connects: usize,
    /// Of those, the ones that failed.
    pub failed: usize,
    /// Connects of which at least a part was within a gap.
    pub connects_in_gap: usize,
    /// Of those, the ones that failed.
    pub failed_in_gap: usize,
    /// How long the gap was.
    pub gap: Option<Latency>,
    /// How long connects took that succeeded and met a gap.
    pub in_gap: Option<Latency>,
    /// How long the other ones took that succeeded.
    pub outside: Option<Latency>,
    /// Logins, by the label that their version had at that moment.
    pub logins: ByStage,
    /// The same, of connects that met a gap.
    pub logins_in_gap: ByStage,
    /// Refused logins of all connectors together, by rotation.
    pub refused: PerTurn,
    /// Reads of the secret by all connectors together, by rotation.
    pub reads: PerTurn,
}

/// Two percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50_ms: f64,
    /// What one of a hundred exceeds.
    pub p99_ms: f64,
}

/// A count by label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ByStage {
    /// `AWSCURRENT`.
    pub current: usize,
    /// `AWSPENDING`.
    pub pending: usize,
    /// `AWSPREVIOUS`: with alternating users, the password of the user whose turn it is not goes on working.
    pub previous: usize,
}

/// A count by rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct PerTurn {
    /// Of one rotation on average.
    pub mean: f64,
    /// Of the rotation with the most.
    pub most: u64,
}

impl Summary {
    /// The figures of a run.
    pub fn of(run: &Run) -> Self {
        let mut summary = Self {
            connects: run.connects.len(),
            failed: 0,
            connects_in_gap: 0,
            failed_in_gap: 0,
            gap: Latency::of(run.turns.iter().map(Turn::gap)),
            in_gap: None,
            outside: None,
            logins: ByStage::default(),
            logins_in_gap: ByStage::default(),
            refused: PerTurn::of(run.turns.iter().map(|turn| turn.refused)),
            reads: PerTurn::of(run.turns.iter().map(|turn| turn.reads)),
        };
        let (mut in_gap, mut outside) = (Vec::new(), Vec::new());
        for connect in &run.connects {
            let met = met_a_gap(&run.turns, connect);
            let is_failed = connect.outcome.is_err();
            summary.failed += usize::from(is_failed);
            summary.connects_in_gap += usize::from(met);
            summary.failed_in_gap += usize::from(met && is_failed);
            let Some(stage) = stage(&run.turns, connect) else {
                continue;
            };
            summary.logins.add(stage);
            if met {
                summary.logins_in_gap.add(stage);
                in_gap.push(connect.took());
            } else {
                outside.push(connect.took());
            }
        }
        summary.in_gap = Latency::of(in_gap);
        summary.outside = Latency::of(outside);
        summary
    }

    /// The share of connects that met a gap and failed, in percent.
    pub fn failed_in_gap_percent(&self) -> Option<f64> {
        (self.connects_in_gap > 0)
            .then(|| 100.0 * number(self.failed_in_gap) / number(self.connects_in_gap))
    }

    /// How many milliseconds longer a connect takes at the 99th percentile if it meets a gap.
    pub fn longer_at_p99(&self) -> Option<f64> {
        Some(self.in_gap?.p99_ms - self.outside?.p99_ms)
    }
}

/// Whether any part of a connect was within a gap of these rotations, which are in order.
pub fn met_a_gap(turns: &[Turn], connect: &Connect) -> bool {
    let first = turns.partition_point(|turn| turn.moved <= connect.started);
    let turn = turns.get(first);
    turn.is_some_and(|turn| turn.committed < connect.ended)
}

/// The label that the version of a login had when it was over; `None` for a connect that failed.
pub fn stage(turns: &[Turn], connect: &Connect) -> Option<Stage> {
    let version_id = connect.outcome.as_deref().ok()?;
    // What no rotation has made was there before the first.
    let number = turns.iter().position(|turn| turn.version_id == version_id);
    let moved_by_then = |number: usize| {
        turns
            .get(number)
            .is_some_and(|turn| turn.moved <= connect.ended)
    };
    let follower = number.map_or(0, |number| number + 1);
    Some(if moved_by_then(follower) {
        Stage::Previous
    } else if number.is_none_or(moved_by_then) {
        Stage::Current
    } else {
        Stage::Pending
    })
}

impl Latency {
    fn of(durations: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut sorted: Vec<_> = durations.into_iter().collect();
        sorted.sort_unstable();
        Some(Self {
            p50_ms: percentile(&sorted, 50)?,
            p99_ms: percentile(&sorted, 99)?,
        })
    }
}

/// The smallest of the sorted values that so many percent of them do not exceed, in milliseconds.
fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    let value = sorted.get(rank.saturating_sub(1))?;
    Some(value.as_secs_f64() * 1000.0)
}

impl ByStage {
    fn add(&mut self, stage: Stage) {
        *match stage {
            Stage::Current => &mut self.current,
            Stage::Pending => &mut self.pending,
            Stage::Previous => &mut self.previous,
        } += 1;
    }
}

impl PerTurn {
    fn of(counts: impl ExactSizeIterator<Item = u64> + Clone) -> Self {
        let turns = number(counts.len()).max(1.0);
        let total: u64 = counts.clone().sum();
        Self {
            mean: number(usize::try_from(total).unwrap_or(usize::MAX)) / turns,
            most: counts.max().unwrap_or_default(),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "connects of a run are far below 2^52"
)]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use crate::{Plan, Policy, Strategy};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn turn(version_id: &str, committed: u32, moved: u32) -> Turn {
        Turn {
            version_id: version_id.to_owned(),
            committed: committed * MS,
            moved: moved * MS,
            refused: 2,
            reads: 3,
        }
    }

    fn connect(started: u32, ended: u32, outcome: Result<&str, &'static str>) -> Connect {
        Connect {
            started: started * MS,
            ended: ended * MS,
            outcome: outcome.map(str::to_owned),
            refused: 0,
        }
    }

    fn turns() -> Vec<Turn> {
        vec![turn("v1", 100, 200), turn("v2", 300, 400)]
    }

    #[track_caller]
    fn check_gap(started: u32, ended: u32, expected: bool) {
        let connect = connect(started, ended, Ok("v1"));
        assert_eq!(met_a_gap(&turns(), &connect), expected);
    }

    #[test]
    fn a_connect_meets_a_gap_with_any_part_of_it() {
        check_gap(0, 100, false);
        check_gap(0, 101, true);
        check_gap(150, 160, true);
        check_gap(199, 260, true);
        check_gap(200, 300, false);
        check_gap(210, 310, true);
        check_gap(50, 500, true);
        check_gap(400, 500, false);
    }

    #[track_caller]
    fn check_stage(version_id: &str, ended: u32, expected: Stage) {
        let connect = connect(ended.saturating_sub(5), ended, Ok(version_id));
        assert_eq!(stage(&turns(), &connect), Some(expected));
    }

    #[test]
    fn the_label_is_that_of_the_moment() {
        check_stage("v0", 50, Stage::Current);
        check_stage("v0", 199, Stage::Current);
        check_stage("v0", 200, Stage::Previous);
        check_stage("v1", 150, Stage::Pending);
        check_stage("v1", 200, Stage::Current);
        check_stage("v1", 399, Stage::Current);
        check_stage("v1", 400, Stage::Previous);
        check_stage("v2", 350, Stage::Pending);
        check_stage("v2", 900, Stage::Current);
    }

    #[test]
    fn percentiles_are_values_that_were_there() {
        let sorted: Vec<_> = (1..=200_u32).map(|value| value * MS).collect();
        assert_eq!(percentile(&sorted, 50), Some(100.0));
        assert_eq!(percentile(&sorted, 99), Some(198.0));
        assert_eq!(percentile(&[MS], 99), Some(1.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn a_summary_tells_the_gap_from_the_rest() {
        let run = Run {
            plan: Plan {
                strategy: Strategy::SingleUser,
                policy: Policy::RefreshOnce,
                connectors: 1,
                rotations: 2,
                pause: Duration::ZERO,
            },
            connects: vec![
                connect(0, 10, Ok("v0")),
                connect(110, 120, Err("LOGIN_REFUSED")),
                connect(150, 180, Ok("v1")),
                connect(250, 270, Ok("v1")),
                connect(450, 460, Err("DATABASE_TIMED_OUT")),
            ],
            turns: turns(),
            first_failure: None,
            elapsed: 500 * MS,
        };
        let summary = Summary::of(&run);
        assert_eq!(
            (summary.connects, summary.failed),
            (5, 2),
            "all of the run's"
        );
        assert_eq!((summary.connects_in_gap, summary.failed_in_gap), (2, 1));
        assert_eq!(summary.failed_in_gap_percent(), Some(50.0));
        let (in_gap, outside) = (summary.in_gap.unwrap(), summary.outside.unwrap());
        assert_eq!((in_gap.p50_ms, outside.p99_ms), (30.0, 20.0));
        assert_eq!(summary.longer_at_p99(), Some(10.0));
        let logins = ByStage {
            current: 2,
            pending: 1,
            previous: 0,
        };
        assert_eq!(summary.logins, logins);
        assert_eq!(summary.logins_in_gap.pending, 1);
        assert_eq!((summary.refused.mean, summary.reads.most), (2.0, 3));
    }
}
