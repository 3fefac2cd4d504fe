//! Rules for a generated password.

mod generate;

use crate::DocumentError;
use crate::python;
pub use generate::{MINIMUM_BITS, PasswordError};

/// The reference function's environment values, as found; `None` where the variable is unset.
#[derive(Clone, Copy, Debug, Default)]
pub struct PasswordSettings<'a> {
    /// `EXCLUDE_CHARACTERS`; an empty value excludes nothing.
    pub exclude_characters: Option<&'a str>,
    /// `PASSWORD_LENGTH`, read as Python's `int()` reads it.
    pub length: Option<&'a str>,
    /// `EXCLUDE_NUMBERS`.
    pub exclude_numbers: Option<&'a str>,
    /// `EXCLUDE_PUNCTUATION`.
    pub exclude_punctuation: Option<&'a str>,
    /// `EXCLUDE_UPPERCASE`.
    pub exclude_uppercase: Option<&'a str>,
    /// `EXCLUDE_LOWERCASE`.
    pub exclude_lowercase: Option<&'a str>,
    /// `REQUIRE_EACH_INCLUDED_TYPE`.
    pub require_each_included_type: Option<&'a str>,
}

/// What `GetRandomPassword` is asked for, and what [`PasswordRules::generate`] keeps to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the API's own parameters, each independent of the others"
)]
pub struct PasswordRules {
    /// Characters that must not occur.
    pub exclude_characters: String,
    /// Length in characters; the service takes 1 to 4096.
    pub length: i64,
    /// No digits.
    pub exclude_numbers: bool,
    /// No punctuation.
    pub exclude_punctuation: bool,
    /// No upper-case letters.
    pub exclude_uppercase: bool,
    /// No lower-case letters.
    pub exclude_lowercase: bool,
    /// At least one character of each type that is not excluded.
    pub require_each_included_type: bool,
}

impl PasswordRules {
    /// Reads the settings with the reference function's semantics.
    ///
    /// A flag is on only for `true`, `1`, `y` or `yes` in any case; everything else, `on` too, is
    /// off. `PASSWORD_LENGTH` that is no number is a `ValueError`; the reference raises it in
    /// `createSecret` only, so call this there.
    pub fn from_settings(settings: &PasswordSettings<'_>) -> Result<Self, DocumentError> {
        let defaults = Self::default();
        Ok(Self {
            exclude_characters: settings
                .exclude_characters
                .map_or(defaults.exclude_characters, str::to_owned),
            length: settings
                .length
                .map_or(Ok(defaults.length), python::integer)
                .map_err(|error| error.about("PASSWORD_LENGTH"))?,
            exclude_numbers: flag(settings.exclude_numbers, defaults.exclude_numbers),
            exclude_punctuation: flag(settings.exclude_punctuation, defaults.exclude_punctuation),
            exclude_uppercase: flag(settings.exclude_uppercase, defaults.exclude_uppercase),
            exclude_lowercase: flag(settings.exclude_lowercase, defaults.exclude_lowercase),
            require_each_included_type: flag(
                settings.require_each_included_type,
                defaults.require_each_included_type,
            ),
        })
    }
}

fn flag(setting: Option<&str>, default: bool) -> bool {
    setting.map_or(default, |text| {
        ["true", "1", "y", "yes"].contains(&text.to_lowercase().as_str())
    })
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self {
            exclude_characters: r#":/@"'\"#.to_owned(),
            length: 32,
            exclude_numbers: false,
            exclude_punctuation: false,
            exclude_uppercase: false,
            exclude_lowercase: false,
            require_each_included_type: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_variables_give_the_reference_defaults() {
        let rules = PasswordRules::from_settings(&PasswordSettings::default()).unwrap();
        assert_eq!(rules, PasswordRules::default());
        assert_eq!(rules.exclude_characters, ":/@\"'\\");
        assert_eq!(rules.length, 32);
        assert!(rules.require_each_included_type);
    }

    #[test]
    fn set_variables_win_even_when_empty() {
        let rules = PasswordRules::from_settings(&PasswordSettings {
            exclude_characters: Some(""),
            length: Some(" 40 "),
            exclude_punctuation: Some("Yes"),
            require_each_included_type: Some(""),
            ..PasswordSettings::default()
        })
        .unwrap();
        assert_eq!((rules.exclude_characters.as_str(), rules.length), ("", 40));
        assert!(rules.exclude_punctuation && !rules.exclude_numbers);
        assert!(!rules.require_each_included_type);
    }

    #[test]
    fn only_four_words_switch_a_flag_on() {
        for text in ["true", "TRUE", "1", "y", "Y", "yes"] {
            assert!(flag(Some(text), false), "{text}");
        }
        for text in ["on", "t", "", "2", " true", "false", "enabled"] {
            assert!(!flag(Some(text), true), "{text}");
        }
    }

    #[test]
    fn a_length_that_is_no_number_is_a_value_error() {
        let error = PasswordRules::from_settings(&PasswordSettings {
            length: Some("long"),
            ..PasswordSettings::default()
        })
        .unwrap_err();
        assert_eq!(error.error_type(), "ValueError");
        assert_eq!(
            error.reference_message(),
            "invalid literal for int() with base 10: 'long'"
        );
    }
}
