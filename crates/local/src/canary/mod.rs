//! Canaries: passwords and texts that can be recognised, and the search for them where neither may be.
//!
//! Every password that the local stack makes holds [`PASSWORD`], and every text that a test has somebody say begins with
//! [`TEXT`]. Whatever a run writes down is a sink: logs, replies, outputs, statistics views. None may hold a mark, in any
//! form that a program would give it. The two stores, S3 and the tables, are where the texts belong and are no sinks.
//!
//! What belongs to one test is searched by the test; [`servers`] has what belongs to all of them.

pub mod servers;

use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;

/// What every password holds: lower-case letters, so that hardly any rule for passwords excludes it.
pub const PASSWORD: &str = "zqcanary";

/// What every text begins with: the begin is what a message that quotes a text shows. The spaces make its URL-encoded form
/// another one.
pub const TEXT: &str = "a canary said";

/// How many characters of a line are shown with what was found in it.
const EXCERPT: usize = 160;

/// Something that somebody says, to be recognised.
pub fn said(text: impl fmt::Display) -> String {
    format!("{TEXT}: {text}")
}

/// A mark where it may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// Where.
    pub sink: String,
    /// In which of its lines, counted from 1.
    pub line: usize,
    /// Which mark.
    pub mark: &'static str,
    /// In which form.
    pub form: &'static str,
    /// The line, from shortly before the mark on.
    pub excerpt: String,
}

impl fmt::Display for Find {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.mark == PASSWORD {
            "a password"
        } else {
            "what somebody said"
        };
        let Self {
            sink,
            line,
            mark,
            form,
            excerpt,
        } = self;
        write!(
            f,
            "{sink}, line {line}: {what} (the mark `{mark}`, {form}): {excerpt}"
        )
    }
}

/// Every mark in what a sink holds: of a line with the same mark in the same form several times only the first.
pub fn search(sink: &str, text: &str) -> Vec<Find> {
    let mut finds = Vec::new();
    for (mark, forms) in FORMS.iter() {
        for (form, written) in forms {
            let mut last = 0;
            for (at, _) in text.match_indices(written.as_str()) {
                let before = text.get(..at).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                if line > last {
                    last = line;
                    finds.push(Find {
                        sink: sink.to_owned(),
                        line,
                        mark,
                        form,
                        excerpt: excerpt(text, at),
                    });
                }
            }
        }
    }
    finds.sort_by_key(|find| find.line);
    finds
}

/// The form in which `text` has a mark of a test's own; `None` if it does not have it in any.
pub fn form_of(mark: &str, text: &str) -> Option<&'static str> {
    let forms = forms(mark);
    let mut found = forms
        .iter()
        .filter(|(_, written)| text.contains(written.as_str()));
    found.next().map(|(form, _)| *form)
}

/// The forms of a text in which a program may write it, each with its name.
type Forms = Vec<(&'static str, String)>;

static FORMS: LazyLock<[(&str, Forms); 2]> =
    LazyLock::new(|| [PASSWORD, TEXT].map(|mark| (mark, forms(mark))));

fn forms(mark: &str) -> Forms {
    let each = |write: fn(u8) -> String| mark.bytes().map(write).collect::<Vec<_>>();
    let url = |unreserved: fn(u8) -> bool, write: fn(u8) -> String| -> String {
        let bytes = mark.bytes().map(|byte| {
            if unreserved(byte) {
                char::from(byte).to_string()
            } else {
                write(byte)
            }
        });
        bytes.collect()
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = url(unreserved, |byte| format!("%{byte:02X}"));
    let mut all = vec![
        ("plain", mark.to_owned()),
        ("hexadecimal", each(|byte| format!("{byte:02x}")).concat()),
        ("hexadecimal", each(|byte| format!("{byte:02X}")).concat()),
        ("URL-encoded", encoded.replace("%20", "+")),
        ("URL-encoded", encoded),
        (
            "URL-encoded",
            url(unreserved, |byte| format!("%{byte:02x}")),
        ),
        ("URL-encoded", url(|_| false, |byte| format!("%{byte:02X}"))),
        ("URL-encoded", url(|_| false, |byte| format!("%{byte:02x}"))),
        // As `{:?}` prints a slice of bytes.
        ("a list of bytes", each(|byte| byte.to_string()).join(", ")),
    ];
    for before in 0..3 {
        for alphabet in [STANDARD, URL_SAFE] {
            let engine = GeneralPurpose::new(&alphabet, NO_PAD);
            all.push(("Base64", within_base64(mark, before, &engine)));
        }
    }
    let mut distinct: Forms = Vec::new();
    for (form, written) in all {
        if distinct.iter().all(|(_, known)| *known != written) {
            distinct.push((form, written));
        }
    }
    distinct
}

/// The characters that a text is turned into, `before` bytes after the begin of a group of three, whatever its neighbours.
fn within_base64(text: &str, before: usize, engine: &GeneralPurpose) -> String {
    let mut bytes = vec![0; before];
    bytes.extend(text.bytes());
    let encoded = engine.encode(&bytes);
    // A character is six bits. The first and the last may share theirs with a neighbour.
    let (begin, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(begin..end).unwrap_or_default().to_owned()
}

fn excerpt(text: &str, at: usize) -> String {
    let (before, from) = text.split_at_checked(at).unwrap_or((text, ""));
    let line_before = before.rsplit('\n').next().unwrap_or_default();
    let shown_before: Vec<char> = line_before.chars().rev().take(EXCERPT / 4).collect();
    let from = from.lines().next().unwrap_or_default();
    let shown = shown_before.iter().rev().copied();
    shown.chain(from.chars().take(EXCERPT)).collect()
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    /// Looks in every place of a longer text that is written by `write`.
    #[track_caller]
    fn finds(form: &str, write: impl Fn(&[u8]) -> String) {
        for mark in [PASSWORD, TEXT] {
            for before in 0..7 {
                for behind in 0..7 {
                    let text = ["ab?>~<é"; 2].concat();
                    let (left, right) = (&text.as_bytes()[..before], &text.as_bytes()[..behind]);
                    let sink = write(&[left, mark.as_bytes(), right].concat());
                    let found = search("sink", &sink);
                    assert!(
                        found
                            .iter()
                            .any(|find| find.form == form && find.mark == mark),
                        "{form} with {before} bytes before and {behind} behind: {sink}: {found:?}"
                    );
                }
            }
        }
    }

    fn each(bytes: &[u8], write: impl Fn(u8) -> String) -> String {
        bytes.iter().copied().map(write).collect()
    }

    #[test]
    fn every_form_is_found_in_every_place() {
        finds("plain", |bytes| String::from_utf8_lossy(bytes).into_owned());
        finds("hexadecimal", |bytes| {
            each(bytes, |byte| format!("{byte:02x}"))
        });
        finds("hexadecimal", |bytes| {
            each(bytes, |byte| format!("{byte:02X}"))
        });
        finds("Base64", |bytes| BASE64_STANDARD.encode(bytes));
        finds("Base64", |bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
        finds("URL-encoded", |bytes| {
            each(bytes, |byte| format!("%{byte:02x}"))
        });
        finds("URL-encoded", |bytes| {
            each(bytes, |byte| format!("%{byte:02X}"))
        });
        finds("a list of bytes", |bytes| format!("{bytes:?}"));
    }

    #[test]
    fn spaces_in_a_url_are_found() {
        for sink in ["/k/a%20canary%20said%3A", "q=a+canary+said&x"] {
            let found = search("sink", sink);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].form, found[0].mark), ("URL-encoded", TEXT));
        }
    }

    /// The marks are letters and spaces, of which both alphabets make the same; another mark could be none of that.
    #[test]
    fn both_alphabets_are_known() {
        let mark = "a?>b~";
        let forms = forms(mark);
        for before in 0..3 {
            let text = format!("{}{mark}", &"xyz"[..before]);
            for encoded in [
                BASE64_STANDARD.encode(&text),
                BASE64_URL_SAFE_NO_PAD.encode(&text),
            ] {
                assert!(
                    forms
                        .iter()
                        .any(|(form, written)| *form == "Base64" && encoded.contains(written)),
                    "{encoded} in {forms:?}"
                );
            }
        }
        assert!(forms.iter().any(|(_, written)| written.contains('/')));
        assert!(forms.iter().any(|(_, written)| written.contains('_')));
    }

    #[test]
    fn what_is_harmless_is_not_found() {
        for sink in [
            "",
            "invocation handled",
            "canary",
            "zqcanar",
            "a canary sang",
            "QSBjYW5hcnk=",
        ] {
            assert_eq!(search("sink", sink), [], "{sink}");
        }
    }

    #[test]
    fn a_find_names_sink_line_mark_and_form() {
        let log = format!("one\ntwo\nlogin of ana: x{PASSWORD}y, {PASSWORD}\nfour");
        let found = search("the log of example", &log);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0].to_string(),
            "the log of example, line 3: a password (the mark `zqcanary`, plain): login of ana: xzqcanaryy, zqcanary"
        );
        let reply = format!("{}{}\nnext", "é".repeat(1000), said("x".repeat(1000)));
        let found = search("reply", &reply);
        assert_eq!(found.len(), 1);
        assert!(found[0].excerpt.chars().count() <= EXCERPT + EXCERPT / 4);
        assert!(found[0].to_string().contains("line 1: what somebody said"));
    }
}
