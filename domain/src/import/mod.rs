//! CSV import of conversions and reversals: read a file, say which column is what, and get one event of our webhook contract per row.
//!
//! [`Table::read`] takes any CSV, [`Mapping::guess`] proposes what its columns mean, [`rows`] reads each row on its own, so that a wrong
//! one hides no other. What comes out is enqueued as inbound events ([`ImportedRow::events`]); a file that is imported again, or two
//! files that overlap, give the same message ids and so no second effect.
//!
//! # Formats
//! - *Own*: the words of our webhook contract, one column each: `event`, `conversion_id`, `reversal_id`, `type`, `occurred_at`,
//!   `amount`, `currency`, `click_id`, `referral_code`, `session_id`, `user_id`, `reason`.
//! - *Dub*, exported commissions: the columns `id`, `type`, `amount`, `earnings`, `currency`, `status`, `invoiceId`, `quantity`,
//!   `createdAt`, `customerId`, `customerExternalId`, … (`COMMISSION_EXPORT_COLUMNS` in dubinc/dub, `apps/web/lib/zod/schemas/commissions.ts`;
//!   the words of `type` and `status` are in Dub's OpenAPI document, `GET /commissions`). `amount` is the sale's, `earnings` the partner's.
//!   Newer exports write amounts as `$49.00`, older ones as minor units, `4900` (`format-commissions-for-export.ts` there), which
//!   [`AmountUnit::Marked`] tells apart. Exported sale events have `Date`, `Event`, `Invoice ID`, `Sale Amount` (always dollars) and
//!   `Click ID` (`apps/web/lib/analytics/events-export-helpers.ts`).
//! - *Rewardful*: the columns of its CSV export are not documented. Taken are the field names of its API's commission and sale
//!   (<https://developers.rewardful.com/rest-api/commissions/object>): `sale_amount_cents`, `refund_amount_cents`, `charged_at`,
//!   `stripe_charge_id`, `state`, `link token`, … with and without the prefix `sale`, in any spelling of spaces and capitals. What else an
//!   export calls them has to be mapped by hand.

mod format;
mod mapping;
mod row;
mod table;
mod value;

#[cfg(test)]
mod tests;

pub use format::Format;
pub use mapping::{AmountUnit, Field, InvalidMapping, Mapping, RowKind};
pub use row::{ImportedEvent, ImportedRow, RowError, rows};
pub(crate) use table::line_of;
pub use table::{BYTES_MAX, COLUMNS_MAX, ROWS_MAX, Row, Table, TableError};
