//! The report to the superior commission (人员变更情况报告, 管理办法 第十八条), on A4 to be signed: who, which post, when, what
//! was handed to whom by number, and by whom. No content, no petitioner, no title.

use maud::{Markup, html};

use super::table;
use crate::base::{Error, Moment, Result};
use crate::records::handover::{self, KIND, state, tag};
use crate::records::{Record, account};
use crate::web::guard::Call;
use crate::web::layout;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    let kind = Some(call.kind()?).filter(|k| k.tag == KIND.tag).ok_or_else(Error::denied)?;
    let live = call.live()?;
    let record = call.app.open_record(&live.actor, kind, call.id()?, 0)?.record;
    let shown = call.app.handover_view(&live.actor, &record)?;
    let directory = call.app.directory()?;
    let number = record.fields.text(tag::NUMBER).to_owned();
    let own = format!("/{}/{}", KIND.name, record.id);
    let outline = Outline {
        title: "人员变更情况报告".into(),
        tab: Some(format!("人员变更报告 {number}")),
        current: format!("/{}", KIND.name),
        crumbs: vec![(KIND.label.into(), format!("/{}", KIND.name)), (number, own), ("报告".into(), String::new())],
        ..Outline::default()
    };
    let items = html! {
        @if !handover::replaces(&record.fields) {
            section.section.sheet {
                h2 { "二、工作交接（只列编号）" }
                @if shown.handed.is_empty() { p { "没有需要交接的未结工作。" } }
                @else { (table(&shown.handed, &directory, false)) }
            }
        }
    };
    view::reply(&call.app, live, outline, html! {
        p.help.no-print { "请用浏览器的打印功能打印（A4），签字后报上级纪委。" }
        @if record.state != state::DONE {
            p { b { "这项变更尚未完成（" (KIND.flow.label(record.state)) "），报告仅供核对。" } }
        }
        section.section.sheet {
            h2 { "一、变更情况" }
            p { "根据《检举举报平台基层版管理办法》第十八条，现将使用人员变更有关情况报告如下。" }
            (layout::props(&what(call, &record, directory.account(record.creator))))
        }
        (items)
        (signatures())
    })
}

fn what<'a>(call: &Call, record: &Record, opened: &str) -> Vec<(&'a str, Markup)> {
    let text = |tag| record.fields.text(tag).to_owned();
    let words = |tag| record.fields.display(KIND.fields, tag);
    let mut rows = vec![
        ("报告单位", html! { (call.app.facts().county) "纪委监委" }),
        ("变更编号", html! { (text(tag::NUMBER)) }),
        ("人员", html! { (text(tag::NAME)) "（登录名 " (text(tag::LOGIN)) "）" }),
        ("单位、职务", html! { (text(tag::UNIT_NAME)) " " (text(tag::POST)) }),
        ("原有角色", html! { @if text(tag::ROLES).is_empty() { "无" } @else { (text(tag::ROLES)) } }),
        ("事由", html! { (words(tag::CAUSE)) @if !text(tag::NOTE).is_empty() { "（" (text(tag::NOTE)) "）" } }),
        ("发起", html! { (opened) "，" (record.created) }),
    ];
    if handover::replaces(&record.fields) {
        rows.push(("更换的岗位", html! { (account::ROLES.label(record.fields.text(tag::ROLE))) }));
        rows.push(("接任人", html! {
            (text(tag::SUCCESSOR_NAME)) "（登录名 " (text(tag::SUCCESSOR_LOGIN)) "）" (text(tag::SUCCESSOR_POST))
        }));
    }
    if record.state == state::DONE {
        rows.push(("完成时间", html! { (Moment(record.fields.int(tag::DONE_AT))) }));
        let keeps = record.fields.text(tag::OUTCOME) == handover::KEEP;
        rows.push(("账户处理", html! {
            "权限已收回，会话已结束，动态码已作废，" @if keeps { "账户保留" } @else { "账户已停用" }
        }));
    }
    rows
}

/// Lines to be signed by hand.
fn signatures() -> Markup {
    html! {
        section.section.sheet {
            h2 { "签字" }
            table.list {
                thead { tr { @for head in ["", "姓名", "签字", "日期"] { th scope="col" { (head) } } } }
                tbody { @for who in ["移交人", "接手人", "单位负责人", "系统管理员", "报送人"] { tr {
                    th scope="row" { (who) }
                    @for _ in 0..3 { td { span.blank { span.sr { "（手写）" } } } }
                } } }
            }
        }
    }
}
