//! Which column of a file is which field, and what holds where no column says it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Format, Table, format::plain};
use crate::{Currency, conversion::ConversionType};

/// What a column may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Conversion or reversal.
    Kind,
    /// The partner's id of the event: of the conversion, or of the reversal where another column names the conversion.
    ExternalEventId,
    /// The partner's id of a reversal, where [`Field::ExternalEventId`] is the conversion's.
    ReversalId,
    /// The conversion that a reversal takes back.
    ConversionReference,
    /// Lead, sale, renewal, upgrade or custom.
    Type,
    OccurredAt,
    Amount,
    Currency,
    /// What was refunded of a conversion so far.
    RefundedAmount,
    /// Paid, refunded, …: some take the conversion back.
    Status,
    ClickId,
    ReferralCode,
    SessionId,
    UserId,
    Reason,
}

impl Field {
    pub const ALL: [Self; 15] = [
        Self::Kind,
        Self::ExternalEventId,
        Self::ReversalId,
        Self::ConversionReference,
        Self::Type,
        Self::OccurredAt,
        Self::Amount,
        Self::Currency,
        Self::RefundedAmount,
        Self::Status,
        Self::ClickId,
        Self::ReferralCode,
        Self::SessionId,
        Self::UserId,
        Self::Reason,
    ];

    /// As in JSON: `external_event_id`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::ExternalEventId => "external_event_id",
            Self::ReversalId => "reversal_id",
            Self::ConversionReference => "conversion_reference",
            Self::Type => "type",
            Self::OccurredAt => "occurred_at",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::RefundedAmount => "refunded_amount",
            Self::Status => "status",
            Self::ClickId => "click_id",
            Self::ReferralCode => "referral_code",
            Self::SessionId => "session_id",
            Self::UserId => "user_id",
            Self::Reason => "reason",
        }
    }
}

/// How amounts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmountUnit {
    /// Decimals of whole dollars: `49.00`.
    #[default]
    Major,
    /// Whole numbers of cents: `4900`.
    Minor,
    /// `$49` and `49.00` are dollars, a bare `4900` is cents: Dub's exports write the one or the other.
    Marked,
}

/// What a row without a kind of its own is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    #[default]
    Conversion,
    Reversal,
}

/// How a file is to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    #[serde(default)]
    pub format: Format,
    /// The header of each field's column.
    pub columns: BTreeMap<Field, String>,
    #[serde(default)]
    pub amount_unit: AmountUnit,
    /// Holds where the currency's column is absent or empty.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// Holds where the type's column is absent or empty.
    #[serde(default = "default_type")]
    pub conversion_type: ConversionType,
    #[serde(default)]
    pub kind: RowKind,
}

fn default_type() -> ConversionType {
    ConversionType::Sale
}

/// Why a mapping does not fit a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", field.name())]
pub struct InvalidMapping {
    pub field: Field,
    pub reason: String,
}

impl Mapping {
    /// Proposes a mapping by the names of the columns. What it leaves out has to be mapped by hand; see [`Mapping::check`].
    pub fn guess(headers: &[String]) -> Self {
        let format = Format::detect(headers);
        let mut columns: BTreeMap<Field, String> = BTreeMap::new();
        for field in Field::ALL {
            let fits =
                |name: &&str| headers.iter().find(|header| plain(header) == **name && !columns.values().any(|taken| taken == *header));
            if let Some(header) = format.names(field).iter().find_map(fits) {
                columns.insert(field, header.clone());
            }
        }
        let amount = columns.get(&Field::Amount).map(|header| plain(header)).unwrap_or_default();
        let amount_unit = if amount.ends_with("cents") || amount.ends_with("minor") {
            AmountUnit::Minor
        } else if format == Format::Dub {
            AmountUnit::Marked
        } else {
            AmountUnit::Major
        };
        // Dub's sale events have no currency: their amounts are dollars.
        let currency = (format == Format::Dub && !columns.contains_key(&Field::Currency)).then_some(Currency::USD);
        Self { format, columns, amount_unit, currency, conversion_type: default_type(), kind: RowKind::Conversion }
    }

    /// Finds the first thing in which the mapping does not fit the file.
    ///
    /// # Errors
    /// A header that the file does not have or that serves twice, and a field that no row can do without.
    pub fn check(&self, table: &Table) -> Result<(), InvalidMapping> {
        let invalid = |field, reason: String| Err(InvalidMapping { field, reason });
        for (field, header) in &self.columns {
            if table.column(header).is_none() {
                return invalid(*field, format!("the file has no column `{header}`"));
            }
            if let Some((other, _)) = self.columns.iter().find(|(other, name)| *other < field && *name == header) {
                return invalid(*field, format!("column `{header}` is mapped to {} already", other.name()));
            }
        }
        let mapped = |field: Field| self.columns.contains_key(&field);
        if !mapped(Field::ExternalEventId) {
            return invalid(Field::ExternalEventId, "is mapped to no column, expected the one with the partner's own id".to_owned());
        }
        if !mapped(Field::OccurredAt) {
            return invalid(Field::OccurredAt, "is mapped to no column, expected the one with the time".to_owned());
        }
        if !mapped(Field::Amount) && (self.kind == RowKind::Conversion || mapped(Field::Kind)) {
            return invalid(Field::Amount, "is mapped to no column, expected the one with the value".to_owned());
        }
        if mapped(Field::Amount) && !mapped(Field::Currency) && self.currency.is_none() {
            return invalid(Field::Currency, "is mapped to no column, expected one or a fixed currency".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn table(header: &str) -> Table {
        Table::read(header.as_bytes()).unwrap()
    }

    fn guess(header: &str) -> Mapping {
        Mapping::guess(&table(header).headers)
    }

    fn column(mapping: &Mapping, field: Field) -> Option<&str> {
        mapping.columns.get(&field).map(String::as_str)
    }

    #[test]
    fn our_own_words_are_all_understood() {
        let header = "event,conversion_id,reversal_id,type,occurred_at,amount,currency,click_id,referral_code,session_id,user_id,reason";
        let mapping = guess(header);
        assert_eq!((mapping.format, mapping.columns.len(), mapping.amount_unit), (Format::Own, 12, AmountUnit::Major));
        assert_eq!(mapping.check(&table(header)), Ok(()));
    }

    #[test]
    fn dubs_sale_amount_is_taken_and_not_the_earnings() {
        let mapping = guess("id,type,amount,earnings,currency,status,invoiceId,quantity,createdAt,customerId,customerExternalId");
        assert_eq!(column(&mapping, Field::Amount), Some("amount"));
        assert_eq!(column(&mapping, Field::UserId), Some("customerExternalId"));
        assert_eq!((mapping.amount_unit, mapping.currency), (AmountUnit::Marked, None));
        let events = guess("Date,Event,Customer,Invoice ID,Sale Amount,Click ID");
        assert_eq!((column(&events, Field::ExternalEventId), events.currency), (Some("Invoice ID"), Some(Currency::USD)));
    }

    #[test]
    fn rewardfuls_cents_are_minor_units() {
        let header = "id,amount,currency,state,sale.sale_amount_cents,sale.refund_amount_cents,sale.stripe_charge_id,sale.charged_at";
        let mapping = guess(header);
        assert_eq!((mapping.format, mapping.amount_unit), (Format::Rewardful, AmountUnit::Minor));
        assert_eq!(column(&mapping, Field::Amount), Some("sale.sale_amount_cents"));
        assert_eq!(column(&mapping, Field::ExternalEventId), Some("sale.stripe_charge_id"));
        // `state` is the commission's (pending, due, paid, voided), not the sale's.
        assert_eq!(column(&mapping, Field::Status), None);
        assert_eq!(mapping.check(&table(header)), Ok(()));
    }

    #[test]
    fn common_names_are_guessed_and_no_column_serves_twice() {
        let mapping = guess("Order ID;Order Date;Total;Currency;Customer Email");
        assert_eq!(column(&mapping, Field::OccurredAt), Some("Order Date"));
        assert_eq!(column(&mapping, Field::UserId), Some("Customer Email"));
        let mapping = guess("event,id,date,amount");
        let mut headers: Vec<_> = mapping.columns.values().collect();
        headers.dedup();
        assert_eq!(headers.len(), mapping.columns.len());
    }

    #[test]
    fn a_mapping_that_does_not_fit_names_the_field() {
        let file = table("id,date,amount,currency");
        let good = Mapping::guess(&file.headers);
        let field = |change: &dyn Fn(&mut Mapping)| {
            let mut mapping = good.clone();
            change(&mut mapping);
            mapping.check(&file).unwrap_err().field
        };
        assert_eq!(good.check(&file), Ok(()));
        assert_eq!(field(&|mapping| drop(mapping.columns.remove(&Field::ExternalEventId))), Field::ExternalEventId);
        assert_eq!(field(&|mapping| drop(mapping.columns.remove(&Field::OccurredAt))), Field::OccurredAt);
        assert_eq!(field(&|mapping| drop(mapping.columns.remove(&Field::Amount))), Field::Amount);
        assert_eq!(field(&|mapping| drop(mapping.columns.remove(&Field::Currency))), Field::Currency);
        assert_eq!(field(&|mapping| drop(mapping.columns.insert(Field::ClickId, "clicks".into()))), Field::ClickId);
        assert_eq!(field(&|mapping| drop(mapping.columns.insert(Field::UserId, "id".into()))), Field::UserId);
    }

    #[test]
    fn a_mapping_survives_json_and_unknown_keys_are_refused() {
        let mapping = guess("id,date,amount,currency");
        let json = serde_json::to_string(&mapping).unwrap();
        assert!(json.contains("\"external_event_id\":\"id\""), "{json}");
        assert_eq!(serde_json::from_str::<Mapping>(&json).unwrap(), mapping);
        assert!(serde_json::from_str::<Mapping>("{\"columns\":{\"id\":\"x\"}}").is_err());
        assert!(serde_json::from_str::<Mapping>("{\"columns\":{},\"extra\":1}").is_err());
        for field in Field::ALL {
            assert_eq!(serde_json::to_value(field).unwrap(), field.name());
        }
    }
}
