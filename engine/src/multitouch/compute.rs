//! From what was read to the report, without a database.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    Currency, Money,
    multitouch::{ChannelReport, Credits},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use uuid::Uuid;

use super::{
    Channel, LeftOut, MultitouchReport, Question,
    load::{Identified, Sale, Seen},
    paths::{self, Cut, Outcome, Persons},
};
use crate::{Error, Result, conversion::currency};

/// The report but for names and what was booked, and the ids that have a line of their own.
pub(super) fn compute(
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
    let rows: Vec<domain::multitouch::Path> = paths.into_iter().map(|(path, tally)| tally.row(&path, &keys)).collect();
    let shared = domain::multitouch::report(&rows, 0).map_err(Error::internal)?;
    let value_minor = minor(shared.value)?;
    let shared = shared.map_amounts(|part| minor(part).expect("a part is no larger than the whole"));
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

fn minor(amount: Decimal) -> Result<i64> {
    amount.to_i64().ok_or_else(|| Error::internal(format!("{amount} minor units are more than an amount holds")))
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
    fn new(shared: ChannelReport<i64>, rest: &str, clicks_of: &HashMap<&str, usize>) -> Self {
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
    pub(super) fn without_click(key: String) -> Self {
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
}
