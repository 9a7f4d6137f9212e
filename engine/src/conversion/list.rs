//! Conversions as people look for them: filtered, searched, sorted, a page at a time, or all of them as a file.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeZone, Utc};
use domain::{
    ConversionId, Money, PartnerId, SiteId,
    auth::Principal,
    conversion::{ConversionState, ConversionType, Source},
    export::{csv, guard_cell},
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::currency;
use crate::{Engine, Error, Result, access::require_read};

const PAGE_LENGTH: usize = 50;

/// 100,000: some 20 MB of CSV, more than a spreadsheet likes; a narrower filter or period comes below it.
pub const EXPORT_LINES_MAX: usize = 100_000;

/// Stands in the place of a currency where there is no commission, after all real ones.
const NO_CURRENCY: &str = "ZZZ";

/// Which conversions to list; what is empty admits all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub partner_id: Option<PartnerId>,
    /// Any of them.
    pub states: Vec<ConversionState>,
    pub conversion_type: Option<ConversionType>,
    pub source: Option<Source>,
    /// Happened at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Happened before this time.
    pub to: Option<DateTime<Utc>>,
    /// Part of the external id, a referral code, or the partner's name of the customer, or our id; upper and lower case are alike.
    pub search: Option<String>,
    pub sort: Sort,
    pub after: Option<Cursor>,
}

/// In what order. Amounts are compared within their currency only: one currency comes after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Newest,
    Oldest,
    /// The largest value first.
    Value,
    /// The largest commission first; those without one come last.
    Commission,
}

/// The place of a line in its order: a page begins after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    place: Place,
    conversion_id: ConversionId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Time(DateTime<Utc>),
    Amount { currency: String, amount_minor: i64 },
}

/// The text is no cursor that a page handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place in the list")]
pub struct InvalidCursor(pub String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Time(at) => write!(f, "at.{}.{}", at.timestamp_micros(), self.conversion_id),
            Place::Amount { currency, amount_minor } => write!(f, "{currency}.{amount_minor}.{}", self.conversion_id),
        }
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let read = || {
            let mut parts = text.split('.');
            let (kind, number, id) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let place = match kind {
                "at" => Place::Time(Utc.timestamp_micros(number).single()?),
                code if code.len() == 3 => Place::Amount { currency: code.to_owned(), amount_minor: number },
                _ => return None,
            };
            parts.next().is_none().then_some(Self { place, conversion_id: id })
        };
        read().ok_or_else(|| InvalidCursor(text.to_owned()))
    }
}

/// A conversion in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub conversion_id: ConversionId,
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub external_event_id: String,
    pub conversion_type: ConversionType,
    pub source: Source,
    pub occurred_at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub value: Money,
    /// What refunds took back, in the value's currency.
    pub reversed_minor: i64,
    pub state: ConversionState,
    pub state_reason: Option<String>,
    /// What the sender told.
    pub referral_code: Option<String>,
    pub user_identifier: Option<String>,
    /// Commission and bonus, in the payout currency.
    pub commission: Option<Money>,
    /// `pending`, `approved`, `invoiced`, `paid` or `reversed`.
    pub commission_state: Option<String>,
    /// Clicks that share in the credit.
    pub touches: i64,
    /// Of the last touch.
    pub site: Option<(SiteId, String)>,
    pub matched_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub lines: Vec<Line>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// A page of conversions, 50 of them.
///
/// # Errors
/// Refuses who may not read; [`Error::Invalid`] if the cursor is of another order.
pub async fn list(engine: &Engine, who: &Principal, filter: &Filter) -> Result<Page> {
    require_read(who, "see conversions")?;
    let mut lines = select(&mut *engine.db.acquire().await?, filter, PAGE_LENGTH + 1).await?;
    let more = lines.len() > PAGE_LENGTH;
    lines.truncate(PAGE_LENGTH);
    let next = lines.last().filter(|_| more).map(|last| cursor_of(last, filter.sort));
    Ok(Page { lines, next })
}

/// All conversions that fit as CSV, in the list's order; amounts in major units, times in UTC.
///
/// # Errors
/// As [`list`]; [`Error::Invalid`] if more than [`EXPORT_LINES_MAX`] fit, since a file that was cut would be taken for the whole.
pub async fn export(engine: &Engine, who: &Principal, filter: &Filter) -> Result<String> {
    require_read(who, "export conversions")?;
    let whole = Filter { after: None, ..filter.clone() };
    let lines = select(&mut *engine.db.acquire().await?, &whole, EXPORT_LINES_MAX + 1).await?;
    if lines.len() > EXPORT_LINES_MAX {
        return Err(Error::invalid(
            "from",
            format!("more than {EXPORT_LINES_MAX} conversions fit: choose a shorter period or one partner"),
        ));
    }
    let head = [
        "conversion_id",
        "partner",
        "external_event_id",
        "type",
        "source",
        "occurred_at",
        "received_at",
        "value",
        "reversed",
        "currency",
        "state",
        "reason",
        "referral_code",
        "customer",
        "touches",
        "matched_by",
        "site",
        "commission",
        "commission_currency",
        "commission_state",
    ];
    let head = head.iter().map(ToString::to_string).collect();
    Ok(csv(std::iter::once(head).chain(lines.iter().map(cells))))
}

/// One conversion as the list shows it.
pub(super) async fn find_line(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Option<Line>> {
    let filter = Filter { search: Some(conversion_id.to_string()), ..Filter::default() };
    let lines = select(connection, &filter, 1).await?;
    Ok(lines.into_iter().find(|line| line.conversion_id == conversion_id))
}

fn cells(line: &Line) -> Vec<String> {
    let foreign = |text: Option<&str>| text.map(guard_cell).unwrap_or_default();
    let commission = line.commission;
    vec![
        line.conversion_id.to_string(),
        line.partner_id.to_string(),
        guard_cell(&line.external_event_id),
        word(&line.conversion_type),
        word(&line.source),
        line.occurred_at.to_rfc3339(),
        line.received_at.to_rfc3339(),
        line.value.to_decimal().to_string(),
        Money::new(line.reversed_minor, line.value.currency).to_decimal().to_string(),
        line.value.currency.code().to_owned(),
        word(&line.state),
        foreign(line.state_reason.as_deref()),
        foreign(line.referral_code.as_deref()),
        foreign(line.user_identifier.as_deref()),
        line.touches.to_string(),
        line.matched_by.clone().unwrap_or_default(),
        foreign(line.site.as_ref().map(|(_, name)| name.as_str())),
        commission.map(|amount| amount.to_decimal().to_string()).unwrap_or_default(),
        commission.map(|amount| amount.currency.code().to_owned()).unwrap_or_default(),
        line.commission_state.clone().unwrap_or_default(),
    ]
}

/// The word that stands for a state, type or source in the database and in files.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn cursor_of(line: &Line, sort: Sort) -> Cursor {
    let amount = |money: Option<Money>| Place::Amount {
        currency: money.map_or(NO_CURRENCY, |money| money.currency.code()).to_owned(),
        amount_minor: money.map_or(0, |money| money.amount_minor),
    };
    let place = match sort {
        Sort::Newest | Sort::Oldest => Place::Time(line.occurred_at),
        Sort::Value => amount(Some(line.value)),
        Sort::Commission => amount(line.commission),
    };
    Cursor { place, conversion_id: line.conversion_id }
}

impl Sort {
    /// By what amounts are sorted, as (currency, minor units).
    fn amount_columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Newest | Self::Oldest => ("''", "0"),
            Self::Value => ("c.currency", "c.value_minor"),
            Self::Commission => ("coalesce(m.currency, 'ZZZ')", "coalesce(m.final_minor + m.bonus_minor, 0)"),
        }
    }

    fn order(self) -> &'static str {
        match self {
            Self::Newest => " order by occurred_at desc, conversion_id desc",
            Self::Oldest => " order by occurred_at, conversion_id",
            Self::Value | Self::Commission => " order by sort_currency, sort_minor desc, conversion_id desc",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    conversion_id: ConversionId,
    partner_id: PartnerId,
    partner_name: String,
    external_event_id: String,
    conversion_type: ConversionType,
    source: Source,
    occurred_at: DateTime<Utc>,
    received_at: DateTime<Utc>,
    value_minor: i64,
    reversed_minor: i64,
    currency: String,
    state: ConversionState,
    state_reason: Option<String>,
    referral_code: Option<String>,
    user_identifier: Option<String>,
    commission_minor: Option<i64>,
    commission_currency: Option<String>,
    commission_state: Option<String>,
    touches: i64,
    site_id: Option<SiteId>,
    site_name: Option<String>,
    matched_by: Option<String>,
}

impl TryFrom<Row> for Line {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let commission = match (row.commission_minor, row.commission_currency) {
            (Some(minor), Some(code)) => Some(Money::new(minor, currency(&code)?)),
            _ => None,
        };
        Ok(Self {
            conversion_id: row.conversion_id,
            partner_id: row.partner_id,
            partner_name: row.partner_name,
            external_event_id: row.external_event_id,
            conversion_type: row.conversion_type,
            source: row.source,
            occurred_at: row.occurred_at,
            received_at: row.received_at,
            value: Money::new(row.value_minor, currency(&row.currency)?),
            reversed_minor: row.reversed_minor,
            state: row.state,
            state_reason: row.state_reason,
            referral_code: row.referral_code,
            user_identifier: row.user_identifier,
            commission,
            commission_state: row.commission_state,
            touches: row.touches,
            site: row.site_id.zip(row.site_name),
            matched_by: row.matched_by,
        })
    }
}

/// Finds the page's ids first, so that what is looked up beside them is looked up for its lines only.
async fn select(connection: &mut PgConnection, filter: &Filter, limit: usize) -> Result<Vec<Line>> {
    let (sort_currency, sort_minor) = filter.sort.amount_columns();
    let mut query = QueryBuilder::<Postgres>::new("with page as (select c.conversion_id, c.occurred_at, ");
    query.push(sort_currency).push(" as sort_currency, ").push(sort_minor).push(" as sort_minor");
    query.push(" from conversions c left join commissions m on m.conversion_id = c.conversion_id where true");
    push_filter(&mut query, filter);
    push_cursor(&mut query, filter)?;
    query.push(filter.sort.order()).push(" limit ").push_bind(i64::try_from(limit).map_err(Error::internal)?);
    query.push(
        ") select c.conversion_id, c.partner_id, p.display_name as partner_name, c.external_event_id, c.conversion_type, c.source,
                  c.occurred_at, c.received_at, c.value_minor, c.reversed_minor, c.currency, c.state, c.state_reason, c.referral_code,
                  c.user_identifier, m.final_minor + m.bonus_minor as commission_minor, m.currency as commission_currency,
                  m.state as commission_state, coalesce(last.touches, 0) as touches, last.site_id, last.site_name, last.matched_by
           from page
           join conversions c using (conversion_id)
           join partners p on p.partner_id = c.partner_id
           left join commissions m on m.conversion_id = c.conversion_id
           left join lateral (
               select a.site_id, s.name as site_name, a.matched_by, count(*) over () as touches
               from attributions a left join sites s on s.site_id = a.site_id
               where a.conversion_id = c.conversion_id
               order by position desc
               limit 1
           ) last on true",
    );
    query.push(filter.sort.order().replace("occurred_at", "page.occurred_at").replace("conversion_id", "page.conversion_id"));
    let rows: Vec<Row> = query.build_query_as().fetch_all(connection).await?;
    rows.into_iter().map(Line::try_from).collect()
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if let Some(partner_id) = &filter.partner_id {
        query.push(" and c.partner_id = ").push_bind(partner_id.to_string());
    }
    if !filter.states.is_empty() {
        let states: Vec<String> = filter.states.iter().map(word).collect();
        query.push(" and c.state = any(").push_bind(states).push(")");
    }
    if let Some(conversion_type) = filter.conversion_type {
        query.push(" and c.conversion_type = ").push_bind(word(&conversion_type));
    }
    if let Some(source) = filter.source {
        query.push(" and c.source = ").push_bind(word(&source));
    }
    if let Some(from) = filter.from {
        query.push(" and c.occurred_at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" and c.occurred_at < ").push_bind(to);
    }
    if let Some(search) = &filter.search {
        push_search(query, search.trim());
    }
}

fn push_search(query: &mut QueryBuilder<Postgres>, search: &str) {
    if let Ok(conversion_id) = search.parse::<ConversionId>() {
        query.push(" and c.conversion_id = ").push_bind(conversion_id.0);
        return;
    }
    let pattern = format!("%{}%", search.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"));
    for (column, before) in [("external_event_id", " and ("), ("referral_code", " or "), ("user_identifier", " or ")] {
        query.push(before).push("c.").push(column).push(" ilike ").push_bind(pattern.clone());
    }
    query.push(" or c.conversion_id in (select conversion_id from attributions where referral_code ilike ").push_bind(pattern).push("))");
}

fn push_cursor(query: &mut QueryBuilder<Postgres>, filter: &Filter) -> Result<()> {
    let Some(Cursor { place, conversion_id }) = &filter.after else { return Ok(()) };
    match (filter.sort, place) {
        (Sort::Newest | Sort::Oldest, Place::Time(at)) => {
            let sign = if filter.sort == Sort::Newest { "<" } else { ">" };
            query.push(" and (c.occurred_at, c.conversion_id) ").push(sign).push(" (").push_bind(*at);
            query.push(", ").push_bind(conversion_id.0).push(")");
        }
        (Sort::Value | Sort::Commission, Place::Amount { currency, amount_minor }) => {
            let (sort_currency, sort_minor) = filter.sort.amount_columns();
            query.push(" and (").push(sort_currency).push(" > ").push_bind(currency.clone());
            query.push(" or ").push(sort_currency).push(" = ").push_bind(currency.clone());
            query.push(" and (").push(sort_minor).push(", c.conversion_id) < (").push_bind(*amount_minor);
            query.push(", ").push_bind(conversion_id.0).push("))");
        }
        _ => return Err(Error::invalid("after", "the place is one of another order")),
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_other_texts_are_refused() {
        let id = "0192b7a0-0000-7000-8000-000000000001";
        for text in [format!("at.1795384800123456.{id}"), format!("USD.-4900.{id}"), format!("ZZZ.0.{id}")] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for wrong in ["", "7", "at.1", "at.x.y", &format!("DOLLAR.1.{id}"), &format!("at.1.{id}.2"), &format!("at.{}.{id}", i64::MAX)] {
            assert_eq!(wrong.parse::<Cursor>(), Err(InvalidCursor(wrong.to_owned())));
        }
    }
}
