//! What people with a key do now and then: the drill (演练), a whole restore into a throw-away folder, and the
//! challenge (密钥核对), a few random words that only the holder of a key can read.
//!
//! What must hold: nothing of a drill stays, and nothing in it lies on a disk in plain; the answer to a challenge is
//! kept as a digest only. When they are due is `app`'s matter.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::x25519::Recipient;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::archive::Scratch;
use super::crypt::{self, KeyFile, Signer};
use super::manifest::Manifest;
use super::pool::{self, Pool};
use super::restore::{Opened, records_of};
use super::target;
use super::{read_failed, write_failed};
use crate::base::{Error, Result};
use crate::store::{Store, seal};

const ARMOUR_HEAD: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const ARMOUR_END: &str = "-----END AGE ENCRYPTED FILE-----";
/// Characters of a line between them.
const ARMOUR_LINE: usize = 64;
/// Groups of four hex digits of an answer.
const ANSWER_GROUPS: usize = 5;
const ANSWER_DOMAIN: &[u8] = b"jiceng-challenge-1";

/// What is to be tried, and by whom.
pub struct Trial<'a> {
    /// The folder with the sets.
    pub from: &'a Path,
    /// Which set; the newest complete one when not named.
    pub set: Option<&'a str>,
    /// Who opens it.
    pub key: &'a KeyFile,
    /// A signer to believe besides the key file's.
    pub signer: Option<&'a str>,
    /// Where the throw-away folder may lie; beside the target when not named.
    pub place: Option<&'a Path>,
}

/// Restores a set with everything in it into a throw-away folder and checks it; then shows it to `look`, with an empty
/// folder for whatever that needs. Attachments that the pool lost make it fail.
pub fn drill<T>(
    trial: &Trial<'_>,
    look: &mut dyn FnMut(&Store, &Path) -> Result<T>,
) -> Result<(Manifest, Signer, T)> {
    let sets = target::sets(trial.from)?;
    let set = target::choose(&sets, trial.set)?;
    let opened = Opened::new(set, trial.key)?;
    opened.believe(trial.key, trial.signer)?;
    let opened = opened.with_list(set)?;
    let (data, _) = set.parts()?;
    opened.check_stamp(data, &data.intact()?)?;
    let parent = trial.from.canonicalize()?.parent().map(Path::to_owned);
    let places: Vec<PathBuf> = match trial.place {
        Some(place) => vec![place.to_owned()],
        None => parent.into_iter().chain([std::env::temp_dir()]).collect(),
    };
    let scratch = Scratch::within(&places)?;
    let (copy, stamp) = scratch.load(&opened.source(data, trial.key), &|_| Ok(()))?;
    opened.check_stamp(data, &stamp)?;
    opened.fetch(&copy, &Pool::of(trial.from))?;
    let lost = opened.confirm(&copy, None)?;
    if !lost.is_empty() {
        return Err(pool::lacking(lost.len(), &records_of(&lost)));
    }
    let seen = look(&copy, scratch.path())?;
    Ok((opened.manifest, opened.signer, seen))
}

/// A challenge to the holder of one key.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// What the holder gets, as text to print or to carry on a medium.
    pub text: String,
    /// What the right answer has: [`answer_digest`].
    pub digest: String,
}

/// Makes a challenge for a recipient `age1…`.
pub fn challenge(recipient: &str) -> Result<Challenge> {
    let groups = seal::random::<{ ANSWER_GROUPS * 2 }>()?;
    let groups: Vec<String> = groups.chunks(2).map(hex::encode).collect();
    let answer = groups.join("-");
    let recipient = Recipient::from_str(recipient).map_err(Error::internal)?;
    let all = [&recipient as &dyn age::Recipient];
    let encryptor = age::Encryptor::with_recipients(all.into_iter()).map_err(Error::internal)?;
    let mut sealed = encryptor.wrap_output(Vec::new()).map_err(write_failed)?;
    let sealed = sealed.write_all(answer.as_bytes()).and_then(|()| sealed.finish()).map_err(write_failed)?;
    Ok(Challenge { text: armour(&sealed), digest: answer_digest(&answer) })
}

/// What an answer is compared by: groups, blanks and case do not matter.
pub fn answer_digest(answer: &str) -> String {
    let plain: String = answer.chars().filter(char::is_ascii_alphanumeric).collect();
    hex::encode(seal::sha256(&[ANSWER_DOMAIN, plain.to_ascii_lowercase().as_bytes()]))
}

/// The answer to a challenge, for whoever holds its key.
pub fn answer(key: &KeyFile, text: &str) -> Result<String> {
    let name = "核对题";
    let sealed = unarmour(text).ok_or_else(|| {
        Error::invalid("这不是完整的密钥核对题。请从“演练与核对”页重新复制，包括首尾两行横线。")
    })?;
    let mut answer = String::new();
    let opened = crypt::decrypt(sealed.as_slice(), key.identity(), name)?;
    opened.take(1 << 10).read_to_string(&mut answer).map_err(|e| read_failed(name, e))?;
    Ok(answer)
}

/// The text form of age, as its own program writes it.
fn armour(bytes: &[u8]) -> String {
    let body = BASE64.encode(bytes);
    let mut text = format!("{ARMOUR_HEAD}\n");
    for line in body.as_bytes().chunks(ARMOUR_LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(ARMOUR_END);
    text.push('\n');
    text
}

fn unarmour(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(ARMOUR_HEAD)?;
    let (body, _) = rest.split_once(ARMOUR_END)?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Moment;

    #[test]
    fn only_the_holder_of_the_key_knows_the_answer() {
        let home = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|n| crypt::keygen(&home.path().join(n), None, Moment(0)).unwrap());
        let asked = challenge(&a.recipient).unwrap();
        let said = answer(&a, &format!("打印\r\n{}", asked.text.replace('\n', "\r\n  "))).unwrap();
        assert_eq!(answer_digest(&said), asked.digest);
        assert_eq!(answer_digest(&said.to_uppercase().replace('-', " ")), asked.digest);
        assert!(said.len() == 24 && !asked.text.contains(&said));
        assert!(answer(&b, &asked.text).is_err());
        assert_ne!(challenge(&a.recipient).unwrap().digest, asked.digest);
        let cut = &asked.text[..asked.text.len() - 40];
        assert!(answer(&a, cut).is_err() && answer(&a, "").is_err());
        assert!(asked.text.lines().all(|l| l.len() <= ARMOUR_LINE));
    }
}
