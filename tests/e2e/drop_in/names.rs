//! Placeholders for what differs from run to run, such as `<port>` or `<new password>`.

use serde_json::Value;

/// What the placeholders of one situation stand for.
#[derive(Default)]
pub struct Names {
    /// The user of the current version, whose name may be more than a placeholder.
    pub user: String,
    values: Vec<(String, String)>,
}

impl Names {
    /// Adds a placeholder, written without its angle brackets.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() && self.values.iter().all(|(_, known)| *known != value) {
            self.values.push((format!("<{name}>"), value));
            // The longest first: a port's digits may be part of an id.
            self.values
                .sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        }
    }

    /// What a placeholder stands for.
    pub fn get(&self, name: &str) -> String {
        let wanted = format!("<{name}>");
        let found = self
            .values
            .iter()
            .find(|(placeholder, _)| *placeholder == wanted);
        found
            .unwrap_or_else(|| panic!("nothing is called {wanted}"))
            .1
            .clone()
    }

    /// Puts the values into a text.
    pub fn fill(&self, text: &str) -> String {
        let each = |text: String, (name, value): &(String, String)| text.replace(name, value);
        self.values.iter().fold(text.to_owned(), each)
    }

    /// Puts the values into every text of a document; `"<port>"` becomes a number.
    pub fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text == "<port>" => {
                self.get("port").parse::<u16>().unwrap().into()
            }
            Value::String(text) if text == "<port as text>" => self.get("port").into(),
            Value::String(text) => self.fill(text).into(),
            Value::Array(values) => values.iter().map(|value| self.fill_value(value)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| (key.clone(), self.fill_value(value)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Puts the placeholders into a text.
    pub fn blank(&self, text: &str) -> String {
        let each = |text: String, (name, value): &(String, String)| {
            let quoted = Value::from(value.as_str()).to_string();
            text.replace(value, name)
                .replace(&quoted[1..quoted.len() - 1], name)
        };
        self.values.iter().fold(text.to_owned(), each)
    }
}
