//! The policy of log-ins (登录安全策略): who must have a second factor, which profile passwords follow, and from where
//! administrators come in. The security administrator sets it; the other two see it.
//!
//! What must hold: a store in which nothing was set is one from before, and asks for nothing it did not ask for then;
//! no list of addresses shuts out whoever saves it, nor the host itself.

use std::net::IpAddr;

use super::ukey::Shown;
use super::{Actor, App, record};
use crate::base::config::Network;
use crate::base::{Error, RecordId, Result, limits};
use crate::records::{Fields, Value, account, act};
use crate::store::{Act, Snapshot, Txn, fact};

/// Tags of the stored policy (`data-format/store.md`).
mod tag {
    pub(super) const FACTOR: u16 = 16;
    pub(super) const PROFILE: u16 = 17;
    pub(super) const NETWORKS: u16 = 18;
    pub(super) const CERTIFICATES: u16 = 19;
}

/// Who must have a second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Whoever likes.
    #[default]
    Nobody,
    /// The three administrators, and who approves.
    Approvers,
    /// Every account.
    All,
}

impl Asked {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nobody, Self::Approvers, Self::All];

    /// Stored code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Approvers => "approvers",
            Self::All => "all",
        }
    }

    /// What users read.
    pub fn label(self) -> &'static str {
        match self {
            Self::Nobody => "不要求（各人自愿启用）",
            Self::Approvers => "三员和负责人（审批）",
            Self::All => "所有账户",
        }
    }

    fn by_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.code() == code)
    }

    /// Whoever has these roles is among them.
    fn means(self, actor: &Actor) -> bool {
        match self {
            Self::Nobody => false,
            Self::Approvers => actor.approves() || account::ADMINISTRATORS.into_iter().any(|role| actor.is(role)),
            Self::All => true,
        }
    }
}

/// What passwords must be like; article 15 of the regulation holds in either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// 等保: changed after 90 days, none of the last five.
    #[default]
    Dengbao,
    /// NIST SP 800-63B-4: longer where they stand alone, never changed by the calendar.
    Nist,
}

impl Profile {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Dengbao, Self::Nist];

    /// Stored code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Dengbao => "dengbao",
            Self::Nist => "nist",
        }
    }

    /// What users read.
    pub fn label(self) -> &'static str {
        match self {
            Self::Dengbao => "等保（90 天更换，不与最近 5 个相同）",
            Self::Nist => "NIST SP 800-63B（不定期更换；没有动态码的账户至少 15 位）",
        }
    }

    fn by_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.code() == code)
    }

    /// Shortest password, in characters.
    pub fn least(self, has_factor: bool) -> usize {
        match self {
            Self::Nist if !has_factor => limits::PASSWORD_ALONE_CHARS,
            _ => limits::PASSWORD_MIN_CHARS,
        }
    }
}

/// The policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Who must have a second factor.
    pub asked: Asked,
    /// What passwords must be like.
    pub profile: Profile,
    /// Networks that administrators come from, as typed; anywhere when there is none.
    pub networks: Vec<String>,
    /// Who must come in with a certificate.
    pub certificates: Asked,
}

impl Policy {
    /// That of a county that is set up anew.
    pub(super) fn first() -> Self {
        Self { asked: Asked::Approvers, ..Self::default() }
    }

    pub(super) fn of(snapshot: &Snapshot) -> Result<Self> {
        Ok(Self::read(&snapshot.kept(&name())?.unwrap_or_default()))
    }

    pub(super) fn of_txn(txn: &Txn<'_>) -> Result<Self> {
        Ok(Self::read(&txn.kept(&name())?.unwrap_or_default()))
    }

    pub(super) fn keep(&self, txn: &mut Txn<'_>) -> Result<()> {
        txn.keep(&name(), &self.written())
    }

    /// Must have a second factor.
    pub fn asks(&self, actor: &Actor) -> bool {
        self.asked.means(actor)
    }

    /// Must come in with a certificate.
    pub fn asks_certificate(&self, actor: &Actor) -> bool {
        self.certificates.means(actor)
    }

    /// Somebody must come in with a certificate.
    pub(super) fn asks_certificates(&self) -> bool {
        self.certificates != Asked::Nobody
    }

    /// May come in from this address. The host itself always may: somebody must be able to mend a list.
    pub fn admits(&self, roles: &[String], from: &str) -> bool {
        if self.networks.is_empty() || !account::ADMINISTRATORS.into_iter().any(|a| roles.iter().any(|r| r == a)) {
            return true;
        }
        let Ok(from) = from.parse::<IpAddr>() else { return false };
        let from = from.to_canonical();
        let networks = self.networks.iter().filter_map(|text| Network::try_from(text.clone()).ok());
        from.is_loopback() || networks.into_iter().any(|n| n.holds(from))
    }

    /// For the journal: who is asked, the profile, the networks.
    fn note(&self) -> String {
        let networks = if self.networks.is_empty() { "all".to_owned() } else { self.networks.join(",") };
        let (asked, profile, certificates) = (self.asked.code(), self.profile.code(), self.certificates.code());
        format!("{asked} {profile} networks {networks} certificates {certificates}")
    }

    /// What [`Policy::note`] says, in words; `None` of any other note.
    pub fn in_words(note: &str) -> Option<String> {
        let words: Vec<&str> = note.split(' ').collect();
        let (asked, profile, networks, certificates) = match words[..] {
            [asked, profile, "networks", networks] => (asked, profile, networks, Asked::Nobody.code()),
            [asked, profile, "networks", networks, "certificates", who] => (asked, profile, networks, who),
            _ => return None,
        };
        let (asked, profile) = (Asked::by_code(asked)?.label(), Profile::by_code(profile)?.label());
        let networks = if networks == "all" { "不限".to_owned() } else { networks.replace(',', "、") };
        let certificates = Asked::by_code(certificates)?.label();
        Some(format!(
            "必须启用动态码：{asked}；口令要求：{profile}；管理员登录地址：{networks}；必须用证书登录：{certificates}"
        ))
    }

    fn read(fields: &Fields) -> Self {
        Self {
            // A word that this program does not know asks for more rather than less.
            asked: match fields.text(tag::FACTOR) {
                "" => Asked::Nobody,
                code => Asked::by_code(code).unwrap_or(Asked::All),
            },
            profile: Profile::by_code(fields.text(tag::PROFILE)).unwrap_or_default(),
            networks: fields.codes(tag::NETWORKS).to_vec(),
            certificates: match fields.text(tag::CERTIFICATES) {
                "" => Asked::Nobody,
                code => Asked::by_code(code).unwrap_or(Asked::All),
            },
        }
    }

    fn written(&self) -> Fields {
        let fields = Fields::default()
            .with_text(tag::FACTOR, self.asked.code())
            .with_text(tag::PROFILE, self.profile.code());
        let fields = match self.certificates {
            Asked::Nobody => fields,
            who => fields.with_text(tag::CERTIFICATES, who.code()),
        };
        if self.networks.is_empty() { fields } else { fields.with(tag::NETWORKS, Value::Codes(self.networks.clone())) }
    }
}

fn name() -> String {
    format!("{}login", fact::POLICY)
}

/// The policy as somebody typed it.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// Code of who must have a second factor.
    pub asked: String,
    /// Code of the profile.
    pub profile: String,
    /// Networks, a line each.
    pub networks: String,
    /// Code of who must come in with a certificate; empty is nobody.
    pub certificates: String,
}

impl App {
    /// The policy of this moment.
    pub fn policy(&self) -> Result<Policy> {
        Policy::of(&self.store.read()?)
    }

    /// The policy, for the three administrators, and whether the actor may set it.
    pub fn policy_page(&self, actor: &Actor) -> Result<(Policy, bool)> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        Ok((self.policy()?, actor.is("secadmin")))
    }

    /// Sets it; `from` is the address of who does, `shown` the certificate of that connection, when it is good.
    pub fn set_policy(&self, actor: &Actor, typed: &Typed, from: &str, shown: Option<&Shown>) -> Result<()> {
        if !actor.is("secadmin") {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let policy = checked(typed)?;
        if !policy.admits(&actor.roles, from) {
            return Err(Error::invalid(format!(
                "没有保存：名单不含您现在的地址 {from}，保存后您自己也进不来。请把它加进名单。"
            )));
        }
        let (actor, shown) = (actor.clone(), shown.map(|s| s.key().to_owned()));
        self.store.submit(move |txn| {
            let live = record::live(txn, &actor)?;
            if !live.is("secadmin") {
                return Err(Error::denied());
            }
            if policy.asks_certificates() && !super::ukey::is_set(txn)? {
                return Err(Error::invalid("没有保存：还没有设置认可的 CA，谁也不能用证书登录。请先在“证书”页设置。"));
            }
            if policy.asks_certificate(&live) {
                certificates_reach(txn, &actor, shown.as_deref())?;
            }
            policy.keep(txn)?;
            txn.act(Act::new(actor.doer(), act::POLICY).note(policy.note()));
            Ok(())
        })
    }
}

/// Where the three must bring certificates each of them has one, and whoever says so shows the own one.
fn certificates_reach(txn: &Txn<'_>, actor: &Actor, shown: Option<&str>) -> Result<()> {
    let mut all = super::ukey::administrators(txn)?;
    all.sort_by_key(|one| one.id != actor.account);
    for one in all {
        let bound = one.fields.text(account::tag::CERTIFICATE);
        let own = one.id == actor.account;
        if bound.is_empty() {
            return Err(Error::invalid(if own {
                "没有保存：您自己的账户还没有绑定证书，保存后您自己也进不来。请先在“动态码”页绑定。"
            } else {
                "没有保存：还有管理员没有绑定证书，保存后他就进不来了。请三员都在“动态码”页绑定证书后再设置。"
            }));
        }
        if own && shown != Some(bound) {
            return Err(Error::invalid("没有保存：请用您绑定的证书打开本页后再保存，以免保存后您自己也进不来。"));
        }
    }
    Ok(())
}

fn checked(typed: &Typed) -> Result<Policy> {
    let choose = || Error::invalid("没有保存：请为每一项选择一个选项。");
    let words = typed.networks.split(|c: char| c.is_whitespace() || ",，;；、".contains(c));
    let mut networks: Vec<String> = Vec::new();
    for word in words.filter(|w| !w.is_empty()) {
        Network::try_from(word.to_owned())
            .map_err(|e| Error::invalid(format!("没有保存：{e}。每行一个，如 10.1.2.3 或 10.1.0.0/16。")))?;
        if !networks.iter().any(|n| n == word) {
            networks.push(word.to_owned());
        }
    }
    if networks.len() > limits::NETWORKS {
        return Err(Error::invalid(format!("没有保存：地址或网段最多 {} 个，请合并成更大的网段。", limits::NETWORKS)));
    }
    Ok(Policy {
        asked: Asked::by_code(&typed.asked).ok_or_else(choose)?,
        profile: Profile::by_code(&typed.profile).ok_or_else(choose)?,
        networks,
        certificates: match typed.certificates.as_str() {
            "" => Asked::Nobody,
            code => Asked::by_code(code).ok_or_else(choose)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Moment;
    use crate::records::{Author, decide};

    fn roles(role: &str) -> Vec<String> {
        vec![role.to_owned()]
    }

    fn holder(role: &str) -> Actor {
        let fields = Fields::default().with(account::tag::ROLES, Value::Codes(vec![role.to_owned()]));
        let author = Author { account: RecordId(0), unit: RecordId(0) };
        Actor::of(&decide::create(&account::KIND, fields, author, Moment(0)).unwrap(), "test")
    }

    #[test]
    fn what_was_never_set_asks_for_nothing_and_what_is_set_comes_back() {
        let none = Policy::read(&Fields::default());
        assert_eq!(none, Policy::default());
        assert!(account::ROLES.entries.iter().all(|r| !none.asks(&holder(r.code))));
        for asked in Asked::ALL {
            for profile in Profile::ALL {
                let networks = if asked == Asked::All { vec!["10.0.0.0/8".to_owned()] } else { Vec::new() };
                let policy = Policy { asked, profile, networks, certificates: asked };
                assert_eq!(Policy::read(&policy.written()), policy);
                assert!(Policy::in_words(&policy.note()).unwrap().contains(asked.label()));
            }
        }
        let newer = Policy::read(&Fields::default().with_text(tag::FACTOR, "everybody-twice"));
        assert!(newer.asks(&holder("handler")));
    }

    #[test]
    fn administrators_and_approvers_are_asked_first() {
        let first = Policy::first();
        for role in ["sysadmin", "secadmin", "auditor", "approver", "petition-office"] {
            assert!(first.asks(&holder(role)), "{role}");
        }
        assert!(!first.asks(&holder("handler")));
        assert!(!first.asks(&holder("")));
        assert!(Policy { asked: Asked::All, ..first }.asks(&holder("")));
    }

    #[test]
    fn the_list_holds_for_administrators_and_never_for_the_host_itself() {
        let policy = Policy { networks: vec!["10.1.0.0/16".into(), "fd00::/8".into()], ..Policy::default() };
        for (from, admitted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("fd00::9", true),
            ("10.2.0.1", false),
            ("", false),
            ("127.0.0.1", true),
            ("::1", true),
        ] {
            assert_eq!(policy.admits(&roles("auditor"), from), admitted, "{from}");
            assert!(policy.admits(&roles("handler"), from) && Policy::default().admits(&roles("auditor"), from));
        }
    }

    #[test]
    fn article_15_holds_in_every_profile() {
        for (profile, has_factor, least) in [
            (Profile::Dengbao, false, 10),
            (Profile::Dengbao, true, 10),
            (Profile::Nist, false, 15),
            (Profile::Nist, true, 10),
        ] {
            assert_eq!(profile.least(has_factor), least);
        }
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_refused_with_what_is_wrong() {
        let typed = |asked: &str, profile: &str, networks: &str| Typed {
            asked: asked.into(),
            profile: profile.into(),
            networks: networks.into(),
            certificates: String::new(),
        };
        let good = checked(&typed("approvers", "nist", "10.0.0.1\n10.2.0.0/16，10.0.0.1")).unwrap();
        assert_eq!(good.networks, ["10.0.0.1", "10.2.0.0/16"]);
        for bad in [typed("", "nist", ""), typed("approvers", "x", ""), typed("approvers", "nist", "10.0.0.0/40")] {
            assert!(checked(&bad).unwrap_err().public().starts_with("没有保存"));
        }
    }
}
