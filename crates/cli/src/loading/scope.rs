//! Which part of the archive a verb works on.

use archive::{Archive, ArchiveError};
use conversation::layout::{self, CONVERSATIONS, segment};
use store::sweep::Part;
use time::{Date, OffsetDateTime, Time};

use crate::args::{Archived, DAY};

/// What all keys of captures begin with, in either layout.
const ALL: &str = "conversations/";
const UNDATED: &str = "undated";

/// Which objects, and so which rows; the default is all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    prefix: Option<String>,
    tenant: Option<String>,
    conversation: Option<String>,
    since: Option<Date>,
    until: Option<Date>,
}

/// Keys with a common begin that are listed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// What the keys begin with.
    pub(crate) prefix: String,
    /// Of what has no day of its own only what was put within these days.
    pub(crate) days: Option<(Option<Date>, Option<Date>)>,
}

impl Scope {
    pub(crate) fn new(options: &Archived, prefix: Option<&str>) -> Self {
        Self {
            prefix: prefix.map(str::to_owned),
            tenant: options.tenant.clone(),
            conversation: options.conversation.clone(),
            since: options.since,
            until: options.until,
        }
    }

    /// Whether it is the whole archive.
    pub(crate) fn is_whole(&self) -> bool {
        self.prefix.is_none()
            && self.tenant.is_none()
            && self.conversation.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }

    /// In words, to tell two scopes apart.
    pub(crate) fn describe(&self) -> String {
        let day = |day: Option<Date>| day.map(of_key).unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        format!(
            "prefix={} tenant={} conversation={} since={} until={}",
            text(&self.prefix),
            text(&self.tenant),
            text(&self.conversation),
            day(self.since),
            day(self.until)
        )
    }

    /// The rows of these objects.
    pub(crate) fn part(&self) -> Part {
        let midnight = |day: Date| OffsetDateTime::new_utc(day, Time::MIDNIGHT);
        let mut part = Part::default();
        part.tenant_id.clone_from(&self.tenant);
        part.conversation_id.clone_from(&self.conversation);
        part.since = self.since.map(midnight);
        part.until = self.until.and_then(Date::next_day).map(midnight);
        part
    }

    /// Where these objects lie, in the order of keys. Days and tenants are folders, so that nothing else has to be listed.
    pub(crate) async fn leaves(&self, archive: &Archive) -> Result<Vec<Leaf>, ArchiveError> {
        if self.is_whole() || self.prefix.is_some() {
            let prefix = self.prefix.clone().unwrap_or_else(|| ALL.to_owned());
            return Ok(vec![Leaf { prefix, days: None }]);
        }
        let mut leaves = Vec::new();
        for folder in archive.folders(CONVERSATIONS).await? {
            if self.takes_tenant(&folder[CONVERSATIONS.len()..]) {
                for day in archive.folders(&folder).await? {
                    let name = day[folder.len()..].trim_end_matches('/');
                    let name = name.strip_prefix("dt=").unwrap_or(name).to_owned();
                    leaves.extend(self.leaf(&day, &name, "c="));
                }
            }
        }
        for folder in archive.folders(ALL).await? {
            let name = &folder[ALL.len()..];
            if name.starts_with("t=") && self.takes_tenant(name) {
                self.legacy(archive, &folder, &mut leaves).await?;
            }
        }
        if self
            .tenant
            .as_deref()
            .is_none_or(|tenant| tenant == "default")
        {
            self.legacy(archive, ALL, &mut leaves).await?;
        }
        leaves.sort_by(|one, other| one.prefix.cmp(&other.prefix));
        Ok(leaves)
    }

    /// The days below a tenant's folder in the original's layout.
    async fn legacy(
        &self,
        archive: &Archive,
        root: &str,
        leaves: &mut Vec<Leaf>,
    ) -> Result<(), ArchiveError> {
        for year in archive.folders(root).await? {
            let name = year[root.len()..].trim_end_matches('/');
            if name == UNDATED {
                leaves.extend(self.leaf(&year, UNDATED, ""));
            }
            if name.len() != 4 || !name.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            for month in archive.folders(&year).await? {
                for day in archive.folders(&month).await? {
                    let name = day[root.len()..].trim_end_matches('/').replace('/', "-");
                    leaves.extend(self.leaf(&day, &name, ""));
                }
            }
        }
        Ok(())
    }

    fn takes_tenant(&self, folder: &str) -> bool {
        let tenant = self.tenant.as_deref();
        tenant.is_none_or(|tenant| layout::tenant_prefix(tenant) == folder)
    }

    /// What is to be listed of a folder that belongs to a day, if anything is.
    fn leaf(&self, folder: &str, day: &str, mark: &str) -> Option<Leaf> {
        let prefix = match &self.conversation {
            Some(conversation) => format!("{folder}{mark}{}/", segment(conversation)),
            None => folder.to_owned(),
        };
        if day == UNDATED {
            let days =
                (self.since.is_some() || self.until.is_some()).then_some((self.since, self.until));
            return Some(Leaf { prefix, days });
        }
        let is_in = self.since.is_none_or(|since| day >= of_key(since).as_str())
            && self.until.is_none_or(|until| day <= of_key(until).as_str());
        is_in.then_some(Leaf { prefix, days: None })
    }
}

impl Leaf {
    /// Whether an object belongs to it that was put at this moment.
    pub(crate) fn takes(&self, put_at: Option<OffsetDateTime>) -> bool {
        let (Some((since, until)), Some(put_at)) = (self.days, put_at) else {
            return true;
        };
        let day = put_at.date();
        since.is_none_or(|since| day >= since) && until.is_none_or(|until| day <= until)
    }
}

/// A day as it stands in keys.
fn of_key(day: Date) -> String {
    // It cannot fail: a day has all that the format asks for.
    day.format(DAY).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    fn scope() -> Scope {
        Scope {
            since: Some(date!(2026 - 11 - 02)),
            until: Some(date!(2026 - 11 - 03)),
            conversation: Some("a/b".to_owned()),
            ..Scope::default()
        }
    }

    #[test]
    fn a_day_is_taken_from_its_begin_to_its_end() {
        let leaf = |day| scope().leaf("f/", day, "c=").map(|leaf| leaf.prefix);
        assert_eq!(leaf("2026-11-01"), None);
        assert_eq!(
            leaf("2026-11-02").as_deref(),
            Some("f/c=a_b_c14cddc033f64b9d/")
        );
        assert_eq!(
            leaf("2026-11-03").as_deref(),
            Some("f/c=a_b_c14cddc033f64b9d/")
        );
        assert_eq!(leaf("2026-11-04"), None);
        let part = scope().part();
        assert_eq!(part.since, Some(datetime!(2026-11-02 00:00 UTC)));
        assert_eq!(part.until, Some(datetime!(2026-11-04 00:00 UTC)));
    }

    #[test]
    fn what_has_no_day_is_taken_by_when_it_was_put() {
        let leaf = scope().leaf("f/", UNDATED, "").unwrap();
        assert!(!leaf.takes(Some(datetime!(2026-11-01 23:59:59 UTC))));
        assert!(leaf.takes(Some(datetime!(2026-11-03 23:59:59 UTC))));
        assert!(leaf.takes(None));
    }
}
