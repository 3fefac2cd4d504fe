//! The floor of a capture: for each invocation the puts and the one statement that `conversation-capture` sent for it, byte
//! by byte, through the same client libraries, and nothing else: no parsing, no hashing, no log.
//!
//! Its one argument is a file with its [`Setting`]: it needs no more of the environment than the SDK does.

use std::collections::VecDeque;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use aws_config::BehaviorVersion;
use aws_sdk_s3::Client as S3;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use benches::script::{Invocation, Script, Setting};
use bytes::{Bytes, BytesMut};
use lambda_runtime::{LambdaEvent, service_fn};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::IgnoredAny;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// As many puts at the same time as capture has.
const CONCURRENT_PUTS: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let floor = Floor::start().await?;
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| floor.answer())).await
}

struct Floor {
    s3: S3,
    bucket: String,
    client: Client,
    statement: Option<Statement>,
    left: Mutex<VecDeque<Sent>>,
}

/// An invocation's bytes, ready to be sent.
struct Sent {
    objects: Vec<Put>,
    parameters: Vec<Raw>,
}

struct Put {
    key: String,
    content_type: String,
    checksum_sha256: String,
    body: Bytes,
}

impl Floor {
    async fn start() -> Result<Self> {
        let file = std::env::args_os()
            .nth(1)
            .context("no file with a setting")?;
        let setting: Setting = serde_json::from_slice(&std::fs::read(file)?)?;
        let aws = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let client = connect(&setting).await?;
        let script = match &setting.script {
            Some(path) => Script::read(path)?,
            None => Script::default(),
        };
        let types: Vec<Type> = script
            .types
            .iter()
            .map(|oid| Type::from_oid(*oid).ok_or_else(|| anyhow!("no built-in type: {oid}")))
            .collect::<Result<_>>()?;
        let statement = match script.sql.as_str() {
            "" => None,
            sql => Some(client.prepare_typed(sql, &types).await?),
        };
        Ok(Self {
            s3: S3::new(&aws),
            bucket: setting.bucket,
            client,
            statement,
            left: Mutex::new(script.invocations.into_iter().map(Sent::from).collect()),
        })
    }

    async fn answer(&self) -> Result<&'static str, Box<dyn Error + Send + Sync>> {
        let next = self
            .left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let sent = next.ok_or("the script is at its end")?;
        let statement = self
            .statement
            .as_ref()
            .ok_or("the script has no statement")?;
        self.put(sent.objects).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> = sent
            .parameters
            .iter()
            .map(|raw| raw as &(dyn ToSql + Sync))
            .collect();
        self.client.query(statement, &parameters).await?;
        Ok("done")
    }

    async fn put(&self, objects: Vec<Put>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut under_way = JoinSet::new();
        let places = Arc::new(Semaphore::new(CONCURRENT_PUTS));
        for object in objects {
            let place = Arc::clone(&places).acquire_owned().await?;
            let request = self
                .s3
                .put_object()
                .bucket(&self.bucket)
                .key(object.key)
                .if_none_match("*")
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .checksum_sha256(object.checksum_sha256)
                .content_type(object.content_type)
                .body(ByteStream::from(object.body));
            under_way.spawn(async move {
                let put = request.send().await;
                drop(place);
                put.map(drop)
            });
        }
        while let Some(put) = under_way.join_next().await {
            put??;
        }
        Ok(())
    }
}

async fn connect(setting: &Setting) -> Result<Client> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(&setting.ca_file)?)
        .with_no_client_auth();
    let (client, connection) = tokio_postgres::Config::new()
        .host(&setting.host)
        .port(setting.port)
        .dbname(&setting.dbname)
        .user(&setting.username)
        .password(&setting.password)
        .ssl_mode(SslMode::Require)
        .connect(MakeRustlsConnect::new(tls))
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

fn roots(ca_file: &Path) -> Result<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file)? {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

impl From<Invocation> for Sent {
    fn from(invocation: Invocation) -> Self {
        let objects = invocation.objects.into_iter().map(|object| Put {
            key: object.key,
            content_type: object.content_type,
            checksum_sha256: object.checksum_sha256,
            body: object.body.0.into(),
        });
        let parameters = invocation.parameters.into_iter();
        Self {
            objects: objects.collect(),
            parameters: parameters
                .map(|value| Raw(value.map(|bytes| bytes.0)))
                .collect(),
        }
    }
}

/// A parameter that is in PostgreSQL's binary format already; `None` is NULL.
#[derive(Debug)]
struct Raw(Option<Vec<u8>>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(bytes) = &self.0 else {
            return Ok(IsNull::Yes);
        };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
