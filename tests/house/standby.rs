//! Another machine: it follows by way of a mount, shows what the first one has, changes nothing, and takes over.

use std::time::Instant;

use super::county::{County, Person};
use super::offsite::{CLERK, Site, Target, register, wait_for};

/// A standby of a site, started for the first time.
fn follow(site: &Site, to: &Target) -> County {
    let key = site.at("a.key").display().to_string();
    County::another(site.at("standby"), &["standby", "--from", &to.to, "--identity", &key])
}

fn again(site: &Site, standby: &County) -> County {
    standby.terminate();
    County::another(site.at("standby"), &["standby"])
}

fn number(words: &str) -> u64 {
    let digits: String = words.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn status(standby: &County) -> String {
    let said = standby.cli(&["standby", "status"]);
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// Waits until the standby has the last entry of the first machine that was brought to the target.
fn settled(site: &Site, to: &Target, standby: &County) {
    site.settle(to);
    let last = site.said("shipped.json")["to"].as_u64().unwrap();
    wait_for("the standby", || status(standby).contains(&format!("（第 {last} 条）")));
}

fn reads(person: &Person, word: &str) -> bool {
    let found = person.search(word).text();
    found.contains(word) && found.contains("备机 · 只读 · 落后")
}

#[test]
fn another_machine_follows_shows_refuses_and_takes_over() {
    let site = Site::new();
    let to = Target::mount(&site);
    let clerk = site.county.clerk(CLERK);
    assert!(register(&clerk, "备机之前甲"));
    site.back_up();
    let form = clerk.form("/petition/new").fill(super::county::PETITION).set("title", "备机之后乙");
    clerk.submit(&form.attach("附件.txt", "丙丁".as_bytes())).expect(303);
    site.settle(&to);
    let standby = follow(&site, &to);
    settled(&site, &to, &standby);
    let reader = standby.clerk(CLERK);
    for word in ["备机之前甲", "备机之后乙"] {
        wait_for("the index", || reads(&reader, word));
    }
    // Nothing is offered, and what is sent all the same is refused with the reason.
    let list = reader.get("/petition").expect(200).text();
    assert!(list.contains("备机 · 只读") && !list.contains("/petition/new") && !list.contains("/edit"), "{list}");
    for path in ["/petition/new", "/password", "/import"] {
        assert!(reader.get(path).text().contains("这是备机"), "{path}");
    }
    let refused = reader.post_form("/petition/new", &[("title", "备机上登记")]);
    assert!(refused.status != 303 && refused.text().contains("这是备机"), "{}", refused.status);
    // An attachment came along.
    wait_for("the attachment", || !status(&standby).contains("附件"));
    // Whoever read here stands in the standby's own journal, and in no other.
    let page = standby.auditor().get("/audit").expect(200).text();
    let own = page.split("备机日志").nth(1).unwrap_or_default();
    assert!(own.contains("登录") && own.contains("检索"), "{page}");
    let verified = standby.cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    assert!(String::from_utf8_lossy(&verified.stderr).contains("备机日志"), "{verified:?}");
    // It starts again where it was, and goes on.
    let standby = again(&site, &standby);
    assert!(register(&clerk, "重启之后戊"));
    settled(&site, &to, &standby);
    let reader = standby.clerk(CLERK);
    wait_for("the index", || reads(&reader, "重启之后戊"));
    takes_over(&site, &to, &standby, &clerk);
}

fn takes_over(site: &Site, to: &Target, standby: &County, clerk: &Person) {
    // Acknowledged, and not brought away any more.
    let unshipped = ["没有送到己", "没有送到庚"];
    assert!(unshipped.iter().all(|word| register(clerk, word)));
    let wrong = standby.cli_told(&["standby", "promote"], "关了");
    assert!(!wrong.status.success() && status(standby).contains("备机"), "{wrong:?}");
    let begun = Instant::now();
    let done = standby.cli_told(&["standby", "promote"], "旧主机已关机");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains("已接替") && said.contains("空号：信访"), "{done:?}");
    let heir = standby.clerk(CLERK);
    wait_for("the new host", || register(&heir, "新主机辛"));
    println!("promoted in {:.2} s", begun.elapsed().as_secs_f64());
    assert!(!heir.get("/petition").expect(200).text().contains("备机 ·"));
    standby.is_sound();
    // Numbers are not given twice: those of the old host lie in the block that was skipped.
    let numbers = |person: &Person| -> Vec<String> {
        let text = person.get("/petition").expect(200).text();
        let found = text.match_indices("信访〔").map(|(at, _)| text[at..].split('号').next().unwrap().to_owned());
        let mut all: Vec<String> = found.collect();
        all.sort();
        all.dedup();
        all
    };
    let (old, new) = (numbers(clerk), numbers(&heir));
    let both: Vec<&String> = new.iter().filter(|n| old.contains(n)).collect();
    assert_eq!((old.len(), new.len(), both.len()), (5, 4, 3), "{old:?} {new:?}");
    // The old host is told by its shipper.
    let told = site.ship_once(to);
    assert!(String::from_utf8_lossy(&told.stderr).contains("另一台主机已经接管"), "{told:?}");
    let mut late = 0;
    wait_for("the halt", || {
        let taken = register(clerk, "随后壬");
        late += usize::from(taken);
        !taken
    });
    let taken_over = said.lines().find(|l| l.starts_with("已接替")).unwrap();
    leftover(site, (taken_over, unshipped.len() + late), &unshipped, standby);
}

/// What the old host had left comes in on the new one.
fn leftover(site: &Site, (said, count): (&str, usize), words: &[&str], heir: &County) {
    let after = said.rsplit("第").next().map(number).unwrap().to_string();
    let book = site.at("left.xlsx").display().to_string();
    let ran = site.county.cli(&["standby", "leftover", "--after", &after, "--to", &book]);
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && told.contains(&format!("信访件 {count} 件")), "{count}: {ran:?}");
    let ran = heir.cli(&["import", "petitions", &book, "--unit", CLERK]);
    assert!(ran.status.success(), "{ran:?}");
    let reader = heir.clerk(CLERK);
    for word in words {
        wait_for("the index", || reader.search(word).text().contains(word));
    }
}
