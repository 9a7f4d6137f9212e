//! What operators do on the command line: people, tokens, secrets, sites.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use domain::{
    ApiTokenId, PartnerId, PartnerSecretId, SiteId,
    auth::{Principal, Role},
    partner::{PartnerSecret, SecretPurpose},
};
use engine::{
    Engine,
    api_token::{self, SCOPES},
    operator::{self, NewOperator},
    secret::new_token,
};
use serde_json::json;

use crate::settings::variable;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Subcommand)]
pub enum SitesCommand {
    /// Analyse a project folder and register its site; prints the site with its analysis and referral codes as JSON
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
    /// Analyse the project of a registered site again, and print the site as JSON; its id, links and history stay
    #[command(alias = "analyze")]
    Analyse {
        #[arg(long)]
        site: SiteId,
        #[arg(long)]
        path: PathBuf,
    },
}

#[derive(Subcommand)]
pub enum SecretCommand {
    /// Make a secret for a partner and print it, once; the one before stays valid for a rotation, and a third waits until one is revoked
    New {
        partner: PartnerId,
        #[arg(long, default_value = "webhook")]
        purpose: Purpose,
    },
    /// List a partner's secrets with their ids, the newest first
    List { partner: PartnerId },
    /// End a secret: what is signed with it is refused within 10 s
    Revoke { partner: PartnerId, id: PartnerSecretId },
}

#[derive(Subcommand)]
pub enum AdminCommand {
    /// Add a person who may sign in; the password is read from ORCHESTRATOR_ADMIN_PASSWORD, or made and printed
    Create {
        email: String,
        /// analyst reads, operator changes, owner also manages people
        #[arg(long, default_value = "operator")]
        role: Role,
    },
    /// List everyone who may sign in
    List,
    /// Give somebody another password, from ORCHESTRATOR_ADMIN_PASSWORD or made and printed, and sign them out everywhere
    SetPassword { email: String },
    /// Change what somebody may do: analyst, operator or owner
    SetRole { email: String, role: Role },
    /// Remove somebody and sign them out everywhere
    Remove { email: String },
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
    let who = Principal::CommandLine;
    let site = match command {
        SitesCommand::Add { path, name, user_ref, url } => {
            let analysis = engine::analysis::analyze_path(&path)?;
            engine::site::create(engine, &who, engine::site::NewSite { name, url, user_ref, analysis }).await?
        }
        SitesCommand::Analyse { site, path } => engine::site::analyse(engine, &who, site, &engine::analysis::analyze_path(&path)?).await?,
    };
    println!("{}", serde_json::to_string_pretty(&site)?);
    Ok(())
}

pub async fn secret(engine: &Engine, command: SecretCommand) -> Result<()> {
    let who = Principal::CommandLine;
    match command {
        SecretCommand::New { partner, purpose } => {
            println!("{}", engine::partner::set_secret(engine, &who, &partner, purpose.into(), None).await?);
        }
        SecretCommand::List { partner } => {
            // An unknown partner is an error, not an empty list.
            engine::partner::show(engine, &who, &partner).await?;
            engine::partner::list_secrets(engine, &who, &partner).await?.iter().for_each(print_secret);
        }
        SecretCommand::Revoke { partner, id } => {
            engine::partner::revoke_secret(engine, &who, &partner, id).await?;
            println!("secret {id} is revoked");
        }
    }
    Ok(())
}

fn print_secret(secret: &PartnerSecret) {
    let made = secret.created_at.format("%Y-%m-%d");
    let state = secret.revoked_at.map_or_else(|| "active".to_owned(), |at| format!("revoked {}", at.format("%Y-%m-%d")));
    println!("{}  {} {}; made {made}, {state}", secret.partner_secret_id, secret.purpose.as_str(), secret.hint);
}

pub async fn people(engine: &Engine, command: AdminCommand) -> Result<()> {
    let who = Principal::CommandLine;
    match command {
        AdminCommand::Create { email, role } => {
            let (password, made) = new_password();
            operator::create(engine, &who, NewOperator { email: &email, password: &password, role, password_is_temporary: true }).await?;
            print_password(&email, &password, made);
        }
        AdminCommand::List => operator::list(engine, &who).await?.iter().for_each(print_person),
        AdminCommand::SetPassword { email } => {
            let (password, made) = new_password();
            operator::set_password(engine, &who, &email, &password).await?;
            print_password(&email, &password, made);
        }
        AdminCommand::SetRole { email, role } => {
            operator::set_role(engine, &who, &email, role).await?;
            println!("{email} is {} now", role.name());
        }
        AdminCommand::Remove { email } => {
            operator::remove(engine, &who, &email).await?;
            println!("{email} is removed");
        }
    }
    Ok(())
}

/// The password of the environment, or one that is made; tells whether it was made.
fn new_password() -> (String, bool) {
    variable("ORCHESTRATOR_ADMIN_PASSWORD").map_or_else(|| (new_token(""), true), |password| (password, false))
}

/// A password that was made is printed, this once; one of the environment is named.
fn print_password(email: &str, password: &str, made: bool) {
    if made {
        println!("{}", json!({ "email": email, "password": password }));
    } else {
        println!("{email} has the password of ORCHESTRATOR_ADMIN_PASSWORD now, until they choose their own");
    }
}

fn print_person(person: &operator::Person) {
    let seen = person.last_signed_in_at.map_or_else(|| "never".to_owned(), |at| at.format("%Y-%m-%d").to_string());
    let role = person.role.name();
    println!("{:<40} {role:<8}  signed in last: {seen}; sessions: {}", person.email, person.sessions);
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
