//! The members of a JSON object as they stand in the text.
//!
//! `serde_json::Value` forgets the order of keys, the text of numbers and where anything stood, so a
//! document that must survive byte for byte is read as slices of itself.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::DocumentError;

/// The members of the outermost object, in order, duplicates included.
#[derive(Default)]
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// `None` if the text is JSON but no object.
    pub(crate) fn parse(text: &'a str) -> Result<Option<Self>, DocumentError> {
        match serde_json::from_str(text) {
            Ok(members) => Ok(Some(members)),
            Err(error) if error.classify() == Category::Data => Ok(None),
            Err(error) => Err(DocumentError::NotJson {
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// The value of `key` as written. Of several, the last one counts, as in Python and most others.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .rfind(|(name, _)| name == key)
            .map(|(_, value)| value.get())
    }

    /// The value of `key`.
    pub(crate) fn value(&self, key: &str) -> Result<Option<Value>, DocumentError> {
        self.raw(key)
            .map(|raw| {
                // What is wrong with it is a lone surrogate or a number beyond all bounds.
                serde_json::from_str(raw)
                    .map_err(|_| DocumentError::Value(format!("{key} has an unusable value")))
            })
            .transpose()
    }

    /// The string under `key`; an error if it is something else.
    pub(crate) fn string(&self, key: &str) -> Result<Option<String>, DocumentError> {
        match self.value(key)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(DocumentError::Value(format!("{key} is not a string"))),
        }
    }

    /// As [`Members::string`], with `null` and the empty string for absent.
    pub(crate) fn filled_string(&self, key: &str) -> Result<Option<String>, DocumentError> {
        if self.raw(key) == Some("null") {
            return Ok(None);
        }
        Ok(self.string(key)?.filter(|text| !text.is_empty()))
    }

    /// Every key once, in order of first appearance.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .enumerate()
            .filter(|(index, (name, _))| {
                !self
                    .0
                    .iter()
                    .take(*index)
                    .any(|(earlier, _)| earlier == name)
            })
            .map(|(_, (name, _))| name.as_str())
    }

    /// Where in `text`, the text that was parsed, the values of `key` stand.
    pub(crate) fn spans(&self, key: &str, text: &'a str) -> Vec<Range<usize>> {
        self.0
            .iter()
            .filter(|(name, _)| name == key)
            .map(|(_, value)| {
                let start = value.get().as_ptr().addr() - text.as_ptr().addr();
                start..start + value.get().len()
            })
            .collect()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
