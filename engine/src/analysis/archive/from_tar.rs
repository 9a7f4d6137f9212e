//! Tar archives, plain and packed with gzip.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use flate2::read::GzDecoder;
use tar::{Entry, EntryType};

use super::{ArchiveError, RATIO_FREE_BYTES, RATIO_MAX, damaged, name};
use crate::analysis::{Collector, FILE_BYTES_MAX, Sources, is_vendored};

/// Of the stream, with all that is passed over; beyond it, a partial reading.
const STREAM_BYTES_MAX: u64 = 512 << 20;

pub fn read(bytes: &[u8]) -> Result<Sources, ArchiveError> {
    read_stream(Guarded::new(bytes, None))
}

pub fn read_packed(bytes: &[u8]) -> Result<Sources, ArchiveError> {
    let consumed = Rc::new(Cell::new(0));
    let packed = Counted { inner: bytes, count: Rc::clone(&consumed) };
    read_stream(Guarded::new(GzDecoder::new(packed), Some(consumed)))
}

fn read_stream(guarded: Guarded<impl Read>) -> Result<Sources, ArchiveError> {
    let tripped = Rc::clone(&guarded.tripped);
    let mut collector = Collector::new();
    let mut last = String::new();
    let mut archive = tar::Archive::new(guarded);
    let entries = archive.entries().map_err(|error| damaged(&last, &error))?;
    for entry in entries {
        // Entries that are passed over take time as well.
        if !collector.has_time() {
            break;
        }
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(_) if tripped.get() == Trip::Ratio => return Err(ArchiveError::Bomb { entry: last }),
            Err(_) if tripped.get() == Trip::Length => {
                collector.stop(format!("only the first {} MiB of the archive were unpacked", STREAM_BYTES_MAX >> 20));
                break;
            }
            Err(error) => return Err(damaged(&last, &error)),
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        name::check(&name)?;
        last.clone_from(&name);
        if kind == EntryType::Directory || is_vendored(&name) {
            continue;
        }
        match kind {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Symlink | EntryType::Link => {
                check_link(&entry, &name)?;
                collector.pass_over_link(name);
                continue;
            }
            _ => return Err(ArchiveError::SpecialFile { entry: name }),
        }
        if !collector.has_room() {
            break;
        }
        let size = entry.size();
        let content = if collector.wants(&name, size) { content(&mut entry, &name, size, &tripped)? } else { None };
        collector.add(name, size, content);
    }
    Ok(collector.sources)
}

/// A symbolic link counts from the folder that it lies in, a hard link from the top.
fn check_link(entry: &Entry<'_, impl Read>, name: &str) -> Result<(), ArchiveError> {
    let target = entry.link_name_bytes().unwrap_or_default();
    let folder = match name.rsplit_once('/') {
        Some((folder, _)) if entry.header().entry_type() == EntryType::Symlink => folder,
        _ => "",
    };
    name::check_link(name, folder, &String::from_utf8_lossy(&target))
}

/// The content, or nothing if the stream ends before it by its own bound.
fn content(entry: &mut Entry<'_, impl Read>, name: &str, size: u64, tripped: &Cell<Trip>) -> Result<Option<Vec<u8>>, ArchiveError> {
    let mut content = Vec::new();
    match entry.take(FILE_BYTES_MAX).read_to_end(&mut content) {
        Ok(_) if content.len() as u64 == size => Ok(Some(content)),
        Ok(_) => Err(damaged(name, &"it ends before its declared size")),
        Err(_) if tripped.get() == Trip::Ratio => Err(ArchiveError::Bomb { entry: name.to_owned() }),
        Err(_) if tripped.get() == Trip::Length => Ok(None),
        Err(error) => Err(damaged(name, &error)),
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
