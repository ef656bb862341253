//! Drafts on their pages: kept from the form by a button, listed on the desk and above an empty form, gone on with, and
//! thrown away. What may be stored is not decided here.

use maud::{Markup, html};

use crate::app::change::{SaveError, Typed};
use crate::app::draft::Line;
use crate::base::Result;
use crate::records::Kind;
use crate::records::field::{self, Raw};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::pages::edit::{self, Again};
use crate::web::respond::Reply;
use crate::web::view;

/// Said of a draft that article 16 keeps off the disk.
const IN_MEMORY: &str = "草稿只暂存在服务器内存中，没有写入磁盘：被检举控告人还没有填写，或其职级未填、待核实、属科级及以上\
（管理办法第十六条）。服务重启或十小时后草稿即消失，请尽快补全后登记。";
const STORED: &str = "草稿已加密保存，只有您能看到；登记后自动删除。";

/// The draft a form belongs to; anything that is no id of a draft is none.
pub fn id_of(raw: &Raw) -> &str {
    let id = field::first(raw, "draft");
    if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) { id } else { "" }
}

/// Keeps the form and shows it again.
pub fn keep(call: &Call, kind: &'static Kind, typed: Typed) -> Result<Reply> {
    // The form's own id at the first time: a double click keeps one draft.
    let own = id_of(&call.raw);
    let id = if own.is_empty() { call.submit_id() } else { own };
    let kept = match id {
        "" => Err(SaveError::Failed(crate::base::Error::invalid("表单不完整，请刷新后重试。"))),
        id => call.app.keep_draft(&call.live()?.actor, kind, id, typed),
    };
    match kept {
        Ok(_) => {
            call.app.unpark(&call.live()?.actor.login);
            Ok(Reply::Redirect(format!("/{}/new?draft={id}&kept=1", kind.name)))
        }
        Err(error) => edit::refused(call, kind, error, |call, again| edit::new_page(call, kind, again)),
    }
}

/// The form of a draft, as far as it was filled in.
pub fn go_on(call: &Call, kind: &'static Kind) -> Result<Reply> {
    let id = call.asked("draft");
    let Some(draft) = call.app.draft(&call.live()?.actor, kind, &id)? else {
        return Ok(Reply::Redirect(format!("/{}/new", kind.name)));
    };
    let mut raw = draft.raw;
    raw.push(("draft".to_owned(), id));
    let notice = match (draft.in_memory, call.asked("kept") == "1") {
        (true, _) if draft.lost > 0 => {
            Some((NoticeKind::Warn, format!("{IN_MEMORY}有 {} 个附件需要重新选择。", draft.lost)))
        }
        (true, _) => Some((NoticeKind::Warn, IN_MEMORY.to_owned())),
        (false, true) => Some((NoticeKind::Ok, STORED.to_owned())),
        (false, false) => Some((NoticeKind::Info, "这是您的草稿，尚未登记。".to_owned())),
    };
    edit::new_page(call, kind, Again { raw, notice, staged: draft.staged, ..Again::default() })
        .map(Reply::page)
}

/// Throws one away.
pub fn throw(call: &Call) -> Result<Reply> {
    call.app.throw_draft(&call.live()?.actor, call.param("id"))?;
    Ok(Reply::Redirect("/?done=thrown".into()))
}

/// Drafts of this person, for the desk.
pub fn own(call: &Call) -> Result<Markup> {
    let drafts = call.app.drafts(&call.live()?.actor)?;
    card(call, &drafts)
}

/// Drafts of this kind besides the one that is shown.
pub fn others(call: &Call, kind: &Kind, raw: &Raw) -> Result<Markup> {
    let mut drafts = call.app.drafts(&call.live()?.actor)?;
    drafts.retain(|d| d.kind.tag == kind.tag && d.id != id_of(raw));
    card(call, &drafts)
}

fn card(call: &Call, drafts: &[Line]) -> Result<Markup> {
    if drafts.is_empty() {
        return Ok(html! {});
    }
    let live = call.live()?;
    Ok(html! {
        section.card.no-print {
            h2 { "我的草稿" span.count { (drafts.len()) } }
            ul.lines { @for d in drafts { li {
                (Icon::Edit.svg())
                a.grow href=(format!("/{}/new?draft={}", d.kind.name, d.id)) {
                    @if d.title.is_empty() { "（未填标题）" } @else { (d.title) }
                }
                @if d.in_memory { (layout::chip(ChipKind::Warn, "仅在内存")) }
                span.muted.small { (d.kind.label) }
                span.when { (d.at) }
                form method="post" action=(format!("/drafts/{}", d.id)) {
                    (view::hidden(live))
                    button.btn-link.btn-danger type="submit" aria-label=(format!("删除草稿 {}", d.title)) { "删除" }
                }
            } } }
        }
    })
}
