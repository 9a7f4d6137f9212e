//! Archives made in memory, one hostile kind each.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{Cursor, Write},
    time::Instant,
};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;
use crate::analysis::DURATION_MAX;

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Links lead to where a hostile one would.
fn tar_of(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    tar_with_links(entries, "/etc/passwd")
}

/// A tar whose names are written as they are: the library itself refuses to write hostile ones.
fn tar_with_links(entries: &[(&str, EntryType, &[u8])], target: &str) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name(target).unwrap();
        }
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn refusal(bytes: &[u8]) -> ArchiveError {
    read_archive(bytes).unwrap_err()
}

fn paths(sources: &Sources) -> Vec<&str> {
    sources.files.iter().map(|file| file.path.as_str()).collect()
}

const MANIFEST: &[u8] = br#"{"name":"x","dependencies":{"next":"15"}}"#;

#[test]
fn zip_tar_and_tar_gz_of_one_project_give_one_analysis() {
    let zip = read_archive(&zip_of(&[("x-main/package.json", MANIFEST), ("x-main/app/page.tsx", b"<p/>")])).unwrap();
    let tar = tar_of(&[
        ("x-main/", EntryType::Directory, b""),
        ("x-main/package.json", EntryType::Regular, MANIFEST),
        ("x-main/app/page.tsx", EntryType::Regular, b"<p/>"),
    ]);
    let packed = read_archive(&gzip(&tar)).unwrap();
    let tar = read_archive(&tar).unwrap();
    assert_eq!(paths(&zip), ["package.json", "app/page.tsx"]);
    assert_eq!((&zip.files, &tar.files), (&tar.files, &packed.files));
    assert_eq!(zip.analyze().frameworks[0].id, "nextjs");
}

#[test]
fn the_top_folder_stays_if_something_lies_beside_it() {
    assert_eq!(paths(&read_archive(&zip_of(&[("src/a.py", b"1"), ("setup.py", b"")])).unwrap()), ["src/a.py", "setup.py"]);
    let npm = tar_of(&[("package/package.json", EntryType::Regular, MANIFEST), ("package/dist/index.js", EntryType::Regular, b"1")]);
    assert_eq!(paths(&read_archive(&gzip(&npm)).unwrap()), ["package.json", "dist/index.js"]);
}

#[test]
fn a_path_that_leaves_its_folder_is_refused() {
    let expected = ArchiveError::PathTraversal { entry: "a/../../etc/passwd".into() };
    assert_eq!(refusal(&zip_of(&[("ok.txt", b""), ("a/../../etc/passwd", b"x")])), expected);
    assert_eq!(refusal(&tar_of(&[("a/../../etc/passwd", EntryType::Regular, b"x")])), expected);
    assert_eq!(refusal(&gzip(&tar_of(&[("../x", EntryType::Directory, b"")]))), ArchiveError::PathTraversal { entry: "../x".into() });
    assert_eq!(refusal(&zip_of(&[("a/../../etc/passwd", b"x")])).to_string(), "entry `a/../../etc/passwd` leaves its folder by `..`");
}

#[test]
fn an_absolute_path_is_refused() {
    for name in ["/etc/passwd", "C:/windows/x", "c:x"] {
        let expected = ArchiveError::AbsolutePath { entry: name.into() };
        assert_eq!(refusal(&tar_of(&[(name, EntryType::Regular, b"x")])), expected);
        assert_eq!(refusal(&zip_of(&[(name, b"x")])), expected);
    }
}

#[test]
fn a_backslash_or_a_control_character_is_refused() {
    assert_eq!(
        refusal(&tar_of(&[("..\\..\\x", EntryType::Regular, b"")])),
        ArchiveError::ForbiddenCharacter { entry: "..\\\\..\\\\x".into() }
    );
    assert_eq!(refusal(&tar_of(&[("a\nb", EntryType::Regular, b"")])), ArchiveError::ForbiddenCharacter { entry: "a\\nb".into() });
    let mut bytes = zip_of(&[("dir!evil.txt", b"x")]);
    patch(&mut bytes, b"dir!evil.txt", b"dir\nevil.txt");
    assert!(matches!(refusal(&bytes), ArchiveError::ForbiddenCharacter { .. }));
}

#[test]
fn a_zip_of_an_older_tool_of_windows_is_read_and_held_to_the_same_rules() {
    // The library's writer turns `\` into `/`; those tools do not.
    let mut bytes = zip_of(&[("src!main.py", b"x"), ("package.json", MANIFEST)]);
    patch(&mut bytes, b"src!main.py", b"src\\main.py");
    assert_eq!(paths(&read_archive(&bytes).unwrap()), ["src/main.py", "package.json"]);
    let mut bytes = zip_of(&[("..!..!evil.txt", b"x")]);
    patch(&mut bytes, b"..!..!evil.txt", b"..\\..\\evil.txt");
    assert_eq!(refusal(&bytes), ArchiveError::PathTraversal { entry: "../../evil.txt".into() });
    let mut bytes = zip_of(&[("!evil.txt", b"x")]);
    patch(&mut bytes, b"!evil.txt", b"\\evil.txt");
    assert_eq!(refusal(&bytes), ArchiveError::AbsolutePath { entry: "/evil.txt".into() });
}

#[test]
fn a_name_that_no_disk_takes_is_refused() {
    let name = "a/".repeat(3_000);
    assert!(matches!(refusal(&zip_of(&[(name.as_str(), b"")])), ArchiveError::LongName { bytes: 6_000, .. }));
}

#[test]
fn a_symbolic_link_is_refused() {
    let expected = ArchiveError::Link { entry: "a/link".into() };
    assert_eq!(refusal(&tar_of(&[("a/link", EntryType::Symlink, b"")])), expected);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("a/link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    assert_eq!(refusal(&writer.finish().unwrap().into_inner()), expected);
}

#[test]
fn a_hard_link_is_refused() {
    assert_eq!(refusal(&tar_of(&[("a/link", EntryType::Link, b"")])), ArchiveError::Link { entry: "a/link".into() });
}

#[test]
fn a_link_within_the_archive_is_passed_over_and_named() {
    let manifest = ("x/package.json", EntryType::Regular, MANIFEST);
    for (kind, target) in [(EntryType::Symlink, "AGENTS.md"), (EntryType::Symlink, "../x/AGENTS.md"), (EntryType::Link, "x/AGENTS.md")] {
        let sources = read_archive(&tar_with_links(&[manifest, ("x/CLAUDE.md", kind, b"")], target)).unwrap();
        assert_eq!(paths(&sources), ["package.json"]);
        assert_eq!(sources.analyze().warnings, ["links are not followed: x/CLAUDE.md"]);
    }
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("package.json", SimpleFileOptions::default()).unwrap();
    writer.write_all(MANIFEST).unwrap();
    (0..7).for_each(|index| writer.add_symlink(format!("{index}.md"), "README.md", SimpleFileOptions::default()).unwrap());
    let sources = read_archive(&writer.finish().unwrap().into_inner()).unwrap();
    assert_eq!(sources.analyze().warnings, ["links are not followed: 0.md, 1.md, 2.md, 3.md, 4.md and 2 more"]);
}

#[test]
fn a_link_that_leaves_the_archive_is_refused() {
    let expected = ArchiveError::Link { entry: "a/link".into() };
    assert_eq!(refusal(&tar_with_links(&[("a/link", EntryType::Symlink, b"")], "../../etc/passwd")), expected);
    assert_eq!(refusal(&tar_with_links(&[("a/link", EntryType::Link, b"")], "../passwd")), expected);
}

#[test]
fn links_among_other_peoples_packages_do_not_matter() {
    let entries = [("node_modules/.bin/next", EntryType::Symlink, &b""[..]), ("package.json", EntryType::Regular, MANIFEST)];
    let sources = read_archive(&tar_of(&entries)).unwrap();
    assert_eq!(paths(&sources), ["package.json"]);
    assert!(sources.analyze().warnings.is_empty());
}

#[test]
fn a_device_or_a_pipe_is_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        assert_eq!(refusal(&tar_of(&[("dev/sda", kind, b"")])), ArchiveError::SpecialFile { entry: "dev/sda".into() });
    }
}

#[test]
fn a_zip_that_unpacks_out_of_proportion_is_refused() {
    let zeros = vec![0; 8 << 20];
    assert_eq!(refusal(&zip_of(&[("readme.txt", b"hi"), ("bomb.txt", &zeros)])), ArchiveError::Bomb { entry: "bomb.txt".into() });
}

#[test]
fn a_zip_that_declares_less_than_it_holds_is_refused() {
    let honest = vec![b'a'; 100_000];
    let mut bytes = zip_of(&[("liar.txt", &honest)]);
    patch(&mut bytes, &100_000_u32.to_le_bytes(), &10_u32.to_le_bytes());
    assert_eq!(refusal(&bytes), ArchiveError::Bomb { entry: "liar.txt".into() });
}

#[test]
fn a_zip_that_declares_more_than_the_archive_holds_is_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("a.py", SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored)).unwrap();
    writer.write_all(&[b'a'; 123_457]).unwrap();
    let mut bytes = writer.finish().unwrap().into_inner();
    patch(&mut bytes, &123_457_u32.to_le_bytes(), &3_000_000_000_u32.to_le_bytes());
    let ArchiveError::Damaged { reason, .. } = refusal(&bytes) else { panic!("it is not refused as damaged") };
    assert_eq!(reason, "it declares more bytes than the archive has");
}

#[test]
fn what_there_is_no_time_for_is_left_out() {
    let mut sources = read_archive(&zip_of(&[("package.json", MANIFEST)])).unwrap();
    assert!(sources.analyze().partial.is_none());
    sources.started = Instant::now().checked_sub(DURATION_MAX).unwrap();
    let analysis = sources.analyze();
    assert_eq!(analysis.partial.as_deref(), Some("there was no time to analyse everything"));
    assert!(analysis.frameworks.is_empty());
}

#[test]
fn a_tar_gz_that_unpacks_out_of_proportion_is_refused() {
    let zeros = vec![0; 16 << 20];
    let bomb = gzip(&tar_of(&[
        ("a.txt", EntryType::Regular, b"a"),
        ("bomb.txt", EntryType::Regular, &zeros),
        ("z.txt", EntryType::Regular, b"z"),
    ]));
    assert_eq!(refusal(&bomb), ArchiveError::Bomb { entry: "bomb.txt".into() });
}

#[test]
fn an_archive_inside_an_archive_is_never_opened() {
    let inner = zip_of(&[("../evil", b"x")]);
    let sources = read_archive(&zip_of(&[("inner.zip", &inner), ("a.py", b"1")])).unwrap();
    assert_eq!(paths(&sources), ["inner.zip", "a.py"]);
    assert!(sources.files[0].content.is_none());
}

#[test]
fn a_large_archive_is_read_up_to_the_bounds() {
    let names: Vec<String> = (0..=super::super::FILES_MAX).map(|index| format!("{index}.txt")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let sources = read_archive(&zip_of(&entries)).unwrap();
    assert_eq!((sources.files.len(), sources.partial.as_deref()), (20_000, Some("only the first 20000 files were read")));
}

#[test]
fn other_peoples_packages_do_not_use_up_the_bounds() {
    let sources = read_archive(&zip_of(&[("x/node_modules/a/index.js", b"1"), ("x/package.json", MANIFEST)])).unwrap();
    assert_eq!(paths(&sources), ["package.json"]);
}

#[test]
fn more_text_than_the_bound_is_counted_but_not_read() {
    let noise: Vec<u8> = (0..2_000_000_u32).map(|index| b'a' + u8::try_from(index.wrapping_mul(2_654_435_761) >> 28).unwrap()).collect();
    let names: Vec<String> = (0..40).map(|index| format!("{index}.txt")).collect();
    let entries: Vec<(&str, EntryType, &[u8])> = names.iter().map(|name| (name.as_str(), EntryType::Regular, noise.as_slice())).collect();
    let sources = read_archive(&tar_of(&entries)).unwrap();
    assert_eq!(sources.files.len(), 40);
    assert_eq!(sources.files.iter().filter(|file| file.content.is_some()).count(), 33);
    assert_eq!(sources.partial.as_deref(), Some("only the first 64 MiB were read"));
}

#[test]
fn a_truncated_archive_is_refused() {
    let noise: Vec<u8> = (0..20_000_u32).map(|index| u8::try_from(index.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    let zip = zip_of(&[("a.txt", &noise)]);
    let tar = tar_of(&[("a.txt", EntryType::Regular, &noise), ("b.txt", EntryType::Regular, &noise)]);
    for whole in [zip, tar[..30_000].to_vec(), gzip(&tar)] {
        assert!(matches!(refusal(&whole[..whole.len() / 2]), ArchiveError::Damaged { .. }));
    }
}

#[test]
fn garbage_is_no_archive() {
    for garbage in [&b""[..], b"PK", b"hello, this is a text file", &[0; 2048], &[0xff; 2048]] {
        assert_eq!(refusal(garbage), ArchiveError::NotAnArchive);
    }
    assert!(matches!(refusal(b"PK\x03\x04 and then nothing of the kind"), ArchiveError::Damaged { .. }));
    assert!(matches!(refusal(&gzip(b"a text, packed")), ArchiveError::Damaged { .. }));
    assert!(matches!(refusal(&[0x1f, 0x8b, 8, 0, 1, 2, 3]), ArchiveError::Damaged { .. }));
}

#[test]
fn an_encrypted_zip_is_refused() {
    let mut bytes = zip_of(&[("secret.txt", b"x")]);
    // The first flag bit, in the local header and in the directory.
    for (signature, offset) in [(&b"PK\x03\x04"[..], 6), (&b"PK\x01\x02"[..], 8)] {
        let at = bytes.windows(4).position(|window| window == signature).unwrap();
        bytes[at + offset] |= 1;
    }
    assert!(matches!(refusal(&bytes), ArchiveError::Encrypted { .. }));
}

/// Replaces every occurrence.
fn patch(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..=bytes.len() - from.len()).filter(|at| &bytes[*at..at + from.len()] == from).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn flipped_bytes_never_panic_and_never_escape(at in 0_usize..2000, value: u8, which in 0_usize..3) {
        let tar = tar_of(&[("x/a.py", EntryType::Regular, b"print(1)"), ("x/b/c.txt", EntryType::Regular, b"hello")]);
        let mut bytes = [zip_of(&[("x/a.py", b"print(1)"), ("x/b/c.txt", b"hello")]), gzip(&tar), tar][which].clone();
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(sources) = read_archive(&bytes) {
            prop_assert!(sources.files.iter().all(|file| name::check(&file.path).is_ok()));
        }
    }
}
