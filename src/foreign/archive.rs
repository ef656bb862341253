//! Archives (workbooks and documents are ZIP files): counted before anything else opens them.
//!
//! An archive says how large its entries are, and may lie. So every entry is unpacked once into nothing while it is
//! counted; only then a crate that trusts the sizes may have it. Names of entries are never used as paths.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::base::{Error, Result, limits};

/// An archive that keeps to the bounds.
pub(super) type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Opens an archive and counts what is in it.
///
/// # Errors
/// Invalid when it is no archive, is cut or damaged, or unpacks to too much; the sentence says which.
pub(super) fn open(bytes: &[u8]) -> Result<Archive<'_>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > limits::FOREIGN_ENTRIES {
        return Err(Error::invalid(format!(
            "文件内含 {} 个部件，超过 {} 个，不是正常的办公文档，没有读取。",
            archive.len(),
            limits::FOREIGN_ENTRIES
        )));
    }
    let mut left = limits::FOREIGN_UNPACKED_BYTES;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(damaged)?;
        let most = left.min(limits::FOREIGN_ENTRY_BYTES);
        if entry.size() > most {
            return Err(too_large());
        }
        let unpacked = std::io::copy(&mut entry.take(most + 1), &mut std::io::sink()).map_err(damaged)?;
        if unpacked > most {
            return Err(too_large());
        }
        left -= unpacked;
    }
    Ok(archive)
}

fn too_large() -> Error {
    Error::invalid("文件展开后过大，没有读取。请删去多余的内容或拆分成几个文件后重试。")
}

fn damaged(e: impl std::fmt::Display) -> Error {
    Error::invalid("文件已损坏、不完整或设有密码，无法读取。请用办公软件打开，另存为新文件后重试。")
        .with_detail(e)
}
