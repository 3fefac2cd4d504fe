//! The checksums of Amazon S3, in the place of the crate `crc-fast`: what `aws-smithy-checksums` calls of it, and no more.
//!
//! That crate has tables for fifty algorithms, 660 KB that no compression makes smaller, an eighth of the zip of
//! `conversation-capture`; the SDK calls three, and this project none when it puts (docs/adr/0027). Never for anything else:
//! a checksum of ours is SHA-256.

use std::fmt;

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc};

static ISO_HDLC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
static ISCSI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
static NVME: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

/// An algorithm by its name in the catalogue of CRCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// CRC-32 of gzip and Ethernet.
    Crc32IsoHdlc,
    /// CRC-32C.
    Crc32Iscsi,
    /// CRC-64/NVME, which S3 computes of whatever is put without a checksum.
    Crc64Nvme,
}

/// A checksum that is being computed.
#[derive(Clone)]
pub struct Digest(Width);

#[derive(Clone)]
enum Width {
    Bits32(crc::Digest<'static, u32>),
    Bits64(crc::Digest<'static, u64>),
}

impl Digest {
    /// That of nothing.
    #[must_use]
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => Width::Bits32(ISO_HDLC.digest()),
            CrcAlgorithm::Crc32Iscsi => Width::Bits32(ISCSI.digest()),
            CrcAlgorithm::Crc64Nvme => Width::Bits64(NVME.digest()),
        })
    }

    /// Goes on with `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Width::Bits32(digest) => digest.update(bytes),
            Width::Bits64(digest) => digest.update(bytes),
        }
    }

    /// The checksum.
    pub fn finalize(&self) -> u64 {
        match self.0.clone() {
            Width::Bits32(digest) => digest.finalize().into(),
            Width::Bits64(digest) => digest.finalize(),
        }
    }
}

/// Shows nothing of what was summed up.
impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Digest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `check` of the catalogue: <https://reveng.sourceforge.io/crc-catalogue/all.htm>
    #[test]
    fn the_values_of_the_catalogue() {
        for (algorithm, check) in [
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            let mut digest = Digest::new(algorithm);
            assert_eq!(digest.finalize(), 0, "{algorithm:?}");
            digest.update(b"1234");
            digest.update(b"56789");
            assert_eq!(digest.finalize(), check, "{algorithm:?}");
        }
    }
}
