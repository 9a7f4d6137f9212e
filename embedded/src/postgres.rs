//! Postgres: which binaries, the cluster, the settings.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    Durability, Error, Result,
    account::Account,
    child::{self, clean, run},
    data_dir::Layout,
};

/// SIGINT rolls open transactions back and ends in good order; SIGQUIT ends at once and costs a recovery at the next start.
const STOP: [(Signal, Duration); 3] =
    [(Signal::INT, Duration::from_secs(30)), (Signal::QUIT, Duration::from_secs(5)), (Signal::KILL, Duration::from_secs(5))];

#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    bin: PathBuf,
    layout: Layout,
    account: Account,
    durability: Durability,
}

/// What each process of Postgres may keep of the memory that it has freed: 8 MiB.
const KEPT_BYTES: &str = "8388608";

impl Postgres {
    /// Finds the binaries: those of the version that made the cluster, else the newest.
    pub(crate) fn find(layout: &Layout, account: &Account, durability: Durability) -> Result<Self> {
        let made_by = fs::read_to_string(layout.cluster.join("PG_VERSION")).ok();
        let made_by = made_by.as_deref().map(str::trim);
        let bin =
            find_bin(Path::new("/usr/lib/postgresql"), made_by, env::var_os("PATH").as_deref()).ok_or_else(|| Error::NotInstalled {
                program: "Postgres",
                package: made_by.map_or_else(|| "postgresql".to_owned(), |version| format!("postgresql-{version}")),
                setting: "DATABASE_URL",
            })?;
        Ok(Self { bin, layout: layout.clone(), account: account.clone(), durability })
    }

    /// Makes the cluster unless it is there. A half-made one, from an interrupted call, is made anew.
    pub(crate) fn initialise(&self) -> Result<()> {
        if self.layout.cluster.join("PG_VERSION").exists() {
            return Ok(());
        }
        let new = self.layout.root.join("postgres.new");
        let failed = |source| Error::File { what: "cannot make the folder", path: new.clone(), source };
        if new.exists() {
            fs::remove_dir_all(&new).map_err(failed)?;
        }
        fs::create_dir(&new).and_then(|()| self.account.own(&new)).map_err(failed)?;
        let mut initdb = clean(&self.bin.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata"]).arg(&new);
        if self.durability == Durability::Throwaway {
            initdb.arg("--no-sync");
        }
        self.account.apply(&mut initdb);
        run(&mut initdb)?;
        fs::rename(&new, &self.layout.cluster).map_err(failed)
    }

    /// Starts the server; see [`child::spawn`] for the thread to call it from. It fails while backends of a killed server still run.
    pub(crate) fn spawn(&self) -> std::io::Result<Child> {
        let mut command = clean(&self.bin.join("postgres"));
        // A statement with a batch takes some hundred kilobytes: glibc would give them back after each, and fault them in again.
        command.env("MALLOC_TRIM_THRESHOLD_", KEPT_BYTES).env("MALLOC_MMAP_THRESHOLD_", KEPT_BYTES).env("MALLOC_TOP_PAD_", "1048576");
        command.arg("-D").arg(&self.layout.cluster).arg("-k").arg(&self.layout.sockets);
        let durable = if self.durability == Durability::Durable { "on" } else { "off" };
        for (name, value) in [
            ("listen_addresses", ""),
            ("unix_socket_permissions", "0700"),
            ("max_connections", "200"),
            ("shared_buffers", "256MB"),
            ("fsync", durable),
            ("synchronous_commit", durable),
            ("full_page_writes", durable),
            ("min_wal_size", "256MB"),
            ("max_wal_size", "2GB"),
            ("wal_compression", "on"),
            // All queries here are short; compiling one costs more than it saves.
            ("jit", "off"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_line_prefix", "%m [%p] "),
        ] {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        self.account.apply(&mut command);
        child::spawn(&mut command, &self.layout.root.join("postgres.log"), Signal::INT)
    }

    /// Accepts connections now.
    pub(crate) fn is_ready(&self) -> bool {
        let socket = self.layout.sockets.join(".s.PGSQL.5432");
        socket.exists() && self.client("pg_isready").arg("-q").status().is_ok_and(|status| status.success())
    }

    /// Runs psql, plain output, stopping at the first error.
    pub(crate) fn psql(&self, database: &str, arguments: &[&str]) -> Result<String> {
        run(self.client("psql").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]).args(arguments))
    }

    pub(crate) fn stop(child: &mut Child) {
        child::stop(child, &STOP);
    }

    pub(crate) fn end_orphan(&self) {
        child::end_orphan(&self.layout.cluster.join("postmaster.pid"), &self.layout.cluster, STOP[0].0, STOP[0].1);
    }

    pub(crate) fn not_ready(&self) -> Error {
        self.layout.not_ready("Postgres", "postgres.log")
    }

    fn client(&self, program: &str) -> Command {
        let mut command = clean(&self.bin.join(program));
        command.arg("-h").arg(&self.layout.sockets).args(["-U", "postgres"]);
        command
    }
}

/// The folder with `postgres` and `initdb`: below `installed` that of version `wanted`, else of the highest, else the one on `path`.
fn find_bin(installed: &Path, wanted: Option<&str>, path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let complete = |bin: &PathBuf| ["postgres", "initdb", "psql", "pg_isready"].iter().all(|name| bin.join(name).exists());
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let folders = fs::read_dir(installed).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<(u32, PathBuf)> = folders
        .filter_map(|folder| Some((version(&folder)?, folder.join("bin"))))
        .filter(|(number, bin)| complete(bin) && wanted.is_none_or(|wanted| wanted == number.to_string()))
        .collect();
    found.sort();
    let on_path =
        || env::split_paths(path?).find(|bin| complete(bin) && wanted.is_none_or(|wanted| major_version(bin).as_deref() == Some(wanted)));
    found.pop().map(|(_, bin)| bin).or_else(on_path)
}

/// `15` of `postgres (PostgreSQL) 15.13 (Debian ...)`.
fn major_version(bin: &Path) -> Option<String> {
    let text = run(clean(&bin.join("postgres")).arg("--version")).ok()?;
    Some(text.split_whitespace().nth(2)?.split('.').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(name: &str, versions: &[&str]) -> PathBuf {
        let root = env::temp_dir().join(format!("orchestrator-{name}-{}", std::process::id()));
        for version in versions {
            let bin = root.join(version).join("bin");
            fs::create_dir_all(&bin).expect("a folder in the temporary folder");
            for program in ["postgres", "initdb", "psql", "pg_isready"] {
                fs::write(bin.join(program), "").expect("our own folder");
            }
        }
        root
    }

    #[test]
    fn the_newest_version_is_taken_unless_the_cluster_needs_another() {
        let root = installed("versions", &["9", "15", "17", "old"]);
        let (newest, same) = (find_bin(&root, None, None), find_bin(&root, Some("15"), None));
        let missing = find_bin(&root, Some("16"), None);
        fs::remove_dir_all(&root).expect("our own folder");
        assert_eq!((newest, same, missing), (Some(root.join("17/bin")), Some(root.join("15/bin")), None));
    }

    #[test]
    fn a_folder_that_lacks_a_program_does_not_count() {
        let root = installed("incomplete", &["15"]);
        fs::remove_file(root.join("15/bin/initdb")).expect("our own file");
        let found = find_bin(&root, None, Some("/nonexistent".as_ref()));
        fs::remove_dir_all(&root).expect("our own folder");
        assert_eq!(found, None);
    }
}
