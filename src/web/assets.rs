//! Static assets: embedded, named by their hash, compressed once, cached for good.

use std::io::Write;
use std::sync::LazyLock;

use maud::{Markup, html};

use super::guard::Call;
use super::respond::Reply;
use crate::base::{Error, Result};
use crate::store::seal::sha256;

/// An asset as it is sent.
pub struct Asset {
    /// Name with hash.
    pub name: String,
    /// Media type.
    pub kind: &'static str,
    /// Bytes.
    pub plain: &'static [u8],
    /// Bytes, gzip.
    pub packed: Vec<u8>,
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset("style", "css", "text/css; charset=utf-8", include_bytes!("../../web/style.css")));

static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_bytes!("../../web/icon.svg")));

/// Keys for who types all day. Pages work without them, as without the other script.
static KEYS: LazyLock<Asset> =
    LazyLock::new(|| asset("keys", "js", "text/javascript; charset=utf-8", include_bytes!("../../web/keys.js")));

/// Offers while somebody types into a search box.
static SUGGEST: LazyLock<Asset> = LazyLock::new(|| {
    asset("suggest", "js", "text/javascript; charset=utf-8", include_bytes!("../../web/suggest.js"))
});

/// What the head of a page links to; pages without a menu have no use for scripts.
pub fn links(style_href: &str, scripts: bool) -> Markup {
    html! {
        link rel="stylesheet" href=(style_href);
        link rel="icon" type="image/svg+xml" href={ "/assets/" (ICON.name) };
        @if scripts { @for script in [&KEYS, &SUGGEST] { script src={ "/assets/" (script.name) } defer {} } }
    }
}

/// Address of the style sheet.
pub fn style_href() -> &'static str {
    static HREF: LazyLock<String> = LazyLock::new(|| format!("/assets/{}", STYLE.name));
    &HREF
}

/// Answers for an asset.
pub(super) fn serve(call: &Call) -> Result<Reply> {
    named(call.param("name")).map(Reply::Asset).ok_or_else(Error::denied)
}

/// The asset of this name.
pub(super) fn named(name: &str) -> Option<&'static Asset> {
    [&*STYLE, &*ICON, &*KEYS, &*SUGGEST].into_iter().find(|a| a.name == name)
}

fn asset(stem: &str, extension: &str, kind: &'static str, plain: &'static [u8]) -> Asset {
    let hash = hex::encode(&sha256(&[plain])[..8]);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let packed = packer.write_all(plain).and_then(|()| packer.finish()).unwrap_or_default();
    Asset { name: format!("{stem}-{hash}.{extension}"), kind, plain, packed }
}
