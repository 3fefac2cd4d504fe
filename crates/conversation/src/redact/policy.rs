//! What an operator wants to be taken out, tenant by tenant.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::kind::{Kind, Mode};
use super::own::{Own, Pattern};
use super::scan::Kinds;

/// The policies of all tenants (`REDACTION`).
///
/// In short: `off`, or a mode (`mask`, `hash`, `drop`) for everything that is known. In full a JSON object:
///
/// ```json
/// {"mode": "mask",
///  "kinds": {"email": "hash", "phone": "off"},
///  "patterns": [{"name": "employee", "regex": "\\bE-[0-9]{6}\\b", "mode": "drop"}],
///  "tenants": {"acme": "drop", "labs": {"kinds": {"card": "off"}}}}
/// ```
///
/// What a tenant's policy does not say, the one of all others says; a tenant's `kinds` and `patterns` stand in the place of
/// theirs.
#[derive(Clone, Debug)]
pub struct Policies {
    default: Policy,
    tenants: BTreeMap<String, Policy>,
    /// All that any of them looks for: for text of which nobody knows whose it is.
    strictest: Policy,
}

/// The policy of a tenant.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// Another one for every other policy.
    pub(super) id: String,
    settings: Settings,
    pub(super) kinds: Kinds,
    /// `None` without patterns.
    pub(super) own: Option<Own>,
}

/// A policy as it is configured. `None` is `off`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    mode: Option<Mode>,
    kinds: BTreeMap<Kind, Option<Mode>>,
    patterns: Vec<Pattern>,
}

const MODES: &str = "`off`, `mask`, `hash` or `drop`";
/// Every pattern costs in every text.
const PATTERNS_MAX: usize = 32;

impl Policies {
    /// Reads a value of `REDACTION`; `None` for `off`.
    ///
    /// # Errors
    /// Every problem, in a sentence that names the field.
    pub fn parse(text: &str) -> Result<Option<Self>, Vec<String>> {
        if text == "off" {
            return Ok(None);
        }
        let mut problems = Problems(Vec::new());
        let value = if Mode::ALL.iter().any(|mode| mode.as_str() == text) {
            Value::from(text)
        } else {
            let parsed = serde_json::from_str::<Value>(text).ok();
            let Some(object) = parsed.filter(Value::is_object) else {
                return Err(vec![format!(
                    "it is neither a word nor a JSON object; accepted: {MODES}, or an object with \
                     `mode`, `kinds`, `patterns` and `tenants`"
                )]);
            };
            object
        };
        let settings = problems.settings("", &value, &Settings::default());
        let of_tenants = match value.get("tenants") {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(tenants)) => tenants
                .iter()
                .map(|(tenant, value)| {
                    let path = format!("tenants.{tenant}");
                    let own = problems.settings(&path, value, &settings);
                    (tenant.clone(), own)
                })
                .collect(),
            Some(_) => {
                problems.note(
                    "tenants",
                    "is no object; accepted: a policy for each tenant",
                );
                BTreeMap::new()
            }
        };
        let strictest = Settings::strictest(&settings, of_tenants.values());
        let default = problems.compiled("", settings);
        let tenants = of_tenants
            .into_iter()
            .map(|(tenant, settings)| {
                let policy = problems.compiled(&format!("tenants.{tenant}"), settings);
                (tenant, policy)
            })
            .collect();
        let strictest = problems.compiled("tenants", strictest);
        let policies = Self {
            default,
            tenants,
            strictest,
        };
        if problems.0.is_empty() {
            Ok(Some(policies))
        } else {
            problems.0.dedup();
            Err(problems.0)
        }
    }

    pub(super) fn of(&self, tenant_id: &str) -> &Policy {
        self.tenants.get(tenant_id).unwrap_or(&self.default)
    }

    /// The policy for text of these tenants; of nobody knows whom, if there are none or several.
    pub(super) fn of_all<'a>(&self, mut tenants: impl Iterator<Item = &'a str>) -> &Policy {
        match (tenants.next(), tenants.next()) {
            (Some(tenant), None) => self.of(tenant),
            _ => &self.strictest,
        }
    }
}

impl Policy {
    pub(super) fn mode_of(&self, kind: Kind) -> Option<Mode> {
        self.settings.mode_of(kind)
    }

    /// Name and mode of one of its own patterns.
    pub(super) fn own(&self, number: usize) -> Option<(&str, Mode)> {
        let pattern = self.settings.patterns.get(number)?;
        let mode = pattern.mode.or(self.settings.mode).unwrap_or(Mode::Mask);
        Some((&pattern.name, mode))
    }
}

impl Settings {
    fn mode_of(&self, kind: Kind) -> Option<Mode> {
        self.kinds.get(&kind).copied().unwrap_or(self.mode)
    }

    fn strictest<'a>(default: &'a Self, tenants: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let mut all = std::iter::once(default).chain(tenants);
        let mode = all.clone().find_map(|settings| settings.mode);
        let kind = |kind| {
            let mode = all.clone().find_map(|settings| settings.mode_of(kind));
            (kind, mode)
        };
        let kinds = Kind::ALL.map(kind).into_iter().collect();
        let mut patterns: Vec<Pattern> = Vec::new();
        for settings in all.by_ref() {
            let active = settings.patterns.iter().filter_map(|pattern| {
                let mode = Some(pattern.mode.or(settings.mode)?);
                let name = pattern.name.clone();
                let regex = pattern.regex.clone();
                Some(Pattern { name, regex, mode })
            });
            for pattern in active {
                if !patterns.iter().any(|known| known.regex == pattern.regex) {
                    patterns.push(pattern);
                }
            }
        }
        Self {
            mode,
            kinds,
            patterns,
        }
    }

    /// Says the same for the same policy, and something else for any other.
    fn id(&self) -> String {
        let word = |mode: Option<Mode>| mode.map_or("off", Mode::as_str);
        let mut told = String::new();
        for kind in Kind::ALL {
            let _ = writeln!(told, "{} {}", kind.as_str(), word(self.mode_of(kind)));
        }
        for pattern in &self.patterns {
            let mode = pattern.mode.or(self.mode);
            let _ = writeln!(told, "{} {} {}", pattern.name, word(mode), pattern.regex);
        }
        let hash = hex::encode(Sha256::digest(told));
        format!("{}-{}", word(self.mode), hash.get(..8).unwrap_or_default())
    }
}

/// What is wrong with a configuration, field by field.
struct Problems(Vec<String>);

impl Problems {
    fn note(&mut self, path: &str, sentence: impl std::fmt::Display) {
        self.0.push(format!("`{path}` {sentence}"));
    }

    /// A policy; what it does not say, `others` say.
    fn settings(&mut self, path: &str, value: &Value, others: &Settings) -> Settings {
        let field = |name: &str| [path, name].join(if path.is_empty() { "" } else { "." });
        if value.is_string() {
            let mode = self.mode(path, value);
            let patterns = mode.map(|_| others.patterns.clone());
            return Settings {
                mode,
                kinds: BTreeMap::new(),
                patterns: patterns.unwrap_or_default(),
            };
        }
        let Value::Object(fields) = value else {
            self.note(
                path,
                format!("is no policy; accepted: {MODES}, or an object"),
            );
            return Settings::default();
        };
        let known = ["mode", "kinds", "patterns"];
        for name in fields.keys().map(String::as_str) {
            let is_known = known.contains(&name) || name == "tenants" && path.is_empty();
            if !is_known {
                let tenants = if path.is_empty() { ", `tenants`" } else { "" };
                self.note(
                    &field(name),
                    format!("is not known; accepted: `mode`, `kinds`, `patterns`{tenants}"),
                );
            }
        }
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let mode = match given("mode") {
            Some(value) => self.mode(&field("mode"), value),
            None => others.mode,
        };
        let kinds = match given("kinds") {
            Some(value) => self.kinds(&field("kinds"), value),
            None => others.kinds.clone(),
        };
        let patterns = match given("patterns") {
            Some(value) => self.patterns(&field("patterns"), value),
            None => others.patterns.clone(),
        };
        if path.is_empty() && given("mode").is_none() {
            self.note("mode", format!("is missing; accepted: {MODES}"));
        }
        Settings {
            mode,
            kinds,
            patterns,
        }
    }

    fn mode(&mut self, path: &str, value: &Value) -> Option<Mode> {
        let word = value.as_str().unwrap_or_default();
        let mode = Mode::ALL.into_iter().find(|mode| mode.as_str() == word);
        if mode.is_none() && word != "off" {
            self.note(path, format!("is not accepted: {value}; accepted: {MODES}"));
        }
        mode
    }

    fn kinds(&mut self, path: &str, value: &Value) -> BTreeMap<Kind, Option<Mode>> {
        let known = Kind::ALL
            .map(|kind| format!("`{}`", kind.as_str()))
            .join(", ");
        let Value::Object(fields) = value else {
            self.note(
                path,
                format!("is no object; accepted: a mode for any of {known}"),
            );
            return BTreeMap::new();
        };
        let mut kinds = BTreeMap::new();
        for (name, value) in fields {
            match Kind::ALL.into_iter().find(|kind| kind.as_str() == name) {
                Some(kind) => {
                    let mode = self.mode(&format!("{path}.{name}"), value);
                    kinds.insert(kind, mode);
                }
                None => self.note(
                    &format!("{path}.{name}"),
                    format!("is not known; accepted: {known}"),
                ),
            }
        }
        kinds
    }

    fn patterns(&mut self, path: &str, value: &Value) -> Vec<Pattern> {
        let Some(items) = value.as_array().filter(|items| items.len() <= PATTERNS_MAX) else {
            self.note(
                path,
                format!("is no list of at most {PATTERNS_MAX}; accepted: objects with `name` and `regex`"),
            );
            return Vec::new();
        };
        let mut patterns: Vec<Pattern> = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let path = format!("{path}[{number}]");
            let text = |field: &str| item.get(field).and_then(Value::as_str).unwrap_or_default();
            let (name, regex) = (text("name"), text("regex"));
            if let Some(problem) = Pattern::name_problem(name) {
                self.note(&format!("{path}.name"), problem);
            }
            if patterns.iter().any(|known| known.name == name) {
                self.note(&format!("{path}.name"), "is taken; accepted: another name");
            }
            if let Some(problem) = Pattern::regex_problem(regex) {
                self.note(&format!("{path}.regex"), problem);
            }
            let given = item.get("mode").filter(|value| !value.is_null());
            let mode = given.and_then(|value| {
                let mode = self.mode(&format!("{path}.mode"), value);
                if value.as_str() == Some("off") {
                    self.note(
                        &format!("{path}.mode"),
                        "is `off`; accepted: to leave the pattern out",
                    );
                }
                mode
            });
            let keys = item.as_object().into_iter().flat_map(|item| item.keys());
            for key in keys.filter(|key| !["name", "regex", "mode"].contains(&key.as_str())) {
                self.note(
                    &format!("{path}.{key}"),
                    "is not known; accepted: `name`, `regex`, `mode`",
                );
            }
            patterns.push(Pattern {
                name: name.to_owned(),
                regex: regex.to_owned(),
                mode,
            });
        }
        patterns
    }

    /// A policy that can be applied. Patterns of a policy that is off are off, unless they say otherwise.
    fn compiled(&mut self, path: &str, mut settings: Settings) -> Policy {
        let mode = settings.mode;
        settings
            .patterns
            .retain(|pattern| pattern.mode.or(mode).is_some());
        let kinds = Kind::ALL
            .into_iter()
            .filter(|kind| settings.mode_of(*kind).is_some())
            .fold(Kinds::default(), Kinds::with);
        let own = if settings.patterns.is_empty() || !self.0.is_empty() {
            None
        } else {
            let own = Own::compile(&settings.patterns);
            if own.is_none() {
                let path = [path, "patterns"].join(if path.is_empty() { "" } else { "." });
                self.note(
                    &path,
                    "are too large together; accepted: fewer, or shorter ones",
                );
            }
            own
        };
        Policy {
            id: settings.id(),
            settings,
            kinds,
            own,
        }
    }
}

#[cfg(test)]
mod tests;
