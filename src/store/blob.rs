//! Attachments: streamed into sealed files under `blobs/`, each under a random key of its own that only the records
//! naming the file keep. A file is whole and synced before the commit that names it. Bytes: `data-format/store.md`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::hmac;

use super::{durable, side};
use super::fault::{Bug, planted};
use super::seal::{self, CHUNK_OVERHEAD, Secret};
use crate::base::{Error, Moment, Result, limits, text};
use crate::records::FileRef;

const MAGIC: &[u8; 8] = b"jicengB1";
const FOLDER: &str = "blobs";
pub(super) const STAGING: &str = "tmp";

/// Takes an attachment in pieces.
pub struct BlobWriter {
    root: PathBuf,
    temp: PathBuf,
    file: Option<File>,
    key: Secret,
    name: hmac::Context,
    buffer: Vec<u8>,
    chunks: u64,
    size: u64,
}

impl BlobWriter {
    pub(super) fn create(root: &Path, name_key: &Secret) -> Result<Self> {
        let staging = root.join(STAGING);
        fs::create_dir_all(&staging)?;
        let temp = staging.join(hex::encode(seal::random::<12>()?));
        let mut file = File::options().write(true).create_new(true).open(&temp)?;
        file.write_all(MAGIC)?;
        Ok(Self {
            root: root.to_owned(),
            temp,
            file: Some(file),
            key: Secret::random()?,
            name: name_key.hasher(),
            buffer: Vec::with_capacity(limits::CHUNK_BYTES),
            chunks: 0,
            size: 0,
        })
    }

    /// Adds bytes; refuses more than an attachment may have.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > limits::FILE_BYTES {
            let most = limits::FILE_BYTES >> 20;
            return Err(Error::invalid(format!("附件超过 {most} MB，没有保存。请压缩或拆分后再上传。")));
        }
        self.name.update(bytes);
        while !bytes.is_empty() {
            if self.buffer.len() == limits::CHUNK_BYTES {
                self.flush(false)?;
            }
            let room = limits::CHUNK_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Makes the file durable under its final name.
    pub fn finish(mut self, name: &str) -> Result<FileRef> {
        self.flush(true)?;
        if let Some(file) = self.file.take().filter(|_| !planted(Bug::FileNotSynced)) {
            durable::sync_file(&file, &self.temp)?;
        }
        let tag = self.name.clone().sign();
        let blob = format!("{}-{}", hex::encode(&tag.as_ref()[..16]), hex::encode(seal::random::<6>()?));
        let folder = self.root.join(FOLDER).join(&blob[..2]);
        fs::create_dir_all(&folder)?;
        durable::rename(&self.temp, &folder.join(&blob))?;
        if !planted(Bug::FolderNotSynced) {
            // Those above may be new as well.
            for dir in [folder.as_path(), &self.root.join(FOLDER), &self.root] {
                durable::sync_folder(dir)?;
            }
        }
        Ok(FileRef { name: clean_name(name), size: self.size, blob, key: self.key.expose().to_vec() })
    }

    fn flush(&mut self, last: bool) -> Result<()> {
        let sealed = self.key.seal_chunk(self.chunks, last, &self.buffer)?;
        if let Some(file) = &mut self.file {
            file.write_all(&sealed)?;
        }
        self.chunks += 1;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // After `finish` there is nothing left under this name.
        let _gone = fs::remove_file(&self.temp);
    }
}

/// Gives an attachment back in pieces.
pub struct BlobReader<R = File> {
    sealed: R,
    key: Secret,
    left: u64,
    chunk: u64,
    name: String,
    /// A piece of which a part was read, and how much.
    rest: Vec<u8>,
    at: usize,
}

impl BlobReader {
    pub(super) fn open(root: &Path, file: &FileRef) -> Result<Self> {
        let damaged = || Error::damaged("附件文件缺失或损坏");
        Self::open_at(&path(root, &file.blob).ok_or_else(damaged)?, file)
    }

    /// Opens a sealed file wherever it lies.
    pub(super) fn open_at(path: &Path, file: &FileRef) -> Result<Self> {
        let damaged = || Error::damaged("附件文件缺失或损坏");
        let sealed = File::open(path).map_err(|e| damaged().with_detail(e))?;
        let length = sealed.metadata()?.len();
        Self::over(sealed, length, file)
    }
}

impl<R: Read> BlobReader<R> {
    /// Opens sealed bytes, so many, that come from anywhere.
    fn over(mut sealed: R, length: u64, file: &FileRef) -> Result<Self> {
        let damaged = || Error::damaged("附件文件缺失或损坏");
        let mut magic = [0; 8];
        sealed.read_exact(&mut magic).map_err(|_| damaged())?;
        let left = length.checked_sub(magic.len() as u64).ok_or_else(damaged)?;
        if magic != *MAGIC {
            return Err(damaged());
        }
        let (key, name) = (Secret::from_slice(&file.key)?, file.blob.clone());
        Ok(Self { sealed, key, left, chunk: 0, name, rest: Vec::new(), at: 0 })
    }

    /// The next piece; `None` after the last.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        if self.left == 0 && self.chunk > 0 {
            return Ok(None);
        }
        let damaged = || Error::damaged(format!("附件 {}", self.name));
        let size = self.left.min((limits::CHUNK_BYTES + CHUNK_OVERHEAD) as u64);
        let mut sealed = vec![0; usize::try_from(size).map_err(Error::internal)?];
        self.sealed.read_exact(&mut sealed).map_err(|_| damaged())?;
        self.left -= size;
        let plain = self.key.open_chunk(self.chunk, self.left == 0, &sealed).ok_or_else(damaged)?;
        self.chunk += 1;
        Ok(Some(plain))
    }

    /// Opens everything there is; how much that is.
    fn count(mut self) -> Result<u64> {
        let mut size = 0;
        while let Some(chunk) = self.next_chunk()? {
            size += chunk.len() as u64;
        }
        Ok(size)
    }
}

impl<R: Read> Read for BlobReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.next_chunk().map_err(std::io::Error::other)?.unwrap_or_default();
            self.at = 0;
        }
        let n = buffer.len().min(self.rest.len() - self.at);
        buffer[..n].copy_from_slice(&self.rest[self.at..self.at + n]);
        self.at += n;
        if self.at == self.rest.len() {
            self.rest.clear();
        }
        Ok(n)
    }
}

/// A sealed file at this place opens to its end under the key of an attachment, and has the length its record says.
pub(super) fn opens(path: &Path, file: &FileRef) -> bool {
    BlobReader::open_at(path, file).and_then(|reader| reader.count()).is_ok_and(|size| size == file.size)
}

/// The same for `length` sealed bytes that are read from anywhere, at most to their end.
pub(super) fn opens_from(sealed: &mut dyn Read, length: u64, file: &FileRef) -> bool {
    let reader = BlobReader::over(sealed, length, file);
    reader.and_then(|reader| reader.count()).is_ok_and(|size| size == file.size)
}

/// Bytes of the sealed file of an attachment of `size` bytes.
pub(super) fn sealed_bytes(size: u64) -> u64 {
    let chunks = size.div_ceil(limits::CHUNK_BYTES as u64).max(1);
    MAGIC.len() as u64 + size + chunks * CHUNK_OVERHEAD as u64
}

/// Takes a sealed file over as it is, durable under its name; what lay there is replaced.
pub(super) fn adopt(root: &Path, file: &FileRef, sealed: &mut dyn Read) -> Result<()> {
    let place = path(root, &file.blob).ok_or_else(|| Error::damaged("备份中的附件名"))?;
    let staging = root.join(STAGING);
    fs::create_dir_all(&staging)?;
    let temp = staging.join(hex::encode(seal::random::<12>()?));
    let mut out = File::options().write(true).create_new(true).open(&temp)?;
    let copied = std::io::copy(sealed, &mut out).and_then(|_| out.sync_all());
    let placed = copied.and_then(|()| {
        let folder = place.parent().unwrap_or(root);
        fs::create_dir_all(folder)?;
        fs::rename(&temp, &place)?;
        File::open(folder)?.sync_all()
    });
    placed.map_err(|e| {
        let _gone = fs::remove_file(&temp);
        e.into()
    })
}

/// Removes a file that no record names.
pub(super) fn discard(root: &Path, file: &FileRef) -> Result<()> {
    side::remove(root, &file.blob)?;
    path(root, &file.blob).map_or(Ok(()), |p| Ok(fs::remove_file(p)?))
}

/// Removes a sealed file, and what lies beside it, for good: its folder is synced. One that is gone already is gone.
pub(super) fn remove(root: &Path, blob: &str) -> Result<()> {
    side::remove(root, blob)?;
    let Some(path) = path(root, blob) else { return Ok(()) };
    match fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    let folder = path.parent().filter(|folder| folder.exists());
    Ok(folder.map_or(Ok(()), durable::sync_folder)?)
}

/// Removes a sealed file that was last written before a moment; how many that were.
pub(super) fn remove_old(root: &Path, blob: &str, before: Moment) -> Result<u64> {
    let Some(path) = path(root, blob) else { return Ok(0) };
    // A draft that was thrown away meanwhile has taken its files along.
    let Ok(about) = fs::metadata(&path) else { return Ok(0) };
    let written = about.modified()?.duration_since(SystemTime::UNIX_EPOCH);
    let old = written.is_ok_and(|t| i64::try_from(t.as_millis()).is_ok_and(|t| t < before.0));
    if old {
        side::remove(root, blob)?;
        fs::remove_file(path)?;
    }
    Ok(u64::from(old))
}

/// Where a sealed file lies; `None` for a name that could not be one.
pub(super) fn path(root: &Path, blob: &str) -> Option<PathBuf> {
    path_below(&root.join(FOLDER), blob)
}

/// The same below another folder.
pub(super) fn path_below(folder: &Path, blob: &str) -> Option<PathBuf> {
    let plain = blob.len() > 2 && blob.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    plain.then(|| folder.join(&blob[..2]).join(blob))
}

/// Names of all sealed files.
pub(super) fn all(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let Ok(folders) = fs::read_dir(root.join(FOLDER)) else { return Ok(names) };
    for folder in folders {
        for file in fs::read_dir(folder?.path())? {
            names.push(file?.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes uploads that were under way when the process stopped.
pub(super) fn clear_leftovers(root: &Path) -> Result<()> {
    let staging = root.join(STAGING);
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    Ok(())
}

/// The last part of a name, without control characters, ends of lines and turns of direction, at most 200 characters.
fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let unseen = |c: &char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || text::is_direction(*c);
    let clean: String = last.chars().filter(|c| !unseen(c)).take(200).collect();
    if clean.trim_matches(['.', ' ']).is_empty() { "附件".to_owned() } else { clean }
}
