//! Forms with attachments: text first, files last. A file is sealed as it arrives; before the first byte of a file is
//! kept, article 16 is asked about what was typed — a refused form leaves nothing behind.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request};
use http_body_util::BodyExt;

use super::guard::{too_large, unreadable};
use crate::app::App;
use crate::base::{Error, ErrorKind, Result, limits};
use crate::records::{FileRef, Kind, decide, field, field::Raw};

/// Name of the hidden input that ends the text of a form.
pub const TEXT_ENDS: &str = "text_ends";

/// What a form brought.
#[derive(Default)]
pub struct Upload {
    /// Typed pairs.
    pub raw: Raw,
    /// Sealed files.
    pub files: Vec<FileRef>,
    /// What was wrong with a file; the rest of the form is whole all the same.
    pub problem: Option<String>,
}

/// Reads a form. Without `uploads` (nobody is logged in) files are read past.
pub(super) async fn read(
    app: &Arc<App>,
    request: Request,
    uploads: bool,
    gate: Option<&'static Kind>,
) -> Result<Upload> {
    let (head, body) = request.into_parts();
    let body = Shared(Arc::new(Mutex::new(body)));
    let request = Request::from_parts(head, Body::new(body.clone()));
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| unreadable())?;
    let mut upload = Upload::default();
    let end = match read_parts(app, &mut parts, uploads, gate, &mut upload).await {
        // The text is here, and its author still listens when the rest arrives.
        Ok(End::Broken) => body.read_past().await.map(|()| End::Broken),
        other => other,
    };
    if end.is_err() {
        // Nobody will ask for what arrived before.
        upload.files.iter().try_for_each(|file| app.discard(file))?;
    }
    match end? {
        End::Whole => Ok(upload),
        End::Broken => {
            let text = "有附件没有收下：文件名不能含有看不见的字符，请改名后重新选择。已填内容都已保留。";
            upload.problem = Some(text.to_owned());
            Ok(upload)
        }
    }
}

/// How the parts of a form ended.
enum End {
    Whole,
    /// With the head of a file that cannot be read, the text before it being whole.
    Broken,
}

async fn read_parts(
    app: &Arc<App>,
    parts: &mut Multipart,
    uploads: bool,
    gate: Option<&'static Kind>,
    upload: &mut Upload,
) -> Result<End> {
    let mut bytes = 0;
    loop {
        let mut part = match next(parts).await {
            Ok(Some(part)) => part,
            Ok(None) => return Ok(End::Whole),
            Err(_) if upload.raw.iter().any(|(n, _)| n == TEXT_ENDS) => return Ok(End::Broken),
            Err(e) => return Err(e),
        };
        let name = part.name().unwrap_or_default().to_owned();
        match part.file_name().map(str::to_owned) {
            Some(file) if !file.is_empty() => {
                if !uploads {
                    continue;
                }
                if !upload.raw.iter().any(|(n, _)| n == TEXT_ENDS) {
                    return Err(Error::invalid("附件必须在文字之后提交，没有保存。请刷新页面后重试。"));
                }
                if refused(gate, &upload.raw) {
                    // Read past the rest, so that the guidance arrives; nothing of it is kept.
                    while chunk(&mut part).await?.is_some() {}
                    continue;
                }
                if upload.files.len() >= limits::FILES_PER_RECORD {
                    upload.problem = Some(format!("附件最多 {} 个，多出的没有保存。", limits::FILES_PER_RECORD));
                    continue;
                }
                match seal(app, &mut part, &file).await {
                    Ok(sealed) => upload.files.push(sealed),
                    // The disk may be full, or the bytes too many: the text is not lost for that.
                    Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Busy | ErrorKind::Io) => {
                        upload.problem = Some(e.public().to_owned());
                        while chunk(&mut part).await?.is_some() {}
                    }
                    Err(e) => return Err(e),
                }
            }
            Some(_) => {}
            None => {
                let text = text(&mut part, limits::FORM_BYTES - bytes).await?;
                bytes += text.len() + name.len();
                if bytes > limits::FORM_BYTES || upload.raw.len() >= limits::FORM_FIELDS {
                    return Err(too_large());
                }
                upload.raw.push((name, text));
            }
        }
    }
}

/// A body that can be read on when whoever took it apart has given up.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    async fn read_past(mut self) -> Result<()> {
        let wait = Duration::from_secs(limits::BODY_IDLE_S);
        while let Some(frame) = tokio::time::timeout(wait, self.frame()).await.map_err(|_| unreadable())? {
            frame.map_err(|_| unreadable())?;
        }
        Ok(())
    }
}

impl hyper::body::Body for Shared {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }
}

fn refused(gate: Option<&'static Kind>, raw: &Raw) -> bool {
    gate.is_some_and(|kind| decide::gate_refuses(kind, &field::parse(kind.fields, raw).0))
}

async fn next(parts: &mut Multipart) -> Result<Option<Field<'_>>> {
    let wait = Duration::from_secs(limits::BODY_IDLE_S);
    let part = tokio::time::timeout(wait, parts.next_field()).await.map_err(|_| unreadable())?;
    part.map_err(|_| unreadable())
}

async fn chunk(part: &mut Field<'_>) -> Result<Option<bytes::Bytes>> {
    let wait = Duration::from_secs(limits::BODY_IDLE_S);
    let chunk = tokio::time::timeout(wait, part.chunk()).await.map_err(|_| unreadable())?;
    chunk.map_err(|_| unreadable())
}

async fn text(part: &mut Field<'_>, room: usize) -> Result<String> {
    let mut all = Vec::new();
    while let Some(bytes) = chunk(part).await? {
        if all.len() + bytes.len() > room {
            return Err(too_large());
        }
        all.extend_from_slice(&bytes);
    }
    String::from_utf8(all).map_err(|_| Error::invalid("提交的文字不是 UTF-8 编码，没有保存。"))
}

async fn seal(app: &Arc<App>, part: &mut Field<'_>, name: &str) -> Result<FileRef> {
    let mut writer = app.upload()?;
    while let Some(bytes) = chunk(part).await? {
        // Sealing and writing one chunk takes a fraction of a millisecond.
        tokio::task::block_in_place(|| writer.write(&bytes))?;
    }
    tokio::task::block_in_place(|| writer.finish(name))
}
