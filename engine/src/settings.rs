//! What an installation can set. The binary reads it from the environment; nothing here does.

/// How to reach the services.
#[derive(Clone, Debug)]
pub struct Settings {
    pub database_url: String,
    pub redis_url: String,
    /// Connections for everything but clicks, which have their own.
    pub database_connections: u32,
}
