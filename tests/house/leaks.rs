//! What is kept from a person is, over the wire, what was never there: the same status, the same length, the same
//! words, by every address there is. Drawn from a fixed seed; `JICENG_CAMPAIGN=n` asks n times as much, 3 asks
//! everything.

use super::county::{County, PETITION, Person, path_of};
use super::form::{forms, without_scripts};
use super::viewing::picture;
use super::wire::Answer;

const UNIT: &str = "石鼓岭镇纪委";
/// Questions asked, of some four hundred there are.
const ASKED: usize = 160;

/// Addresses below a record.
const GET: [&str; 8] =
    ["", "/history", "/edit", "/files/0", "/files/9", "/files/0/view", "/files/0/inline", "?page=2"];
const POST: [&str; 14] = [
    "/edit", "/identity", "/purge", "/recuse", "/label", "/password", "/move/propose", "/move/accept", "/move/return",
    "/move/void", "/move/annul", "/move/reopen", "/move/archive", "/move/lift",
];

fn register(clerk: &Person, name: &str, org: &str) -> String {
    let typed = [("accused.0.name", name), ("accused.0.org", org), ("petitioner.name", "来信人己")];
    let form = clerk.form("/petition/new").fill(PETITION).fill(&typed);
    path_of(&clerk.submit(&form.attach("原件.png", &picture(image::ImageFormat::Png))).expect(303))
}

fn send(person: &Person, path: &str, action: &str, pairs: &[(&str, &str)]) {
    let page = person.get(path).expect(200).text();
    let form = forms(&page).into_iter().find(|f| f.action == format!("{path}{action}")).expect("no such form");
    person.submit(&form.fill(pairs)).expect(303);
}

/// What a page tells, its own keys aside.
fn told(answer: &Answer) -> (u16, usize, String) {
    let text = without_scripts(&answer.steady());
    (answer.status, text.len(), text)
}

/// Numbers that look drawn and are the same every time.
fn draw(seed: &mut u64, bound: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap() % bound
}

#[test]
fn what_is_kept_from_a_person_is_what_was_never_there() {
    let county = County::bare();
    let (clerk, head) = (county.clerk(UNIT), county.approver(UNIT));
    let (other, office) = (county.clerk("枫桥坞镇纪委"), county.clerk("信访室"));
    let strangers = [county.auditor(), county.sysadmin(), county.secadmin(), county.person("fagui")];
    // Named, declared, and of another unit: who sees what is listed by hand.
    let named = register(&clerk, "石鼓岭镇负责人", "石鼓岭镇");
    let declared = register(&clerk, "测某某", "石鼓岭镇");
    send(&head, &declared, "/recuse", &[("recusal-reason", "亲属")]);
    let both = register(&office, "石鼓岭镇经办", "石鼓岭镇政府");
    let open = [&clerk, &office];
    for (path, sees) in [(&named, open), (&declared, open)] {
        sees.iter().for_each(|p| drop(p.get(path).expect(200)));
    }
    office.get(&both).expect(200);
    let mut kept: Vec<(&Person, &str)> = vec![(&head, &named), (&head, &declared), (&clerk, &both), (&head, &both)];
    for path in [&named, &declared, &both] {
        kept.push((&other, path));
        kept.extend(strangers.iter().map(|p| (p, path.as_str())));
    }
    let addresses = || GET.iter().map(|rest| (*rest, true)).chain(POST.iter().map(|rest| (*rest, false)));
    let below = |(p, path)| addresses().map(move |(rest, get)| (p, path, rest, get));
    let every: Vec<(&Person, &str, &str, bool)> = kept.into_iter().flat_map(below).collect();
    let campaign = std::env::var("JICENG_CAMPAIGN").ok().and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
    let pairs = [("version", "1"), ("reason", "查看一下"), ("opinion", "x"), ("label", "core"), ("title", "x")];
    let (mut seed, mut wrong) = (20_261_130, Vec::new());
    let asked = (ASKED * campaign).min(every.len());
    for n in 0..asked {
        let at = if asked == every.len() { n } else { draw(&mut seed, every.len()) };
        let (person, path, rest, get) = every[at];
        let ask = |path: &str| {
            let address = format!("{path}{rest}");
            told(&if get { person.get(&address) } else { person.post_form(&address, &pairs) })
        };
        let (hidden, absent) = (ask(path), ask("/petition/98765"));
        if hidden != absent || hidden.0 != 404 {
            wrong.push(format!("{} {path}{rest}: {} and {}", person.login, hidden.0, absent.0));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Lists, desk and search of those who are kept out of everything say what an empty county says.
    for person in [&head, &other] {
        for page in ["/petition?all=1", "/petition?state=2", "/petition?state=3&order=old", "/"] {
            let shown = person.get(page).expect(200);
            let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
            let names = shown.text().split("/petition/").skip(1).any(is_number);
            assert!(!shown.says("虚报补贴") && !names, "{} {page}", person.login);
        }
        assert!(person.search("虚报补贴").says("没有找到"), "{}", person.login);
    }
}
