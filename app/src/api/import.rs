//! CSV imports: the list, one import with its mapping, and what is done with it. What is only read comes as HTML, see `panels`.

use std::collections::BTreeMap;

use domain::ImportId;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportList {
    pub table: String,
    /// The cursor of the older ones.
    pub next: Option<ImportId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportDetail {
    pub id: String,
    pub file_name: String,
    /// Whose conversions they are, and who uploaded them when.
    pub lead: String,
    /// Nothing was imported yet.
    pub is_previewed: bool,
    pub is_running: bool,
    /// How far it is and what became of the rows: HTML.
    pub story: String,
    /// The first rows and their problems: HTML.
    pub preview: String,
    /// Why no row can be read.
    pub misfit: Option<String>,
    pub mapping: MappingForm,
    /// The file's columns.
    pub headers: Vec<String>,
    /// What a run would do, if it was asked for: HTML.
    pub dry_run: Option<String>,
}

/// How a file is to be read, as the form has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingForm {
    #[serde(default)]
    pub format: String,
    /// The column of each field, by the field's name; an empty text maps none.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    #[serde(default)]
    pub amount_unit: String,
    #[serde(default)]
    pub currency: String,
    #[serde(default)]
    pub conversion_type: String,
    #[serde(default)]
    pub kind: String,
}

/// The newest imports first, 50 a page; an empty cursor asks for the newest.
#[server]
pub async fn list_imports(before: String) -> Result<ImportList, AppError> {
    let (engine, who) = super::backend().await?;
    let before = if before.is_empty() { None } else { Some(before.parse().map_err(|error| super::request::invalid("before", error))?) };
    let page = engine::import::list(&engine, &who, before).await?;
    Ok(ImportList { next: page.next, table: crate::panels::import_table(page.imports) })
}

/// One import; with `dry`, also what a run would do now.
#[server]
pub async fn find_import(id: String, dry: bool) -> Result<ImportDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let id = read_id(&id)?;
    let import = engine::import::find(&engine, &who, id).await?;
    let effects = engine::import::effects(&engine, &who, id).await?;
    let preview = engine::import::preview(&engine, &who, id).await?;
    let dry = dry && import.state == engine::import::ImportState::Previewed && preview.invalid_mapping.is_none();
    let tally = if dry { Some(engine::import::dry_run(&engine, &who, id).await?) } else { None };
    Ok(detail(import, effects, preview, tally))
}

/// Says which column is what, and leads back to the import.
#[server]
pub async fn save_import_mapping(id: String, mapping: MappingForm) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let page = format!("/imports/{}", read_id(&id)?);
    super::request::keep_draft("mapping", &page, &mapping);
    engine::import::save_mapping(&engine, &who, read_id(&id)?, read_mapping(mapping)?).await?;
    super::request::lead_plain_form_to(&format!("{page}?done=mapped"));
    Ok(())
}

/// Starts the run; a worker does it.
#[server]
pub async fn start_import(id: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let id = read_id(&id)?;
    engine::import::start(&engine, &who, id).await?;
    super::request::lead_plain_form_to(&format!("/imports/{id}?done=import-started"));
    Ok(())
}

#[cfg(feature = "ssr")]
mod server {
    use domain::{
        ImportId,
        import::{Field, Mapping},
    };
    use engine::import::{Effects, Import, ImportState, Preview, Tally};
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::Value;

    use super::{ImportDetail, MappingForm};
    use crate::{
        AppError,
        api::request::{invalid, take_draft},
        components::{count, date_time},
        panels,
    };

    pub fn read_id(id: &str) -> Result<ImportId, AppError> {
        Ok(id.parse().map_err(|_| engine::Error::not_found(format!("import `{id}`")))?)
    }

    pub fn detail(import: Import, effects: Effects, preview: Preview, tally: Option<Tally>) -> ImportDetail {
        let is_running = import.state == ImportState::Running;
        let page = format!("/imports/{}", import.import_id);
        ImportDetail {
            id: import.import_id.to_string(),
            lead: format!(
                "{} rows for {}, uploaded {} by {}.",
                count(import.rows_total.into()),
                import.partner_id,
                date_time(import.created_at),
                import.created_by
            ),
            file_name: import.file_name.clone(),
            is_previewed: import.state == ImportState::Previewed,
            is_running,
            misfit: preview.invalid_mapping.as_ref().map(ToString::to_string),
            mapping: take_draft("mapping", &page).unwrap_or_else(|| form(&import.mapping)),
            headers: preview.headers.clone(),
            preview: panels::import_preview(preview),
            dry_run: tally.map(panels::import_dry_run),
            story: panels::import_story(import, effects),
        }
    }

    fn form(mapping: &Mapping) -> MappingForm {
        MappingForm {
            format: word(mapping.format),
            columns: mapping.columns.iter().map(|(field, header)| (field.name().to_owned(), header.clone())).collect(),
            amount_unit: word(mapping.amount_unit),
            currency: mapping.currency.map(|currency| currency.code().to_owned()).unwrap_or_default(),
            conversion_type: word(mapping.conversion_type),
            kind: word(mapping.kind),
        }
    }

    fn word(value: impl Serialize) -> String {
        serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }

    pub fn read_mapping(form: MappingForm) -> Result<Mapping, AppError> {
        let columns = form.columns.into_iter().filter(|(_, header)| !header.is_empty()).map(|(name, header)| {
            let field = Field::ALL.into_iter().find(|field| field.name() == name);
            Ok((field.ok_or_else(|| invalid("columns", format!("`{name}` is no field of an import")))?, header))
        });
        let currency = form.currency.trim();
        Ok(Mapping {
            columns: columns.collect::<Result<_, AppError>>()?,
            format: read("format", form.format)?,
            amount_unit: read("amount_unit", form.amount_unit)?,
            currency: if currency.is_empty() { None } else { Some(currency.parse().map_err(|error| invalid("fixed_currency", error))?) },
            conversion_type: read("conversion_type", form.conversion_type)?,
            kind: read("row_kind", form.kind)?,
        })
    }

    fn read<T: DeserializeOwned>(field: &str, text: String) -> Result<T, AppError> {
        serde_json::from_value(Value::String(text.clone())).map_err(|_| invalid(field, format!("`{text}` is no choice of this field")))
    }

    #[cfg(test)]
    #[expect(clippy::unwrap_used, reason = "a test may panic")]
    mod tests {
        use super::*;

        #[test]
        fn a_mapping_goes_through_the_form_and_back() {
            let headers = ["id", "date", "amount", "currency"].map(str::to_owned);
            let mapping = Mapping::guess(&headers);
            assert_eq!(read_mapping(form(&mapping)).unwrap(), mapping);
        }

        #[test]
        fn a_form_names_what_it_cannot_read() {
            let good = form(&Mapping::guess(&["id", "date", "amount", "currency"].map(str::to_owned)));
            let field = |change: &dyn Fn(&mut MappingForm)| {
                let mut wrong = good.clone();
                change(&mut wrong);
                read_mapping(wrong).unwrap_err().0.field.unwrap()
            };
            assert_eq!(field(&|form| form.format = "excel".to_owned()), "format");
            assert_eq!(field(&|form| form.currency = "usd".to_owned()), "fixed_currency");
            assert_eq!(field(&|form| form.kind = String::new()), "row_kind");
            assert_eq!(field(&|form| drop(form.columns.insert("colour".to_owned(), "id".to_owned()))), "columns");
        }
    }
}

#[cfg(feature = "ssr")]
use server::{detail, read_id, read_mapping};
