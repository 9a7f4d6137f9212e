//! The installation's settings, from the environment, and its services.

use std::path::{Path, PathBuf};

use engine::{
    Engine, Settings,
    secret::{Keys, master_key},
};

use crate::peer::TrustedProxies;

/// Where the services are, and the handle of those that this process runs itself.
pub struct Installation {
    pub settings: Settings,
    pub data_dir: PathBuf,
    pub keys: Keys,
    /// Stopped when the installation goes.
    services: Option<embedded::Services>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{key} is set without {other}: set both, or none to use the private services")]
    Half { key: &'static str, other: &'static str },
    #[error("{key}: `{value}` {expected}")]
    Invalid { key: &'static str, value: String, expected: &'static str },
    #[error("there is no installation in `{}`: go to the project's folder, or set ORCHESTRATOR_DATA to where it is", .0.display())]
    NotInstalled(PathBuf),
}

impl Installation {
    /// Uses `DATABASE_URL` and `REDIS_URL` if they are set, else starts (or joins) a private Postgres and Redis. Only who `may_begin` makes
    /// new ones: whoever asks about the books in the wrong folder must not be told that empty ones are sound.
    ///
    /// # Errors
    /// Names the setting or the program that is missing, or the folder that holds no installation.
    pub fn find(may_begin: bool) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let data_dir = embedded::default_data_dir(&std::env::current_dir()?);
        let database_connections = number("ORCHESTRATOR_DATABASE_CONNECTIONS", 16)?;
        let (settings, services) = match (variable("DATABASE_URL"), variable("REDIS_URL")) {
            (Some(database_url), Some(redis_url)) => {
                std::fs::create_dir_all(&data_dir)?;
                (Settings { database_url, redis_url, database_connections }, None)
            }
            (Some(_), None) => return Err(SettingsError::Half { key: "DATABASE_URL", other: "REDIS_URL" }.into()),
            (None, Some(_)) => return Err(SettingsError::Half { key: "REDIS_URL", other: "DATABASE_URL" }.into()),
            (None, None) if !may_begin && !embedded::Services::are_installed(&data_dir) => {
                return Err(SettingsError::NotInstalled(data_dir).into());
            }
            (None, None) => {
                let services = embedded::Services::start(&data_dir)?;
                let settings = Settings {
                    database_url: services.database_url(embedded::DATABASE),
                    redis_url: services.redis_url(),
                    database_connections,
                };
                (settings, Some(services))
            }
        };
        let master = master_key(variable("ORCHESTRATOR_MASTER_KEY").as_deref(), &data_dir)?;
        Ok(Self { settings, data_dir, keys: Keys::from_master(&master), services })
    }

    pub async fn connect(&self) -> engine::Result<Engine> {
        Engine::connect(&self.settings, self.keys.clone()).await
    }

    /// An engine that connects once something is asked of Postgres or Redis.
    pub fn connect_later(&self) -> engine::Result<Engine> {
        Engine::connect_later(&self.settings, self.keys.clone())
    }

    /// Whether this process started the private services.
    pub fn runs_services(&self) -> bool {
        self.services.is_some()
    }
}

/// A variable of the environment; an empty one counts as not set.
pub fn variable(key: &str) -> Option<String> {
    std::env::var(key).ok().filter(|value| !value.is_empty())
}

fn number(key: &'static str, default: u32) -> Result<u32, SettingsError> {
    let Some(value) = variable(key) else { return Ok(default) };
    value.parse().ok().filter(|number| *number > 0).ok_or(SettingsError::Invalid { key, value, expected: "is not a whole number above 0" })
}

/// The proxies whose word on their visitors' addresses is taken.
pub fn trusted_proxies() -> Result<TrustedProxies, SettingsError> {
    let key = "ORCHESTRATOR_TRUSTED_PROXIES";
    let value = variable(key).unwrap_or_default();
    value.parse().map_err(|_| SettingsError::Invalid {
        key,
        value,
        expected: "is not a list of addresses or networks, such as `10.0.0.0/8,192.0.2.1`",
    })
}

/// The folder of the web site's files: beside the binary's build, or where `ORCHESTRATOR_SITE` says.
pub fn site_root() -> String {
    variable("ORCHESTRATOR_SITE").unwrap_or_else(|| {
        let beside_binary = std::env::current_exe().ok().and_then(|binary| Some(binary.parent()?.parent()?.join("site")));
        beside_binary.filter(|folder| folder.is_dir()).unwrap_or_else(|| Path::new("target/site").to_owned()).display().to_string()
    })
}
