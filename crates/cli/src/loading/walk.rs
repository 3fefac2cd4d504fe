//! The objects of a scope, folder by folder, in the order of keys.

use std::collections::VecDeque;

use archive::{Archive, ArchiveError, Entry};

use super::scope::Leaf;

/// A walk through the archive.
pub(crate) struct Walk<'a> {
    archive: &'a Archive,
    leaves: VecDeque<Leaf>,
    /// Nothing up to this key is listed again.
    after: Option<String>,
    listing: Option<Listing>,
    found: VecDeque<Entry>,
}

/// A leaf that is being listed.
struct Listing {
    leaf: Leaf,
    next: Option<String>,
}

/// Objects of one conversation and day.
pub(crate) struct Folder {
    /// In the order in which they were put, as far as S3 tells it.
    pub(crate) entries: Vec<Entry>,
    /// The last of their keys: with it all keys before are done.
    pub(crate) last_key: String,
}

impl<'a> Walk<'a> {
    /// A walk through `leaves`, which stand in the order of keys, behind `after`.
    pub(crate) fn new(archive: &'a Archive, leaves: Vec<Leaf>, after: Option<String>) -> Self {
        let is_ahead = |leaf: &Leaf| {
            after
                .as_deref()
                .is_none_or(|after| leaf.prefix.as_str() > after || after.starts_with(&leaf.prefix))
        };
        Self {
            archive,
            leaves: leaves.into_iter().filter(is_ahead).collect(),
            after,
            listing: None,
            found: VecDeque::new(),
        }
    }

    /// The next folder; `None` at the end.
    pub(crate) async fn folder(&mut self) -> Result<Option<Folder>, ArchiveError> {
        loop {
            if let Some(first) = self.found.front() {
                let folder = folder_of(&first.key);
                let same = self
                    .found
                    .iter()
                    .take_while(|entry| folder_of(&entry.key) == folder)
                    .count();
                if same < self.found.len() || self.listing.is_none() {
                    return Ok(Some(Folder::of(self.found.drain(..same).collect())));
                }
            }
            if !self.list().await? {
                return Ok(None);
            }
        }
    }

    /// Lists the next page; `false` if there is none.
    async fn list(&mut self) -> Result<bool, ArchiveError> {
        let listing = match self.listing.take() {
            Some(listing) => listing,
            None => match self.leaves.pop_front() {
                Some(leaf) => Listing { leaf, next: None },
                None => return Ok(false),
            },
        };
        let Listing { leaf, next } = listing;
        let after = self
            .after
            .as_deref()
            .filter(|after| after.starts_with(&leaf.prefix) && next.is_none());
        let page = self
            .archive
            .list(&leaf.prefix, after, next.as_deref())
            .await?;
        self.found.extend(
            page.entries
                .into_iter()
                .filter(|entry| leaf.takes(entry.put_at)),
        );
        self.listing = page.next.map(|next| Listing {
            leaf,
            next: Some(next),
        });
        Ok(true)
    }
}

impl Folder {
    fn of(mut entries: Vec<Entry>) -> Self {
        let last_key = entries
            .last()
            .map(|entry| entry.key.clone())
            .unwrap_or_default();
        // Of two objects of one event the first that came is its object; of two users of a new conversation the first owns it.
        entries.sort_by(|one, other| (one.put_at, &one.key).cmp(&(other.put_at, &other.key)));
        Self { entries, last_key }
    }
}

fn folder_of(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(folder, _)| folder)
}
