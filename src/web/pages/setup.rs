//! The set-up wizard (初始化向导): the page behind the one-time link, from which one browser takes the wizard, and the
//! frame around its steps. It ends for good.

use maud::{Markup, PreEscaped, html};

use crate::app::setup::wizard::{self, SetupPage};
use crate::base::{Error, ErrorKind, Result};
use crate::web::assets::style_href;
use crate::web::guard::{Call, SETUP_COOKIE};
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::steps::{Step, steps};
use crate::web::view;

pub mod backup;
pub mod finish;
pub mod people;
pub mod units;

/// Seconds between two looks at what goes on.
const REFRESH_S: u32 = 3;

/// The steps: what they are called, and where they are.
const STEPS: [(&str, &str); 4] =
    [("机构", "/setup/units"), ("三员", "/setup/people"), ("备份", "/setup/backup"), ("完成", "/setup/finish")];

/// What is said above a step.
type Said = Option<(NoticeKind, String)>;

/// What the link opens: what will be asked, and the way in.
pub fn link(call: &Call) -> Result<Reply> {
    if !call.app.setup_link_is_good(call.param("token"))? {
        return Err(wizard::closed());
    }
    Ok(Reply::page(view::bare_wide(&call.app, "初始化", html! {
        p { "本县的系统还没有管理员。请由信息化部门的人在场办理，事先准备好：" }
        ul {
            li { "机构名单：内设机构、派驻纪检监察组、乡镇（街道），可以粘贴或上传表格；" }
            li { "三名管理员（三个不同的人）及其手机：各用自己的一次性链接设置口令和动态码，口令不经任何人的手；" }
            li { "至少两把备份密钥的公钥（在另一台机器上用 jiceng backup keygen 生成），和挂载好的备份盘。" }
        }
        p { "每一步做完都已保存，可以中途离开；链接过期后，在服务器上运行 jiceng setup-link，打开新的链接接着做。" }
        form method="post" action=(call.path) {
            div.form-bar { button.btn.btn-primary type="submit" autofocus { "开始或继续初始化" } }
        }
        p.help { "链接只能用一次：由这个浏览器接手后，其他浏览器（包括先前的）不能再办理。" }
    })))
}

/// Takes the wizard into this browser.
pub fn take(call: &Call) -> Result<Reply> {
    let token = call.app.take_setup_link(call.param("token"))?;
    Ok(Reply::Cookies("/setup".into(), vec![cookie(&token, "")]))
}

/// Goes to the first step that is not done.
pub fn resume(call: &Call) -> Result<Reply> {
    let view = call.app.setup_page(call.wizard()?)?;
    let next = STEPS.iter().zip(done(&view)).find(|(_, done)| !done).map_or(STEPS[3], |(step, _)| *step);
    Ok(Reply::Redirect(next.1.into()))
}

fn cookie(token: &str, age: &str) -> String {
    format!("{SETUP_COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict{age}")
}

/// Which steps are done.
fn done(view: &SetupPage) -> [bool; 4] {
    let active = !view.people.is_empty() && view.people.iter().all(|p| p.active);
    [!view.units.is_empty(), active, view.verified.is_some(), false]
}

/// One step in its frame.
fn step(call: &Call, (view, here): (&SetupPage, usize), said: Said, content: Markup) -> Markup {
    let all = STEPS.iter().zip(done(view)).enumerate();
    let all: Vec<Step> =
        all.map(|(n, ((label, href), done))| Step { label, href, done, current: n == here }).collect();
    let content = content.into_string();
    // A page that asks again by itself must not take away what is being typed: it has no form then.
    let refresh = (here == 2 && view.backup.waits).then_some(REFRESH_S);
    layout::waiting_wide(("初始化", refresh), &call.app.facts().county, style_href(), html! {
        (steps(&all))
        @if let Some((kind, text)) = said { (layout::notice(kind, &text)) }
        (PreEscaped(content))
    })
}

/// What every form of the wizard carries.
fn hidden(call: &Call) -> Result<Markup> {
    let token = call.app.setup_csrf(call.wizard()?);
    Ok(html! { input type="hidden" name="csrf" value=(token); })
}

/// What can be mended by whoever typed it is said above the step; anything else is an error.
fn told(e: Error) -> Result<Said> {
    match e.kind() {
        ErrorKind::Invalid | ErrorKind::Busy => Ok(Some((NoticeKind::Bad, e.public().to_owned()))),
        _ => Err(e),
    }
}

fn ok(text: &str) -> Said {
    Some((NoticeKind::Ok, text.to_owned()))
}

/// On to the next step.
fn onward(href: &str, label: &str) -> Markup {
    html! { div.form-bar { a.btn.btn-primary href=(href) { (label) } } }
}
