//! Archives from strangers: zip, tar and tar.gz, read in memory and never unpacked to disk.
//!
//! An archive that tries to reach outside its folder, that holds links or devices, or that grows out of proportion is refused as a
//! whole, with the entry's name. One that is only large is read up to the bounds. Archives inside archives are never opened.

use std::{
    cell::Cell,
    io::{self, Cursor, Read},
    rc::Rc,
};

use flate2::read::GzDecoder;
use tar::EntryType;
use zip::{ZipArchive, result::ZipError};

use super::{Collector, FILE_BYTES_MAX, Sources, is_vendored};

/// What an upload may weigh; more than the bounds would let us read of any honest archive.
pub const ARCHIVE_BYTES_MAX: u64 = 128 << 20;
/// Source code packs 3 to 20 times; 200 times is beyond any of it, and deflate cannot do more than 1032.
const RATIO_MAX: u64 = 200;
/// Below this, a ratio is no danger: an empty log packs as well as a bomb.
const RATIO_FREE_BYTES: u64 = 4 << 20;
/// Of a tar's stream, with all that is passed over; beyond it, a partial reading.
const STREAM_BYTES_MAX: u64 = 512 << 20;

/// Why an archive is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    #[error("it is no zip, tar or tar.gz archive")]
    NotAnArchive,
    #[error("it has {bytes} bytes, more than {ARCHIVE_BYTES_MAX}")]
    TooLarge { bytes: u64 },
    #[error("entry `{entry}` leaves its folder by `..`")]
    PathTraversal { entry: String },
    #[error("entry `{entry}` has an absolute path")]
    AbsolutePath { entry: String },
    #[error("entry `{entry}` has a backslash or a control character in its name")]
    ForbiddenCharacter { entry: String },
    #[error("entry `{entry}` is a symbolic or hard link")]
    Link { entry: String },
    #[error("entry `{entry}` is a device, a pipe or of another special kind")]
    SpecialFile { entry: String },
    #[error("entry `{entry}` unpacks to more than {RATIO_MAX} times its packed size, or to more than it declares")]
    Bomb { entry: String },
    #[error("entry `{entry}` is encrypted")]
    Encrypted { entry: String },
    #[error("it is damaged or cut off after entry `{after}`: {reason}")]
    Damaged { after: String, reason: String },
}

/// Reads an archive within the bounds. The one folder that holds everything, as in npm packages and GitHub's archives, is left out of
/// the paths.
///
/// # Errors
/// [`ArchiveError`] for what is hostile, damaged or no archive.
pub fn read_archive(bytes: &[u8]) -> Result<Sources, ArchiveError> {
    if bytes.len() as u64 > ARCHIVE_BYTES_MAX {
        return Err(ArchiveError::TooLarge { bytes: bytes.len() as u64 });
    }
    let mut sources = if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        read_zip(bytes)?
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        let consumed = Rc::new(Cell::new(0));
        let packed = Counted { inner: bytes, count: Rc::clone(&consumed) };
        read_tar(Guarded::new(GzDecoder::new(packed), Some(consumed)))?
    } else if bytes.get(257..262) == Some(b"ustar") || is_old_tar(bytes) {
        read_tar(Guarded::new(bytes, None))?
    } else {
        return Err(ArchiveError::NotAnArchive);
    };
    strip_top_folder(&mut sources);
    Ok(sources)
}

fn read_zip(bytes: &[u8]) -> Result<Sources, ArchiveError> {
    let mut collector = Collector::new();
    let mut last = String::new();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&last, &error))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ArchiveError::Encrypted { entry: format!("number {}", index + 1) },
            other => damaged(&last, &other),
        })?;
        let raw = String::from_utf8_lossy(entry.name_raw()).into_owned();
        check_name(&raw)?;
        if entry.encrypted() {
            return Err(ArchiveError::Encrypted { entry: raw });
        }
        match entry.unix_mode().map_or(0, |mode| mode & 0o170_000) {
            0o120_000 => return Err(ArchiveError::Link { entry: raw }),
            // Nothing, a regular file, a folder.
            0 | 0o100_000 | 0o040_000 => {}
            _ => return Err(ArchiveError::SpecialFile { entry: raw }),
        }
        let size = entry.size();
        if size > RATIO_FREE_BYTES && size / entry.compressed_size().max(1) > RATIO_MAX {
            return Err(ArchiveError::Bomb { entry: raw });
        }
        last.clone_from(&raw);
        if entry.is_dir() || is_vendored(&raw) {
            continue;
        }
        if !collector.has_room() {
            break;
        }
        let content = if collector.wants(&raw, size) {
            let mut content = Vec::new();
            // One byte more than declared tells a lie.
            let outcome = entry.by_ref().take(size + 1).read_to_end(&mut content);
            if content.len() as u64 > size {
                return Err(ArchiveError::Bomb { entry: raw });
            }
            outcome.map_err(|error| match error.to_string() {
                // The library compares as well; its error has no kind of its own.
                text if text.contains("larger than its declared") => ArchiveError::Bomb { entry: raw.clone() },
                text => damaged(&raw, &text),
            })?;
            Some(content)
        } else {
            None
        };
        collector.add(raw, size, content);
    }
    Ok(collector.sources)
}

fn read_tar(guarded: Guarded<impl Read>) -> Result<Sources, ArchiveError> {
    let tripped = Rc::clone(&guarded.tripped);
    let mut collector = Collector::new();
    let mut last = String::new();
    let mut archive = tar::Archive::new(guarded);
    let entries = archive.entries().map_err(|error| damaged(&last, &error))?;
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(_) if tripped.get() == Trip::Ratio => return Err(ArchiveError::Bomb { entry: last }),
            Err(_) if tripped.get() == Trip::Length => {
                collector.stop(format!("only the first {} MiB of the archive were unpacked", STREAM_BYTES_MAX >> 20));
                break;
            }
            Err(error) => return Err(damaged(&last, &error)),
        };
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        check_name(&raw)?;
        last.clone_from(&raw);
        match kind {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory => continue,
            EntryType::Symlink | EntryType::Link => return Err(ArchiveError::Link { entry: raw }),
            _ => return Err(ArchiveError::SpecialFile { entry: raw }),
        }
        if is_vendored(&raw) {
            continue;
        }
        if !collector.has_room() {
            break;
        }
        let size = entry.size();
        let content = if collector.wants(&raw, size) {
            let mut content = Vec::new();
            let outcome = entry.by_ref().take(FILE_BYTES_MAX).read_to_end(&mut content);
            match outcome {
                Ok(_) if content.len() as u64 == size => Some(content),
                Ok(_) => return Err(damaged(&raw, &"it ends before its declared size")),
                Err(_) if tripped.get() == Trip::Ratio => return Err(ArchiveError::Bomb { entry: raw }),
                Err(_) if tripped.get() == Trip::Length => None,
                Err(error) => return Err(damaged(&raw, &error)),
            }
        } else {
            None
        };
        collector.add(raw, size, content);
    }
    Ok(collector.sources)
}

fn damaged(after: &str, reason: &impl ToString) -> ArchiveError {
    ArchiveError::Damaged { after: after.to_owned(), reason: reason.to_string() }
}

/// Refuses a name that would lead anywhere but into the archive's own folder, on any system.
fn check_name(name: &str) -> Result<(), ArchiveError> {
    let entry = || name.to_owned();
    let mut characters = name.chars();
    let has_drive = characters.next().is_some_and(|first| first.is_ascii_alphabetic()) && characters.next() == Some(':');
    if name.contains('\\') || name.chars().any(char::is_control) {
        Err(ArchiveError::ForbiddenCharacter { entry: entry().escape_debug().to_string() })
    } else if name.starts_with('/') || has_drive {
        Err(ArchiveError::AbsolutePath { entry: entry() })
    } else if name.split('/').any(|part| part == "..") {
        Err(ArchiveError::PathTraversal { entry: entry() })
    } else {
        Ok(())
    }
}

/// A tar from before `ustar`: told by the checksum of its first header.
fn is_old_tar(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..512) else { return false };
    let stated = String::from_utf8_lossy(&header[148..156]);
    let stated = u32::from_str_radix(stated.trim_matches([' ', '\0']), 8);
    let sum: u32 = header.iter().enumerate().map(|(index, byte)| if (148..156).contains(&index) { 32 } else { u32::from(*byte) }).sum();
    header[0] != 0 && stated == Ok(sum)
}

fn strip_top_folder(sources: &mut Sources) {
    for file in &mut sources.files {
        if let Some(rest) = file.path.strip_prefix("./") {
            file.path = rest.to_owned();
        }
    }
    let Some(top) = sources.files.first().and_then(|file| file.path.split_once('/')).map(|(top, _)| format!("{top}/")) else { return };
    if sources.files.iter().all(|file| file.path.starts_with(&top)) {
        for file in &mut sources.files {
            file.path.drain(..top.len());
        }
    }
}

/// Counts the packed bytes that were taken.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trip {
    None,
    Ratio,
    Length,
}

/// Stops a stream that grows out of proportion to what it was packed in, or without end.
struct Guarded<R> {
    inner: R,
    unpacked: u64,
    packed: Option<Rc<Cell<u64>>>,
    tripped: Rc<Cell<Trip>>,
}

impl<R> Guarded<R> {
    fn new(inner: R, packed: Option<Rc<Cell<u64>>>) -> Self {
        Self { inner, unpacked: 0, packed, tripped: Rc::new(Cell::new(Trip::None)) }
    }
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        if let Some(packed) = &self.packed
            && self.unpacked > RATIO_FREE_BYTES
            && self.unpacked / packed.get().max(1) > RATIO_MAX
        {
            self.tripped.set(Trip::Ratio);
        } else if self.unpacked > STREAM_BYTES_MAX {
            self.tripped.set(Trip::Length);
        }
        if self.tripped.get() == Trip::None { Ok(read) } else { Err(io::Error::other("stopped")) }
    }
}

#[cfg(test)]
mod tests;
