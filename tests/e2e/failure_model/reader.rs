//! A reader that is behind the writer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tempfile::NamedTempFile;

use crate::impostor::{Impostor, Manner};
use crate::rotation_tls::Authority;
use crate::system::{PATIENCE, ROTATION, System};

/// Where the reader is: another host, as the writer's port is its port, too.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A reader that knows the new password when it is told to.
struct Reader {
    impostor: Impostor,
    identity: Arc<ServerConfig>,
    upstream: SocketAddr,
    /// The roots of reader and writer.
    bundle: NamedTempFile,
}

impl Reader {
    async fn start(system: &System) -> Self {
        let authority = Authority::new("reader");
        let bundle = system.roots_and(&authority);
        let identity = authority.identity(&HOST.to_string(), |_| {});
        let address = (HOST, system.database.server.port).into();
        Self {
            impostor: Impostor::at(address, Manner::HangUp).await,
            identity,
            upstream: system.database_address(),
            bundle,
        }
    }

    /// It has not replayed the change.
    fn lags(&self) {
        let identity = Arc::clone(&self.identity);
        self.impostor.turn(Manner::Refuses(identity, "28P01"));
    }

    /// It has.
    fn catches_up(&self) {
        let identity = Arc::clone(&self.identity);
        self.impostor.turn(Manner::Tunnel(identity, self.upstream));
    }

    fn asked(&self) -> usize {
        self.impostor.heard().len()
    }

    async fn was_asked_twice(&self) {
        local::wait::until("two logins at the reader", PATIENCE, async || {
            (self.asked() >= 2).then_some(())
        })
        .await
        .unwrap();
    }

    fn variables(&self) -> [(&str, String); 2] {
        let bundle = self.bundle.path().to_str().unwrap().to_owned();
        [("DB_CA_BUNDLE", bundle), ("READER_HOST", HOST.to_string())]
    }
}

#[tokio::test]
async fn t2_the_label_moves_when_the_reader_knows_the_password() {
    let system = System::for_tunnels("t2").await;
    let reader = Reader::start(&system).await;
    for (step, fast_promotion) in [("finishSecret", "false"), ("setSecret", "true")] {
        let [bundle, host] = reader.variables();
        system.define_rotation(&[
            (bundle.0, &bundle.1),
            (host.0, &host.1),
            ("FAST_PROMOTION", fast_promotion),
        ]);
        let token = system.begun().await;
        if step == "finishSecret" {
            system.go_on(&token, &["setSecret", "testSecret"]).await;
        }
        let current = system.version("AWSCURRENT");
        reader.lags();
        let call = tokio::spawn(system.invoke(ROTATION, &system.step(step, &token).await));
        reader.was_asked_twice().await;
        assert_eq!(system.version("AWSCURRENT"), current, "{step}");
        assert!(system.opens("AWSPENDING").await, "{step}: at the writer");
        reader.catches_up();
        let invoked = call.await.unwrap();
        let answer = String::from_utf8_lossy(&invoked.payload).into_owned();
        assert_eq!(invoked.function_error, None, "{step}: {answer}");
        assert_eq!(system.version("AWSCURRENT").as_deref(), Some(&*token));
        system.whole_rotation(&token).await;
    }
    // A reader that is not behind costs one login.
    let token = system.begun().await;
    reader.catches_up();
    system.whole_rotation(&token).await;
    assert_eq!(reader.asked(), 1);
}

#[tokio::test]
async fn t2_a_reader_that_stays_behind_keeps_the_label_where_it_is() {
    let system = System::for_tunnels("t2_behind").await;
    system.announce("READER_BEHIND");
    system.announce("PENDING_REFUSED");
    let reader = Reader::start(&system).await;
    let function = system.rotation_function();
    let function = function.timeout(Duration::from_secs(8));
    let variables = reader.variables();
    let function = function.variables(
        variables
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    system.stack.functions().define(function).unwrap();
    let token = system.begun().await;
    reader.lags();
    // What the writer refuses, no reader is asked for.
    let event = system.step("finishSecret", &token).await;
    let (_, message) = system.refused(ROTATION, &event).await;
    assert!(message.contains("with pending secret"), "{message}");
    assert_eq!(reader.asked(), 0);

    system.go_on(&token, &["setSecret", "testSecret"]).await;
    let current = system.version("AWSCURRENT");
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(code, "READER_BEHIND", "{message}");
    assert_eq!(system.version("AWSCURRENT"), current);
    // Eight seconds at a quarter of a second each.
    assert!((2..=32).contains(&reader.asked()), "{}", reader.asked());
    reader.catches_up();
    system.go_on(&token, &["finishSecret"]).await;
}
