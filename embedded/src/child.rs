//! Child processes that never outlive this one.

use std::{
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use crate::{Error, Result};

/// A log longer than this is put aside when its server starts.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// Waits for a condition, looking every 20 ms; false if it did not come true in time.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A command that sees nothing of this process's environment, which may hold secrets or settings such as `PGDATA`.
pub(crate) fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8").current_dir("/").stdin(Stdio::null());
    command
}

/// Starts a server that writes to `log`. It gets `death` when the calling *thread* ends, so call it from one that lives as long as the server
/// shall. It leads a process group of its own: a Ctrl-C in the terminal must not stop it before those who still use it.
pub(crate) fn spawn(command: &mut Command, log: &Path, death: Signal) -> io::Result<Child> {
    if fs::metadata(log).is_ok_and(|status| status.len() > LOG_BYTES_MAX) {
        fs::rename(log, log.with_extension("log.old"))?;
    }
    let output = File::options().create(true).append(true).open(log)?;
    command.stdout(output.try_clone()?).stderr(output).process_group(0);
    let parent = rustix::process::getpid();
    let prepare = move || {
        rustix::process::set_parent_process_death_signal(Some(death))?;
        // The parent may have died before the line above.
        if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
    };
    #[expect(unsafe_code, reason = "nothing but two system calls happens between fork and exec, no allocation, no lock")]
    unsafe {
        command.pre_exec(prepare);
    }
    command.spawn()
}

/// Sends each signal in turn and waits that long for the end of the child.
pub(crate) fn stop(child: &mut Child, steps: &[(Signal, Duration)]) {
    for (signal, limit) in steps {
        let _ = rustix::process::kill_process(Pid::from_child(child), *signal);
        if wait_until(*limit, || matches!(child.try_wait(), Ok(Some(_)) | Err(_))) {
            return;
        }
    }
}

/// Ends a server that an earlier process left behind: the one named by the first line of `pid_file`, if it works in `folder`.
/// A file that names some other process, as after a restart of the machine, is removed.
pub(crate) fn end_orphan(pid_file: &Path, folder: &Path, signal: Signal, limit: Duration) {
    let Ok(text) = fs::read_to_string(pid_file) else { return };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw) else { return };
    let alive = || rustix::process::test_kill_process(pid).is_ok();
    if !alive() {
        return; // The server itself clears away the file of a dead one.
    }
    if fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|cwd| cwd == folder) {
        let _ = rustix::process::kill_process(pid, signal);
        wait_until(limit, || !alive());
    } else {
        let _ = fs::remove_file(pid_file);
    }
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = match command.output() {
        Ok(output) if output.status.success() => return Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::Command { command: format!("{command:?}"), output })
}
