//! The claim that `secret-rotation` can take the place of AWS's functions, held against what these do.
//!
//! `drop_in/*.json` have situations, and for each step what AWS's function answered, called and changed when it was played
//! there ([`record`] plays it again). The same is played with the release binary: what is different has to be listed in the
//! file, with the row of `docs/rotation.md` that gives the reason, and what is listed has to be different.
//!
//! Compared are answers, labels, stored values, roles, and every call with its parameters that is no read. Reads are kept
//! in the files, but which of them a step makes is its own business.

mod file;
mod names;
mod observe;
mod scene;
mod wire;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use local::Checkout;
use serde_json::{Map, Value, json};

use file::{File, Situation, observed};
use scene::{Player, Scene};

/// The files, each with the folder of the reference that it is about.
const FILES: [(&str, &str); 2] = [
    (SINGLE, "SecretsManagerRDSPostgreSQLRotationSingleUser"),
    (TWO, "SecretsManagerRDSPostgreSQLRotationMultiUser"),
];
const SINGLE: &str = "single_user";
const TWO: &str = "two_users";

/// What is compared.
const ASPECTS: [&str; 5] = ["answer", "labels", "roles", "stored", "writes"];

/// Every group has a test, so that they are played side by side.
macro_rules! groups {
    ($($test:ident: $file:expr, $group:expr;)+) => {
        const PLAYED: &[(&str, &str)] = &[$(($file, $group)),+];
        $(
            #[tokio::test]
            async fn $test() {
                agrees($file, $group).await;
            }
        )+
    };
}

groups! {
    single_user_before_a_step: SINGLE, "before a step";
    single_user_steps: SINGLE, "steps";
    single_user_documents: SINGLE, "documents";
    single_user_environment: SINGLE, "environment";
    single_user_logins: SINGLE, "logins";
    single_user_tls: SINGLE, "tls";
    two_users_steps: TWO, "steps";
    two_users_documents: TWO, "documents";
    two_users_master: TWO, "master";
    two_users_roles: TWO, "roles";
}

/// Plays a group with `secret-rotation`.
async fn agrees(file: &'static str, group: &str) {
    let file_read = File::read(file);
    let (_, situations) = file_read
        .groups
        .iter()
        .find(|(name, _)| name == group)
        .unwrap();
    let mut scene = Scene::start(group, file == TWO, group == "tls", Player::Ours).await;
    let mut problems = Vec::new();
    let mut failures = false;
    let version = u64::from(scene.system.stack.server().version);
    // Some of the server's own words are newer than others.
    let is_known = |one: &&Situation| {
        one.given["server"]
            .as_u64()
            .is_none_or(|least| least <= version)
    };
    for situation in situations.iter().filter(is_known) {
        let observed = scene.play(situation).await;
        if let Some(code) = &situation.warns {
            scene.system.announce(code);
        }
        failures |= observed.iter().any(|step| step["answer"] != "ok");
        problems.extend(compare(situation, &observed));
    }
    if failures {
        // Each of them is an answer that was compared.
        scene.system.announce(r#""outcome":"failed""#);
    }
    assert!(
        problems.is_empty(),
        "{file}, {group}:\n{}",
        problems.join("\n")
    );
}

/// What is different and not listed, or listed and not different.
fn compare(situation: &Situation, played: &[Value]) -> Vec<String> {
    let name = &situation.name;
    let mut problems = Vec::new();
    if played.len() != situation.reference.len() {
        problems.push(format!("{name}: not recorded"));
        return problems;
    }
    for (number, step) in played.iter().enumerate() {
        let (here, reference) = (observed(step), observed(&situation.reference[number]));
        let listed = situation.here.get(number).and_then(Value::as_object);
        for key in listed.into_iter().flat_map(Map::keys) {
            let missing = Value::Null;
            if listed.unwrap()[key] == *reference.get(key).unwrap_or(&missing) {
                problems.push(format!(
                    "{name}, step {number}: `{key}` is listed as different and is not"
                ));
            }
        }
        let expected = situation.expected(number);
        if expected != here {
            let differs = |key: &&str| expected.get(*key) != here.get(*key);
            let different: Map<String, Value> = ASPECTS
                .into_iter()
                .filter(differs)
                .map(|key| (key.to_owned(), here.get(key).cloned().unwrap_or_default()))
                .collect();
            problems.push(format!(
                "{name}, step {number}: different and not listed: {}",
                Value::from(different)
            ));
        }
    }
    problems
}

/// The first cells of the tables in `docs/rotation.md` that say what is different.
fn rows() -> BTreeSet<String> {
    let page = page();
    let section = |from: &str, to: &str| {
        let (_, behind) = page.split_once(from).unwrap();
        behind.split_once(to).unwrap().0.to_owned()
    };
    let tables = [
        section("\n### What is different\n", "\n### How\n"),
        section("\nWhat is done otherwise than by AWS's function", "\n## "),
    ];
    let lines = tables.iter().flat_map(|table| table.lines());
    lines
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .map(|(cell, _)| cell.to_owned())
        .collect()
}

fn page() -> String {
    let root = Checkout::find().unwrap().root().to_owned();
    std::fs::read_to_string(root.join("docs/rotation.md")).unwrap()
}

#[test]
fn every_difference_has_a_row_of_the_page() {
    let rows = rows();
    for (name, _) in FILES {
        for situation in File::read(name).situations() {
            let Situation { name, because, .. } = situation;
            let differs = situation.here.iter().any(Value::is_object);
            assert_eq!(differs, !because.is_empty(), "{name}: {because:?}");
            let unknown = because.iter().find(|row| !rows.contains(*row));
            assert_eq!(unknown, None, "{name}");
        }
    }
}

#[test]
fn the_page_says_what_was_compared() {
    let files = FILES.map(|(name, _)| File::read(name));
    for file in &files {
        let written = std::fs::read_to_string(file::path(file.name)).unwrap();
        assert!(
            file.text() == written,
            "{}: only what differs is to change",
            file.name
        );
    }
    let groups: Vec<(&str, &str)> = files
        .iter()
        .flat_map(|file| {
            file.groups
                .iter()
                .map(|(group, _)| (file.name, group.as_str()))
        })
        .collect();
    assert_eq!(groups, PLAYED, "every group has a test");
    let count = |file: &File| file.situations().count();
    let differ = |file: &File| {
        file.situations()
            .filter(|one| !one.because.is_empty())
            .count()
    };
    let [single, two] = &files;
    let (all, different) = (count(single) + count(two), differ(single) + differ(two));
    let situations = || files.iter().flat_map(File::situations);
    let steps: usize = situations().map(|one| one.reference.len()).sum();
    let other = situations()
        .flat_map(|one| &one.here)
        .filter(|here| here.is_object());
    let same = steps - other.count();
    let sentences = format!(
        "{all} situations, {} with a single user and {} with two, were played with AWS's functions on {} (commit `{}`), and \
         are played with this function in each run of the tests. {same} of their {steps} steps answer and do the same; in {different} \
         situations something is different, and each difference has a row here.",
        count(single),
        count(two),
        single.head["recorded"].as_str().unwrap(),
        single.head["commit"].as_str().unwrap(),
    );
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words(&page()).contains(&words(&sentences)),
        "the page has to say: {sentences}"
    );
    assert_eq!(single.head, two.head);
}

/// Plays all situations with AWS's functions and writes the files anew; `drop_in/README.md` has what it needs.
#[tokio::test]
#[ignore = "needs a checkout of AWS's functions and a Python that can run them"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no `main` that could hand the variables and the clock on"
)]
async fn record() {
    let variable = |name: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} has to be set, see drop_in/README.md"))
    };
    let (checkout, python) = (variable("REFERENCE"), variable("REFERENCE_PYTHON"));
    let head = json!({
        "repository": "https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas",
        "commit": commit(&checkout),
        "recorded": time::OffsetDateTime::now_utc().date().to_string(),
    });
    for (name, folder) in FILES {
        let mut file = File::read(name);
        let home = tempfile::tempdir().unwrap();
        let program = program(home.path().join("bootstrap"), &python, &checkout, folder);
        file.head = head.clone();
        for (group, situations) in &mut file.groups {
            let player = Player::Reference(program.clone());
            let mut scene = Scene::start(group, name == TWO, group == "tls", player).await;
            for situation in situations {
                situation.reference = scene.play(situation).await;
            }
        }
        file.write();
    }
}

fn commit(checkout: &str) -> String {
    let git = std::process::Command::new("git");
    let output = { git }
        .args(["-C", checkout, "rev-parse", "--short=12", "HEAD"])
        .output();
    String::from_utf8(output.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

/// A function is one executable file.
fn program(path: PathBuf, python: &str, checkout: &str, folder: &str) -> PathBuf {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/e2e/drop_in/reference_function.py"
    );
    let function = format!("{checkout}/{folder}/lambda_function.py");
    let text = format!("#!/bin/sh\nexec '{python}' -I '{script}' '{function}'\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
