//! Passwords (管理办法 第十五条): what they must be like, how they are stored, and one's own change. At least ten characters
//! with letters, digits and specials whatever the policy says; Argon2id.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use super::factor::Proof;
use super::login::Seen;
use super::policy::{Policy, Profile};
use super::throttle::Guest;
use super::{Actor, App, record, relief};
use crate::base::{Error, Moment, Result, limits};
use crate::records::{Fields, Record, Value, account, act};
use crate::store::{Act, seal};

const DAY_S: i64 = 24 * 3600;
/// Below this power of ten a guesser who knows leaks, names and keyboards is at the password soon.
const GUESSES_LOG10: f64 = 8.0;
/// Words that this house and everybody's first try are made of: a password of nothing but them, digits and signs is
/// none. Listed in `docs/security.md`.
pub const WORDS: [&str; 44] = [
    "jiceng", "jijian", "jiancha", "jianwei", "jiwei", "jubao", "xinfang", "xianwei", "xian", "zhen", "xiang", "jiedao",
    "dengbao", "admin", "administrator", "sysadmin", "secadmin", "auditor", "system", "root", "user", "guest", "test",
    "demo", "login", "welcome", "hello", "password", "passwd", "pass", "mima", "qwer", "qwerty", "asdf", "zxcv", "abc",
    "abcd", "woaini", "iloveyou", "zhongguo", "china", "beijing", "huawei", "changeme",
];
/// The same in characters.
pub const WORDS_ZH: [&str; 10] = ["基层", "纪委", "监委", "纪检", "监察", "信访", "举报", "县", "口令", "密码"];
/// The first that are tried: none is taken, in any case of letters.
const COMMON: [&str; 24] = [
    "password123!", "password@123", "password1234!", "passw0rd123!", "p@ssw0rd123", "p@ssword123", "admin@12345",
    "admin12345!", "admin123456!", "admin@123456", "abcd1234!@#$", "abc123!@#abc", "1qaz2wsx!@#", "1qaz@wsx3edc",
    "1qaz!qaz2wsx", "qwer1234!@#$", "qwerty123456!", "qwe123!@#qwe", "huawei@123", "woaini1314!", "zaq12wsx!@#",
    "test@123456", "welcome@123", "a123456789!",
];

impl App {
    /// Sets one's own password; asks for the old one.
    pub fn change_password(&self, actor: &Actor, old: &str, new: &str) -> Result<()> {
        let wrong = || Error::invalid("原口令不正确。");
        let (account, _) = self.myself(actor, old, None)?.ok_or_else(wrong)?;
        if old == new {
            return Err(Error::invalid("新口令不能与原口令相同。"));
        }
        let policy = self.policy()?;
        check(&policy, &account.fields, new)?;
        let guest = Guest::Known(format!("account {}", actor.account));
        let worn = account.fields.codes(account::tag::PASSWORD_HISTORY).to_vec();
        let remembers = policy.profile == Profile::Dengbao;
        let again = move || remembers && worn.iter().any(|stored| verify(stored, new));
        if self.throttle.room.turn(&guest, again)? {
            let most = limits::PASSWORD_HISTORY;
            return Err(Error::invalid(format!("新口令最近用过。请换一个与最近 {most} 个都不同的口令。")));
        }
        let credential = self.throttle.room.turn(&guest, || hash(new))??;
        let (id, actor, checked) = (actor.account, actor.clone(), account);
        self.store.submit(move |txn| {
            record::live(txn, &actor)?;
            let mut record = txn.get(id)?.ok_or_else(Error::denied)?;
            if record.fields.text(account::tag::CREDENTIAL) != checked.fields.text(account::tag::CREDENTIAL) {
                return Err(Error::invalid("口令刚刚被重置，没有修改。请重新登录后再试。"));
            }
            set(&mut record, credential, false, txn.now());
            txn.act(Act::new(actor.doer(), act::PASSWORD));
            txn.update_at_rest(record)
        })?;
        self.renewed_password(id);
        Ok(())
    }

    /// The account of somebody who is logged in, if this is its password and, where a code was asked for, this proves
    /// its second factor. What is wrong counts as a guess.
    pub(super) fn myself(
        &self,
        actor: &Actor,
        password: &str,
        code: Option<&str>,
    ) -> Result<Option<(Record, Option<Proof>)>> {
        let guest = Guest::Known(format!("account {}", actor.account));
        self.throttle.begin(&actor.login, &guest, self.now())?;
        let snapshot = self.store.read()?;
        let account = snapshot.get(actor.account, false)?.ok_or_else(Error::denied)?;
        let used = Seen::of(&snapshot, actor.account)?.step();
        let stored = account.fields.text(account::tag::CREDENTIAL);
        let right = self.throttle.room.turn(&guest, || verify(stored, password));
        let right = right.inspect_err(|_| self.throttle.untried(&actor.login, &guest))?;
        // A code that was used is a wrong one: it must not make guesses at the next ones forgotten.
        let proof = code.and_then(|code| self.proof(Some(&account), code)).filter(|proof| proof.is_after(used));
        if right && (code.is_none() || proof.is_some()) {
            // A password alone makes no guesses at the codes of an account forgotten.
            match code {
                None if super::factor::has_code(&account) => self.throttle.untried(&actor.login, &guest),
                _ => self.throttle.passed(&actor.login, &guest),
            }
            return Ok(Some((account, proof)));
        }
        self.enter_failure(&account, &actor.via, "own")?;
        Ok(None)
    }
}

/// The record with another password; the one it had is worn, and nobody waits for a one-time password any more.
pub(super) fn set(record: &mut Record, credential: String, must_change: bool, now: Moment) {
    use account::tag;
    let mut worn = record.fields.codes(tag::PASSWORD_HISTORY).to_vec();
    worn.extend(Some(record.fields.text(tag::CREDENTIAL).to_owned()).filter(|had| !had.is_empty()));
    let over = worn.len().saturating_sub(limits::PASSWORD_HISTORY);
    worn.drain(..over);
    record.version += 1;
    record.updated = now;
    if !worn.is_empty() {
        record.fields.insert(tag::PASSWORD_HISTORY, Value::Codes(worn));
    }
    record.fields.insert(tag::CREDENTIAL, Value::Text(credential));
    record.fields.insert(tag::MUST_CHANGE, Value::Flag(must_change));
    record.fields.insert(tag::PASSWORD_SINCE, Value::Int(now.0));
    relief::forget(record, relief::What::Password);
}

/// A password that was set at `since` is to be changed by now.
pub(super) fn is_old(policy: &Policy, since: Moment, now: Moment) -> bool {
    policy.profile == Profile::Dengbao && now.seconds_since(since) >= limits::PASSWORD_DAYS * DAY_S
}

/// What a new password of an account must be like.
pub(super) fn check(policy: &Policy, account: &Fields, password: &str) -> Result<()> {
    let has_factor =
        [account::tag::FACTOR, account::tag::CERTIFICATE].iter().any(|tag| !account.text(*tag).is_empty());
    check_rules(account.text(account::tag::LOGIN), password)?;
    let least = policy.profile.least(has_factor);
    if password.chars().count() < least {
        return Err(Error::invalid(format!("没有启用动态码的账户，口令至少 {least} 位。可以用一句话，或先启用动态码。")));
    }
    Ok(())
}

/// The rules of article 15, that a password does not contain the log-in name, and is none that everybody tries.
pub fn check_rules(login: &str, password: &str) -> Result<()> {
    let letters = password.chars().any(char::is_alphabetic);
    let digits = password.chars().any(|c| c.is_ascii_digit());
    let specials = password.chars().any(|c| !c.is_alphanumeric() && !c.is_whitespace());
    let long = password.chars().count() >= limits::PASSWORD_MIN_CHARS;
    if !(letters && digits && specials && long) || password.len() > limits::PASSWORD_MAX_BYTES {
        let least = limits::PASSWORD_MIN_CHARS;
        return Err(Error::invalid(format!("口令至少 {least} 位，并且必须同时包含字母、数字和特殊字符。")));
    }
    if !login.is_empty() && password.to_lowercase().contains(&login.to_lowercase()) {
        return Err(Error::invalid("口令不能包含登录名。"));
    }
    if is_guessable(login, password) {
        return Err(Error::invalid("这个口令太常见，最先被人猜到。请换一个，例如几个不相干的词。"));
    }
    Ok(())
}

/// Everybody's first tries, what breaches have shown, and words of this house.
fn is_guessable(login: &str, password: &str) -> bool {
    let lower = password.to_lowercase();
    let words = ["", "@$"].iter().any(|kept| is_words(&plain_letters(&lower, kept)));
    words || COMMON.contains(&lower.as_str()) || zxcvbn::zxcvbn(password, &[login]).guesses_log10() < GUESSES_LOG10
}

/// Letters alone, those that signs and digits stand for among them; at the beginning, only those in `kept`.
fn plain_letters(lower: &str, kept: &str) -> String {
    let inside = |c: char| match c {
        '@' | '4' => 'a',
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '$' | '5' => 's',
        c => c,
    };
    // At either end, digits and signs are mostly digits and signs.
    let middle = lower.trim_end_matches(|c: char| !c.is_alphabetic());
    let middle = middle.trim_start_matches(|c: char| !c.is_alphabetic() && !kept.contains(c));
    middle.chars().map(inside).filter(|c| c.is_alphabetic()).collect()
}

/// Nothing but words of the list, one after the other.
fn is_words(letters: &str) -> bool {
    let all = || WORDS.iter().chain(&WORDS_ZH);
    let mut reached = vec![false; letters.len() + 1];
    reached[0] = true;
    for at in 0..letters.len() {
        if reached[at] {
            all().filter(|w| letters[at..].starts_with(**w)).for_each(|w| reached[at + w.len()] = true);
        }
    }
    reached[letters.len()]
}

/// Stored form of a password that was checked already; costly.
pub fn hash(password: &str) -> Result<String> {
    hash_at(limits::ARGON_KIB, limits::ARGON_PASSES, password)
}

/// The same of a password that the documentation names: nothing is gained by making a guess at it dear. Only accounts
/// that a demo store is made with have such a one.
pub(super) fn hash_public(password: &str) -> Result<String> {
    hash_at(limits::ARGON_PUBLIC_KIB, 1, password)
}

fn hash_at(kib: u32, passes: u32, password: &str) -> Result<String> {
    let salt = seal::random::<16>()?;
    let hasher = hasher(kib, passes)?;
    let hashed = hasher.hash_password_with_salt(password.as_bytes(), &salt).map_err(Error::internal)?;
    Ok(hashed.to_string())
}

fn hasher(kib: u32, passes: u32) -> Result<Argon2<'static>> {
    let params = Params::new(kib, passes, 1, None).map_err(Error::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// At the cost that is stored with the hash.
pub(super) fn verify(stored: &str, password: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(stored) else { return false };
    let hasher = hasher(limits::ARGON_KIB, limits::ARGON_PASSES);
    hasher.is_ok_and(|h| h.verify_password(password.as_bytes(), &parsed).is_ok())
}

/// A hash that fits no password anyone has, with the cost of a real one; in a demo store that of its accounts.
pub(super) fn dummy(demo: bool) -> &'static str {
    static DUMMIES: [std::sync::OnceLock<String>; 2] = [const { std::sync::OnceLock::new() }; 2];
    let hash = if demo { hash_public } else { hash };
    DUMMIES[usize::from(demo)]
        .get_or_init(|| seal::random::<16>().and_then(|r| hash(&hex::encode(r))).unwrap_or_default())
}

/// Letters that are not taken for others, and digits.
const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz";
const DIGITS: &[u8] = b"23456789";

/// Readable, without characters that look alike, and within the rules.
pub(super) fn one_time_password() -> Result<String> {
    let random = seal::random::<16>()?;
    let word: String = random[..12].iter().map(|n| pick(LETTERS, *n)).collect();
    let number: String = random[12..].iter().map(|n| pick(DIGITS, *n)).collect();
    Ok(format!("{}-{}-{}-{number}", &word[..4], &word[4..8], &word[8..]))
}

/// Twenty-five letters in five groups: a recovery code. As many as make a keyed hash enough to store.
pub(super) fn recovery_code() -> Result<String> {
    let random = seal::random::<25>()?;
    let word: String = random.iter().map(|n| pick(LETTERS, *n)).collect();
    Ok([&word[..5], &word[5..10], &word[10..15], &word[15..20], &word[20..]].join("-"))
}

fn pick(set: &[u8], n: u8) -> char {
    char::from(set[usize::from(n) % set.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RecordId;

    /// More than sixty characters.
    const SONG: &str = "白日依山尽黄河入海流欲穷千里目更上一层楼春眠不觉晓处处闻啼鸟夜来风雨声花落知多少\
        床前明月光疑是地上霜举头望明月低头思故乡";

    /// ASVS 6.2.9
    #[test]
    fn the_rules_of_article_15() {
        assert!(SONG.chars().count() >= 60);
        for good in ["tongzi-deng7", "纪检监察工作2026#", "Shan6yue!feng", &format!("{SONG}7#")] {
            assert!(check_rules("u", good).is_ok() || good.contains('u'), "{good}");
        }
        for bad in ["abc123!", "abcdefghij", "1234567890!", "abcdefgh12", "abcdef!!!!", "zhang12345!", "P@ssw0rd123"] {
            assert!(check_rules("zhang", bad).is_err(), "{bad}");
        }
        for common in COMMON {
            assert_eq!(common, common.to_lowercase());
            assert!(common.chars().count() >= limits::PASSWORD_MIN_CHARS, "{common} is refused anyway");
        }
    }

    /// ASVS 6.2.4, 6.2.11
    #[test]
    fn three_thousand_first_tries_are_refused_whatever_is_put_around_them() {
        let ends = ["123!", "1234!", "@123", "!@#123", "#2026", "_2026!", "888!", "@2025", "1!", "00#"];
        let mut tried = 0;
        for word in WORDS.iter().chain(&WORDS_ZH).chain(&["p@ssw0rd", "@dm1nistrator", "adm1n", "t3st", "passw0rd"]) {
            for (end, begin) in ends.iter().flat_map(|e| ["", "1", "2026", "*", "jiwei"].map(|b| (e, b))) {
                for typed in [format!("{begin}{word}{end}"), format!("{begin}{}{end}", word.to_uppercase())] {
                    if typed.chars().count() >= limits::PASSWORD_MIN_CHARS {
                        tried += 1;
                        assert!(check_rules("u", &typed).is_err(), "{typed}");
                    }
                }
            }
        }
        assert!(tried >= 3_000, "{tried}");
    }

    /// ASVS 6.2.12
    #[test]
    fn what_breaches_keyboards_and_calendars_give_away_is_refused() {
        let breached = [
            "Trustno1!!", "Letmein123!", "Dragon123!!", "Sunshine1!", "Football#1", "Princess1!", "Superman1!",
            "Jordan23!!", "Charlie123!", "Monkey!1234", "Qwerty12345#", "Michael123!", "5201314aa!", "Aa123456!!",
            "Baseball1!",
        ];
        let drawn = [
            "qazwsxedc1!", "zxcvbnm,./1a", "asdfghjkl;1", "abcdefgh1!", "aaaaaaaa1!", "abc123!abc123!", "a1!a1!a1!a1!",
        ];
        for typed in breached.iter().chain(&drawn) {
            assert!(check_rules("u", typed).is_err(), "{typed}");
        }
        // The own log-in turned around is no secret either.
        assert!(check_rules("wangxiaoming", "gnimoaixgnaw1!").is_err());
    }

    #[test]
    fn passwords_that_stand_alone_are_longer_in_the_profile_of_nist() {
        let policy = |profile| Policy { profile, ..Policy::default() };
        let alone = Fields::default().with_text(account::tag::LOGIN, "zhang");
        let with = alone.clone().with_text(account::tag::FACTOR, "MZXW6");
        let (short, long) = ("hutong-27!", "hutong-27!yueyq");
        for (profile, account, password, taken) in [
            (Profile::Dengbao, &alone, short, true),
            (Profile::Nist, &alone, short, false),
            (Profile::Nist, &alone, &long[..14], false),
            (Profile::Nist, &alone, long, true),
            (Profile::Nist, &with, short, true),
            (Profile::Nist, &with, "hutong27!", false),
            (Profile::Nist, &alone, "abcdefghijklmnopq", false),
        ] {
            assert_eq!(check(&policy(profile), account, password).is_ok(), taken, "{profile:?} {password}");
        }
    }

    #[test]
    fn a_password_is_old_after_ninety_days_where_the_profile_says_so() {
        let policy = |profile| Policy { profile, ..Policy::default() };
        let since = Moment(1_790_000_000_000);
        let after = |seconds: i64| Moment(since.0 + seconds * 1000);
        let old = |profile, now| is_old(&policy(profile), since, now);
        assert!(!old(Profile::Dengbao, after(90 * DAY_S - 1)) && old(Profile::Dengbao, after(90 * DAY_S)));
        assert!(!old(Profile::Nist, after(1_000 * DAY_S)) && !old(Profile::Dengbao, after(-DAY_S)));
    }

    #[test]
    fn the_last_five_passwords_are_remembered() {
        let mut record = Record {
            id: RecordId(7),
            kind: account::KIND.tag,
            version: 1,
            state: 1,
            unit: RecordId(0),
            created: Moment(0),
            creator: RecordId(0),
            updated: Moment(0),
            fields: Fields::default(),
        };
        for n in 0..8 {
            set(&mut record, format!("hash {n}"), false, Moment(n));
        }
        let worn = record.fields.codes(account::tag::PASSWORD_HISTORY);
        assert_eq!(worn, ["hash 2", "hash 3", "hash 4", "hash 5", "hash 6"]);
        assert_eq!((record.fields.text(account::tag::CREDENTIAL), record.version), ("hash 7", 9));
        assert_eq!(record.fields.int(account::tag::PASSWORD_SINCE), 7);
    }

    /// ASVS 6.4.6, 6.5.2, 6.5.4
    #[test]
    fn one_time_passwords_keep_the_rules_and_differ() {
        let (a, b) = (one_time_password().unwrap(), one_time_password().unwrap());
        assert!(check_rules("", &a).is_ok() && a.chars().count() >= limits::PASSWORD_ALONE_CHARS);
        assert_ne!(a, b);
        let (a, b) = (recovery_code().unwrap(), recovery_code().unwrap());
        assert!(a != b && a.len() == 29 && a.bytes().all(|c| c == b'-' || LETTERS.contains(&c)));
        // As many bits as make guessing at a keyed hash hopeless.
        assert!((LETTERS.len() as f64).log2() * 25.0 > 112.0);
    }

    /// ASVS 6.2.8, 11.4.2
    #[test]
    fn a_hash_fits_its_password_only() {
        let stored = hash("Right-pass-1").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"));
        assert!(verify(&stored, "Right-pass-1") && !verify(&stored, "Wrong-pass-1") && !verify("", "x"));
        // To the letter: no case, no blank and no length is made equal.
        for other in ["right-pass-1", "Right-pass-1 ", " Right-pass-1", "Right-pass-", "Right-pass-11"] {
            assert!(!verify(&stored, other), "{other}");
        }
        let long = format!("{}Right-pass-1", "长".repeat(80));
        let (stored, cut) = (hash(&long).unwrap(), &long[..long.len() - 1]);
        assert!(verify(&stored, &long) && !verify(&stored, cut));
    }
}
