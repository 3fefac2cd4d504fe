//! Every path of the policy, and that it ends.

use proptest::prelude::*;

use super::Outcome::{Absent, Denied, Unavailable, Waited};
use super::Stage::{Current, Pending, Previous};
use super::*;

const REFUSED: Outcome<'_> = Outcome::Refused { sqlstate: "28P01" };
const FORBIDDEN: Outcome<'_> = Outcome::Refused { sqlstate: "28000" };

fn found(version_id: &str) -> Outcome<'_> {
    Outcome::Found {
        version_id,
        stands_in: true,
    }
}

fn foreign(version_id: &str) -> Outcome<'_> {
    Outcome::Found {
        version_id,
        stands_in: false,
    }
}

/// From a refused cached version `old`.
#[track_caller]
fn check(path: &[(Outcome<'_>, Try)]) {
    let (mut search, first) = start(Some("old"));
    assert_eq!(first, Try::LogIn);
    for (position, (outcome, expected)) in path.iter().enumerate() {
        let next;
        (search, next) = super::next(search, *outcome);
        assert_eq!(next, *expected, "after step {position}: {outcome:?}");
    }
}

#[test]
fn the_rotation_ended_long_ago() {
    check(&[(REFUSED, Try::Read(Current)), (found("new"), Try::LogIn)]);
}

#[test]
fn in_the_gap_the_pending_version_is_tried() {
    check(&[
        (REFUSED, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (found("new"), Try::LogIn),
    ]);
}

#[test]
fn the_rotation_ends_while_we_look() {
    check(&[
        (REFUSED, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (Absent, Try::Read(Current)),
        (found("new"), Try::LogIn),
    ]);
}

#[test]
fn two_rotations_behind_and_in_the_gap() {
    check(&[
        (REFUSED, Try::Read(Current)),
        (found("newer"), Try::LogIn),
        (REFUSED, Try::Read(Pending)),
        (found("newest"), Try::LogIn),
    ]);
}

#[test]
fn a_restored_database_accepts_the_previous_version() {
    check(&[
        (REFUSED, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (Absent, Try::Read(Current)),
        (found("old"), Try::Read(Previous)),
        (found("older"), Try::LogIn),
    ]);
}

#[test]
fn after_a_full_pass_the_labels_are_watched_and_not_the_database() {
    check(&[
        (REFUSED, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (found("new"), Try::LogIn),
        (REFUSED, Try::Read(Current)),
        (found("old"), Try::Read(Previous)),
        (Absent, Try::Wait { round: 0 }),
        (Waited, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (found("new"), Try::Wait { round: 1 }),
        (Waited, Try::Read(Current)),
        // It was refused before the database knew it; now its label has moved.
        (found("new"), Try::LogIn),
        (REFUSED, Try::Read(Pending)),
        (Absent, Try::Wait { round: 2 }),
        (Waited, Try::Read(Current)),
        (found("new"), Try::Read(Pending)),
        (found("newest"), Try::LogIn),
    ]);
}

#[test]
fn a_version_for_another_user_or_host_is_left_alone() {
    check(&[
        (REFUSED, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (foreign("new"), Try::Read(Current)),
        (found("old"), Try::Read(Previous)),
        (foreign("older"), Try::Wait { round: 0 }),
    ]);
    // Unless it is the current one.
    check(&[(REFUSED, Try::Read(Current)), (foreign("new"), Try::LogIn)]);
}

#[test]
fn a_second_28000_ends_the_search() {
    check(&[
        (FORBIDDEN, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (found("new"), Try::LogIn),
        (FORBIDDEN, Try::GiveUp),
    ]);
    check(&[
        (FORBIDDEN, Try::Read(Current)),
        (found("new"), Try::LogIn),
        (REFUSED, Try::Read(Pending)),
    ]);
}

#[test]
fn without_permission_for_the_pending_version_the_end_of_the_rotation_is_awaited() {
    check(&[
        (REFUSED, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (Denied, Try::Read(Current)),
        (found("old"), Try::Read(Previous)),
        (Denied, Try::Wait { round: 0 }),
        (Waited, Try::Read(Current)),
        (found("old"), Try::Wait { round: 1 }),
        (Waited, Try::Read(Current)),
        (found("new"), Try::LogIn),
    ]);
}

#[test]
fn an_outage_of_secrets_manager_is_waited_out_and_skips_nothing() {
    check(&[
        (REFUSED, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (Unavailable, Try::Wait { round: 0 }),
        (Waited, Try::Read(Current)),
        (Unavailable, Try::Wait { round: 1 }),
        (Waited, Try::Read(Current)),
        (found("old"), Try::Read(Pending)),
        (Absent, Try::Read(Current)),
        (found("old"), Try::Read(Previous)),
        (Unavailable, Try::Wait { round: 2 }),
    ]);
}

#[test]
fn a_secret_that_cannot_be_read_at_all_ends_the_search() {
    for outcome in [Absent, Denied] {
        let (search, first) = start(None);
        assert_eq!(first, Try::Read(Current));
        assert_eq!(next(search, outcome).1, Try::GiveUp);
    }
}

#[test]
fn a_search_taken_up_again_knows_what_was_refused() {
    let (search, _) = start(Some("old"));
    let (search, _) = next(search, REFUSED);
    let (search, again) = resume(search);
    assert_eq!(again, Try::Read(Current));
    assert_eq!(next(search, found("old")).1, Try::Read(Pending));
}

/// The labels at one moment, as indexes of versions.
#[derive(Clone, Copy, Debug)]
struct Labels {
    current: u8,
    pending: Option<u8>,
    previous: Option<u8>,
    denied: bool,
    down: bool,
}

fn labels() -> impl Strategy<Value = Labels> {
    (
        0..4u8,
        prop::option::of(0..4u8),
        prop::option::of(0..4u8),
        any::<bool>(),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(current, pending, previous, denied, down)| Labels {
            current,
            pending,
            previous,
            denied,
            down,
        })
}

proptest! {
    /// Against labels that move in any way, and a database that refuses everything: there is a pause
    /// within few steps, and no version is tried twice unless it was promoted meanwhile.
    #[test]
    fn it_ends(moments in prop::collection::vec((labels(), prop::bool::weighted(0.05)), 1..60)) {
        let (mut search, mut what) = start(Some("0"));
        let mut logins: Vec<(String, Stage)> = Vec::new();
        let mut steps_since_pause = 0;
        for (now, forbidden) in moments {
            let (version, outcome);
            match what {
                Try::GiveUp => break,
                Try::Wait { .. } => {
                    steps_since_pause = 0;
                    outcome = Waited;
                }
                Try::LogIn => {
                    logins.push(search.at_hand.clone().unwrap());
                    outcome = if forbidden { FORBIDDEN } else { REFUSED };
                }
                Try::Read(stage) => {
                    let labelled = match stage {
                        Current => Some(now.current),
                        Pending => now.pending,
                        Previous => now.previous,
                    };
                    version = labelled.map(|version| version.to_string());
                    outcome = match version.as_deref() {
                        _ if now.down => Unavailable,
                        _ if now.denied && stage == Pending => Denied,
                        Some(version) => found(version),
                        None => Absent,
                    };
                }
            }
            steps_since_pause += 1;
            prop_assert!(steps_since_pause <= 10);
            (search, what) = next(search, outcome);
        }
        for (index, (version, stage)) in logins.iter().enumerate() {
            for (earlier, then) in &logins[..index] {
                let promoted = (*then, *stage) == (Pending, Current);
                prop_assert!(earlier != version || promoted, "{:?}", logins);
            }
        }
    }
}
