//! Recovery codes: 160 random bits to write down, in letters and digits that look distinct. A check
//! group makes typing errors and wrong codes give different errors.

use keystead_plugin_api::{Result, SecretText};
use zeroize::Zeroizing;

use crate::key::{Key, checksum, fill};

/// Length of a code in random bytes: 160 bits cannot be guessed, so no slow key derivation is
/// needed.
const BYTES: usize = 20;

/// Number of characters without the check, five bits each.
const DATA: usize = BYTES * 8 / 5;

/// Number of check characters: one group.
const CHECK: usize = 4;

/// Number of characters in a group.
const GROUP: usize = 4;

/// Crockford's alphabet: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Type of a typed text.
#[derive(Debug)]
pub(crate) enum Typed {
    /// A recovery code.
    Code(Code),
    /// Text in the form of a code, with a typing error.
    Slip,
    /// Other text: a password.
    Other,
}

/// A recovery code.
pub(crate) struct Code(Zeroizing<[u8; BYTES]>);

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Code {
    /// Returns a new code.
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        fill(&mut bytes[..])?;
        Ok(Self(bytes))
    }

    /// Returns the code's key.
    pub(crate) fn key(&self) -> Key {
        Key::of_material("recovery code", &self.0[..])
    }

    /// Returns the code to write down: nine groups of four.
    pub(crate) fn text(&self) -> SecretText {
        let digits = self.digits();
        // Full capacity: a text that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(digits.len() * 5 / 4));
        for (at, digit) in digits.iter().enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(*digit)]));
        }
        SecretText::new(text.as_str())
    }

    /// Returns the five-bit digits of the code and its check.
    fn digits(&self) -> Zeroizing<[u8; DATA + CHECK]> {
        let mut digits = Zeroizing::new([0; DATA + CHECK]);
        let check = checksum(&[b"recovery code", &self.0[..]]);
        five_bits(&self.0[..], &mut digits[..DATA]);
        five_bits(&check, &mut digits[DATA..]);
        digits
    }

    /// Parses a typed code: in any case, with any spaces and dashes, and with letters that look
    /// like digits.
    pub(crate) fn read(text: &SecretText) -> Typed {
        let mut digits = Zeroizing::new([0; DATA + CHECK]);
        let mut len = 0;
        for c in text.expose().chars() {
            if c == '-' || c == ' ' {
                continue;
            }
            match digit(c) {
                Some(digit) if len < digits.len() => digits[len] = digit,
                _ => return Typed::Other,
            }
            len += 1;
        }
        if len != digits.len() {
            return Typed::Other;
        }
        let mut bytes = Zeroizing::new([0; BYTES]);
        for (at, digit) in digits[..DATA].iter().enumerate() {
            for bit in 0..5 {
                if digit >> (4 - bit) & 1 == 1 {
                    let place = at * 5 + bit;
                    bytes[place / 8] |= 0x80 >> (place % 8);
                }
            }
        }
        let code = Self(bytes);
        match code.digits()[..] == digits[..] {
            true => Typed::Code(code),
            false => Typed::Slip,
        }
    }
}

/// Writes the first bits of these bytes, five to a digit.
fn five_bits(bytes: &[u8], digits: &mut [u8]) {
    for (at, digit) in digits.iter_mut().enumerate() {
        for bit in at * 5..at * 5 + 5 {
            *digit = *digit << 1 | bytes[bit / 8] >> (7 - bit % 8) & 1;
        }
    }
}

fn digit(c: char) -> Option<u8> {
    let c = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    };
    let at = ALPHABET.iter().position(|letter| char::from(*letter) == c)?;
    u8::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Typed {
        Code::read(&SecretText::new(text))
    }

    #[test]
    fn recovery_code_is_read_in_any_typed_form() {
        for _ in 0..50 {
            let code = Code::random().unwrap();
            let text = code.text().expose().to_owned();
            assert_eq!(text.len(), 9 * 4 + 8);
            let typed = [
                text.clone(),
                text.to_lowercase(),
                text.replace('-', ""),
                text.replace('-', " "),
                text.replace('0', "o").replace('1', "l"),
            ];
            for typed in typed {
                match read(&typed) {
                    Typed::Code(found) => assert_eq!(found.key().bytes(), code.key().bytes()),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn recovery_code_typo_is_detected() {
        let text = Code::random().unwrap().text().expose().to_owned();
        for at in (0..text.len()).filter(|at| !text[*at..].starts_with('-')) {
            let other = if text[at..].starts_with('7') { "8" } else { "7" };
            let slip = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(matches!(read(&slip), Typed::Slip), "a slip at {at}");
        }
    }

    #[test]
    fn password_is_not_taken_for_recovery_code() {
        let code = Code::random().unwrap().text().expose().to_owned();
        for text in ["", "hunter2", "correct horse battery staple", &code[1..], &format!("{code}0")]
        {
            assert!(matches!(read(text), Typed::Other), "{text}");
        }
    }
}
