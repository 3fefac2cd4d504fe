//! What is said on the wire: a login, the work, and nothing else; and nothing at all to a server that cannot be verified.

use aurora_session::Trust;
use local::{Message, Recorder};
use rcgen::CertificateParams;

use super::{Key, chain, soon};
use crate::capture::turn;
use crate::impostor::{Impostor, Manner, TLS_REQUEST};
use crate::rotation_tls::Authority;
use crate::system::System;

/// Texts of a message, each with its zero.
fn texts(body: &[u8]) -> Vec<String> {
    body.split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// The letters of messages but for the farewell, which a client that is dropped may not get to say; `*` is the start.
fn letters(messages: &[Message]) -> String {
    let letter = |message: &Message| message.kind.unwrap_or('*');
    messages
        .iter()
        .map(letter)
        .filter(|one| *one != 'X')
        .collect()
}

#[tokio::test]
async fn a_connection_says_the_login_and_the_work() {
    let key = Key::new("wire").await;
    let recorder = Recorder::start(key.stack.server()).await.unwrap();
    let builder = key.builder(key.manager()).port(recorder.port());
    let session = builder.build().unwrap();
    let work = async |statement: &str| {
        let work = session.run(true, soon(), async |client| {
            client.batch_execute(statement).await
        });
        work.await.unwrap();
    };
    let own = session.connect(soon()).await.unwrap();
    own.client.batch_execute("SELECT 1").await.unwrap();
    work("SELECT 2").await;
    work("SELECT 3").await;

    let said = recorder.said();
    let [own, kept] = said.as_slice() else {
        panic!("{} connections", said.len());
    };
    // SASLInitialResponse, SASLResponse, Query.
    assert_eq!(
        (letters(own), letters(kept)),
        ("*ppQ".into(), "*ppQQ".into())
    );
    for messages in &said {
        let startup = texts(&messages[0].body[4..]);
        let (mut names, database) = (
            startup.iter().step_by(2).collect::<Vec<_>>(),
            &key.database.name,
        );
        names.retain(|name| !name.is_empty());
        names.sort();
        assert_eq!(
            names,
            ["application_name", "client_encoding", "database", "user"],
            "no options"
        );
        assert!(startup.contains(database), "{startup:?}");
        let mechanism = &texts(&messages[1].body)[0];
        assert_eq!(mechanism, "SCRAM-SHA-256-PLUS");
        let first = String::from_utf8_lossy(&messages[1].body);
        assert!(first.contains("p=tls-server-end-point,,"), "{first}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_hears_nothing() {
    let key = Key::new("verify").await;
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    let certificate = |authority: &Authority, name: &str| {
        Manner::Certificate(authority.identity(name, |_: &mut CertificateParams| {}))
    };
    let impostor = Impostor::start(Manner::HangUp).await;
    let trust = Trust::from_pem(known.pem.as_bytes()).unwrap();
    let builder = key.builder(key.manager()).trust(trust).port(impostor.port);
    let session = builder.build().unwrap();
    for (manner, code) in [
        (
            certificate(&known, "elsewhere.example"),
            "CERTIFICATE_NOT_ACCEPTED",
        ),
        (
            certificate(&unknown, "127.0.0.1"),
            "CERTIFICATE_NOT_ACCEPTED",
        ),
        (Manner::Plaintext("28P01"), "NO_TLS"),
    ] {
        impostor.turn(manner);
        let failed = session.connect(soon()).await.map(drop);
        let failed = failed.expect_err("it is an impostor");
        assert_eq!(failed.code(), code, "{}", chain(&failed));
        let heard = impostor.heard();
        assert_eq!(heard.len(), 1, "no second try");
        assert_eq!(heard[0].wire[..8], TLS_REQUEST);
        assert_eq!((heard[0].within_tls.len(), &heard[0].password), (0, &None));
    }
    assert_eq!(session.counters().refusals.total(), 0);
}

/// The server keeps a named statement for one of its connections, and a pooler hands out another one for each transaction.
#[tokio::test]
async fn behind_a_transaction_pooler_no_statement_has_a_name() {
    let system = System::start("pooler").await;
    let recorder = Recorder::start(system.stack.server()).await.unwrap();
    let port = recorder.port().to_string();
    let mut heard = 0;
    for (pooler, is_named) in [("none", true), ("transaction", false)] {
        system.define_capture(&[("DB_PORT", &port), ("DB_POOLER", pooler)]);
        for number in 0..3 {
            system.capture(&turn(pooler, number)).await;
        }
        let said = recorder.said();
        let messages: Vec<_> = said.iter().skip(heard).flatten().collect();
        heard = said.len();
        let mut names = Vec::new();
        for Message { kind, body } in messages {
            let mut texts = texts(body).into_iter();
            match kind {
                // Parse: name, statement.
                Some('P') => {
                    names.push(texts.next().unwrap());
                    let statement = texts.next().unwrap().to_uppercase();
                    assert!(!statement.trim_start().starts_with("SET "), "{statement}");
                }
                // Bind: portal, name.
                Some('B') => names.push(texts.nth(1).unwrap()),
                // Query: for want of a better one, SET and BEGIN come this way.
                Some('Q') => panic!("{:?}", texts.next()),
                _ => {}
            }
        }
        assert!(names.len() >= 4, "{pooler}: {names:?}");
        assert_eq!(
            names.iter().any(|name| !name.is_empty()),
            is_named,
            "{pooler}: {names:?}"
        );
    }
    assert_eq!(system.messages().await, 12);
}
