//! TLS of `secret-rotation`: a server that cannot be verified gets no password, and no login without TLS either.

use std::sync::Arc;

use local::canary;
use local::{Credentials, StackOptions};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::impostor::{Heard, Impostor, Manner, TLS_REQUEST, shows};
use crate::system::{ROTATION, SECRET, System};

/// An authority of a test's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(parameters, key),
            pem,
        }
    }

    /// How a server behaves that shows a certificate of this authority for `name`.
    fn certifies(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Manner {
        Manner::Certificate(self.identity(name, change))
    }

    /// The TLS of a server whose certificate of this authority is for `name`.
    pub fn identity(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        shows(&certificate, &key)
    }
}

impl System {
    /// Puts another value as an operator does, made of the current one.
    pub async fn edit_secret(&self, edit: impl FnOnce(&mut Value)) {
        let mut secret = self.secret("AWSCURRENT").unwrap();
        edit(&mut secret);
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config());
        let put = client.put_secret_value().secret_id(SECRET);
        put.secret_string(secret.to_string()).send().await.unwrap();
    }

    /// Every password of the secret so far.
    fn passwords(&self) -> Vec<String> {
        let texts = self.stack.secrets_manager().texts();
        let parsed = texts
            .iter()
            .map(|text| serde_json::from_str(text.expose_secret()).unwrap());
        parsed
            .map(|secret: Value| secret["password"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Nothing that a client says before it trusts the server holds a name or a password.
#[track_caller]
fn tells_nothing(system: &System, heard: &[Heard]) {
    for Heard {
        wire,
        within_tls,
        password,
    } in heard
    {
        assert_eq!(password.as_deref(), None);
        assert!(
            within_tls.is_empty(),
            "{} bytes within TLS",
            within_tls.len()
        );
        let text = String::from_utf8_lossy(wire);
        assert!(
            !text.contains(&system.application),
            "the startup message was sent"
        );
        assert!(
            system
                .passwords()
                .iter()
                .all(|password| !text.contains(password))
        );
        assert_eq!(canary::search("the wire", &text), []);
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_gets_no_password_and_no_second_try() {
    let system = System::start("unverified").await;
    system.announce("CERTIFICATE_NOT_ACCEPTED");
    let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
    let bundle = tempfile::NamedTempFile::new_in(system.stack.log_directory()).unwrap();
    std::fs::write(bundle.path(), &ours.pem).unwrap();
    let host = &system.database.server.host;
    let cases = [
        (foreign.certifies(host, |_| {}), "UnknownIssuer"),
        (
            ours.certifies("other.example.com", |_| {}),
            "not valid for name",
        ),
        (
            ours.certifies(host, |it| it.not_after = rcgen::date_time_ymd(2020, 1, 1)),
            "expired",
        ),
    ];
    let token = system.begun().await;
    let impostor = Impostor::start(Manner::HangUp).await;
    for require_tls in ["true", "false"] {
        system.define_rotation(&[
            ("DB_CA_BUNDLE", bundle.path().to_str().unwrap()),
            ("DB_PORT", &impostor.port.to_string()),
            ("REQUIRE_TLS", require_tls),
        ]);
        for (manner, words) in &cases {
            impostor.turn(manner.clone());
            for step in ["setSecret", "testSecret", "finishSecret"] {
                let event = system.step(step, &token).await;
                let (code, message) = system.refused(ROTATION, &event).await;
                assert_eq!(code, "CERTIFICATE_NOT_ACCEPTED", "{step}: {message}");
                assert!(message.contains(words), "{step}: {message}");
            }
            let heard = impostor.heard();
            assert_eq!(
                heard.len(),
                3,
                "one try for each step, REQUIRE_TLS={require_tls}: {words}"
            );
            tells_nothing(&system, &heard);
        }
    }
}

#[tokio::test]
async fn whoever_says_that_there_is_no_tls_gets_no_password() {
    let system = System::start("stripped").await;
    system.announce("NO_TLS");
    let impostor = Impostor::start(Manner::Plaintext("28P01")).await;
    let port = impostor.port.to_string();
    system.define_rotation(&[("DB_PORT", &port)]);
    let token = system.begun().await;
    for step in ["setSecret", "testSecret", "finishSecret"] {
        let (code, message) = system
            .refused(ROTATION, &system.step(step, &token).await)
            .await;
        assert_eq!(code, "NO_TLS", "{step}: {message}");
        assert!(message.contains("offers no tls"), "{step}: {message}");
    }
    let heard = impostor.heard();
    assert_eq!(heard.len(), 3, "one try for each step");
    assert!(heard.iter().all(|one| one.wire == TLS_REQUEST), "{heard:?}");
    tells_nothing(&system, &heard);
}

/// `"ssl": true` demands TLS whatever the function would allow.
#[tokio::test]
async fn a_secret_that_demands_tls_is_not_read_to_a_server_without() {
    let system = System::start("demanded").await;
    system.announce("NO_TLS");
    let impostor = Impostor::start(Manner::Plaintext("28P01")).await;
    let port = impostor.port.to_string();
    system.define_rotation(&[("DB_PORT", &port), ("REQUIRE_TLS", "false")]);
    for ssl in [json!(true), json!("True")] {
        impostor.turn(Manner::Plaintext("28P01"));
        system
            .edit_secret(|secret| secret["ssl"] = ssl.clone())
            .await;
        let token = system.begun().await;
        let (code, message) = system
            .refused(ROTATION, &system.step("setSecret", &token).await)
            .await;
        assert_eq!(code, "NO_TLS", "{ssl}: {message}");
        assert!(impostor.heard().iter().all(|one| one.wire == TLS_REQUEST));
        system.remove_pending(&token).await;
    }
}

/// `"ssl": false` asks for plaintext: that is refused, or, where it is allowed, still no reason to avoid TLS.
#[tokio::test]
async fn a_secret_that_wants_plaintext_is_refused_unless_that_is_allowed() {
    let system = System::start("plain").await;
    system.announce("PLAINTEXT_REFUSED");
    system
        .edit_secret(|secret| secret["ssl"] = json!(false))
        .await;
    let token = system.begun().await;
    let (code, message) = system
        .refused(ROTATION, &system.step("setSecret", &token).await)
        .await;
    assert_eq!(code, "PLAINTEXT_REFUSED");
    assert!(
        message.contains("REQUIRE_TLS"),
        "it says what may be changed: {message}"
    );
    // The server takes no login without TLS.
    system.define_rotation(&[("REQUIRE_TLS", "false")]);
    for step in ["setSecret", "testSecret", "finishSecret"] {
        system.step_succeeds(step, &token).await;
    }
    assert!(system.opens("AWSCURRENT").await);
}

/// The server has no TLS and says so itself. Even then a password is on no wire: it is proven, not told.
#[tokio::test]
async fn plaintext_is_used_where_it_is_allowed_and_the_server_has_nothing_else() {
    let options = StackOptions::from_environment()
        .unwrap()
        .own_postgres(|server| server.authentication("host all all 127.0.0.1/32 scram-sha-256\n"));
    let system = System::with(options, "without").await;
    system.announce("NOT_ENCRYPTED");
    system.create_tables().await;
    let impostor = Impostor::start(Manner::Relay(system.database_address())).await;
    let port = impostor.port.to_string();
    system.define_rotation(&[("DB_PORT", &port), ("REQUIRE_TLS", "false")]);
    system.rotate().await;
    let heard = impostor.heard();
    assert!(
        heard.iter().all(|one| one.wire.starts_with(&TLS_REQUEST)),
        "TLS comes first"
    );
    let wire: Vec<u8> = heard.into_iter().flat_map(|one| one.wire).collect();
    let wire = String::from_utf8_lossy(&wire).into_owned();
    assert!(
        wire.contains("ALTER ROLE") && wire.contains("SCRAM-SHA-256$4096:"),
        "it went this way"
    );
    assert_eq!(canary::search("the wire", &wire), []);
    let secret = system.secret("AWSCURRENT").unwrap();
    let text = |key: &str| secret[key].as_str().unwrap().to_owned();
    let credentials = Credentials::new(text("username"), text("password"));
    assert!(system.database.connect(&credentials).await.is_ok());
}
