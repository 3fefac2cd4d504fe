//! Redaction of an input that is put aside.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::{Pass, Redactions, Redactor};
use crate::json::{Json, MAX_DEPTH, Raw};
use crate::sanitize::clean;

/// An input as it may be put aside.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Input {
    /// The input without what was found.
    pub bytes: Vec<u8>,
    /// What was taken out.
    pub redactions: Redactions,
}

/// Shows the size, never the bytes.
impl std::fmt::Debug for Input {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Input")
            .field("bytes", &self.bytes.len())
            .field("redactions", &self.redactions)
            .finish()
    }
}

/// The shortest text in Base64 that is looked into: a shorter one holds nothing that would be found.
const BASE64_MIN_LENGTH: usize = 12;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl Redactor {
    /// An input as it may be put aside: JSON value by value, anything else as it stands, and what is Base64 in it by what that
    /// says. The policy is that of `tenants`, or what any policy looks for if there are none or several.
    pub fn input<'a>(&self, input: &[u8], tenants: impl Iterator<Item = &'a str> + Clone) -> Input {
        let policy = self.policies.of_all(tenants.clone());
        let tenant_id = tenants.last().unwrap_or_default();
        let mut pass = self.pass(policy, tenant_id);
        let bytes = match json(input) {
            Some(json) => pass.json(json).to_string().into_bytes(),
            None => pass.unreadable(input),
        };
        Input {
            bytes,
            redactions: pass.redactions,
        }
    }
}

fn json(input: &[u8]) -> Option<Json> {
    let cleaned = clean(input);
    let raw = Raw::read(cleaned.text()).ok()?;
    Json::keep(&raw, MAX_DEPTH).ok()
}

impl Pass<'_> {
    fn unreadable(&mut self, input: &[u8]) -> Vec<u8> {
        let redacted = self.bytes(input).unwrap_or_else(|| input.to_vec());
        self.inside_base64(&redacted).unwrap_or(redacted)
    }

    /// The input with each text in Base64 without what was found in it.
    fn inside_base64(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        let is_letter =
            |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        let mut redacted = Vec::new();
        let (mut kept, mut at) = (0, 0);
        while at < input.len() {
            let rest = input.get(at..).unwrap_or_default();
            let letters = rest.iter().take_while(is_letter).count();
            let padding = rest.iter().skip(letters).take(2);
            let padding = padding.take_while(|byte| **byte == b'=').count();
            let run = rest.get(..letters).unwrap_or_default();
            if letters >= BASE64_MIN_LENGTH
                && let Some(encoded) = self.encoded_again(run)
            {
                redacted.extend_from_slice(input.get(kept..at).unwrap_or_default());
                redacted.extend_from_slice(&encoded);
                kept = at + letters + padding;
            }
            at += (letters + padding).max(1);
        }
        if kept == 0 {
            return None;
        }
        redacted.extend_from_slice(input.get(kept..).unwrap_or_default());
        Some(redacted)
    }

    /// The text in Base64 that is in `run`, encoded again without what was found in it. Where it begins nobody knows: a path
    /// may stand before it.
    fn encoded_again(&mut self, run: &[u8]) -> Option<Vec<u8>> {
        let is_for_urls = run.iter().any(|byte| matches!(byte, b'-' | b'_'));
        let encoding = if is_for_urls { &URL_SAFE } else { &STANDARD };
        (0..4).find_map(|skipped| {
            let (before, text) = run.split_at_checked(skipped)?;
            let sound = text.len() - usize::from(text.len() % 4 == 1);
            let decoded = encoding.decode(text.get(..sound)?).ok()?;
            let redacted = self.bytes(&decoded)?;
            Some([before, encoding.encode(redacted).as_bytes()].concat())
        })
    }
}
