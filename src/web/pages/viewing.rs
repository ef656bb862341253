//! An attachment looked at in the page: the picture or document with the way to the next one, and its bytes under
//! a policy of their own. What can be looked at is decided by `app`; everything else stays a download.

use maud::{Markup, html};

use crate::app::viewing::Look;
use crate::base::{Error, RecordId, Result};
use crate::records::{FileRef, Kind};
use crate::web::guard::Call;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The page around one attachment.
pub fn show(call: &Call) -> Result<Reply> {
    let (kind, id, place) = (call.kind()?, call.id()?, place(call)?);
    let (record, files) = call.app.viewing(&call.live()?.actor, kind, id)?;
    let looked = |n: usize| files.get(n).and_then(|(_, look)| *look);
    let look = looked(place).ok_or_else(Error::denied)?;
    let places: Vec<usize> = (0..files.len()).filter(|n| looked(*n).is_some()).collect();
    let back = format!("/{}/{id}", kind.name);
    let outline = Outline {
        title: files[place].0.name.clone(),
        tab: view::tab(kind, &record).map(|tab| format!("附件：{tab}")),
        current: format!("/{}", kind.name),
        crumbs: vec![
            (kind.label.to_owned(), format!("/{}", kind.name)),
            (kind.title_of(&record), back.clone()),
            ("附件".to_owned(), String::new()),
        ],
        actions: Some(html! {
            a.btn href=(back) accesskey="b" { "返回" }
            a.btn href=(address(kind, id, place)) download { "下载" }
        }),
        watermark: true,
        ..Outline::default()
    };
    let content = html! {
        section.section {
            @if places.len() > 1 { (turn(kind, id, place, &places)) }
            (scan(kind, id, place, &files[place].0, look))
            p.help.no-print { "每次查看都记入日志。" }
        }
    };
    let page = view::framed(&call.app, call.live()?, outline, content)?;
    Ok(if look.is_picture() { Reply::page(page) } else { Reply::Viewer(page) })
}

/// The bytes of it, for the page around it.
pub fn inline(call: &Call) -> Result<Reply> {
    let shown = call.app.shown_attachment(&call.live()?.actor, call.kind()?, call.id()?, place(call)?)?;
    Ok(Reply::Inline(Box::new(shown)))
}

fn place(call: &Call) -> Result<usize> {
    call.param("place").parse().map_err(|_| Error::denied())
}

fn address(kind: &Kind, id: RecordId, place: usize) -> String {
    format!("/{}/{id}/files/{place}", kind.name)
}

fn scan(kind: &Kind, id: RecordId, place: usize, file: &FileRef, look: Look) -> Markup {
    let bytes = format!("{}/inline", address(kind, id, place));
    html! {
        @if look.is_picture() {
            img.scan src=(bytes) alt=(format!("{}（图片显示不出来时，请下载后查看）", file.name));
        } @else {
            object.scan.scan-pages data=(bytes) type=(look.media_type()) aria-label=(file.name) {
                p { "这个 PDF 不能在页面中显示（带有脚本、设有密码，或浏览器不支持），请"
                    a href=(address(kind, id, place)) download { "下载" } "后查看。" }
            }
        }
    }
}

/// The way through the attachments that can be looked at.
fn turn(kind: &Kind, id: RecordId, place: usize, places: &[usize]) -> Markup {
    let here = places.iter().position(|p| *p == place).unwrap_or(0);
    let to = |n: usize| format!("{}/view", address(kind, id, places[n]));
    html! {
        nav.pager aria-label="附件" {
            span.total { "第 " (here + 1) " / " (places.len()) " 个可查看的附件" }
            @if here > 0 { a href=(to(here - 1)) rel="prev" { "上一个" } } @else { span.off { "上一个" } }
            @if here + 1 < places.len() { a href=(to(here + 1)) rel="next" { "下一个" } }
            @else { span.off { "下一个" } }
        }
    }
}
