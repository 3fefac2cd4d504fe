//! [`decide`] against a model of AWS's label rules and of the role's password: the invocations of two rotations, interleaved
//! action by action and cut off anywhere.
//!
//! One thing is left out, because no decision can help it: `PutSecretValue` takes no condition. A `createSecret` that stalls
//! between its look at the labels and its put, while an operator takes the label off its version and the next rotation
//! goes past `setSecret`, takes the label back from that rotation. So in here nobody touches the labels between these
//! two calls. The rotation after it finds the password among the versions without a label.

mod world;

use proptest::prelude::*;

use super::*;
use world::{Answer, Cut, Invocation, Starting, World};

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];
const TOKENS: [&str; 2] = ["a", "b"];

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The service starts a rotation to this version, or starts it again, if it allows that.
    Start(&'static str),
    /// The service calls the function, or somebody repeats an old call, and the invocation stands still after some actions.
    Call {
        step: &'static str,
        token: &'static str,
        actions: usize,
        cut: Option<Cut>,
    },
    /// The service calls the step that is next in this rotation, and gets its answer; before the first it starts it.
    Next(&'static str),
    /// An invocation under way carries out its next action.
    Advance(usize),
    /// It carries out all that are left.
    Finish(usize),
    /// It dies.
    Kill(usize),
    /// An operator takes `AWSPENDING` off the version that has it.
    RemovePending,
    /// The service takes `AWSPENDING` off the version that has become current.
    Complete,
}

fn event(operator: u32) -> impl Strategy<Value = Event> {
    let token = || prop::sample::select(TOKENS.to_vec());
    let step = prop::sample::select(
        STEPS
            .into_iter()
            .chain(["nonsense"])
            .collect::<Vec<&'static str>>(),
    );
    prop_oneof![
        3 => token().prop_map(Event::Start),
        6 => (step, token(), 0..9_usize, prop::option::weighted(0.3, cut())).prop_map(
            |(step, token, actions, cut)| Event::Call { step, token, actions, cut }
        ),
        8 => token().prop_map(Event::Next),
        4 => (0..3_usize).prop_map(Event::Advance),
        6 => (0..3_usize).prop_map(Event::Finish),
        1 => (0..3_usize).prop_map(Event::Kill),
        operator => Just(Event::RemovePending),
        2 => Just(Event::Complete),
    ]
}

fn cut() -> impl Strategy<Value = Cut> {
    (0..3_usize, any::<bool>()).prop_map(|(after_effects, answer_lost)| Cut {
        after_effects,
        answer_lost,
    })
}

/// Runs what happens, and then what a service does that repeats a rotation which did not succeed.
fn run(starting: Starting, events: &[Event]) {
    let mut world = World::new(starting);
    let mut running: Vec<Invocation> = Vec::new();
    let mut next = TOKENS.map(|token| (token, STEPS.into_iter()));
    for event in events {
        match *event {
            Event::Start(token) => world.start(token),
            Event::Call {
                step,
                token,
                actions,
                cut,
            } => {
                let mut invocation = Invocation::new(step, token, cut);
                (0..actions).for_each(|_| invocation.advance(&mut world));
                running.push(invocation);
            }
            Event::Next(token) => {
                world.start(token);
                let steps = next.iter_mut().find(|(of, _)| *of == token);
                let steps = steps.filter(|_| world.unfinished() == Some(token));
                if let Some(step) = steps.and_then(|(_, steps)| steps.next()) {
                    Invocation::new(step, token, None).finish(&mut world);
                }
            }
            Event::Advance(number) => {
                if let Some(invocation) = running.get_mut(number) {
                    invocation.advance(&mut world);
                }
            }
            Event::Finish(number) => {
                if let Some(invocation) = running.get_mut(number) {
                    invocation.finish(&mut world);
                }
            }
            Event::Kill(number) => {
                if let Some(invocation) = running.get_mut(number) {
                    invocation.die(&mut world);
                }
            }
            Event::RemovePending => world.remove_pending(&running),
            Event::Complete => world.complete(),
        }
        running.retain(Invocation::is_running);
    }
    for mut invocation in running {
        invocation.die(&mut world);
    }
    if let Some(token) = world.unfinished() {
        rotate(&mut world, token);
    }
    rotate(&mut world, "afterwards");
}

/// A normal rotation, which succeeds.
fn rotate(world: &mut World, token: &'static str) {
    world.start(token);
    for step in STEPS {
        let answer = Invocation::new(step, token, None).finish(world);
        assert!(
            matches!(answer, Answer::Ended(Ok(_))),
            "{step}: {answer:?}, {world:?}"
        );
    }
    assert!(world.is_over(token), "{world:?}");
    world.complete();
}

fn ways_to_start(recovery: u32) -> impl Strategy<Value = Starting> {
    let role = if recovery == 0 {
        vec!["old", "older"]
    } else {
        vec!["old", "older", "oldest"]
    };
    (prop::sample::select(role), any::<bool>()).prop_map(move |(role, fast_promotion)| Starting {
        role,
        recovery,
        fast_promotion,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// S5, S10, F3, F4, X6 and all that lies between them.
    #[test]
    fn steps_in_any_order_and_cut_off_anywhere_lock_nobody_out(
        starting in ways_to_start(5),
        events in prop::collection::vec(event(2), 0..60),
    ) {
        run(starting, &events);
    }

    /// Without an operator who takes labels off, the versions that have one are enough.
    #[test]
    fn no_search_is_needed_where_nobody_takes_labels_off(
        starting in ways_to_start(0),
        events in prop::collection::vec(event(0), 0..60),
    ) {
        run(starting, &events);
    }

    #[test]
    fn a_version_that_was_superseded_changes_nothing(
        calls in prop::collection::vec((prop::sample::select(STEPS.to_vec()), prop::option::of(cut())), 1..8),
    ) {
        let mut world = World::new(Starting { role: "old", recovery: 5, fast_promotion: false });
        world.start("a");
        Invocation::new("createSecret", "a", None).finish(&mut world);
        world.remove_pending(&[]);
        let before = format!("{world:?}");
        for (step, cut) in calls {
            let answer = Invocation::new(step, "a", cut).finish(&mut world);
            prop_assert!(matches!(answer, Answer::Killed | Answer::Ended(Err(Refusal::NoStage))), "{answer:?}");
        }
        prop_assert_eq!(format!("{world:?}"), before);
    }
}

/// The orders that the failure model names, so that none of them depends on luck.
mod named {
    use super::*;

    fn world() -> World {
        with(false)
    }

    fn with(fast_promotion: bool) -> World {
        World::new(Starting {
            role: "old",
            recovery: 5,
            fast_promotion,
        })
    }

    fn call(world: &mut World, step: &'static str, token: &'static str) -> Answer {
        Invocation::new(step, token, None).finish(world)
    }

    /// An invocation that has done this many actions and stands still.
    fn stalled(
        world: &mut World,
        step: &'static str,
        token: &'static str,
        actions: usize,
    ) -> Invocation {
        let mut invocation = Invocation::new(step, token, None);
        for _ in 0..actions {
            invocation.advance(world);
        }
        assert!(invocation.is_running());
        invocation
    }

    /// A stalled `setSecret` goes on when the next rotation is at any later point.
    #[test]
    fn s5_a_late_set_of_an_older_token_changes_nothing() {
        for (actions, fast_promotion) in (1..12).flat_map(|n| [(n, false), (n, true)]) {
            for steps_of_the_next in 1..=STEPS.len() {
                let mut world = with(fast_promotion);
                world.start("a");
                call(&mut world, "createSecret", "a");
                let mut probe = Invocation::new("setSecret", "a", None);
                let mut copy = world.clone();
                (0..actions).for_each(|_| probe.advance(&mut copy));
                if !probe.is_running() {
                    continue;
                }
                let mut late = stalled(&mut world, "setSecret", "a", actions);
                world.remove_pending(&[]);
                world.start("b");
                for step in STEPS.into_iter().take(steps_of_the_next) {
                    call(&mut world, step, "b");
                }
                late.finish(&mut world);
                if let Some(token) = world.unfinished() {
                    rotate(&mut world, token);
                }
                rotate(&mut world, "afterwards");
            }
        }
    }

    #[test]
    fn s10_a_label_that_was_taken_off_behind_set_locks_nobody_out() {
        let mut world = world();
        world.start("a");
        call(&mut world, "createSecret", "a");
        call(&mut world, "setSecret", "a");
        world.remove_pending(&[]);
        assert!(!world.is_open(), "{world:?}");
        rotate(&mut world, "b");
    }

    #[test]
    fn f3_a_label_that_moved_meanwhile_stops_a_late_finish() {
        let mut world = world();
        world.start("a");
        call(&mut world, "createSecret", "a");
        call(&mut world, "setSecret", "a");
        // It has logged in, and not moved the label yet.
        let mut late = stalled(&mut world, "finishSecret", "a", 3);
        world.remove_pending(&[]);
        rotate(&mut world, "b");
        let answer = late.finish(&mut world);
        assert!(
            matches!(answer, Answer::Ended(Err(Refusal::NoStage))),
            "{answer:?}"
        );
        assert!(world.is_over("b"), "{world:?}");
    }

    /// `UpdateSecretVersionStage` has no condition on AWSPENDING, so the late one moves AWSCURRENT all the same: whoever reads
    /// that alone is refused until the next rotation is over.
    #[test]
    fn f3_a_late_finish_behind_the_next_set_locks_nobody_out() {
        let mut world = world();
        world.start("a");
        call(&mut world, "createSecret", "a");
        call(&mut world, "setSecret", "a");
        let mut late = stalled(&mut world, "finishSecret", "a", 3);
        world.remove_pending(&[]);
        world.start("b");
        call(&mut world, "createSecret", "b");
        call(&mut world, "setSecret", "b");
        let answer = late.finish(&mut world);
        assert!(
            matches!(answer, Answer::Ended(Ok(Done::Promoted))),
            "{answer:?}"
        );
        assert!(!world.is_over("a") && world.is_open(), "{world:?}");
        for step in ["testSecret", "finishSecret"] {
            call(&mut world, step, "b");
        }
        assert!(world.is_over("b"), "{world:?}");
    }

    #[test]
    fn f4_a_finish_without_set_promotes_nothing() {
        let mut world = world();
        world.start("a");
        call(&mut world, "createSecret", "a");
        let answer = call(&mut world, "finishSecret", "a");
        assert!(
            matches!(answer, Answer::Ended(Err(Refusal::PendingRefused))),
            "{answer:?}"
        );
        assert!(!world.is_over("a") && world.is_open(), "{world:?}");
    }

    #[test]
    fn x6_every_step_may_be_repeated_behind_every_other() {
        for (repeated, fast_promotion) in STEPS.into_iter().flat_map(|s| [(s, false), (s, true)]) {
            for behind in 0..STEPS.len() {
                let mut world = with(fast_promotion);
                world.start("a");
                for (number, step) in STEPS.into_iter().enumerate() {
                    call(&mut world, step, "a");
                    if number == behind {
                        call(&mut world, repeated, "a");
                    }
                }
                assert!(world.is_over("a"), "{repeated} behind {behind}: {world:?}");
            }
        }
    }
}
