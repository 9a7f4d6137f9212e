//! A private Postgres and a private Redis for one machine, started from the installed binaries.
//!
//! [`Services::start`] is all that a caller needs: it makes what is missing in the data folder, starts both servers as children, and returns when
//! they accept connections. They listen on unix sockets only, so that no port can clash and nobody else can connect. A child that dies is
//! started again. They end with [`Services::stop`], when the value is dropped, or when this process dies in any way.
//!
//! One process owns a data folder, by a lock on the file `lock` in it; a second one attaches to the running servers and leaves them running. When
//! the owner ends before it, the servers end too, and one of those that are attached starts them again.
//!
//! A data folder holds `postgres/` and `redis/` (the data), `run/` (the sockets), `postgres.log`, `redis.log` and `lock`. Postgres refuses to
//! run as root, so root's children run as the user `postgres`, else `nobody`, who must be able to pass through the folder's parents.

mod account;
mod child;
mod data_dir;
mod keeper;
mod postgres;
mod redis;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub use data_dir::default_data_dir;

use crate::{account::Account, child::wait_until, data_dir::Layout, keeper::Keeper, postgres::Postgres, redis::Redis};

/// The database that [`Services::start`] makes.
pub const DATABASE: &str = "orchestrator";

/// Long enough for the recovery of a killed Postgres with 2 GB of WAL on a slow disk.
const START_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{program} is not installed: install the Debian package `{package}`, or set {setting} to use a server of your own")]
    NotInstalled { program: &'static str, package: String, setting: &'static str },
    #[error("user `{user}` cannot pass through `{}`: give ORCHESTRATOR_DATA a folder that it can reach", folder.display())]
    NotPassable { user: String, folder: PathBuf },
    #[error("there is neither a user `postgres` nor `nobody`, and Postgres refuses to run as root")]
    NoAccount,
    #[error("{program} did not start within {limit_s} s; the end of `{}`:\n{tail}", log.display())]
    NotReady { program: &'static str, limit_s: u64, log: PathBuf, tail: String },
    #[error("`{command}` failed: {output}")]
    Command { command: String, output: String },
    #[error("`{0}` is no name for a database: lower-case letters, digits and `_`, at most 63")]
    DatabaseName(String),
    #[error("{what} `{}`", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
}

pub type Result<T> = std::result::Result<T, Error>;

/// How much a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// What was committed is on the disk.
    Durable,
    /// Nothing is forced to the disk: faster, for tests whose data folder is thrown away.
    Throwaway,
}

/// A running Postgres and Redis.
#[derive(Debug)]
pub struct Services {
    layout: Layout,
    postgres: Postgres,
    keeper: Keeper,
}

impl Services {
    /// Starts both servers on `data_dir`, or attaches to them if another process runs them already. The database [`DATABASE`] is there afterwards.
    ///
    /// # Errors
    /// A program is missing, the folder cannot be used, or a server did not start within 60 s.
    pub fn start(data_dir: &Path) -> Result<Self> {
        Self::start_with(data_dir, Durability::Durable)
    }

    /// [`Services::start`] with a choice of durability.
    ///
    /// # Errors
    /// As for [`Services::start`].
    pub fn start_with(data_dir: &Path, durability: Durability) -> Result<Self> {
        let account = Account::for_children()?;
        let layout = Layout::create(data_dir, &account)?;
        let postgres = Postgres::find(&layout, &account, durability)?;
        let lock_path = layout.root.join("lock");
        let lock = File::options().create(true).append(true).open(&lock_path);
        let lock = lock.map_err(|source| Error::File { what: "cannot open", path: lock_path.clone(), source })?;
        let keeper = Keeper::start(lock, postgres.clone(), Redis::find(&layout, &account, durability)?)?;
        let ready = || postgres.is_ready() && redis::is_ready(&layout.redis_socket());
        if !keeper.owns() && !wait_until(START_LIMIT, ready) {
            return Err(layout.not_ready("the servers of another process", "postgres.log"));
        }
        let services = Self { layout, postgres, keeper };
        services.create_database(DATABASE)?;
        Ok(services)
    }

    /// Whether a folder holds an installation already: starting the services elsewhere makes a new, empty one.
    pub fn are_installed(data_dir: &Path) -> bool {
        data_dir.join("postgres").join("PG_VERSION").exists()
    }

    /// False as long as the servers belong to another process.
    pub fn is_owner(&self) -> bool {
        self.keeper.owns()
    }

    pub fn data_dir(&self) -> &Path {
        &self.layout.root
    }

    /// A URL as sqlx and libpq take it; the role is the superuser `postgres`.
    pub fn database_url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", percent_encode(&self.layout.sockets))
    }

    /// A URL as the redis crate takes it.
    pub fn redis_url(&self) -> String {
        format!("redis+unix://{}", percent_encode(&self.layout.redis_socket()))
    }

    /// Makes a database, unless it is there.
    ///
    /// # Errors
    /// A name that would need quoting, or Postgres refuses.
    pub fn create_database(&self, name: &str) -> Result<()> {
        let valid = (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !valid {
            return Err(Error::DatabaseName(name.to_owned()));
        }
        let there = self.postgres.psql("postgres", &["-c", &format!("select 1 from pg_database where datname = '{name}'")])?;
        if there.trim().is_empty() {
            self.postgres.psql("postgres", &["-c", &format!("create database \"{name}\"")])?;
        }
        Ok(())
    }

    /// Runs the SQL of a file in one transaction.
    ///
    /// # Errors
    /// The first statement that failed, with its line.
    pub fn run_sql_file(&self, database: &str, file: &Path) -> Result<()> {
        self.postgres.psql(database, &["-q", "-1", "-f", &file.to_string_lossy()]).map(drop)
    }

    /// Stops the servers, if this value keeps them, in good order, and waits for their end. Dropping it does the same.
    pub fn stop(self) {
        drop(self);
    }
}

/// A path inside a URL; everything but the plainest characters is written as `%xx`.
fn percent_encode(path: &Path) -> String {
    use std::{fmt::Write, os::unix::ffi::OsStrExt};
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// The last lines of a log, for an error's text.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_space_is_escaped_in_a_url() {
        assert_eq!(percent_encode(Path::new("/srv/my data/ü")), "/srv/my%20data/%C3%BC");
    }
}
