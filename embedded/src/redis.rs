//! Redis: the binary, the settings, and whether it answers.

use std::{
    env,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    Durability, Error, Result,
    account::Account,
    child::{self, clean},
    data_dir::Layout,
};

/// SIGTERM writes the append-only file out and ends.
const STOP: [(Signal, Duration); 2] = [(Signal::TERM, Duration::from_secs(15)), (Signal::KILL, Duration::from_secs(5))];

#[derive(Clone, Debug)]
pub(crate) struct Redis {
    program: PathBuf,
    layout: Layout,
    account: Account,
    durability: Durability,
}

impl Redis {
    pub(crate) fn find(layout: &Layout, account: &Account, durability: Durability) -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let program = env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|program| program.exists());
        let program =
            program.ok_or_else(|| Error::NotInstalled { program: "Redis", package: "redis-server".into(), setting: "REDIS_URL" })?;
        Ok(Self { program, layout: layout.clone(), account: account.clone(), durability })
    }

    /// Starts the server; see [`child::spawn`] for the thread to call it from.
    pub(crate) fn spawn(&self) -> std::io::Result<Child> {
        let mut command = clean(&self.program);
        command.args(["--port", "0", "--daemonize", "no", "--save", "", "--unixsocketperm", "700", "--maxmemory-policy", "noeviction"]);
        match self.durability {
            Durability::Durable => command.args(["--appendonly", "yes", "--appendfsync", "everysec"]),
            Durability::Throwaway => command.args(["--appendonly", "no"]),
        };
        command.arg("--dir").arg(&self.layout.redis).arg("--pidfile").arg(self.pid_file());
        command.arg("--unixsocket").arg(self.layout.redis_socket());
        self.account.apply(&mut command);
        child::spawn(&mut command, &self.layout.root.join("redis.log"), Signal::TERM)
    }

    /// Has loaded its data and answers now.
    pub(crate) fn is_ready(&self) -> bool {
        is_ready(&self.layout.redis_socket())
    }

    pub(crate) fn stop(child: &mut Child) {
        child::stop(child, &STOP);
    }

    pub(crate) fn end_orphan(&self) {
        child::end_orphan(&self.pid_file(), &self.layout.redis, STOP[0].0, STOP[0].1);
    }

    pub(crate) fn not_ready(&self) -> Error {
        self.layout.not_ready("Redis", "redis.log")
    }

    fn pid_file(&self) -> PathBuf {
        self.layout.redis.join("redis.pid")
    }
}

pub(crate) fn is_ready(socket: &Path) -> bool {
    ping(socket).is_ok_and(|answer| answer.starts_with(b"+PONG"))
}

fn ping(socket: &Path) -> std::io::Result<[u8; 5]> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
