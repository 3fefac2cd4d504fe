//! The sinks that a whole run of tests shares: what PostgreSQL and moto write down.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::{Find, search};
use crate::{Error, Moto, Server};

const ACTIVITY: &str = "SELECT query FROM pg_stat_activity WHERE query IS NOT NULL";

/// Searches a server's log and its statistics of statements, those that are kept and those of this moment.
pub async fn search_server(server: &Server) -> Result<Vec<Find>, Error> {
    let client = server.superuser("postgres").await?;
    // What the view has dropped because it was full can be searched no more.
    let dropped = client
        .query_one("SELECT dealloc FROM pg_stat_statements_info", &[])
        .await
        .map_err(Error::database("read pg_stat_statements_info"))?
        .get::<_, i64>(0);
    if dropped > 0 {
        return Err(Error::Setting {
            name: "pg_stat_statements.max".to_owned(),
            reason: format!("too small to keep every statement, dropped {dropped} times"),
        });
    }
    let kept = queries(&client, "SELECT query FROM pg_stat_statements").await?;
    let current = queries(&client, ACTIVITY).await?;
    let sinks = [
        ("the log of PostgreSQL", server.log()?),
        ("pg_stat_statements", lines(kept)),
        ("pg_stat_activity", lines(current)),
    ];
    let finds = sinks.iter().flat_map(|(sink, text)| search(sink, text));
    Ok(finds.collect())
}

/// Looks at the shared servers while tests use them: what a connection does is in `pg_stat_activity` only as long as it is
/// open.
pub(crate) struct Watch {
    client: Client,
    seen: BTreeSet<String>,
    /// Why it could not look.
    blind: Option<Error>,
}

impl Watch {
    /// Logs in.
    pub(crate) async fn begin(server: &Server) -> Result<Self, Error> {
        Ok(Self {
            client: server.superuser("postgres").await?,
            seen: BTreeSet::new(),
            blind: None,
        })
    }

    /// Notes the statements of this moment.
    pub(crate) async fn look(&mut self) {
        if self.blind.is_some() {
            return;
        }
        match queries(&self.client, ACTIVITY).await {
            Ok(queries) => self.seen.extend(queries),
            Err(refused) => self.blind = Some(refused),
        }
    }

    /// Searches everything that was seen and everything that is left.
    pub(crate) async fn end(self, server: &Server, moto: &Moto) -> Result<Vec<Find>, Error> {
        if let Some(refused) = self.blind {
            return Err(refused);
        }
        let mut finds = search("pg_stat_activity", &lines(self.seen));
        finds.extend(search_server(server).await?);
        finds.extend(search("the log of moto", &moto.log()?));
        Ok(finds)
    }
}

async fn queries(client: &Client, select: &str) -> Result<Vec<String>, Error> {
    let rows = client.query(select, &[]).await;
    let rows = rows.map_err(Error::database("read the statistics of statements"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn lines(queries: impl IntoIterator<Item = String>) -> String {
    queries.into_iter().map(|query| query + "\n").collect()
}
