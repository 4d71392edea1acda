//! Bytes as text: base64 with padding (RFC 4648, section 4).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |n: usize| three.get(n).copied().unwrap_or(0);
        let bits = u32::from_be_bytes([0, byte(0), byte(1), byte(2)]);
        for n in 0..4 {
            let six = (bits >> (18 - 6 * n)) & 63;
            let digit = ALPHABET[six as usize].into();
            text.push(if n <= three.len() { digit } else { '=' });
        }
    }
    text
}

/// The bytes, if `text` is exactly what they are written as: padded, and without stray bits.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut left, mut count) = (0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let six = ALPHABET.iter().position(|it| *it == digit)?;
        left = left << 6 | u32::try_from(six).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((left >> count).to_be_bytes()[3]);
        }
    }
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn every_byte_reads_back() {
        let bytes: Vec<u8> = (0..=255).rev().collect();
        for from in 0..3 {
            assert_eq!(decode(&encode(&bytes[from..])).unwrap(), bytes[from..]);
        }
    }

    #[test]
    fn what_is_not_written_so_is_refused() {
        for text in [
            "Zg", "Zg=", "Zg===", "Z", "=", "Zh==", "Zm9=", "Zm 9v", "Zm-_", "Zg==Zg==",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
