//! Nothing that a session shows holds a password.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use aurora_session::pool::{Connector, Pool};
use aurora_session::{Document, SecretString, Session, Source, Stage};
use local::canary;
use secrecy::ExposeSecret as _;

use super::{Key, PATIENCE, nothing_opens, soon};

/// A sink for all that can be formatted.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<String>>>);

impl Shown {
    fn debug(&self, what: &(impl Debug + ?Sized)) {
        self.0.lock().unwrap().push(format!("{what:?} {what:#?}"));
    }

    fn error(&self, error: &(dyn Error + 'static)) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.debug(error);
            self.0.lock().unwrap().push(error.to_string());
            cause = error.source();
        }
    }
}

/// A session whose secret is this text under every label.
fn session_of(key: &Key, shown: &Shown, text: &str) -> Session {
    let document = Document {
        version_id: "v1".to_owned(),
        text: SecretString::from(text),
    };
    shown.debug(&document);
    let source = Source::function("of a test", move |stage| {
        let document = (stage == Stage::Current).then(|| document.clone());
        async move { Ok::<_, Infallible>(document) }
    });
    shown.debug(&source);
    let builder = Session::from_source(source).trust(key.trust());
    builder.build().unwrap()
}

#[tokio::test]
async fn nothing_that_is_shown_holds_a_password() {
    let key = Key::new("shown").await;
    let shown = Shown::default();
    let events = shown.clone();
    let builder = key.builder(key.manager());
    let session = builder.observer(move |event| events.debug(event)).build();
    let session = session.unwrap();
    shown.debug(&session);
    let login = session.connect(soon()).await.unwrap();
    shown.debug(&login);

    let next = key.rotate_into_the_gap().await;
    let pool = Pool::builder(Connector::new(session.clone(), PATIENCE));
    let pool = pool.max_size(1).build().unwrap();
    let object = pool.get().await.unwrap();
    shown.debug(&pool);
    shown.debug(&object);
    shown.debug(&session);
    shown.debug(&session.accepted());
    shown.debug(&session.counters());
    key.promote(&next).await;

    key.set_password(&key.next()).await;
    let refusal = key.stack.secrets_manager().refuse(
        "GetSecretValue",
        Some("AWSPENDING"),
        "AccessDeniedException",
    );
    shown.error(&nothing_opens(&session).await);
    drop(refusal);

    let password = key.first.password.expose_secret();
    let login = key.database.secret(&key.first);
    for text in [
        password,
        &format!("\"{password}\""),
        &format!(r#"{{"password": "{password}"}}"#),
        &format!(r#"{{"username": 7, "password": "{password}"}}"#),
        &format!(r#"{{"username": "u", "password": "{password}"}}"#),
        &format!(
            r#"{{"username": "u", "password": "{password}", "host": "h", "port": "{}"}}"#,
            0
        ),
    ] {
        let session = session_of(&key, &shown, text);
        let failed = session.connect(soon()).await.map(drop);
        shown.error(&failed.expect_err("no login can come of that"));
        shown.debug(&session);
    }
    let session = session_of(&key, &shown, login.expose_secret());
    shown.error(&nothing_opens(&session).await);

    let shown = shown.0.lock().unwrap().join("\n");
    for event in [
        "LoggedIn",
        "Refused",
        "SearchBegun",
        "SecretRead",
        "PendingDenied",
        "Waiting",
        "ConnectFailed",
    ] {
        assert!(shown.contains(event), "{event} is missing");
    }
    assert_eq!(canary::search("what is shown", &shown), []);
}
