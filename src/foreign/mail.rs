//! Saved letters of mail programs (eml): who wrote what to whom, and the documents attached, each a part of its own.
//!
//! What a letter would load from elsewhere is not looked at. Letters within letters are followed a few steps deep; what
//! is attached and cannot be read takes nothing else along.

use std::borrow::Cow;

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::document::Out;
use super::{Emit, Format, Item, Style, child, html};
use crate::base::{Error, Result, limits};

/// Letters within letters that are followed.
const DEPTH: usize = 4;

/// Reads a letter.
///
/// # Errors
/// `Invalid` when it is no letter or goes beyond a bound.
pub(super) fn read(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let letter = MessageParser::default().parse(bytes);
    let letter = letter.filter(|l| l.from().is_some() || l.subject().is_some() || l.date().is_some());
    let letter = letter.ok_or_else(|| Error::invalid("不是邮件文件，或已损坏。请在邮件软件中重新另存为 eml 后再试。"))?;
    say(&letter, 0, emit)
}

fn say(letter: &Message<'_>, depth: usize, emit: Emit<'_>) -> Result<()> {
    let mut out = Out::new(emit);
    for (name, value) in [
        ("主题", letter.subject().map(Cow::from)),
        ("发件人", people(letter.from())),
        ("收件人", people(letter.to())),
        ("抄送", people(letter.cc())),
        ("日期", letter.date().map(|d| Cow::from(d.to_rfc3339()))),
    ] {
        value.map_or(Ok(()), |value| out.block(Style::Paragraph, &format!("{name}：{value}")))?;
    }
    for body in letter.text_bodies() {
        match &body.body {
            PartType::Html(markup) => html::text(markup, &mut out)?,
            PartType::Text(text) => text.lines().try_for_each(|line| out.block(Style::Paragraph, line))?,
            _ => {}
        }
    }
    for attached in letter.attachments() {
        let name = attached.attachment_name().unwrap_or("无名").to_owned();
        let place = format!("邮件附件《{name}》");
        emit(Item::Part(place.clone()))?;
        let mut below = |item| match item {
            Item::Part(inside) | Item::Sheet(inside) if inside.is_empty() => emit(Item::Part(place.clone())),
            Item::Part(inside) => emit(Item::Part(format!("{place}{inside}"))),
            Item::Sheet(inside) => emit(Item::Part(format!("{place}工作表“{inside}”"))),
            Item::Note(_) | Item::Bytes(_) => Ok(()),
            said => emit(said),
        };
        within(attached, &name, depth, &mut below)?;
    }
    Ok(())
}

/// Reads what is attached to a letter, as far as that goes.
fn within(attached: &MessagePart<'_>, name: &str, depth: usize, emit: Emit<'_>) -> Result<()> {
    if let PartType::Message(letter) = &attached.body {
        return if depth < DEPTH { say(letter, depth + 1, emit) } else { Ok(()) };
    }
    let bytes = attached.contents();
    let format = Format::detect(name, &bytes[..bytes.len().min(limits::FORMAT_HEAD_BYTES)]);
    let Some(format) = format.and_then(Format::with_parts).filter(|f| *f != Format::Eml) else { return Ok(()) };
    // Whoever takes the items may have enough of them: that ends everything.
    let mut enough = None;
    let read = child::read(format, &mut &*bytes, &mut |item| {
        emit(item).inspect_err(|e| enough = Some(e.clone()))
    });
    match (read, enough) {
        (_, Some(e)) => Err(e),
        // What cannot be read takes nothing else along.
        _ => Ok(()),
    }
}

/// Names and addresses.
fn people(of: Option<&Address<'_>>) -> Option<Cow<'static, str>> {
    let all = of?.clone().into_list().into_iter().map(|one| {
        let (name, address) = (one.name.unwrap_or_default(), one.address.unwrap_or_default());
        format!("{name} {address}").trim().to_owned()
    });
    Some(Cow::from(all.collect::<Vec<_>>().join("，")))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use encoding_rs::GB18030;

    use super::*;

    fn said(bytes: &[u8]) -> Result<Vec<String>> {
        let mut all = Vec::new();
        read(bytes, &mut |item| {
            all.push(match item {
                Item::Part(name) => format!("[{name}]"),
                Item::Block(block) => block.text,
                other => format!("{other:?}"),
            });
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn a_letter_is_read_with_what_is_attached_to_it() {
        let word = |text: &str| format!("=?GBK?B?{}?=", STANDARD.encode(GB18030.encode(text).0));
        let part = |kind: &str, bytes: &[u8]| {
            let coded = STANDARD.encode(bytes);
            format!("--x\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n{coded}\r\n")
        };
        let inner = "Subject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n里面的信\r\n";
        let letter = [
            format!("From: {} <a@example.com>\r\nTo: b@example.com\r\n", word("来信人")),
            format!("Subject: {}\r\nMIME-Version: 1.0\r\n", word("反映问题")),
            "Content-Type: multipart/mixed; boundary=x\r\n\r\n".to_owned(),
            part("text/plain; charset=gbk", &GB18030.encode("正文第一行\n第二行").0),
            part("text/plain; charset=gbk; name=\"list.txt\"\r\nContent-Disposition: attachment", "名单甲".as_bytes()),
            part("application/pdf; name=\"broken.pdf\"\r\nContent-Disposition: attachment", b"%PDF-1.7 nothing"),
            format!("--x\r\nContent-Type: message/rfc822\r\n\r\n{inner}"),
            "--x--\r\n".to_owned(),
        ];
        let said = said(letter.concat().as_bytes()).unwrap();
        for expected in ["主题：反映问题", "发件人：来信人 a@example.com", "正文第一行", "第二行", "主题：inner", "里面的信"] {
            assert!(said.iter().any(|s| s == expected), "{expected}: {said:?}");
        }
        assert!(said.contains(&"[邮件附件《list.txt》]".to_owned()), "{said:?}");
    }

    #[test]
    fn what_is_no_letter_is_refused() {
        for bytes in [&b""[..], b"nothing", &[0xFF; 300]] {
            assert!(said(bytes).is_err());
        }
    }
}
