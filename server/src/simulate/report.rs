//! Compares what the database holds with the truth of the journeys.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use domain::{ClickId, conversion::ConversionState};
use engine::simulation::{ClickCounts, DeliveryCounts, Outcome};
use serde::Serialize;

use super::{
    plan::{Achieved, Expected, Journey, Link, Site, Step},
    play::Played,
    truth::{self, Counted, Rates},
};

/// Fewer than this share of the attributable conversions at the right click fails the run.
const RIGHT_SHARE_MIN: f64 = 0.999;

/// A partner's terms and metrics, as the truth needs them.
#[derive(Clone, Debug)]
pub struct Book {
    pub partner_id: domain::PartnerId,
    pub rates: Rates,
    pub metrics: HashMap<String, Counted>,
}

/// All that is known after a run.
pub struct Evidence<'a> {
    pub journeys: &'a [Journey],
    pub played: &'a [Played],
    pub books: &'a [Book],
    pub outcomes: &'a [Outcome],
    pub deliveries: DeliveryCounts,
    /// By link, for the links of the run.
    pub clicks: &'a HashMap<Link, ClickCounts>,
    /// The developer who owns a site.
    pub developer: &'a dyn Fn(Site) -> usize,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub journeys: usize,
    pub requests: u64,
    pub requests_per_second: f64,
    pub clicks: i64,
    pub clicks_counted: i64,
    pub bots_and_prefetches: i64,
    /// Links whose stored or counted clicks are not those that were made.
    pub wrong_click_counts: usize,
    pub attributable: usize,
    pub right: usize,
    pub right_percent: f64,
    pub wrong_click: usize,
    pub wrong_partner: usize,
    pub missed: usize,
    pub double_counted: usize,
    pub refused_as_expected: usize,
    pub credited_against_the_rules: usize,
    pub unknown_conversions: usize,
    pub dead_expected: usize,
    pub dead: i64,
    pub still_waiting: i64,
    pub money: BTreeMap<String, Money>,
    /// Conversions whose booked commission or bonus is not the truth.
    pub wrong_amounts: usize,
    pub unbalanced: usize,
    pub ledger_latency_ms_p50: f64,
    pub ledger_latency_ms_p99: f64,
    pub troubles: usize,
    /// The first differences, in words.
    pub examples: Vec<String>,
}

/// Minor units of one currency, commission and bonus together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Money {
    pub truth_minor: i64,
    pub booked_minor: i64,
}

impl Report {
    /// Nothing is missing, doubled, or off by a minor unit.
    pub fn passes(&self) -> bool {
        let wrong = [
            self.wrong_click_counts,
            self.wrong_partner,
            self.double_counted,
            self.credited_against_the_rules,
            self.unknown_conversions,
            self.wrong_amounts,
            self.unbalanced,
            self.troubles,
        ];
        let share = if self.attributable == 0 { 1.0 } else { self.right as f64 / self.attributable as f64 };
        wrong.iter().all(|count| *count == 0)
            && share >= RIGHT_SHARE_MIN
            && self.still_waiting == 0
            && self.dead == i64::try_from(self.dead_expected).unwrap_or(-1)
            && self.money.values().all(|money| money.truth_minor == money.booked_minor)
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < 10 {
            self.examples.push(text);
        }
    }
}

pub fn compare(evidence: &Evidence) -> Report {
    let mut report = Report { journeys: evidence.journeys.len(), ..Report::default() };
    report.requests = evidence.played.iter().map(|played| u64::from(played.requests)).sum();
    report.dead_expected = evidence.journeys.iter().map(|journey| journey.dead).sum();
    report.dead = evidence.deliveries.dead;
    report.still_waiting = evidence.deliveries.waiting;
    compare_clicks(evidence, &mut report);

    let mut left: HashMap<(&str, &str), &Outcome> =
        evidence.outcomes.iter().map(|outcome| ((outcome.partner_id.as_str(), outcome.external_event_id.as_str()), outcome)).collect();
    let successes = successes_by_developer(evidence);
    for (journey, played) in evidence.journeys.iter().zip(evidence.played) {
        for expected in &journey.conversions {
            let outcome = left.remove(&(evidence.books[expected.partner].partner_id.as_str(), expected.id.as_str()));
            compare_credit(&mut report, journey, played, expected, outcome);
            compare_money(&mut report, evidence, &successes, expected, outcome);
        }
    }
    report.unknown_conversions = left.len();
    for (partner_id, id) in left.into_keys() {
        report.example(format!("conversion `{id}` of {partner_id} was never sent"));
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

fn compare_credit(report: &mut Report, journey: &Journey, played: &Played, expected: &Expected, outcome: Option<&Outcome>) {
    let credited = outcome.filter(|outcome| outcome.state == ConversionState::Attributed);
    if outcome.is_some_and(|outcome| outcome.credits > 1) {
        report.double_counted += 1;
        report.example(format!("{}: {} has {} credits", journey.kind, expected.id, outcome.map_or(0, |outcome| outcome.credits)));
    }
    let Some((click, _)) = expected.credit else {
        match credited {
            None => report.refused_as_expected += 1,
            Some(_) => {
                report.credited_against_the_rules += 1;
                report.example(format!("{}: {} got credit", journey.kind, expected.id));
            }
        }
        return;
    };
    report.attributable += 1;
    let truth: Option<ClickId> = played.clicks.get(click).copied();
    match credited {
        None => {
            report.missed += 1;
            report.example(format!("{}: {} is {:?}", journey.kind, expected.id, outcome.map(|outcome| outcome.state)));
        }
        Some(outcome) if outcome.credited_partner_id.as_ref() != Some(&outcome.partner_id) => {
            report.wrong_partner += 1;
            report.example(format!("{}: {} went to {:?}", journey.kind, expected.id, outcome.credited_partner_id));
        }
        Some(outcome) if outcome.click_id == truth && truth.is_some() => report.right += 1,
        Some(outcome) => {
            report.wrong_click += 1;
            report.example(format!("{}: {} went to click {:?} in place of {truth:?}", journey.kind, expected.id, outcome.click_id));
        }
    }
}

type Successes<'a> = HashMap<(usize, usize), Vec<&'a Achieved>>;

fn successes_by_developer<'a>(evidence: &Evidence<'a>) -> Successes<'a> {
    let mut successes: Successes = HashMap::new();
    for achieved in evidence.journeys.iter().flat_map(|journey| &journey.successes) {
        successes.entry(((evidence.developer)(achieved.site), achieved.partner)).or_default().push(achieved);
    }
    successes
}

fn compare_money(report: &mut Report, evidence: &Evidence, successes: &Successes, expected: &Expected, outcome: Option<&Outcome>) {
    let book = &evidence.books[expected.partner];
    let truth = match expected.credit {
        None => (0, 0),
        Some((_, site)) => {
            let known = successes.get(&((evidence.developer)(site), expected.partner)).map_or(&[][..], Vec::as_slice);
            let valid = known.iter().filter(|success| success.expires_at.is_none_or(|expiry| expiry > expected.at));
            let mut metrics: Vec<&str> = valid.map(|success| success.metric.as_str()).collect();
            metrics.sort_unstable();
            metrics.dedup();
            let counted: Vec<Counted> = metrics.iter().filter_map(|metric| book.metrics.get(*metric).copied()).collect();
            truth::commission(expected.value.minor - expected.reversed_minor, &book.rates, &counted)
        }
    };
    let booked = outcome.map_or((0, 0), |outcome| (outcome.commission_minor, outcome.bonus_minor));
    let money = report.money.entry(expected.value.currency.to_owned()).or_default();
    money.truth_minor += truth.0 + truth.1;
    money.booked_minor += booked.0 + booked.1;
    if outcome.is_some_and(|outcome| outcome.imbalance_minor != 0) {
        report.unbalanced += 1;
    }
    if truth != booked {
        report.wrong_amounts += 1;
        report.example(format!("{}: booked {} + {} bonus, the truth is {} + {}", expected.id, booked.0, booked.1, truth.0, truth.1));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "journeys                    {:>9}   {} requests, {:.0} per second",
            self.journeys, self.requests, self.requests_per_second
        )?;
        writeln!(f, "clicks of people            {:>9}   {} counted once per session and hour", self.clicks, self.clicks_counted)?;
        writeln!(f, "bots, prefetches, HEAD      {:>9}   none counted", self.bots_and_prefetches)?;
        writeln!(f, "links with wrong counts     {:>9}", self.wrong_click_counts)?;
        writeln!(f, "attributable conversions    {:>9}", self.attributable)?;
        writeln!(f, "  to the right click        {:>9}   {:.3} %", self.right, self.right_percent)?;
        writeln!(f, "  to a wrong click          {:>9}", self.wrong_click)?;
        writeln!(f, "  to a wrong partner        {:>9}", self.wrong_partner)?;
        writeln!(f, "  not attributed            {:>9}", self.missed)?;
        writeln!(f, "double-counted              {:>9}", self.double_counted)?;
        writeln!(
            f,
            "refused as expected         {:>9}   {} credited against the rules",
            self.refused_as_expected, self.credited_against_the_rules
        )?;
        writeln!(f, "conversions never sent      {:>9}", self.unknown_conversions)?;
        writeln!(
            f,
            "dead letters                {:>9}   {} expected, {} still waiting",
            self.dead, self.dead_expected, self.still_waiting
        )?;
        for (currency, money) in &self.money {
            let difference = money.booked_minor - money.truth_minor;
            writeln!(
                f,
                "commission in {currency}           {:>9}   minor units booked, truth {}, difference {difference}",
                money.booked_minor, money.truth_minor
            )?;
        }
        writeln!(f, "wrong amounts               {:>9}   {} unbalanced", self.wrong_amounts, self.unbalanced)?;
        writeln!(f, "webhook to ledger, p50      {:>9.0} ms", self.ledger_latency_ms_p50)?;
        writeln!(f, "webhook to ledger, p99      {:>9.0} ms", self.ledger_latency_ms_p99)?;
        writeln!(f, "requests gone wrong         {:>9}", self.troubles)?;
        for example in &self.examples {
            writeln!(f, "  {example}")?;
        }
        write!(f, "{}", if self.passes() { "PASSED: the server's books are the truth" } else { "FAILED" })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::simulate::plan::{Value, Visitor};

    const LINK: Link = Link { site: Site::Shared(0), partner: 0 };

    /// One person, one click, one sale of 49.00 at 20 %; `change` spoils the outcome.
    fn report(change: impl Fn(&mut Vec<Outcome>, &mut HashMap<Link, ClickCounts>)) -> Report {
        let (at, click_id) = (DateTime::UNIX_EPOCH, ClickId(Uuid::from_u128(1)));
        let value = Value { minor: 4900, currency: "USD", digits: 2 };
        let expected = Expected { partner: 0, id: "order".to_owned(), value, at, credit: Some((0, LINK.site)), reversed_minor: 0 };
        let journey = Journey {
            steps: vec![Step::Click { visitor: Visitor::Person(0), link: LINK, at }],
            conversions: vec![expected],
            ..Journey::default()
        };
        let book = Book {
            partner_id: "supabase".parse().unwrap(),
            rates: Rates { commission_ppm: 200_000, bonus_ppm: 0, cap_ppm: 3_000_000 },
            metrics: HashMap::new(),
        };
        let mut outcomes = vec![Outcome {
            partner_id: book.partner_id.clone(),
            external_event_id: "order".to_owned(),
            state: ConversionState::Attributed,
            credits: 1,
            click_id: Some(click_id),
            credited_partner_id: Some(book.partner_id.clone()),
            currency: "USD".to_owned(),
            reversed_minor: 0,
            commission_minor: 980,
            bonus_minor: 0,
            imbalance_minor: 0,
        }];
        let mut clicks = HashMap::from([(LINK, ClickCounts { people: 1, bots: 0, counted: 1 })]);
        change(&mut outcomes, &mut clicks);
        compare(&Evidence {
            journeys: &[journey],
            played: &[Played { clicks: vec![click_id], requests: 2 }],
            books: &[book],
            outcomes: &outcomes,
            deliveries: DeliveryCounts::default(),
            clicks: &clicks,
            developer: &|_| 0,
        })
    }

    #[test]
    fn the_truth_passes() {
        let report = report(|_, _| ());
        assert!(report.passes() && report.right == 1, "{report}");
    }

    #[test]
    fn each_difference_from_the_truth_fails() {
        type Spoil = fn(&mut Vec<Outcome>);
        let spoiled: [(&str, Spoil); 7] = [
            ("missing", |outcomes| outcomes.clear()),
            ("a minor unit too much", |outcomes| outcomes[0].commission_minor += 1),
            ("a bonus too much", |outcomes| outcomes[0].bonus_minor = 1),
            ("another click", |outcomes| outcomes[0].click_id = Some(ClickId(Uuid::from_u128(2)))),
            ("another partner's code", |outcomes| outcomes[0].credited_partner_id = Some("figma".parse().unwrap())),
            ("two credits", |outcomes| outcomes[0].credits = 2),
            ("a conversion that nobody sent", |outcomes| {
                outcomes.push(Outcome { external_event_id: "other".to_owned(), ..outcomes[0].clone() })
            }),
        ];
        for (what, spoil) in spoiled {
            assert!(!report(|outcomes, _| spoil(outcomes)).passes(), "{what}");
        }
        assert!(!report(|_, clicks| clicks.clear()).passes(), "a lost click");
        assert!(!report(|_, clicks| clicks.values_mut().for_each(|counts| counts.counted += 1)).passes(), "a click counted twice");
    }
}
