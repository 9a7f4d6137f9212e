//! Every conversion, click count, impression and balance against the truth.

use std::collections::{HashMap, HashSet};

use domain::conversion::ConversionState;
use engine::simulation::{ClickCounts, Credit, ImpressionCounts, Outcome};
use rust_decimal::Decimal;

use super::{Evidence, Report};
use crate::simulate::{
    plan::{Expected, Journey, Link, Step},
    play::Played,
    truth::{Truth, WHOLE},
};

pub fn compare(evidence: &Evidence) -> Report {
    let mut report = Report { journeys: evidence.journeys.len(), held: evidence.held, ..Report::default() };
    report.requests = evidence.played.iter().map(|played| u64::from(played.requests)).sum();
    report.dead_expected = evidence.journeys.iter().map(|journey| journey.dead).sum();
    report.dead = evidence.deliveries.dead;
    report.still_waiting = evidence.deliveries.waiting;
    report.rederived = evidence.rederived.commissions;
    report.rederived_differently = evidence.rederived.differing.len();
    compare_clicks(evidence, &mut report);
    compare_impressions(evidence, &mut report);

    let mut left: HashMap<(&str, &str), &Outcome> =
        evidence.outcomes.iter().map(|outcome| ((outcome.partner_id.as_str(), outcome.external_event_id.as_str()), outcome)).collect();
    for (journey, played) in evidence.journeys.iter().zip(evidence.played) {
        for expected in &journey.conversions {
            let partner_id = &evidence.facts.books[expected.partner].partner_id;
            let outcome = left.remove(&(partner_id.as_str(), expected.id.as_str()));
            let truth = evidence.facts.truth(expected);
            compare_credit(&mut report, journey, played, expected, truth.as_ref(), outcome);
            compare_money(&mut report, journey, expected, truth.as_ref(), outcome);
            if let Some(truth) = truth {
                add_balances(&mut report, partner_id.as_str(), &truth);
            }
        }
    }
    report.unknown_conversions = left.len();
    for (partner_id, id) in left.into_keys() {
        report.example(format!("conversion `{id}` of {partner_id} was never sent"));
    }
    for balance in evidence.balances {
        let name = format!("{} {} {}", balance.partner_id, balance.currency, balance.account);
        report.balances.entry(name).or_default().booked_minor += balance.amount_minor;
    }
    for id in &evidence.rederived.differing {
        report.example(format!("{id}: derived again, the commission differs from what is saved"));
    }
    report.right_percent = if report.attributable == 0 { 100.0 } else { 100.0 * report.right as f64 / report.attributable as f64 };
    report
}

fn compare_clicks(evidence: &Evidence, report: &mut Report) {
    let mut made: HashMap<Link, ClickCounts> = HashMap::new();
    for journey in evidence.journeys {
        for step in &journey.steps {
            if let Step::Click { visitor, link, .. } = step {
                let counts = made.entry(*link).or_default();
                let person = i64::from(visitor.counts());
                counts.people += person;
                counts.counted += person;
                counts.bots += 1 - person;
            }
        }
        for link in &journey.repeats {
            made.entry(*link).or_default().counted -= 1;
        }
    }
    for (link, made) in made {
        let stored = evidence.clicks.get(&link).copied().unwrap_or_default();
        report.clicks += stored.people;
        report.clicks_counted += stored.counted;
        report.bots_and_prefetches += stored.bots;
        if stored != made {
            report.wrong_click_counts += 1;
            report.example(format!("{link:?}: stored {stored:?}, made {made:?}"));
        }
    }
}

/// However often it was reported, an offer of a page is recorded and counted once.
fn compare_impressions(evidence: &Evidence, report: &mut Report) {
    let seen: HashSet<_> = evidence.played.iter().flat_map(|played| &played.seen).collect();
    let pages: HashSet<_> = seen.iter().map(|(recommendation_id, _)| recommendation_id).collect();
    let of_run = seen.iter().filter(|(_, partner_id)| evidence.facts.books.iter().any(|book| book.partner_id == *partner_id)).count();
    let ImpressionCounts { found, recorded, counted } = evidence.impressions;
    (report.impressions, report.pages) = (seen.len(), pages.len());
    report.impressions_missing = seen.len() as i64 - found;
    report.impressions_surplus = recorded - found;
    report.impressions_miscounted = counted - of_run as i64;
    if (report.impressions_missing, report.impressions_surplus, report.impressions_miscounted) != (0, 0, 0) {
        report.example(format!("{} offers were seen, {of_run} of them of the run's partners: {:?}", seen.len(), evidence.impressions));
    }
}

fn compare_credit(
    report: &mut Report,
    journey: &Journey,
    played: &Played,
    expected: &Expected,
    truth: Option<&Truth>,
    outcome: Option<&Outcome>,
) {
    let credits = outcome.filter(|outcome| outcome.state == ConversionState::Attributed).map_or(&[][..], |outcome| &outcome.credits);
    let name = format!("{}: {}", journey.kind, expected.id);
    let Some(truth) = truth else {
        if credits.is_empty() {
            report.refused_as_expected += 1;
        } else {
            report.credited_against_the_rules += 1;
            report.example(format!("{name} got credit"));
        }
        return;
    };
    report.attributable += 1;
    report.shared += usize::from(truth.parts.len() > 1);
    let whole: Decimal = credits.iter().map(|credit| credit.share).sum();
    if whole > Decimal::ONE {
        report.double_counted += 1;
        report.example(format!("{name} is credited {whole} times"));
    }
    if credits.is_empty() {
        report.missed += 1;
        report.example(format!("{name} is {:?}", outcome.map(|outcome| outcome.state)));
    } else if credits.iter().any(|credit| !credit.own_partner) {
        report.wrong_partner += 1;
        report.example(format!("{name} went to another partner's code"));
    } else if !has_clicks(credits, truth, played) {
        report.wrong_click += 1;
        let clicks = |credit: &Credit| played.clicks.iter().position(|click| click.click_id == credit.click_id);
        let found: Vec<_> = credits.iter().map(clicks).collect();
        let wanted: Vec<_> = truth.parts.iter().map(|(click, ..)| *click).collect();
        report.example(format!("{name} went to clicks {found:?} in place of {wanted:?}"));
    } else if !credits.iter().zip(&truth.parts).all(|(credit, (_, share, _))| credit.share == decimal(*share)) {
        report.wrong_share += 1;
        let found: Vec<_> = credits.iter().map(|credit| credit.share.to_string()).collect();
        report.example(format!("{name} is shared as {found:?} in place of {:?}", truth.parts));
    } else {
        report.right += 1;
    }
}

fn has_clicks(credits: &[Credit], truth: &Truth, played: &Played) -> bool {
    let same = |(credit, (click, ..)): (&Credit, &(usize, u64, i64))| {
        played.clicks.get(*click).is_some_and(|followed| followed.click_id == credit.click_id)
    };
    credits.len() == truth.parts.len() && credits.iter().zip(&truth.parts).all(same)
}

fn decimal(share: u64) -> Decimal {
    Decimal::from(share) / Decimal::from(WHOLE)
}

fn compare_money(report: &mut Report, journey: &Journey, expected: &Expected, truth: Option<&Truth>, outcome: Option<&Outcome>) {
    let wanted = truth.map_or((0, 0), |truth| (truth.commission_minor, truth.bonus_minor));
    let booked = outcome.map_or((0, 0), |outcome| (outcome.commission_minor, outcome.bonus_minor));
    let wanted_currency = truth.map(|truth| truth.currency.as_str());
    let booked_currency = outcome.and_then(|outcome| outcome.currency.as_deref());
    if let Some(truth) = truth {
        report.money.entry(truth.currency.clone()).or_default().truth_minor += wanted.0 + wanted.1;
    }
    if let Some(currency) = booked_currency {
        report.money.entry(currency.to_owned()).or_default().booked_minor += booked.0 + booked.1;
    }
    if outcome.is_some_and(|outcome| outcome.imbalance_minor != 0) {
        report.unbalanced += 1;
    }
    let name = format!("{}: {}", journey.kind, expected.id);
    if (wanted, wanted_currency) != (booked, booked_currency) {
        report.wrong_amounts += 1;
        report.example(format!(
            "{name}: booked {booked:?} {booked_currency:?} (commission, bonus), the truth is {wanted:?} {wanted_currency:?}"
        ));
    }
    let parts: Vec<i64> = outcome.map_or(&[][..], |outcome| &outcome.credits).iter().map(|credit| credit.commission_minor).collect();
    let true_parts: Vec<i64> = truth.map_or(&[][..], |truth| &truth.parts).iter().map(|(.., minor)| *minor).collect();
    if parts != true_parts {
        report.wrong_parts += 1;
        report.example(format!("{name}: its clicks have {parts:?} minor units, the truth is {true_parts:?}"));
    }
}

/// What the partner owes, and what is earned or still held for it.
fn add_balances(report: &mut Report, partner_id: &str, truth: &Truth) {
    let (total, currency) = (truth.total_minor(), &truth.currency);
    let other = if truth.approved { "earned_commission" } else { "held_commission" };
    for (account, minor) in [("partner_receivable", total), (other, -total)] {
        report.balances.entry(format!("{partner_id} {currency} {account}")).or_default().truth_minor += minor;
    }
}
