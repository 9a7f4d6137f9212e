//! What the operating system accounts: the CPU time of this process's children, by the name of their program.

use std::{fs, process};

use rustix::process::{Pid, Signal, kill_process};

/// Linux counts CPU time in hundredths of a second for every program that asks `/proc`.
const TICKS_PER_SECOND: f64 = 100.0;

struct Stat {
    id: u32,
    name: String,
    parent: u32,
    ticks: u64,
    /// Of children that have ended.
    ended_ticks: u64,
}

fn read_stat(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // the name stands in parentheses and may hold anything, even parentheses
    let (head, tail) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        id,
        name,
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)?,
        ended_ticks: number(13)? + number(14)?,
    })
}

fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| read_stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The child of this process that runs a program, such as `postgres` or `redis-server`.
pub fn child(program: &str) -> Option<u32> {
    all().into_iter().find(|stat| stat.parent == process::id() && stat.name == program).map(|stat| stat.id)
}

/// Seconds of CPU time that a process and all its children have used until now, those that have ended included.
pub fn cpu_seconds(id: u32) -> f64 {
    let stats = all();
    let own: u64 = stats.iter().filter(|stat| stat.id == id).map(|stat| stat.ticks + stat.ended_ticks).sum();
    let children: u64 = stats.iter().filter(|stat| stat.parent == id).map(|stat| stat.ticks + stat.ended_ticks).sum();
    (own + children) as f64 / TICKS_PER_SECOND
}

/// `kill -9` for a process.
///
/// # Errors
/// There is no such process, or it is not ours.
pub fn kill(id: u32) -> std::io::Result<()> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| std::io::Error::other(format!("{id} is no process id")))?;
    Ok(kill_process(id, Signal::KILL)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read_and_has_used_some_time() {
        let stat = read_stat(process::id());
        assert!(stat.is_some_and(|stat| stat.parent > 0 && !stat.name.is_empty()));
        assert!(read_stat(u32::MAX).is_none());
    }
}
