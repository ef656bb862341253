//! Tables of people as they are understood, without a server.

#![cfg(test)]

use std::sync::Arc;

use super::*;
use crate::app::demo;
use crate::base::{Moment, clock::ManualClock};

/// A county of units and accounts.
fn county() -> (tempfile::TempDir, Arc<App>) {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Moment(1_790_000_000_000)));
    let app = demo::create(&home.path().join("d"), clock, true).unwrap();
    (home, app)
}

#[test]
fn heads_say_which_column_is_which_and_a_table_without_them_has_the_usual_order() {
    let (_home, app) = county();
    let snapshot = app.store.read().unwrap();
    let today = app.now().day();
    let first = |text: &str| {
        let table = read(&snapshot, text, today).unwrap();
        assert!(table.is_right(), "{:?}", table.faults());
        table.lines[0].clone()
    };
    let usual = first("song-ml，宋墨林，信访室，干事，2026/12/31");
    assert_eq!(usual.cells, ["song-ml", "宋墨林", "信访室", "干事", "2026/12/31"]);
    assert_eq!(usual.fields.day(tag::EXPIRES).number(), 20_261_231);
    assert!(usual.fields.link(tag::UNIT).is_some() && usual.fields.codes(tag::ROLES).is_empty());
    let turned = first("姓名\t\t登录名\t有效期至\t单位\n宋墨林\t\tsong-ml\t\t信访室\n");
    assert_eq!(turned.cells, ["song-ml", "宋墨林", "信访室", "", ""]);
    assert_eq!(turned.number, 2);
    // What stands below no head is not passed over in silence.
    let table = read(&snapshot, "姓名\t登录名\t单位\n宋墨林\tsong-ml\t信访室\t经办人\n", today).unwrap();
    assert!(table.faults()[0].starts_with("第 2 行：多于五列"), "{:?}", table.faults());
}

#[test]
fn a_file_takes_the_place_of_lines_with_its_log_in_names_whatever_the_order_of_either() {
    let lines = ["单位\t登录名\t姓名", "信访室\thu-zc\t胡子澄", ""].map(str::to_owned);
    let (text, count) = merged("登录名，姓名，机构\nhu-zc，胡某，办公室\nsong-ml，宋墨林，信访室", &lines).unwrap();
    assert_eq!((text.as_str(), count), ("hu-zc\t胡子澄\t信访室\t\t\nsong-ml\t宋墨林\t信访室\t\t", 1));
    assert!(merged("", &["登录名\t姓名\t角色".to_owned()]).unwrap_err().public().contains("安全保密管理员"));
    assert_eq!(merged("写到一半", &[]).unwrap(), ("写到一半".to_owned(), 0));
}
