//! Rotations that are disturbed at random, and called by many at once.

use std::time::Duration;

use local::StackOptions;
use local::chaos::{Runs, Told, rotation};
use local::secrets_manager::Step;
use tokio::task::JoinSet;

use crate::system::{ROTATION, SECRET, System};

/// The variable with the number of rounds; the full number is for a free machine.
const ROUNDS: &str = "TURNKEEP_LOCAL_ROUNDS";
const AT_ONCE: usize = 8;

/// A few hundred runs of `make rotation-chaos`, which finds the same from these seeds on.
#[tokio::test]
async fn nobody_is_locked_out_of_three_hundred_disturbed_runs() {
    let options = StackOptions::from_environment().unwrap();
    let runs = Runs {
        seed: 1,
        runs: 300,
        players: 8,
        silence: Duration::from_secs(30),
    };
    let told = |told: Told<'_>| match told {
        Told::Report(report) => eprintln!("{report}"),
        Told::Violation(violation) => eprintln!("{violation}"),
    };
    let report = rotation::run(options, runs, None, told).await.unwrap();
    assert!(report.is_clean() && report.runs == 300, "{report}");
    assert!(
        report.killed > 100
            && report.cut > 100
            && (100..200).contains(&report.kinds["alternating-users"]),
        "something happened: {report}"
    );
}

/// Eight invocations at a time, of the same and of different steps, in every round: a normal end, and no conflict gets out.
#[tokio::test]
async fn many_invocations_at_once_end_as_one_would() {
    let system = System::start("parallel").await;
    for code in [
        "NO_PENDING_VALUE",
        "PENDING_REFUSED",
        "VERSION_NOT_PENDING",
        "PENDING_NOT_VISIBLE",
        "CHANGE_UNKNOWN",
    ] {
        system.announce_unless(code, "the calls come in another order");
    }
    let secrets_manager = system.stack.secrets_manager();
    for round in 0..rounds() {
        let token = system.begin();
        // One set of calls for each step that the service would call next, so that they meet.
        for steps in [
            &[Step::CreateSecret][..],
            &[
                Step::SetSecret,
                Step::SetSecret,
                Step::SetSecret,
                Step::TestSecret,
            ],
            &[
                Step::FinishSecret,
                Step::SetSecret,
                Step::CreateSecret,
                Step::TestSecret,
            ],
        ] {
            let mut calls = JoinSet::new();
            for number in 0..AT_ONCE {
                let step = steps[number % steps.len()];
                let event = system.step(step.as_str(), &token).await;
                calls.spawn(system.invoke(ROTATION, &event));
            }
            while let Some(invoked) = calls.join_next().await {
                let payload = String::from_utf8_lossy(&invoked.unwrap().payload).into_owned();
                assert!(!payload.contains("XX000"), "round {round}: {payload}");
            }
        }
        assert_eq!(
            system.version("AWSCURRENT").as_deref(),
            Some(&*token),
            "round {round}"
        );
        assert!(system.opens("AWSCURRENT").await, "round {round}");
        assert!(secrets_manager.complete(SECRET, &token), "round {round}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no `main` that could hand the variable on"
)]
fn rounds() -> usize {
    let given = std::env::var(ROUNDS).ok();
    given.and_then(|rounds| rounds.parse().ok()).unwrap_or(12)
}
