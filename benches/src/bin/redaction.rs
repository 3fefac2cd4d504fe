//! How many megabytes of events redaction takes in a second: `make bench-redaction`.
//!
//! `redaction [MEGABYTES]` redacts events of a megabyte each, adapted beforehand, until that many have been looked at in
//! every case, and prints the rate of each. It fails if one is below [`LIMIT`].

use std::env;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use conversation::{Capture, Delivery, Document, IdentityKey, Policies, Redactor, adapt, sanitize};

/// Megabytes in a second below which redaction would be felt.
const LIMIT: f64 = 50.0;
const MEGABYTE: usize = 1_000_000;

/// A name, `REDACTION`, and what the event says, over and over.
type Case = (&'static str, &'static str, &'static str);

const OWN: &str = r#"{"mode":"mask","patterns":[{"name":"employee","regex":"\\bE-[0-9]{6}\\b"},{"name":"project","regex":"(?i)project [a-z]{3,20}"}]}"#;

const CASES: [Case; 8] = [
    (
        "prose",
        "mask",
        "Why does a NAT gateway cost more than an endpoint? Because it also bills by the gigabyte. ",
    ),
    (
        "prose in two languages",
        "mask",
        "Porque também cobra por gigabyte, e não só por hora. Warum kostet das so viel? Möglich. ",
    ),
    (
        "code",
        "mask",
        "    let total = items.iter().map(|item| item.price * 1_000 + 0x1f).sum::<u64>(); // 2026-11-23\n",
    ),
    (
        "JSON in a string",
        "mask",
        r#"{\"id\":\"f47ac10b-58cc-4372-a567-0e02b2c3d479\",\"n\":1795428000123,\"s\":\"é\\nx\"},"#,
    ),
    (
        "numbers",
        "mask",
        "10.0.0.1 1795428000123 2026-11-23T10:00:00.123Z 4006381333931 0.12345 (42) +1 -7 ",
    ),
    (
        "an address in every line",
        "mask",
        "From: Ana Beispiel <ana.beispiel@example.com>, on Monday, about the invoice of May.\n",
    ),
    (
        "an address in every line, hashed",
        "hash",
        "From: Ana Beispiel <ana.beispiel@example.com>, on Monday, about the invoice of May.\n",
    ),
    (
        "prose, two own patterns",
        OWN,
        "Why does a NAT gateway cost more than an endpoint? Because it also bills by the gigabyte. ",
    ),
];

fn main() -> anyhow::Result<()> {
    let megabytes = match env::args().nth(1) {
        Some(megabytes) => megabytes.parse().context("usage: redaction [MEGABYTES]")?,
        None => 100_usize,
    };
    let mut output = io::stdout().lock();
    let mut slowest = f64::INFINITY;
    for (name, policies, words) in CASES {
        let rate = rate(policies, words, megabytes)?;
        slowest = slowest.min(rate);
        writeln!(output, "{name:<34} {rate:>8.0} MB/s")?;
    }
    ensure!(slowest >= LIMIT, "the slowest is below {LIMIT} MB/s");
    Ok(())
}

/// Megabytes in a second, by the clock.
fn rate(policies: &str, words: &str, megabytes: usize) -> anyhow::Result<f64> {
    let policies =
        Policies::parse(policies).map_err(|problems| anyhow::anyhow!(problems.join("\n")))?;
    let key = IdentityKey::new(&[7; IdentityKey::MIN_BYTES]).context("a key")?;
    let redactor = Redactor::new(policies.context("redaction is on")?, key);
    let capture = capture(words)?;
    black_box(redactor.capture(capture.clone()));
    let copies: Vec<_> = (0..megabytes).map(|_| capture.clone()).collect();
    let started = Instant::now();
    for capture in copies {
        black_box(redactor.capture(capture));
    }
    let seconds = started.elapsed().as_secs_f64();
    let megabytes = u32::try_from(megabytes).context("a number of megabytes")?;
    Ok(f64::from(megabytes) / seconds)
}

/// A megabyte of these words, in ten messages.
fn capture(words: &str) -> anyhow::Result<Capture> {
    let text = words.repeat(MEGABYTE / 10 / words.len());
    let message = serde_json::json!({"role": "user", "parts": [{"type": "text", "content": text}]});
    let event = serde_json::json!({"schema": "llm.capture/1", "conversation_id": "c", "messages": vec![message; 10]});
    let event = event.to_string();
    let clean = sanitize::clean(event.as_bytes());
    let delivery = Delivery::direct(Some("request-1"));
    let captures = adapt::captures(Document::read(&clean)?, &delivery)?;
    captures.into_iter().next().context("one event")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_what_its_name_says() {
        for (name, policies, words) in CASES {
            let capture = capture(words).unwrap();
            let bytes: usize = capture
                .messages
                .iter()
                .map(|message| message.content().0.len())
                .sum();
            assert!(
                (MEGABYTE * 98 / 100..=MEGABYTE).contains(&bytes),
                "{name}: {bytes}"
            );
            assert!(rate(policies, words, 1).unwrap() > 0.0, "{name}");
        }
    }
}
