//! A folder on disk, without what its `.gitignore` names, what others wrote, and links.

use std::{io::Read, path::Path};

use ignore::WalkBuilder;

use super::{Collector, FILE_BYTES_MAX, Sources, is_vendored};
use crate::{Error, Result};

/// Reads a folder in the order of its names. A file that cannot be read counts by its size; links are passed over and named.
///
/// # Errors
/// [`Error::Invalid`] if the folder itself cannot be read.
pub fn read_folder(root: &Path) -> Result<Sources> {
    std::fs::read_dir(root).map_err(|error| Error::invalid("path", format!("`{}`: {error}", root.display())))?;
    let mut collector = Collector::new();
    let walk = WalkBuilder::new(root)
        .follow_links(false)
        .hidden(false)
        .parents(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        // Deeper folders belong to loops of mounts, not to projects.
        .max_depth(Some(40))
        .sort_by_file_name(Ord::cmp)
        .filter_entry(|entry| entry.depth() == 0 || !is_vendored(&format!("{}/x", entry.file_name().to_string_lossy())))
        .build();
    for entry in walk.filter_map(std::result::Result::ok) {
        if !collector.has_time() || !collector.has_room() {
            break;
        }
        let Some(kind) = entry.file_type().filter(|kind| kind.is_file() || kind.is_symlink()) else { continue };
        let (Ok(relative), Ok(metadata)) = (entry.path().strip_prefix(root), entry.metadata()) else { continue };
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let path = parts.join("/");
        if kind.is_symlink() {
            collector.pass_over_link(path);
            continue;
        }
        let content = if collector.wants(&path, metadata.len()) { read(entry.path()) } else { None };
        collector.add(path, metadata.len(), content);
    }
    Ok(collector.sources)
}

/// The content, or `None` if it cannot be read or has grown beyond the bound since it was measured.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= FILE_BYTES_MAX).then_some(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::analysis::analyze_path;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("analysis-{}", uuid::Uuid::from_u128(rand::random())));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, path: &str, content: &[u8]) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_folder_is_read_without_ignored_files_and_links() {
        let folder = Folder::new();
        folder.write(".gitignore", b"secret.txt\n");
        folder.write("secret.txt", b"x");
        folder.write("package.json", br#"{"dependencies":{"next":"15"}}"#);
        folder.write(".github/workflows/ci.yml", b"jobs: {}");
        folder.write("node_modules/pg/package.json", b"{}");
        folder.write("data.bin", &[0, 159, 146, 150]);
        std::os::unix::fs::symlink("/etc/passwd", folder.0.join("passwd")).unwrap();
        std::os::unix::fs::symlink("..", folder.0.join("up")).unwrap();

        let sources = read_folder(&folder.0).unwrap();
        let paths: Vec<&str> = sources.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [".github/workflows/ci.yml", ".gitignore", "data.bin", "package.json"]);
        assert!(sources.files[2].content.is_none(), "what is no text is not kept");
        assert!(sources.partial.is_none());
        assert_eq!(sources.analyze().warnings, ["links are not followed: passwd, up"]);
        assert_eq!(analyze_path(&folder.0).unwrap().frameworks[0].id, "nextjs");
    }

    #[test]
    fn a_file_beyond_two_mebibytes_counts_by_its_size() {
        let folder = Folder::new();
        folder.write("big.py", &vec![b'#'; 2_100_000]);
        let sources = read_folder(&folder.0).unwrap();
        assert_eq!((sources.files[0].size, sources.files[0].content.is_none()), (2_100_000, true));
    }

    #[test]
    fn more_files_than_the_bound_make_a_partial_analysis() {
        let folder = Folder::new();
        for index in 0..=crate::analysis::FILES_MAX {
            folder.write(&format!("{}/{index}.txt", index % 200), b"");
        }
        let analysis = analyze_path(&folder.0).unwrap();
        assert_eq!(analysis.partial.as_deref(), Some("only the first 20000 files were read"));
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let error = analyze_path(Path::new("/no/such/folder")).unwrap_err();
        assert!(matches!(&error, Error::Invalid { field, reason } if field == "path" && reason.contains("/no/such/folder")), "{error}");
    }
}
