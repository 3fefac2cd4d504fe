//! The files of situations: each with what was observed of the reference, and what is different here.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value};

/// One file: its head, and the situations in groups that share a stack.
pub struct File {
    pub name: &'static str,
    /// Where the observations are from.
    pub head: Value,
    /// Each with its name, in order.
    pub groups: Vec<(String, Vec<Situation>)>,
}

/// What is played with both functions.
#[derive(Clone)]
pub struct Situation {
    pub name: String,
    /// What there is before the first step.
    pub given: Value,
    /// Steps of the function, and what others do between them.
    pub steps: Vec<Value>,
    /// What the reference did, for each of its steps.
    pub reference: Vec<Value>,
    /// For the same steps, what of it is different here.
    pub here: Vec<Value>,
    /// Code of a warning that `secret-rotation` logs.
    pub warns: Option<String>,
    /// Rows of the difference tables in `docs/rotation.md`.
    pub because: Vec<String>,
}

impl File {
    /// Reads `drop_in/NAME.json`.
    pub fn read(name: &'static str) -> Self {
        let text = std::fs::read_to_string(path(name)).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let groups = document["groups"].as_array().unwrap().iter().map(|group| {
            let situations = group["situations"].as_array().unwrap().iter();
            (
                text_of(&group["group"]),
                situations.map(Situation::read).collect(),
            )
        });
        Self {
            name,
            head: document["reference"].clone(),
            groups: groups.collect(),
        }
    }

    /// The file as [`File::write`] leaves it.
    pub fn text(&self) -> String {
        let mut text = format!("{{\n\"reference\": {},\n\"groups\": [\n", self.head);
        for (number, (group, situations)) in self.groups.iter().enumerate() {
            let separator = if number == 0 { "" } else { ",\n" };
            let written: Vec<String> = situations.iter().map(Situation::text).collect();
            write!(
                text,
                "{separator}{{\"group\": {}, \"situations\": [\n{}\n]}}",
                Value::from(group.as_str()),
                written.join(",\n")
            )
            .unwrap();
        }
        text.push_str("\n]\n}\n");
        text
    }

    /// Writes it, each thought on a line of its own.
    pub fn write(&self) {
        std::fs::write(path(self.name), self.text()).unwrap();
    }

    /// All situations.
    pub fn situations(&self) -> impl Iterator<Item = &Situation> {
        self.groups.iter().flat_map(|(_, situations)| situations)
    }
}

impl Situation {
    fn read(document: &Value) -> Self {
        let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        Self {
            name: text_of(&document["name"]),
            given: document["given"].clone(),
            steps: list("steps"),
            reference: list("reference"),
            here: list("here"),
            warns: document["warns"].as_str().map(str::to_owned),
            because: list("because").iter().map(text_of).collect(),
        }
    }

    fn text(&self) -> String {
        let lines = |values: &[Value]| {
            let lines: Vec<String> = values.iter().map(|value| format!("    {value}")).collect();
            format!("[\n{}\n  ]", lines.join(",\n"))
        };
        let mut members = vec![format!("\"name\": {}", Value::from(self.name.as_str()))];
        if self.given.is_object() {
            members.push(format!("\"given\": {}", self.given));
        }
        members.push(format!("\"steps\": {}", Value::from(self.steps.clone())));
        members.push(format!("\"reference\": {}", lines(&self.reference)));
        if !self.here.is_empty() {
            members.push(format!("\"here\": {}", lines(&self.here)));
        }
        if let Some(code) = &self.warns {
            members.push(format!("\"warns\": {}", Value::from(code.as_str())));
        }
        if !self.because.is_empty() {
            members.push(format!(
                "\"because\": {}",
                Value::from(self.because.clone())
            ));
        }
        format!("{{\n  {}\n}}", members.join(",\n  "))
    }

    /// What is expected here of a step: what the reference did, but for the listed differences.
    pub fn expected(&self, step: usize) -> Map<String, Value> {
        let mut expected = observed(&self.reference[step]);
        if let Some(Value::Object(different)) = self.here.get(step) {
            expected.extend(different.clone());
        }
        expected.retain(|_, value| !value.is_null());
        expected
    }
}

/// What is compared of an observation: of the calls only those that are no reads.
pub fn observed(observation: &Value) -> Map<String, Value> {
    let mut observed = observation.as_object().unwrap().clone();
    let calls = observed.remove("calls").unwrap_or_default();
    let writes: Vec<Value> = calls
        .as_array()
        .into_iter()
        .flatten()
        .filter(|call| is_write(call))
        .cloned()
        .collect();
    if !writes.is_empty() {
        observed.insert("writes".to_owned(), writes.into());
    }
    observed
}

/// Whether a call is one of those that change something, or make a password up.
pub fn is_write(call: &Value) -> bool {
    let reads = [
        "DescribeSecret",
        "GetSecretValue",
        "ListSecretVersionIds",
        "RDS ",
    ];
    let call = call.as_str().unwrap();
    !reads.iter().any(|read| call.starts_with(read))
}

/// Where a file is.
pub fn path(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/drop_in");
    PathBuf::from(folder).join(name).with_extension("json")
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
