//! The folder `.sqlx`: what Postgres says about each SQL query of `engine`, so that a build needs no database.
//!
//! With `DATABASE_URL` and `SQLX_OFFLINE_DIR` set, sqlx's macros ask the database and write a file per query. That happens only while `engine` is
//! compiled, so it is made to look changed for this one call.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, FileTimes},
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest, Sha256};

use crate::{Result, at, cargo, root, run, services::Temporary, site};

const DATABASE: &str = "sqlx";

/// Writes `.sqlx` anew.
pub(crate) fn prepare() -> Result<()> {
    let made = make()?;
    site::replace_folder(&committed(), &made)?;
    println!("sqlx: {} queries in .sqlx", fs::read_dir(committed())?.count());
    write_stamp()
}

/// # Errors
/// `.sqlx` is not what the queries and the schema of this moment give.
pub(crate) fn check() -> Result<()> {
    if fs::read_to_string(stamp_file()).is_ok_and(|last| stamp().is_ok_and(|now| now == last)) {
        println!("sqlx: nothing has changed since the last check");
        return Ok(());
    }
    let (committed, made) = (read(&committed())?, read(&make()?)?);
    let names = |a: &BTreeMap<_, _>, b: &BTreeMap<_, _>| -> Vec<String> {
        let differs = |(name, content): &(&OsString, &Vec<u8>)| b.get(*name) != Some(*content);
        a.iter().filter(differs).map(|(name, _): (&OsString, _)| name.to_string_lossy().into_owned()).collect()
    };
    let (stale, missing) = (names(&committed, &made), names(&made, &committed));
    if stale.is_empty() && missing.is_empty() {
        println!("sqlx: the {} queries in .sqlx are up to date", made.len());
        return write_stamp();
    }
    let fix = "`cargo run --profile tool -p xtask -- sqlx-prepare` writes it anew";
    Err(format!(".sqlx is out of date, {fix}; too old: {stale:?}, missing: {missing:?}").into())
}

fn committed() -> PathBuf {
    root().join(".sqlx")
}

/// Makes a folder of query data from an empty database with all migrations.
fn make() -> Result<PathBuf> {
    let folder = root().join("target/sqlx");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let temporary = Temporary::start()?;
    let services = temporary.services();
    services.create_database(DATABASE)?;
    for file in site::files(&root().join("migrations"))? {
        if file.extension().is_some_and(|kind| kind == "sql") {
            services.run_sql_file(DATABASE, &file)?;
        }
    }
    let mut sources = vec![root().join("engine/src/lib.rs")];
    let tests = root().join("engine/tests");
    sources.extend(if tests.exists() { site::files(&tests)? } else { Vec::new() });
    let touched = sources.iter().map(|file| Touched::new(file)).collect::<Result<Vec<_>>>()?;
    run(cargo()
        .args(["check", "--release", "--package", "engine", "--all-targets"])
        .env("DATABASE_URL", services.database_url(DATABASE))
        .env("SQLX_OFFLINE_DIR", &folder)
        .env_remove("SQLX_OFFLINE"))?;
    drop(touched);
    Ok(folder)
}

/// A file that looks changed just now, as long as this lives; then its time is as before, so that other builds are not made stale.
struct Touched {
    file: File,
    before: SystemTime,
}

impl Touched {
    fn new(path: &Path) -> Result<Self> {
        let file = at(path, File::options().append(true).open(path))?;
        let before = file.metadata()?.modified()?;
        file.set_times(FileTimes::new().set_modified(SystemTime::now()))?;
        Ok(Self { file, before })
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        let _ = self.file.set_times(FileTimes::new().set_modified(self.before));
    }
}

fn read(folder: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    let files = if folder.exists() { site::files(folder)? } else { Vec::new() };
    files.iter().map(|file| Ok((file.file_name().unwrap_or_default().to_owned(), at(file, fs::read(file))?))).collect()
}

fn stamp_file() -> PathBuf {
    root().join("target/sqlx.stamp")
}

fn write_stamp() -> Result<()> {
    Ok(fs::write(stamp_file(), stamp()?)?)
}

/// One hash over the queries, the schema and the committed folder.
fn stamp() -> Result<String> {
    let mut hasher = Sha256::new();
    for folder in ["engine", "domain/src", "migrations", ".sqlx"] {
        let folder = root().join(folder);
        for file in if folder.exists() { site::files(&folder)? } else { Vec::new() } {
            let content = at(&file, fs::read(&file))?;
            hasher.update(format!("{} {}\n", file.display(), content.len()));
            hasher.update(content);
        }
    }
    Ok(hex::encode(hasher.finalize()))
}
