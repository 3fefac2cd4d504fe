//! Connects without pause through rotations: `make rotation-load` in short, looking at counts and at no time.

use std::time::Duration;

use load::{Plan, Policy, Setting, Strategy, Summary};
use local::StackOptions;

use crate::evidence::Evidence;
use crate::system::ROTATION;

const AT_ONCE: Duration = Duration::ZERO;
const A_SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn no_connect_fails_while_the_one_user_gets_new_passwords() {
    let setting = Setting::start(StackOptions::from_environment().unwrap())
        .await
        .unwrap();
    for pause in [AT_ONCE, A_SECOND] {
        let summary = load(&setting, Strategy::SingleUser, Policy::Session, pause).await;
        assert!(
            summary.refused.most <= 2 && summary.reads.most <= 3,
            "one task searches for all: {summary:?}"
        );
        assert!(
            pause == AT_ONCE || summary.logins_in_gap.pending > 0,
            "the gap was noticed: {summary:?}"
        );
    }
    let refresh_once = Policy::RefreshOnce;
    let summary = load(&setting, Strategy::SingleUser, refresh_once, A_SECOND).await;
    assert!(
        summary.failed_in_gap > 0,
        "reading AWSCURRENT once more does not help in the gap: {summary:?}"
    );
    end(&setting);
}

#[tokio::test]
async fn no_connect_fails_while_two_users_take_turns() {
    let setting = Setting::start(StackOptions::from_environment().unwrap())
        .await
        .unwrap();
    for pause in [AT_ONCE, A_SECOND] {
        let summary = load(&setting, Strategy::AlternatingUsers, Policy::Session, pause).await;
        assert!(
            summary.logins.previous > 0,
            "the last user's password goes on working: {summary:?}"
        );
    }
    end(&setting);
}

/// Three rotations under eight connectors; with a session no connect fails.
async fn load(setting: &Setting, strategy: Strategy, policy: Policy, pause: Duration) -> Summary {
    let plan = Plan {
        strategy,
        policy,
        connectors: 8,
        rotations: 3,
        pause,
    };
    let run = load::run(setting, plan, |_| {}).await.unwrap();
    let summary = Summary::of(&run);
    if policy == Policy::Session {
        assert_eq!(summary.failed, 0, "{plan}: {:?}", run.first_failure);
    }
    assert!(summary.connects_in_gap > 0, "{plan}: {summary:?}");
    summary
}

/// No password in a log, and no warning of the function.
fn end(setting: &Setting) {
    let stack = setting.stack();
    stack.end().unwrap();
    let evidence = Evidence::default();
    let log = stack.server().log().unwrap();
    evidence.saw("the log of PostgreSQL", log.as_bytes());
    let log = stack.functions().log(ROTATION);
    let problems = evidence.problems(&[(ROTATION.to_owned(), log)]);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
