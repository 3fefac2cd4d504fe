//! The local PostgreSQL refuses what Aurora with `rds.force_ssl` and SCRAM refuses, and shows a certificate like Aurora's.
//!
//! These tests use `tokio-postgres` as a foreign client would: neither our login nor our trust is between it and the server.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use local::{Credentials, Server, Stack, StackOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::system::PATIENCE;

/// The name that the certificate has besides those of loopback.
const ENDPOINT: &str = "demo.cluster-abc.us-east-1.rds.amazonaws.com";

async fn stack() -> Stack {
    Stack::start(StackOptions::from_environment().unwrap())
        .await
        .unwrap()
}

/// A login by an Aurora endpoint's name, with TLS and channel binding demanded.
fn config(server: &Server, host: &str, credentials: &Credentials) -> Config {
    let mut config = Config::new();
    config
        .host(host)
        .hostaddr(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .port(server.port)
        .dbname("postgres")
        .user(&credentials.username)
        .password(credentials.password.expose_secret())
        .ssl_mode(SslMode::Require)
        .channel_binding(ChannelBinding::Require)
        .connect_timeout(PATIENCE);
    config
}

fn trusting(authority: CertificateDer<'static>) -> MakeRustlsConnect {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

fn tls_of(server: &Server) -> MakeRustlsConnect {
    trusting(CertificateDer::from_pem_file(&server.ca_file).unwrap())
}

async fn connect<T>(config: &Config, tls: T) -> Result<Client, Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn shown(client: &Client, setting: &str) -> String {
    let row = client.query_one(&format!("SHOW {setting}"), &[]).await;
    row.unwrap().get(0)
}

/// The error that TLS gave as its reason.
#[track_caller]
fn certificate_error(refused: &Error) -> rustls::CertificateError {
    let mut cause = std::error::Error::source(refused);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(rustls::Error::InvalidCertificate(reason)) =
            inner.and_then(|inner| inner.downcast_ref())
        {
            return reason.clone();
        }
        cause = error.source();
    }
    panic!("not refused for its certificate: {refused:?}");
}

#[tokio::test]
async fn a_login_is_verified_by_the_name_of_an_aurora_endpoint() {
    let stack = stack().await;
    let server = stack.server();
    let master = server.master();
    let client = connect(&config(server, ENDPOINT, master), tls_of(server)).await;
    let row = client
        .unwrap()
        .query_one(
            "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            &[],
        )
        .await
        .unwrap();
    assert!(row.get::<_, bool>("ssl"));
    assert_eq!(row.get::<_, &str>("version"), "TLSv1.3");

    for name in ["other.cluster-abc.us-east-1.rds.amazonaws.com", "127.0.0.2"] {
        let refused = connect(&config(server, name, master), tls_of(server)).await;
        let reason = certificate_error(&refused.err().unwrap());
        assert!(
            matches!(
                reason,
                rustls::CertificateError::NotValidForNameContext { .. }
            ),
            "{name}: {reason:?}"
        );
    }
}

#[tokio::test]
async fn another_certificate_authority_is_not_trusted() {
    let stack = stack().await;
    let server = stack.server();
    let mut other = CertificateParams::new(Vec::new()).unwrap();
    other.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let tls = trusting(other.der().clone());
    let refused = connect(&config(server, ENDPOINT, server.master()), tls).await;
    assert_eq!(
        certificate_error(&refused.err().unwrap()),
        rustls::CertificateError::UnknownIssuer
    );
}

#[tokio::test]
async fn nobody_logs_in_without_tls() {
    let stack = stack().await;
    let server = stack.server();
    let mut plain = config(server, ENDPOINT, server.master());
    plain
        .ssl_mode(SslMode::Disable)
        .channel_binding(ChannelBinding::Disable);
    let refused = connect(&plain, NoTls).await.err().unwrap();
    let refused = refused.as_db_error().unwrap();
    assert_eq!(
        refused.code(),
        &SqlState::INVALID_AUTHORIZATION_SPECIFICATION
    );
    assert!(refused.message().contains("pg_hba.conf"), "{refused}");

    let superuser = server.superuser("postgres").await.unwrap();
    assert_eq!(shown(&superuser, "ssl").await, "on");
    assert_eq!(
        shown(&superuser, "ssl_min_protocol_version").await,
        "TLSv1.2"
    );
    assert_eq!(shown(&superuser, "listen_addresses").await, "127.0.0.1");
    assert_eq!(shown(&superuser, "unix_socket_directories").await, "");
}

#[tokio::test]
async fn no_other_method_than_scram_is_offered() {
    let stack = stack().await;
    let server = stack.server();
    let superuser = server.superuser("postgres").await.unwrap();
    assert_eq!(
        shown(&superuser, "password_encryption").await,
        "scram-sha-256"
    );
    let rules = superuser
        .query(
            "SELECT type, auth_method FROM pg_hba_file_rules WHERE error IS NULL ORDER BY type",
            &[],
        )
        .await
        .unwrap();
    let rules: Vec<(&str, &str)> = rules.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        rules,
        [("hostnossl", "reject"), ("hostssl", "scram-sha-256")]
    );

    // The password is right and the role has it as MD5 only: a server that fell back to MD5 would let it in.
    let old = server.login_role("md5", &[]).await.unwrap();
    // One that nobody looks for: the server gets the password itself, in a statement.
    let password = "known as MD5";
    let old = Credentials::new(old.username, password);
    superuser
        .batch_execute(&format!(
            "SET password_encryption = 'md5'; ALTER ROLE {} PASSWORD '{password}'",
            old.username
        ))
        .await
        .unwrap();
    let mut config = config(server, ENDPOINT, &old);
    config.channel_binding(ChannelBinding::Prefer);
    let refused = connect(&config, tls_of(server)).await.err().unwrap();
    assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
}

#[tokio::test]
async fn a_wrong_password_has_the_sqlstate_that_rotation_relies_on() {
    let stack = stack().await;
    let server = stack.server();
    let right = server.login_role("password", &[]).await.unwrap();
    let wrong = Credentials::generate(&right.username);
    let nobody = Credentials::generate("no_such_role");
    for refused in [&wrong, &nobody] {
        let refused = connect(&config(server, ENDPOINT, refused), tls_of(server)).await;
        let refused = refused.err().unwrap();
        assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
    }
    connect(&config(server, ENDPOINT, &right), tls_of(server))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_master_user_has_the_rights_of_rdss() {
    let stack = stack().await;
    let database = stack.database("master").await.unwrap();
    let master = database.master().await.unwrap();
    let row = master
        .query_one(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin
             FROM pg_roles WHERE rolname = current_user",
            &[],
        )
        .await
        .unwrap();
    let rights: Vec<bool> = (0..row.len()).map(|column| row.get(column)).collect();
    assert_eq!(rights, [false, true, true, false, false, true]);
    assert_eq!(shown(&master, "is_superuser").await, "off");
    for forbidden in [
        "SELECT pg_read_file('postgresql.conf')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "ALTER SYSTEM SET ssl = off",
        "SELECT rolpassword FROM pg_authid",
    ] {
        let refused = master.batch_execute(forbidden).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{forbidden}"
        );
    }
    master
        .batch_execute("CREATE TABLE it_owns_its_database ()")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_runs_unprivileged_and_comes_back_where_it_was() {
    let options = StackOptions::from_environment().unwrap();
    let options = options.own_postgres(|postgres| postgres.setting("log_statement", "all"));
    let stack = Stack::start(options).await.unwrap();
    let postgres = stack.own_postgres().unwrap();
    let server = postgres.server().clone();
    let process = fs::metadata(format!("/proc/{}", postgres.pid())).unwrap();
    assert_ne!(process.uid(), 0, "PostgreSQL runs as root");
    let key = server.ca_file.with_file_name("server.key");
    let key = fs::metadata(key).unwrap();
    assert_eq!((key.uid(), key.mode() & 0o777), (process.uid(), 0o600));

    let before = server.superuser("postgres").await.unwrap();
    assert_eq!(shown(&before, "log_statement").await, "all");
    before
        .batch_execute("CREATE TABLE stays AS SELECT 1 AS one")
        .await
        .unwrap();
    let pid = postgres.pid();
    postgres.stop();
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
    assert!(before.batch_execute("SELECT 1").await.is_err());
    let gone = TcpStream::connect(server.address()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);

    postgres.restart().await.unwrap();
    assert_eq!(postgres.server().port, server.port);
    assert_ne!(postgres.pid(), pid);
    let after = server.superuser("postgres").await.unwrap();
    let row = after.query_one("SELECT one FROM stays", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 1, "what was committed is still there");
    assert!(server.log().unwrap().contains("CREATE TABLE stays"));

    let (folder, pid) = (server.ca_file.parent().unwrap(), postgres.pid());
    drop(stack);
    assert!(!fs::exists(folder).unwrap(), "its folder goes with it");
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
}
