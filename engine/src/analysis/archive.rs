//! Archives from strangers: zip, tar and tar.gz, read in memory and never unpacked to disk.
//!
//! An archive that tries to reach outside its folder, that holds devices, or that grows out of proportion is refused as a whole, with
//! the entry's name. A link is passed over like on disk, unless it leads out of the archive. What others wrote is passed over before
//! it is looked at. An archive that is only large is read up to the bounds. Archives inside archives are never opened.

mod from_tar;
mod from_zip;
mod name;

use super::Sources;

/// What an upload may weigh; more than the bounds would let us read of any honest archive.
pub const ARCHIVE_BYTES_MAX: u64 = 128 << 20;
/// Source code packs 3 to 20 times; 200 times is beyond any of it, and deflate cannot do more than 1032.
const RATIO_MAX: u64 = 200;
/// Below this, a ratio is no danger: an empty log packs as well as a bomb.
const RATIO_FREE_BYTES: u64 = 4 << 20;

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
    #[error("entry `{start}…` has a name of {bytes} bytes, more than {}", name::NAME_BYTES_MAX)]
    LongName { start: String, bytes: usize },
    #[error("entry `{entry}` is a symbolic or hard link that leads out of the archive")]
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
        from_zip::read(bytes)?
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        from_tar::read_packed(bytes)?
    } else if bytes.get(257..262) == Some(b"ustar") || is_old_tar(bytes) {
        from_tar::read(bytes)?
    } else {
        return Err(ArchiveError::NotAnArchive);
    };
    strip_top_folder(&mut sources);
    Ok(sources)
}

fn damaged(after: &str, reason: &impl ToString) -> ArchiveError {
    ArchiveError::Damaged { after: after.to_owned(), reason: reason.to_string() }
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

#[cfg(test)]
mod tests;
