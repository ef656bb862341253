//! Entering and changing records of any kind. Whatever goes wrong, the form comes back with everything typed.

use maud::{Markup, html};

use crate::app::change::{IDENTITY_OPEN, IDENTITY_REASON, IDENTITY_SHOW, SaveError, Typed, types_identity};
use crate::app::record::identity_fields;
use crate::app::stage::Waiting;
use crate::app::{Right, Scope};
use crate::base::{Error, ErrorKind, RecordId, Result};
use crate::records::decide;
use crate::records::field::{self, Problem, Raw};
use crate::records::{Field, FileRef, Kind, Part, Record, account, petition, rank};
use crate::store::seal;
use crate::web::form::{self, Form, Identity};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::pages::{draft, proof, repeats, review};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// What a form page shows besides the kind.
#[derive(Default)]
pub struct Again {
    /// Typed pairs.
    pub raw: Raw,
    /// What must be mended.
    pub problems: Vec<Problem>,
    /// A message on top.
    pub notice: Option<(NoticeKind, String)>,
    /// The record as somebody else left it.
    pub theirs: Option<Record>,
    /// Uploads that wait.
    pub staged: Vec<Waiting>,
    /// What stands above the form.
    pub above: Option<Markup>,
}

/// An empty form, or a draft that is gone on with.
pub fn new(call: &Call) -> Result<Reply> {
    let kind = creatable(call)?;
    if !call.asked("draft").is_empty() {
        return draft::go_on(call, kind);
    }
    let raw = field::to_raw(kind.fields, &(kind.preset)(call.app.now().day()));
    new_page(call, kind, Again { raw, ..Again::default() }).map(Reply::page)
}

/// Enters the record.
pub fn create(call: &Call) -> Result<Reply> {
    let kind = creatable(call).or_else(|e| call.discard_files().and(Err(e)))?;
    let actor = &call.live()?.actor;
    if call.typed("keep") == "draft" && call.file_problem.is_none() {
        return draft::keep(call, kind, typed(call));
    }
    if call.typed("keep") == "repeats" && kind.tag == petition::KIND.tag && !gated(call, kind) {
        let above = Some(repeats::above_form(call, kind)?);
        let again = Again { raw: call.raw.clone(), staged: waiting(call)?, above, ..Again::default() };
        return new_page(call, kind, again).map(Reply::again);
    }
    if only_more_rows(call, kind) {
        let staged = waiting(call)?;
        return new_page(call, kind, Again { raw: call.raw.clone(), staged, ..Again::default() }).map(Reply::again);
    }
    let typed = typed(call);
    let again = |call: &Call, again: Again| match &again.theirs {
        // The form made this record already and was gone back to: what it says now is a change of the record.
        Some(made) => edit_page(call, kind, &call.app.for_edit(actor, kind, made.id)?, again),
        None => new_page(call, kind, again),
    };
    match saved(call, || call.app.create(actor, kind, typed)) {
        Ok(id) => {
            call.app.unpark(&actor.login);
            to_record(call, kind, id, "created")
        }
        Err(error) => refused(call, kind, error, again),
    }
}

/// The form of a record.
pub fn edit(call: &Call) -> Result<Reply> {
    let kind = call.kind()?;
    let record = call.app.for_edit(&call.live()?.actor, kind, call.id()?)?;
    if kind.flow.is_void(record.state) || record.is_purged() {
        return Ok(Reply::Redirect(format!("/{}/{}", kind.name, record.id)));
    }
    let raw = field::to_raw(kind.fields, &record.fields);
    edit_page(call, kind, &record, Again { raw, ..Again::default() }).map(Reply::page)
}

/// Changes the record.
pub fn amend(call: &Call) -> Result<Reply> {
    let (kind, id) = (call.kind()?, call.id()?);
    let actor = &call.live()?.actor;
    let current = || call.app.for_edit(actor, kind, id);
    if only_more_rows(call, kind) {
        let staged = waiting(call)?;
        let again = Again { raw: call.raw.clone(), staged, ..Again::default() };
        return edit_page(call, kind, &at_typed_version(call, current()?), again).map(Reply::again);
    }
    if !call.typed(review::PREVIEW).is_empty() && kind.tag == account::KIND.tag {
        let above = Some(review::preview(call, id)?);
        let again = Again { raw: call.raw.clone(), above, ..Again::default() };
        return edit_page(call, kind, &at_typed_version(call, current()?), again).map(Reply::page);
    }
    if wants_identity(call, kind) {
        return reveal(call, kind, id);
    }
    let version = call.typed("version").parse().map_err(|_| Error::invalid("表单不完整，请刷新后重试。"));
    let version = version.or_else(|e| call.discard_files().and(Err(e)))?;
    let typed = Typed { revealed: call.app.has_revealed(call.live()?, id), ..typed(call) };
    match saved(call, || call.app.amend(actor, kind, (id, version), typed)) {
        Ok(_) => {
            call.app.unpark(&actor.login);
            to_record(call, kind, id, "changed")
        }
        Err(error) => refused(call, kind, error, |call, again| {
            let shown = current()?;
            // After a conflict the form is made of the newest version: saving again is a decision.
            let shown = if again.theirs.is_some() { shown } else { at_typed_version(call, shown) };
            edit_page(call, kind, &shown, again)
        }),
    }
}

/// To the record that was saved, or, where it names this very person, to the list.
fn to_record(call: &Call, kind: &'static Kind, id: RecordId, done: &str) -> Result<Reply> {
    let open = call.app.can_open(&call.live()?.actor, kind, id)?;
    let (place, done) = if open { (format!("/{id}?"), done) } else { ("?all=1&".to_owned(), "kept-out") };
    Ok(Reply::Redirect(format!("/{}{place}done={done}", kind.name)))
}

/// The identity is to be shown: its button was pressed, or a reason typed and Enter pressed.
fn wants_identity(call: &Call, kind: &'static Kind) -> bool {
    let asked = !call.typed(IDENTITY_SHOW).is_empty() || !call.typed(IDENTITY_REASON).is_empty();
    asked && call.typed(IDENTITY_OPEN).is_empty() && !gated(call, kind)
}

/// The same form with the identity in it, when the reason is one; what was typed stays, here too.
fn reveal(call: &Call, kind: &'static Kind, id: RecordId) -> Result<Reply> {
    let live = call.live()?;
    let record = at_typed_version(call, call.app.for_edit(&live.actor, kind, id)?);
    let mut again = Again { staged: waiting(call)?, ..Again::default() };
    again.problems.extend(call.file_problem.iter().map(|p| ("upload".to_owned(), p.clone())));
    again.raw.clone_from(&call.raw);
    if call.typed("version").is_empty() {
        again.raw.extend(field::to_raw(kind.fields, &record.fields));
    }
    match call.app.reveal_for_edit(live, &call.own, (kind, id), call.typed(IDENTITY_REASON)) {
        Ok(opened) => {
            let names: Vec<&str> = identity_fields(kind).map(|f| f.name).collect();
            again.raw.retain(|(n, v)| {
                let shown = names.contains(&n.as_str()) && v.trim().is_empty();
                !shown && n != IDENTITY_REASON && n != IDENTITY_SHOW
            });
            let mut stored = field::to_raw(kind.fields, &opened.fields);
            stored.retain(|(n, _)| names.contains(&n.as_str()) && !again.raw.iter().any(|(m, _)| m == n));
            again.raw.extend(stored);
            again.raw.push((IDENTITY_OPEN.to_owned(), "1".to_owned()));
            edit_page(call, kind, &record, again).map(Reply::page)
        }
        Err(e) if e.kind() == ErrorKind::Invalid => {
            again.problems.push((IDENTITY_REASON.to_owned(), e.public().to_owned()));
            edit_page(call, kind, &record, again).map(Reply::again)
        }
        Err(e) => Err(e),
    }
}

/// What the form of a record does with the identity. A form that was made without it must never empty it.
fn identity(call: &Call, kind: &'static Kind, record: &Record, raw: &Raw) -> Result<Identity> {
    let live = call.live()?;
    if identity_fields(kind).next().is_none() || !live.actor.may_identify(kind, record.unit) {
        return Ok(Identity::Absent);
    }
    let opened = !field::first(raw, IDENTITY_OPEN).is_empty() && call.app.has_revealed(live, record.id);
    Ok(if opened || !call.app.has_identity(record.id)? { Identity::Open } else { Identity::Hidden })
}

/// The page of a new record.
pub fn new_page(call: &Call, kind: &'static Kind, again: Again) -> Result<Markup> {
    let title = format!("{}{}", if kind.owned { "登记" } else { "新增" }, kind.label);
    page(call, kind, None, &title, again)
}

/// The page of an existing record.
pub fn edit_page(call: &Call, kind: &'static Kind, record: &Record, again: Again) -> Result<Markup> {
    let title = format!("修改{}", kind.label);
    page(call, kind, Some(record), &title, again)
}

fn page(call: &Call, kind: &'static Kind, record: Option<&Record>, title: &str, again: Again) -> Result<Markup> {
    let live = call.live()?;
    let directory = call.app.directory()?;
    let list = format!("/{}", kind.name);
    let (action, cancel) = match record {
        None => (format!("{list}/new"), list.clone()),
        Some(r) => (format!("{list}/{}/edit", r.id), format!("{list}/{}", r.id)),
    };
    let identity = record.map_or(Ok(Identity::Absent), |r| identity(call, kind, r, &again.raw))?;
    let masked = identity == Identity::Hidden && !types_identity(kind, &again.raw);
    let may_type =
        |f: &Field| live.actor.may_type(kind, f, record) && !(masked && f.part == Part::Identity);
    let files: &[FileRef] = record.map_or(&[], |r| {
        let tag = kind.fields.iter().find(|f| matches!(f.widget, crate::records::Widget::Files));
        tag.map_or(&[], |f| r.fields.files(f.tag))
    });
    // What the record has already stands among its own files.
    let staged: Vec<Waiting> =
        again.staged.iter().filter(|w| !files.iter().any(|f| f.blob == w.blob)).cloned().collect();
    let mut crumbs = vec![(kind.label.to_owned(), list.clone())];
    crumbs.extend(record.map(|r| (kind.title_of(r), cancel.clone())));
    crumbs.push((title.to_owned(), String::new()));
    let outline = Outline {
        title: title.to_owned(),
        current: list,
        crumbs,
        notice: again.notice,
        watermark: kind.sensitive,
        ..Outline::default()
    };
    let drafts = if record.is_none() { draft::others(call, kind, &again.raw)? } else { html! {} };
    let conflict = again.theirs.as_ref().map(|theirs| conflict(kind, theirs, &again.raw));
    let proof = if identity == Identity::Hidden { proof::fields_if_needed(call, "identity")? } else { html! {} };
    let shown = form::form(live, &directory, &Form {
        kind,
        action,
        cancel,
        raw: &again.raw,
        problems: &again.problems,
        may_type: &may_type,
        identity,
        proof: &proof,
        version: record.map(|r| r.version),
        submit: hex::encode(seal::random::<16>()?),
        look: (kind.tag == account::KIND.tag && live.actor.is("secadmin")).then_some("预览权限"),
        files,
        staged: &staged,
    });
    let above = [conflict, again.above];
    view::framed(&call.app, live, outline, html! { (drafts) @for a in above.into_iter().flatten() { (a) } (shown) })
}

/// Both texts side by side, for every field that differs.
fn conflict(kind: &'static Kind, theirs: &Record, raw: &Raw) -> Markup {
    let mine = field::parse(kind.fields, raw).0;
    let differs = |f: &&Field| {
        f.typed() && f.part == Part::Main && theirs.fields.get(f.tag) != mine.get(f.tag)
    };
    html! {
        section.section {
            h2 { "与系统里现在的内容对照" }
            @for f in kind.fields.iter().filter(differs) {
                h3 { (f.label) }
                div.side-by-side {
                    div { h3 { "您填写的" } div.prose { (mine.display(kind.fields, f.tag)) } }
                    div { h3 { "现在系统里的" } div.prose { (theirs.fields.display(kind.fields, f.tag)) } }
                }
            }
        }
    }
}

/// Saves, unless a file of the form was not taken: then nothing is saved in silence.
fn saved<T>(call: &Call, save: impl FnOnce() -> Result<T, SaveError>) -> Result<T, SaveError> {
    match &call.file_problem {
        Some(problem) => Err(SaveError::Problems(vec![("upload".to_owned(), problem.clone())])),
        None => save(),
    }
}

pub(super) fn refused(
    call: &Call,
    kind: &'static Kind,
    error: SaveError,
    again: impl Fn(&Call, Again) -> Result<Markup>,
) -> Result<Reply> {
    let raw = call.raw.clone();
    let mut shown = Again { raw, ..Again::default() };
    match error {
        SaveError::Gate => return gate(call, kind),
        SaveError::Problems(problems) => shown.problems = problems,
        SaveError::Stale(record) => {
            let number = kind.number_of(&record);
            let already = call.path.ends_with("/new");
            let what = if already { format!("这张表单已经登记为 {number}") } else { "保存前，这条记录已被别人修改".to_owned() };
            let text = format!("{what}。请对照下面两份内容，确认后再保存；直接保存将以您填写的为准。");
            shown.notice = Some((NoticeKind::Warn, text));
            shown.theirs = Some(*record);
        }
        SaveError::Failed(e) if e.kind() == ErrorKind::Denied => return Err(e),
        SaveError::Failed(e) => shown.notice = Some((NoticeKind::Bad, e.public().to_owned())),
    }
    shown.staged = waiting(call)?;
    again(call, shown).map(Reply::again)
}

/// Article 16: guidance, and nothing of what was typed.
fn gate(call: &Call, kind: &'static Kind) -> Result<Reply> {
    let outline = Outline {
        title: "未予登记".into(),
        current: format!("/{}", kind.name),
        crumbs: vec![(kind.label.into(), format!("/{}", kind.name)), ("未予登记".into(), String::new())],
        ..Outline::default()
    };
    let back = html! { a.btn.btn-primary href=(format!("/{}", kind.name)) { "知道了" } };
    let content = layout::empty(Icon::Lock, rank::GUIDANCE, back);
    view::framed(&call.app, call.live()?, outline, content).map(Reply::again)
}

fn creatable(call: &Call) -> Result<&'static Kind> {
    let kind = call.kind()?;
    let may = call.live()?.actor.scope(kind, Right::Create) > Scope::Nothing && kind.group.is_some();
    if may { Ok(kind) } else { Err(Error::denied()) }
}

/// Another row is wanted and nothing saved yet; a form that article 16 refuses is refused all the same.
fn only_more_rows(call: &Call, kind: &'static Kind) -> bool {
    !call.typed("rows.add").is_empty() && !gated(call, kind)
}

fn gated(call: &Call, kind: &'static Kind) -> bool {
    decide::gate_refuses(kind, &field::parse(kind.fields, &call.raw).0)
}

/// Keeps new uploads for the next try, after those that waited from an earlier one.
fn waiting(call: &Call) -> Result<Vec<Waiting>> {
    call.app.stage(&call.live()?.actor, &every(&call.raw, "staged"), call.files.clone())
}

fn every(raw: &Raw, name: &str) -> Vec<String> {
    raw.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
}

fn typed(call: &Call) -> Typed {
    Typed {
        raw: call.raw.clone(),
        files: call.files.clone(),
        staged: every(&call.raw, "staged"),
        dropped: every(&call.raw, "files.drop"),
        submit: call.submit_id().to_owned(),
        revealed: false,
        draft: draft::id_of(&call.raw).to_owned(),
    }
}

/// The record with the version the form was made of, so that a conflict is still noticed.
fn at_typed_version(call: &Call, mut record: Record) -> Record {
    record.version = call.typed("version").parse().unwrap_or(record.version);
    record
}

/// The form that was typed before a session ended.
pub fn resumed(call: &Call, kind: &'static Kind, id: Option<RecordId>, raw: Raw) -> Result<Reply> {
    let text = "这是登录超时前您填写的内容，尚未保存。请核对后保存；附件需要重新选择。";
    let version = field::first(&raw, "version").parse().ok();
    let again = Again { raw, notice: Some((NoticeKind::Warn, text.to_owned())), ..Again::default() };
    match id {
        None => new_page(call, kind, again).map(Reply::page),
        Some(id) => {
            let mut record = call.app.for_edit(&call.live()?.actor, kind, id)?;
            record.version = version.unwrap_or(record.version);
            edit_page(call, kind, &record, again).map(Reply::page)
        }
    }
}
