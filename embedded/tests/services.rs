//! Starts the real servers in temporary folders.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    io::{Read, Write},
    os::unix::{net::UnixStream, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use embedded::{DATABASE, Durability, Error, Services};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orchestrator-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn start(&self) -> Services {
        Services::start_with(&self.0, Durability::Throwaway).unwrap()
    }

    fn postgres_pid(&self) -> String {
        fs::read_to_string(self.0.join("postgres/postmaster.pid")).unwrap().lines().next().unwrap().to_owned()
    }

    fn redis_pid(&self) -> String {
        fs::read_to_string(self.0.join("redis/redis.pid")).unwrap().trim().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sql(services: &Services, database: &str, text: &str) -> Result<(), Error> {
    let file = services.data_dir().join("test.sql");
    fs::write(&file, text).unwrap();
    services.run_sql_file(database, &file)
}

/// Sends one inline command and returns the answer's first line.
fn redis(services: &Services, command: &str) -> String {
    let mut stream = UnixStream::connect(services.redis_url().strip_prefix("redis+unix://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 512];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).trim().to_owned()
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not happen within 20 s");
        thread::yield_now();
    }
}

fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[test]
fn a_second_start_finds_the_data_of_the_first() {
    let folder = Folder::new("restart");
    assert!(!Services::are_installed(&folder.0));
    let services = folder.start();
    assert!(Services::are_installed(&folder.0));
    assert!(services.is_owner());
    sql(&services, DATABASE, "create table kept (n int); insert into kept values (7);").unwrap();
    let (postgres, cache) = (folder.postgres_pid(), folder.redis_pid());
    services.stop();
    assert!(!is_alive(&postgres) && !is_alive(&cache), "both servers have ended when stop returns");

    let services = folder.start();
    sql(&services, DATABASE, "do $$ begin assert (select n from kept) = 7; end $$;").unwrap();
}

#[test]
fn durable_services_force_every_commit_and_write_to_the_disk() {
    let folder = Folder::new("durable");
    let services = Services::start(&folder.0).unwrap();
    let check = "do $$ begin assert current_setting('fsync') = 'on' and current_setting('synchronous_commit') = 'on'
        and current_setting('full_page_writes') = 'on' and current_setting('listen_addresses') = ''; end $$;";
    sql(&services, DATABASE, check).unwrap();
    assert!(redis(&services, "CONFIG GET appendonly").ends_with("yes"));
    assert!(redis(&services, "CONFIG GET appendfsync").ends_with("everysec"));
    assert!(redis(&services, "CONFIG GET maxmemory-policy").ends_with("noeviction"));
    assert!(redis(&services, "CONFIG GET port").ends_with('0'));
}

#[test]
fn killed_servers_come_back_by_themselves_with_what_was_committed() {
    let folder = Folder::new("killed");
    let services = Services::start(&folder.0).unwrap();
    sql(&services, DATABASE, "create table kept (n int); insert into kept values (7);").unwrap();
    let (postgres, cache) = (folder.postgres_pid(), folder.redis_pid());
    let killed = Command::new("kill").args(["-9", &postgres, &cache]).status().unwrap();
    assert!(killed.success());
    eventually("the restart of Postgres", || sql(&services, DATABASE, "do $$ begin assert (select n from kept) = 7; end $$;").is_ok());
    eventually("the restart of Redis", || folder.redis_pid() != cache);
    eventually("an answer of Redis", || UnixStream::connect(services.redis_url().strip_prefix("redis+unix://").unwrap()).is_ok());
    assert_ne!(folder.postgres_pid(), postgres);
}

#[test]
fn a_second_process_attaches_and_leaves_the_servers_running() {
    let folder = Folder::new("attach");
    let services = folder.start();
    // A lock belongs to an open file, so that a second value stands for a second process.
    let second = folder.start();
    assert!(!second.is_owner());
    assert_eq!(second.database_url("x"), services.database_url("x"));
    second.stop();
    sql(&services, DATABASE, "select 1;").unwrap();
}

#[test]
fn an_attached_process_takes_over_when_the_owner_ends() {
    let folder = Folder::new("take-over");
    let first = folder.start();
    let second = folder.start();
    sql(&first, DATABASE, "create table kept (n int); insert into kept values (7);").unwrap();
    first.stop();
    eventually("the take-over", || second.is_owner());
    sql(&second, DATABASE, "do $$ begin assert (select n from kept) = 7; end $$;").unwrap();
    assert_eq!(redis(&second, "PING"), "+PONG");
    let postgres = folder.postgres_pid();
    second.stop();
    assert!(!is_alive(&postgres), "it stops what it has taken over");
}

#[test]
fn the_servers_of_a_killed_process_end_and_the_next_start_succeeds() {
    let folder = Folder::new("orphans");
    // This very test binary as another process: it starts the services and waits to be killed.
    let this = std::env::current_exe().unwrap();
    let mut other = Command::new(this).args(["--ignored", "--exact", "start_and_wait"]).env("FOLDER", &folder.0).spawn().unwrap();
    eventually("the start in the other process", || folder.0.join("started").exists());
    let (postgres, cache) = (folder.postgres_pid(), folder.redis_pid());
    other.kill().unwrap();
    assert_eq!(other.wait().unwrap().signal(), Some(9));

    let services = folder.start();
    assert!(services.is_owner());
    assert!(!is_alive(&postgres) && !is_alive(&cache), "the old servers have ended");
    assert_eq!(redis(&services, "PING"), "+PONG");
}

#[test]
#[ignore = "a part of the test above, run in a process of its own"]
fn start_and_wait() {
    let Some(folder) = std::env::var_os("FOLDER") else { return };
    let folder = Path::new(&folder);
    let services = Services::start_with(folder, Durability::Throwaway).unwrap();
    fs::write(folder.join("started"), "").unwrap();
    loop {
        thread::park();
        drop(services.database_url("x"));
    }
}

#[test]
fn a_database_name_that_would_need_quoting_is_refused() {
    let folder = Folder::new("names");
    let services = folder.start();
    services.create_database("another_1").unwrap();
    services.create_database("another_1").unwrap();
    for name in ["", "a b", "a\"; drop database orchestrator; --", "Ü", &"x".repeat(64)] {
        assert!(matches!(services.create_database(name), Err(Error::DatabaseName(_))), "{name}");
    }
}

#[test]
fn a_broken_statement_is_reported_with_its_line_and_undone() {
    let folder = Folder::new("statement");
    let services = folder.start();
    let error = sql(&services, DATABASE, "create table half (n int);\nselect nonsense;\n").unwrap_err().to_string();
    assert!(error.contains("test.sql:2") && error.contains("nonsense"), "{error}");
    assert!(sql(&services, DATABASE, "select * from half;").is_err());
}

#[test]
fn a_long_path_still_gives_short_sockets() {
    let folder = Folder::new(&"long-".repeat(20));
    let services = folder.start();
    assert_eq!(redis(&services, "PING"), "+PONG");
    let sockets = Path::new(services.redis_url().strip_prefix("redis+unix://").unwrap()).parent().unwrap().to_owned();
    services.stop();
    let _ = fs::remove_dir(&sockets);
}

#[test]
fn a_cluster_of_a_version_that_is_not_installed_names_its_package() {
    let folder = Folder::new("damaged");
    folder.start().stop();
    fs::write(folder.0.join("postgres/PG_VERSION"), "3\n").unwrap();
    let error = Services::start(&folder.0).unwrap_err().to_string();
    assert!(error.contains("postgresql-3"), "{error}");
}
