//! Text as matchers read it, whatever its writer did to it on the way: JSON in JSON, a URL, a word processor.

use std::borrow::Cow;

/// How often one text may be written in another: JSON in a string of JSON in a string of JSON.
const LAYERS: usize = 3;

/// A text with its escapes decoded, its look-alikes of spaces, dashes and ASCII made plain, and without what nobody sees.
///
/// It is only looked at. What is found in it is taken out of the text that it was made of.
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    layers: Vec<Layer>,
}

/// Where runs of equal length begin, in the text that was made and in the one that it was made of.
type Layer = Vec<(usize, usize)>;

impl<'a> View<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        let mut view = View {
            bytes: Cow::Borrowed(text),
            layers: Vec::new(),
        };
        for _ in 0..LAYERS {
            let Some(decoded) = Decoder::decode(&view.bytes) else {
                break;
            };
            let Decoder {
                bytes,
                layer,
                may_go_on,
                ..
            } = decoded;
            view.bytes = Cow::Owned(bytes);
            view.layers.push(layer);
            if !may_go_on {
                break;
            }
        }
        view
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a place in the view lies in the text.
    pub(super) fn origin(&self, place: usize) -> usize {
        self.layers.iter().rev().fold(place, |place, layer| {
            let after = layer.partition_point(|(made, _)| *made <= place);
            match after.checked_sub(1).and_then(|last| layer.get(last)) {
                Some((made, of)) => of + (place - made),
                None => place,
            }
        })
    }
}

struct Decoder<'a> {
    text: &'a [u8],
    bytes: Vec<u8>,
    layer: Layer,
    /// Whether something was decoded that may be a part of another escape.
    may_go_on: bool,
}

/// What stands for something else, and how long it is.
struct Sequence {
    length: usize,
    /// Nothing for what nobody sees.
    means: Option<char>,
}

impl<'a> Decoder<'a> {
    /// `None` for a text that says what it says.
    fn decode(text: &'a [u8]) -> Option<Self> {
        let mut decoder = Self {
            text,
            bytes: Vec::new(),
            layer: Vec::new(),
            may_go_on: false,
        };
        let (mut kept, mut at) = (0, 0);
        while let Some(rest) = text.get(at..) {
            let Some(found) = rest.iter().position(|byte| is_special(*byte)) else {
                break;
            };
            at += found;
            let Some(sequence) = decoder.sequence(at) else {
                at += 1 + backslashes(text, at).saturating_sub(1);
                continue;
            };
            decoder.keep(kept, at);
            decoder.put(at, &sequence);
            at += sequence.length;
            kept = at;
        }
        if decoder.layer.is_empty() {
            return None;
        }
        decoder.keep(kept, text.len());
        Some(decoder)
    }

    fn keep(&mut self, from: usize, to: usize) {
        self.layer.push((self.bytes.len(), from));
        self.bytes
            .extend_from_slice(self.text.get(from..to).unwrap_or_default());
    }

    fn put(&mut self, at: usize, sequence: &Sequence) {
        self.layer.push((self.bytes.len(), at));
        if let Some(means) = sequence.means {
            self.may_go_on |= matches!(means, '\\' | '%') || !means.is_ascii();
            let mut buffer = [0; 4];
            self.bytes
                .extend_from_slice(means.encode_utf8(&mut buffer).as_bytes());
        }
    }

    fn sequence(&self, at: usize) -> Option<Sequence> {
        match self.text.get(at)? {
            b'\\' => self.escape(at),
            b'%' => self.percent(at),
            0 => Some(Sequence {
                length: 1,
                means: None,
            }),
            _ => self.character(at),
        }
    }

    /// A backslash escape of JSON or of a language like it, however often its backslash was escaped itself.
    fn escape(&self, at: usize) -> Option<Sequence> {
        let slashes = backslashes(self.text, at);
        let length = slashes + 1;
        let means = match self.text.get(at + slashes)? {
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            itself @ (b'"' | b'\'' | b'/') => char::from(*itself),
            b'x' => {
                let digits = self.hexadecimal(at + length, 2)?;
                return Some(seen(length + 2, char::from_u32(digits)?));
            }
            b'u' => return self.code_point(at, length),
            _ => return None,
        };
        Some(Sequence {
            length,
            means: Some(means),
        })
    }

    /// `\uXXXX`, or two of them in the manner of UTF-16.
    fn code_point(&self, at: usize, length: usize) -> Option<Sequence> {
        let first = self.hexadecimal(at + length, 4)?;
        let length = length + 4;
        if let Some(character) = char::from_u32(first) {
            return Some(seen(length, character));
        }
        let slashes = backslashes(self.text, at + length);
        let second = (slashes > 0 && self.text.get(at + length + slashes) == Some(&b'u'))
            .then(|| self.hexadecimal(at + length + slashes + 1, 4))
            .flatten();
        let units = [Some(first), second].map(|unit| u16::try_from(unit.unwrap_or_default()).ok());
        let [Some(first), Some(second)] = units else {
            return None;
        };
        match char::decode_utf16([first, second]).next()? {
            Ok(character) => Some(seen(length + slashes + 5, character)),
            Err(_) => Some(seen(length, char::REPLACEMENT_CHARACTER)),
        }
    }

    /// An escape of a URL that stands for something in ASCII.
    fn percent(&self, at: usize) -> Option<Sequence> {
        let character = char::from_u32(self.hexadecimal(at + 1, 2)?)?;
        let is_text = character == ' ' || character.is_ascii_graphic();
        (is_text || matches!(character, '\t' | '\n' | '\r')).then_some(Sequence {
            length: 3,
            means: Some(character),
        })
    }

    /// A character beyond ASCII that looks like one of ASCII, or like nothing.
    fn character(&self, at: usize) -> Option<Sequence> {
        let lead = *self.text.get(at)?;
        let length = match lead {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => return None,
        };
        let text = std::str::from_utf8(self.text.get(at..at + length)?).ok()?;
        let character = text.chars().next()?;
        let sequence = seen(length, character);
        (sequence.means != Some(character)).then_some(sequence)
    }

    fn hexadecimal(&self, at: usize, digits: usize) -> Option<u32> {
        let text = std::str::from_utf8(self.text.get(at..at + digits)?).ok()?;
        // `from_str_radix` also takes a sign.
        text.bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(text, 16).ok())?
    }
}

fn seen(length: usize, character: char) -> Sequence {
    Sequence {
        length,
        means: plain(character),
    }
}

/// What a character looks like to a reader; `None` for nothing.
fn plain(character: char) -> Option<char> {
    Some(match character {
        '\0'
        | '\u{ad}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => return None,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        '\u{fe6b}' => '@',
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
        }
        same => same,
    })
}

/// Whether something else than itself may begin at this byte.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | 0 | 0xc2 | 0xe1 | 0xe2 | 0xe3 | 0xef)
}

fn backslashes(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| **byte == b'\\').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let view = View::of(text.as_bytes());
        assert_eq!(String::from_utf8_lossy(view.bytes()), expected, "{text:?}");
        assert_eq!(view.origin(view.bytes().len()), text.len(), "{text:?}");
    }

    #[test]
    fn escapes_are_decoded_in_every_layer() {
        check("plain", "plain");
        check(r"a\u0040b.co", "a@b.co");
        check(r"a\\u0040b.co", "a@b.co");
        check(r"a\\\\\\u0040b.co", "a@b.co");
        check(r"a\u005cu0040b.co", "a@b.co");
        check("a%40b.co", "a@b.co");
        check("a%2540b.co", "a@b.co");
        check(r"a\x40b.co", "a@b.co");
        check(r#"{\"a\":\"1\\n2\"}"#, "{\"a\":\"1\n2\"}");
        check(r"\ud83d\ude00!", "😀!");
        check(r"\\ud83d\\ude00!", "😀!");
        check(r"\ud83d!", "\u{fffd}!");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [
            "100%",
            "50%de",
            r"C:\Users\dir",
            r"\u00",
            r"\u+041",
            "%+1",
            "\\",
            "%4",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn look_alikes_are_made_plain() {
        check(
            "4111\u{a0}1111\u{2009}1111\u{3000}1111",
            "4111 1111 1111 1111",
        );
        check("4111\u{2010}1111\u{2212}1111", "4111-1111-1111");
        check(
            "ali\u{200b}ce\u{ff20}example\u{ff0e}com",
            "alice@example.com",
        );
        check("a\0l\0i\0c\0e\0", "alice");
        check(r"ali\u200bce\uff20example", "alice@example");
        check("é ü 漢字", "é ü 漢字");
    }

    #[test]
    fn places_lead_back_to_the_text() {
        let text = r"x \u0040\u0041 %42 é\u200by";
        let view = View::of(text.as_bytes());
        assert_eq!(String::from_utf8_lossy(view.bytes()), "x @A B éy");
        let of = |place| view.origin(place);
        assert_eq!((of(0), of(2), of(3), of(4)), (0, 2, 8, 14));
        assert_eq!((of(5), of(6), of(7)), (15, 18, 19));
        assert_eq!((of(9), of(10)), (text.len() - 1, text.len()));
    }
}
