//! The optional configuration file, `jiceng.toml`: where to listen, which certificate to show, where backups may go.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Error, Result};

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
        for root in &mut config.backup.roots {
            *root = base.join(&root);
        }
        Ok(config)
    }
}
