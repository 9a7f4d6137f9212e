//! The command line. Each command finds the installation's services by itself, starting the private ones if need be.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use domain::{auth::Principal, money::Money};
use engine::Engine;

use crate::{admin, eval, rebuild, serve, settings::Installation, simulate};

/// What a command ends with: its exit code, or an error that is printed with its causes.
pub type Outcome = Result<ExitCode, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(name = "orchestrator", version, about = "Recommends partner tools, tracks what they earn, and keeps the books")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the web pages, the API, redirects and webhooks, and work off the queue
    Serve(serve::ServeArgs),
    /// Bring the database's schema up to date
    Migrate,
    /// Partners in files
    #[command(subcommand)]
    Partners(PartnersCommand),
    /// Exchange rates
    #[command(subcommand)]
    Rates(RatesCommand),
    /// The books
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Derive a commission again from its events and show the arithmetic
    Explain {
        /// The commission's id, its conversion's id, or the partner's id of the conversion if only one partner uses it
        commission: String,
    },
    /// Analyse a project folder and print the result as JSON
    Analyze { path: PathBuf },
    /// Measure the intelligence on files, without database or network
    Eval(eval::EvalArgs),
    /// Sites of developers
    #[command(subcommand)]
    Sites(admin::SitesCommand),
    /// Secrets of partners
    #[command(subcommand)]
    Secret(admin::SecretCommand),
    /// People who may sign in
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Tokens for the API
    #[command(subcommand)]
    Token(admin::TokenCommand),
    /// Derive everything again from the raw inbound log, in another database, and compare; exits 1 if anything differs
    Rebuild(rebuild::RebuildArgs),
    /// Send journeys with known truth to a running server, or fill in demo history
    Simulate(simulate::SimulateArgs),
}

impl Command {
    /// Whether it makes sense in a folder without an installation, and then makes one.
    fn may_begin(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Migrate | Self::Partners(_) | Self::Admin(_) | Self::Simulate(_))
    }
}

#[derive(Subcommand)]
enum PartnersCommand {
    /// Check all files of a folder and import the partners that are not in the database yet
    Import {
        #[arg(default_value = "partners")]
        folder: PathBuf,
    },
}

#[derive(Subcommand)]
enum RatesCommand {
    /// Import a CSV file of the ECB's reference rates, such as eurofxref-hist.csv; conversions that waited for a rate go on
    Import { file: PathBuf },
}

#[derive(Subcommand)]
enum LedgerCommand {
    /// Check every seal and balance, and derive every commission again; exits 1 if anything does not hold
    Verify,
    /// Show what each account holds
    Balances,
}

pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    match run_command(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run_command(command: Command) -> Outcome {
    if let Command::Analyze { path } = command {
        let analysis = engine::analysis::analyze_path(&path)?;
        println!("{}", serde_json::to_string_pretty(&analysis)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Eval(args) = command {
        return eval::run(args);
    }
    serve::start_logging(matches!(command, Command::Serve(_)));
    // The private services are started from this thread, since they end with the thread that started them.
    let installation = Installation::find(command.may_begin())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run_connected(command, &installation));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

async fn run_connected(command: Command, installation: &Installation) -> Outcome {
    if let Command::Serve(args) = command {
        return serve::run(args, installation).await;
    }
    let engine = installation.connect().await?;
    engine::MIGRATOR.run(&engine.db).await?;
    let outcome = run_on(&engine, command, installation).await;
    // What it told browsers is still on its way.
    engine.live.flush().await;
    outcome
}

async fn run_on(engine: &Engine, command: Command, installation: &Installation) -> Outcome {
    match command {
        Command::Serve(_) | Command::Analyze { .. } | Command::Eval(_) => unreachable!("handled before"),
        Command::Migrate => println!("the schema is up to date"),
        Command::Partners(PartnersCommand::Import { folder }) => println!("{}", engine::partner::import_files(engine, &folder).await?),
        Command::Rates(RatesCommand::Import { file }) => import_rates(engine, &file).await?,
        Command::Ledger(LedgerCommand::Verify) => return verify(engine).await,
        Command::Ledger(LedgerCommand::Balances) => balances(engine).await?,
        Command::Explain { commission } => return explain(engine, &commission).await,
        Command::Sites(command) => admin::sites(engine, command).await?,
        Command::Secret(command) => admin::secret(engine, command).await?,
        Command::Admin(command) => admin::people(engine, command).await?,
        Command::Token(command) => admin::token(engine, command).await?,
        Command::Rebuild(args) => return rebuild::run(args, engine, installation).await,
        Command::Simulate(args) => return simulate::run(args, engine).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn import_rates(engine: &Engine, file: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let imported = engine::exchange::import(engine, &Principal::CommandLine, &text).await?;
    println!("{} rates added, {} were there already, {} conversions released", imported.added, imported.kept, imported.released);
    if !imported.unknown_currencies.is_empty() {
        println!("columns of no currency of today were left out: {}", imported.unknown_currencies.join(", "));
    }
    Ok(())
}

async fn verify(engine: &Engine) -> Outcome {
    let report = engine::ledger::verify(engine).await?;
    for finding in &report.findings {
        println!("{}: {}", finding.subject, finding.what);
    }
    if report.waiting > 0 {
        println!("{} conversions are yet to be rated: they wait for an exchange rate, or in the queue", report.waiting);
    }
    println!(
        "{} ledger transactions and {} commissions checked, {} findings",
        report.transactions,
        report.commissions,
        report.findings.len()
    );
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn balances(engine: &Engine) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for balance in engine::ledger::balances(engine).await? {
        let amount = Money::new(balance.amount_minor, balance.currency.parse()?);
        println!("{:<20} {amount:>20}", balance.account);
    }
    Ok(())
}

async fn explain(engine: &Engine, id: &str) -> Outcome {
    let found = engine::commission::explain(engine, id).await?;
    let money = |minor| Money::new(minor, found.currency);
    let receipt = &found.derived.receipt;
    println!("commission {} of {} for conversion {}", found.commission_id, found.partner_id, found.conversion_id);
    println!("  happened    {}, under terms version {}", receipt.occurred_at.to_rfc3339(), receipt.terms_version);
    println!("  state       {}, held until {}", found.state, found.hold_until.format("%Y-%m-%d"));
    for step in &receipt.steps {
        println!("  {step}");
    }
    println!("  rounding    {}", receipt.rounding);
    println!("  derived     {} + {} bonus", money(found.derived.final_minor), money(found.derived.bonus_minor));
    println!("  booked      {} + {} bonus", money(found.booked.final_minor), money(found.booked.bonus_minor));
    if found.agrees() {
        println!("  the ledger, the saved rating and the derivation agree");
        return Ok(ExitCode::SUCCESS);
    }
    println!("  saved       {} + {} bonus", money(found.saved.final_minor), money(found.saved.bonus_minor));
    println!("  THEY DIFFER");
    Ok(ExitCode::FAILURE)
}
