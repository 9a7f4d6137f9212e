//! Where the data lies, and what the folder looks like inside.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use crate::{Error, Result, START_LIMIT, account::Account, tail};

/// A unix socket's path may have 107 bytes; `.s.PGSQL.5432.lock` and a slash take 19 of them.
const SOCKET_FOLDER_BYTES_MAX: usize = 80;

/// The data folder of a project, by the first rule that applies:
///
/// 1. the environment variable `ORCHESTRATOR_DATA`;
/// 2. the first line of the file `data` in the project, if `data` is a file and not a folder;
/// 3. for root `/var/lib/orchestrator-<hash of the project's path>`, since the user as whom the servers run then could not enter a project in
///    root's home;
/// 4. the folder `data` in the project.
pub fn default_data_dir(project: &Path) -> PathBuf {
    let named = env::var_os("ORCHESTRATOR_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
    choose(project, named, rustix::process::geteuid().is_root())
}

fn choose(project: &Path, named: Option<PathBuf>, root: bool) -> PathBuf {
    let inside = project.join("data");
    let pointed = || {
        let text = fs::read_to_string(&inside).ok()?;
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| project.join(line))
    };
    let own = || if root { PathBuf::from(format!("/var/lib/orchestrator-{}", short_hash(project))) } else { inside.clone() };
    named.or_else(pointed).unwrap_or_else(own)
}

/// FNV-1a of the absolute path, 8 hexadecimal digits: it keeps projects apart and need not withstand anybody.
fn short_hash(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let hash = path
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:08x}", hash >> 32)
}

/// The paths in a data folder.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) cluster: PathBuf,
    pub(crate) redis: PathBuf,
    pub(crate) sockets: PathBuf,
}

impl Layout {
    /// Makes what is missing. The data folders are closed to everybody but the account; the root lets it pass.
    pub(crate) fn create(data_dir: &Path, account: &Account) -> Result<Self> {
        let what = "cannot make the folder";
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { what, path, source }
        };
        if let Some(parent) = data_dir.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        make_folder(data_dir, 0o711).map_err(failed(data_dir))?;
        let root = fs::canonicalize(data_dir).map_err(failed(data_dir))?;
        account.check_passable(&root)?;
        let mut sockets = root.join("run");
        if sockets.as_os_str().len() > SOCKET_FOLDER_BYTES_MAX {
            sockets = PathBuf::from(format!("/tmp/orchestrator-{}", short_hash(&root)));
        }
        let layout = Self { cluster: root.join("postgres"), redis: root.join("redis"), sockets, root };
        for folder in [&layout.redis, &layout.sockets] {
            if make_folder(folder, 0o700).map_err(failed(folder))? {
                account.own(folder).map_err(failed(folder))?;
            }
        }
        Ok(layout)
    }

    pub(crate) fn redis_socket(&self) -> PathBuf {
        self.sockets.join("redis.sock")
    }

    pub(crate) fn not_ready(&self, program: &'static str, log: &str) -> Error {
        let log = self.root.join(log);
        Error::NotReady { program, limit_s: START_LIMIT.as_secs(), tail: tail(&log), log }
    }
}

/// True if the folder is new. A link in its place is refused, since a stranger could have laid it in `/tmp`.
fn make_folder(path: &Path, mode: u32) -> io::Result<bool> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let status = fs::symlink_metadata(path)?;
            let open = status.mode() & 0o022 != 0 && path.starts_with("/tmp/");
            if mode == 0o700 && (!status.is_dir() || open) { Err(error) } else { Ok(false) }
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_folder_wins_over_all() {
        assert_eq!(choose(Path::new("/p"), Some("/srv/d".into()), true), Path::new("/srv/d"));
    }

    #[test]
    fn a_user_keeps_data_in_the_project_and_root_outside_of_it() {
        assert_eq!(choose(Path::new("/p"), None, false), Path::new("/p/data"));
        let a = choose(Path::new("/p"), None, true);
        assert!(a.starts_with("/var/lib"), "{a:?}");
        assert_ne!(a, choose(Path::new("/q"), None, true));
    }

    #[test]
    fn a_file_named_data_points_to_the_folder() {
        let project = env::temp_dir().join(format!("orchestrator-pointer-{}", std::process::id()));
        fs::create_dir_all(&project).expect("a folder in the temporary folder");
        fs::write(project.join("data"), "/srv/elsewhere\n").expect("our own folder");
        let chosen = choose(&project, None, true);
        fs::remove_dir_all(&project).expect("our own folder");
        assert_eq!(chosen, Path::new("/srv/elsewhere"));
    }
}
