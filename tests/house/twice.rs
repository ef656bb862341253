//! Two hands at once: two tabs, two clicks, two people. Nothing typed is lost and nothing happens twice.

use super::county::{County, PETITION, Person, path_of};
use super::form::Form;
use super::wire::Answer;

const CLERK: &str = "杏林坪镇纪委";

/// Sends the same form from two threads at the same time.
fn both(person: &Person, form: &Form) -> [Answer; 2] {
    std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| person.try_submit(form).unwrap()));
        threads.map(|t| t.join().unwrap())
    })
}

#[test]
fn two_tabs_see_both_texts_and_the_second_save_decides() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[("title", "最初的标题")]);
    let edit = format!("{path}/edit");
    let (one, two) = (clerk.form(&edit), clerk.form(&edit));
    clerk.submit(&one.fill(&[("title", "甲改的标题"), ("remarks", "甲的备注")])).expect(303);
    let mine =
        two.fill(&[("title", "乙改的<标题>"), ("place", "乙写的地点")]).attach("乙的附件.txt", b"mine");
    let page = clerk.submit(&mine).expect(422);
    assert!(page.says("已被别人修改") && page.says("甲改的标题") && page.says("甲的备注"), "{}", page.text());
    let again = Form::of(&page);
    assert_eq!((again.value("title"), again.value("place")), ("乙改的<标题>", "乙写的地点"));
    assert!(clerk.get(&path).says("甲改的标题"), "the late form won without asking");
    clerk.submit(&again).expect(303);
    let record = clerk.get(&path).expect(200);
    assert!(record.says("乙改的&lt;标题&gt;") && record.says("乙写的地点") && record.says("乙的附件.txt"));
    let history = clerk.get(&format!("{path}/history")).text();
    for words in ["最初的标题", "甲改的标题", "甲的备注", "乙改的&lt;标题&gt;"] {
        assert!(history.contains(words), "{words}");
    }
}

#[test]
fn a_third_change_while_both_texts_are_compared_is_noticed_as_well() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    let edit = format!("{path}/edit");
    let [one, two, three] = [(); 3].map(|()| clerk.form(&edit));
    clerk.submit(&one.set("title", "第一次")).expect(303);
    let compared = Form::of(&clerk.submit(&two.set("title", "第二次")).expect(422));
    let three = Form::of(&clerk.submit(&three.set("title", "第三次")).expect(422));
    clerk.submit(&three).expect(303);
    let page = clerk.submit(&compared).expect(422);
    assert!(page.says("第三次") && Form::of(&page).value("title") == "第二次");
}

#[test]
fn a_double_click_registers_once_in_a_row_and_at_the_same_moment() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = clerk.form("/petition/new").fill(PETITION).attach("原件.txt", b"scan");
    let first = clerk.submit(&form).expect(303);
    let second = clerk.submit(&form).expect(303);
    assert_eq!(path_of(&first), path_of(&second));
    for n in 2..6 {
        let form = clerk.form("/petition/new").fill(PETITION).attach("原件.txt", b"scan");
        let [one, two] = both(&clerk, &form).map(|a| path_of(&a.expect(303)));
        assert_eq!(one, two);
        let page = clerk.get(&one).expect(200);
        assert!(page.says(&format!("〕{n}号")) && page.text().matches("原件.txt").count() == 1);
        assert_eq!(clerk.get(&format!("{one}/files/0")).expect(200).body, b"scan");
    }
    assert!(clerk.get("/petition?all=1").says("共 5 条"));
}

#[test]
fn a_double_click_leaves_no_second_copy_of_the_attachment() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = clerk.form("/petition/new").fill(PETITION).attach("原件.txt", b"scan");
    clerk.submit(&form).expect(303);
    clerk.submit(&form).expect(303);
    assert_eq!(county.files("blobs").len(), 1, "an attachment that no record names stays on the disk");
}

#[test]
fn going_back_and_saving_the_entry_form_again_after_an_edit_registers_nothing_new() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = clerk.form("/petition/new").fill(PETITION);
    let path = path_of(&clerk.submit(&form).expect(303));
    clerk.submit(&clerk.form(&format!("{path}/edit")).set("title", "改过的标题")).expect(303);
    let again = clerk.submit(&form).expect(303);
    assert_eq!(path_of(&again), path, "the same form was given a second record and a second number");
}

#[test]
fn going_back_mending_the_entry_form_and_saving_it_again_is_not_lost_in_silence() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = clerk.form("/petition/new").fill(PETITION);
    let path = path_of(&clerk.submit(&form).expect(303));
    // The browser's way back shows the same form with the same id; now a word of it is mended.
    let answer = clerk.submit(&form.set("title", "返回后改正的标题"));
    let taken = clerk.get(&path).says("返回后改正的标题");
    let told = answer.status != 303 && answer.says("返回后改正的标题");
    assert!(taken || told, "the page says it is saved, and what was mended is gone");
    assert!(clerk.get("/petition?all=1").says("共 1 条"));
}

#[test]
fn going_back_to_an_edit_mending_it_and_saving_again_is_not_lost_in_silence() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    let form = clerk.form(&format!("{path}/edit")).set("title", "第一次改的标题");
    clerk.submit(&form).expect(303);
    let answer = clerk.submit(&form.set("title", "返回后改正的标题"));
    let taken = clerk.get(&path).says("返回后改正的标题");
    let told = answer.status != 303 && answer.says("返回后改正的标题");
    assert!(taken || told, "the page says it is saved, and what was mended is gone");
}

#[test]
fn a_double_click_on_an_edit_changes_once() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    let form = clerk.form(&format!("{path}/edit")).set("title", "改过的标题").attach("补.txt", b"more");
    for answer in both(&clerk, &form) {
        assert_eq!(path_of(&answer.expect(303)), path);
    }
    clerk.submit(&form).expect(303);
    assert_eq!(clerk.form(&format!("{path}/edit")).value("version"), "2");
    assert_eq!(clerk.get(&path).text().matches("补.txt").count(), 1);
}

#[test]
fn a_double_click_on_a_move_moves_once() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    let form = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", "拟予受理");
    for answer in both(&clerk, &form) {
        answer.expect(303);
    }
    let page = clerk.get(&path).expect(200);
    assert_eq!(page.text().matches("拟予受理").count(), 1);
    assert!(page.says("待批办"));
}

/// ASVS 2.3.4
#[test]
fn two_people_edit_and_move_at_once_and_neither_overwrites_the_other() {
    let county = County::bare();
    let (clerk, approver) = (county.clerk(CLERK), county.approver(CLERK));
    let path = clerk.register(&[("title", "最初的标题")]);
    let edit = clerk.form(&format!("{path}/edit")).set("title", "改过的标题");
    let propose = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", "拟予受理");
    clerk.submit(&propose).expect(303);
    let page = clerk.submit(&edit).expect(422);
    assert_eq!(Form::of(&page).value("title"), "改过的标题");
    // What lies on the approver's table is not changed under their eyes; the text is kept.
    let page = clerk.submit(&Form::of(&page)).expect(422);
    assert!(page.says("正在等待审批") && Form::of(&page).value("title") == "改过的标题");
    let accept = approver.form(&path).to(&format!("{path}/move/accept")).set("opinion", "同意");
    approver.submit(&accept).expect(303);
    let page = clerk.submit(&Form::of(&page)).expect(422);
    clerk.submit(&Form::of(&page)).expect(303);
    let record = clerk.get(&path).expect(200);
    assert!(record.says("改过的标题") && record.says("已受理") && record.says("拟予受理"));
}

#[test]
fn a_double_click_on_a_mended_form_gives_the_first_result_and_keeps_its_file() {
    // The file of the first try waits under a token. When the token went with the first click, the second one said
    // something else and was answered with a conflict over a record that was saved as it should be.
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let wrong = clerk.form("/petition/new").fill(PETITION).set("title", "").attach("原件.txt", b"scan");
    let mended = Form::of(&clerk.submit(&wrong).expect(422)).set("title", "改好的标题");
    let first = clerk.submit(&mended).expect(303);
    let second = clerk.submit(&mended).expect(303);
    assert_eq!(path_of(&first), path_of(&second));
    let path = path_of(&first);
    assert_eq!(clerk.get(&format!("{path}/files/0")).expect(200).body, b"scan");
    assert_eq!((county.files("blobs").len(), clerk.get(&path).text().matches("原件.txt").count()), (1, 1));

    // The same with an edit, at the same moment.
    let wrong = clerk.form(&format!("{path}/edit")).set("title", "").attach("补.txt", b"more");
    let mended = Form::of(&clerk.submit(&wrong).expect(422)).set("title", "再改的标题");
    for answer in both(&clerk, &mended) {
        assert_eq!(path_of(&answer.expect(303)), path);
    }
    clerk.submit(&mended).expect(303);
    let page = clerk.get(&path).text();
    assert_eq!((page.matches("补.txt").count(), page.matches("原件.txt").count()), (1, 1));
    assert_eq!(clerk.get(&format!("{path}/files/1")).expect(200).body, b"more");
    assert_eq!(clerk.form(&format!("{path}/edit")).value("version"), "2");

    // Gone back to and mended once more: the conflict is real, and the file is not attached a second time.
    let again = clerk.submit(&mended.set("title", "返回后改的")).expect(422);
    clerk.submit(&Form::of(&again)).expect(303);
    let page = clerk.get(&path).text();
    assert!(page.contains("返回后改的"));
    assert_eq!((page.matches("补.txt").count(), county.files("blobs").len()), (1, 2));
    county.is_sound();
}
