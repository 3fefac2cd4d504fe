//! CloudWatch Logs, as far as reading a function's lines goes: `FilterLogEvents`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws_json::{ApiError, parse};
use crate::clock::{epoch_millis, now};
use crate::lambda::{Functions, LogLine, log_group};

/// What the local CloudWatch Logs can do.
const ACCEPTED: [&str; 1] = ["FilterLogEvents"];

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Vec<String>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

/// Answers one request of the API.
pub(crate) fn answer(
    functions: &Functions,
    operation: &str,
    body: &[u8],
) -> Result<Value, ApiError> {
    if operation != "FilterLogEvents" {
        return Err(ApiError::unsupported(
            "CloudWatch Logs",
            operation,
            &ACCEPTED,
        ));
    }
    let request: Request = parse(body)?;
    let group = request
        .log_group_name
        .clone()
        .or_else(|| request.log_group_identifier.clone())
        .unwrap_or_default();
    let name = functions
        .names()
        .into_iter()
        .find(|name| group.ends_with(&log_group(name)));
    let name =
        name.ok_or_else(|| ApiError::not_found("The specified log group does not exist."))?;
    let terms = terms(request.filter_pattern.as_deref().unwrap_or_default())?;
    let begin = request
        .next_token
        .as_deref()
        .unwrap_or("0")
        .parse::<usize>();
    let begin =
        begin.map_err(|_| ApiError::invalid_parameter("The specified nextToken is invalid."))?;
    let lines = functions.log(&name);
    let chosen: Vec<(usize, &LogLine)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| request.wants(line) && has_all(&line.text, &terms))
        .collect();
    let end = (begin + request.limit.unwrap_or(10_000).clamp(1, 10_000)).min(chosen.len());
    let events: Vec<Value> = chosen
        .get(begin..end)
        .unwrap_or_default()
        .iter()
        .map(|(number, line)| {
            json!({
                "logStreamName": line.stream,
                "timestamp": epoch_millis(line.at),
                "message": line.text,
                "ingestionTime": epoch_millis(now()),
                "eventId": format!("{number:056}"),
            })
        })
        .collect();
    let next = (end < chosen.len()).then(|| end.to_string());
    Ok(json!({"events": events, "searchedLogStreams": [], "nextToken": next}))
}

impl Request {
    fn wants(&self, line: &LogLine) -> bool {
        let at = epoch_millis(line.at);
        self.start_time.is_none_or(|start| at >= start)
            && self.end_time.is_none_or(|end| at < end)
            && (self.log_stream_names.is_empty() || self.log_stream_names.contains(&line.stream))
            && self
                .log_stream_name_prefix
                .as_ref()
                .is_none_or(|prefix| line.stream.starts_with(prefix))
    }
}

/// The terms of an unstructured pattern: words, or phrases in double quotes; a line must have all of them.
fn terms(pattern: &str) -> Result<Vec<String>, ApiError> {
    if pattern.trim_start().starts_with(['{', '[', '%']) {
        return Err(ApiError::invalid_parameter(
            "the local CloudWatch Logs filters by terms only, such as: \"a phrase\" word",
        ));
    }
    let mut terms = Vec::new();
    let mut rest = pattern.trim();
    while !rest.is_empty() {
        let (term, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        terms.push(term.to_owned());
        rest = behind.trim_start();
    }
    Ok(terms)
}

fn has_all(text: &str, terms: &[String]) -> bool {
    terms.iter().all(|term| text.contains(term))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, wanted: bool) {
        assert_eq!(
            has_all(text, &terms(pattern).expect("terms")),
            wanted,
            "{pattern} on {text}"
        );
    }

    #[test]
    fn a_line_must_have_every_term() {
        check("", "anything", true);
        check("ERROR", "an ERROR of setSecret", true);
        check("ERROR setSecret", "an ERROR of setSecret", true);
        check("ERROR finishSecret", "an ERROR of setSecret", false);
        check("\"of setSecret\"", "an ERROR of setSecret", true);
        check("\"of ERROR\" setSecret", "an ERROR of setSecret", false);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(terms("{ $.level = \"ERROR\" }").is_err());
    }
}
