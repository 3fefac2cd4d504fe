//! `turnkeep-local demo`: the main job, from an empty server to a rotation under load, with a verdict at the end.
//!
//! It does what a user does, with what a user has: `turnkeep` makes tables, roles and the secret, `cargo lambda invoke`
//! sends events, `turnkeep rotate --wait` rotates. Only the traffic during the rotation calls the functions directly,
//! because sixty commands a second would measure the machine. What it claims at the end it reads from S3, from
//! PostgreSQL and from the logs, not from what it did.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod command;
mod report;
mod traffic;

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::secrets_manager::Step;
use crate::stack::template::{Deployment, Referred};
use crate::stack::{ACCOUNT, CAPTURE, REGION, ROTATION};
use crate::{Checkout, Stack, StackOptions};
use command::Shell;
use report::Report;
use traffic::Traffic;

/// The secret that `turnkeep` uses when nobody names another.
const SECRET: &str = "ial-aurora-master-secret";
/// The conversation that is sent turn by turn.
const LONG_CONVERSATION: &str = "demo-long";
/// Turns of the long conversation. Every turn sends the whole history, as LLM clients do.
const TURNS: usize = 50;
/// How long the rotation stands between setSecret and finishSecret: what AWS's Python function needs there.
const GAP: Duration = Duration::from_secs(1);

/// Runs the demonstration and prints it.
///
/// # Errors
/// If anything is not as the product promises; the text says what.
pub async fn run(checkout: &Checkout, options: StackOptions) -> Result<()> {
    say(
        "the stack",
        "PostgreSQL with TLS and SCRAM, the AWS API on loopback, the release binaries",
    );
    let stack = Stack::start(options).await?;
    let bucket = stack.bucket("demo").await?;
    let database = stack.database("demo").await?;
    let master_secret = stack.master_secret()?;
    let referred = Referred {
        bucket: &bucket,
        ..Referred::new(&database, SECRET)
    };
    for name in [CAPTURE, ROTATION] {
        let function = stack.function(name, Deployment::Existing, &referred)?;
        stack.functions().define(function)?;
    }
    println!(
        "PostgreSQL on port {}, AWS API at {}",
        database.server.port,
        stack.gateway().endpoint()
    );
    let shell = Shell::new(checkout, &stack, &database, &bucket);
    let mut report = Report::default();

    say(
        "tables, roles, secret",
        "made by `turnkeep` with the master user's secret, on an empty database",
    );
    let port = database.server.port.to_string();
    shell
        .turnkeep(&[
            "create-tables",
            "--master-secret",
            &master_secret,
            "--create-secret",
            "--host",
            &database.server.host,
            "--port",
            &port,
            "--dbname",
            &database.name,
        ])
        .await?;
    shell.turnkeep(&["test"]).await?;

    say("events", "sent with `cargo lambda invoke`");
    for event in [
        "direct-canonical",
        "direct-canonical-tools",
        "direct-legacy",
        "direct-legacy-implementations",
    ] {
        shell
            .invoke(CAPTURE, &format!("events/{event}.json"))
            .await?;
    }
    report.batch = shell
        .invoke(CAPTURE, "events/sqs-batch-poisoned.json")
        .await?;
    long_conversation(&stack, &shell).await?;

    say(
        "rotation",
        "`turnkeep rotate` while captures run and their environments are killed",
    );
    stack
        .secrets_manager()
        .pause_before(Step::FinishSecret, GAP);
    let mut traffic = Traffic::start(stack.functions());
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{ROTATION}");
    let rotated = traffic
        .disturb_until(shell.turnkeep(&[
            "rotate",
            "--function",
            &function,
            "--days",
            "30",
            "--wait",
        ]))
        .await;
    report.traffic = traffic.stop().await;
    rotated?;
    shell.turnkeep(&["test"]).await?;

    say(
        "what is there now",
        "read from S3, from PostgreSQL and from the logs",
    );
    report.read(&stack, &database, &bucket).await?;
    report.print();
    report.verdict()
}

/// Sends a conversation of [`TURNS`] turns, each with all that was said before.
async fn long_conversation(stack: &Stack, shell: &Shell) -> Result<()> {
    let mut messages: Vec<Value> = Vec::new();
    println!(
        "$ cargo lambda invoke {CAPTURE} --data-file turn-NN.json   # {TURNS} times, each with the whole history"
    );
    for turn in 1..=TURNS {
        messages.push(message(
            "input",
            "user",
            &format!("Question {turn}: what changed in module {turn}?"),
        ));
        let answer = message(
            "output",
            "assistant",
            &format!("Resposta {turn}: mudou o módulo {turn}."),
        );
        let event = json!({
            "schema": "llm.capture/1",
            "event_id": format!("turn-{turn:02}"),
            "conversation_id": LONG_CONVERSATION,
            "user_id": "demo-user",
            "occurred_at": format!("2026-11-23T10:{turn:02}:00Z"),
            "history": "full",
            "messages": messages.iter().chain([&answer]).collect::<Vec<_>>(),
        });
        messages.push(message(
            "input",
            "assistant",
            &format!("Resposta {turn}: mudou o módulo {turn}."),
        ));
        let file = stack.log_directory().join(format!("turn-{turn:02}.json"));
        fs::write(&file, event.to_string())
            .with_context(|| format!("cannot write {}", file.display()))?;
        shell.invoke_quietly(CAPTURE, &file).await?;
    }
    Ok(())
}

fn message(direction: &str, role: &str, text: &str) -> Value {
    json!({"direction": direction, "role": role, "parts": [{"type": "text", "content": text}]})
}

fn say(title: &str, sentence: &str) {
    println!("\n== {title}: {sentence}");
}
