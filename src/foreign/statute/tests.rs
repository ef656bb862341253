//! What is recognised, by example, and what is not; all texts are invented.

use proptest::prelude::*;

use super::*;

fn read_text(text: &str) -> Statute {
    recognise(&lines(text))
}

fn numbers(statute: &Statute) -> Vec<&str> {
    statute.articles.iter().map(|a| a.no.as_str()).collect()
}

const RULES: &str = "\
中共样县纪律检查委员会办公室文件
样纪办［２０２０］１１号

关于印发《样县信访件登记
办理规程（试行）》的通知

各镇纪委：
现将规程印发给你们，请遵照执行。

样县信访件登记办理规程
（试行）

目　录
第一章　总则
第二章　登记……………… 3
附　则

第一章　总　则
第一条　为了登记有序，制定本规程。
第 二 条　登记按照
第十条 的要求办理，依照本规程
第三条 的程序。
第二章　登记
第一节　一般规定
第3条 下列情形应当登记：
（一）来信；
（二）来访。
前款登记当日完成。
第三条之一　补充登记另行规定。
附　则
第五条：本规程自2020年7月1日起施行。

中共样县纪委办公室
二〇二〇年六月二十日
";

#[test]
fn a_notice_with_its_rules_is_recognised() {
    let s = read_text(RULES);
    assert_eq!(s.title, "样县信访件登记办理规程（试行）");
    assert_eq!(s.number, "样纪办〔2020〕11号");
    assert_eq!(s.issuer, "中共样县纪律检查委员会办公室");
    assert_eq!((s.published.as_str(), s.effective.as_str()), ("2020-06-20", "2020-07-01"));
    assert_eq!(s.level, "规范性文件");
    assert_eq!(numbers(&s), ["第一条", "第二条", "第三条", "第三条之一", "第五条"]);
    assert_eq!(s.articles[1].text, "第二条 登记按照\n第十条 的要求办理，依照本规程\n第三条 的程序。");
    assert_eq!(
        s.articles[2].text,
        "第三条 下列情形应当登记：\n（一）来信；\n（二）来访。\n前款登记当日完成。"
    );
    assert_eq!(s.articles[2].chapter, "第二章 登记 第一节 一般规定");
    assert_eq!(s.articles[0].chapter, "第一章 总则");
    assert!(
        s.preamble.contains("各镇纪委：") && s.preamble.ends_with("中共样县纪委办公室\n二〇二〇年六月二十日")
    );
    assert!(!s.preamble.contains('录') && !s.preamble.contains("……"));
    assert_eq!(s.remarks, ["第三条之一之后是第五条，中间缺条，请核对。"]);
}

#[test]
fn notes_tell_who_adopted_a_law_and_when() {
    let s = read_text(
        "中华人民共和国\n样例法\n（2019年3月1日第十三届全国人民代表大会常务委员会第九次会议通过　根据2020年6月20日第十三届全国人民代表\
         大会常务委员会第十九次会议《关于修改〈样例法〉的决定》修正）\n第一编　总则\n第一分编　通则\n第一章　开头\n第一条　示例。\n\
         第二条　本法自公布之日起施行。",
    );
    assert_eq!(s.title, "中华人民共和国样例法");
    assert_eq!((s.level.as_str(), s.issuer.as_str()), ("法律", "全国人民代表大会常务委员会"));
    assert_eq!((s.published.as_str(), s.effective.as_str()), ("2020-06-20", "2020-06-20"));
    assert_eq!(s.articles[0].chapter, "第一编 总则 第一分编 通则 第一章 开头");
    assert!(s.preamble.starts_with("（2019年3月1日"));
}

#[test]
fn covers_of_every_kind() {
    for (head, title, number, issuer, level) in [
        (
            "中华人民共和国主席令\n第五十七号\n《样例法》已经通过，现予公布。\n中华人民共和国样例法",
            "中华人民共和国样例法",
            "中华人民共和国主席令第五十七号",
            "",
            "法律",
        ),
        (
            "样例管理条例\n（2011年2月16日国务院第144次常务会议通过　2011年3月7日国务院令第593号公布）",
            "样例管理条例",
            "国务院令第593号",
            "国务院",
            "行政法规",
        ),
        (
            "最高人民法院\n关于审理样例案件的解释\n2018年9月17日最高人民法院审判委员会第1749次会议通过",
            "最高人民法院关于审理样例案件的解释",
            "",
            "最高人民法院",
            "司法解释",
        ),
        (
            "中国共产党样例监督条例\n（2016年10月27日中国共产党第十八届中央委员会第六次全体会议通过）",
            "中国共产党样例监督条例",
            "",
            "",
            "条例",
        ),
        (
            "国家监察委员会关于样例的规定\n国家监察委员会公告第1号",
            "国家监察委员会关于样例的规定",
            "",
            "国家监察委员会",
            "监察法规",
        ),
        (
            "样省样例条例\n（2020年5月24日样省第十五届人民代表大会常务委员会第四次会议通过）",
            "样省样例条例",
            "",
            "样省人民代表大会常务委员会",
            "地方性法规",
        ),
        ("《样例登记办法》\n样人社发(2021)3号", "样例登记办法", "样人社发〔2021〕3号", "", "规范性文件"),
    ] {
        let s = read_text(&format!("{head}\n第一条　示例。"));
        let got = (s.title.as_str(), s.number.as_str(), s.issuer.as_str(), s.level.as_str());
        assert_eq!(got, (title, number, issuer, level), "{head}");
    }
    let repealed = read_text("样例登记办法（试行）\n（已废止）\n第一条　示例。");
    assert_eq!((repealed.title.as_str(), repealed.status.as_str()), ("样例登记办法（试行）", "已废止/失效"));
}

#[test]
fn a_number_in_a_sentence_or_a_quotation_begins_no_article() {
    let s = read_text(
        "关于修改样例办法的决定\n第一条　第三条修改为：\n“第三条　新的条文：\n（一）甲；\n第四条　也是新的。”\n第二条　依照本办法\n\
         第三条的规定办理。\n第三条、第四条作相应调整。\n第三条　违反\n第九条　规定的，予以批评。\n第四条至第六条继续有效。",
    );
    assert_eq!(numbers(&s), ["第一条", "第二条", "第三条"]);
    assert!(s.articles[0].text.ends_with("第四条　也是新的。”"));
    // A mark that nobody closed swallows nothing.
    let open = read_text("样例办法\n第一条　所称：“甲是样例。\n第二条　乙。\n第三条　丙，称“丁”。");
    assert_eq!(numbers(&open), ["第一条", "第二条", "第三条"]);
}

#[test]
fn notices_without_articles_are_split_by_their_items() {
    let s = read_text(
        "样县纪委关于加强登记工作的通知\n各镇：\n现通知如下。\n一、提高认识\n登记很重要。\n（一）人人知道。\n二、抓好落实\n1. 按时。\n\
         附件：登记表\n样县纪委\n2021年3月\n附件\n序号 | 名称\n1 | 甲",
    );
    assert_eq!(numbers(&s), ["一、", "二、", "附件"]);
    assert_eq!(s.articles[0].text, "一、提高认识\n登记很重要。\n（一）人人知道。");
    assert_eq!(s.articles[1].text, "二、抓好落实\n1. 按时。\n附件：登记表");
    assert_eq!(s.articles[2].text, "附件\n序号 | 名称\n1 | 甲");
    assert_eq!((s.issuer.as_str(), s.published.as_str()), ("样县纪委", "2021-03"));
    assert!(s.remarks.is_empty());
}

#[test]
fn headings_above_articles_and_names_on_lines_of_their_own() {
    let s = read_text(
        "样例解释\n一、管辖\n第一条 甲。\n第二条 乙：\n一、其一；\n二、其二。\n二、证据\n第三条 丙。\n第一章\n其他\n第四条\n丁。",
    );
    let got: Vec<_> =
        s.articles.iter().map(|a| (a.no.as_str(), a.chapter.as_str(), a.text.as_str())).collect();
    assert_eq!(
        got,
        [
            ("第一条", "一、管辖", "第一条 甲。"),
            ("第二条", "一、管辖", "第二条 乙：\n一、其一；\n二、其二。"),
            ("第三条", "二、证据", "第三条 丙。"),
            ("第四条", "第一章 其他", "第四条 丁。"),
        ]
    );
}

#[test]
fn numbering_that_is_odd_is_said() {
    let s =
        read_text("样例办法\n第一条 甲。\n第二条 乙。\n第二条 丙。\n第五条 丁。\n第一条 戊。\n第二条 己。");
    assert_eq!(
        s.remarks,
        [
            "第二条重复出现，请核对。",
            "第二条之后是第五条，中间缺条，请核对。",
            "条号又从第一条开始，文件中可能有两部法规，请核对。",
        ]
    );
    assert_eq!(read_text("样例批复\n同意。").remarks.len(), 1);
}

#[test]
fn a_person_can_correct_what_was_recognised() {
    let s = read_text(RULES);
    let edited = text(&s).replace("第五条 本规程", "第四条 本规程").replace("文号：样纪办", "文号：样委办");
    let again = recognise(&lines(&edited));
    assert_eq!(numbers(&again), ["第一条", "第二条", "第三条", "第三条之一", "第四条"]);
    assert_eq!((again.number.as_str(), again.remarks.len()), ("样委办〔2020〕11号", 0));
    assert_eq!(again.articles[1].text, s.articles[1].text);
}

#[test]
fn a_number_ends_where_its_text_begins() {
    let s = read_text("样例法\n第二十条之一　三人以上的。\n第 二十 一 条 四人的。\n第二十一条\n之一的。");
    let texts: Vec<_> = s.articles.iter().map(|a| a.text.as_str()).collect();
    assert_eq!(texts, ["第二十条之一 三人以上的。", "第二十一条 四人的。", "第二十一条\n之一的。"]);
}

/// Lines as documents have them, in any order.
fn a_line() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("一"),
        Just("二"),
        Just("三"),
        Just("十二"),
        Just("4"),
        Just(" ５ "),
        Just("〇"),
        Just("一百")
    ];
    let piece = prop_oneof![
        Just("第"),
        Just("条"),
        Just("章"),
        Just("节"),
        Just("编"),
        Just("之一"),
        Just("、"),
        Just("　"),
        Just(" "),
        Just("："),
        Just("“"),
        Just("”"),
        Just("。"),
        Just("总则"),
        Just("的规定"),
        Just("附件"),
        Just("目录"),
        Just("标题：甲"),
        Just("文号："),
        Just("《样例》"),
        Just("关于样例的通知"),
        Just("（一）"),
        Just("样纪办〔2020〕1号"),
        Just("……3"),
        Just("2020年7月1日"),
        Just("起施行"),
        Just("样县纪委"),
        Just("a b"),
        Just("\u{200B}"),
        Just("甲"),
        Just("|"),
        Just("印发"),
    ];
    let mark =
        (number.clone(), prop_oneof![Just("条"), Just("章"), Just("节"), Just("编")], "[ 　]?", ".{0,6}");
    let marked = mark.prop_map(|(n, u, b, rest)| format!("第{n}{u}{b}{rest}"));
    let item = (number, ".{0,6}").prop_map(|(n, rest)| format!("{n}、{rest}"));
    let any = prop::collection::vec(piece, 0..8).prop_map(|p| p.concat());
    prop_oneof![3 => marked, 1 => item, 4 => any]
}

/// The same cases each time.
fn config() -> ProptestConfig {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(7);
    ProptestConfig { failure_persistence: None, rng_seed, ..ProptestConfig::with_cases(3_000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn reading_back_the_form_for_corrections_changes_nothing(rows in prop::collection::vec(a_line(), 0..14)) {
        let first = read_text(&rows.join("\n"));
        let again = recognise(&lines(&text(&first)));
        prop_assert_eq!(again, first);
    }

    #[test]
    fn no_character_is_lost(rows in prop::collection::vec("[甲乙丙第一二三条、。 ]{1,8}", 1..12)) {
        let s = read_text(&rows.join("\n"));
        let count = |t: &str| t.chars().filter(|c| "甲乙丙。".contains(*c)).count();
        let kept: usize = s.articles.iter().map(|a| count(&a.text) + count(&a.chapter)).sum();
        let wanted: usize = rows.iter().map(|r| count(r)).sum();
        prop_assert!(kept + count(&s.title) + count(&s.preamble) + count(&s.number) + count(&s.issuer) >= wanted);
    }
}

/// A tenth of the lines a reader may say; what took a pass for each of them would not end.
#[test]
fn large_documents_are_read_in_one_pass() {
    let piece = [
        "第一条 甲",
        "第一章",
        "“第三条：“",
        "附件",
        "2020年年年令令〔〔",
        "一、",
        "关于印发",
        "（2020年1月1日",
        "甲",
        "目录",
        "第一章 ……3",
    ];
    for line in piece {
        let text = format!("{line}\n").repeat(crate::base::limits::DOCUMENT_BLOCKS / 10);
        let s = read_text(&text);
        assert!(s.remarks.len() <= crate::base::limits::STATUTE_REMARKS, "{line}");
    }
    let s = read_text(&"“第一章 ……3令年〔第一条之".repeat(100_000));
    assert!(!s.preamble.is_empty() || !s.title.is_empty());
}
