//! Running `wrk` and reading what it prints.

use std::time::Duration;

use tokio::process::Command;

use crate::Result;

const BROWSER: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    pub requests: u64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Answers of status 400 and above, and requests without any.
    pub errors: u64,
}

/// Loads a URL from `connections` connections of browsers without cookies. The generator stays on the last core: it has one thread, which
/// the kernel would else move between the cores, often onto that of the server that wakes it, so that runs differ by a third.
///
/// # Errors
/// `taskset` or `wrk` is not installed, or `wrk` prints something else than usual.
pub async fn run(url: &str, connections: usize, seconds: u64) -> Result<Load> {
    let status = tokio::fs::read_to_string("/proc/self/status").await?;
    let last_core = last_core(&status).ok_or("/proc/self/status names no core that this process may use")?;
    let mut command = Command::new("taskset");
    command.args(["-c", &last_core.to_string(), "wrk"]);
    command.args(["-t1", "--latency", &format!("-c{connections}"), &format!("-d{seconds}s"), "-H", &format!("User-Agent: {BROWSER}"), url]);
    let output = tokio::time::timeout(Duration::from_secs(seconds + 30), command.output()).await?;
    let output = output.map_err(|error| format!("taskset: {error}; install the Debian packages `util-linux` and `wrk`"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("wrk printed: {text} {errors} (if there is no wrk, install the Debian package `wrk`)").into()
    })
}

/// The last core that a process may use, by its `/proc/…/status`. Those of its container need not be the first ones of the machine.
fn last_core(status: &str) -> Option<u32> {
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    allowed.rsplit([',', '-']).next()?.trim().parse().ok()
}

fn parse(text: &str) -> Option<Load> {
    let after = |label: &str| text.lines().find_map(|line| Some(line.trim().strip_prefix(label)?.trim()));
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let count = |text: &str| text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u64>().ok()).sum::<u64>();
    let errors = after("Non-2xx or 3xx responses:").map_or(0, count) + after("Socket errors:").map_or(0, count);
    Some(Load {
        requests,
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50_ms: milliseconds(after("50%")?)?,
        p99_ms: milliseconds(after("99%")?)?,
        errors,
    })
}

/// Reads `812.00us`, `5.21ms` or `1.02s`.
fn milliseconds(text: &str) -> Option<f64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..unit_at].parse().ok()?;
    match &text[unit_at..] {
        "us" => Some(number / 1000.0),
        "ms" => Some(number),
        "s" => Some(number * 1000.0),
        "m" => Some(number * 60_000.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "Running 10s test @ http://127.0.0.1:1/\n  Latency Distribution\n     50%    5.21ms\n     75%    6.00ms\n     90%    7.00ms\n     99%  812.00us\n  52180 requests in 10.01s, 17.02MB read\n  Socket errors: connect 0, read 1, write 2, timeout 0\n  Non-2xx or 3xx responses: 7\nRequests/sec:   5212.79\nTransfer/sec:      1.70MB\n";
        assert_eq!(parse(text), Some(Load { requests: 52_180, per_second: 5212.79, p50_ms: 5.21, p99_ms: 0.812, errors: 10 }));
    }

    #[test]
    fn the_last_core_is_one_that_may_be_used() {
        assert_eq!(last_core("Cpus_allowed:\t74\nCpus_allowed_list:\t2,4-6\nMems_allowed:\t1\n"), Some(6));
        assert_eq!(last_core("Cpus_allowed_list:\t3\n"), Some(3));
        assert_eq!(last_core("Name:\tbench\n"), None);
    }

    #[test]
    fn other_output_is_refused() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused"), None);
        assert_eq!(milliseconds("5 parsecs"), None);
    }
}
