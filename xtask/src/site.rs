//! Folders of files as a web server sends them.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    thread,
};

use flate2::{Compression, write::GzEncoder};

use crate::{Result, at};

/// Kinds of files that compression makes smaller.
const TEXT_LIKE: [&str; 9] = ["css", "html", "js", "json", "map", "svg", "txt", "wasm", "xml"];

/// A compressed file's sizes in bytes.
pub(crate) struct Size {
    pub(crate) file: String,
    pub(crate) raw_bytes: usize,
    pub(crate) gzip_bytes: usize,
    pub(crate) brotli_bytes: usize,
}

/// All files below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in at(folder, fs::read_dir(folder))? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for file in files(from)? {
        let target = to.join(file.strip_prefix(from)?);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        at(&file, fs::copy(&file, &target))?;
    }
    Ok(())
}

/// Puts `new` in the place of `old`, so that a server never sees half of either for long.
pub(crate) fn replace_folder(old: &Path, new: &Path) -> Result<()> {
    let aside = old.with_extension("old");
    let _ = fs::remove_dir_all(&aside);
    if old.exists() {
        at(old, fs::rename(old, &aside))?;
    }
    at(new, fs::rename(new, old))?;
    let _ = fs::remove_dir_all(&aside);
    Ok(())
}

/// Writes a `.br` and a `.gz` beside each file that they make smaller.
pub(crate) fn compress(folder: &Path) -> Result<Vec<Size>> {
    let kinds = |file: &PathBuf| file.extension().is_some_and(|kind| TEXT_LIKE.iter().any(|known| kind == *known));
    let files: Vec<PathBuf> = files(folder)?.into_iter().filter(kinds).collect();
    // A thread per file: the WASM takes longest, so that the others come for free.
    thread::scope(|scope| {
        let threads: Vec<_> =
            files.iter().map(|file| scope.spawn(move || compress_file(folder, file).map_err(|error| error.to_string()))).collect();
        threads.into_iter().map(|thread| Ok(thread.join().map_err(|_| "a thread that compresses panicked")??)).collect()
    })
}

fn compress_file(folder: &Path, file: &Path) -> Result<Size> {
    let raw = at(file, fs::read(file))?;
    let mut brotli = Vec::new();
    // Quality 11 and a window of 4 MiB: the bundle is compressed once and downloaded often.
    brotli::CompressorWriter::new(&mut brotli, 1 << 16, 11, 22).write_all(&raw)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&raw)?;
    let gzip = gzip.finish()?;
    for (suffix, packed) in [(".br", &brotli), (".gz", &gzip)] {
        if packed.len() < raw.len() {
            let mut name = file.as_os_str().to_owned();
            name.push(suffix);
            File::create(name)?.write_all(packed)?;
        }
    }
    let file = file.strip_prefix(folder)?.display().to_string();
    Ok(Size { file, raw_bytes: raw.len(), gzip_bytes: gzip.len(), brotli_bytes: brotli.len() })
}

pub(crate) fn print_sizes(sizes: &[Size]) {
    println!("{:>10} {:>10} {:>10}  file", "bytes", "gzip", "brotli");
    for Size { file, raw_bytes, gzip_bytes, brotli_bytes } in sizes {
        println!("{raw_bytes:>10} {gzip_bytes:>10} {brotli_bytes:>10}  {file}");
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn text_is_compressed_and_what_would_grow_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("xtask-site-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).unwrap();
        for (file, text) in [("sub/long.js", "same ".repeat(100)), ("a.txt", "x".into()), ("picture.png", "same ".repeat(100))] {
            fs::write(folder.join(file), text).unwrap();
        }
        let sizes = compress(&folder).unwrap();
        let names: Vec<String> =
            files(&folder).unwrap().iter().map(|file| file.strip_prefix(&folder).unwrap().display().to_string()).collect();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["a.txt", "picture.png", "sub/long.js", "sub/long.js.br", "sub/long.js.gz"]);
        assert_eq!((sizes.len(), sizes[1].raw_bytes), (2, 500));
    }
}
