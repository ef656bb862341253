//! The icons of the face: own line drawings on a 20 × 20 grid with a 1.5 px stroke, drawn inline so that a
//! page needs no second request. They are decoration only: each stands beside a word and is hidden from
//! screen readers. Colour and size come from the stylesheet (`.icon`).

use maud::{Markup, html};

/// A drawing that may stand beside a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// Desk (工作台): four panes.
    Desk,
    /// Petition (信访件): an envelope.
    Petition,
    /// Regulation (法律法规): an open book.
    Regulation,
    /// Organisation (机构): a tree of three boxes.
    Org,
    /// Account (账号): a badge with a person.
    Account,
    /// Search (搜索): a lens.
    Search,
    /// Audit (审计): a list under a lens.
    Audit,
    /// Backup (备份): a drum with an arrow down.
    Backup,
    /// The person logged in (用户).
    User,
    /// Log out (退出): an arrow through a door.
    Logout,
    /// Add (新增).
    Plus,
    /// Print (打印).
    Print,
    /// History (历史): a clock turning back.
    History,
    /// Warning (注意): a triangle with a mark.
    Warn,
    /// Done (完成): a ring with a tick.
    Check,
    /// Locked or encrypted (加密).
    Lock,
    /// File (文件).
    File,
    /// Deadline (期限): a clock.
    Clock,
    /// Nothing here (空): an empty tray.
    Empty,
    /// Edit (修改): a pencil.
    Edit,
    /// Key (密钥).
    Key,
}

impl Icon {
    /// The drawing as an inline SVG, hidden from screen readers.
    pub fn svg(self) -> Markup {
        html! {
            svg.icon width="20" height="20" viewBox="0 0 20 20" fill="none" stroke="currentColor"
                stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"
                aria-hidden="true" focusable="false" {
                path d=(self.path()) {}
            }
        }
    }

    /// The strokes, as SVG path data.
    fn path(self) -> &'static str {
        match self {
            Self::Desk => "M3 3h6v7H3zM11.5 3H17v4h-5.5zM11.5 9.5H17V17h-5.5zM3 12.5h6V17H3z",
            Self::Petition => "M2.5 4.5h15v11h-15zM2.5 5.5l7.5 5.5 7.5-5.5",
            Self::Regulation => {
                "M10 5.5C8 4 5.5 3.5 2.5 3.5v12c3 0 5.5.5 7.5 2 \
                 2-1.5 4.5-2 7.5-2v-12c-3 0-5.5.5-7.5 2zM10 5.5v12"
            }
            Self::Org => {
                "M7.5 2.5h5v4h-5zM2.5 13.5h5v4h-5zM12.5 13.5h5v4h-5zM10 6.5V10M5 13.5V10h10v3.5"
            }
            Self::Account => {
                "M3 3.5h14v13H3zM8 11a2 2 0 1 0 0-4 2 2 0 0 0 0 4z\
                 M5 14c.5-2 1.5-3 3-3s2.5 1 3 3M13 8h2M13 11h2"
            }
            Self::Search => "M8.5 14a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM12.5 12.5l4.5 4.5",
            Self::Audit => {
                "M8 17.5H3.5v-15h11v4M6.5 6h5M6.5 9h2M12.5 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM14.7 14.2l3 3"
            }
            Self::Backup => {
                "M3 5c0-3.3 14-3.3 14 0S3 8.3 3 5zM3 5v9.5c0 1.3 2.5 2.3 5.5 2.5\
                 M17 5v4M14 11.5v6M11.5 15l2.5 2.5 2.5-2.5"
            }
            Self::User => {
                "M10 10a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3.5 17.5c.5-3.5 3-5 6.5-5s6 1.5 6.5 5"
            }
            Self::Logout => "M11.5 3h-8v14h8M8 10h9.5M14 6.5l3.5 3.5-3.5 3.5",
            Self::Plus => "M10 4v12M4 10h12",
            Self::Print => "M5.5 7V2.5h9V7M5.5 14H2.5V7h15v7h-3M5.5 11.5h9v6h-9z",
            Self::History => "M3.5 6.5A7.5 7.5 0 1 1 2.5 10M3.5 2.5v4h4M10 6v4.5l3 1.5",
            Self::Warn => "M10 2.5l8 14.5H2zM10 8v4M10 14.4v.1",
            Self::Check => "M10 17.5a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15zM6.5 10.2l2.5 2.5 4.5-5",
            Self::Lock => "M4 9h12v8.5H4zM6.5 9V6a3.5 3.5 0 0 1 7 0v3M10 12.5v2",
            Self::File => "M4 2.5h8l4 4v11H4zM12 2.5v4h4M7 10.5h6M7 13.5h6",
            Self::Clock => "M10 17.5a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15zM10 5.5V10l3 2",
            Self::Empty => "M2.5 11.5l3-7h9l3 7v5h-15zM2.5 11.5h4.5l1 2h4l1-2h4.5",
            Self::Edit => "M3 17l1-4L13.5 3.5l3 3L7 16zM11.5 5.5l3 3M11 17h6",
            Self::Key => "M6.5 17a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM9 11l7.5-7.5M13 7l2.5 2.5",
        }
    }
}

/// The product's own mark: three stacked layers, the lowest the widest. Own drawing, no emblem.
pub fn brand_mark() -> Markup {
    html! {
        svg.brand-mark width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="currentColor"
            stroke-width="1.8" stroke-linejoin="round" aria-hidden="true" focusable="false" {
            path d="M12 3l5 2.6-5 2.6-5-2.6zM4.8 10.3L12 14l7.2-3.7M2.5 15.5L12 20.5l9.5-5" {}
        }
    }
}
