//! One-time codes by time (RFC 6238): HMAC-SHA-1 (RFC 4226) over the number of the half minute, six digits, and the
//! secret as people type it (base32, RFC 4648). Pure: the time and the secret come from outside. Whether a code was
//! used before is not known here.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use crate::base::Moment;

/// Seconds of one step.
pub const STEP_S: i64 = 30;
/// Digits of a code.
pub const DIGITS: u32 = 6;
/// Steps before and after the present one that are taken: clocks go wrong, and people type slowly.
const WINDOW: i64 = 1;

const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The number of a step.
pub fn step_at(now: Moment) -> i64 {
    now.0.div_euclid(STEP_S * 1000)
}

/// The code of a step.
pub fn code(secret: &[u8], step: i64) -> String {
    digits(secret, step, DIGITS)
}

/// The step whose code this is, among those that are taken now. Looks at all of them, whichever fits.
pub(super) fn step_of(secret: &[u8], typed: &str, now: Moment) -> Option<i64> {
    let here = step_at(now);
    let steps = here - WINDOW..=here + WINDOW;
    steps.fold(None, |found, step| {
        let own = code(secret, step);
        let same = verify_slices_are_equal(own.as_bytes(), typed.as_bytes()).is_ok();
        if same { Some(step) } else { found }
    })
}

fn digits(secret: &[u8], step: i64, digits: u32) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // The last half byte says where the four bytes lie (RFC 4226, 5.3).
    let at = usize::from(tag.last().copied().unwrap_or(0) & 15);
    let four = tag.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or([0; 4]);
    let number = (u32::from_be_bytes(four) & 0x7fff_ffff) % 10_u32.pow(digits);
    format!("{number:0width$}", width = digits as usize)
}

/// Bytes in base32, without padding.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for five in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + five.len()].copy_from_slice(five);
        let number = u64::from_be_bytes(block);
        for n in 0..(five.len() * 8).div_ceil(5) {
            let place = usize::try_from(number >> (35 - 5 * n) & 31).unwrap_or(0);
            text.push(char::from(LETTERS[place]));
        }
    }
    text
}

/// What [`base32`] wrote; `None` for anything else.
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for c in text.bytes() {
        let value = LETTERS.iter().position(|l| *l == c)?;
        held = held << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 255).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    /// RFC 4226, appendix D.
    #[test]
    fn codes_of_a_counter_are_those_of_the_standard() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
        ];
        assert_eq!((0..10).map(|n| code(SECRET, n)).collect::<Vec<_>>(), expected);
    }

    /// RFC 6238, appendix B, SHA-1.
    #[test]
    fn codes_of_a_time_are_those_of_the_standard() {
        for (seconds, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(digits(SECRET, step_at(Moment(seconds * 1000)), 8), expected, "{seconds}");
        }
    }

    /// ASVS 6.5.5, 6.5.8
    #[test]
    fn a_code_is_taken_one_step_early_and_late_and_no_more() {
        let now = Moment(1_234_567_890_000);
        let here = step_at(now);
        for (away, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let typed = code(SECRET, here + away);
            assert_eq!(step_of(SECRET, &typed, now), taken.then_some(here + away), "{away}");
        }
        assert_eq!(step_of(SECRET, "", now), None);
        assert_eq!(step_of(SECRET, &code(SECRET, here)[..5], now), None);
    }

    /// RFC 4648, 10.
    #[test]
    fn base32_is_that_of_the_standard() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
            assert_eq!(from_base32(text).as_deref(), Some(plain.as_bytes()));
        }
        assert!(from_base32("MZXW1").is_none() && from_base32("mz").is_none());
    }
}
