//! The key of hashes over text that is not stored.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The key of every hash that covers unredacted text: ids of messages, fingerprints, and what stands for a text in the mode
/// `hash`. Who does not have it cannot try out what a hash was made of.
#[derive(Clone)]
pub struct IdentityKey(Hmac<Sha256>);

impl IdentityKey {
    /// The shortest secret that makes a key.
    pub const MIN_BYTES: usize = 32;

    /// The key that a secret text makes; `None` if that is shorter than [`IdentityKey::MIN_BYTES`].
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < Self::MIN_BYTES {
            return None;
        }
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    /// HMAC-SHA-256 over fields that cannot run into each other, for one purpose.
    pub(crate) fn digest(&self, purpose: &str, fields: &[&[u8]]) -> [u8; 32] {
        let mut hash = self.0.clone();
        for field in std::iter::once(&purpose.as_bytes()).chain(fields) {
            hash.update(&(field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().into_bytes().into()
    }
}

/// Shows nothing.
impl fmt::Debug for IdentityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdentityKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> IdentityKey {
        IdentityKey::new(&[byte; IdentityKey::MIN_BYTES]).expect("long enough")
    }

    #[test]
    fn a_short_secret_is_no_key() {
        assert!(IdentityKey::new(&[7; IdentityKey::MIN_BYTES - 1]).is_none());
        assert!(!format!("{:?}", key(b'k')).contains('k'));
    }

    /// By Python: hmac.new(b"k" * 32, b"\0\0\0\0\0\0\0\1p" + b"\0\0\0\0\0\0\0\2ab", "sha256").
    #[test]
    fn it_is_hmac_sha_256() {
        let hash = hex::encode(key(b'k').digest("p", &[b"ab"]));
        assert_eq!(
            hash,
            "34c0f69bda9e37130c2cb28ca71bd307f7936a4f63f632de9baf1a75c120456f"
        );
    }

    #[test]
    fn purposes_fields_and_keys_are_told_apart() {
        let base = key(1).digest("p", &[b"ab", b"c"]);
        assert_eq!(base, key(1).digest("p", &[b"ab", b"c"]));
        assert_ne!(base, key(2).digest("p", &[b"ab", b"c"]));
        assert_ne!(base, key(1).digest("q", &[b"ab", b"c"]));
        assert_ne!(base, key(1).digest("p", &[b"a", b"bc"]));
    }
}
