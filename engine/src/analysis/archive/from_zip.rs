//! Zip archives.

use std::io::{Cursor, Read};

use zip::{ZipArchive, read::ZipFile, result::ZipError};

use super::{
    ArchiveError, RATIO_FREE_BYTES, RATIO_MAX, damaged,
    name::{self, NAME_BYTES_MAX},
};
use crate::analysis::{Collector, Sources, is_vendored};

pub fn read(bytes: &[u8]) -> Result<Sources, ArchiveError> {
    let mut collector = Collector::new();
    let mut last = String::new();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&last, &error))?;
    for index in 0..archive.len() {
        // Entries that are passed over take time as well.
        if !collector.has_time() {
            break;
        }
        let mut entry = archive.by_index(index).map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ArchiveError::Encrypted { entry: format!("number {}", index + 1) },
            other => damaged(&last, &other),
        })?;
        // Older tools of Windows part folders by `\`.
        let name = String::from_utf8_lossy(entry.name_raw()).replace('\\', "/");
        name::check(&name)?;
        last.clone_from(&name);
        if name.ends_with('/') || is_vendored(&name) {
            continue;
        }
        if entry.encrypted() {
            return Err(ArchiveError::Encrypted { entry: name });
        }
        match entry.unix_mode().map_or(0, |mode| mode & 0o170_000) {
            0o120_000 => {
                let target = link_target(&mut entry, &name)?;
                name::check_link(&name, folder(&name), &target)?;
                collector.pass_over_link(name);
                continue;
            }
            // Nothing, or a regular file.
            0 | 0o100_000 => {}
            0o040_000 => continue,
            _ => return Err(ArchiveError::SpecialFile { entry: name }),
        }
        if !collector.has_room() {
            break;
        }
        let size = honest_size(&entry, &name, bytes.len() as u64)?;
        let content = if collector.wants(&name, size) { Some(content(&mut entry, &name, size)?) } else { None };
        collector.add(name, size, content);
    }
    Ok(collector.sources)
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The content of a link is what it leads to.
fn link_target(entry: &mut ZipFile<'_, impl Read>, name: &str) -> Result<String, ArchiveError> {
    let mut target = Vec::new();
    entry.take(NAME_BYTES_MAX as u64 + 1).read_to_end(&mut target).map_err(|error| damaged(name, &error))?;
    Ok(String::from_utf8_lossy(&target).into_owned())
}

/// The declared size, if the archive can hold as much: nobody looks at the size of what is never read.
fn honest_size(entry: &ZipFile<'_, impl Read>, name: &str, archive_bytes: u64) -> Result<u64, ArchiveError> {
    let (size, packed) = (entry.size(), entry.compressed_size());
    if size > RATIO_FREE_BYTES && size / packed.max(1) > RATIO_MAX {
        Err(ArchiveError::Bomb { entry: name.to_owned() })
    } else if packed > archive_bytes {
        Err(damaged(name, &"it declares more bytes than the archive has"))
    } else {
        Ok(size)
    }
}

fn content(entry: &mut ZipFile<'_, impl Read>, name: &str, size: u64) -> Result<Vec<u8>, ArchiveError> {
    let bomb = || ArchiveError::Bomb { entry: name.to_owned() };
    let mut content = Vec::new();
    // One byte more than declared tells a lie.
    let outcome = entry.take(size + 1).read_to_end(&mut content);
    if content.len() as u64 > size {
        return Err(bomb());
    }
    outcome.map_err(|error| match error.to_string() {
        // The library compares as well; its error has no kind of its own.
        text if text.contains("larger than its declared") => bomb(),
        text => damaged(name, &text),
    })?;
    Ok(content)
}
