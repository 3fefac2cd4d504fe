//! What a server says about itself and about the connection.

use tokio_postgres::Client;

use crate::statement;

/// The server at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// `server_version`, for example `17.4`.
    pub version: String,
    /// `server_version_num`, for example 170004.
    pub version_num: i32,
    /// TLS of this connection; `None` in plaintext. Behind a proxy, that of the proxy's connection.
    pub tls: Option<TlsSession>,
    /// Whether this server takes no writes: a reader, or a writer that was demoted.
    pub read_only: bool,
    /// The role logged in as.
    pub session_user: String,
    /// The database connected to.
    pub dbname: String,
}

/// TLS as agreed between client and server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSession {
    /// For example `TLSv1.3`.
    pub version: String,
    /// For example `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
}

/// Asks the server about itself; one statement that any role may run.
pub async fn describe(client: &Client) -> Result<Server, tokio_postgres::Error> {
    let row = client
        .query_typed_one(statement::DESCRIBE_SERVER, &[])
        .await?;
    let tls_version: Option<String> = row.try_get(2)?;
    let tls_cipher: Option<String> = row.try_get(3)?;
    Ok(Server {
        version: row.try_get(0)?,
        version_num: row.try_get(1)?,
        tls: tls_version
            .zip(tls_cipher)
            .map(|(version, cipher)| TlsSession { version, cipher }),
        read_only: row.try_get(4)?,
        session_user: row.try_get(5)?,
        dbname: row.try_get(6)?,
    })
}

/// Whether the server takes no writes: a reader, or a writer that was demoted.
pub async fn is_read_only(client: &Client) -> Result<bool, tokio_postgres::Error> {
    client
        .query_typed_one(statement::READ_ONLY, &[])
        .await?
        .try_get(0)
}
