//! Bytes that may be compressed: gzip and Zstandard are told by how they begin, which no JSON does.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

/// How large what was compressed may be: a few hundred bytes can hold gigabytes.
pub(crate) const MAX_BYTES: usize = 32 * 1024 * 1024;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTANDARD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why bytes cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// They begin as compressed data and do not go on so.
    #[error("it is not the compressed data that it begins as")]
    Broken,
    /// There is more in them than is taken.
    #[error("there are more than 33554432 bytes in it")]
    TooLarge,
}

/// What is in `packed`, or `packed` itself if it is not compressed.
pub(crate) fn unpack(packed: Vec<u8>) -> Result<Vec<u8>, UnpackError> {
    if packed.starts_with(&GZIP) {
        return read(MultiGzDecoder::new(packed.as_slice()));
    }
    if packed.starts_with(&ZSTANDARD) {
        let decoder = StreamingDecoder::new(packed.as_slice());
        return read(decoder.map_err(|_| UnpackError::Broken)?);
    }
    if packed.len() > MAX_BYTES {
        return Err(UnpackError::TooLarge);
    }
    Ok(packed)
}

fn read(decoder: impl Read) -> Result<Vec<u8>, UnpackError> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    match decoder.take(limit).read_to_end(&mut unpacked) {
        Ok(_) if unpacked.len() > MAX_BYTES => Err(UnpackError::TooLarge),
        Ok(_) => Ok(unpacked),
        Err(_) => Err(UnpackError::Broken),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_not_compressed_stays_as_it_is() {
        assert_eq!(unpack(b"{}".to_vec()).unwrap(), b"{}");
        assert_eq!(unpack(Vec::new()).unwrap(), b"");
    }

    #[test]
    fn gzip_is_unpacked_all_members_of_it() {
        let two = [gzip(b"{\"a\":"), gzip(b"1}")].concat();
        assert_eq!(unpack(two).unwrap(), b"{\"a\":1}");
    }

    #[test]
    fn zstandard_is_unpacked() {
        // printf '{"a":1}' | zstd -c | xxd -p
        let packed = hex::decode("28b52ffd04583900007b2261223a317d488bfc32").unwrap();
        assert_eq!(unpack(packed.clone()).unwrap(), b"{\"a\":1}");
        assert_eq!(unpack(packed[..6].to_vec()), Err(UnpackError::Broken));
    }

    #[test]
    fn what_is_cut_or_too_large_is_told() {
        let mut cut = gzip(b"some text that is long enough to be cut in the middle");
        cut.truncate(20);
        assert_eq!(unpack(cut), Err(UnpackError::Broken));
        let zeros = vec![0; MAX_BYTES + 1];
        assert_eq!(unpack(gzip(&zeros)), Err(UnpackError::TooLarge));
        assert_eq!(unpack(zeros), Err(UnpackError::TooLarge));
    }
}
