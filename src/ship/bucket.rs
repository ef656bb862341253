//! A target in an S3-compatible object store. The only file that names object_store.
//!
//! What must hold: a slot is created under the condition that nothing has its name; a large file goes in pieces, and
//! the store's word on each is noted, so that whoever was broken off goes on with the next piece. Credentials come from
//! the environment (`AWS_ACCESS_KEY_ID` and what belongs to it) and are in no message.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Name;
use object_store::{
    BackoffConfig, ClientOptions, Error as Refusal, GetOptions, ObjectStore, ObjectStoreExt, PutMode,
    PutPayload, RetryConfig,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::{Item, Put, Remote};
use crate::backup::spool::{read_json, write_json};
use crate::base::{Error, ErrorKind, Result, limits};

/// Seconds to reach the store.
const CONNECT_S: u64 = 10;
/// Seconds for one piece to go through, on a slow line.
const REQUEST_S: u64 = 300;
/// Tries of one request before the round is given up; the next round tries again.
const TRIES: usize = 2;
/// Pieces of an upload at most, by the rules of such stores.
const PIECES: u64 = 10_000;

/// A bucket, and the prefix below which everything lies.
pub(super) struct Bucket {
    store: AmazonS3,
    runtime: Runtime,
    prefix: String,
    label: String,
    notes: Option<PathBuf>,
}

/// An upload in pieces that was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Upload {
    /// What the store calls it.
    upload: String,
    /// Length of the file.
    bytes: u64,
    /// Length of a piece.
    part_bytes: u64,
    /// What the store said of each piece, in order.
    parts: Vec<String>,
}

type Uploads = BTreeMap<String, Upload>;

/// Nobody listens on the way: TLS, or no way at all.
fn is_protected(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://") else { return endpoint.starts_with("https://") };
    let end = rest.find(['/', ':']).unwrap_or(rest.len());
    ["127.0.0.1", "localhost"].contains(&&rest[..end]) || rest.starts_with("[::1]")
}

impl Bucket {
    /// Opens `bucket/prefix`. Nothing is asked of the store yet.
    pub(super) fn open(place: &str, endpoint: Option<&str>, notes: Option<PathBuf>) -> Result<Self> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(Error::usage("异地目标中没有桶名。请写 s3://桶名/前缀。"));
        }
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, max_retries: TRIES, retry_timeout: Duration::from_secs(60) };
        let plain = endpoint.is_some_and(|e| e.starts_with("http://"));
        if endpoint.is_some_and(|e| !is_protected(e)) {
            return Err(Error::usage("异地目标的 --endpoint 必须以 https:// 开头；只有本机地址可以用 http://。"));
        }
        let client = ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(Duration::from_secs(CONNECT_S))
            .with_timeout(Duration::from_secs(REQUEST_S));
        let mut builder = AmazonS3Builder::from_env()
            .with_client_options(client)
            .with_allow_http(plain)
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_disable_bulk_delete(true)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            return Err(Error::usage(
                "没有对象存储的凭据。请在 jiceng ship 的运行环境中设置 AWS_ACCESS_KEY_ID 和 AWS_SECRET_ACCESS_KEY。",
            ));
        }
        let store = builder.build().map_err(|e| {
            Error::usage(format!("异地目标 s3://{place} 不能使用。请检查桶名、--endpoint 和凭据。"))
                .with_detail(e)
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(Self { store, runtime, prefix, label: format!("s3://{place}"), notes })
    }

    fn at(&self, name: &str) -> Name {
        let parts = [self.prefix.as_str(), name].into_iter().filter(|p| !p.is_empty());
        Name::from(parts.collect::<Vec<_>>().join("/"))
    }

    fn name_of(&self, at: &Name) -> Option<String> {
        let name = at.as_ref();
        if self.prefix.is_empty() {
            return Some(name.to_owned());
        }
        Some(name.strip_prefix(&self.prefix)?.strip_prefix('/')?.to_owned())
    }

    fn failed(&self, e: &Refusal) -> Error {
        let place = &self.label;
        let detail = e.to_string();
        let denied = matches!(e, Refusal::Unauthenticated { .. } | Refusal::PermissionDenied { .. });
        let message = match e {
            _ if denied || is_denial(&detail) => {
                format!(
                    "对象存储 {place} 拒绝了凭据。请检查 AWS_ACCESS_KEY_ID、AWS_SECRET_ACCESS_KEY 和桶的授权。"
                )
            }
            _ if detail.contains("NoSuchBucket") => {
                format!("对象存储中没有桶 {place}。请先建好桶，或改正桶名。")
            }
            Refusal::NotImplemented { .. } => {
                format!("对象存储 {place} 不支持带条件的写入（If-None-Match），不能防止覆盖，不能用作目标。")
            }
            _ => format!(
                "连不上对象存储 {place}，或它没有正常答复。请检查网络、地址（--endpoint）和对方服务；恢复后会自动续传。"
            ),
        };
        Error::new(ErrorKind::Io, message).with_detail(detail)
    }

    fn uploads(&self) -> Uploads {
        self.notes.as_deref().and_then(read_json).unwrap_or_default()
    }

    /// A note that is lost costs the pieces again.
    fn note(&self, uploads: &Uploads) -> Result<()> {
        self.notes.as_deref().map_or(Ok(()), |path| write_json(path, uploads))
    }

    async fn put_whole(&self, at: &Name, file: &Path) -> Result<()> {
        let bytes = fs::read(file)?;
        self.store.put(at, PutPayload::from(bytes)).await.map(drop).map_err(|e| self.failed(&e))
    }

    /// Goes on with an upload that was begun, or begins one.
    async fn put_pieces(&self, name: &str, file: &Path, bytes: u64) -> Result<()> {
        let at = self.at(name);
        let mut uploads = self.uploads();
        let known = uploads.remove(name).filter(|u| u.bytes == bytes && u.part_bytes > 0);
        let mut upload = match known {
            Some(upload) => upload,
            None => {
                let part_bytes = limits::SHIP_PIECE_BYTES.max(bytes.div_ceil(PIECES));
                let id = self.store.create_multipart(&at).await.map_err(|e| self.failed(&e))?;
                Upload { upload: id, bytes, part_bytes, parts: Vec::new() }
            }
        };
        uploads.insert(name.to_owned(), upload.clone());
        self.note(&uploads)?;
        match self.send_pieces((name, &at), file, &mut upload, &mut uploads).await {
            Ok(()) => {}
            // The store forgot it, or it was completed and the answer was lost: the next time it begins anew, or the
            // file is there.
            Err(e @ Refusal::NotFound { .. }) => {
                uploads.remove(name);
                self.note(&uploads)?;
                return Err(self.failed(&e));
            }
            Err(e) => return Err(self.failed(&e)),
        }
        uploads.remove(name);
        self.note(&uploads)
    }

    async fn send_pieces(
        &self,
        (name, at): (&str, &Name),
        file: &Path,
        upload: &mut Upload,
        uploads: &mut Uploads,
    ) -> Result<(), Refusal> {
        let other =
            |e: Box<dyn std::error::Error + Send + Sync>| Refusal::Generic { store: "file", source: e };
        let mut source = File::open(file).map_err(|e| other(e.into()))?;
        let pieces = upload.bytes.div_ceil(upload.part_bytes);
        for piece in upload.parts.len() as u64..pieces {
            let mut bytes = Vec::new();
            source.seek(SeekFrom::Start(piece * upload.part_bytes)).map_err(|e| other(e.into()))?;
            (&source).take(upload.part_bytes).read_to_end(&mut bytes).map_err(|e| other(e.into()))?;
            let index = usize::try_from(piece).map_err(|e| other(e.into()))?;
            let part = self.store.put_part(at, &upload.upload, index, PutPayload::from(bytes)).await?;
            upload.parts.push(part.content_id);
            uploads.insert(name.to_owned(), upload.clone());
            self.note(uploads).map_err(|e| other(e.into()))?;
        }
        let parts = upload.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
        self.store.complete_multipart(at, &upload.upload, parts).await.map(drop)
    }

    /// Piece by piece, so that a broken line costs one of them.
    async fn fetch(&self, name: &str, to: &Path) -> Result<bool> {
        let at = self.at(name);
        let bytes = match self.store.head(&at).await {
            Err(Refusal::NotFound { .. }) => return Ok(false),
            about => about.map_err(|e| self.failed(&e))?.size,
        };
        let mut out = File::options().write(true).create_new(true).open(to)?;
        let mut from = 0;
        while from < bytes {
            let end = (from + limits::SHIP_PIECE_BYTES).min(bytes);
            let piece = self.store.get_range(&at, from..end).await.map_err(|e| self.failed(&e))?;
            out.write_all(&piece)?;
            from = end;
        }
        out.sync_all()?;
        Ok(true)
    }

    async fn list_pages(&self, folder: &str, after: Option<&str>) -> Result<Vec<(Name, u64)>, Refusal> {
        let mut prefix = self.at(folder).to_string();
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let prefix = Some(prefix.as_str()).filter(|p| !p.is_empty());
        let delimiter = folder.is_empty().then(|| "/".into());
        let offset = after.map(|after| self.at(after).to_string());
        let (mut found, mut page_token) = (Vec::new(), None);
        loop {
            let (offset, delimiter) = (offset.clone(), delimiter.clone());
            let options =
                PaginatedListOptions { offset, delimiter, page_token, ..PaginatedListOptions::default() };
            let page = self.store.list_paginated(prefix, options).await?;
            found.extend(page.result.objects.into_iter().map(|o| (o.location, o.size)));
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(found);
            }
        }
    }
}

impl Remote for Bucket {
    fn put_new(&self, name: &str, file: &Path) -> Result<Put> {
        let bytes = fs::read(file)?;
        let at = self.at(name);
        match self.runtime.block_on(self.store.put_opts(&at, PutPayload::from(bytes), PutMode::Create.into()))
        {
            Ok(_) => Ok(Put::Made),
            Err(Refusal::AlreadyExists { .. } | Refusal::Precondition { .. }) => Ok(Put::Taken),
            Err(e) => Err(self.failed(&e)),
        }
    }

    fn put(&self, name: &str, file: &Path) -> Result<()> {
        let bytes = fs::metadata(file)?.len();
        if bytes <= limits::SHIP_PIECE_BYTES {
            return self.runtime.block_on(self.put_whole(&self.at(name), file));
        }
        self.runtime.block_on(self.put_pieces(name, file, bytes))
    }

    fn get(&self, name: &str, to: &Path) -> Result<bool> {
        self.runtime.block_on(self.fetch(name, to))
    }

    fn begin(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(size) = self.size(name)? else { return Ok(None) };
        if size == 0 {
            return Ok(Some(Vec::new()));
        }
        let options = GetOptions { range: Some((0..most.min(size)).into()), ..GetOptions::default() };
        let at = self.at(name);
        let read = async { self.store.get_opts(&at, options).await?.bytes().await };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(Refusal::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(&e)),
        }
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        match self.runtime.block_on(self.store.head(&self.at(name))) {
            Ok(about) => Ok(Some(about.size)),
            Err(Refusal::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(&e)),
        }
    }

    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Item>> {
        let found = self.runtime.block_on(self.list_pages(folder, after)).map_err(|e| self.failed(&e))?;
        let named =
            found.into_iter().filter_map(|(at, bytes)| Some(Item { name: self.name_of(&at)?, bytes }));
        let mut items: Vec<Item> =
            named.filter(|i| after.is_none_or(|after| i.name.as_str() > after)).collect();
        items.sort_unstable();
        Ok(items)
    }

    fn remove(&self, name: &str) -> Result<()> {
        match self.runtime.block_on(self.store.delete(&self.at(name))) {
            Ok(()) | Err(Refusal::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed(&e)),
        }
    }

    fn label(&self) -> String {
        self.label.clone()
    }
}

/// Whether a store's answer, of a kind that does not say so, is about the credentials. A bare number is no sign: the
/// address in the same text has a port.
fn is_denial(detail: &str) -> bool {
    let signs = ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "status code: 401", "status code: 403"];
    signs.iter().any(|sign| detail.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::{is_denial, is_protected};

    #[test]
    fn a_port_is_not_taken_for_a_refusal() {
        let away = "Error performing HEAD http://127.0.0.1:40191/county/a.seg - HTTP error: error sending request";
        assert!(!is_denial(away) && !is_denial(&away.replace("40191", "54033")));
        assert!(is_denial("Server returned non-2xx status code: 403 Forbidden: "));
        assert!(is_denial("<Code>SignatureDoesNotMatch</Code>"));
    }

    /// ASVS 12.3.1
    #[test]
    fn a_store_is_reached_over_tls_or_on_this_machine() {
        let local = ["http://127.0.0.1:9000", "http://localhost/", "http://[::1]:1"];
        for taken in ["https://store.example", "https://10.0.0.1:9000/x"].iter().chain(&local) {
            assert!(is_protected(taken), "{taken}");
        }
        let tricky = ["http://127.0.0.1.evil.example", "http://localhost@evil.example"];
        let refused = ["http://store.example", "http://10.0.0.1", "ftp://x", "store.example", "", tricky[0], tricky[1]];
        for endpoint in refused {
            assert!(!is_protected(endpoint), "{endpoint}");
        }
    }
}
