//! A ledger in the browser: uploaded, looked at, put right, checked, brought in as one batch, taken back. What waits is
//! found again by whoever began it and by nobody else; what a file says never runs and never becomes a formula.

use std::io::Cursor;

use jiceng::foreign::{Format, Item, Reader, workbook};

use super::county::{County, Person};
use super::form::{Form, forms};
use super::wire::Answer;

const CLERK: &str = "枫桥坞镇纪委";

fn book(rows: &[[&str; 6]]) -> Vec<u8> {
    let heads = ["收件日期", "主要内容", "被反映人", "职级", "举报人姓名", "经手"].map(str::to_owned);
    workbook(&heads, rows.iter().map(|r| r.map(str::to_owned).to_vec())).unwrap()
}

/// Uploads a ledger; where the import is.
fn upload(person: &Person, name: &str, bytes: &[u8]) -> String {
    person.submit(&chooser(person).attach(name, bytes)).expect(303).location().to_owned()
}

/// The form to choose a file with.
fn chooser(person: &Person) -> Form {
    let page = person.get("/import?what=petition").expect(200);
    forms(&page.text()).into_iter().find(|f| f.has("what")).unwrap()
}

/// Asks again until the work is over, as a page that refreshes itself does.
fn settled(person: &Person, path: &str) -> Answer {
    for _ in 0..600 {
        let page = person.get(path).expect(200);
        if !page.says("http-equiv=\"refresh\"") {
            return page;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{path} never settles");
}

/// Presses a button of the page of an import.
fn press(person: &Person, path: &str, button: &str) -> Answer {
    let page = settled(person, path);
    let form = forms(&page.text()).into_iter().find(|f| f.has("sheet")).unwrap();
    person.submit(&form.set("do", button).to(path)).expect(303);
    settled(person, path)
}

#[test]
fn a_ledger_is_looked_at_checked_brought_in_and_taken_back() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let good = ["2024-03-05", "河东村水渠没有修好", "赵甲", "村(社区)干部", "孙金丝", "李丁"];
    let wrong = ["2024-02-30", "河西村水渠没有修好", "赵甲", "村(社区)干部", "孙金丝", "李丁"];
    let gate = ["2024-03-06", "某书记金丝雀的事", "钱金丝", "正科级", "孙金丝", "李丁"];
    let path = upload(&clerk, "台账.xlsx", &book(&[good, wrong, gate]));
    let page = settled(&clerk, &path);
    assert!(page.says("列对照") && page.says("河东村水渠没有修好") && !page.says("孙金丝"), "{}", page.text());
    assert!(!county.clerk("石鼓岭镇纪委").get(&path).says("河东村"), "nobody else's import");
    assert!(clerk.get("/import?what=petition").says("台账.xlsx"), "it is found again");
    let checked = press(&clerk, &path, "check");
    assert!(checked.says("1 行可以导入，2 行有问题") && checked.says("收件日期") && checked.says("第十六条"));
    assert!(!clerk.get("/petition?all=1").says("有关问题"), "a check stores nothing");
    let refused = rows_of(&clerk.get(&format!("{path}/failed")).expect(200).body);
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused[1].contains(&"2024-02-30".to_owned()) && refused[1].iter().any(|c| c.contains("收件日期")));
    assert!(!refused[2].iter().any(|c| c.contains("金丝")), "article 16: {:?}", refused[2]);
    let done = press(&clerk, &path, "run");
    assert!(done.says("已导入 1 件"), "{}", done.text());
    assert!(clerk.get("/petition?all=1").says("反映赵甲有关问题"));
    let list = clerk.get("/batch?all=1").text();
    let batch = list.split("href=\"/batch/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let record = clerk.get(&format!("/batch/{batch}")).expect(200);
    let undo = forms(&record.text()).into_iter().find(|f| f.has("opinion")).unwrap();
    clerk.submit(&undo.set("opinion", "来源选错")).expect(303);
    assert!(!clerk.get("/petition?all=1").says("反映赵甲有关问题"));
    assert!(clerk.get(&format!("/batch/{batch}")).says("已撤销"));
    for word in ["金丝", "2024-02-30"] {
        let holds = |f: &std::path::PathBuf| {
            let bytes = std::fs::read(f).unwrap_or_default();
            bytes.windows(word.len()).any(|w| w == word.as_bytes())
        };
        assert!(!super::county::files_below(county.dir()).iter().any(holds), "{word} is on the disk");
    }
}

fn rows_of(bytes: &[u8]) -> Vec<Vec<String>> {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_jiceng"));
    let reader = Reader::start(program, Format::Xlsx, Box::new(Cursor::new(bytes.to_vec()))).unwrap();
    let row = |item| if let Item::Row { cells, .. } = item { Some(cells) } else { None };
    reader.filter_map(|item| row(item.unwrap())).collect()
}

#[test]
fn columns_are_put_right_and_nothing_a_file_says_runs() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let evil = "<script>alert(1)</script>=HYPERLINK(\"http://x\")";
    let row = ["2024-03-05", evil, "=1+1", "+cmd", "@sum", "-2+3"];
    let path = upload(&clerk, "<img src=x>.xlsx", &book(&[row, ["2024-02-31", evil, "=1+1", "+cmd", "@sum", "-2+3"]]));
    let page = settled(&clerk, &path);
    assert!(!page.text().contains("<script>alert") && !page.text().contains("<img src=x"), "{}", page.text());
    let form = forms(&page.text()).into_iter().find(|f| f.has("column.0")).unwrap();
    // Two columns for one field are refused with words, the choices stay.
    let twice = form.set("column.5", "received").set("do", "check").to(&path);
    assert!(clerk.submit(&twice).expect(422).says("只能对应一列"));
    let form = forms(&clerk.get(&path).text()).into_iter().find(|f| f.has("column.0")).unwrap();
    clerk.submit(&form.set("column.5", "place").set("do", "run").to(&path)).expect(303);
    let done = settled(&clerk, &path);
    assert!(done.says("已导入 1 件"), "{}", done.text());
    let refused = clerk.get(&format!("{path}/failed")).expect(200).body;
    assert!(rows_of(&refused)[1].contains(&"=1+1".to_owned()), "as text");
    for page in ["/petition?all=1", "/batch?all=1", "/"] {
        assert!(!clerk.get(page).text().contains("<script>alert"), "{page}");
    }
}

/// The columns of the sheet that was shown were laid over the other one: a petitioner's name became text.
#[test]
fn another_sheet_has_columns_of_its_own_and_is_seen_before_anything_else() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let mut book = rust_xlsxwriter::Workbook::new();
    for heads in [["序号", "收件日期", "主要内容", "举报人姓名"], ["序号", "收件日期", "举报人姓名", "主要内容"]] {
        let sheet = book.add_worksheet();
        let row = ["1", "2024-03-05", "渠水断流", "渠水断流"];
        for (column, (head, cell)) in (0..).zip(heads.iter().zip(row)) {
            sheet.write(0, column, *head).unwrap();
            sheet.write(1, column, cell).unwrap();
        }
    }
    let path = upload(&clerk, "两张表.xlsx", &book.save_to_buffer().unwrap());
    let shown = |page: &str| forms(page).into_iter().find(|f| f.has("column.0")).unwrap();
    let form = shown(&settled(&clerk, &path).text());
    let other = if form.value("sheet") == "0" { "1" } else { "0" };
    let targets = |form: &Form| ["column.2", "column.3"].map(|name| form.value(name).to_owned());
    let before = targets(&form);
    for step in ["save", "run"] {
        clerk.submit(&form.clone().set("sheet", other).set("do", step).to(&path)).expect(303);
        let now = shown(&settled(&clerk, &path).text());
        assert_eq!(targets(&now), [before[1].clone(), before[0].clone()], "{step}");
        clerk.submit(&now.set("sheet", form.value("sheet")).set("do", "save").to(&path)).expect(303);
    }
    assert!(clerk.get("/petition?all=1").says("还没有信访件"), "nothing came in unseen");
}

#[test]
fn columns_that_the_text_does_not_bear_out_are_marked_in_the_result_and_on_the_record() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let row = ["2024-03-05", "赵丙丁在河东村修渠时收钱", "赵甲丁", "村(社区)干部", "孙某", "李丁"];
    let path = upload(&clerk, "台账.xlsx", &book(&[row]));
    for button in ["check", "run"] {
        let page = press(&clerk, &path, button);
        assert!(page.says("列与内容不一致") && page.says("姓名与内容中的写法不同"), "{}", page.text());
    }
    let list = clerk.get("/petition?all=1").text();
    let id = list.split("href=\"/petition/").skip(1).find_map(|t| t.split(['"', '?']).next()?.parse::<u64>().ok());
    let record = clerk.get(&format!("/petition/{}", id.unwrap())).expect(200);
    assert!(record.says("核对提示") && record.says("姓名与内容中的写法不同"), "{}", record.text());
}

#[test]
fn an_import_is_stopped_in_the_page_and_nothing_of_it_stays() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let row = ["2024-03-05", "河东村水渠没有修好", "赵甲", "村(社区)干部", "孙某", "李丁"];
    let path = upload(&clerk, "台账.xlsx", &book(&vec![row; 20_000]));
    let page = settled(&clerk, &path);
    let form = forms(&page.text()).into_iter().find(|f| f.has("sheet")).unwrap();
    clerk.submit(&form.clone().set("do", "run").to(&path)).expect(303);
    let running = clerk.get(&path).expect(200);
    assert!(running.says("停止，不保留"), "{}", running.text());
    clerk.submit(&form.set("do", "stop").to(&path)).expect(303);
    let stopped = settled(&clerk, &path);
    assert!(stopped.says("导入已取消，这一批没有保留任何内容"), "{}", stopped.text());
    assert!(clerk.get("/petition?all=1").says("还没有信访件"));
    assert!(clerk.get("/batch?all=1").says("未完成"));
}

#[test]
fn a_file_that_is_no_ledger_is_refused_in_words() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    for (name, bytes) in [("照片.png", &b"\x89PNG\r\n\x1A\nxxxx"[..]), ("空.xlsx", b""), ("x.docx", b"PK\x03\x04word/")] {
        let page = clerk.submit(&chooser(&clerk).attach(name, bytes));
        assert!([303, 422].contains(&page.status), "{name}");
        if page.status == 303 {
            assert!(settled(&clerk, page.location()).says("role=\"alert\""), "{name}");
        }
    }
    let broken = upload(&clerk, "坏.xlsx", b"PK\x03\x04 this is no workbook at all");
    let page = settled(&clerk, &broken);
    assert!(page.says("无法读取") || page.says("没有可以导入"), "{}", page.text());
    clerk.post_form(&broken, &[("do", "drop")]).expect(303);
    clerk.get(&broken).expect(404);
    assert!(county.is_alive());
}
