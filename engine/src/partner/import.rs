//! Importing `partners/*.toml` into the registry.

use std::{fmt, fs, io, path::Path};

use chrono::{DateTime, Utc};
use domain::{
    PartnerId,
    auth::Principal,
    partner::{InvalidPartnerFile, PartnerFile},
};
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, types::Json};

use super::{record_activity, refresh_links, subject, terms};
use crate::{Engine, Error, Result, audit};

/// 1 MiB: a partner file has some 4 kB; more was not written by a person.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What an import did, by partner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    pub imported: Vec<PartnerId>,
    /// Already in the registry, which is the truth: left as they are.
    pub kept: Vec<PartnerId>,
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |ids: &[PartnerId]| {
            if ids.is_empty() { "none".to_owned() } else { ids.iter().map(PartnerId::as_str).collect::<Vec<_>>().join(", ") }
        };
        write!(f, "partners imported: {}; kept as they are in the database: {}", names(&self.imported), names(&self.kept))
    }
}

/// Imports every `*.toml` of a folder. New partners get version 1 of their terms, in force from 1970 on; those in the registry stay as they
/// are. All files are checked before anything is written, and all of it is written or nothing; a second call imports nothing.
///
/// # Errors
/// [`Error::Invalid`] with one line per bad file, which names the file and its key.
pub async fn import_files(engine: &Engine, dir: &Path) -> Result<ImportReport> {
    import(engine, read_files(dir)?).await
}

/// [`import_files`] for files that were read and checked already.
pub async fn import(engine: &Engine, files: Vec<PartnerFile>) -> Result<ImportReport> {
    let mut report = ImportReport::default();
    let mut tx = engine.db.begin().await?;
    for file in files {
        if insert(engine, &mut tx, &file).await? {
            report.imported.push(file.id);
        } else {
            report.kept.push(file.id);
        }
    }
    tx.commit().await?;
    refresh_links(engine).await;
    Ok(report)
}

/// Reads and checks all partner files of a folder, in the order of their names.
fn read_files(dir: &Path) -> Result<Vec<PartnerFile>> {
    let names = list_names(dir).map_err(|error| Error::invalid("partners", format!("cannot read folder {}: {error}", dir.display())))?;
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    for name in names {
        let parsed = read_text(&dir.join(&name))
            .map_err(|error| InvalidPartnerFile { file: name.clone(), key: "file".to_owned(), reason: error.to_string() })
            .and_then(|text| PartnerFile::parse(&name, &text));
        match parsed {
            Ok(file) => files.push(file),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() { Ok(files) } else { Err(Error::invalid("partners", errors.join("\n"))) }
}

fn list_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read_text(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("{length} bytes are too many, at most {FILE_BYTES_MAX}")));
    }
    fs::read_to_string(path)
}

/// Inserts a partner with its first terms; false if there is one of that id already.
async fn insert(engine: &Engine, tx: &mut PgConnection, file: &PartnerFile) -> Result<bool> {
    let inserted = sqlx::query!(
        "insert into partners (partner_id, name, display_name, description, category, engines, homepage_url, api_base_url, auth_type, tier, active,
                               integration_methods, webhook_events, priors, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
         on conflict (partner_id) do nothing",
        file.id.as_str(),
        file.name,
        file.display_name,
        file.description,
        file.category,
        &file.engines,
        file.homepage_url,
        file.api_base_url,
        file.auth_type as _,
        i16::from(file.tier),
        file.active,
        Json(&file.integration_methods) as _,
        Json(&file.webhook_events) as _,
        Json(&file.priors) as _,
        engine.now(),
    )
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    let who = Principal::CommandLine;
    // Conversions may be reported for the time before the import: some terms must be in force then.
    terms::insert(engine, tx, &who, &file.id, 1, DateTime::<Utc>::UNIX_EPOCH, &file.terms, &file.success_metrics).await?;
    if !file.active {
        record_activity(tx, &file.id, engine.now(), false).await?;
    }
    audit::record(engine, tx, &who, "partner.imported", &subject(&file.id), json!({ "before": null, "after": file })).await?;
    Ok(true)
}
