//! Where decisions are made, nothing is done; and no binary has a part that only tests use.

use crate::checkout::{self, TextFile};
use crate::source::Source;
use crate::{Violation, demand_none};

/// Modules of decisions: a file and what lies below it, or the sources of a whole crate.
const DECISIONS: [&str; 4] = [
    "crates/conversation/src",
    "crates/rotation/src/decide",
    "crates/rotation/src/recover/search",
    "crates/aurora-session/src/fallback",
];

/// What a function from values to values has no use for. The wall clock and the environment clippy forbids everywhere.
const EFFECTS: [&str; 8] = [
    "async ",
    ".await",
    "tokio",
    "tracing::",
    "fastrand",
    "Instant::now",
    "std::fs",
    "std::net",
];

/// Crates that are never deployed.
const NOT_DEPLOYED: [&str; 1] = ["local"];

fn effects(source: &Source) -> Vec<Violation> {
    if !DECISIONS.iter().any(|module| is_part_of(source, module)) {
        return Vec::new();
    }
    source
        .lines()
        .filter_map(|(line, code)| {
            let effect = EFFECTS.iter().find(|effect| has(code, effect))?;
            let rule = format!("a decision takes what it needs as an argument, no `{effect}`");
            Some(Violation::new(&source.path, line, rule))
        })
        .collect()
}

/// Whether a line has an effect, and not only a longer word that begins like it.
fn has(code: &str, effect: &str) -> bool {
    let is_letter = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(effect).any(|(at, _)| {
        let goes_on = code[at + effect.len()..].starts_with(is_letter);
        !(goes_on && effect.ends_with(is_letter))
    })
}

fn is_part_of(source: &Source, module: &str) -> bool {
    let rest = source.path.strip_prefix(module);
    rest.is_some_and(|rest| rest.starts_with(['/', '.']))
}

/// The one feature of ours, by what has to do with it. It is for other people's programs, and `tests/tidy/crates.rs` sees to it
/// that no binary has it.
const FEATURE_OF_OTHERS: [&str; 2] = [
    "crates/aurora-session/Cargo.toml",
    "crates/aurora-session/src/lib.rs",
];

/// A feature, or code behind one, would make what is tested another binary than what is deployed.
fn switches_in_code(source: &Source) -> Vec<Violation> {
    if source
        .crate_name()
        .is_none_or(|name| NOT_DEPLOYED.contains(&name))
        || FEATURE_OF_OTHERS.contains(&source.path.as_str())
    {
        return Vec::new();
    }
    let switch = |code: &str| {
        let conditional = code.contains("cfg(") || code.contains("cfg!(");
        conditional && (code.contains("feature") || code.contains("debug_assertions"))
    };
    source
        .lines()
        .filter(|(line, code)| !source.is_test(*line) && switch(code))
        .map(|(line, _)| {
            let rule = "faults come from outside the binary, not by a switch in it (docs/adr/0006)";
            Violation::new(&source.path, line, rule)
        })
        .collect()
}

fn features(manifest: &TextFile) -> Vec<Violation> {
    manifest
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim() == "[features]")
        .filter(|_| !FEATURE_OF_OTHERS.contains(&manifest.path.as_str()))
        .map(|(index, _)| {
            let rule = "a crate of ours has no features: the binary that is tested is the one that is deployed";
            Violation::new(&manifest.path, index + 1, rule)
        })
        .collect()
}

#[test]
fn decisions_have_no_effects() {
    let sources = checkout::rust_files();
    for module in DECISIONS {
        assert!(
            sources.iter().any(|source| is_part_of(source, module)),
            "gone, take it out of `DECISIONS`: {module}"
        );
    }
    demand_none(sources.iter().flat_map(effects));
}

#[test]
fn no_binary_has_a_switch_for_tests() {
    demand_none(checkout::rust_files().iter().flat_map(switches_in_code));
    let manifests = checkout::text_files()
        .into_iter()
        .filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml"));
    demand_none(manifests.flat_map(|manifest| features(&manifest)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand_lines;

    #[test]
    fn an_effect_in_a_decision_is_found() {
        let text = "fn decide(now: Instant) {}\nasync fn ask() {}\nlet now = Instant::now();\n// tokio in a comment\nknown.awaited(x);\nask().await";
        let decision = |path: &str| effects(&Source::scan(path, text));
        demand_lines(&decision("crates/rotation/src/decide.rs"), &[2, 3, 6]);
        demand_lines(&decision("crates/rotation/src/decide/known.rs"), &[2, 3, 6]);
        demand_lines(&decision("crates/conversation/src/instant.rs"), &[2, 3, 6]);
        demand_lines(&decision("crates/rotation/src/decided.rs"), &[]);
        demand_lines(&decision("crates/rotation/src/step.rs"), &[]);
    }

    #[test]
    fn a_switch_for_tests_is_found() {
        let text = "#[cfg(unix)]\n#[cfg(feature = \"faults\")]\nif cfg!(debug_assertions) {}\n#[cfg(test)]\nmod tests {\n#[cfg(feature = \"x\")]\n}";
        let product = |path: &str| switches_in_code(&Source::scan(path, text));
        demand_lines(&product("crates/capture/src/lib.rs"), &[2, 3]);
        demand_lines(&product("crates/local/src/lib.rs"), &[]);
        demand_lines(&product("crates/aurora-session/src/lib.rs"), &[]);
        demand_lines(&product("crates/aurora-session/src/pool.rs"), &[2, 3]);
        let manifest = TextFile {
            path: "crates/capture/Cargo.toml".to_owned(),
            text: "[package]\n[features]\nfaults = []\n".to_owned(),
        };
        demand_lines(&features(&manifest), &[2]);
    }
}
