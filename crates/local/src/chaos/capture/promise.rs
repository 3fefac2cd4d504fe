//! What must hold in a run, and is looked at from outside.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::operation::get_object::GetObjectError;
use sha2::{Digest as _, Sha256};
use tokio_postgres::types::ToSql;

use super::Broken;
use super::play::{Run, SENT};
use super::script::{Event, Kind};
use crate::Error;

/// A row of the ledger.
struct Ledger {
    outcome: String,
    s3_key: String,
    body_sha256: Vec<u8>,
}

impl Run<'_> {
    /// What the queue is about to forget must be stored, or put aside if it can't be.
    pub(super) async fn check_acknowledged(&self, position: usize, at: &str) -> Result<(), Broken> {
        let Some(message) = self.script.messages.get(position) else {
            return Ok(());
        };
        let broken = |what: &str| {
            let id = self.script.message_id(position);
            Broken::Promise(format!("{at}: message {id} is acknowledged, and {what}"))
        };
        match &message.kind {
            Kind::Unknown => Err(broken("nobody knows its shape")),
            Kind::NotJson if self.is_put_aside(position).await? => Ok(()),
            Kind::NotJson => Err(broken("it was not put aside")),
            // The other of the two may be in S3 before it is in rows: S3 comes first.
            Kind::Event(event) if event.contested && self.is_put_aside(position).await? => Ok(()),
            Kind::Event(event) => {
                let (_, body) = self.stored(event).await?.map_err(broken)?;
                if has(&body, event.own_words()) {
                    return Ok(());
                }
                Err(broken("the object has not what was said in it"))
            }
        }
    }

    /// In the end everything is there once, in both stores.
    pub(super) async fn check_all(&self) -> Result<(), Broken> {
        let mut keys = BTreeSet::new();
        let mut said = BTreeMap::new();
        for event in self.events() {
            let stored = self.stored(event).await?;
            let (key, body) =
                stored.map_err(|what| broken(&format!("of event {}: {what}", event.id)))?;
            if has(&body, event.own_words()) {
                said.extend(event.said.iter().map(|words| (words.as_str(), 2)));
            }
            keys.insert(key);
        }
        let rows = self.said_in_rows().await?;
        let rows: BTreeMap<&str, i64> = rows
            .iter()
            .map(|(words, times)| (words.as_str(), *times))
            .collect();
        if rows != said {
            return Err(broken(&format!(
                "in rows there is {rows:?}, in S3 there is {said:?}"
            )));
        }
        let versions = self.versions().await?;
        let expected: Vec<String> = keys.into_iter().collect();
        if versions != expected {
            return Err(broken(&format!(
                "S3 has the versions {versions:?}, the ledger {expected:?}"
            )));
        }
        match self.wrong_counters().await? {
            0 => Ok(()),
            wrong => Err(broken(&format!("{wrong} conversations count wrongly"))),
        }
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        let messages = self.script.messages.iter();
        messages.filter_map(|message| match &message.kind {
            Kind::Event(event) => Some(event),
            Kind::NotJson | Kind::Unknown => None,
        })
    }

    /// Key and bytes of the object that the ledger names, or what is wrong with it.
    async fn stored(
        &self,
        event: &Event,
    ) -> Result<Result<(String, Vec<u8>), &'static str>, Error> {
        let Some(row) = self.ledger(event).await? else {
            return Ok(Err("the ledger does not know it"));
        };
        let Some(body) = self.object(&row.s3_key).await? else {
            return Ok(Err("its object is not there"));
        };
        if row.outcome != "stored" || Sha256::digest(&body)[..] != row.body_sha256[..] {
            return Ok(Err("the ledger has another object than S3"));
        }
        Ok(Ok((row.s3_key, body)))
    }

    async fn ledger(&self, event: &Event) -> Result<Option<Ledger>, Error> {
        let query = "SELECT outcome, s3_key, body_sha256 FROM capture_events \
             WHERE (tenant_id, conversation_id, event_id) = ($1, $2, $3)";
        let tenant = self.script.tenant();
        let ids: [&(dyn ToSql + Sync); 3] = [&tenant, &event.conversation, &event.id];
        let row = self.player.rows.query_opt(query, &ids).await;
        let row = row.map_err(Error::database("read the ledger"))?;
        Ok(row.map(|row| Ledger {
            outcome: row.get(0),
            s3_key: row.get(1),
            body_sha256: row.get(2),
        }))
    }

    /// How often the rows have the same words, without what tells a question from its answer.
    async fn said_in_rows(&self) -> Result<Vec<(String, i64)>, Error> {
        let query = "SELECT regexp_replace(content, ', (question|answer)$', ''), count(*) FROM messages \
             WHERE tenant_id = $1 GROUP BY 1";
        let rows = self
            .player
            .rows
            .query(query, &[&self.script.tenant()])
            .await;
        let rows = rows.map_err(Error::database("read the messages"))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn wrong_counters(&self) -> Result<i64, Error> {
        let query = "SELECT count(*) FROM conversations c WHERE tenant_id = $1 AND message_count <> \
             (SELECT count(*) FROM messages m WHERE (m.tenant_id, m.conversation_id) = (c.tenant_id, c.conversation_id))";
        let row = self
            .player
            .rows
            .query_one(query, &[&self.script.tenant()])
            .await;
        let row = row.map_err(Error::database("read the counters"))?;
        Ok(row.get(0))
    }

    async fn object(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let request = self.player.objects.get_object().bucket(&self.player.bucket);
        match request.key(key).send().await {
            Ok(found) => {
                let body = found.body.collect().await;
                let body = body.map_err(|error| s3(&error.to_string()))?;
                Ok(Some(body.to_vec()))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetObjectError::is_no_such_key) =>
            {
                Ok(None)
            }
            Err(error) => Err(s3(&DisplayErrorContext(error).to_string())),
        }
    }

    async fn is_put_aside(&self, position: usize) -> Result<bool, Error> {
        let id = self.script.message_id(position);
        let prefix = format!("quarantine/v1/dt={}/sqs/{id}-", SENT.1);
        let request = self.player.objects.list_objects_v2();
        let request = request.bucket(&self.player.bucket).prefix(prefix);
        let listing = request.send().await;
        let listing = listing.map_err(|error| s3(&DisplayErrorContext(error).to_string()))?;
        Ok(!listing.contents().is_empty())
    }

    /// The key of every version of an object of this run, and of every mark that one was deleted.
    async fn versions(&self) -> Result<Vec<String>, Error> {
        let prefix = format!("conversations/v1/t={}/", self.script.tenant());
        let request = self.player.objects.list_object_versions();
        let request = request.bucket(&self.player.bucket).prefix(prefix);
        let listing = request.send().await;
        let listing = listing.map_err(|error| s3(&DisplayErrorContext(error).to_string()))?;
        let versions = listing.versions().iter().filter_map(|one| one.key());
        let deleted = listing.delete_markers().iter().filter_map(|one| one.key());
        let mut keys: Vec<String> = versions.chain(deleted).map(str::to_owned).collect();
        keys.sort();
        Ok(keys)
    }
}

fn broken(what: &str) -> Broken {
    Broken::Promise(format!("in the end {what}"))
}

fn s3(reason: &str) -> Error {
    Error::Api {
        doing: "look into the bucket".to_owned(),
        reason: reason.to_owned(),
    }
}

fn has(body: &[u8], words: &str) -> bool {
    String::from_utf8_lossy(body).contains(&format!("{words}, "))
}
