//! Every route × everybody: what answers stands in `tests/access.tsv`, which is written by hand from the regulation,
//! and no route may be missing.

use std::collections::BTreeSet;

use jiceng::web::ROUTES;

use super::county::{County, PETITION, Person, path_of};
use super::viewing::picture;

const TABLE: &str = include_str!("../access.tsv");

/// One line of the table: method, route, address, and the status for each column.
struct Line {
    method: &'static str,
    route: &'static str,
    address: &'static str,
    expected: Vec<u16>,
}

/// The columns, and the lines.
fn table() -> (Vec<&'static str>, Vec<Line>) {
    let mut lines = TABLE.lines().filter(|l| !l.starts_with('#'));
    let head: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let line = |text: &'static str| {
        let cells: Vec<&str> = text.split('\t').collect();
        assert_eq!(cells.len(), head.len(), "{text}");
        let expected = cells[3..].iter().map(|c| c.parse().unwrap()).collect();
        Line { method: cells[0], route: cells[1], address: cells[2], expected }
    };
    let lines = lines.map(line).collect();
    (head[3..].to_vec(), lines)
}

/// Sent with every form: a token is added; nothing of it can be saved.
const WRONG: &[(&str, &str)] = &[
    ("version", "999"),
    ("login", "no-such-name"),
    ("password", "x"),
    ("new", "a"),
    ("again", "b"),
    ("submit", "s"),
];

/// The first address below `/kind/` in the list of that kind that stands with this name.
fn find(person: &Person, kind: &str, name: &str) -> String {
    let list = person.get(&format!("/{kind}?all=1&size=100")).expect(200).text();
    let line =
        list.split("<tr").find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {list}"));
    let start = line.find(&format!("/{kind}/")).unwrap();
    line[start..].split('"').next().unwrap().to_owned()
}

/// Gives an account these roles and no other, and logs its person in.
fn with_roles(county: &County, login: &str, roles: &[&str]) -> Person {
    let secadmin = county.secadmin();
    let account = super::handover::account(&secadmin, login);
    let mut form = secadmin.form(&format!("{account}/edit"));
    form.pairs.retain(|(name, _)| name != "roles");
    form.pairs.extend(roles.iter().map(|role| ("roles".to_owned(), (*role).to_owned())));
    secadmin.submit(&form).expect(303);
    county.person(login)
}

#[test]
fn the_table_names_every_route() {
    let routes: BTreeSet<(String, &str)> = ROUTES.iter().map(|r| (r.method.to_string(), r.path)).collect();
    let table: BTreeSet<(String, &str)> = table().1.iter().map(|t| (t.method.to_owned(), t.route)).collect();
    assert_eq!(table, routes);
}

/// The people of each column.
fn people(county: &County, clerk: Person, law: Person) -> Vec<(&'static str, Vec<Person>)> {
    let offices = [
        ("zhen07", "office"),
        ("zhen08", "publicity-office"),
        ("pz01", "supervision-office"),
        ("pz06", "trial-office"),
        ("zhen01", "conduct-office"),
    ];
    let offices = offices.map(|(login, role)| with_roles(county, login, &[role])).into();
    let nothing = vec![with_roles(county, "zhen06-fz", &[]), with_roles(county, "zhen07-fz", &["identity"])];
    let office = with_roles(county, "zhen06", &["petition-office"]);
    vec![
        ("nobody", vec![county.nobody()]),
        ("clerk", vec![clerk]),
        ("other clerk", vec![county.clerk("枫桥坞镇纪委")]),
        ("approver", vec![county.approver("石鼓岭镇纪委")]),
        ("other approver", vec![county.approver("枫桥坞镇纪委")]),
        ("petition office", vec![office]),
        ("law office", vec![law]),
        ("offices", offices),
        ("no rights", nothing),
        ("sysadmin", vec![county.sysadmin()]),
        ("secadmin", vec![county.secadmin()]),
        ("auditor", vec![county.auditor()]),
    ]
}

/// ASVS 8.2.1, 8.3.1
#[test]
fn every_route_answers_everybody_as_the_table_says() {
    let county = County::bare();
    let (clerk, law) = (county.clerk("石鼓岭镇纪委"), county.person("fagui"));
    let form = clerk.form("/petition/new").fill(PETITION).set("petitioner.name", "来信人丁");
    let petition = path_of(&clerk.submit(&form.attach("原件.png", &picture(image::ImageFormat::Png))).expect(303));
    let form = law.form("/regulation/new").fill(&[("title", "望澜县办法"), ("text", "第一条 为了规范。")]);
    let regulation = path_of(&law.submit(&form).expect(303));
    let sysadmin = county.sysadmin();
    let places = [
        ('P', petition),
        ('R', regulation),
        ('O', find(&sysadmin, "org", "杏林坪镇纪委")),
        ('A', find(&sysadmin, "account", "bangong")),
        ('D', find(&sysadmin, "account", ">secadmin<")),
        ('H', super::handover::begin(&sysadmin, &super::handover::account(&sysadmin, "zhen04"))),
    ];
    let people = people(&county, clerk, law);
    let (columns, lines) = table();
    assert_eq!(people.iter().map(|(column, _)| *column).collect::<Vec<_>>(), columns);
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for Line { method, route, address, expected } in lines {
        let place = places.iter().find(|(c, _)| address.starts_with(*c));
        let path = place.map_or(address.to_owned(), |(_, own)| format!("{own}{}", &address[1..]));
        for ((column, persons), expected) in people.iter().zip(expected) {
            for person in persons {
                let answer = if method == "GET" { person.get(&path) } else { person.post_form(&path, WRONG) };
                if answer.status != expected {
                    let (who, status) = (&person.login, answer.status);
                    wrong.push(format!("{method} {route} ({address}) for {column} {who}: {status}, not {expected}"));
                }
                let guarded = *column == "nobody" && expected == 303 && answer.status == 303;
                let to = answer.location();
                assert!(!guarded || to == "/login", "{method} {address} leads a stranger to {to}");
                asked += 1;
            }
        }
    }
    println!("{asked} questions");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}
