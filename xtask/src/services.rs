//! A command with a Postgres and a Redis of its own, which are gone afterwards.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, ExitCode},
};

use embedded::{DATABASE, Durability, Services};

use crate::{Result, root};

/// Runs `command` with `DATABASE_URL` and `REDIS_URL` set, and returns its exit code.
pub(crate) fn run(command: &[&str]) -> Result<ExitCode> {
    let services = Temporary::start()?;
    let status = Command::new(command[0])
        .args(&command[1..])
        .env("DATABASE_URL", services.services().database_url(DATABASE))
        .env("REDIS_URL", services.services().redis_url())
        .status()
        .map_err(|error| format!("cannot start `{}`: {error}", command[0]))?;
    // A command that was killed has no code.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Services in a folder that goes when they go.
pub(crate) struct Temporary {
    services: Option<Services>,
    folder: PathBuf,
}

impl Temporary {
    pub(crate) fn start() -> Result<Self> {
        let parent = parent();
        fs::create_dir_all(&parent)?;
        remove_abandoned(&parent);
        let folder = parent.join(format!("{PREFIX}{}", process::id()));
        let services = Services::start_with(&folder, Durability::Throwaway)?;
        Ok(Self { services: Some(services), folder })
    }

    pub(crate) fn services(&self) -> &Services {
        self.services.as_ref().expect("they are there until drop")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(self.services.take());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const PREFIX: &str = "orchestrator-services-";

/// Root's servers run as another user, who could not enter a project in root's home.
fn parent() -> PathBuf {
    let root_user = fs::metadata("/proc/self").is_ok_and(|status| std::os::unix::fs::MetadataExt::uid(&status) == 0);
    if root_user { env::temp_dir() } else { root().join("target/tmp") }
}

/// Removes the folders of processes that were killed before they could do it.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
