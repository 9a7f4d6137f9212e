//! The multi-touch report of the whole programme: how much each partner, or each site, took part in the conversions of a period.
//!
//! It pays nobody. What pays is [`attribution`](crate::attribution), order by order; its figures stand beside, for comparison. The
//! journeys are real: the clicks of a person (bots and prefetches left out) in the order of time. Sessions that a partner named as the
//! same customer's are one person's. A path ends with a conversion, or with the period; clicks after a conversion begin a new one, and
//! a conversion without a click since the one before, such as a renewal, counts for the same path again. `paths.rs` cuts them,
//! [`domain::multitouch`] shares out the conversions.
//!
//! What counts as a conversion here: it was attributed, and not wholly taken back. How many do not is told by [`LeftOut`].

mod csv;
mod paths;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    str::FromStr,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Currency, Money,
    auth::Principal,
    conversion::ConversionState,
    dashboard::{InvalidRange, MAX_CUSTOM_DAYS, Period, Range},
    multitouch::{CHANNELS_MAX, ChannelReport, Credits},
};
use futures::TryStreamExt;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::Serialize;
use sqlx::PgConnection;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{Engine, Error, Result, access::require_read, conversion::currency};
use paths::{Click, Cut, Outcome, Persons};

pub use csv::to_csv;

/// 2 million: about ten seconds on two busy cores, and 300 MB. A longer period is cut at this click and says so.
pub const CLICKS_MAX: usize = 2_000_000;

/// 500,000, each of which is looked up in two indexes. A longer period is cut at this conversion and says so.
pub const CONVERSIONS_MAX: usize = 500_000;

/// Each takes memory; the others wait.
static RUNNING: Semaphore = Semaphore::const_new(2);

/// What a step of a path is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    #[default]
    Partner,
    Site,
}

impl By {
    pub const ALL: [Self; 2] = [Self::Partner, Self::Site];

    /// As it stands in a query.
    pub fn name(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Site => "site",
        }
    }

    /// The one channel of all those beyond [`CHANNELS_MAX`]. No id has a blank in it.
    fn rest(self) -> &'static str {
        match self {
            Self::Partner => "other partners",
            Self::Site => "other sites",
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for By {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|by| by.name() == text).ok_or_else(|| format!("`{text}` is neither partner nor site"))
    }
}

/// What a report is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub by: By,
    pub period: Period,
    /// Of the values; without one, that of the most conversions.
    pub currency: Option<Currency>,
}

impl Question {
    /// Reads a query's values; an empty one is not given. Without days it is the last 30.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the value that is wrong: `channel`, `from`, `to` or `currency`.
    pub fn read(channel: &str, from: &str, to: &str, currency: &str, now: DateTime<Utc>) -> Result<Self> {
        let by = if channel.is_empty() { By::default() } else { channel.parse().map_err(|error| Error::invalid("channel", error))? };
        let range = Range::parse(None, Some(from), Some(to)).map_err(|error| match error {
            InvalidRange::NotADate { field, .. } | InvalidRange::MissingDay(field) => Error::invalid(field, error),
            error => Error::invalid("to", error),
        })?;
        let code = currency.trim().to_ascii_uppercase();
        let currency =
            if code.is_empty() { None } else { Some(code.parse().map_err(|_| Error::invalid("currency", unknown_currency(currency)))?) };
        Ok(Self { by, period: range.period(now), currency })
    }
}

fn unknown_currency(text: &str) -> String {
    format!("`{text}` is not a currency such as USD")
}

/// How much each channel took part, under each model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MultitouchReport {
    pub by: By,
    /// As it was asked for.
    pub period: Period,
    /// There are more clicks or conversions than a report takes: from this time on they were not looked at.
    pub cut_at: Option<DateTime<Utc>>,
    /// Clicks of people.
    pub clicks: usize,
    /// People as far as sessions tell: joined where they are known to be the same customer's.
    pub people: usize,
    /// Different ways through the channels.
    pub paths: usize,
    /// Conversions that are shared out.
    pub conversions: usize,
    /// Paths that ended without a conversion.
    pub nulls: usize,
    /// Of the conversions in this one currency, less what was taken back.
    pub value: Money,
    /// Every currency with its number of conversions; values in others than that of [`MultitouchReport::value`] are left out.
    pub currencies: Vec<(Currency, usize)>,
    pub left_out: LeftOut,
    /// Channels that were put together, those with the fewest clicks.
    pub folded: usize,
    /// Those with the largest part under the Markov model with null paths first.
    pub channels: Vec<Channel>,
}

/// Conversions of the period that are not shared out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// No click claims them, or they were refused.
    pub unattributed: usize,
    /// Refunds took all of their value.
    pub reversed: usize,
    /// Their clicks lie before the period, or are not known.
    pub without_click: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Channel {
    /// The id of the partner or site, or what stands for the rest.
    pub key: String,
    pub name: String,
    /// Whether this is all those that have no line of their own.
    pub is_rest: bool,
    pub clicks: usize,
    /// In conversions.
    pub conversions: Credits,
    /// In minor units of the report's currency.
    pub value_minor: Credits,
    /// Part of the conversions that would be lost without the channel, 0 to 1.
    pub removal_effect_with_nulls: f64,
    pub removal_effect_without_nulls: f64,
    /// Conversions by the rule that pays: the sum of shares.
    pub per_order: Decimal,
    /// Commission and bonus by the rule that pays, by currency.
    pub commissions: Vec<Commission>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commission {
    pub booked: Money,
    /// What of it the partner has paid.
    pub paid: Money,
}

#[derive(Clone, Copy)]
struct Limits {
    clicks: usize,
    conversions: usize,
    channels: usize,
}

/// Shares out the conversions of a period among its channels under every model. It changes nothing and pays nobody; the same rows give
/// the same report, byte for byte.
///
/// # Errors
/// Refuses who may not read; [`Error::Invalid`] names a period that is empty or longer than [`MAX_CUSTOM_DAYS`].
pub async fn report(engine: &Engine, who: &Principal, question: Question) -> Result<MultitouchReport> {
    report_within(engine, who, question, Limits { clicks: CLICKS_MAX, conversions: CONVERSIONS_MAX, channels: CHANNELS_MAX }).await
}

async fn report_within(engine: &Engine, who: &Principal, question: Question, limits: Limits) -> Result<MultitouchReport> {
    require_read(who, "see the attribution report")?;
    check(question.period)?;
    let _turn = RUNNING.acquire().await.map_err(Error::internal)?;

    // One snapshot for all that follows, and Postgres refuses to write in it.
    let mut tx = engine.db.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let mut seen = load_clicks(&mut tx, question, limits.clicks).await?;
    let sales = load_sales(&mut tx, question.period, limits.conversions).await?;
    let cut_at = seen.cut_at.into_iter().chain(sales.cut_at).min();
    let end = cut_at.unwrap_or(question.period.to);
    seen.clicks.retain(|click| click.at < end);
    let sales: Vec<Sale> = sales.sales.into_iter().filter(|sale| sale.occurred_at < end).collect();
    let identified = load_identified(&mut tx, Period { to: end, ..question.period }).await?;
    let booked = load_booked(&mut tx, question.by, Period { to: end, ..question.period }).await?;

    let task = move || compute(question, cut_at, seen, &sales, &identified, limits.channels);
    let (mut report, keys) = tokio::task::spawn_blocking(task).await.map_err(Error::internal)??;
    add_booked(&mut report, &keys, booked);
    name(&mut tx, &mut report).await?;
    Ok(report)
}

fn check(period: Period) -> Result<()> {
    let Period { from, to } = period;
    if from >= to {
        return Err(Error::invalid("to", format!("the period from {from} to {to} holds no time that has passed")));
    }
    if to - from > TimeDelta::days(MAX_CUSTOM_DAYS) {
        return Err(Error::invalid("to", format!("the period from {from} to {to} is longer than {MAX_CUSTOM_DAYS} days")));
    }
    Ok(())
}

/// Clicks in the order of time, with numbers for who clicked and for what they went through.
#[derive(Default)]
struct Seen {
    clicks: Vec<Click>,
    /// Sessions, and clicks without one, each of which is somebody of its own.
    visitors: HashMap<Uuid, u32>,
    /// Ids of partners or sites.
    channels: HashMap<String, u32>,
    cut_at: Option<DateTime<Utc>>,
}

async fn load_clicks(connection: &mut PgConnection, question: Question, limit: usize) -> Result<Seen> {
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
struct Sale {
    occurred_at: DateTime<Utc>,
    partner_id: String,
    user_identifier: Option<String>,
    session_id: Option<Uuid>,
    /// Who made the last of the clicks that it is attributed to.
    visitor: Option<Uuid>,
    value_minor: i64,
    reversed_minor: i64,
    currency: String,
    state: ConversionState,
}

impl Sale {
    fn left_out(&self) -> Option<fn(&mut LeftOut) -> &mut usize> {
        match self.state {
            ConversionState::Unattributed | ConversionState::Expired | ConversionState::Refused => Some(|left| &mut left.unattributed),
            ConversionState::Attributed | ConversionState::Held if self.value_minor > 0 && self.reversed_minor >= self.value_minor => {
                Some(|left| &mut left.reversed)
            }
            ConversionState::Attributed | ConversionState::Held => None,
        }
    }
}

struct Sales {
    /// In the order of time.
    sales: Vec<Sale>,
    cut_at: Option<DateTime<Utc>>,
}

async fn load_sales(connection: &mut PgConnection, period: Period, limit: usize) -> Result<Sales> {
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
type Identified = BTreeMap<(String, String), Vec<Uuid>>;

async fn load_identified(connection: &mut PgConnection, period: Period) -> Result<Identified> {
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

/// What the rule that pays gave a channel.
#[derive(Default)]
struct Booked {
    per_order: Decimal,
    /// Booked and paid, in minor units.
    by_currency: BTreeMap<Currency, (i64, i64)>,
}

async fn load_booked(connection: &mut PgConnection, by: By, period: Period) -> Result<BTreeMap<String, Booked>> {
    let rows = sqlx::query!(
        r#"select case when $3 then a.site_id::text else c.partner_id end as "channel!", m.currency as "currency?", sum(a.share) as "share!",
                  coalesce(sum(a.commission_minor) filter (where m.commission_id is not null), 0)::bigint as "booked!",
                  coalesce(sum(a.commission_minor) filter (where m.state = 'paid'), 0)::bigint as "paid!"
           from conversions c join attributions a using (conversion_id) left join commissions m using (conversion_id)
           where c.occurred_at >= $1 and c.occurred_at < $2 and not (c.value_minor > 0 and c.reversed_minor >= c.value_minor)
           group by 1, 2"#,
        period.from,
        period.to,
        by == By::Site,
    )
    .fetch_all(connection)
    .await?;
    let mut channels = BTreeMap::<String, Booked>::new();
    for row in rows {
        let channel = channels.entry(row.channel).or_default();
        channel.per_order += row.share;
        if let Some(code) = row.currency {
            let sums = channel.by_currency.entry(currency(&code)?).or_default();
            *sums = (sums.0 + row.booked, sums.1 + row.paid);
        }
    }
    Ok(channels)
}

/// The report but for names and what was booked, and the ids that have a line of their own.
fn compute(
    question: Question,
    cut_at: Option<DateTime<Utc>>,
    mut seen: Seen,
    sales: &[Sale],
    identified: &Identified,
    channels_max: usize,
) -> Result<(MultitouchReport, Vec<String>)> {
    let rest = question.by.rest();
    let mut keys = vec![String::new(); seen.channels.len()];
    for (key, number) in seen.channels.drain() {
        keys[number as usize] = key;
    }
    let (keys, folded) = paths::fold(&mut seen.clicks, keys, channels_max, rest);

    let mut persons = Persons::new(seen.visitors.len());
    for sessions in identified.values() {
        let numbers: Vec<u32> = sessions.iter().filter_map(|session| seen.visitors.get(session).copied()).collect();
        numbers.windows(2).for_each(|pair| persons.join(pair[0], pair[1]));
    }
    let mut left_out = LeftOut::default();
    let mut counted = Vec::new();
    let mut currencies = BTreeMap::<Currency, usize>::new();
    for sale in sales {
        match sale.left_out() {
            Some(counter) => *counter(&mut left_out) += 1,
            None => {
                let code = currency(&sale.currency)?;
                *currencies.entry(code).or_default() += 1;
                counted.push((sale, code));
            }
        }
    }
    let most = currencies.iter().max_by_key(|(code, count)| (**count, std::cmp::Reverse(**code))).map(|(code, _)| *code);
    let chosen = question.currency.or(most).unwrap_or(Currency::USD);
    let outcome = |(sale, code): &(&Sale, Currency)| Outcome {
        visitor: visitor_of(sale, &seen.visitors, identified),
        at: sale.occurred_at,
        value_minor: if *code == chosen { sale.value_minor - sale.reversed_minor } else { 0 },
    };
    let outcomes = counted.iter().map(outcome).collect();
    let clicks = seen.clicks.len();
    let by_channel = paths::count(&seen.clicks, keys.len());
    let Cut { paths, people, without_click } = paths::cut(seen.clicks, outcomes, &mut persons);
    left_out.without_click = without_click;

    let (conversions, nulls) =
        paths.values().fold((0, 0), |(conversions, nulls), tally| (conversions + tally.conversions, nulls + tally.nulls));
    let value_minor = paths.values().map(|tally| tally.value_minor).sum();
    let rows: Vec<domain::multitouch::Path> = paths.into_iter().map(|(path, tally)| tally.row(&path, &keys)).collect();
    let shared = domain::multitouch::report(&rows).map_err(Error::internal)?;
    let clicks_of: HashMap<&str, usize> = keys.iter().map(String::as_str).zip(by_channel).collect();
    let mut channels: Vec<Channel> = shared.channels.into_iter().map(|channel| Channel::new(channel, rest, &clicks_of)).collect();
    channels.sort_by(|a, b| b.conversions.markov_with_nulls.total_cmp(&a.conversions.markov_with_nulls).then_with(|| a.key.cmp(&b.key)));
    let report = MultitouchReport {
        by: question.by,
        period: question.period,
        cut_at,
        clicks,
        people,
        paths: rows.len(),
        conversions,
        nulls,
        value: Money::new(value_minor, chosen),
        currencies: currencies.into_iter().collect(),
        left_out,
        folded,
        channels,
    };
    Ok((report, keys))
}

/// Whose path a conversion ends: that of the click it is attributed to, else of its session, else of its customer.
fn visitor_of(sale: &Sale, visitors: &HashMap<Uuid, u32>, identified: &Identified) -> Option<u32> {
    let number = |visitor: &Uuid| visitors.get(visitor).copied();
    let customer = || {
        let key = (sale.partner_id.clone(), sale.user_identifier.clone()?);
        identified.get(&key)?.iter().find_map(number)
    };
    sale.visitor.as_ref().and_then(number).or_else(|| sale.session_id.as_ref().and_then(number)).or_else(customer)
}

impl Channel {
    fn new(shared: ChannelReport, rest: &str, clicks_of: &HashMap<&str, usize>) -> Self {
        Self {
            is_rest: shared.channel == rest,
            clicks: clicks_of.get(shared.channel.as_str()).copied().unwrap_or(0),
            name: shared.channel.clone(),
            key: shared.channel,
            conversions: shared.conversions,
            value_minor: shared.value,
            removal_effect_with_nulls: shared.removal_effect_with_nulls,
            removal_effect_without_nulls: shared.removal_effect_without_nulls,
            per_order: Decimal::ZERO,
            commissions: Vec::new(),
        }
    }

    /// One that was paid for, but not clicked in the period.
    fn without_click(key: String) -> Self {
        Self {
            name: key.clone(),
            key,
            is_rest: false,
            clicks: 0,
            conversions: Credits::default(),
            value_minor: Credits::default(),
            removal_effect_with_nulls: 0.0,
            removal_effect_without_nulls: 0.0,
            per_order: Decimal::ZERO,
            commissions: Vec::new(),
        }
    }

    fn add(&mut self, booked: Booked) {
        self.per_order += booked.per_order;
        for (code, (booked_minor, paid_minor)) in booked.by_currency {
            let commission = match self.commissions.iter_mut().find(|commission| commission.booked.currency == code) {
                Some(commission) => commission,
                None => {
                    self.commissions.push(Commission { booked: Money::new(0, code), paid: Money::new(0, code) });
                    self.commissions.last_mut().expect("one was just pushed")
                }
            };
            commission.booked.amount_minor += booked_minor;
            commission.paid.amount_minor += paid_minor;
        }
        self.commissions.sort_by_key(|commission| commission.booked.currency);
    }
}

/// Puts what was booked beside the shares. What belongs to no line goes to that of the rest, if there is one, else to a line of its own.
fn add_booked(report: &mut MultitouchReport, keys: &[String], booked: BTreeMap<String, Booked>) {
    let rest = report.by.rest();
    let lines: HashMap<String, usize> = report.channels.iter().enumerate().map(|(line, channel)| (channel.key.clone(), line)).collect();
    let has_rest = keys.iter().any(|key| key == rest);
    for (key, booked) in booked {
        let line = lines.get(&key).or_else(|| has_rest.then(|| lines.get(rest)).flatten());
        match line {
            Some(line) => report.channels[*line].add(booked),
            None => {
                let mut channel = Channel::without_click(key);
                channel.add(booked);
                report.channels.push(channel);
            }
        }
    }
    for channel in &mut report.channels {
        channel.per_order = channel.per_order.normalize();
    }
}

/// Ids become names; an id that is gone stays as it is.
async fn name(connection: &mut PgConnection, report: &mut MultitouchReport) -> Result<()> {
    let keys: Vec<String> = report.channels.iter().filter(|channel| !channel.is_rest).map(|channel| channel.key.clone()).collect();
    let names: HashMap<String, String> = match report.by {
        By::Partner => {
            let rows = sqlx::query!("select partner_id, display_name from partners where partner_id = any($1)", &keys);
            rows.fetch_all(connection).await?.into_iter().map(|row| (row.partner_id, row.display_name)).collect()
        }
        By::Site => {
            let ids: Vec<Uuid> = keys.iter().filter_map(|key| key.parse().ok()).collect();
            let rows = sqlx::query!("select site_id, name from sites where site_id = any($1)", &ids);
            rows.fetch_all(connection).await?.into_iter().map(|row| (row.site_id.to_string(), row.name)).collect()
        }
    };
    for channel in &mut report.channels {
        if let Some(name) = names.get(&channel.key) {
            channel.name.clone_from(name);
        }
    }
    Ok(())
}

/// Statistics take floating point; no booking is computed from it.
fn float(number: i64) -> f64 {
    Decimal::from(number).to_f64().unwrap_or_default()
}
