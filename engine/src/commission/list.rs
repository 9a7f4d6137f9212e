//! Commissions as operators see them: filtered, sorted, a page at a time, with what each state comes to.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use domain::{CommissionId, ConversionId, PartnerId, StatementId, auth::Principal, money::Money};

use crate::{Engine, Result, access::require_read, conversion::currency};

/// Commissions on a page.
pub const PAGE_LENGTH: i64 = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum State {
    /// The hold period runs, or somebody holds it back.
    Pending,
    Approved,
    /// On a statement.
    Invoiced,
    Paid,
    /// The whole value was taken back.
    Reversed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Sort {
    /// By the time of the conversion.
    #[default]
    Newest,
    Oldest,
    /// What is approved next comes first.
    Due,
    Largest,
}

/// Which commissions to list; the first page is 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub state: Option<State>,
    pub partner_id: Option<PartnerId>,
    /// Only those that somebody holds back.
    pub held_back: bool,
    /// A part of the partner's id of the conversion.
    pub search: Option<String>,
    /// Of the conversions' days in UTC, both included.
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    pub sort: Sort,
    pub page: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub commission_id: CommissionId,
    pub conversion_id: ConversionId,
    pub external_event_id: String,
    pub partner_id: PartnerId,
    pub occurred_at: DateTime<Utc>,
    pub value: Money,
    /// Commission and bonus together.
    pub amount: Money,
    pub state: State,
    pub hold_until: DateTime<Utc>,
    pub hold_reason: Option<String>,
    pub approved_at: Option<DateTime<Utc>>,
    pub approved_by: Option<String>,
    /// The first statement that it stands on.
    pub statement: Option<(StatementId, String)>,
}

/// What one state comes to in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub state: State,
    pub commissions: i64,
    pub held_back: i64,
    pub amount: Money,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub commissions: Vec<Listed>,
    /// On all pages.
    pub count: i64,
    /// Under the same filter, but of every state.
    pub sums: Vec<Sum>,
}

/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal, filter: &Filter) -> Result<Page> {
    require_read(who, "see commissions")?;
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let partner_id = filter.partner_id.as_ref().map(PartnerId::as_str);
    let search = filter.search.as_deref().map(str::trim).filter(|search| !search.is_empty());
    let from = filter.from.map(midnight);
    let until = filter.to.and_then(|day| day.checked_add_days(Days::new(1))).map(midnight);
    let rows = sqlx::query!(
        r#"select c.commission_id as "commission_id: CommissionId", c.conversion_id as "conversion_id: ConversionId", v.external_event_id,
                  c.partner_id as "partner_id: PartnerId", v.occurred_at, v.value_minor, v.currency as value_currency,
                  c.final_minor + c.bonus_minor as "amount_minor!", c.currency, c.state as "state: State", c.hold_until, c.hold_reason, c.approved_at,
                  c.approved_by, s.statement_id as "statement_id?: StatementId", s.number as "number?"
           from commissions c
           join conversions v using (conversion_id)
           left join lateral (
               select statement_id, number
               from ledger_transactions t join statement_lines using (ledger_transaction_id) join statements using (statement_id)
               where t.commission_id = c.commission_id
               order by month
               limit 1
           ) s on true
           where ($1::text is null or c.state = $1) and ($2::text is null or c.partner_id = $2) and (not $3 or c.hold_reason is not null)
                 and ($4::text is null or strpos(lower(v.external_event_id), lower($4)) > 0)
                 and ($5::timestamptz is null or v.occurred_at >= $5) and ($6::timestamptz is null or v.occurred_at < $6)
           order by case when $7 = 'newest' then v.occurred_at end desc,
                    case when $7 = 'oldest' then v.occurred_at end,
                    case when $7 = 'due' then c.hold_until end,
                    case when $7 = 'largest' then c.final_minor + c.bonus_minor end desc,
                    c.commission_id desc
           limit $8 offset $9"#,
        filter.state as _,
        partner_id,
        filter.held_back,
        search,
        from,
        until,
        filter.sort as _,
        PAGE_LENGTH,
        (filter.page.max(1) - 1).saturating_mul(PAGE_LENGTH),
    )
    .fetch_all(&engine.db)
    .await?;
    let commissions = rows.into_iter().map(|row| {
        Ok(Listed {
            commission_id: row.commission_id,
            conversion_id: row.conversion_id,
            external_event_id: row.external_event_id,
            partner_id: row.partner_id,
            occurred_at: row.occurred_at,
            value: Money::new(row.value_minor, currency(&row.value_currency)?),
            amount: Money::new(row.amount_minor, currency(&row.currency)?),
            state: row.state,
            hold_until: row.hold_until,
            hold_reason: row.hold_reason,
            approved_at: row.approved_at,
            approved_by: row.approved_by,
            statement: row.statement_id.zip(row.number),
        })
    });
    let commissions = commissions.collect::<Result<Vec<_>>>()?;
    let sums = sqlx::query!(
        r#"select c.state as "state: State", c.currency, count(*) as "commissions!", count(c.hold_reason) as "held_back!",
                  sum(c.final_minor + c.bonus_minor)::bigint as "amount_minor!"
           from commissions c join conversions v using (conversion_id)
           where ($1::text is null or c.partner_id = $1) and (not $2 or c.hold_reason is not null)
                 and ($3::text is null or strpos(lower(v.external_event_id), lower($3)) > 0)
                 and ($4::timestamptz is null or v.occurred_at >= $4) and ($5::timestamptz is null or v.occurred_at < $5)
           group by c.state, c.currency
           order by c.currency"#,
        partner_id,
        filter.held_back,
        search,
        from,
        until,
    )
    .fetch_all(&engine.db)
    .await?;
    let sums = sums.into_iter().map(|row| {
        let amount = Money::new(row.amount_minor, currency(&row.currency)?);
        Ok(Sum { state: row.state, commissions: row.commissions, held_back: row.held_back, amount })
    });
    let sums = sums.collect::<Result<Vec<_>>>()?;
    let count = sums.iter().filter(|sum| filter.state.is_none_or(|state| state == sum.state)).map(|sum| sum.commissions).sum();
    Ok(Page { commissions, count, sums })
}
