//! Devices that somebody logged in from before. A browser keeps a random number and, for each account that came in from
//! it, a keyed hash of both that only this store can make; no name stands there, and nothing is stored here.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::login::{Attempt, folded};
use super::throttle::Guest;
use super::App;
use crate::base::{Result, limits};
use crate::store::seal;

/// Hex digits of the number and of each hash.
const DIGITS: usize = 32;

impl App {
    /// Who is at the door, for the account of this folded name.
    pub(super) fn guest(&self, name: &str, attempt: &Attempt<'_>) -> Guest {
        let mark = attempt.device.and_then(parse);
        let known = mark.filter(|(id, hashes)| {
            let own = self.device_hash(id, name);
            hashes.iter().any(|h| verify_slices_are_equal(own.as_bytes(), h.as_bytes()).is_ok())
        });
        known.map_or_else(|| Guest::Stranger(attempt.from.to_owned()), |(id, _)| Guest::Known(id.to_owned()))
    }

    /// The mark of a device from which this account came in, beside the accounts that did before.
    pub(super) fn device_mark(&self, before: Option<&str>, name: &str) -> Result<String> {
        let fresh = hex::encode(seal::random::<16>()?);
        let (id, others) = before.and_then(parse).unwrap_or((&fresh, Vec::new()));
        let own = self.device_hash(id, &folded(name));
        let others = others.into_iter().filter(|h| *h != own).take(limits::DEVICE_ACCOUNTS - 1);
        Ok(others.fold(format!("{id}.{own}"), |mark, hash| format!("{mark}.{hash}")))
    }

    fn device_hash(&self, id: &str, name: &str) -> String {
        hex::encode(self.store.mac("device", format!("{id}\0{name}").as_bytes()))
    }
}

/// The number and the hashes of a mark; `None` for anything that is none.
fn parse(mark: &str) -> Option<(&str, Vec<&str>)> {
    let mut parts = mark.split('.');
    let id = parts.next()?;
    let hashes: Vec<&str> = parts.collect();
    let is_hex = |part: &&str| part.len() == DIGITS && part.bytes().all(|b| b.is_ascii_hexdigit());
    let whole = is_hex(&id) && hashes.iter().all(is_hex) && hashes.len() <= limits::DEVICE_ACCOUNTS;
    whole.then_some((id, hashes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::demo;
    use crate::base::clock::SystemClock;

    /// ASVS 3.3.5
    #[test]
    fn a_device_is_known_to_accounts_that_came_in_from_it_and_to_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| demo::create(&dir.path().join(name), Arc::new(SystemClock), true).unwrap();
        let (app, other) = (make("a"), make("b"));
        let guest = |app: &App, name: &str, device: Option<&str>| {
            app.guest(name, &Attempt { from: "10.0.0.1", device, ..Attempt::default() })
        };
        let stranger = Guest::Stranger("10.0.0.1".into());
        let mark = app.device_mark(None, "zhen04").unwrap();
        assert!(!mark.contains("zhen") && guest(&app, "zhen04", Some(&mark)).is_known());
        assert_eq!(guest(&app, "zhen05", Some(&mark)), stranger);
        assert_eq!(guest(&other, "zhen04", Some(&mark)), stranger, "of another county");
        assert_eq!(guest(&app, "zhen04", None), stranger);
        // A second account at the same desk; both are known, with allowances of their own.
        let both = app.device_mark(Some(&mark), "zhen05").unwrap();
        assert!(guest(&app, "zhen04", Some(&both)).is_known() && guest(&app, "zhen05", Some(&both)).is_known());
        // Hashes of one number are worth nothing beside another.
        let swapped = format!("{}{}", "0".repeat(DIGITS), &mark[DIGITS..]);
        for forged in [swapped.as_str(), "", "x", &mark[..DIGITS], &format!("{mark}."), &mark.replace('.', "..")] {
            assert_eq!(guest(&app, "zhen04", Some(forged)), stranger, "{forged}");
        }
        let mut mark = mark;
        for n in 0..20 {
            mark = app.device_mark(Some(&mark), &format!("person{n}")).unwrap();
        }
        assert_eq!(mark.split('.').count(), 1 + limits::DEVICE_ACCOUNTS);
        assert!(guest(&app, "person19", Some(&mark)).is_known() && !guest(&app, "zhen04", Some(&mark)).is_known());
    }
}
