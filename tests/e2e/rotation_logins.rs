//! Which answers to a login mean "wrong password", and which do not.

use std::time::{Duration, Instant};

use local::{Fault, FaultProxy};
use serde_json::Value;

use crate::impostor::{Impostor, Manner};
use crate::system::{ROTATION, System};

impl System {
    /// The metrics of the last invocation of the rotation.
    fn last_metrics(&self) -> Value {
        let log = self.stack.functions().log(ROTATION);
        let mut metrics = log
            .iter()
            .rev()
            .filter(|line| line.text.contains("\"_aws\""));
        serde_json::from_str(&metrics.next().unwrap().text).unwrap()
    }

    /// The last error that the rotation has logged.
    fn last_error(&self) -> String {
        let log = self.stack.functions().log(ROTATION);
        let mut errors = log
            .iter()
            .rev()
            .filter(|line| line.text.contains("\"ERROR\""));
        errors.next().unwrap().text.clone()
    }
}

/// What a server may answer to a login, as what it is told, and whether another try may help.
const ANSWERS: [(&str, &str, bool); 22] = [
    ("57P03", "DATABASE_STARTING", true),
    ("53300", "TOO_MANY_CONNECTIONS", true),
    ("3D000", "UNKNOWN_DATABASE", false),
    ("25006", "LOGIN_FAILED", true),
    ("57P01", "LOGIN_FAILED", true),
    ("57P02", "LOGIN_FAILED", true),
    ("57P05", "LOGIN_FAILED", true),
    ("08006", "LOGIN_FAILED", true),
    ("08P01", "LOGIN_FAILED", true),
    ("53100", "LOGIN_FAILED", true),
    ("53200", "LOGIN_FAILED", true),
    ("57014", "LOGIN_FAILED", true),
    ("55P03", "LOGIN_FAILED", true),
    ("58030", "LOGIN_FAILED", true),
    ("28001", "LOGIN_FAILED", false),
    ("42501", "LOGIN_FAILED", false),
    ("0A000", "LOGIN_FAILED", false),
    ("22023", "LOGIN_FAILED", false),
    ("42704", "LOGIN_FAILED", false),
    ("55000", "LOGIN_FAILED", false),
    ("XX000", "LOGIN_FAILED", false),
    ("XX001", "LOGIN_FAILED", false),
];

#[tokio::test]
async fn every_other_answer_than_a_refusal_is_named_and_costs_one_password() {
    let system = System::start("answers").await;
    for (_, code, _) in ANSWERS {
        system.announce(code);
    }
    let impostor = Impostor::start(Manner::HangUp).await;
    system.define_rotation(&[
        ("DB_PORT", &impostor.port.to_string()),
        ("REQUIRE_TLS", "false"),
        ("CONNECT_BUDGET_SECONDS", "1"),
    ]);
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    let pending = system.secret("AWSPENDING").unwrap();
    for (sqlstate, expected, may_pass) in ANSWERS {
        impostor.turn(Manner::Plaintext(sqlstate));
        let (code, message) = system.refused(ROTATION, &event).await;
        assert_eq!(code, expected, "{sqlstate}: {message}");
        let place = format!("127.0.0.1:{} (plaintext)", impostor.port);
        assert!(
            message.contains(sqlstate) && message.contains(&place),
            "{message}"
        );
        let heard = impostor.heard();
        assert_eq!(
            heard.len() > 1,
            may_pass,
            "{sqlstate}: {} tries",
            heard.len()
        );
        let told = heard.iter().filter_map(|one| one.password.as_deref());
        for password in told {
            assert_eq!(
                password, pending["password"],
                "{sqlstate} is no reason for another password"
            );
        }
        assert_eq!(
            system.last_metrics()["Logins"].as_f64(),
            Some(1.0),
            "{sqlstate}"
        );
    }
}

#[tokio::test]
async fn a_refusal_moves_on_to_the_next_password_and_nothing_else_does() {
    let system = System::start("refusals").await;
    system.announce("DB_PASSWORD_UNKNOWN");
    let impostor = Impostor::start(Manner::HangUp).await;
    system.define_rotation(&[
        ("DB_PORT", &impostor.port.to_string()),
        ("REQUIRE_TLS", "false"),
    ]);
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    let (pending, current) = (
        system.secret("AWSPENDING").unwrap(),
        system.secret("AWSCURRENT").unwrap(),
    );
    for sqlstate in ["28P01", "28000"] {
        impostor.turn(Manner::Plaintext(sqlstate));
        let (code, message) = system.refused(ROTATION, &event).await;
        assert!(
            code == "ValueError" && message.starts_with("Unable to log into database"),
            "{message}"
        );
        let told: Vec<_> = impostor
            .heard()
            .into_iter()
            .filter_map(|one| one.password)
            .collect();
        assert_eq!(
            told.first().map(String::as_str),
            pending["password"].as_str(),
            "{sqlstate}"
        );
        assert_eq!(
            told.get(1).map(String::as_str),
            current["password"].as_str(),
            "{sqlstate}"
        );
        let error = system.last_error();
        let place = format!("127.0.0.1:{} (plaintext)", impostor.port);
        assert!(
            error.contains(sqlstate) && error.contains(&place),
            "{error}"
        );
    }
}

/// What breaks below SQL: named with the place and how far TLS had got, tried again, one password.
#[tokio::test]
async fn a_connection_that_fails_is_named_and_costs_one_password() {
    let system = System::start("broken").await;
    for code in ["DATABASE_UNREACHABLE", "DATABASE_TIMED_OUT", "NO_TLS"] {
        system.announce(code);
    }
    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    let impostor = Impostor::start(Manner::Nonsense).await;
    let define = |port: u16, require_tls: &str| {
        let port = port.to_string();
        system.define_rotation(&[
            ("DB_PORT", &port),
            ("CONNECT_BUDGET_SECONDS", "1"),
            ("REQUIRE_TLS", require_tls),
        ]);
    };
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    // A warm environment saves one.
    let flights = system.login_flights(&proxy).await - 1;
    let faults = [
        (Fault::Refuse, "DATABASE_UNREACHABLE", ""),
        (Fault::Reset, "DATABASE_UNREACHABLE", ""),
        (Fault::CutBeforeAnswer(1), "DATABASE_UNREACHABLE", ""),
        (Fault::CutBeforeAnswer(2), "DATABASE_UNREACHABLE", ""),
        (
            Fault::CutBeforeAnswer(flights),
            "DATABASE_UNREACHABLE",
            " (tls)",
        ),
        (
            Fault::SwallowAnswer(1),
            "DATABASE_TIMED_OUT",
            "the answer to the tls request",
        ),
        (
            Fault::SwallowAnswer(2),
            "DATABASE_TIMED_OUT",
            "the tls handshake",
        ),
        (
            Fault::SwallowAnswer(flights - 1),
            "DATABASE_TIMED_OUT",
            "the outcome of the login",
        ),
    ];
    define(proxy.port(), "true");
    for (fault, expected, words) in faults {
        proxy.set(fault).await;
        let before = Instant::now();
        let (code, message) = system.refused(ROTATION, &event).await;
        assert_eq!(code, expected, "{fault:?}: {message}");
        let place = format!("127.0.0.1:{}", proxy.port());
        assert!(
            message.contains(&place) && message.contains(words),
            "{fault:?}: {message}"
        );
        assert_eq!(
            system.last_metrics()["Logins"].as_f64(),
            Some(1.0),
            "{fault:?}"
        );
        assert!(
            before.elapsed() < Duration::from_secs(10),
            "{fault:?}: {:?}",
            before.elapsed()
        );
    }
    define(impostor.port, "true");
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(code, "NO_TLS", "{message}");
    define(impostor.port, "false");
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(code, "DATABASE_UNREACHABLE", "{message}");
    let told = impostor.heard().into_iter().filter_map(|one| one.password);
    assert_eq!(told.count(), 0, "whoever speaks otherwise gets no password");
    proxy.set(Fault::Pass).await;
    define(proxy.port(), "true");
    system.step_succeeds("setSecret", &token).await;
}

/// The database may be waking up; who waits is told what for before its own time is over.
#[tokio::test]
async fn a_database_that_accepts_and_never_answers_is_named_within_the_invocations_time() {
    let system = System::start("waking").await;
    system.announce("DATABASE_TIMED_OUT");
    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    proxy.set(Fault::BlackHole).await;
    // The budget is longer than the invocation: a second is left for the answer.
    let function = system.rotation_function();
    let function = function
        .variable("DB_PORT", proxy.port().to_string())
        .variable("CONNECT_BUDGET_SECONDS", "60")
        .timeout(Duration::from_secs(4));
    system.stack.functions().define(function).unwrap();
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(code, "DATABASE_TIMED_OUT", "{message}");
    assert!(
        message.contains("the answer to the tls request"),
        "{message}"
    );
    let metrics = system.last_metrics();
    let duration = metrics["StepDuration"].as_f64().unwrap();
    assert!(
        (2_000.0..3_200.0).contains(&duration),
        "{duration} ms of 4 s"
    );
    assert_eq!(metrics["Logins"].as_f64(), Some(1.0));
}
