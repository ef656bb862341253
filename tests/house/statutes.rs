//! Regulations as they are read: a table of contents, citations both ways, neighbours of a hit, and two versions
//! side by side; all of it by right.

use std::fs;

use super::county::{County, Person};
use super::wire::Answer;

fn row(title: &str, status: &str, day: &str, articles: &[(&str, &str, &str)]) -> String {
    let articles: Vec<_> = articles
        .iter()
        .map(|(no, chapter, text)| serde_json::json!({"no": no, "chapter": chapter, "text": format!("{no} {text}")}))
        .collect();
    serde_json::json!({"title": title, "status": status, "published": day, "articles": articles}).to_string()
}

/// A county with an ordinance in two versions and a measure that cites it.
fn county() -> County {
    let county = County::bare();
    let old = row("样例县登记条例", "已被修改", "2019-01-01", &[
        ("第一条", "第一章 总则", "为了做好样例登记工作，制定本条例。"),
        ("第二条", "第一章 总则", "来信应当在五个工作日内登记，并告知来信人。"),
        ("第三条", "第二章 附则", "样例印章由专人保管，不得外借或者带出办公场所。"),
    ]);
    let new = row("样例县登记条例", "现行有效", "2024-01-01", &[
        ("第一条", "第一编 总则 第一章 目的", "为了做好样例登记工作，制定本条例。"),
        ("第二条", "第一编 总则 第一章 目的", "登记人员回避的，按照本条例第四条和第九条办理。"),
        ("第三条", "第一编 总则 第二章 登记 第一节 时限", "来信应当在三个工作日内登记，并告知来信人。"),
        ("第四条", "第二编 分则", "回避由负责人决定，决定应当记录在案。"),
    ]);
    let measure = row("样例县督办办法", "现行有效", "2025-01-01", &[
        ("第一条", "", "超过《样例县登记条例》第三条、第四条规定时限的，予以督办。"),
        ("第二条", "", "《查不到的规定》第一条的情形，从其规定。"),
    ]);
    let file = county.dir().with_extension("regulations.jsonl");
    fs::write(&file, [old, new, measure].join("\n")).unwrap();
    let done = county.cli(&["import", "regulations", file.to_str().unwrap()]);
    fs::remove_file(&file).unwrap();
    assert!(done.status.success(), "{done:?}");
    county
}

/// Addresses of the three: the old version, the new one, the measure.
fn addresses(law: &Person) -> [String; 3] {
    let list = law.get("/regulation?all=1&order=old").expect(200).text();
    let all: Vec<String> =
        list.split("row-link\" href=\"").skip(1).map(|l| l.split('"').next().unwrap().to_owned()).collect();
    all.try_into().unwrap()
}

/// The part of a page between two words.
fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    text.split(from).nth(1).and_then(|t| t.split(to).next()).unwrap_or_default()
}

fn article(page: &Answer, n: usize) -> String {
    page.text().split("id=\"a").nth(n).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn contents_lead_to_chapters_and_citations_to_articles_both_ways() {
    let county = county();
    let law = county.person("fagui");
    let [old, new, measure] = addresses(&law);
    let page = law.get(&new).expect(200);
    let text = page.text();
    let ids: Vec<String> = (1..=4).map(|n| article(&page, n)).collect();
    let toc = part(&text, "class=\"toc\"", "</nav>");
    for (level, name, at) in
        [(1, "第一编 总则", 0), (3, "第一章 目的", 0), (3, "第二章 登记", 2), (4, "第一节 时限", 2), (1, "第二编 分则", 3)]
    {
        let line = format!("class=\"toc-{level}\"><a href=\"{new}?page=1#a{}\">{name}</a>", ids[at]);
        assert!(toc.contains(&line), "{line}: {toc}");
    }
    assert_eq!(toc.matches("<li").count(), 5);
    // 本条例第四条 is a link, 第九条 does not exist.
    let second = part(&text, &format!("id=\"a{}\"", ids[1]), "</article>");
    assert!(second.contains(&format!("&amp;at={0}#a{0}\">第四条</a>", ids[3])), "{second}");
    assert!(second.contains("和第九条办理"), "{second}");
    // The measure cites the version in force, and both of its articles.
    let citing = law.get(&measure).expect(200);
    let text = citing.text();
    assert!(text.contains(&format!("<a href=\"{new}\">《样例县登记条例》</a>")), "{text}");
    assert!(text.contains(&format!("<a href=\"{new}?no=4\">第四条</a>")) && text.contains("《查不到的规定》第一条的"));
    let to = law.get(&format!("{new}?no=4")).expect(303);
    assert_eq!(to.location(), format!("{new}?page=1&at={0}#a{0}", ids[3]));
    assert!(law.get(&format!("{new}?no=99")).expect(200).says("样例县登记条例"));
    // The other way round.
    assert!(part(&page.text(), "id=\"cited-by\"", "</section>").contains("《样例县督办办法》第一条"));
    let by = |id: &str| {
        let page = law.get(&format!("/article/{id}")).expect(200).text();
        part(&page, "id=\"cited-by\"", "</section>").to_owned()
    };
    assert!(by(&ids[3]).contains("《样例县督办办法》第一条") && by(&ids[3]).contains("《样例县登记条例》第二条"));
    assert!(by(&ids[2]).contains("督办") && by(&ids[0]).is_empty());
    let cites = law.get(&format!("/article/{}", article(&citing, 1))).expect(200).text();
    assert!(part(&cites, "id=\"cites\"", "</section>").contains("《样例县登记条例》第四条"), "{cites}");
    // A hit is marked, and its neighbours.
    let text = law.get(&format!("{new}?page=1&at={}", ids[1])).expect(200).text();
    assert!(text.contains(&format!("class=\"article hit-here\" id=\"a{}\"", ids[1])));
    assert_eq!(text.matches("class=\"article near\"").count(), 2);
    let hit = law.search("三个工作日内登记").text();
    assert!(hit.contains(&format!("&amp;at={0}#a{0}", ids[2])), "{hit}");
    // What nobody may see is cited by nothing, and whoever may not see regulations gets nothing of it.
    let form = law.form(&format!("{new}/edit"));
    law.submit(&form.set("title", "样例县登记新条例")).expect(303);
    assert!(law.get(&measure).says(&format!("<a href=\"{old}\">《样例县登记条例》</a>")));
    let secadmin = county.secadmin();
    for path in [format!("{new}?no=4"), format!("{new}/beside/1"), new.clone()] {
        secadmin.get(&path).expect(404);
    }
}

#[test]
fn versions_stand_side_by_side_with_what_changed() {
    let county = county();
    let law = county.person("fagui");
    let [old, new, measure] = addresses(&law);
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let page = law.get(&new).expect(200);
    assert!(page.says(&format!("href=\"{new}/beside/{}\"", id(&old))));
    let text = law.get(&format!("{new}/beside/{}", id(&old))).expect(200).text();
    assert!(text.contains("修改 1 条，新增 2 条，删去 1 条，未变 1 条。"), "{text}");
    assert!(text.contains("应当在<mark>五</mark>个工作日") && text.contains("应当在<mark>三</mark>个工作日"), "{text}");
    assert!(text.contains("<tr class=\"gone\">") && text.contains("已删去") && text.contains("本版没有"));
    assert!(text.len() < 200_000);
    // From either side it is the same; what is no version of it stands beside nothing.
    let back = law.get(&format!("{old}/beside/{}", id(&new))).expect(200).text();
    assert_eq!(part(&back, "<tbody>", "</tbody>"), part(&text, "<tbody>", "</tbody>"));
    for path in [
        format!("{new}/beside/{}", id(&measure)),
        format!("{new}/beside/{}", id(&new)),
        format!("{new}/beside/x"),
        format!("{new}/beside/98765"),
        format!("/article/{}/beside/{}", article(&page, 1), id(&old)),
    ] {
        law.get(&path).expect(404);
    }
    law.get(&format!("{new}/beside/{}?page=99", id(&old))).expect(200);
}
