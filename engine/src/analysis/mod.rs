//! Reading a project safely, from a folder or an archive, for [`domain::analysis`].
//!
//! Bounds: 20 000 files, 2 MiB read of each, 64 MiB in all, 10 s; what lies beyond is left out and the analysis says so. Two uploads are
//! analysed at once. Nothing is ever written to disk, no link is followed, no code of the project is run.

mod archive;
mod queue;
mod walk;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use domain::analysis::{Analysis, SourceFile, analyze_while, is_skipped, is_vendored};

use self::queue::Queue;
use crate::{Error, Result};

pub use archive::{ArchiveError, read_archive};
pub use walk::read_folder;

pub const FILES_MAX: usize = 20_000;
/// Of one file; a bigger one counts by its size but is not read.
pub const FILE_BYTES_MAX: u64 = 2 << 20;
pub const TOTAL_BYTES_MAX: u64 = 64 << 20;
/// Of reading and analysing together.
pub const DURATION_MAX: Duration = Duration::from_secs(10);
/// Of reading: what was read by then still has to be analysed.
const READING_MAX: Duration = Duration::from_secs(7);

/// 2: so many cores the smallest server has. 8 more wait with up to 64 MiB each.
static UPLOADS: Queue = Queue::new(2, 8);

/// Links that are named; the others are only counted.
const LINKS_MAX: usize = 5;

/// The files of a project, and why they are not all of them, if so.
#[derive(Debug)]
pub struct Sources {
    pub files: Vec<SourceFile>,
    pub partial: Option<String>,
    /// Links that were not followed: the first ones by name, and how many there were.
    links: (Vec<String>, usize),
    started: Instant,
}

impl Sources {
    fn new() -> Self {
        Self { files: Vec::new(), partial: None, links: (Vec::new(), 0), started: Instant::now() }
    }

    /// Analyses the files in what is left of [`DURATION_MAX`].
    pub fn analyze(&self) -> Analysis {
        let mut analysis = analyze_while(&self.files, &mut || self.started.elapsed() < DURATION_MAX);
        if let Some(reason) = &self.partial {
            analysis.stopped_early(reason.clone());
        }
        analysis.warnings.extend(self.links_warning());
        analysis
    }

    /// `links are not followed: a, b and 3 more`.
    fn links_warning(&self) -> Option<String> {
        let (names, count) = &self.links;
        let more = if *count > names.len() { format!(" and {} more", count - names.len()) } else { String::new() };
        (*count > 0).then(|| format!("links are not followed: {}{more}", names.join(", ")))
    }
}

/// Analyses a folder or an archive file. It blocks; from async code call it by `spawn_blocking`.
///
/// # Errors
/// [`Error::Invalid`] if there is nothing to read at the path, or if it is an archive that is refused.
pub fn analyze_path(path: &Path) -> Result<Analysis> {
    let unreadable = |error: std::io::Error| Error::invalid("path", format!("`{}`: {error}", path.display()));
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    let sources = if metadata.is_dir() {
        read_folder(path)?
    } else if metadata.len() > archive::ARCHIVE_BYTES_MAX {
        return Err(ArchiveError::TooLarge { bytes: metadata.len() }.into());
    } else {
        read_archive(&std::fs::read(path).map_err(unreadable)?)?
    };
    Ok(sources.analyze())
}

/// Analyses an uploaded archive, away from the async threads.
///
/// # Errors
/// [`Error::Invalid`] with the reason if the archive is refused, [`Error::Unavailable`] if too many wait already.
pub async fn analyze_archive(bytes: Vec<u8>) -> Result<Analysis> {
    let turn = UPLOADS.enter().await?;
    let analyse = move || {
        // To the end of the work, though whoever asked for it may have gone.
        let _turn = turn;
        Ok(read_archive(&bytes)?.analyze())
    };
    tokio::task::spawn_blocking(analyse).await.map_err(Error::internal)?
}

impl From<ArchiveError> for Error {
    fn from(error: ArchiveError) -> Self {
        Self::invalid("archive", error)
    }
}

/// Collects files within the bounds.
struct Collector {
    sources: Sources,
    bytes_left: u64,
}

impl Collector {
    fn new() -> Self {
        Self { sources: Sources::new(), bytes_left: TOTAL_BYTES_MAX }
    }

    /// Whether there is time to read on; says why not, once, if not. To be asked before each entry, whatever it is.
    fn has_time(&mut self) -> bool {
        let has_time = self.sources.started.elapsed() < READING_MAX;
        if !has_time {
            self.stop(format!("reading stopped after {} s", READING_MAX.as_secs()));
        }
        has_time
    }

    /// Whether another file may be added; says why not, once, if not.
    fn has_room(&mut self) -> bool {
        let has_room = self.sources.files.len() < FILES_MAX;
        if !has_room {
            self.stop(format!("only the first {FILES_MAX} files were read"));
        }
        has_room
    }

    fn stop(&mut self, reason: String) {
        self.sources.partial.get_or_insert(reason);
    }

    fn pass_over_link(&mut self, path: String) {
        let (names, count) = &mut self.sources.links;
        *count += 1;
        if names.len() < LINKS_MAX {
            names.push(path.chars().take(200).collect());
        }
    }

    /// Whether the content of a file is to be read: it is the project's own, small enough, and there is room for it.
    fn wants(&mut self, path: &str, size: u64) -> bool {
        if is_skipped(path) || size > FILE_BYTES_MAX || is_binary_name(path) {
            return false;
        }
        if size > self.bytes_left {
            self.stop(format!("only the first {} MiB were read", TOTAL_BYTES_MAX >> 20));
            return false;
        }
        true
    }

    /// Adds a file; bytes that are no text are dropped.
    fn add(&mut self, path: String, size: u64, content: Option<Vec<u8>>) {
        self.bytes_left = self.bytes_left.saturating_sub(content.as_ref().map_or(0, |bytes| bytes.len() as u64));
        let content = content.filter(|bytes| !bytes.contains(&0)).and_then(|bytes| String::from_utf8(bytes).ok());
        self.sources.files.push(SourceFile { path, size, content });
    }
}

/// Names of files that hold no text; reading them would only use up the bounds.
fn is_binary_name(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    const BINARY: [&str; 36] = [
        "png", "jpg", "jpeg", "gif", "webp", "avif", "ico", "bmp", "pdf", "zip", "gz", "tgz", "bz2", "xz", "7z", "rar", "jar", "war",
        "woff", "woff2", "ttf", "otf", "eot", "mp3", "mp4", "mov", "wav", "ogg", "webm", "wasm", "so", "dll", "exe", "class", "pyc",
        "lockb",
    ];
    BINARY.iter().any(|binary| extension.eq_ignore_ascii_case(binary))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_when_its_time_is_over_and_says_so() {
        let mut collector = Collector::new();
        assert!(collector.has_time() && collector.has_room());
        collector.sources.started = Instant::now().checked_sub(READING_MAX).unwrap();
        assert!(!collector.has_time() && collector.has_room());
        assert_eq!(collector.sources.partial.as_deref(), Some("reading stopped after 7 s"));
    }
}
