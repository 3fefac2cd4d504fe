//! Which crate may use which, who speaks to AWS, and what every crate has in common.

use cargo_metadata::MetadataCommand;

use crate::checkout;
use crate::{Violation, demand_none};

/// Each crate and those of ours it may use. ARCHITECTURE.md explains the directions.
const MAY_USE: &[(&str, &[&str])] = &[
    ("conversation", &[]),
    ("crc-fast", &[]),
    ("secrets", &[]),
    ("aurora", &[]),
    ("startup", &[]),
    ("archive", &["conversation"]),
    ("store", &["conversation"]),
    ("aurora-session", &["secrets", "aurora"]),
    (
        "capture",
        &[
            "conversation",
            "archive",
            "store",
            "aurora-session",
            "startup",
        ],
    ),
    ("rotation", &["secrets", "aurora", "store", "startup"]),
    (
        "cli",
        &[
            "conversation",
            "archive",
            "store",
            "secrets",
            "aurora",
            "aurora-session",
            "startup",
            "capture",
            "rotation",
        ],
    ),
    ("local", &["secrets", "aurora"]),
    ("load", &["local", "secrets", "aurora", "aurora-session"]),
    ("benches", &["local", "load", "conversation"]),
    ("fuzz", &["conversation", "capture"]),
    (
        "e2e",
        &[
            "local",
            "load",
            "conversation",
            "store",
            "secrets",
            "aurora",
            "aurora-session",
        ],
    ),
];

/// Who may use a client of AWS: one crate for each service, so that no SDK type has to cross a crate border, and what
/// stands in for AWS in tests.
const SPEAKS_TO_AWS: &[(&str, &[&str])] = &[
    ("aws-sdk-s3", &["archive", "local", "benches", "e2e"]),
    ("aws-sdk-secretsmanager", &["secrets", "local", "e2e"]),
    ("aws-sdk-rds", &["rotation"]),
    ("aws-sdk-lambda", &["cli", "local", "e2e"]),
    ("aws-sdk-cloudwatchlogs", &["cli", "local", "e2e"]),
];

/// Crates that only compute, and what would let them do more.
const PURE: [&str; 1] = ["conversation"];
const IMPURE: [&str; 8] = [
    "aws-",
    "axum",
    "fastrand",
    "hyper",
    "lambda_runtime",
    "tokio",
    "tracing",
    "uuid",
];

/// A feature for other people's programs, its crate, and who may turn it on: the tests. The release build names its packages
/// without them, so that no deployed binary contains it.
const FEATURE_OF_OTHERS: (&str, &str, &[&str]) = ("deadpool", "aurora-session", &["e2e"]);

/// Where each dependency has its line: licence, reason, alternative.
const RECORD: &str = "docs/adr/0007-dependencies.md";

/// The longest a `main.rs` may be: it reads the environment, builds the parts and hands over to the library.
const MAIN_LINES: usize = 40;

/// What the rules need to know of a crate.
struct Member {
    name: String,
    /// Path of its manifest from the root of the checkout.
    manifest: String,
    text: String,
    dependencies: Vec<String>,
}

impl Member {
    /// The line of the manifest that names a dependency.
    fn line_of(&self, dependency: &str) -> usize {
        let names_it = |line: &str| {
            line.strip_prefix(dependency)
                .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        };
        self.text
            .lines()
            .position(names_it)
            .map_or(1, |index| index + 1)
    }

    fn violation(&self, dependency: &str, rule: String) -> Violation {
        Violation::new(&self.manifest, self.line_of(dependency), rule)
    }
}

fn members() -> Vec<Member> {
    let root = checkout::root();
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .other_options(["--locked".to_owned(), "--offline".to_owned()])
        .exec()
        .unwrap();
    let members: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let manifest = package
                .manifest_path
                .strip_prefix(&metadata.workspace_root)
                .unwrap()
                .to_string();
            Member {
                name: package.name.to_string(),
                text: checkout::read(&manifest),
                manifest,
                dependencies: package
                    .dependencies
                    .iter()
                    .map(|dependency| dependency.name.clone())
                    .collect(),
            }
        })
        .collect();
    assert!(
        members.len() >= MAY_USE.len(),
        "a crate of the table is gone from the workspace"
    );
    members
}

/// Every dependency counts, whether for the product, for its tests or for its build.
fn wrong_directions(members: &[Member]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in members {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == member.name) else {
            let rule = "this crate is not in the table `MAY_USE` of tests/tidy/crates.rs";
            violations.push(Violation::new(&member.manifest, 1, rule));
            continue;
        };
        let ours = member
            .dependencies
            .iter()
            .filter(|name| members.iter().any(|other| other.name == **name));
        for dependency in ours.filter(|name| !allowed.contains(&name.as_str())) {
            violations.push(member.violation(
                dependency,
                format!("`{}` may not use `{dependency}`", member.name),
            ));
        }
    }
    violations
}

fn foreign_clients(members: &[Member]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in members {
        for dependency in member
            .dependencies
            .iter()
            .filter(|name| name.starts_with("aws-sdk-"))
        {
            let owners = SPEAKS_TO_AWS
                .iter()
                .find(|(client, _)| client == dependency)
                .map(|(_, owners)| *owners);
            if !owners.unwrap_or_default().contains(&member.name.as_str()) {
                let rule = format!(
                    "`{}` may not use `{dependency}`; allowed: {owners:?}",
                    member.name
                );
                violations.push(member.violation(dependency, rule));
            }
        }
    }
    violations
}

fn impure(members: &[Member]) -> Vec<Violation> {
    let pure = members
        .iter()
        .filter(|member| PURE.contains(&member.name.as_str()));
    pure.flat_map(|member| {
        let wrong = member
            .dependencies
            .iter()
            .filter(|name| IMPURE.iter().any(|prefix| name.starts_with(prefix)));
        wrong.map(|name| {
            member.violation(
                name,
                format!(
                    "`{}` only computes; it has no use for `{name}`",
                    member.name
                ),
            )
        })
    })
    .collect()
}

fn unlike_the_others(members: &[Member]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in members {
        if !member.text.contains("[lints]\nworkspace = true") {
            violations.push(Violation::new(
                &member.manifest,
                1,
                "inherit the lints: `[lints]`, `workspace = true`",
            ));
        }
        // Versions belong to the one table of the workspace.
        for (index, line) in member.text.lines().enumerate() {
            let pinned = line.split_once('=').is_some_and(|(_, value)| {
                let value = value.trim();
                value.contains("version = \"")
                    || value.contains("path = \"") && value.starts_with('{')
            });
            if pinned {
                let rule = "name the dependency in the workspace's table and inherit it";
                violations.push(Violation::new(&member.manifest, index + 1, rule));
            }
        }
    }
    violations
}

/// Crates that turn a feature on which no deployed binary may have.
fn features_of_others(members: &[Member]) -> Vec<Violation> {
    let (feature, of, allowed) = FEATURE_OF_OTHERS;
    let mut violations = Vec::new();
    for member in members {
        let lines = member.text.lines().enumerate();
        let turns_on = lines.filter(|(_, line)| {
            let is_default = line.starts_with("default = ") && member.name == of;
            let is_named = line.starts_with(of) && line.contains("features");
            (is_default || is_named) && line.contains(&format!("\"{feature}\""))
        });
        if !allowed.contains(&member.name.as_str()) {
            violations.extend(turns_on.map(|(index, _)| {
                let rule = format!("only tests have the feature `{feature}` of `{of}`");
                Violation::new(&member.manifest, index + 1, rule)
            }));
        }
    }
    violations
}

/// Dependencies of the workspace's table that the record of dependencies does not explain.
fn unexplained_dependencies(manifest: &str, record: &str) -> Vec<Violation> {
    let table = manifest
        .lines()
        .enumerate()
        .skip_while(|(_, line)| *line != "[workspace.dependencies]")
        .skip(1);
    table
        .take_while(|(_, line)| !line.starts_with('['))
        .filter(|(_, line)| !line.starts_with('#') && !line.contains("path = "))
        .filter_map(|(index, line)| Some((index + 1, line.split_once(" = ")?.0)))
        .filter(|(_, name)| !record.contains(&format!("`{name}`")))
        .map(|(line, name)| {
            Violation::new("Cargo.toml", line, format!("say in {RECORD} why: `{name}`"))
        })
        .collect()
}

#[test]
fn every_dependency_has_its_reason_on_record() {
    demand_none(unexplained_dependencies(
        &checkout::read("Cargo.toml"),
        &checkout::read(RECORD),
    ));
}

#[test]
fn crates_use_only_what_lies_below_them() {
    demand_none(wrong_directions(&members()));
}

#[test]
fn each_aws_service_has_one_crate_that_speaks_to_it() {
    demand_none(foreign_clients(&members()));
}

#[test]
fn what_only_computes_can_do_nothing_else() {
    demand_none(impure(&members()));
}

#[test]
fn no_binary_has_a_feature_that_is_for_others() {
    demand_none(features_of_others(&members()));
}

#[test]
fn every_crate_inherits_lints_and_versions() {
    demand_none(unlike_the_others(&members()));
}

#[test]
fn a_main_only_puts_the_parts_together() {
    let long = checkout::text_files().into_iter().filter(|file| {
        file.path.starts_with("crates/")
            && file.path.ends_with("/src/main.rs")
            && file.text.lines().count() > MAIN_LINES
    });
    demand_none(long.map(|file| {
        Violation::new(
            &file.path,
            MAIN_LINES + 1,
            "move what is longer than 40 lines to `lib.rs`",
        )
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand_lines;

    fn member(name: &str, dependencies: &[&str]) -> Member {
        let lines: Vec<_> = dependencies
            .iter()
            .map(|dependency| format!("{dependency}.workspace = true"))
            .collect();
        Member {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            text: format!(
                "[dependencies]\n{}\n\n[lints]\nworkspace = true\n",
                lines.join("\n")
            ),
            dependencies: dependencies
                .iter()
                .map(|dependency| (*dependency).to_owned())
                .collect(),
        }
    }

    #[test]
    fn a_dependency_against_the_direction_is_found_at_its_line() {
        let members = [
            member("aurora", &["serde"]),
            member("aurora-session", &["aurora"]),
            member("store", &["time", "aurora"]),
        ];
        let found = wrong_directions(&members);
        assert_eq!(
            found,
            [Violation::new(
                "crates/store/Cargo.toml",
                3,
                "`store` may not use `aurora`"
            )]
        );
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_found() {
        demand_lines(&wrong_directions(&[member("utils", &[])]), &[1]);
    }

    #[test]
    fn a_second_speaker_to_aws_is_found() {
        let members = [
            member("archive", &["aws-sdk-s3"]),
            member("capture", &["serde", "aws-sdk-s3", "aws-sdk-sqs"]),
        ];
        demand_lines(&foreign_clients(&members), &[3, 4]);
    }

    #[test]
    fn a_clock_or_a_network_in_a_pure_crate_is_found() {
        let members = [
            member("conversation", &["time", "tokio-util", "aws-config"]),
            member("archive", &["tokio"]),
        ];
        demand_lines(&impure(&members), &[3, 4]);
    }

    #[test]
    fn a_feature_of_others_is_found() {
        let with = |name: &str, line: &str| Member {
            text: format!("[features]\n{line}\n"),
            ..member(name, &[])
        };
        let on = "aurora-session = { workspace = true, features = [\"deadpool\"] }";
        let members = [
            with("capture", on),
            with("e2e", on),
            with("cli", "aurora-session.workspace = true"),
            with("aurora-session", "default = [\"deadpool\"]"),
        ];
        demand_lines(&features_of_others(&members), &[2, 2]);
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let manifest = "[workspace.dependencies]\nlocal = { path = \"x\" }\n# Why.\nserde = \"1\"\nrand = \"1\"\n\n[profile.dev]\ndebug = 1\n";
        demand_lines(&unexplained_dependencies(manifest, "| `serde` | M |"), &[5]);
    }

    #[test]
    fn a_version_of_ones_own_and_missing_lints_are_found() {
        let mut odd = member("odd", &[]);
        odd.text = "[dependencies]\nserde = { version = \"1\" }\nlocal = { path = \"../local\" }\ntime.workspace = true\n".to_owned();
        demand_lines(&unlike_the_others(&[odd]), &[1, 2, 3]);
    }
}
