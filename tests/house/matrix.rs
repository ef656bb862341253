//! Every route × everybody: what answers is written down here by hand, and no route may be missing.

use std::collections::BTreeSet;

use jiceng::web::ROUTES;

use super::county::{County, PETITION, Person, path_of};
use super::viewing::picture;

/// Columns of the table.
const WHO: [&str; 8] =
    ["nobody", "clerk", "other clerk", "approver", "auditor", "sysadmin", "secadmin", "law office"];

/// Method, route, address, and the status for each column. `P` a petition of the clerk's unit, `R` a
/// regulation, `O` an organisation, `A` an account, `D` that of the security administrator, `H` a handover of the
/// clerk of that unit. Where somebody may, the form sent is wrong on purpose:
/// 422 says that the right is there.
const TABLE: &[(&str, &str, &str, [u16; 8])] = &[
    ("GET", "/", "/", [303, 200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/assets/{name}", "/assets/other.css", [404; 8]),
    ("GET", "/healthz", "/healthz", [200; 8]),
    ("GET", "/login", "/login", [200, 303, 303, 303, 303, 303, 303, 303]),
    ("POST", "/login", "/login", [422; 8]),
    ("GET", "/password", "/password", [303, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/password", "/password", [303, 422, 422, 422, 422, 422, 422, 422]),
    ("GET", "/factor", "/factor", [303, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/factor", "/factor", [303, 422, 422, 422, 422, 422, 422, 422]),
    ("POST", "/factor/renew", "/factor/renew", [303, 422, 422, 422, 422, 422, 422, 422]),
    ("POST", "/factor/off", "/factor/off", [303, 422, 422, 422, 422, 422, 422, 422]),
    ("POST", "/factor/certificate", "/factor/certificate", [303, 422, 422, 422, 422, 422, 422, 422]),
    ("POST", "/factor/certificate/off", "/factor/certificate/off", [303, 422, 422, 422, 422, 422, 422, 422]),
    ("GET", "/policy/certificates", "/policy/certificates", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/policy/certificates", "/policy/certificates", [303, 404, 404, 404, 404, 404, 422, 404]),
    ("GET", "/sessions", "/sessions", [303, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/sessions/end", "/sessions/end", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("GET", "/policy", "/policy", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/policy", "/policy", [303, 404, 404, 404, 404, 404, 422, 404]),
    ("GET", "/resume", "/resume", [303; 8]),
    ("GET", "/setup/{token}", "/setup/0123", [404; 8]),
    ("POST", "/setup/{token}", "/setup/0123", [404; 8]),
    ("GET", "/setup", "/setup", [404; 8]),
    ("GET", "/setup/units", "/setup/units", [404; 8]),
    ("POST", "/setup/units", "/setup/units", [404; 8]),
    ("GET", "/setup/people", "/setup/people", [404; 8]),
    ("POST", "/setup/people", "/setup/people", [404; 8]),
    ("GET", "/setup/backup", "/setup/backup", [404; 8]),
    ("POST", "/setup/backup", "/setup/backup", [404; 8]),
    ("GET", "/setup/keys", "/setup/keys", [404; 8]),
    ("GET", "/setup/finish", "/setup/finish", [404; 8]),
    ("POST", "/setup/finish", "/setup/finish", [404; 8]),
    ("GET", "/activate/{token}", "/activate/0123", [404; 8]),
    ("POST", "/activate/{token}", "/activate/0123", [404; 8]),
    ("GET", "/audit", "/audit", [303, 404, 404, 404, 200, 404, 404, 404]),
    ("POST", "/audit", "/audit", [303, 404, 404, 404, 303, 404, 404, 404]),
    ("GET", "/audit/print", "/audit/print", [303, 404, 404, 404, 200, 404, 404, 404]),
    ("POST", "/audit/export", "/audit/export", [303, 404, 404, 404, 422, 404, 404, 404]),
    ("GET", "/audit/days", "/audit/days", [303, 404, 404, 404, 200, 404, 404, 404]),
    ("GET", "/audit/days/{day}", "/audit/days/2020-01-01", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/audit/alarms", "/audit/alarms", [303, 404, 404, 404, 200, 404, 404, 404]),
    ("POST", "/audit/alarms", "/audit/alarms", [303, 404, 404, 404, 422, 404, 404, 404]),
    ("POST", "/audit/alarms/rules", "/audit/alarms/rules", [303, 404, 404, 404, 422, 404, 404, 404]),
    ("GET", "/backup", "/backup", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/backup", "/backup", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/backup/schedule", "/backup/schedule", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/backup/run", "/backup/run", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/backup/scrub", "/backup/scrub", [303, 404, 404, 404, 404, 303, 404, 404]),
    ("POST", "/backup/rotate", "/backup/rotate", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/backup/cancel", "/backup/cancel", [303, 404, 404, 404, 404, 303, 404, 404]),
    ("POST", "/backup/confirm", "/backup/confirm", [303, 404, 404, 404, 422, 422, 422, 404]),
    ("GET", "/backup/recipients", "/backup/recipients", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/backup/recipients", "/backup/recipients", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/backup/recipients/decide", "/backup/recipients/decide", [303, 404, 404, 404, 422, 422, 422, 404]),
    ("GET", "/backup/checks", "/backup/checks", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/backup/checks", "/backup/checks", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/backup/checks/ask", "/backup/checks/ask", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/backup/checks/answer", "/backup/checks/answer", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("GET", "/backup/drills/{at}", "/backup/drills/0", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/backup/keys", "/backup/keys", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/backup/keys", "/backup/keys", [303, 404, 404, 404, 422, 422, 422, 404]),
    ("GET", "/import", "/import", [303, 200, 200, 404, 404, 404, 404, 200]),
    ("GET", "/import", "/import?what=regulation", [303, 200, 200, 404, 404, 404, 404, 200]),
    ("POST", "/import", "/import", [303, 422, 422, 404, 404, 404, 404, 422]),
    ("GET", "/import/{token}", "/import/0123", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/import/{token}", "/import/0123", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/import/{token}/failed", "/import/0123/failed", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/conflicts", "/conflicts", [303, 404, 404, 404, 404, 404, 200, 404]),
    ("POST", "/conflicts", "/conflicts", [303, 404, 404, 404, 404, 404, 422, 404]),
    ("GET", "/identities", "/identities", [303, 200, 200, 200, 404, 404, 404, 404]),
    ("POST", "/identities", "/identities", [303, 422, 422, 422, 404, 404, 404, 404]),
    ("POST", "/identities/decide", "/identities/decide", [303, 422, 422, 422, 404, 404, 404, 404]),
    ("POST", "/identities/take", "/identities/take", [303, 422, 422, 422, 404, 404, 404, 404]),
    ("GET", "/review", "/review", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/review", "/review", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/rights", "/rights", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/rights", "/rights", [303, 404, 404, 404, 404, 404, 422, 404]),
    ("GET", "/rights/{role}", "/rights/handler", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("GET", "/rights/{role}", "/rights/secadmin", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/rights/{role}", "/rights/handler", [303, 404, 404, 404, 404, 404, 422, 404]),
    ("POST", "/rights/{role}", "/rights/auditor", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/search", "/search", [303, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/search", "/search", [303; 8]),
    ("GET", "/search/{id}", "/search/0123", [303; 8]),
    ("POST", "/drafts/{id}", "/drafts/0123", [303; 8]),
    ("GET", "/account/import", "/account/import", [303, 404, 404, 404, 404, 200, 404, 404]),
    ("POST", "/account/import", "/account/import", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/account/import/words", "/account/import/words", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("GET", "/{kind}", "/petition?all=1", [303, 200, 200, 200, 404, 404, 404, 404]),
    ("GET", "/{kind}", "/regulation?all=1", [303, 200, 200, 200, 404, 404, 404, 200]),
    ("GET", "/{kind}", "/article?all=1", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}", "/org?all=1", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("GET", "/{kind}", "/recusal?all=1", [303, 404, 404, 200, 200, 404, 200, 404]),
    ("GET", "/{kind}", "/account?all=1", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("GET", "/{kind}", "/purge?all=1", [303, 404, 404, 200, 200, 200, 200, 200]),
    ("GET", "/{kind}", "/handover?all=1", [303, 404, 404, 200, 200, 200, 200, 404]),
    ("GET", "/{kind}", "/other?all=1", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/columns", "/petition/columns", [303, 303, 303, 303, 404, 404, 404, 404]),
    ("POST", "/{kind}/columns", "/regulation/columns", [303, 303, 303, 303, 404, 404, 404, 303]),
    ("POST", "/{kind}/columns", "/article/columns", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/new", "/petition/new", [303, 200, 200, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/new", "/regulation/new", [303, 404, 404, 404, 404, 404, 404, 200]),
    ("GET", "/{kind}/new", "/article/new", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/new", "/org/new", [303, 404, 404, 404, 404, 200, 404, 404]),
    ("GET", "/{kind}/new", "/purge/new", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/new", "/handover/new", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/new", "/account/new", [303, 404, 404, 404, 404, 200, 404, 404]),
    ("POST", "/{kind}/new", "/petition/new", [303, 422, 422, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/new", "/regulation/new", [303, 404, 404, 404, 404, 404, 404, 422]),
    ("POST", "/{kind}/new", "/article/new", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/new", "/org/new", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/{kind}/new", "/account/new", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("GET", "/{kind}/{id}", "P", [303, 200, 404, 200, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}", "R", [303, 200, 200, 200, 404, 404, 404, 200]),
    ("GET", "/{kind}/{id}", "O", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("GET", "/{kind}/{id}", "A", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("GET", "/{kind}/{id}", "H", [303, 404, 404, 200, 200, 200, 200, 404]),
    ("GET", "/{kind}/{id}/edit", "H/edit", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/edit", "P/edit", [303, 200, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/edit", "R/edit", [303, 404, 404, 404, 404, 404, 404, 200]),
    ("GET", "/{kind}/{id}/edit", "O/edit", [303, 404, 404, 404, 404, 200, 404, 404]),
    ("GET", "/{kind}/{id}/edit", "A/edit", [303, 404, 404, 404, 404, 200, 200, 404]),
    ("POST", "/{kind}/{id}/edit", "P/edit", [303, 422, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/edit", "R/edit", [303, 404, 404, 404, 404, 404, 404, 422]),
    ("POST", "/{kind}/{id}/edit", "O/edit", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/{kind}/{id}/edit", "A/edit", [303, 404, 404, 404, 404, 422, 422, 404]),
    ("GET", "/{kind}/{id}/history", "P/history", [303, 200, 404, 200, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/history", "R/history", [303, 200, 200, 200, 404, 404, 404, 200]),
    ("GET", "/{kind}/{id}/history", "A/history", [303, 404, 404, 404, 200, 200, 200, 404]),
    ("POST", "/{kind}/{id}/move/{name}", "P/move/propose", [303, 422, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/move/{name}", "P/move/accept", [303, 404, 404, 422, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/move/{name}", "P/move/other", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/move/{name}", "R/move/close", [303, 404, 404, 404, 404, 404, 404, 422]),
    ("POST", "/{kind}/{id}/move/{name}", "P/move/void", [303, 422, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/move/{name}", "P/move/annul", [303, 404, 404, 422, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/move/{name}", "R/move/void", [303, 404, 404, 404, 404, 404, 404, 422]),
    ("POST", "/{kind}/{id}/move/{name}", "O/move/close", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/{kind}/{id}/move/{name}", "A/move/close", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/{kind}/{id}/purge", "P/purge", [303, 404, 404, 422, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/purge", "R/purge", [303, 404, 404, 404, 404, 404, 404, 422]),
    ("POST", "/{kind}/{id}/purge", "O/purge", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/purge", "A/purge", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/label", "P/label", [303, 422, 404, 422, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/label", "O/label", [303, 404, 404, 404, 422, 422, 422, 404]),
    ("POST", "/{kind}/{id}/recuse", "P/recuse", [303, 422, 404, 422, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/recuse", "R/recuse", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/identity", "P/identity", [303, 422, 404, 422, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/password", "A/password", [303, 404, 404, 404, 404, 200, 404, 404]),
    ("POST", "/{kind}/{id}/password", "P/password", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/factor", "A/factor", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/{kind}/{id}/factor", "P/factor", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/relief", "A/relief", [303, 404, 404, 404, 404, 422, 422, 404]),
    ("POST", "/{kind}/{id}/relief", "P/relief", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/handover", "A/handover", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/{kind}/{id}/handover", "D/handover", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/handover", "P/handover", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/replace", "D/replace", [303, 404, 404, 404, 422, 422, 404, 404]),
    ("POST", "/{kind}/{id}/replace", "A/replace", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/replace", "P/replace", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/assign", "H/assign", [303, 404, 404, 422, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/assign", "P/assign", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/finish", "H/finish", [303, 404, 404, 404, 404, 422, 404, 404]),
    ("POST", "/{kind}/{id}/finish", "P/finish", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/report", "H/report", [303, 404, 404, 200, 200, 200, 200, 404]),
    ("GET", "/{kind}/{id}/report", "P/report", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/move/{name}", "H/move/finish", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("POST", "/{kind}/{id}/end", "H/end", [303, 404, 404, 404, 404, 303, 404, 404]),
    ("POST", "/{kind}/{id}/end", "P/end", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/files/{place}", "P/files/0", [303, 200, 404, 200, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/files/{place}", "P/files/9", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/files/{place}/view", "P/files/0/view", [303, 200, 404, 200, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/files/{place}/view", "P/files/9/view", [303, 404, 404, 404, 404, 404, 404, 404]),
    ("GET", "/{kind}/{id}/files/{place}/inline", "P/files/0/inline", [303, 200, 404, 200, 404, 404, 404, 404]),
    ("POST", "/logout", "/logout", [303; 8]),
];

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

#[test]
fn the_table_names_every_route() {
    let routes: BTreeSet<(String, &str)> = ROUTES.iter().map(|r| (r.method.to_string(), r.path)).collect();
    let table: BTreeSet<(String, &str)> = TABLE.iter().map(|t| (t.0.to_owned(), t.1)).collect();
    assert_eq!(table, routes);
}

/// ASVS 8.2.1, 8.3.1
#[test]
fn every_route_answers_everybody_as_the_table_says() {
    let county = County::bare();
    let unit = "石鼓岭镇纪委";
    let (clerk, law) = (county.clerk(unit), county.person("fagui"));
    let form = clerk.form("/petition/new").fill(PETITION).set("petitioner.name", "来信人丁");
    let petition = path_of(&clerk.submit(&form.attach("原件.png", &picture(image::ImageFormat::Png))).expect(303));
    let form = law.form("/regulation/new").fill(&[("title", "望澜县办法"), ("text", "第一条 为了规范。")]);
    let regulation = path_of(&law.submit(&form).expect(303));
    let sysadmin = county.sysadmin();
    let organisation = find(&sysadmin, "org", "杏林坪镇纪委");
    let account = find(&sysadmin, "account", "bangong");
    let of_three = find(&sysadmin, "account", ">secadmin<");
    let handover = super::handover::begin(&sysadmin, &super::handover::account(&sysadmin, "zhen04"));
    let people = [
        county.nobody(),
        clerk,
        county.clerk("枫桥坞镇纪委"),
        county.approver(unit),
        county.auditor(),
        sysadmin,
        county.secadmin(),
        law,
    ];
    let mut wrong = Vec::new();
    for (method, route, address, expected) in TABLE {
        let places = [('P', &petition), ('R', &regulation), ('O', &organisation), ('A', &account)];
        let places = [&places[..], &[('D', &of_three), ('H', &handover)]].concat();
        let place = places.iter().find(|(c, _)| address.starts_with(*c));
        let path = place.map_or((*address).to_owned(), |(_, own)| format!("{own}{}", &address[1..]));
        for (n, person) in people.iter().enumerate() {
            let answer = if *method == "GET" { person.get(&path) } else { person.post_form(&path, WRONG) };
            if answer.status != expected[n] {
                wrong.push(format!(
                    "{method} {route} ({address}) for {}: {}, not {}",
                    WHO[n], answer.status, expected[n]
                ));
            }
            let to_login = answer.status == 303 && answer.location() == "/login";
            let guarded = n == 0 && expected[n] == 303;
            assert!(!guarded || to_login, "{method} {address} leads a stranger to {}", answer.location());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
