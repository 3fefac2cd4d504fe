//! A running server as its clients see it, and set-up in it: databases, roles.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

use crate::{Error, background, canary};

/// A user and a password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The role's name.
    pub username: String,
    /// Its password.
    pub password: SecretString,
}

impl Credentials {
    /// A user with a random password, which can be recognised wherever it should not be.
    pub fn generate(username: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            // Not longer than SHA-256's block of 64 bytes, beyond which every round of SCRAM takes half as long again.
            password: SecretString::from(format!(
                "{}{}",
                canary::PASSWORD,
                Uuid::new_v4().simple()
            )),
        }
    }

    /// A user with this password.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: SecretString::from(password.into()),
        }
    }
}

/// How to reach a running server, and who may do what in it.
#[derive(Debug, Clone)]
pub struct Server {
    /// Always `127.0.0.1`, which the certificate names.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its major version.
    pub version: u32,
    /// The certificate authority to trust, PEM; what `DB_CA_BUNDLE` names.
    pub ca_file: PathBuf,
    /// The server's own log.
    pub log_file: PathBuf,
    pub(crate) superuser: Credentials,
    pub(crate) master: Credentials,
}

impl Server {
    /// Where it listens, for a proxy.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The server's own certificate, PEM, and its private key, which only the server's user and root can read: for a
    /// program that looks into the connections to it.
    pub fn certificate_and_key(&self) -> (PathBuf, PathBuf) {
        (
            self.ca_file.with_file_name("server.crt"),
            self.ca_file.with_file_name("server.key"),
        )
    }

    /// What the RDS master user is: a login that may create roles and databases, and no superuser. One for the whole
    /// server, because from PostgreSQL 16 on only the creator of a role may administer it.
    pub fn master(&self) -> &Credentials {
        &self.master
    }

    /// A superuser's connection, for set-up and assertions.
    pub async fn superuser(&self, dbname: &str) -> Result<Client, Error> {
        self.connect(dbname, &self.superuser).await
    }

    /// A login with verified TLS and channel binding.
    pub async fn connect(&self, dbname: &str, credentials: &Credentials) -> Result<Client, Error> {
        let mut config = tokio_postgres::Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .dbname(dbname)
            .user(&credentials.username)
            .password(credentials.password.expose_secret())
            .application_name("turnkeep-local")
            .ssl_mode(SslMode::Require)
            .channel_binding(ChannelBinding::Require)
            .connect_timeout(Duration::from_secs(5));
        let tls = MakeRustlsConnect::new(self.trust()?);
        let doing = format!("log in to database {dbname} as {}", credentials.username);
        background::run(async move {
            let (client, connection) = config.connect(tls).await.map_err(Error::database(doing))?;
            tokio::spawn(connection);
            Ok(client)
        })
        .await
    }

    /// Creates a database of its own name, owned by the master user; it goes with the server.
    pub async fn database(&self, hint: &str) -> Result<Database, Error> {
        self.create_database(&unique(hint)).await
    }

    /// Creates a database with a plain lower-case name, owned by the master user.
    pub async fn create_database(&self, name: &str) -> Result<Database, Error> {
        let create = format!("CREATE DATABASE {name} OWNER {}", self.master.username);
        self.execute(&create, "create a database").await?;
        Ok(Database {
            server: self.clone(),
            name: name.to_owned(),
        })
    }

    /// Creates a role of its own name with a login and a random password, a member of `groups`.
    pub async fn login_role(&self, hint: &str, groups: &[&str]) -> Result<Credentials, Error> {
        let role = Credentials::generate(unique(hint));
        self.create_login(&role, "").await?;
        for group in groups {
            self.execute(
                &format!("GRANT {group} TO {}", role.username),
                "grant a role",
            )
            .await?;
        }
        Ok(role)
    }

    /// Creates a role as [`Server::login_role`] does, but has the master user do it, who may then change the role's password.
    pub async fn role_of_master(&self, hint: &str) -> Result<Credentials, Error> {
        let role = Credentials::generate(unique(hint));
        let master = self.connect("postgres", &self.master).await?;
        let created = master.batch_execute(&create_login(&role, "")).await;
        created.map_err(Error::database("create a role"))?;
        Ok(role)
    }

    /// When the last change of a role, such as that of its password, was committed. The server knows it only with the
    /// setting `track_commit_timestamp`.
    pub async fn role_changed_at(&self, role: &str) -> Result<OffsetDateTime, Error> {
        let query = "SELECT pg_xact_commit_timestamp(xmin) FROM pg_authid WHERE rolname = $1";
        let client = self.superuser("postgres").await?;
        let row = client.query_one(query, &[&role]).await;
        row.and_then(|row| row.try_get(0))
            .map_err(Error::database("ask when a role was changed"))
    }

    /// Makes the server accept these credentials and no others for the role.
    pub async fn set_password(&self, credentials: &Credentials) -> Result<(), Error> {
        let role = credentials.username.replace('"', "\"\"");
        let alter = format!("ALTER ROLE \"{role}\" PASSWORD '{}'", verifier(credentials));
        self.execute(&alter, "set a password").await
    }

    /// Everything the server has logged so far.
    pub fn log(&self) -> Result<String, Error> {
        let bytes = fs::read(&self.log_file)
            .map_err(Error::io(format!("read {}", self.log_file.display())))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The master user, with what `rds_superuser` may do that matters here.
    pub(super) async fn create_master(&self) -> Result<(), Error> {
        self.create_login(&self.master, "CREATEROLE CREATEDB")
            .await?;
        let grant = format!(
            "GRANT pg_monitor, pg_signal_backend TO {} WITH ADMIN OPTION",
            self.master.username
        );
        self.execute(&grant, "grant roles to the master user")
            .await?;
        self.execute(
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
            "create pg_stat_statements",
        )
        .await
    }

    async fn create_login(&self, role: &Credentials, attributes: &str) -> Result<(), Error> {
        self.execute(&create_login(role, attributes), "create a role")
            .await
    }

    async fn execute(&self, sql: &str, doing: &str) -> Result<(), Error> {
        self.superuser("postgres")
            .await?
            .batch_execute(sql)
            .await
            .map_err(Error::database(doing))
    }

    fn trust(&self) -> Result<rustls::ClientConfig, Error> {
        let reason = |reason: String| Error::Setting {
            name: self.ca_file.display().to_string(),
            reason,
        };
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.ca_file)
            .map_err(|refused| reason(refused.to_string()))?
        {
            let certificate = certificate.map_err(|refused| reason(refused.to_string()))?;
            roots
                .add(certificate)
                .map_err(|refused| reason(refused.to_string()))?;
        }
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(|refused| reason(refused.to_string()))?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

/// A database of a test or a stack.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where it is.
    pub server: Server,
    /// Its name.
    pub name: String,
}

impl Database {
    /// A superuser's connection, for set-up and assertions.
    pub async fn superuser(&self) -> Result<Client, Error> {
        self.server.superuser(&self.name).await
    }

    /// A connection of the master user, who owns the database.
    pub async fn master(&self) -> Result<Client, Error> {
        self.connect(&self.server.master).await
    }

    /// A login with verified TLS.
    pub async fn connect(&self, credentials: &Credentials) -> Result<Client, Error> {
        self.server.connect(&self.name, credentials).await
    }

    /// The text of an application's secret for this database.
    pub fn secret(&self, credentials: &Credentials) -> SecretString {
        self.secret_at(&self.server.host, self.server.port, credentials)
    }

    /// As [`Database::secret`], reached through another address, such as a proxy's.
    pub fn secret_at(&self, host: &str, port: u16, credentials: &Credentials) -> SecretString {
        let secret = serde_json::json!({
            "engine": "aurora-postgresql",
            "host": host,
            "port": port,
            "username": credentials.username,
            "password": credentials.password.expose_secret(),
            "dbname": self.name,
        });
        SecretString::from(secret.to_string())
    }
}

fn create_login(role: &Credentials, attributes: &str) -> String {
    format!(
        "CREATE ROLE {} LOGIN {attributes} PASSWORD '{}'",
        role.username,
        verifier(role)
    )
}

/// What the server gets instead of the password: whatever it logs of the statement gives nothing away.
pub(crate) fn verifier(credentials: &Credentials) -> String {
    postgres_protocol::password::scram_sha_256(credentials.password.expose_secret().as_bytes())
}

/// The text of a secret as RDS keeps it for a master user (`ManageMasterUserPassword`): user name and password only.
pub fn managed_secret(credentials: &Credentials) -> SecretString {
    let secret = serde_json::json!({"username": credentials.username, "password": credentials.password.expose_secret()});
    SecretString::from(secret.to_string())
}

/// A name that no other test uses, safe as an SQL identifier and as a bucket's name.
pub(crate) fn unique(hint: &str) -> String {
    let hint: String = hint
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(24)
        .collect();
    let random = Uuid::new_v4().simple().to_string();
    format!(
        "t{}{}",
        hint.to_ascii_lowercase(),
        random.get(..10).unwrap_or(&random)
    )
}

/// A server as it is handed to other processes, in a file that only its owner can read.
#[derive(Serialize, Deserialize)]
pub(crate) struct ServerFile {
    host: String,
    port: u16,
    version: u32,
    ca_file: PathBuf,
    log_file: PathBuf,
    superuser: (String, String),
    master: (String, String),
}

impl From<&Server> for ServerFile {
    fn from(server: &Server) -> Self {
        let pair = |one: &Credentials| {
            (
                one.username.clone(),
                one.password.expose_secret().to_owned(),
            )
        };
        Self {
            host: server.host.clone(),
            port: server.port,
            version: server.version,
            ca_file: server.ca_file.clone(),
            log_file: server.log_file.clone(),
            superuser: pair(&server.superuser),
            master: pair(&server.master),
        }
    }
}

impl From<ServerFile> for Server {
    fn from(file: ServerFile) -> Self {
        let credentials =
            |(username, password): (String, String)| Credentials::new(username, password);
        Self {
            host: file.host,
            port: file.port,
            version: file.version,
            ca_file: file.ca_file,
            log_file: file.log_file,
            superuser: credentials(file.superuser),
            master: credentials(file.master),
        }
    }
}

impl fmt::Debug for ServerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerFile")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
