//! Deliveries that are disturbed at random.

use std::time::Duration;

use local::StackOptions;
use local::chaos::{Runs, Told, capture};

/// A part of `make capture-chaos RUNS=1000`, which finds the same from these seeds on.
#[tokio::test]
async fn nothing_acknowledged_is_lost_or_doubled_in_two_hundred_disturbed_runs() {
    let options = StackOptions::from_environment().unwrap();
    let runs = Runs {
        seed: 1,
        runs: 200,
        players: 6,
        silence: Duration::from_secs(30),
    };
    let told = |told: Told<'_>| match told {
        Told::Report(report) => eprintln!("{report}"),
        Told::Violation(violation) => eprintln!("{violation}"),
    };
    let report = capture::run(options, runs, told).await.unwrap();
    assert!(report.is_clean() && report.runs == 200, "{report}");
    assert!(
        report.killed > 100 && report.cut > 50 && report.kinds.len() == 2,
        "something happened: {report}"
    );
}
