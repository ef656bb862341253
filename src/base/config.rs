//! The optional configuration file, `jiceng.toml`: where to listen, which certificate to show, where backups may go,
//! where change segments wait for another site, who may unlock the data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Error, Result, limits};

/// What can be configured. Every key may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: Option<SocketAddr>,
    /// The county's own certificate.
    pub tls: Option<Tls>,
    /// Backups by schedule and page.
    #[serde(default)]
    pub backup: Backup,
    /// Change segments for another site.
    pub offsite: Option<Offsite>,
    /// The socket of the system's log, `/dev/log`, to which heads of the journal and alarms go; nowhere when it is left
    /// out.
    pub syslog: Option<PathBuf>,
    /// The page that unlocks the data after a start at which no slot opened by itself.
    #[serde(default)]
    pub unlock: Unlock,
}

/// What the page may do with backups.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Folders below which targets may be chosen.
    pub roots: Vec<PathBuf>,
}

impl Default for Backup {
    fn default() -> Self {
        Self { roots: ["/srv/jiceng-backup", "/mnt", "/media"].map(PathBuf::from).into() }
    }
}

/// Where change segments wait for `jiceng ship`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offsite {
    /// The spool: a folder that is there already, of a group with the user who ships.
    pub spool: PathBuf,
    /// Seconds between two segments.
    #[serde(default = "every_s")]
    pub every_s: u64,
    /// Minutes that the other site may be behind before administrators are told.
    #[serde(default = "alarm_minutes")]
    pub alarm_minutes: i64,
}

fn every_s() -> u64 {
    limits::SEGMENT_DEFAULT_S
}

fn alarm_minutes() -> i64 {
    limits::OFFSITE_LAG_MIN
}

/// Who may reach the unlock page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// Addresses and networks (`10.1.2.3`, `10.1.0.0/16`); the machine itself alone when nothing is said.
    pub addresses: Vec<Network>,
}

impl Default for Unlock {
    fn default() -> Self {
        let [four, six] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        Self { addresses: vec![Network { address: four, bits: 8 }, Network { address: six, bits: 128 }] }
    }
}

/// An address, or all that begin like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The address is one of them. An IPv4 address within IPv6 counts as itself.
    pub fn holds(&self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u8| {
            let shift = u32::from(width - self.bits);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(a)) => same(u32::from(own).into(), u32::from(a).into(), 32),
            (IpAddr::V6(own), IpAddr::V6(a)) => same(own.into(), a.into(), 128),
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = || {
            let (address, bits) = text.split_once('/').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
            let address: IpAddr = address.trim().parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |b| b.trim().parse().ok())?;
            (bits <= most).then_some(Self { address, bits })
        };
        read().ok_or_else(|| format!("{text} 不是地址或网段"))
    }
}

/// Paths of an own certificate chain and its key, PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, own certificate first.
    pub certificate: PathBuf,
    /// Private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

impl Config {
    /// Reads a configuration file; paths in it are relative to its folder.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::usage(format!("读不到配置文件 {}。", path.display())).with_detail(e))?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|e| Error::usage(format!("配置文件 {} 有误：{}", path.display(), e.message())))?;
        let base = path.parent().unwrap_or(Path::new("."));
        if let Some(tls) = &mut config.tls {
            tls.certificate = base.join(&tls.certificate);
            tls.key = base.join(&tls.key);
        }
        if let Some(offsite) = &mut config.offsite {
            offsite.spool = base.join(&offsite.spool);
            let (every, most) = (offsite.every_s, limits::SEGMENT_S);
            if !(1..=most).contains(&every) || offsite.alarm_minutes < 1 {
                let message = format!(
                    "配置文件 {} 有误：[offsite] every_s 应为 1 至 {most}，alarm_minutes 至少为 1。",
                    path.display()
                );
                return Err(Error::usage(message));
            }
        }
        for root in &mut config.backup.roots {
            *root = base.join(&root);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_begins_like_them() {
        let network = |text: &str| Network::try_from(text.to_owned());
        for (text, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.0.0/16", "10.1.255.9", "10.2.0.1"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("10.1.2.3", "::ffff:10.1.2.3", "::ffff:10.1.2.4"),
        ] {
            let network = network(text).unwrap();
            assert!(network.holds(inside.parse().unwrap()) && !network.holds(outside.parse().unwrap()), "{text}");
        }
        assert!(["", "10.1", "10.1.0.0/33", "::/129", "10.0.0.0/x", "a.b"].iter().all(|t| network(t).is_err()));
    }

    #[test]
    fn nobody_but_the_machine_itself_unlocks_unless_it_is_said() {
        let here = |text: &str| Unlock::default().addresses.iter().any(|n| n.holds(text.parse().unwrap()));
        assert!(here("127.0.0.1") && here("::1") && !here("10.0.0.1") && !here("192.168.1.1") && !here("fd00::1"));
    }
}
