//! Configuration from the environment that reports every problem at once.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::environment::{Environment, Variable};

/// Reads typed values and collects what is wrong with them, so that an operator mends a function in one go and not one
/// variable a deployment.
///
/// ```
/// use startup::{config::Reader, environment::{self, Environment}};
///
/// let environment = Environment::from([("DB_PORT", "many")]);
/// let mut reader = Reader::new(&environment);
/// let port = reader.parsed::<u16>(&environment::DB_PORT);
/// let bucket = reader.required(&environment::CONVERSATIONS_BUCKET);
/// let error = reader.finish((port, bucket)).unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// ```
pub struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Starts reading an environment.
    pub fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            problems: Vec::new(),
        }
    }

    /// Returns the text of a variable that may be unset.
    pub fn optional(&self, variable: &Variable) -> Option<String> {
        self.environment.value(variable).map(str::to_owned)
    }

    /// Returns the text of a variable that must be set; without it, notes a problem and returns an empty text.
    pub fn required(&mut self, variable: &Variable) -> String {
        self.optional(variable).unwrap_or_else(|| {
            self.problems.push(format!(
                "`{}`: is not set, accepted: {}",
                variable.name, variable.accepted
            ));
            String::new()
        })
    }

    /// Returns the parsed value of a variable that may be unset; notes a problem where it does not parse.
    pub fn parsed<T: FromStr>(&mut self, variable: &Variable) -> Option<T> {
        self.with(variable, |text| text.parse().ok())
    }

    /// Returns what `read` makes of a variable that may be unset; notes a problem where it makes nothing.
    pub fn with<T>(
        &mut self,
        variable: &Variable,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let (name, text) = self.environment.named(variable)?;
        let value = read(text);
        if value.is_none() {
            self.problems.push(format!(
                "`{name}`: `{text}` is not accepted, accepted: {}",
                variable.accepted
            ));
        }
        value
    }

    /// Returns the choice that a variable's text names, or `default` where it is unset; notes a problem where it names none.
    pub fn choice<T: Clone>(
        &mut self,
        variable: &Variable,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        self.with(variable, |text| {
            choices
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, choice)| choice.clone())
        })
        .unwrap_or(default)
    }

    /// Returns what `read` makes of the file that a variable names; notes a problem where the file cannot be read or used.
    pub fn file<T, E: Error + 'static>(
        &mut self,
        variable: &Variable,
        read: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Option<T> {
        let path = self.optional(variable)?;
        let problem = match std::fs::read(&path) {
            Ok(bytes) => match read(&bytes) {
                Ok(value) => return Some(value),
                Err(error) => crate::report::chain(&error),
            },
            Err(error) => error.to_string(),
        };
        self.problem(variable, &format!("`{path}` cannot be used: {problem}"));
        None
    }

    /// Notes a problem that this reader cannot see by itself.
    pub fn problem(&mut self, variable: &Variable, sentence: &str) {
        self.problems.push(format!(
            "`{}`: {sentence}, accepted: {}",
            variable.name, variable.accepted
        ));
    }

    /// Returns the configuration if nothing was wrong.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem that was noted.
    pub fn finish<T>(self, config: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError {
                problems: self.problems,
            })
        }
    }
}

/// The environment cannot be used; the caller ends the init phase with it. No variable of Turnkeep holds a secret, so the
/// texts show what was found.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// Every problem, one sentence each: name, what was found, what is accepted.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the configuration has {} problem(s): {}",
            self.problems.len(),
            self.problems.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{CONNECT_BUDGET_SECONDS, CONVERSATIONS_BUCKET, DB_PORT, OWNERSHIP};

    #[test]
    fn every_problem_is_listed_with_the_name_that_was_used() {
        let environment = Environment::from([("AURORA_PORT", "x"), ("OWNERSHIP", "ENFORCE")]);
        let mut reader = Reader::new(&environment);
        reader.parsed::<u16>(&DB_PORT);
        reader.choice(&OWNERSHIP, &[("enforce", 1), ("record", 2)], 1);
        reader.required(&CONVERSATIONS_BUCKET);
        insta::assert_snapshot!(reader.finish(()).unwrap_err(), @"the configuration has 3 problem(s): `AURORA_PORT`: `x` is not accepted, accepted: a number from 1 to 65535; `OWNERSHIP`: `ENFORCE` is not accepted, accepted: `enforce` or `record`; `CONVERSATIONS_BUCKET`: is not set, accepted: a bucket name");
    }

    #[test]
    fn an_unset_variable_is_no_problem() {
        let environment = Environment::default();
        let mut reader = Reader::new(&environment);
        assert_eq!(reader.parsed::<u64>(&CONNECT_BUDGET_SECONDS), None);
        assert_eq!(reader.choice(&OWNERSHIP, &[("record", 2)], 1), 1);
        assert!(reader.finish(()).is_ok());
    }
}
