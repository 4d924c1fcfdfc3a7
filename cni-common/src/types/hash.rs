//! The digests that names are made of, in hexadecimal digits. Pure.

use sha2::{Digest, Sha256, Sha512};

/// The first `digits` of SHA-256: what this suite names its own things by. At most 64.
pub fn sha256(text: &str, digits: usize) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()), digits)
}

/// The first `digits` of SHA-512, by which the reference plugins name theirs. At most 128.
pub fn sha512(text: &str, digits: usize) -> String {
    hexadecimal(&Sha512::digest(text.as_bytes()), digits)
}

fn hexadecimal(digest: &[u8], digits: usize) -> String {
    let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digit = |half: u8| char::from_digit(u32::from(half), 16);
    halves.take(digits).filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_usual_programs() {
        // printf net/c1/eth0 | sha256sum; printf net | sha512sum
        assert_eq!(sha256("net/c1/eth0", 11), "6e5fcbeeefc");
        assert_eq!(sha512("net", 16), "a4861f4ae9f7d238");
        assert_eq!((sha256("", 100).len(), sha512("", 200).len()), (64, 128));
    }
}
