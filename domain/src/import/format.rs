//! Which program wrote a file, by its headers, and what it calls our fields.

use serde::{Deserialize, Serialize};

use super::Field;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The words of our webhook contract.
    Own,
    Dub,
    Rewardful,
    /// Anything else; the columns are guessed by common names or mapped by hand.
    #[default]
    Custom,
}

impl Format {
    /// The program whose headers these are.
    pub fn detect(headers: &[String]) -> Self {
        let names: Vec<String> = headers.iter().map(|header| plain(header)).collect();
        let has = |name: &str| names.iter().any(|other| other == name);
        let dub_commissions = has("id") && has("earnings") && has("amount") && (has("createdat") || has("invoiceid"));
        let dub_events = has("saleamount") && has("event") && (has("invoiceid") || has("destinationurl"));
        if has("conversionid") && has("occurredat") {
            Self::Own
        } else if dub_commissions || dub_events {
            Self::Dub
        } else if names.iter().any(|name| {
            ["saleamountcents", "chargeamountcents", "refundamountcents", "chargedat", "stripechargeid", "conversionstate"]
                .iter()
                .any(|own| name.ends_with(own))
        }) {
            Self::Rewardful
        } else {
            Self::Custom
        }
    }

    /// What the format calls a field, in [`plain`] spelling and in order of preference.
    pub(super) fn names(self, field: Field) -> &'static [&'static str] {
        match (self, field) {
            (Self::Own, Field::Kind) => &["event", "kind"],
            (Self::Own, Field::ExternalEventId) => &["conversionid"],
            (Self::Own, Field::ReversalId) => &["reversalid"],
            (Self::Own, Field::Type) => &["type"],
            (Self::Own, Field::OccurredAt) => &["occurredat"],
            (Self::Own, Field::Amount) => &["amount", "amountminor"],
            (Self::Own, Field::Currency) => &["currency"],
            (Self::Own, Field::RefundedAmount) => &["refundedamount"],
            (Self::Own, Field::Status) => &["status"],
            (Self::Own, Field::ClickId) => &["clickid"],
            (Self::Own, Field::ReferralCode) => &["referralcode"],
            (Self::Own, Field::SessionId) => &["sessionid"],
            (Self::Own, Field::UserId) => &["userid"],
            (Self::Own, Field::Reason) => &["reason"],
            // `id` is in each export of commissions, `Invoice ID` in each of sale events.
            (Self::Dub, Field::ExternalEventId) => &["id", "invoiceid", "eventid"],
            (Self::Dub, Field::Type) => &["type"],
            (Self::Dub, Field::OccurredAt) => &["createdat", "date", "timestamp"],
            (Self::Dub, Field::Amount) => &["amount", "saleamount"],
            (Self::Dub, Field::Currency) => &["currency"],
            (Self::Dub, Field::Status) => &["status"],
            (Self::Dub, Field::ClickId) => &["clickid"],
            (Self::Dub, Field::UserId) => &["customerexternalid", "customerid"],
            (Self::Dub, _) => &[],
            (Self::Rewardful, Field::ExternalEventId) => {
                &["stripechargeid", "salestripechargeid", "saleid", "chargeid", "commissionid", "id"]
            }
            (Self::Rewardful, Field::OccurredAt) => &["chargedat", "salechargedat", "saledate", "invoicedat", "createdat", "salecreatedat"],
            (Self::Rewardful, Field::Amount) => {
                &["saleamountcents", "salesaleamountcents", "saleamount", "chargeamountcents", "salechargeamountcents"]
            }
            (Self::Rewardful, Field::Currency) => &["salecurrency", "currency"],
            (Self::Rewardful, Field::RefundedAmount) => &["refundamountcents", "salerefundamountcents", "refundamount", "amountrefunded"],
            (Self::Rewardful, Field::ReferralCode) => &["linktoken", "referrallinktoken", "token", "via"],
            (Self::Rewardful, Field::UserId) => &["stripecustomerid", "referralstripecustomerid", "customerid", "customerplatformid"],
            (Self::Rewardful, _) => &[],
            (Self::Custom, Field::Kind) => &["kind", "event", "eventtype", "recordtype", "transactiontype"],
            (Self::Custom, Field::ExternalEventId) => &[
                "externaleventid",
                "eventid",
                "transactionid",
                "orderid",
                "saleid",
                "invoiceid",
                "chargeid",
                "id",
                "order",
                "transaction",
                "reference",
            ],
            (Self::Custom, Field::ReversalId) => &["reversalid", "refundid", "chargebackid"],
            (Self::Custom, Field::ConversionReference) => {
                &["conversionreference", "originalid", "originalorderid", "originaltransactionid", "parentid", "refundof"]
            }
            (Self::Custom, Field::Type) => &["type", "conversiontype", "actiontype"],
            (Self::Custom, Field::OccurredAt) => &[
                "occurredat",
                "createdat",
                "timestamp",
                "datetime",
                "date",
                "orderdate",
                "saledate",
                "eventdate",
                "transactiondate",
                "time",
                "created",
            ],
            (Self::Custom, Field::Amount) => &[
                "amount",
                "amountminor",
                "amountcents",
                "value",
                "saleamount",
                "saleamountcents",
                "orderamount",
                "ordervalue",
                "revenue",
                "total",
                "subtotal",
                "price",
            ],
            (Self::Custom, Field::Currency) => &["currency", "currencycode", "salecurrency"],
            (Self::Custom, Field::RefundedAmount) => &["refundedamount", "refundamount", "amountrefunded", "refundamountcents", "refunded"],
            (Self::Custom, Field::Status) => &["status", "state", "orderstatus", "salestatus"],
            (Self::Custom, Field::ClickId) => &["clickid", "subid", "clickref", "clicktoken"],
            (Self::Custom, Field::ReferralCode) => {
                &["referralcode", "refcode", "ref", "affiliatecode", "couponcode", "coupon", "promocode"]
            }
            (Self::Custom, Field::SessionId) => &["sessionid", "session"],
            (Self::Custom, Field::UserId) => {
                &["userid", "useridentifier", "customerid", "customerexternalid", "customer", "user", "customeremail", "email"]
            }
            (Self::Custom, Field::Reason) => &["reason", "refundreason", "note"],
            (Self::Own, Field::ConversionReference) => &[],
        }
    }
}

/// A header without case, spaces and marks: `Sale Amount (cents)` is `saleamountcents`.
pub(super) fn plain(header: &str) -> String {
    header.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(headers: &str) -> Format {
        Format::detect(&headers.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn each_program_is_known_by_its_headers() {
        assert_eq!(detect("event,conversion_id,occurred_at,amount,currency"), Format::Own);
        assert_eq!(detect("id,type,amount,earnings,currency,status,invoiceId,quantity,createdAt"), Format::Dub);
        assert_eq!(detect("Date,Event,Customer,Link,Invoice ID,Sale Amount"), Format::Dub);
        assert_eq!(detect("id,sale.sale_amount_cents,sale.charged_at,affiliate.email"), Format::Rewardful);
        assert_eq!(detect("Stripe Charge ID,Sale Amount,Affiliate"), Format::Rewardful);
    }

    #[test]
    fn what_is_of_no_program_is_custom() {
        assert_eq!(detect("order,date,total"), Format::Custom);
        assert_eq!(detect("id,amount,currency,created_at"), Format::Custom);
        assert_eq!(Format::detect(&[]), Format::Custom);
    }
}
