//! CloudWatch metrics as lines of the embedded metric format, which cost no API call.
//!
//! Format: CloudWatch User Guide, "Specification: Embedded metric format". No dimension and no value ever holds a
//! conversation, a user or a secret.

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// CloudWatch namespace of the metrics, where nobody names another.
pub const NAMESPACE: &str = "Turnkeep";
/// CloudWatch's own limit.
const LONGEST_NAMESPACE: usize = 255;

/// Returns a namespace of one's own if CloudWatch takes metrics in it.
pub fn namespace(text: &str) -> Option<String> {
    let accepted = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
    // AWS keeps its own namespaces to itself.
    let ours = !text.starts_with("AWS/") && text.len() <= LONGEST_NAMESPACE;
    (ours && text.bytes().all(accepted)).then(|| text.to_owned())
}

/// Unit of a metric, by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A duration.
    Milliseconds,
    /// A quantity whose unit is in the metric's name, because CloudWatch has none for it.
    None,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::None => "None",
        }
    }
}

/// The metrics of one invocation.
#[derive(Debug)]
pub struct Metrics {
    namespace: String,
    service: &'static str,
    values: Vec<(&'static str, Unit, f64)>,
}

impl Metrics {
    /// Starts the metrics of one invocation of `service`, which is their only dimension.
    pub fn new(namespace: &str, service: &'static str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            service,
            values: Vec::new(),
        }
    }

    /// Adds a number of things.
    pub fn count(&mut self, name: &'static str, count: u64) {
        self.add(name, Unit::Count, count);
    }

    /// Adds a quantity whose unit is in its name, such as `SecretAgeDays`.
    pub fn quantity(&mut self, name: &'static str, quantity: u64) {
        self.add(name, Unit::None, quantity);
    }

    /// Adds a duration.
    pub fn duration(&mut self, name: &'static str, duration: Duration) {
        self.values
            .push((name, Unit::Milliseconds, duration.as_secs_f64() * 1_000.0));
    }

    /// Writes the line to standard output, where the Lambda service picks it up.
    #[expect(
        clippy::disallowed_methods,
        reason = "a metric carries the time at which it was written"
    )]
    pub fn emit(&self) {
        if !self.values.is_empty() {
            let now = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            // Numbers and names are always written, and who has closed standard output reads no metrics.
            if let Ok(line) = self.line(now) {
                let _ = io::stdout().write_all(line.as_bytes());
            }
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "CloudWatch keeps doubles; counts stay far below 2^53"
    )]
    fn add(&mut self, name: &'static str, unit: Unit, value: u64) {
        self.values.push((name, unit, value as f64));
    }

    /// The line, with a line break: one write for all of it.
    fn line(&self, since_epoch: Duration) -> serde_json::Result<String> {
        let mut line = serde_json::to_string(&Line {
            metrics: self,
            since_epoch,
        })?;
        line.push('\n');
        Ok(line)
    }
}

/// The metrics of one invocation, as they are written.
struct Line<'a> {
    metrics: &'a Metrics,
    since_epoch: Duration,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    timestamp: u64,
    cloud_watch_metrics: [Directive<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Metrics {
            namespace,
            service,
            values,
        } = self.metrics;
        let metrics = values.iter().map(|(name, unit, _)| Definition {
            name,
            unit: unit.name(),
        });
        let metadata = Metadata {
            timestamp: u64::try_from(self.since_epoch.as_millis()).unwrap_or(u64::MAX),
            cloud_watch_metrics: [Directive {
                namespace,
                dimensions: [["service"]],
                metrics: metrics.collect(),
            }],
        };
        let mut line = serializer.serialize_map(Some(values.len() + 2))?;
        line.serialize_entry("_aws", &metadata)?;
        line.serialize_entry("service", service)?;
        for (name, _, value) in values {
            line.serialize_entry(name, value)?;
        }
        line.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_one_that_cloudwatch_takes() {
        for accepted in [NAMESPACE, "turnkeep-prod", &"n".repeat(255)] {
            assert_eq!(namespace(accepted).as_deref(), Some(accepted));
        }
        for refused in ["AWS/Lambda", "two words", "é", &"n".repeat(256)] {
            assert_eq!(namespace(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_line_is_in_the_embedded_metric_format() {
        let mut metrics = Metrics::new("turnkeep-dev", "conversation-capture");
        metrics.count("Stored", 3);
        metrics.duration("DatabaseTime", Duration::from_micros(1_500));
        insta::assert_snapshot!(metrics.line(Duration::from_secs(1)).unwrap(), @r#"{"_aws":{"Timestamp":1000,"CloudWatchMetrics":[{"Namespace":"turnkeep-dev","Dimensions":[["service"]],"Metrics":[{"Name":"Stored","Unit":"Count"},{"Name":"DatabaseTime","Unit":"Milliseconds"}]}]},"service":"conversation-capture","Stored":3.0,"DatabaseTime":1.5}"#);
    }
}
