//! The browser bundle: `frontend` compiled to WASM, the style sheets joined, and `public/`, as `cargo leptos build` would lay them out with
//! `hash-files` and `--precompress`:
//!
//! ```text
//! target/site/pkg/orchestrator.HASH.{js,wasm,css}     with .br and .gz beside each
//! target/site/...                                     the files of public/
//! target/{release,...}/hash.txt                       the hashes, which leptos reads beside the running binary
//! ```

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use lightningcss::{
    bundler::{Bundler, FileProvider},
    printer::PrinterOptions,
    stylesheet::{MinifyOptions, ParserOptions},
};
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

use crate::{Result, at, cargo, root, run, site};

const NAME: &str = "orchestrator";
/// The bundle's budget, brotli-compressed: about a second on a slow mobile line.
const WASM_BROTLI_BYTES_MAX: usize = 250_000;

/// Builds the bundle, unless nothing that goes into it has changed.
///
/// # Errors
/// A step failed; or, if `within_budget` is asked for, the WASM is too large. The bundle is in its place then nevertheless.
pub(crate) fn build(within_budget: bool) -> Result<()> {
    let wasm = compile()?;
    let css = bundle_css(&root().join("style/main.css"))?;
    let stamp = stamp(&wasm, &css)?;
    let brotli_bytes = match brotli_bytes_of_last_build(&stamp) {
        Some(brotli_bytes) => {
            println!("front: nothing has changed");
            brotli_bytes
        }
        None => write_site(&wasm, &css, &stamp)?,
    };
    if brotli_bytes > WASM_BROTLI_BYTES_MAX {
        let text = format!("the WASM has {brotli_bytes} bytes with brotli, over its budget of {WASM_BROTLI_BYTES_MAX}");
        if within_budget {
            return Err(text.into());
        }
        println!("front: {text}");
    }
    Ok(())
}

/// Writes everything below `target/site`, and returns the compressed size of the WASM.
fn write_site(wasm: &Path, css: &str, stamp: &str) -> Result<usize> {
    let _ = fs::remove_file(stamp_file());
    let new = root().join("target/site.new");
    let _ = fs::remove_dir_all(&new);
    let hashes = write_pkg(&new.join("pkg"), wasm, css)?;
    site::copy_folder(&root().join("public"), &new)?;
    let sizes = site::compress(&new)?;
    site::print_sizes(&sizes);
    let wasm = sizes.iter().find(|size| size.file.ends_with(".wasm")).ok_or("the bundle has no WASM")?;
    site::replace_folder(&root().join("target/site"), &new)?;
    for folder in binary_folders() {
        let file = folder.join("hash.txt");
        at(&file, fs::write(&file, &hashes))?;
    }
    at(&stamp_file(), fs::write(stamp_file(), format!("{stamp} {}", wasm.brotli_bytes)))?;
    Ok(wasm.brotli_bytes)
}

fn stamp_file() -> PathBuf {
    root().join("target/site.stamp")
}

/// The compressed size of the WASM, if the site that is there was made of the same things.
fn brotli_bytes_of_last_build(stamp: &str) -> Option<usize> {
    let last = fs::read_to_string(stamp_file()).ok()?;
    let (last_stamp, brotli_bytes) = last.split_once(' ')?;
    let there = root().join("target/site/pkg").exists() && binary_folders().iter().all(|folder| folder.join("hash.txt").exists());
    (there && last_stamp == stamp).then(|| brotli_bytes.parse().ok())?
}

/// Compiles `frontend` with the toolchain that `setup` found for WASM.
fn compile() -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--package", "frontend", "--target", "wasm32-unknown-unknown", "--profile", "wasm-release"]);
    if let Some(toolchain) = wasm_toolchain() {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    run(&mut command)?;
    Ok(root().join("target/wasm32-unknown-unknown/wasm-release/frontend.wasm"))
}

/// The line `WASM_TOOLCHAIN=name` of `.tools/env.sh`, if it names one.
fn wasm_toolchain() -> Option<String> {
    let text = fs::read_to_string(root().join(".tools/env.sh")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("WASM_TOOLCHAIN="))?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Joins and minifies the style sheets.
fn bundle_css(main: &Path) -> Result<String> {
    let files = FileProvider::new();
    let mut sheet = Bundler::new(&files, None, ParserOptions::default())
        .bundle(main)
        .map_err(|error| format!("{} or what it imports: {error}", main.display()))?;
    sheet.minify(MinifyOptions::default()).map_err(|error| error.to_string())?;
    let printed = sheet.to_css(PrinterOptions { minify: true, ..PrinterOptions::default() });
    Ok(printed.map_err(|error| error.to_string())?.code)
}

/// Makes the JavaScript side and writes the three files under hashed names. Returns the text of `hash.txt`.
fn write_pkg(pkg: &Path, wasm: &Path, css: &str) -> Result<String> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name(NAME).typescript(false).remove_name_section(true).remove_producers_section(true);
    // The page says where the WASM lies.
    bindgen.web(true).map_err(|error| format!("{error:#}"))?.omit_default_module_path(true);
    bindgen.generate(pkg).map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    let css_file = pkg.join(format!("{NAME}.css"));
    at(&css_file, fs::write(&css_file, css))?;
    let mut lines = String::new();
    for (kind, plain) in [("js", format!("{NAME}.js")), ("wasm", format!("{NAME}_bg.wasm")), ("css", format!("{NAME}.css"))] {
        let plain = pkg.join(plain);
        let hash = hex::encode(&Sha256::digest(at(&plain, fs::read(&plain))?)[..8]);
        at(&plain, fs::rename(&plain, pkg.join(format!("{NAME}.{hash}.{kind}"))))?;
        lines += &format!("{kind}: {hash}\n");
    }
    Ok(lines)
}

/// One hash over all that the site is made of, this program included.
fn stamp(wasm: &Path, css: &str) -> Result<String> {
    let mut hasher = Sha256::new();
    let this = env::current_exe()?;
    let public = site::files(&root().join("public"))?;
    for file in [this.as_path(), wasm].into_iter().chain(public.iter().map(PathBuf::as_path)) {
        let content = at(file, fs::read(file))?;
        hasher.update(format!("{} {}\n", file.display(), content.len()));
        hasher.update(content);
    }
    hasher.update(css);
    Ok(hex::encode(hasher.finalize()))
}

/// Where a binary that serves the site may lie; `deps` holds the tests.
fn binary_folders() -> Vec<PathBuf> {
    let target = root().join("target");
    let folders = ["release", "release/deps", "debug", "debug/deps", "dist"].map(|name| target.join(name));
    // Only the release build is certain to follow; a new folder of another kind is noticed at the next call.
    let _ = fs::create_dir_all(&folders[1]);
    folders.into_iter().filter(|folder| folder.is_dir()).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
        folder
    }

    #[test]
    fn imports_are_joined_in_their_layers() {
        let folder = folder(
            "css",
            &[("main.css", "@layer base;\n@import 'a.css' layer(base);\n"), ("a.css", "a { color: light-dark(red, blue); }\n")],
        );
        let css = bundle_css(&folder.join("main.css"));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(css.unwrap(), "@layer base{a{color:light-dark(red,#00f)}}");
    }

    #[test]
    fn a_missing_import_is_an_error() {
        let folder = folder("css-missing", &[("main.css", "@import 'gone.css';\n")]);
        let css = bundle_css(&folder.join("main.css"));
        fs::remove_dir_all(&folder).unwrap();
        assert!(css.is_err());
    }
}
