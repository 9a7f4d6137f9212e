//! What the rule that pays gave each channel, to stand beside the models.

use std::collections::{BTreeMap, HashMap};

use domain::{Currency, Money, dashboard::Period};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::{By, Channel, Commission, MultitouchReport};
use crate::{Result, conversion::currency};

/// What the rule that pays gave a channel.
#[derive(Default)]
pub(super) struct Booked {
    per_order: Decimal,
    /// Booked and paid, in minor units.
    by_currency: BTreeMap<Currency, (i64, i64)>,
}

pub(super) async fn load(connection: &mut PgConnection, by: By, period: Period) -> Result<BTreeMap<String, Booked>> {
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

/// Puts what was booked beside the shares. What belongs to no line goes to that of the rest, if there is one, else to a line of its own.
pub(super) fn add(report: &mut MultitouchReport, keys: &[String], booked: BTreeMap<String, Booked>) {
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

impl Channel {
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
