//! How failures are told apart, against a server that plays a script.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_postgres::tls::MakeTlsConnect;

use super::*;
use crate::Retry;

/// What the scripted server does after the client's TLS request.
enum Script {
    Close,
    /// Answers this and closes.
    Answer(&'static [u8]),
    /// Answers that it has TLS, and then something that is no handshake.
    Babble,
    /// Answers that it has no TLS, reads the start of the session, and refuses with this SQLSTATE.
    RefuseInPlaintext(&'static str),
}

async fn serve(mut stream: DuplexStream, script: Script) {
    let mut tls_request = [0; 8];
    stream.read_exact(&mut tls_request).await.unwrap();
    match script {
        Script::Close => {}
        Script::Answer(bytes) => stream.write_all(bytes).await.unwrap(),
        Script::Babble => {
            stream.write_all(b"S").await.unwrap();
            let mut hello = [0; 64];
            assert_ne!(stream.read(&mut hello).await.unwrap(), 0);
            stream.write_all(b"this is no tls record").await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        }
        Script::RefuseInPlaintext(sqlstate) => {
            stream.write_all(b"N").await.unwrap();
            let mut start = [0; 64];
            assert_ne!(stream.read(&mut start).await.unwrap(), 0);
            let fields = format!("SFATAL\0C{sqlstate}\0Mno\0\0");
            let length = u32::try_from(fields.len() + 4).unwrap();
            let message = [b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat();
            stream.write_all(&message).await.unwrap();
        }
    }
}

async fn fail(tls: Tls, script: Script) -> LoginError {
    let target = Target {
        host: "db.example".to_owned(),
        port: 5432,
        dbname: "d".to_owned(),
    };
    let credentials = Credentials {
        username: "u".to_owned(),
        password: "hunter2".into(),
    };
    let trust = Trust::amazon_rds().unwrap();
    let attempt = Attempt {
        target: &target,
        config: config(&target, &credentials, tls, "test"),
        trust: &trust,
        tls,
        progress: Progress::new(),
    };
    let (client, server) = duplex(1024);
    let mut connector = Watched::new(trust.connector(), attempt.progress.clone());
    let connector = MakeTlsConnect::<DuplexStream>::make_tls_connect(&mut connector, &target.host);
    let (outcome, ()) = tokio::join!(
        attempt.config.connect_raw(client, connector.unwrap()),
        serve(server, script)
    );
    attempt.classify(outcome.err().unwrap())
}

#[track_caller]
fn check(error: &LoginError, code: &str, retry: Retry, text: &str) {
    assert_eq!(error.to_string(), text);
    assert_eq!((error.code(), error.retry()), (code, retry));
    assert_eq!(error.is_refused(), code == "LOGIN_REFUSED");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_server_without_tls_is_an_error_unless_allowed() {
    check(
        &fail(Tls::Require, Script::Answer(b"N")).await,
        "NO_TLS",
        Retry::Never,
        "db.example:5432 offers no tls",
    );
    check(
        &fail(
            Tls::AllowPlaintextIfServerHasNone,
            Script::RefuseInPlaintext("28P01"),
        )
        .await,
        "LOGIN_REFUSED",
        Retry::Never,
        "login refused by db.example:5432 (plaintext) with 28P01: no",
    );
}

#[tokio::test]
async fn a_failed_handshake_is_not_followed_by_plaintext() {
    for tls in [Tls::Require, Tls::AllowPlaintextIfServerHasNone] {
        let error = fail(tls, Script::Babble).await;
        assert!(matches!(error, LoginError::Handshake { .. }), "{error:?}");
        assert_eq!(error.place().transport, Transport::Unsettled);
        assert_eq!(error.retry(), Retry::Never);
    }
}

#[tokio::test]
async fn a_connection_that_ends_early_may_be_tried_again() {
    for script in [Script::Close, Script::Answer(b"S")] {
        let error = fail(Tls::Require, script).await;
        check(
            &error,
            "DATABASE_UNREACHABLE",
            Retry::Later,
            "connection to db.example:5432 failed",
        );
        assert!(error.source().is_some());
    }
}

#[track_caller]
fn check_answer(sqlstate: &str, code: &str, retry: Retry) {
    let place = Place {
        host: "db.example".to_owned(),
        port: 5432,
        transport: Transport::Tls,
    };
    let error = LoginError::answered(place, sqlstate.to_owned(), "no".to_owned());
    assert_eq!((error.code(), error.retry()), (code, retry));
    assert_eq!(error.sqlstate(), Some(sqlstate));
    assert_eq!(error.is_refused(), ["28P01", "28000"].contains(&sqlstate));
    let text = error.to_string();
    assert!(
        text.contains("db.example:5432 (tls)") && text.contains(sqlstate),
        "{text}"
    );
}

#[test]
fn exactly_two_sqlstates_ask_for_other_credentials() {
    check_answer("28P01", "LOGIN_REFUSED", Retry::Never);
    check_answer("28000", "LOGIN_REFUSED", Retry::Never);
    check_answer("57P03", "DATABASE_STARTING", Retry::Later);
    check_answer("53300", "TOO_MANY_CONNECTIONS", Retry::Later);
    check_answer("3D000", "UNKNOWN_DATABASE", Retry::Never);
    check_answer("25006", "LOGIN_FAILED", Retry::Later);
    check_answer("42501", "LOGIN_FAILED", Retry::Never);
    check_answer("57P01", "LOGIN_FAILED", Retry::Later);
    check_answer("57P02", "LOGIN_FAILED", Retry::Later);
    check_answer("57P04", "LOGIN_FAILED", Retry::Later);
    check_answer("08000", "LOGIN_FAILED", Retry::Later);
    check_answer("08001", "LOGIN_FAILED", Retry::Later);
    check_answer("08004", "LOGIN_FAILED", Retry::Later);
    check_answer("08006", "LOGIN_FAILED", Retry::Later);
    check_answer("08P01", "LOGIN_FAILED", Retry::Later);
    check_answer("53100", "LOGIN_FAILED", Retry::Later);
    check_answer("53200", "LOGIN_FAILED", Retry::Later);
    check_answer("53400", "LOGIN_FAILED", Retry::Later);
    check_answer("57014", "LOGIN_FAILED", Retry::Later);
    check_answer("58030", "LOGIN_FAILED", Retry::Later);
    check_answer("0A000", "LOGIN_FAILED", Retry::Never);
    check_answer("22023", "LOGIN_FAILED", Retry::Never);
    check_answer("42704", "LOGIN_FAILED", Retry::Never);
    check_answer("XX000", "LOGIN_FAILED", Retry::Never);
}

#[tokio::test]
async fn time_that_is_up_says_what_was_awaited() {
    let target = Target {
        host: "192.0.2.1".to_owned(),
        port: 5432,
        dbname: "d".to_owned(),
    };
    let credentials = Credentials {
        username: "u".to_owned(),
        password: "p".into(),
    };
    let trust = Trust::amazon_rds().unwrap();
    let attempt = Attempt {
        target: &target,
        config: config(&target, &credentials, Tls::Require, "test"),
        trust: &trust,
        tls: Tls::Require,
        progress: Progress::new(),
    };
    for (waiting, text) in [
        (Waiting::Dns, "the address of the host name"),
        (Waiting::Tcp, "the tcp connection"),
        (Waiting::TlsAnswer, "the answer to the tls request"),
        (Waiting::TlsHandshake, "the tls handshake"),
    ] {
        attempt.progress.reach(waiting);
        check(
            &attempt.timed_out(),
            "DATABASE_TIMED_OUT",
            Retry::Later,
            &format!("192.0.2.1:5432 did not answer in time: waited for {text}"),
        );
    }
    attempt.progress.reach(Waiting::Authentication);
    assert_eq!(
        attempt.timed_out().to_string(),
        "192.0.2.1:5432 (tls) did not answer in time: waited for the outcome of the login"
    );
}

#[test]
fn debug_of_credentials_shows_no_password() {
    let credentials = Credentials {
        username: "u".to_owned(),
        password: "hunter2".into(),
    };
    assert_eq!(
        format!("{credentials:?}"),
        "Credentials { username: \"u\", .. }"
    );
}
