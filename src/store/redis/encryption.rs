//! What is stored, encrypted.
//!
//! XChaCha20-Poly1305: its nonce of 192 bits is drawn at random for each value, and no number of hosts ever draws one
//! twice; with the 96 bits of AES-GCM that is sure for some 2^32 values of one key only.

use std::fmt;

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce, aead::Generate};
use secrecy::zeroize::Zeroizing;

/// The keys: the first one seals, and all of them open.
pub(super) struct Cipher(Vec<XChaCha20Poly1305>);

/// Why a value could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// It stands there in the clear, so that others could read it, and could have put it there.
    InTheClear,
    /// It is encrypted, and there is no key.
    NoKey,
    /// None of the keys fits, or it was written for another place.
    WrongKey,
}

/// What a sealed value begins with. The number is of its form: the nonce, the ciphertext and the tag.
const MARK: &[u8] = b"sealed:1:";

const NONCE: usize = 24;
const TAG: usize = 16;

impl Cipher {
    pub(super) fn new(keys: &[&[u8; 32]]) -> Self {
        Self(keys.iter().map(|&key| XChaCha20Poly1305::new(key.into())).collect())
    }

    /// `None` where there is no randomness. It opens only where it is `bound_to` the same.
    pub(super) fn seal(&self, content: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let nonce = XNonce::try_generate().ok()?;
        // Never grows: what a buffer leaves behind is not wiped.
        let mut sealed = Vec::with_capacity(MARK.len() + NONCE + content.len() + TAG);
        sealed.extend_from_slice(MARK);
        sealed.extend_from_slice(&nonce);
        let head = sealed.len();
        sealed.extend_from_slice(content);
        let tag = self.0.first()?.encrypt_inout_detached(&nonce, bound_to, sealed.get_mut(head..)?.into()).ok()?;
        sealed.extend_from_slice(&tag);
        Some(sealed)
    }

    fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, content) = sealed.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let mut content = Zeroizing::new(content.to_vec());
        // A tag that does not fit leaves the content as it is.
        self.0.iter().any(|key| key.decrypt_in_place(&nonce, bound_to, &mut *content).is_ok()).then_some(content)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// What was stored, in the clear, if it was written in the way that `cipher` asks for.
pub(super) fn open(
    cipher: Option<&Cipher>,
    value: Zeroizing<Vec<u8>>,
    bound_to: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    match (cipher, value.strip_prefix(MARK)) {
        (None, None) => Ok(value),
        (None, Some(_)) => Err(Unopened::NoKey),
        (Some(_), None) => Err(Unopened::InTheClear),
        (Some(cipher), Some(sealed)) => cipher.open(sealed, bound_to).ok_or(Unopened::WrongKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"content";
    const PLACE: &[u8] = b"place";

    fn cipher(key: u8) -> Cipher {
        Cipher::new(&[&[key; 32]])
    }

    fn opened(cipher: &Cipher, value: &[u8], place: &[u8]) -> Result<Vec<u8>, Unopened> {
        open(Some(cipher), Zeroizing::new(value.to_vec()), place).map(|content| content.to_vec())
    }

    #[test]
    fn what_is_sealed_opens_and_shows_nothing_until_then() {
        let sealed = cipher(1).seal(CONTENT, PLACE).unwrap();
        assert_eq!(sealed.len(), MARK.len() + NONCE + CONTENT.len() + TAG);
        assert!(!sealed.windows(CONTENT.len()).any(|part| part == CONTENT));
        assert_eq!(opened(&cipher(1), &sealed, PLACE).unwrap(), CONTENT);
    }

    #[test]
    fn no_two_values_are_sealed_alike() {
        let cipher = cipher(1);
        assert_ne!(cipher.seal(CONTENT, PLACE), cipher.seal(CONTENT, PLACE));
    }

    #[test]
    fn neither_another_key_nor_another_place_nor_a_changed_byte_opens_it() {
        let sealed = cipher(1).seal(CONTENT, PLACE).unwrap();
        assert_eq!(opened(&cipher(2), &sealed, PLACE), Err(Unopened::WrongKey));
        assert_eq!(opened(&cipher(1), &sealed, b"elsewhere"), Err(Unopened::WrongKey));
        for at in MARK.len()..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(opened(&cipher(1), &changed, PLACE), Err(Unopened::WrongKey), "byte {at}");
            assert_eq!(opened(&cipher(1), &sealed[..at], PLACE), Err(Unopened::WrongKey), "cut at {at}");
        }
    }

    #[test]
    fn an_older_key_opens_and_does_not_seal() {
        let both = Cipher::new(&[&[2; 32], &[1; 32]]);
        let old = cipher(1).seal(CONTENT, PLACE).unwrap();
        assert_eq!(opened(&both, &old, PLACE).unwrap(), CONTENT);
        let new = both.seal(CONTENT, PLACE).unwrap();
        assert_eq!(opened(&cipher(2), &new, PLACE).unwrap(), CONTENT);
        assert_eq!(opened(&cipher(1), &new, PLACE), Err(Unopened::WrongKey));
    }

    #[test]
    fn what_stands_in_the_clear_is_refused_with_a_key_and_what_is_sealed_without_one() {
        assert_eq!(opened(&cipher(1), b"{}", PLACE), Err(Unopened::InTheClear));
        let sealed = cipher(1).seal(CONTENT, PLACE).unwrap();
        assert_eq!(open(None, Zeroizing::new(sealed), PLACE).unwrap_err(), Unopened::NoKey);
        assert_eq!(open(None, Zeroizing::new(b"{}".to_vec()), PLACE).unwrap().as_slice(), b"{}");
    }

    #[test]
    fn the_keys_are_not_printed() {
        assert_eq!(format!("{:?}", cipher(7)), "[REDACTED]");
    }
}
