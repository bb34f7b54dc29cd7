//! Top-up codes, with which quotes of the method `code` are paid: how they are written, and what an issuer knows them by.

use sha2::{Digest, Sha256};

/// Letters and digits that are not taken for one another (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DOMAIN: &[u8] = b"farthing/code/1";

/// The code of 100 bits, five of each byte: `FT-XXXXX-XXXXX-XXXXX-XXXXX`. Whoever reads it has what it is worth.
pub fn text(bits: &[u8; 20]) -> String {
    let symbols: Vec<char> = bits
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)).copied().map(char::from))
        .collect();
    let groups: Vec<String> = symbols.chunks(5).map(|group| group.iter().collect()).collect();
    format!("FT-{}", groups.join("-"))
}

/// What an issuer knows a code by: a hash that tells nothing of it. Case, spaces and dashes do not matter to people, so they
/// do not matter here.
pub fn hash(text: &str) -> [u8; 32] {
    let plain: String =
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    Sha256::new().chain_update(DOMAIN).chain_update(plain).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_for_people() {
        let mut bits = [0; 20];
        bits.iter_mut().zip(0..).for_each(|(byte, place)| *byte = place + 224);
        let code = text(&bits);
        assert_eq!(code, "FT-01234-56789-ABCDE-FGHJK");
        assert!(!code.contains(['I', 'L', 'O', 'U']), "{code}");
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        assert_eq!(hash("FT-ABCDE"), hash(" ft abcde"));
        assert_ne!(hash("FT-ABCDE"), hash("FT-ABCDF"));
    }
}
