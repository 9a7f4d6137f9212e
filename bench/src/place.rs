//! A place to measure in: a private Postgres and Redis in a temporary folder, and the server under test on a free port.

use std::{
    fs,
    net::TcpListener,
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chrono::Utc;
use domain::PartnerId;
use embedded::Services;
use engine::{
    Engine, Settings,
    secret::{Keys, master_key},
    simulation::{self, NewSite, PlantedLink},
};

use crate::Result;

/// Where the installation's keys come from in all runs: nothing of it outlives them.
const MASTER_KEY: &str = "5f1d36f1669f24bb4fc1b8a4a3a4a60f6a44cdb8e5b9a1e1b8d4b7a7e1c3f209";

/// A server that takes longer than this does not start.
const START_LIMIT: Duration = Duration::from_secs(30);

pub struct Place {
    pub server: PathBuf,
    folder: PathBuf,
    /// Present until the place is left.
    services: Option<Services>,
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.services.take());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Place {
    /// Starts the services, with the durability that they have in production. `server` is the program under test.
    ///
    /// # Errors
    /// The program is not there, or a service does not start.
    pub fn start(name: &str, server: PathBuf) -> Result<Self> {
        let server = fs::canonicalize(&server).map_err(|error| format!("{}: {error}; build it first", server.display()))?;
        let folder = std::env::temp_dir().join(format!("orchestrator-{name}-{}", std::process::id()));
        let services = Services::start(&folder)?;
        Ok(Self { server, folder, services: Some(services) })
    }

    fn services(&self) -> &Services {
        self.services.as_ref().expect("the services run until the place is left")
    }

    pub fn database_url(&self, database: &str) -> String {
        self.services().database_url(database)
    }

    pub fn redis_url(&self) -> String {
        self.services().redis_url()
    }

    /// The folder of Postgres' socket.
    pub fn sockets(&self) -> Result<String> {
        let url = url::Url::parse(&self.database_url(embedded::DATABASE))?;
        let host = url.query_pairs().find(|(name, _)| name == "host").ok_or("the database's URL names no host")?;
        Ok(host.1.into_owned())
    }

    pub fn create_database(&self, name: &str) -> Result<()> {
        Ok(self.services().create_database(name)?)
    }

    /// An engine on the same data as the server, migrated and with the project's partners.
    pub async fn engine(&self) -> Result<Engine> {
        let settings =
            Settings { database_url: self.database_url(embedded::DATABASE), redis_url: self.redis_url(), database_connections: 4 };
        let keys = Keys::from_master(&master_key(Some(MASTER_KEY), &self.folder)?);
        let engine = Engine::connect(&settings, keys).await?;
        engine::MIGRATOR.run(&engine.db).await?;
        engine::partner::import_files(&engine, &project_folder().join("partners")).await?;
        Ok(engine)
    }

    /// The program under test on this place's data, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.server);
        command
            .args(arguments)
            .current_dir(project_folder())
            .env("ORCHESTRATOR_DATA", &self.folder)
            .env("ORCHESTRATOR_MASTER_KEY", MASTER_KEY)
            .env("ORCHESTRATOR_LOG", "error")
            .env("DATABASE_URL", self.database_url(embedded::DATABASE))
            .env("REDIS_URL", self.redis_url());
        command
    }

    /// Starts the server under test and waits until it answers.
    pub async fn serve(&self, address: &str) -> Result<Process> {
        let mut command = self.command(&["serve"]);
        command.env("ORCHESTRATOR_LISTEN", address);
        Process::start(command, address, "/healthz").await
    }
}

/// The folder of the workspace.
pub fn project_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Sites of a developer each, with a link to each of the partners.
///
/// # Errors
/// The database is away, or two codes are equal by chance.
pub async fn plant(engine: &Engine, sites: Range<usize>) -> Result<Vec<PlantedLink>> {
    let partners = engine::partner::list_active(&mut *engine.db.acquire().await?).await?;
    let partner_ids: Vec<PartnerId> = partners.into_iter().map(|partner| partner.partner_id).collect();
    let site = |number| NewSite {
        user_ref: format!("bench-{number}"),
        name: format!("Bench {number}"),
        url: None,
        analysis: None,
        created_at: Utc::now(),
    };
    Ok(simulation::plant(engine, &sites.map(site).collect::<Vec<_>>(), &partner_ids).await?)
}

/// A server that ends when this value goes.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a program and does not wait for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        Ok(Self { child: command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()? })
    }

    /// Starts a program and waits until `path` of `address` is answered.
    pub async fn start(mut command: Command, address: &str, path: &str) -> Result<Self> {
        let mut process = Self::spawn(&mut command)?;
        let end = Instant::now() + START_LIMIT;
        let url = format!("http://{address}{path}");
        // a redirect is an answer; nothing outside of this machine is asked
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        while Instant::now() < end {
            if http.get(&url).send().await.is_ok() {
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("{command:?} ended: {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("{command:?} does not answer").into())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address of loopback that nobody listens on at the moment.
pub fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Between two looks at whether something has come about.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until a condition holds.
///
/// # Errors
/// It does not within `patience`.
pub async fn await_that(what: &str, patience: Duration, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if holds().await? {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(format!("waited {} s in vain until {what}", patience.as_secs()).into())
}
