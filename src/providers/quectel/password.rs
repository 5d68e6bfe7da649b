//! How a login hides its password and proves its origin.
//!
//! The key follows from `random`, which is sent along: this only keeps the password out of plain sight. TLS protects it.

use aes::Aes128;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cbc::{
    Encryptor,
    cipher::{BlockModeEncrypt as _, KeyIvInit as _, block_padding::Pkcs7},
};
use md5::Md5;
use sha2::{Digest as _, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 16 letters and digits that `nonce` stands for: its last 16 digits in base 62, the lowest first.
pub(super) fn random(mut nonce: u128) -> String {
    let mut random = String::with_capacity(16);
    while random.len() < 16 {
        let digit = (nonce % 62) as usize;
        nonce /= 62;
        random.extend(ALPHABET.get(digit).copied().map(char::from));
    }
    random
}

/// Base64 of AES-128 in CBC mode with PKCS#7 padding. The key is the middle half of the uppercase hex MD5 of
/// `random`, as ASCII; the initialization vector is the key with its halves swapped.
pub(super) fn encrypt(password: &str, random: &str) -> String {
    let hash = hex(&Md5::digest(random)).to_ascii_uppercase();
    let mut key = [0; 16];
    // Characters 8 to 24.
    for (byte, digit) in key.iter_mut().zip(hash.bytes().skip(8)) {
        *byte = digit;
    }
    let mut iv = key;
    iv.rotate_left(8);
    let cipher = Encryptor::<Aes128>::new(&key.into(), &iv.into());
    STANDARD.encode(cipher.encrypt_padded_vec::<Pkcs7>(password.as_bytes()))
}

/// Lowercase hex SHA-256 of all pieces in a row.
pub(super) fn sign<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update(piece);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}
