//! Patterns of an operator's own.

use regex_automata::util::syntax;
use regex_automata::{Input, meta};

use super::kind::{HASH_LETTERS, Kind, Mode};

/// How much one match may take: with a limit, all matches of a text are found in linear time, whatever the pattern is.
const MATCH_MAX_BYTES: usize = 256;
/// How large all patterns of a policy may be when compiled.
const COMPILED_MAX_BYTES: usize = 1024 * 1024;
/// How long a name may be.
const NAME_MAX_BYTES: usize = 32;

/// One pattern as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) name: String,
    pub(super) regex: String,
    /// The policy's, if it has none of its own.
    pub(super) mode: Option<Mode>,
}

impl Pattern {
    /// What is wrong with the name, in words.
    pub(super) fn name_problem(name: &str) -> Option<&'static str> {
        let is_spelled = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if name.is_empty() || name.len() > NAME_MAX_BYTES || !is_spelled {
            return Some("is no name; accepted: up to 32 letters from a to z and `_`");
        }
        Kind::ALL
            .iter()
            .any(|kind| kind.as_str() == name)
            .then_some("is the name of a kind; accepted: another name")
    }

    /// What is wrong with the pattern, in words.
    pub(super) fn regex_problem(regex: &str) -> Option<String> {
        let Ok(parsed) = syntax::parse_with(regex, &ascii()) else {
            return Some(
                "is no regular expression of the crate `regex` (without look-around and \
                 back references, classes in ASCII)"
                    .to_owned(),
            );
        };
        let properties = parsed.properties();
        if properties.minimum_len().is_none_or(|least| least == 0) {
            return Some(
                "matches nothing at all; accepted: what matches at least one byte".to_owned(),
            );
        }
        properties
            .maximum_len()
            .is_none_or(|most| most > MATCH_MAX_BYTES)
            .then(|| {
                format!(
                    "has no limit; accepted: what matches {MATCH_MAX_BYTES} bytes at most, such as \
                     `{{1,40}}` in the place of `+`"
                )
            })
    }
}

/// The patterns of a policy, compiled to one.
#[derive(Clone, Debug)]
pub(super) struct Own {
    names: Vec<String>,
    regex: meta::Regex,
}

impl Own {
    /// `None` if they are too large together.
    pub(super) fn compile(patterns: &[Pattern]) -> Option<Self> {
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(COMPILED_MAX_BYTES));
        let texts: Vec<_> = patterns.iter().map(|own| own.regex.as_str()).collect();
        let regex = meta::Builder::new()
            .configure(config)
            .syntax(ascii())
            .build_many(&texts)
            .ok()?;
        let names = patterns.iter().map(|own| own.name.clone()).collect();
        Some(Self { names, regex })
    }

    /// Start, end and number of the pattern of everything that matches. What stands in the place of an earlier find is left
    /// alone, so that a pattern which matches its own name does not match for ever.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        let mut from = 0;
        while from < text.len() {
            let (until, next) = self.token(text, from).unwrap_or((text.len(), text.len()));
            let mut input = Input::new(text).span(from..until);
            while let Some(matched) = self.regex.search(&input) {
                let (start, end) = whole(text, matched.start(), matched.end());
                found.push((start, end, matched.pattern().as_usize()));
                input.set_start(end.min(until));
            }
            from = next;
        }
        found
    }

    /// Begin and end of the first token from `from` on.
    fn token(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut at = from;
        loop {
            at += memchr::memchr(b'[', text.get(at..)?)?;
            if let Some(length) = self.token_length(text.get(at..)?) {
                return Some((at, at + length));
            }
            at += 1;
        }
    }

    fn token_length(&self, text: &[u8]) -> Option<usize> {
        let inside = text.get(1..text.len().min(NAME_MAX_BYTES + HASH_LETTERS + 4))?;
        let inside = inside.get(..memchr::memchr(b']', inside)?)?;
        let (name, hash) = match memchr::memchr(b':', inside) {
            Some(colon) => (inside.get(..colon)?, inside.get(colon + 1..)?),
            None => (inside, &b""[..]),
        };
        let is_hash = hash.iter().all(|byte| (b'a'..=b'p').contains(byte))
            && (hash.is_empty() || hash.len() == HASH_LETTERS);
        let own = self.names.iter().map(String::as_bytes);
        let known = Kind::ALL.iter().map(|kind| kind.as_str().as_bytes());
        let is_name = own.chain(known).any(|known| known == name);
        (is_hash && is_name).then_some(inside.len() + 2)
    }
}

/// A match without half characters at its ends.
fn whole(text: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    let is_inside = |at: usize| {
        text.get(at)
            .is_some_and(|byte| (0x80..=0xbf).contains(byte))
    };
    while start > 0 && is_inside(start) {
        start -= 1;
    }
    while is_inside(end) {
        end += 1;
    }
    (start, end)
}

/// Classes of Unicode would make the function larger by their tables.
fn ascii() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(patterns: &[(&str, &str)]) -> Own {
        let pattern = |(name, regex): &(&str, &str)| Pattern {
            name: (*name).to_owned(),
            regex: (*regex).to_owned(),
            mode: None,
        };
        let patterns: Vec<_> = patterns.iter().map(pattern).collect();
        Own::compile(&patterns).expect("small patterns")
    }

    #[track_caller]
    fn check(own: &Own, text: &str, expected: &[(&str, usize)]) {
        let found: Vec<_> = own
            .find(text.as_bytes())
            .into_iter()
            .map(|(start, end, number)| (&text[start..end], number))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_match_is_found() {
        let own = own(&[
            ("employee", r"\bE-[0-9]{6}\b"),
            ("code", r"(?i)code .{1,3}"),
        ]);
        check(&own, "E-123456, E-1234567 and e-123456", &[("E-123456", 0)]);
        check(&own, "E-123456E-123456", &[]);
        check(
            &own,
            "CODE éüö E-654321",
            &[("CODE éü", 1), ("E-654321", 0)],
        );
        check(&own, "", &[]);
    }

    #[test]
    fn what_was_put_in_place_is_left_alone() {
        let own = own(&[("digits", "[a-z]{4}")]);
        check(
            &own,
            "[digits] [email:abcdefghijklmnop] word",
            &[("word", 0)],
        );
        check(
            &own,
            "[other] [email:abcdefgh]",
            &[("othe", 0), ("emai", 0), ("abcd", 0), ("efgh", 0)],
        );
    }

    #[test]
    fn patterns_have_limits() {
        for accepted in ["a", "a{1,256}", r"\b[0-9]{6}\b", "x|yy", "(?i)ä{1,3}"] {
            assert_eq!(Pattern::regex_problem(accepted), None, "{accepted}");
        }
        for refused in [
            "",
            "a*",
            "a+",
            ".{1,257}",
            "(",
            r"(a)\1",
            "a(?=b)",
            r"\p{Greek}",
            "x?",
        ] {
            assert!(Pattern::regex_problem(refused).is_some(), "{refused}");
        }
        for refused in ["", "Employee", "email", "a1", "a-b", &"a".repeat(33)] {
            assert!(Pattern::name_problem(refused).is_some(), "{refused}");
        }
        assert_eq!(Pattern::name_problem("employee_number"), None);
    }
}
