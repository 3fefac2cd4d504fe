//! What the stack holds at the end, and whether that is as it should be.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use serde_json::Value;

use super::traffic::Tally;
use super::{GAP, LONG_CONVERSATION, TURNS};
use crate::Stack;
use crate::postgres::Database;
use crate::secrets_manager::{Outcome, Rotation, Step, StepRun};
use crate::stack::CAPTURE;

/// The record of `events/sqs-batch-poisoned.json` whose body is JSON that no adapter knows.
const UNKNOWN_SHAPE: &str = "5e1f9a30-7c44-4d0b-9b6e-000000000013";

/// Rows of one conversation, as PostgreSQL counts them.
struct Rows {
    conversation: String,
    events: i64,
    messages: i64,
    implementations: i64,
    counted: i64,
}

/// Everything that the summary shows.
#[derive(Default)]
pub(super) struct Report {
    /// The function's reply to the batch with poisoned records.
    pub(super) batch: Value,
    /// What became of the captures during the rotation.
    pub(super) traffic: Tally,
    objects: Vec<(String, i64)>,
    rows: Vec<Rows>,
    rotation: Option<Rotation>,
    pending_logins: usize,
    refused_logins: usize,
}

impl Report {
    /// Reads S3, PostgreSQL and the logs.
    pub(super) async fn read(
        &mut self,
        stack: &Stack,
        database: &Database,
        bucket: &str,
    ) -> Result<()> {
        self.objects = objects(&Client::new(&stack.sdk_config()), bucket).await?;
        self.rows = rows(database).await?;
        self.rotation = stack.secrets_manager().rotations().into_iter().last();
        self.pending_logins = stack
            .functions()
            .log(CAPTURE)
            .iter()
            .filter(|line| line.text.contains("logged in") && line.text.contains("AWSPENDING"))
            .count();
        self.refused_logins = stack
            .server()
            .log()?
            .lines()
            .filter(|line| line.contains("password authentication failed"))
            .count();
        Ok(())
    }

    /// Prints the summary.
    pub(super) fn print(&self) {
        let counted = self.objects_by_conversation();
        println!("objects in the archive");
        for (key, bytes) in &self.objects {
            if !key.contains("/c=demo-") {
                println!("  {bytes:>6} bytes  {key}");
            }
        }
        for (conversation, objects) in counted.iter().filter(|(name, _)| name.starts_with("demo-"))
        {
            println!("  {objects:>6} objects below .../c={conversation}/");
        }
        println!(
            "\nrows by conversation\n  {:<34} {:>6} {:>8} {:>15}",
            "conversation", "events", "messages", "implementations"
        );
        for row in &self.rows {
            println!(
                "  {:<34} {:>6} {:>8} {:>15}",
                row.conversation, row.events, row.messages, row.implementations
            );
        }
        println!(
            "\nreply to the batch with poisoned records\n  {}",
            self.batch
        );
        println!("\ntimeline of the rotation");
        if let Some(rotation) = &self.rotation {
            for run in &rotation.steps {
                let begun = (run.started - rotation.started).as_seconds_f64();
                let took = run
                    .ended
                    .map_or(0.0, |ended| (ended - run.started).as_seconds_f64());
                println!(
                    "  {:<13} at {begun:>6.3} s, took {took:>6.3} s, {}",
                    run.step.as_str(),
                    outcome(run)
                );
            }
        }
        println!("\ncaptures during the rotation");
        println!("  acknowledged                 {:>5}", self.acknowledged());
        println!("  environments killed          {:>5}", self.traffic.killed);
        println!(
            "  delivered again after a kill {:>5}",
            self.traffic.redelivered
        );
        println!("  logins refused in the gap    {:>5}", self.refused_logins);
        println!("  logins with AWSPENDING       {:>5}", self.pending_logins);
        println!(
            "  failed connects              {:>5}",
            self.traffic.failures.len()
        );
    }

    /// Says whether all is as it should be.
    ///
    /// # Errors
    /// If it is not; what is wrong has been printed.
    pub(super) fn verdict(&self) -> Result<()> {
        println!();
        let mut broken = 0;
        for (claim, holds) in self.claims() {
            println!("{}  {claim}", if holds { "ok    " } else { "BROKEN" });
            broken += usize::from(!holds);
        }
        for failure in &self.traffic.failures {
            println!("        {failure}");
        }
        if broken > 0 {
            bail!("{broken} of the claims above do not hold");
        }
        Ok(())
    }

    fn claims(&self) -> Vec<(String, bool)> {
        let objects = self.objects_by_conversation();
        let row = |name: &str| self.rows.iter().find(|row| row.conversation == name);
        let long = row(LONG_CONVERSATION);
        let turns = i64::try_from(TURNS).unwrap_or(i64::MAX);
        let failed: Vec<_> = self
            .batch
            .pointer("/batchItemFailures")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|item| item.get("itemIdentifier")?.as_str())
            .collect();
        vec![
            (
                "every conversation has as many objects as stored events, and its counter counts its messages".to_owned(),
                !self.rows.is_empty()
                    && self.rows.iter().all(|row| {
                        objects.get(&row.conversation) == Some(&row.events) && row.counted == row.messages && row.events > 0
                    }),
            ),
            (
                format!("{TURNS} turns that each sent the whole history made {} messages, no more", 2 * TURNS),
                long.is_some_and(|row| row.events == turns && row.messages == 2 * turns),
            ),
            (
                "of the batch only the record of unknown shape goes back to the queue, and the one that is no JSON lies in quarantine"
                    .to_owned(),
                failed == [UNKNOWN_SHAPE]
                    && self.objects.iter().filter(|(key, _)| key.starts_with("quarantine/")).count() == 1,
            ),
            (
                "the rotation went through its four steps, with a second between setSecret and finishSecret".to_owned(),
                self.rotation.as_ref().is_some_and(rotated_with_gap),
            ),
            (
                "every acknowledged capture has its rows".to_owned(),
                self.acknowledged() > 0
                    && self.traffic.acknowledged.iter().all(|(conversation, turns)| {
                        row(conversation).is_some_and(|row| i64::try_from(2 * turns).is_ok_and(|expected| row.messages == expected))
                    }),
            ),
            ("a capture logged in with AWSPENDING while AWSCURRENT was refused".to_owned(), self.pending_logins > 0 && self.refused_logins > 0),
            ("no capture failed to connect".to_owned(), self.traffic.failures.is_empty()),
        ]
    }

    fn acknowledged(&self) -> u64 {
        self.traffic
            .acknowledged
            .iter()
            .map(|(_, turns)| turns)
            .sum()
    }

    fn objects_by_conversation(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (key, _) in &self.objects {
            let conversation = key
                .split('/')
                .find_map(|segment| segment.strip_prefix("c="));
            if let Some(conversation) = conversation.filter(|_| key.starts_with("conversations/")) {
                *counts.entry(conversation.to_owned()).or_default() += 1;
            }
        }
        counts
    }
}

fn outcome(run: &StepRun) -> String {
    match &run.outcome {
        Some(Outcome::Succeeded) => "succeeded".to_owned(),
        Some(Outcome::Failed {
            error_type,
            message,
        }) => format!("failed: {error_type}: {message}"),
        Some(Outcome::Cancelled) => "cancelled".to_owned(),
        None => "did not end".to_owned(),
    }
}

fn rotated_with_gap(rotation: &Rotation) -> bool {
    let set = rotation.step(Step::SetSecret).and_then(|run| run.ended);
    let finish = rotation.step(Step::FinishSecret).map(|run| run.started);
    let gap = set
        .zip(finish)
        .is_some_and(|(set, finish)| finish - set >= GAP);
    rotation.succeeded() && rotation.steps.len() == Step::ALL.len() && gap
}

async fn objects(client: &Client, bucket: &str) -> Result<Vec<(String, i64)>> {
    let mut pages = client
        .list_objects_v2()
        .bucket(bucket)
        .into_paginator()
        .send();
    let mut objects = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.context("cannot list the bucket")?;
        for object in page.contents() {
            objects.push((
                object.key().unwrap_or_default().to_owned(),
                object.size().unwrap_or_default(),
            ));
        }
    }
    Ok(objects)
}

async fn rows(database: &Database) -> Result<Vec<Rows>> {
    let rows = database
        .superuser()
        .await?
        .query(
            "SELECT c.conversation_id, c.message_count::bigint,
                    (SELECT count(*) FROM capture_events e
                      WHERE (e.tenant_id, e.conversation_id) = (c.tenant_id, c.conversation_id) AND e.outcome = 'stored'),
                    (SELECT count(*) FROM messages m
                      WHERE (m.tenant_id, m.conversation_id) = (c.tenant_id, c.conversation_id)),
                    (SELECT count(*) FROM implementations i
                      WHERE (i.tenant_id, i.conversation_id) = (c.tenant_id, c.conversation_id))
               FROM conversations c
              ORDER BY c.conversation_id",
            &[],
        )
        .await
        .context("cannot read the tables")?;
    Ok(rows
        .iter()
        .map(|row| Rows {
            conversation: row.get(0),
            counted: row.get(1),
            events: row.get(2),
            messages: row.get(3),
            implementations: row.get(4),
        })
        .collect())
}
