//! What if another policy had been in force: reruns a past period's attribution without writing anything, and compares.
//!
//! It finds clicks by the same code as the real thing, in one read-only snapshot that is never committed, and asks neither the
//! cache nor the clock for an answer: the same rows and the same policy give the same report, byte for byte. What an operator
//! attributed by hand stays, and so does what was refused because its partner was not active.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    ConversionId, Currency, DeveloperId, PartnerId, SiteId,
    attribution::{Model, Policy, split_minor},
    auth::Principal,
    commission::{RateableConversion, RateableSuccess},
    dashboard::Period,
    exchange::ExchangeRate,
};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::matching::{self, Credit, Match, Subject, find_match_under};
use crate::{Engine, Error, Result, access::require_read, conversion::currency, exchange, partner, work::Work};

/// 20,000: some seconds of work; a longer period is cut and says so.
pub const CONVERSIONS_MAX: usize = 20_000;

/// 10 years, as for terms.
const WINDOW_HOURS_MAX: i64 = 87_600;

/// Who would have earned what under another policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhatIf {
    pub period: Period,
    pub model: Model,
    pub window_hours: i64,
    pub minimum_seconds: i64,
    /// Conversions that were looked at.
    pub conversions: usize,
    /// There are more: those from this time on were not looked at.
    pub cut_at: Option<DateTime<Utc>>,
    /// Same clicks, same shares.
    pub unchanged: usize,
    /// Attributed in both cases, but to other clicks or in other shares.
    pub moved: usize,
    pub gained: usize,
    pub lost: usize,
    /// Attributed then, but without an exchange rate they would be held; their money is in no sum.
    pub unrated: usize,
    /// Those who gain most first, within each currency.
    pub partners: Vec<Change>,
    pub sites: Vec<Change>,
}

/// What one partner owes, or one site earns, now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub partner_id: PartnerId,
    /// Of the site; absent where all sites are taken together.
    pub site: Option<(SiteId, String)>,
    /// The payout currency.
    pub currency: Currency,
    pub now: Figures,
    pub then: Figures,
}

impl Change {
    /// In minor units; negative for a loss.
    pub fn difference_minor(&self) -> i64 {
        self.then.commission_minor - self.now.commission_minor
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The sum of shares.
    pub conversions: Decimal,
    /// Commission and bonus.
    pub commission_minor: i64,
}

/// Reruns the conversions that happened in a period, of one partner or of all, under another policy.
///
/// # Errors
/// Refuses who may not read; [`Error::Invalid`] names a window or minimum that is out of bounds.
pub async fn what_if(engine: &Engine, who: &Principal, partner_id: Option<&PartnerId>, period: Period, policy: &Policy) -> Result<WhatIf> {
    require_read(who, "compare attribution policies")?;
    check(policy)?;
    // Never committed, and Postgres refuses to write in it.
    let mut work = Work::begin(engine).await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(work.connection()).await?;

    let mut subjects = matching::load_period(work.connection(), partner_id, period, CONVERSIONS_MAX + 1).await?;
    let cut_at = subjects.get(CONVERSIONS_MAX).map(|first_left_out| first_left_out.occurred_at);
    subjects.truncate(CONVERSIONS_MAX);
    let ids: Vec<Uuid> = subjects.iter().map(|subject| subject.conversion_id.0).collect();
    let present = load_present(&mut work, &ids).await?;

    let mut tally = Tally::default();
    let mut report = WhatIf {
        period,
        model: policy.model,
        window_hours: policy.window.num_hours(),
        minimum_seconds: policy.minimum.num_seconds(),
        conversions: subjects.len(),
        cut_at,
        unchanged: 0,
        moved: 0,
        gained: 0,
        lost: 0,
        unrated: 0,
        partners: Vec::new(),
        sites: Vec::new(),
    };
    for subject in &subjects {
        let Some(present) = present.get(&subject.conversion_id) else { continue };
        let then = credits_under(&mut work, subject, present, policy).await?;
        match (present.credits.is_empty(), then.is_empty()) {
            (true, true) => report.unchanged += 1,
            (true, false) => report.gained += 1,
            (false, true) => report.lost += 1,
            (false, false) if is_same(&present.credits, &then) => report.unchanged += 1,
            (false, false) => report.moved += 1,
        }
        if present.credits.is_empty() && then.is_empty() {
            continue;
        }
        let rated = rate_under(&mut work, subject, present, &then).await?;
        report.unrated += usize::from(!then.is_empty() && rated.amount_minor.is_none());
        tally.add_now(&subject.partner_id, rated.currency, present);
        tally.add_then(&subject.partner_id, rated.currency, &then, rated.amount_minor.unwrap_or(0));
    }
    let names = site_names(&mut work, tally.sites.keys().map(|(_, _, site_id)| site_id.0).collect()).await?;
    report.partners = by_difference(tally.partners.into_iter().map(|((partner_id, code), sums)| sums.change(partner_id, code, None)));
    report.sites = by_difference(tally.sites.into_iter().map(|((partner_id, code, site_id), sums)| {
        let name = names.get(&site_id).cloned().unwrap_or_else(|| site_id.to_string());
        sums.change(partner_id, code, Some((site_id, name)))
    }));
    Ok(report)
}

fn check(policy: &Policy) -> Result<()> {
    let hours = policy.window.num_hours();
    if !(1..=WINDOW_HOURS_MAX).contains(&hours) {
        return Err(Error::invalid("window_hours", format!("`{hours}` must be from 1 to {WINDOW_HOURS_MAX}")));
    }
    let seconds = policy.minimum.num_seconds();
    if seconds < 0 || policy.minimum >= policy.window {
        return Err(Error::invalid("minimum_seconds", format!("`{seconds}` must be from 0 to less than the window of {hours} h")));
    }
    Ok(())
}

/// A conversion as it stands.
struct Present {
    conversion: RateableConversion,
    credits: Vec<PresentCredit>,
    /// Commission and bonus, with their currency.
    rated: Option<(i64, Currency)>,
    exchange: Option<ExchangeRate>,
}

impl Present {
    fn by_hand(&self) -> bool {
        self.credits.iter().any(|credit| credit.by_hand)
    }
}

/// A click's share, now or then.
struct PresentCredit {
    click_id: Uuid,
    share: Decimal,
    site_id: SiteId,
    developer_id: DeveloperId,
    commission_minor: i64,
    by_hand: bool,
}

async fn load_present(work: &mut Work<'_>, ids: &[Uuid]) -> Result<HashMap<ConversionId, Present>> {
    let rows = sqlx::query!(
        r#"select c.conversion_id as "conversion_id!: ConversionId", occurred_at as "occurred_at!", value_minor as "value_minor!",
                  reversed_minor as "reversed_minor!", c.currency as "currency!", m.currency as "commission_currency?", m.final_minor + m.bonus_minor as "commission_minor?",
                  m.exchange_rate as "exchange_rate?: Json<ExchangeRate>"
           from conversions c left join commissions m using (conversion_id)
           where c.conversion_id = any($1)"#,
        ids,
    )
    .fetch_all(work.connection())
    .await?;
    let mut present = HashMap::with_capacity(rows.len());
    for row in rows {
        let rated = match (row.commission_minor, row.commission_currency) {
            (Some(minor), Some(code)) => Some((minor, currency(&code)?)),
            _ => None,
        };
        let conversion = RateableConversion {
            occurred_at: row.occurred_at,
            value_minor: row.value_minor,
            reversed_minor: row.reversed_minor,
            currency: currency(&row.currency)?,
        };
        let exchange = row.exchange_rate.map(|rate| rate.0);
        present.insert(row.conversion_id, Present { conversion, credits: Vec::new(), rated, exchange });
    }
    let credits = sqlx::query!(
        r#"select conversion_id as "conversion_id: ConversionId", click_id, share, site_id as "site_id: SiteId",
                  developer_id as "developer_id: DeveloperId", commission_minor, matched_by = 'manual' as "by_hand!"
           from attributions
           where conversion_id = any($1)
           order by conversion_id, position"#,
        ids,
    )
    .fetch_all(work.connection())
    .await?;
    for row in credits {
        if let Some(present) = present.get_mut(&row.conversion_id) {
            present.credits.push(PresentCredit {
                click_id: row.click_id,
                share: row.share,
                site_id: row.site_id,
                developer_id: row.developer_id,
                commission_minor: row.commission_minor,
                by_hand: row.by_hand,
            });
        }
    }
    Ok(present)
}

/// Who would have the credit.
async fn credits_under(work: &mut Work<'_>, subject: &Subject, present: &Present, policy: &Policy) -> Result<Vec<PresentCredit>> {
    if present.by_hand() {
        let same = |credit: &PresentCredit| PresentCredit { commission_minor: 0, ..*credit };
        return Ok(present.credits.iter().map(same).collect());
    }
    if !subject.partner_active {
        return Ok(Vec::new());
    }
    let Match::Found(credits) = find_match_under(work, subject, policy).await? else { return Ok(Vec::new()) };
    let credit = |credit: Credit| PresentCredit {
        click_id: credit.click_id.0,
        share: credit.share,
        site_id: credit.code.site_id,
        developer_id: credit.code.developer_id,
        commission_minor: 0,
        by_hand: false,
    };
    Ok(credits.into_iter().map(credit).collect())
}

fn is_same(now: &[PresentCredit], then: &[PresentCredit]) -> bool {
    now.len() == then.len() && now.iter().zip(then).all(|(a, b)| (a.click_id, a.share) == (b.click_id, b.share))
}

struct RatedThen {
    /// `None`: nothing is attributed, or the exchange rate is missing.
    amount_minor: Option<i64>,
    currency: Currency,
}

/// The commission then: as it is rated now while the developers stay the same, whose successes count; rated anew otherwise.
async fn rate_under(work: &mut Work<'_>, subject: &Subject, present: &Present, then: &[PresentCredit]) -> Result<RatedThen> {
    let developers = |credits: &[PresentCredit]| credits.iter().map(|credit| credit.developer_id.0).collect::<BTreeSet<_>>();
    let wanted = developers(then);
    if let Some((amount_minor, currency)) = present.rated
        && (then.is_empty() || wanted == developers(&present.credits))
    {
        return Ok(RatedThen { amount_minor: (!then.is_empty()).then_some(amount_minor), currency });
    }
    let terms = partner::terms_at(work.connection(), &subject.partner_id, subject.occurred_at).await?;
    let payout_currency = terms.values.payout_currency;
    if then.is_empty() {
        return Ok(RatedThen { amount_minor: None, currency: payout_currency });
    }
    let wanted: Vec<Uuid> = wanted.into_iter().collect();
    let successes = sqlx::query_as!(
        RateableSuccess,
        r#"select metric_id as "metric_id!", occurred_at as "occurred_at!", verified_at, expires_at
           from earning_successes
           where partner_id = $2 and developer_id = any($1)
           order by success_event_id"#,
        &wanted,
        subject.partner_id.as_str(),
    )
    .fetch_all(work.connection())
    .await?;
    let conversion = &present.conversion;
    let exchange = match present.exchange {
        Some(pinned) => Some(pinned),
        None if conversion.currency == payout_currency => None,
        None => {
            let now = work.now();
            exchange::rate_on(work.connection(), conversion.currency, payout_currency, conversion.occurred_at.date_naive(), now).await?
        }
    };
    let rated = domain::commission::rate(conversion, &terms, &successes, exchange.as_ref()).ok();
    Ok(RatedThen { amount_minor: rated.map(|rating| rating.final_minor + rating.bonus_minor), currency: payout_currency })
}

#[derive(Default)]
struct Tally {
    partners: BTreeMap<(PartnerId, Currency), Sums>,
    sites: BTreeMap<(PartnerId, Currency, SiteId), Sums>,
}

#[derive(Default)]
struct Sums {
    now: Figures,
    then: Figures,
}

impl Sums {
    fn change(self, partner_id: PartnerId, currency: Currency, site: Option<(SiteId, String)>) -> Change {
        let figures = |figures: Figures| Figures { conversions: figures.conversions.normalize(), ..figures };
        Change { partner_id, site, currency, now: figures(self.now), then: figures(self.then) }
    }
}

impl Figures {
    fn add(&mut self, share: Decimal, commission_minor: i64) {
        self.conversions += share;
        self.commission_minor += commission_minor;
    }
}

impl Tally {
    fn add_now(&mut self, partner_id: &PartnerId, currency: Currency, present: &Present) {
        for credit in &present.credits {
            self.partners.entry((partner_id.clone(), currency)).or_default().now.add(credit.share, credit.commission_minor);
            let site = (partner_id.clone(), currency, credit.site_id);
            self.sites.entry(site).or_default().now.add(credit.share, credit.commission_minor);
        }
    }

    fn add_then(&mut self, partner_id: &PartnerId, currency: Currency, then: &[PresentCredit], amount_minor: i64) {
        let shares: Vec<Decimal> = then.iter().map(|credit| credit.share).collect();
        for (credit, part_minor) in then.iter().zip(split_minor(amount_minor, &shares)) {
            self.partners.entry((partner_id.clone(), currency)).or_default().then.add(credit.share, part_minor);
            self.sites.entry((partner_id.clone(), currency, credit.site_id)).or_default().then.add(credit.share, part_minor);
        }
    }
}

async fn site_names(work: &mut Work<'_>, ids: Vec<Uuid>) -> Result<HashMap<SiteId, String>> {
    let rows = sqlx::query!(r#"select site_id as "site_id: SiteId", name from sites where site_id = any($1)"#, &ids)
        .fetch_all(work.connection())
        .await?;
    Ok(rows.into_iter().map(|row| (row.site_id, row.name)).collect())
}

/// The currencies one after the other; in each the largest gain first and the largest loss last. What is equal stays in the
/// order of the ids.
fn by_difference(changes: impl Iterator<Item = Change>) -> Vec<Change> {
    let mut changes: Vec<Change> = changes.collect();
    changes.sort_by_key(|change| (change.currency, std::cmp::Reverse(change.difference_minor())));
    changes
}
