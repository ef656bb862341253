//! The form of any kind, from its field table: grouped, labelled, with all errors at once and everything typed kept.

use maud::{Markup, html};

use super::icons::Icon;
use super::layout;
use super::multipart::TEXT_ENDS;
use super::pages::draft;
use super::view;
use crate::app::change::{IDENTITY_OPEN, IDENTITY_REASON, IDENTITY_SHOW};
use crate::app::names::Directory;
use crate::app::session::Live;
use crate::app::stage::Waiting;
use crate::records::field::{self, Problem, Raw};
use crate::records::{Field, FileRef, Kind, Part, Widget, petition};

/// What a form does with the petitioner's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It is typed like everything else.
    Open,
    /// There is one, and it stays as it is until it is opened for a reason.
    Hidden,
    /// Not this person's business.
    Absent,
}

/// What a form shows.
pub struct Form<'a> {
    /// The kind.
    pub kind: &'static Kind,
    /// Where it is sent.
    pub action: String,
    /// Where cancelling leads.
    pub cancel: String,
    /// Typed pairs.
    pub raw: &'a Raw,
    /// What must be mended.
    pub problems: &'a [Problem],
    /// Fields the person may type.
    pub may_type: &'a dyn Fn(&Field) -> bool,
    /// What it does with the identity.
    pub identity: Identity,
    /// What opening it asks of whoever does, besides the reason.
    pub proof: &'a Markup,
    /// Version the form was made of, for changes.
    pub version: Option<u32>,
    /// One-time id.
    pub submit: String,
    /// A button that shows what would be without saving it.
    pub look: Option<&'static str>,
    /// Attachments the record has.
    pub files: &'a [FileRef],
    /// Uploads that wait for the form to be accepted.
    pub staged: &'a [Waiting],
}

/// The form.
pub fn form(live: &Live, directory: &Directory, f: &Form<'_>) -> Markup {
    let shown: Vec<&'static Field> =
        f.kind.fields.iter().filter(|x| (x.typed() || is_files(x)) && (f.may_type)(x)).collect();
    let mut groups: Vec<&str> = shown.iter().map(|x| x.group).collect();
    groups.dedup();
    let first = f.problems.first().map(|(n, _)| n.as_str());
    let added = added_row(f);
    let focus = first.or(added.as_deref()).unwrap_or_else(|| shown.first().map_or("", |x| x.name));
    html! {
        @if !f.problems.is_empty() { (summary(f)) }
        form.form method="post" action=(f.action) enctype="multipart/form-data" autocomplete="off" novalidate {
            (view::hidden(live))
            input type="hidden" name="submit" value=(f.submit);
            @if let Some(version) = f.version { input type="hidden" name="version" value=(version); }
            @if f.identity == Identity::Open { input type="hidden" name=(IDENTITY_OPEN) value="1"; }
            @let draft = draft::id_of(f.raw);
            @if !draft.is_empty() { input type="hidden" name="draft" value=(draft); }
            // Enter in any field saves: the first submit button is the one browsers press.
            button.sr type="submit" tabindex="-1" aria-hidden="true" { "保存" }
            @for group in groups {
                fieldset {
                    @if !group.is_empty() { legend { (group) } }
                    div.fields {
                        @for x in shown.iter().filter(|x| x.group == group && !is_files(x)) {
                            (input(directory, f, x, x.name, f.raw, focus))
                        }
                    }
                    @if f.identity == Identity::Hidden && holds_identity(f.kind, group) { (hidden_identity(f)) }
                    @if let Some(x) = shown.iter().find(|x| x.group == group && is_files(x)) { (existing_files(f, x)) }
                }
            }
            @if let Some(x) = shown.iter().find(|x| is_files(x)) {
                // Text before files: the rule of article 16 is asked before a file is kept.
                input type="hidden" name=(TEXT_ENDS) value="1";
                fieldset {
                    legend { "上传附件" }
                    div.field.wide {
                        label for="f-upload" { "选择文件" }
                        input #f-upload type="file" name=(x.name) multiple aria-describedby="f-upload-h";
                        p.help #f-upload-h { "可一次选多个；每个不超过 200 MB。" }
                    }
                }
            }
            div.form-bar {
                button.btn.btn-primary type="submit" accesskey="s" data-key="save" { "保存" }
                @if f.version.is_none() {
                    button.btn type="submit" name="keep" value="draft" accesskey="d" { "存为草稿" }
                    @if f.kind.tag == petition::KIND.tag {
                        button.btn type="submit" name="keep" value="repeats" formnovalidate { "查重" }
                    }
                }
                @if let Some(label) = f.look {
                    button.btn type="submit" name="preview" value="1" { (label) }
                }
                a.btn.btn-link href=(f.cancel) { "取消" }
                span.help { "快捷键 Ctrl+S 保存（停用脚本时用 Alt+S）；带 " em.req { "*" } " 的为必填项" }
            }
        }
    }
}

fn holds_identity(kind: &Kind, group: &str) -> bool {
    kind.fields.iter().any(|x| x.group == group && x.part == Part::Identity)
}

/// In the place of the identity: that there is one, and the way to open it with everything typed kept.
fn hidden_identity(f: &Form<'_>) -> Markup {
    let problem = f.problems.iter().find(|(n, _)| n == IDENTITY_REASON).map(|(_, m)| m.as_str());
    let key = id(IDENTITY_REASON);
    html! {
        div.field.wide.bad[problem.is_some()] {
            span.label { "检举控告人信息" }
            (layout::masked("已隐藏，保存时保持不变"))
            label for=(key) { "需要查看或修改的，请写明理由（记入日志，审计员可见）" }
            input id=(key) name=(IDENTITY_REASON) value=(field::first(f.raw, IDENTITY_REASON)) maxlength="200"
                aria-invalid=[problem.map(|_| "true")] aria-describedby=(format!("{key}-e"));
            @if let Some(message) = problem {
                p.err id=(format!("{key}-e")) { (Icon::Warn.svg()) span { (message) } }
            }
            (f.proof)
            button.btn.btn-small type="submit" name=(IDENTITY_SHOW) value="1" { (Icon::Lock.svg()) "显示" }
        }
    }
}

/// The first input of the row that was just asked for.
fn added_row(f: &Form<'_>) -> Option<String> {
    let field = f.kind.fields.iter().find(|x| x.name == field::first(f.raw, "rows.add"))?;
    let Widget::Rows(columns) = field.widget else { return None };
    let next = field::row_numbers(f.raw, field.name).last().map_or(0, |n| n + 1);
    Some(format!("{}.{next}.{}", field.name, columns.first()?.name))
}

fn is_files(field: &Field) -> bool {
    matches!(field.widget, Widget::Files)
}

fn id(name: &str) -> String {
    format!("f-{}", name.replace('.', "-"))
}

fn summary(f: &Form<'_>) -> Markup {
    html! {
        div.errors role="alert" tabindex="-1" {
            h2 { "有 " (f.problems.len()) " 处需要修改，已填内容都已保留" }
            ul { @for (name, message) in f.problems {
                li { a href=(format!("#{}", id(name))) { (label(f.kind.fields, name)) (message) } }
            } }
        }
    }
}

/// Where a problem is, in words; rows by their number.
fn label(fields: &'static [Field], name: &str) -> String {
    let Some((rows, rest)) = name.split_once('.') else { return String::new() };
    let Some((n, _)) = rest.split_once('.') else { return String::new() };
    let Some(field) = fields.iter().find(|f| f.name == rows) else { return String::new() };
    n.parse::<usize>().map_or(String::new(), |n| format!("{}第 {} 行：", field.label, n.saturating_add(1)))
}

fn input(
    directory: &Directory,
    f: &Form<'_>,
    field: &'static Field,
    name: &str,
    raw: &Raw,
    focus: &str,
) -> Markup {
    if let Widget::Rows(columns) = field.widget {
        return rows(directory, f, field, columns, raw, focus);
    }
    let problem = f.problems.iter().find(|(n, _)| n == name).map(|(_, m)| m.as_str());
    let wide = matches!(field.widget, Widget::Area | Widget::Choices(_)) || field.tag == f.kind.title;
    let key = id(name);
    let described = format!("{key}-h {key}-e");
    let group = matches!(field.widget, Widget::Choices(_));
    let flag = matches!(field.widget, Widget::Flag);
    html! {
        div.field.wide[wide].flag[flag].bad[problem.is_some()] role=[group.then_some("group")]
            aria-labelledby=[group.then(|| format!("{key}-l"))] {
            @if group { span.label id=(format!("{key}-l")) { (field.label) } }
            @else if !flag {
                label for=(key) { (field.label) @if field.required { " " em.req title="必填" { "*" } } }
            }
            (control(directory, field, name, raw, Look { key: &key, described: &described, bad: problem.is_some(),
                focus: focus == name }))
            @if !field.help.is_empty() { p.help id=(format!("{key}-h")) { (field.help) } }
            @if let Some(message) = problem {
                p.err id=(format!("{key}-e")) { (Icon::Warn.svg()) span { (message) } }
            }
        }
    }
}

/// How a control is wired to its label and errors.
#[derive(Clone, Copy)]
struct Look<'a> {
    key: &'a str,
    described: &'a str,
    bad: bool,
    focus: bool,
}

fn control(directory: &Directory, field: &Field, name: &str, raw: &Raw, look: Look<'_>) -> Markup {
    let text = raw.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    let invalid = look.bad.then_some("true");
    let Look { key, described, focus, .. } = look;
    match field.widget {
        Widget::Area => html! {
            textarea.tall[field.required] id=(key) name=(name) rows=(if field.required { 8 } else { 3 })
                aria-invalid=[invalid] aria-describedby=(described) autofocus[focus] { "\n" (text) }
        },
        Widget::Choice(dict) => html! {
            select id=(key) name=(name) aria-invalid=[invalid] aria-describedby=(described) autofocus[focus] {
                option value="" { "请选择" }
                @for e in dict.entries {
                    option value=(e.code) selected[dict.code(text) == Some(e.code)] { (e.label) }
                }
            }
        },
        Widget::OpenChoice(dict) => html! {
            input id=(key) name=(name) value=(dict.label(text)) list=(format!("{key}-list"))
                aria-invalid=[invalid] aria-describedby=(described) autofocus[focus];
            datalist id=(format!("{key}-list")) { @for e in dict.entries { option value=(e.label) {} } }
        },
        Widget::Choices(dict) => html! {
            div.choices id=(key) {
                @for e in dict.entries {
                    label {
                        input type="checkbox" name=(name) value=(e.code)
                            checked[raw.iter().any(|(n, v)| n == name && dict.code(v) == Some(e.code))];
                        (e.label)
                    }
                }
            }
        },
        Widget::Flag => html! {
            label.check { input type="checkbox" id=(key) name=(name) value="1" checked[text == "1"]; (field.label) }
        },
        Widget::Link("org") => html! {
            select id=(key) name=(name) aria-invalid=[invalid] aria-describedby=(described) autofocus[focus] {
                option value="" { "请选择" }
                @for u in directory.units.iter().filter(|u| u.open || u.id.to_string() == text) {
                    option value=(u.id) selected[u.id.to_string() == text] { (u.name) }
                }
            }
        },
        Widget::Date(partial) => html! {
            input.short id=(key) name=(name) value=(text) inputmode="numeric"
                placeholder=(if partial { "如 2026-03-05 或 2026" } else { "如 2026-03-05" })
                aria-invalid=[invalid] aria-describedby=(described) autofocus[focus];
        },
        Widget::Int(..) => html! {
            input.short id=(key) name=(name) value=(text) inputmode="numeric" aria-invalid=[invalid]
                aria-describedby=(described) autofocus[focus];
        },
        _ => html! {
            input id=(key) name=(name) value=(text) aria-invalid=[invalid] aria-describedby=(described)
                autofocus[focus];
        },
    }
}

fn rows(
    directory: &Directory,
    f: &Form<'_>,
    field: &'static Field,
    columns: &'static [Field],
    raw: &Raw,
    focus: &str,
) -> Markup {
    // Rows with a rank are persons.
    let noun = if columns.iter().any(|c| c.name == "rank") { "人" } else { "项" };
    let mut numbers = field::row_numbers(raw, field.name);
    let next = numbers.last().map_or(0, |n| n.saturating_add(1));
    if numbers.is_empty() || field::first(raw, "rows.add") == field.name {
        numbers.push(next);
    }
    html! {
        fieldset.rows.wide id=(id(field.name)) {
            // A group that holds nothing else says it already.
            legend.sr[field.label == field.group] { (field.label) }
            @if !field.help.is_empty() { p.help { (field.help) } }
            @for (_, message) in f.problems.iter().filter(|(n, _)| n == field.name) {
                p.err { (Icon::Warn.svg()) span { (message) } }
            }
            @for (place, n) in numbers.iter().enumerate() {
                div.row-item {
                    div.row-head {
                        "第 " (place + 1) " " (noun)
                        label { input type="checkbox" name=(format!("{}.{n}.remove", field.name)) value="1";
                            "删除此" (noun)
                        }
                    }
                    @for column in columns {
                        (input(directory, f, column, &format!("{}.{n}.{}", field.name, column.name), raw, focus))
                    }
                }
            }
            button.btn.btn-small type="submit" name="rows.add" value=(field.name) { (Icon::Plus.svg()) "再添加一" (noun) }
        }
    }
}

fn existing_files(f: &Form<'_>, field: &Field) -> Markup {
    html! {
        @if !f.files.is_empty() || !f.staged.is_empty() {
            div.field.wide {
                span.label { (field.label) }
                ul.files {
                    @for file in f.files { li {
                        (Icon::File.svg()) (file.name) span.size { (view::size(file.size)) }
                        span.end { label.check {
                            input type="checkbox" name="files.drop" value=(file.blob)
                                checked[f.raw.iter().any(|(n, v)| n == "files.drop" && *v == file.blob)];
                            "删除"
                        } }
                    } }
                    @for w in f.staged { li {
                        input type="hidden" name="staged" value=(w.token);
                        (Icon::File.svg()) (w.name) span.size { (view::size(w.size)) " · 已上传，保存后生效" }
                    } }
                }
            }
        }
    }
}
