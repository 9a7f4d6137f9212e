//! One row as a conversion, a reversal, or a conversion that was refunded since.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    AmountUnit, Field, Format, InvalidMapping, Mapping, Row, RowKind, Table,
    format::plain,
    value::{parse_amount, parse_time},
};
use crate::{
    Currency, Money, PartnerId, SessionId,
    conversion::{Claim, ConversionType, NewConversion, NewReversal},
};

/// As long as our webhook contract takes ids.
const ID_BYTES_MAX: usize = 200;

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportedRow {
    Conversion(NewConversion),
    Reversal(NewReversal),
    /// A conversion with the refund that the same row tells of.
    Both(NewConversion, NewReversal),
}

/// An event of our webhook contract, to be enqueued like one that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedEvent {
    /// The same for the same event in any file; unique together with the partner.
    pub message_id: String,
    /// What [`parse_event`](crate::webhook::parse_event) reads.
    pub body: Value,
}

/// Why a row is refused: which cell, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("line {line}, column `{column}`: `{value}` should be {expected}")]
pub struct RowError {
    /// Where the row begins in the file, from 1.
    pub line: u64,
    /// The header, or our field's name if the field is mapped to no column.
    pub column: String,
    /// The cell, cut after 100 characters.
    pub value: String,
    pub expected: String,
}

/// Reads each row on its own, in the order of the file.
///
/// # Errors
/// A mapping that does not fit the table; what is wrong with a row is the row's item.
pub fn rows<'t>(
    table: &'t Table,
    mapping: &'t Mapping,
    partner_id: &'t PartnerId,
) -> Result<impl ExactSizeIterator<Item = Result<ImportedRow, RowError>> + 't, InvalidMapping> {
    mapping.check(table)?;
    Ok(table.rows.iter().map(move |row| Reader { table, mapping, partner_id, row }.read()))
}

impl ImportedRow {
    /// The row as one event, or two for a refunded conversion.
    pub fn events(&self) -> Vec<ImportedEvent> {
        match self {
            Self::Conversion(conversion) => vec![conversion_event(conversion)],
            Self::Reversal(reversal) => vec![reversal_event(reversal)],
            Self::Both(conversion, reversal) => vec![conversion_event(conversion), reversal_event(reversal)],
        }
    }
}

fn conversion_event(conversion: &NewConversion) -> ImportedEvent {
    let mut data = Map::new();
    data.insert("conversion_id".to_owned(), json!(conversion.external_event_id));
    data.insert("type".to_owned(), json!(conversion.conversion_type));
    data.insert("occurred_at".to_owned(), json!(rfc3339(conversion.occurred_at)));
    insert_money(&mut data, Some(conversion.value));
    let claim = &conversion.claim;
    insert_text(&mut data, "click_id", claim.click_token.clone());
    insert_text(&mut data, "referral_code", claim.referral_code.clone());
    insert_text(&mut data, "session_id", claim.session_id.map(|id| id.to_string()));
    insert_text(&mut data, "user_id", claim.user_identifier.clone());
    event("conversion.created", &conversion.external_event_id, conversion.occurred_at, data)
}

fn reversal_event(reversal: &NewReversal) -> ImportedEvent {
    let mut data = Map::new();
    data.insert("reversal_id".to_owned(), json!(reversal.external_event_id));
    data.insert("conversion_id".to_owned(), json!(reversal.conversion_external_event_id));
    data.insert("occurred_at".to_owned(), json!(rfc3339(reversal.occurred_at)));
    insert_money(&mut data, reversal.amount);
    insert_text(&mut data, "reason", reversal.reason.clone());
    event("conversion.reversed", &reversal.external_event_id, reversal.occurred_at, data)
}

/// The message id is a digest of kind and external id alone, so that neither the file nor the row's place in it matters.
fn event(kind: &str, external_id: &str, occurred_at: DateTime<Utc>, data: Map<String, Value>) -> ImportedEvent {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(external_id).finalize();
    let message_id = format!("csv_{}", hex::encode(&digest[..16]));
    ImportedEvent { message_id, body: json!({ "type": kind, "timestamp": rfc3339(occurred_at), "data": data }) }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn insert_text(data: &mut Map<String, Value>, name: &str, text: Option<String>) {
    if let Some(text) = text {
        data.insert(name.to_owned(), Value::String(text));
    }
}

fn insert_money(data: &mut Map<String, Value>, money: Option<Money>) {
    insert_text(data, "amount", money.map(|money| money.to_decimal().to_string()));
    insert_text(data, "currency", money.map(|money| money.currency.code().to_owned()));
}

/// What a status says of the money.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Earned,
    TakenBack,
    /// Taken back in part; the amount has to say how much.
    PartlyTakenBack,
}

/// A row, read field by field.
struct Reader<'t> {
    table: &'t Table,
    mapping: &'t Mapping,
    partner_id: &'t PartnerId,
    row: &'t Row,
}

impl<'t> Reader<'t> {
    fn read(&self) -> Result<ImportedRow, RowError> {
        if self.row.len() != self.table.headers.len() {
            return Err(RowError {
                line: self.row.line,
                column: "row".to_owned(),
                value: format!("{} cells", self.row.len()),
                expected: format!("{} cells, as many as the header has", self.table.headers.len()),
            });
        }
        match self.kind()? {
            RowKind::Reversal => self.reversal().map(ImportedRow::Reversal),
            RowKind::Conversion => {
                let conversion = self.conversion()?;
                Ok(match self.refund_of(&conversion)? {
                    Some(reversal) => ImportedRow::Both(conversion, reversal),
                    None => ImportedRow::Conversion(conversion),
                })
            }
        }
    }

    fn conversion(&self) -> Result<NewConversion, RowError> {
        let conversion_type = self.conversion_type()?;
        let value = match self.money(Field::Amount, self.mapping.amount_unit)? {
            Some(value) if value.amount_minor >= 0 => value,
            Some(_) => return self.refused(Field::Amount, "an amount that is not negative; a refund has to be a row of its own kind"),
            // A lead is worth something to us, but nothing was paid.
            None if conversion_type == ConversionType::Lead => Money::new(0, self.currency()?),
            None => return self.refused(Field::Amount, "an amount such as 1234.56"),
        };
        Ok(NewConversion {
            partner_id: self.partner_id.clone(),
            external_event_id: self.required_text(Field::ExternalEventId, ID_BYTES_MAX, "the partner's own id of the conversion")?,
            conversion_type,
            occurred_at: self.time()?,
            value,
            claim: self.claim()?,
        })
    }

    fn reversal(&self) -> Result<NewReversal, RowError> {
        let amount = match self.money(Field::Amount, self.mapping.amount_unit)? {
            // Refunds are as often written as negative sales.
            Some(amount) => match amount.amount_minor.checked_abs() {
                Some(0) => return self.refused(Field::Amount, "more than 0, or empty to take back all"),
                Some(positive) => Some(Money::new(positive, amount.currency)),
                None => return self.refused(Field::Amount, "an amount that fits into 64 bits"),
            },
            None => None,
        };
        let (reference, own_id) = match self.text(Field::ConversionReference, ID_BYTES_MAX)? {
            Some(reference) => {
                let own_id = self.text(Field::ReversalId, ID_BYTES_MAX)?;
                (reference, own_id.map_or_else(|| self.text(Field::ExternalEventId, ID_BYTES_MAX), |id| Ok(Some(id)))?)
            }
            None => (
                self.required_text(Field::ExternalEventId, ID_BYTES_MAX, "the partner's own id of the conversion that is taken back")?,
                self.text(Field::ReversalId, ID_BYTES_MAX)?,
            ),
        };
        let external_event_id = match own_id {
            Some(id) => id,
            None if amount.is_none() => self.refund_id(&reference)?,
            None => return self.refused(Field::ReversalId, "an id, since several partial refunds could not be told apart without"),
        };
        Ok(NewReversal {
            partner_id: self.partner_id.clone(),
            external_event_id,
            conversion_external_event_id: reference,
            amount,
            reason: self.text(Field::Reason, 500)?,
            occurred_at: self.time()?,
        })
    }

    /// The refund that a conversion's own row tells of, by amount or by status. Its time is the conversion's, since the row has no other.
    fn refund_of(&self, conversion: &NewConversion) -> Result<Option<NewReversal>, RowError> {
        let standing = self.standing()?;
        let unit = match self.mapping.columns.get(&Field::RefundedAmount) {
            Some(header) if plain(header).ends_with("cents") => AmountUnit::Minor,
            _ => self.mapping.amount_unit,
        };
        let refunded = match self.money(Field::RefundedAmount, unit)? {
            Some(amount) => match amount.amount_minor.checked_abs() {
                Some(minor) if minor <= conversion.value.amount_minor => minor,
                _ => return self.refused(Field::RefundedAmount, "at most the amount of the conversion"),
            },
            None => 0,
        };
        let amount = match standing {
            Standing::Earned if refunded == 0 => return Ok(None),
            Standing::PartlyTakenBack if refunded == 0 => {
                return self.refused(Field::RefundedAmount, "the refunded amount of what is partly refunded");
            }
            Standing::TakenBack if refunded == 0 => None,
            _ if refunded == conversion.value.amount_minor => None,
            _ => Some(Money::new(refunded, conversion.value.currency)),
        };
        let status = self.cell(Field::Status).filter(|_| standing != Standing::Earned).map(str::to_owned);
        Ok(Some(NewReversal {
            partner_id: self.partner_id.clone(),
            external_event_id: self.refund_id(&conversion.external_event_id)?,
            conversion_external_event_id: conversion.external_event_id.clone(),
            amount,
            reason: self.text(Field::Reason, 500)?.or(status),
            occurred_at: conversion.occurred_at,
        }))
    }

    /// The id of a refund that has none: one per conversion.
    fn refund_id(&self, conversion_id: &str) -> Result<String, RowError> {
        let id = format!("{conversion_id}/refund");
        if id.len() > ID_BYTES_MAX { self.refused(Field::ExternalEventId, "an id of at most 193 bytes beside a refund") } else { Ok(id) }
    }

    fn kind(&self) -> Result<RowKind, RowError> {
        let Some(text) = self.cell(Field::Kind) else { return Ok(self.mapping.kind) };
        match plain(text).as_str() {
            "conversion" | "conversioncreated" | "sale" | "lead" | "charge" | "payment" | "purchase" | "order" | "renewal" | "upgrade" => {
                Ok(RowKind::Conversion)
            }
            "reversal" | "conversionreversed" | "refund" | "chargeback" | "cancellation" | "void" => Ok(RowKind::Reversal),
            _ => self.refused(Field::Kind, "conversion or reversal"),
        }
    }

    fn conversion_type(&self) -> Result<ConversionType, RowError> {
        let Some(text) = self.cell(Field::Type) else { return Ok(self.mapping.conversion_type) };
        let word = plain(text);
        if self.mapping.format == Format::Dub && !matches!(word.as_str(), "lead" | "sale") {
            return self.refused(Field::Type, "lead or sale: Dub's commissions of other types belong to no conversion");
        }
        match word.as_str() {
            "lead" | "signup" | "registration" => Ok(ConversionType::Lead),
            "sale" | "purchase" | "order" | "payment" | "charge" => Ok(ConversionType::Sale),
            "renewal" | "recurring" | "rebill" => Ok(ConversionType::Renewal),
            "upgrade" => Ok(ConversionType::Upgrade),
            "custom" => Ok(ConversionType::Custom),
            _ => self.refused(Field::Type, "lead, sale, renewal, upgrade or custom"),
        }
    }

    /// An unknown word is refused: taking it for a sale could pay for what was taken back.
    fn standing(&self) -> Result<Standing, RowError> {
        let Some(text) = self.cell(Field::Status) else { return Ok(Standing::Earned) };
        match plain(text).as_str() {
            "pending" | "approved" | "processed" | "processing" | "paid" | "due" | "complete" | "completed" | "confirmed" | "succeeded"
            | "success" | "settled" | "captured" | "active" | "open" | "hold" => Ok(Standing::Earned),
            "refunded" | "fullyrefunded" | "reversed" | "canceled" | "cancelled" | "chargeback" | "chargedback" | "void" | "voided"
            | "fraud" | "duplicate" => Ok(Standing::TakenBack),
            "partiallyrefunded" | "partlyrefunded" | "partialrefund" => Ok(Standing::PartlyTakenBack),
            _ => self.refused(Field::Status, "a known status such as paid, pending, refunded, canceled or chargeback"),
        }
    }

    fn time(&self) -> Result<DateTime<Utc>, RowError> {
        let expected = "a time such as 2026-11-20T12:00:00Z, 2026-11-20 12:00, 2026-11-20 or Unix seconds";
        self.cell(Field::OccurredAt).and_then(parse_time).map_or_else(|| self.refused(Field::OccurredAt, expected), Ok)
    }

    fn currency(&self) -> Result<Currency, RowError> {
        match self.cell(Field::Currency) {
            Some(code) => {
                code.to_ascii_uppercase().parse().or_else(|_| self.refused(Field::Currency, "an ISO 4217 currency code such as USD"))
            }
            None => self.mapping.currency.map_or_else(|| self.refused(Field::Currency, "an ISO 4217 currency code such as USD"), Ok),
        }
    }

    fn money(&self, field: Field, unit: AmountUnit) -> Result<Option<Money>, RowError> {
        let Some(text) = self.cell(field) else { return Ok(None) };
        let currency = self.currency()?;
        parse_amount(text, unit, currency).map(Some).or_else(|expected| self.refused(field, &expected))
    }

    fn claim(&self) -> Result<Claim, RowError> {
        let session_id = match self.cell(Field::SessionId) {
            Some(text) => Some(SessionId(text.parse().or_else(|_| self.refused(Field::SessionId, "a UUID"))?)),
            None => None,
        };
        Ok(Claim {
            click_token: self.text(Field::ClickId, 200)?,
            referral_code: self.text(Field::ReferralCode, 120)?,
            session_id,
            user_identifier: self.text(Field::UserId, 200)?,
        })
    }

    fn text(&self, field: Field, longest: usize) -> Result<Option<String>, RowError> {
        match self.cell(field) {
            Some(text) if text.len() > longest || text.contains('\0') => {
                self.refused(field, &format!("a text of at most {longest} bytes without zero bytes"))
            }
            text => Ok(text.map(str::to_owned)),
        }
    }

    fn required_text(&self, field: Field, longest: usize, expected: &str) -> Result<String, RowError> {
        self.text(field, longest)?.map_or_else(|| self.refused(field, expected), Ok)
    }

    /// The field's cell; `None` if it is empty or the field is mapped to no column.
    fn cell(&self, field: Field) -> Option<&'t str> {
        let column = self.table.column(self.mapping.columns.get(&field)?)?;
        Some(self.row.cell(column)).filter(|cell| !cell.is_empty())
    }

    fn refused<T>(&self, field: Field, expected: &str) -> Result<T, RowError> {
        Err(RowError {
            line: self.row.line,
            column: self.mapping.columns.get(&field).cloned().unwrap_or_else(|| field.name().to_owned()),
            value: self.cell(field).unwrap_or_default().chars().take(100).collect(),
            expected: expected.to_owned(),
        })
    }
}
