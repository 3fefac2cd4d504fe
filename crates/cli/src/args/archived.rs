//! What the verbs accept that work on the archive.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use time::Date;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::number;

/// Options of `replay`.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) archived: Archived,
    /// only objects whose keys begin so
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["tenant", "conversation", "since", "until"], value_parser = prefix)]
    pub(crate) prefix: Option<String>,
}

/// Options of `sweep`.
#[derive(Args, Debug)]
pub(crate) struct Sweep {
    #[command(flatten)]
    pub(crate) archived: Archived,
}

/// Which objects, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct Archived {
    /// bucket of the archive; otherwise `CONVERSATIONS_BUCKET`
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) bucket: Option<String>,
    /// only events of this tenant
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tenant: Option<String>,
    /// only events of this conversation
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) conversation: Option<String>,
    /// only events of this day and later, in UTC; those without a time count by when they were archived
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    pub(crate) since: Option<Date>,
    /// only events of this day and earlier
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    pub(crate) until: Option<Date>,
    /// only report what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// objects that are read at a time, 1 to 256
    #[arg(long, value_name = "N", default_value = "32", value_parser = |text: &str| number(text, 1_usize, 256))]
    pub(crate) concurrency: usize,
    /// keep the place in this file, and go on there if it exists; it is removed at the end
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) resume: Option<PathBuf>,
}

/// A day as it stands in keys.
pub(crate) const DAY: StaticFormatDescription = format_description!("[year]-[month]-[day]");

fn date(text: &str) -> Result<Date, &'static str> {
    Date::parse(text, DAY).map_err(|_| "a day such as 2026-11-23 is accepted")
}

fn prefix(text: &str) -> Result<String, &'static str> {
    if text.starts_with("conversations/") {
        Ok(text.to_owned())
    } else {
        Err("a prefix that begins with `conversations/` is accepted")
    }
}
