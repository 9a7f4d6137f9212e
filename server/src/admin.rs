//! What operators do on the command line: people, tokens, secrets, sites.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use domain::{
    ApiTokenId, PartnerId,
    auth::{Principal, Role},
    partner::SecretPurpose,
};
use engine::{
    Engine,
    api_token::{self, SCOPES},
    secret::new_token,
};
use serde_json::json;

use crate::settings::variable;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Subcommand)]
pub enum SitesCommand {
    /// Analyse a project folder and register its site; prints the site, its referral codes and the embed line as JSON
    Add {
        #[arg(long)]
        path: PathBuf,
        #[arg(long)]
        name: String,
        /// Your own id of the developer whose project it is
        #[arg(long)]
        user_ref: String,
        #[arg(long)]
        url: Option<String>,
    },
}

#[derive(Subcommand)]
pub enum SecretCommand {
    /// Make a secret for a partner and print it, once; the one before stays valid for a rotation
    New {
        partner: PartnerId,
        #[arg(long, default_value = "webhook")]
        purpose: Purpose,
    },
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make an API token and print it, once
    Create {
        name: String,
        /// What it may do; may be given several times
        #[arg(long = "scope", required = true, value_parser = SCOPES)]
        scopes: Vec<String>,
        /// For a partner's server: the token speaks for this partner alone; without, it is for a service of ours and speaks for all
        #[arg(long)]
        partner: Option<PartnerId>,
    },
    /// List all tokens with their ids, the newest first
    List,
    /// End a token at once
    Revoke { id: ApiTokenId },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Purpose {
    Webhook,
    Postback,
}

impl From<Purpose> for SecretPurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Webhook => Self::Webhook,
            Purpose::Postback => Self::Postback,
        }
    }
}

pub async fn sites(engine: &Engine, command: SitesCommand) -> Result<()> {
    let SitesCommand::Add { path, name, user_ref, url } = command;
    let analysis = engine::analysis::analyze_path(&path)?;
    let new = engine::site::NewSite { name, url, user_ref, analysis };
    let site = engine::site::create(engine, &Principal::CommandLine, new).await?;
    println!("{}", serde_json::to_string_pretty(&site)?);
    Ok(())
}

pub async fn secret(engine: &Engine, command: SecretCommand) -> Result<()> {
    let SecretCommand::New { partner, purpose } = command;
    println!("{}", engine::partner::set_secret(engine, &Principal::CommandLine, &partner, purpose.into(), None).await?);
    Ok(())
}

pub async fn create_operator(engine: &Engine, email: &str, role: Role) -> Result<()> {
    let (password, made) = match variable("ORCHESTRATOR_ADMIN_PASSWORD") {
        Some(password) => (password, false),
        None => (new_token(""), true),
    };
    engine::operator::create(engine, email, &password, role).await?;
    if made {
        println!("{}", json!({ "email": email, "password": password }));
    }
    Ok(())
}

pub async fn token(engine: &Engine, command: TokenCommand) -> Result<()> {
    let who = Principal::CommandLine;
    match command {
        TokenCommand::Create { name, scopes, partner } => {
            println!("{}", api_token::create(engine, &who, &name, &scopes, partner.as_ref()).await?);
        }
        TokenCommand::List => api_token::list(engine, &who).await?.iter().for_each(print_token),
        TokenCommand::Revoke { id } => {
            api_token::revoke(engine, &who, id).await?;
            println!("token {id} is revoked");
        }
    }
    Ok(())
}

fn print_token(token: &api_token::Listed) {
    let partner = token.partner_id.as_ref().map_or("all partners", PartnerId::as_str);
    let made = token.created_at.format("%Y-%m-%d");
    let ended = token.revoked_at.map(|at| format!(", revoked {}", at.format("%Y-%m-%d"))).unwrap_or_default();
    println!("{}  {} for {partner}: {}; made {made}{ended}", token.api_token_id, token.name, token.scopes.join(", "));
}

/// Makes the first person who may sign in, unless there is one, and says how to sign in.
///
/// A password that is made here is kept in `first-sign-in.txt` in the data folder, which only its owner may read.
pub async fn first_operator(engine: &Engine, data_dir: &Path) -> Result<String> {
    let file = data_dir.join("first-sign-in.txt");
    let email = variable("ORCHESTRATOR_ADMIN_EMAIL").unwrap_or_else(|| "owner@example.com".to_owned());
    let password = variable("ORCHESTRATOR_ADMIN_PASSWORD");
    if engine::operator::count(engine).await? > 0 {
        return Ok(if file.exists() { format!("see {}", file.display()) } else { "as before".to_owned() });
    }
    let made = password.is_none();
    let password = password.unwrap_or_else(|| new_token(""));
    engine::operator::create(engine, &email, &password, Role::Owner).await?;
    if !made {
        return Ok(format!("{email}, with the password of ORCHESTRATOR_ADMIN_PASSWORD"));
    }
    write_private(&file, &format!("e-mail    {email}\npassword  {password}\n"))?;
    Ok(format!("{email}  {password}   (kept in {})", file.display()))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
