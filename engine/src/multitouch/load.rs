//! What a report reads: clicks, conversions, and which sessions are the same customer's.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::{conversion::ConversionState, dashboard::Period};
use futures::TryStreamExt;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{By, LeftOut, Question, paths::Click};
use crate::{Error, Result};

/// Clicks in the order of time, with numbers for who clicked and for what they went through.
#[derive(Default)]
pub(super) struct Seen {
    pub clicks: Vec<Click>,
    /// Sessions, and clicks without one, each of which is somebody of its own.
    pub visitors: HashMap<Uuid, u32>,
    /// Ids of partners or sites.
    pub channels: HashMap<String, u32>,
    pub cut_at: Option<DateTime<Utc>>,
}

pub(super) async fn clicks(connection: &mut PgConnection, question: Question, limit: usize) -> Result<Seen> {
    let mut rows = sqlx::query!(
        r#"select clicked_at, coalesce(session_id, click_id) as "visitor!", case when $3 then site_id::text else partner_id end as "channel!"
           from clicks
           where clicked_at >= $1 and clicked_at < $2 and not bot
           order by clicked_at, click_id
           limit $4"#,
        question.period.from,
        question.period.to,
        question.by == By::Site,
        one_more(limit),
    )
    .fetch(connection);
    let mut seen = Seen::default();
    while let Some(row) = rows.try_next().await? {
        if seen.clicks.len() == limit {
            seen.cut_at = Some(row.clicked_at);
            break;
        }
        let visitor = number_of(&mut seen.visitors, row.visitor)?;
        let channel = number_of(&mut seen.channels, row.channel)?;
        seen.clicks.push(Click { visitor, at: row.clicked_at, channel });
    }
    Ok(seen)
}

/// The number of a key, the next one if it is new.
fn number_of<Key: std::hash::Hash + Eq>(numbers: &mut HashMap<Key, u32>, key: Key) -> Result<u32> {
    let next = u32::try_from(numbers.len()).map_err(Error::internal)?;
    Ok(*numbers.entry(key).or_insert(next))
}

/// Limits are far below the largest number.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}

/// A conversion as far as it matters here.
pub(super) struct Sale {
    pub occurred_at: DateTime<Utc>,
    pub partner_id: String,
    pub user_identifier: Option<String>,
    pub session_id: Option<Uuid>,
    /// Who made the last of the clicks that it is attributed to.
    pub visitor: Option<Uuid>,
    pub value_minor: i64,
    pub reversed_minor: i64,
    pub currency: String,
    state: ConversionState,
}

impl Sale {
    pub fn left_out(&self) -> Option<fn(&mut LeftOut) -> &mut usize> {
        match self.state {
            ConversionState::Unattributed | ConversionState::Expired | ConversionState::Refused => Some(|left| &mut left.unattributed),
            ConversionState::Attributed | ConversionState::Held if self.value_minor > 0 && self.reversed_minor >= self.value_minor => {
                Some(|left| &mut left.reversed)
            }
            ConversionState::Attributed | ConversionState::Held => None,
        }
    }
}

pub(super) struct Sales {
    /// In the order of time.
    pub sales: Vec<Sale>,
    pub cut_at: Option<DateTime<Utc>>,
}

pub(super) async fn sales(connection: &mut PgConnection, period: Period, limit: usize) -> Result<Sales> {
    let mut sales = sqlx::query_as!(
        Sale,
        r#"select occurred_at, partner_id, user_identifier, session_id, value_minor, reversed_minor, currency, state as "state: ConversionState",
                  (select coalesce(k.session_id, k.click_id)
                   from attributions a join clicks k on k.click_id = a.click_id and k.clicked_at = a.clicked_at
                   where a.conversion_id = c.conversion_id
                   order by a.clicked_at desc, a.click_id desc
                   limit 1) as visitor
           from conversions c
           where occurred_at >= $1 and occurred_at < $2
           order by occurred_at, conversion_id
           limit $3"#,
        period.from,
        period.to,
        one_more(limit),
    )
    .fetch_all(connection)
    .await?;
    let cut_at = sales.get(limit).map(|first_left_out| first_left_out.occurred_at);
    sales.truncate(limit);
    Ok(Sales { sales, cut_at })
}

/// The sessions of each customer of a partner, as far as they clicked in the period.
pub(super) type Identified = BTreeMap<(String, String), Vec<Uuid>>;

pub(super) async fn identified(connection: &mut PgConnection, period: Period) -> Result<Identified> {
    let rows = sqlx::query!(
        "select partner_id, user_identifier, session_id
         from customer_sessions
         where session_id in (select session_id from clicks where clicked_at >= $1 and clicked_at < $2 and not bot)
         order by partner_id, user_identifier, session_id",
        period.from,
        period.to,
    )
    .fetch_all(connection)
    .await?;
    let mut identified = Identified::new();
    for row in rows {
        identified.entry((row.partner_id, row.user_identifier)).or_default().push(row.session_id);
    }
    Ok(identified)
}
