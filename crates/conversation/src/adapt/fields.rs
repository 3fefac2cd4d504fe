//! The fields of one object, taken out one by one; what nobody took is what nobody knows.

use time::OffsetDateTime;

use super::AdaptError;
use crate::capture::Part;
use crate::identity::{ID_MAX_BYTES, bounded_id};
use crate::instant;
use crate::json::{Entry, Json, Kind, MAX_DEPTH, Raw};

/// The fields of an object. `null` is the same as absent; of repeated keys the last counts and the others are unknown.
pub(crate) struct Fields<'a> {
    path: String,
    entries: Vec<Entry<'a>>,
    /// Ids too long to be keys, whole.
    long_ids: Vec<(String, Json)>,
}

impl<'a> Fields<'a> {
    /// The object `raw` at `path`; an error if it is none.
    pub(crate) fn read(path: &str, raw: Raw<'a>) -> Result<Self, AdaptError> {
        if raw.kind() != Kind::Object {
            return Err(invalid(path, &raw, "an object"));
        }
        Ok(Self {
            path: path.to_owned(),
            entries: raw.into_entries()?,
            long_ids: Vec::new(),
        })
    }

    /// Whether the field is there and not `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.peek(key).is_some_and(|raw| raw.kind() != Kind::Null)
    }

    /// Whether the field is there, be it `null`.
    pub(crate) fn mentions(&self, key: &str) -> bool {
        self.peek(key).is_some()
    }

    /// The field, be it `null`; leaves it where it is.
    pub(crate) fn peek(&self, key: &str) -> Option<&Raw<'a>> {
        self.entries
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, raw)| raw)
    }

    /// The names of the fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_ref())
    }

    /// The field's text, if it is a string; leaves it where it is.
    pub(crate) fn peek_text(&self, key: &str) -> Option<String> {
        self.peek(key).and_then(Raw::string)
    }

    /// The field, nested at most `room` deep; leaves it where it is.
    pub(crate) fn peek_json(&self, key: &str, room: usize) -> Result<Option<Json>, AdaptError> {
        self.peek(key)
            .map(|raw| Json::keep(raw, room))
            .transpose()
            .map_err(Into::into)
    }

    /// The field as it is.
    pub(crate) fn raw(&mut self, key: &str) -> Option<Raw<'a>> {
        let position = self.entries.iter().rposition(|(name, _)| name == key)?;
        let (_, raw) = self.entries.remove(position);
        (raw.kind() != Kind::Null).then_some(raw)
    }

    /// Any JSON, nested at most `room` deep.
    pub(crate) fn json(&mut self, key: &str, room: usize) -> Result<Option<Json>, AdaptError> {
        let value = self.raw(key).map(|raw| Json::keep(&raw, room));
        value.transpose().map_err(Into::into)
    }

    /// A string; an empty one says nothing.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>, AdaptError> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        if raw.kind() != Kind::String {
            return Err(self.invalid(key, &raw, "a string"));
        }
        let text = raw.decoded()?;
        Ok((!text.is_empty()).then_some(text))
    }

    /// A name that becomes a key.
    pub(crate) fn id(&mut self, key: &str) -> Result<Option<String>, AdaptError> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        if raw.kind() != Kind::String {
            return Err(self.invalid(key, &raw, "a string that is not empty"));
        }
        let id = raw.decoded()?;
        if id.is_empty() {
            return Err(self.invalid_kind(key, "an empty string", "a string that is not empty"));
        }
        let bounded = bounded_id(&id);
        if id.len() > ID_MAX_BYTES {
            self.long_ids.push((key.to_owned(), Json::String(id)));
        }
        Ok(Some(bounded))
    }

    /// A name that becomes a key, in a shape that did not know of it: anything else stays where it is.
    pub(crate) fn id_or_leave(&mut self, key: &str) -> Option<String> {
        self.peek_text(key).filter(|id| !id.is_empty())?;
        self.id(key).ok()?
    }

    /// A string that is not empty; anything else stays where it is.
    pub(crate) fn text_or_leave(&mut self, key: &str) -> Option<String> {
        let text = self.peek_text(key).filter(|text| !text.is_empty())?;
        self.raw(key);
        Some(text)
    }

    /// A string, or the JSON text of anything else; an empty string says nothing.
    pub(crate) fn text_of_any(&mut self, key: &str) -> Result<Option<String>, AdaptError> {
        let text = self.json(key, MAX_DEPTH)?.map(|json| match json {
            Json::String(text) => text,
            other => other.to_string(),
        });
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// A number of tokens.
    pub(crate) fn count(&mut self, key: &str) -> Result<Option<i32>, AdaptError> {
        self.integer(key, "a whole number from 0 to 2147483647")
    }

    /// A number of the producer's.
    pub(crate) fn sequence(&mut self, key: &str) -> Result<Option<i64>, AdaptError> {
        self.integer(key, "a whole number from 0 to 9223372036854775807")
    }

    /// An instant.
    pub(crate) fn instant(&mut self, key: &str) -> Result<Option<OffsetDateTime>, AdaptError> {
        const ACCEPTED: &str =
            "a time with its zone as in RFC 3339, for example `2026-11-23T10:00:00.123Z`";
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        if raw.kind() != Kind::String {
            return Err(self.invalid(key, &raw, ACCEPTED));
        }
        let text = raw.decoded()?;
        match instant::parse(&text) {
            Some(instant) => Ok(Some(instant)),
            None => Err(self.invalid_kind(key, "another string", ACCEPTED)),
        }
    }

    /// One of several words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&str, T)],
        accepted: &'static str,
    ) -> Result<Option<T>, AdaptError> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        if raw.kind() != Kind::String {
            return Err(self.invalid(key, &raw, accepted));
        }
        let text = raw.decoded()?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => Err(self.invalid_kind(key, "another string", accepted)),
        }
    }

    /// An object, empty by default.
    pub(crate) fn object(&mut self, key: &str) -> Result<Json, AdaptError> {
        match self.raw(key) {
            None => Ok(Json::empty_object()),
            Some(raw) if raw.kind() == Kind::Object => Ok(Json::keep(&raw, MAX_DEPTH)?),
            Some(raw) => Err(self.invalid(key, &raw, "an object")),
        }
    }

    /// An object, to be taken apart.
    pub(crate) fn fields(&mut self, key: &str) -> Result<Option<Fields<'a>>, AdaptError> {
        let path = self.path_of(key);
        self.raw(key).map(|raw| Self::read(&path, raw)).transpose()
    }

    /// An object to be taken apart, if it is the one that is meant; else it stays where it is.
    pub(crate) fn fields_if(
        &mut self,
        key: &str,
        is_meant: impl Fn(&Fields<'a>) -> bool,
    ) -> Result<Option<Fields<'a>>, AdaptError> {
        match self.peek(key) {
            Some(raw) if raw.kind() == Kind::Object && is_meant(&Self::read(key, raw.clone())?) => {
                self.fields(key)
            }
            _ => Ok(None),
        }
    }

    /// An object, to be taken apart; anything else stays where it is.
    pub(crate) fn fields_or_leave(&mut self, key: &str) -> Result<Option<Fields<'a>>, AdaptError> {
        match self.peek(key) {
            Some(raw) if raw.kind() == Kind::Object => self.fields(key),
            _ => Ok(None),
        }
    }

    /// An array, each item with its path.
    pub(crate) fn items(
        &mut self,
        key: &str,
    ) -> Result<Option<Vec<(String, Raw<'a>)>>, AdaptError> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        if raw.kind() != Kind::Array {
            return Err(self.invalid(key, &raw, "an array"));
        }
        let path = self.path_of(key);
        let items = raw.into_items()?;
        Ok(Some(
            items
                .into_iter()
                .enumerate()
                .map(|(position, raw)| (format!("{path}[{position}]"), raw))
                .collect(),
        ))
    }

    /// An array of strings, empty by default; a single string is an array of one.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<String>, AdaptError> {
        match self.raw(key) {
            Some(raw) => texts(&self.path_of(key), raw),
            None => Ok(Vec::new()),
        }
    }

    /// Message parts: an array of objects with a `type`, or a string, which is one `text` part. Empty by default.
    pub(crate) fn parts(&mut self, key: &str) -> Result<Vec<Part>, AdaptError> {
        const ACCEPTED: &str = "an object with a string `type`";
        let Some(raw) = self.raw(key) else {
            return Ok(Vec::new());
        };
        match raw.kind() {
            Kind::String => Ok(vec![Part::text(raw.decoded()?)]),
            Kind::Array => raw
                .into_items()?
                .into_iter()
                .enumerate()
                .map(|(position, item)| {
                    let path = || format!("{}[{position}]", self.path_of(key));
                    Part::from_json(Json::keep(&item, MAX_DEPTH)?).map_err(|json| match json {
                        Json::Object(_) => AdaptError::Invalid {
                            field: path(),
                            found: "an object without one",
                            accepted: ACCEPTED,
                        },
                        _ => invalid(&path(), &item, ACCEPTED),
                    })
                })
                .collect(),
            _ => Err(self.invalid(key, &raw, "an array of message parts, or a string")),
        }
    }

    /// The fields that nobody took, each nested at most `room` deep, and the whole of ids that had to be cut.
    pub(crate) fn rest(self, room: usize) -> Result<Vec<(String, Json)>, AdaptError> {
        let mut rest = self.long_ids;
        for (key, raw) in self.entries {
            rest.push((key.into_owned(), Json::keep(&raw, room)?));
        }
        Ok(rest)
    }

    /// As [`Fields::rest`], but for what says nothing: `null`, an empty array, an empty object. Providers write each of their
    /// fields into every answer.
    pub(crate) fn told_rest(mut self, room: usize) -> Result<Vec<(String, Json)>, AdaptError> {
        self.entries.retain(|(_, raw)| {
            let is_empty = matches!(raw.items(), Some([])) || matches!(raw.entries(), Some([]));
            !is_empty && raw.kind() != Kind::Null
        });
        self.rest(room)
    }

    /// The path of one of the fields.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// What kind of object this is, for an error: only keys that look like names are told, the others are counted.
    pub(crate) fn describe(&self) -> String {
        const TOLD: usize = 8;
        let is_name = |key: &str| {
            (1..=40).contains(&key.len())
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        let told: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, _)| is_name(key))
            .take(TOLD)
            .map(|(key, _)| format!("`{key}`"))
            .collect();
        let others = self.entries.len() - told.len();
        match (told.as_slice(), others) {
            ([], 0) => "an empty object".to_owned(),
            ([], others) => format!("an object with {others} unnameable keys"),
            (told, 0) => format!("an object with {}", told.join(", ")),
            (told, others) => format!("an object with {} and {others} more", told.join(", ")),
        }
    }

    /// The error for a field that is required and is not there.
    pub(crate) fn missing(&self, key: &str, accepted: &'static str) -> AdaptError {
        self.invalid_kind(key, "nothing", accepted)
    }

    fn integer<T: std::str::FromStr + PartialOrd + Default>(
        &mut self,
        key: &str,
        accepted: &'static str,
    ) -> Result<Option<T>, AdaptError> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        if raw.kind() != Kind::Number {
            return Err(self.invalid(key, &raw, accepted));
        }
        match raw.text().parse::<T>() {
            Ok(number) if number >= T::default() => Ok(Some(number)),
            _ => Err(self.invalid_kind(key, "another number", accepted)),
        }
    }

    /// The error for a field that is `raw`.
    pub(crate) fn invalid(&self, key: &str, raw: &Raw<'_>, accepted: &'static str) -> AdaptError {
        invalid(&self.path_of(key), raw, accepted)
    }

    fn invalid_kind(&self, key: &str, found: &'static str, accepted: &'static str) -> AdaptError {
        AdaptError::Invalid {
            field: self.path_of(key),
            found,
            accepted,
        }
    }
}

/// An array of strings; a single string is an array of one.
pub(crate) fn texts(path: &str, raw: Raw<'_>) -> Result<Vec<String>, AdaptError> {
    match raw.kind() {
        Kind::String => Ok(vec![raw.decoded()?]),
        Kind::Array => raw
            .into_items()?
            .into_iter()
            .enumerate()
            .map(|(position, item)| match item.kind() {
                Kind::String => Ok(item.decoded()?),
                _ => Err(invalid(&format!("{path}[{position}]"), &item, "a string")),
            })
            .collect(),
        _ => Err(invalid(path, &raw, "an array of strings")),
    }
}

fn invalid(path: &str, raw: &Raw<'_>, accepted: &'static str) -> AdaptError {
    AdaptError::Invalid {
        field: path.to_owned(),
        found: raw.kind().as_str(),
        accepted,
    }
}
