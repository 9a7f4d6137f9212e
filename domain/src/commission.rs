//! Rating: what a conversion earns.
//!
//! `base = value × commission_rate`; `multiplier = min(∏ value multipliers of the distinct achieved metrics, cap)`;
//! `final = base × multiplier`. The first verified milestone that needs verification adds `base × success_bonus_rate`
//! once; final and bonus together never exceed `base × cap`. A value in another currency than the payout's is converted
//! first, at the reference rate of the conversion's day. All arithmetic is exact; each amount is rounded half-even, once,
//! at the end.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    Currency, Money,
    exchange::ExchangeRate,
    money::round_minor,
    partner::{SuccessMetric, Terms},
};

/// What rating needs to know of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateableConversion {
    pub occurred_at: DateTime<Utc>,
    pub value_minor: i64,
    /// What refunds took back; between 0 and `value_minor`.
    pub reversed_minor: i64,
    pub currency: Currency,
}

/// A success of the conversion's developer with its partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateableSuccess {
    pub metric_id: String,
    pub occurred_at: DateTime<Utc>,
    pub verified_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a conversion earns, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    pub base_minor: i64,
    pub multiplier: Decimal,
    pub final_minor: i64,
    pub bonus_minor: i64,
    /// The payout currency of the terms.
    pub currency: Currency,
    pub receipt: Receipt,
}

/// Every input of a rating and its arithmetic step by step, so that anyone can repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub value_minor: i64,
    pub reversed_minor: i64,
    /// The conversion's currency, in which `value_minor` and `reversed_minor` are.
    pub value_currency: Currency,
    /// The commission's currency.
    pub currency: Currency,
    pub occurred_at: DateTime<Utc>,
    pub terms_version: i32,
    pub terms_effective_from: DateTime<Utc>,
    pub commission_rate: Decimal,
    pub success_bonus_rate: Decimal,
    pub multiplier_cap: Decimal,
    /// The metrics that were counted, each once, with its multiplier.
    pub metrics: Vec<CountedMetric>,
    /// The milestone that earned the bonus.
    pub bonus_metric: Option<String>,
    pub rounding: String,
    /// `None`: the conversion's currency is the payout's.
    pub exchange_rate: Option<ExchangeRate>,
    pub steps: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedMetric {
    pub metric_id: String,
    pub value_multiplier: Decimal,
}

/// Why a conversion cannot be rated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrateable {
    #[error("the commission of {value} does not fit into 64 bits of minor units")]
    TooLarge { value: String },
    #[error("no exchange rate from {from} to {to} of {day} or the days before it")]
    NoExchangeRate { from: Currency, to: Currency, day: NaiveDate },
}

/// Rates a conversion under the terms that were in force when it happened, with the successes known so far.
///
/// `exchange` must lead from the conversion's currency to the payout's; it is not needed if they are the same.
/// A success counts if it is verified (or its metric needs no verification), its metric is one of the terms', it had not
/// expired when the conversion happened, and it happened and was verified before the adjustment window closed.
/// Pure: equal arguments give an equal rating, and the order of `successes` does not matter.
///
/// # Errors
/// [`Unrateable::NoExchangeRate`], or [`Unrateable::TooLarge`] on overflow.
pub fn rate(
    conversion: &RateableConversion,
    terms: &Terms,
    successes: &[RateableSuccess],
    exchange: Option<&ExchangeRate>,
) -> Result<Rating, Unrateable> {
    let too_large = || Unrateable::TooLarge { value: Money::new(conversion.value_minor, conversion.currency).to_string() };
    let values = &terms.values;
    let counted = counted_metrics(conversion, terms, successes);
    let exchange = find_exchange(conversion, values.payout_currency, exchange)?;

    let own_value = Decimal::from(conversion.value_minor - conversion.reversed_minor);
    let earning_value = exchange.map_or(Some(own_value), |rate| rate.convert(own_value)).ok_or_else(too_large)?;
    let base = earning_value.checked_mul(values.commission_rate).ok_or_else(too_large)?;
    let product =
        counted.iter().try_fold(Decimal::ONE, |product, metric| product.checked_mul(metric.value_multiplier)).ok_or_else(too_large)?;
    let multiplier = product.min(values.multiplier_cap);
    let full = base.checked_mul(multiplier).ok_or_else(too_large)?;
    let ceiling = base.checked_mul(values.multiplier_cap).ok_or_else(too_large)?;

    let milestone = counted.iter().find(|metric| needs_verification(terms, &metric.metric_id));
    let wanted_bonus = if milestone.is_some() { base.checked_mul(values.success_bonus_rate).ok_or_else(too_large)? } else { Decimal::ZERO };
    let final_minor = round_minor(full).ok_or_else(too_large)?;
    let ceiling_minor = round_minor(ceiling).ok_or_else(too_large)?;
    // Rounding each part on its own could pass the cap by a minor unit, so the bonus gives way.
    let bonus_minor = round_minor(wanted_bonus.min(ceiling - full)).ok_or_else(too_large)?.min(ceiling_minor - final_minor);
    let base_minor = round_minor(base).ok_or_else(too_large)?;

    let receipt = Receipt {
        value_minor: conversion.value_minor,
        reversed_minor: conversion.reversed_minor,
        value_currency: conversion.currency,
        currency: values.payout_currency,
        occurred_at: conversion.occurred_at,
        terms_version: terms.version,
        terms_effective_from: terms.effective_from,
        commission_rate: values.commission_rate,
        success_bonus_rate: values.success_bonus_rate,
        multiplier_cap: values.multiplier_cap,
        bonus_metric: milestone.map(|metric| metric.metric_id.clone()),
        rounding: "half-even, once, to the minor unit".to_owned(),
        exchange_rate: exchange.copied(),
        steps: steps(
            conversion,
            terms,
            exchange,
            &counted,
            &Amounts { earning_value, base, product, multiplier, full, wanted_bonus, final_minor, bonus_minor },
        ),
        metrics: counted,
    };
    Ok(Rating { base_minor, multiplier, final_minor, bonus_minor, currency: values.payout_currency, receipt })
}

/// The distinct metrics that count, in the order of their ids.
fn counted_metrics(conversion: &RateableConversion, terms: &Terms, successes: &[RateableSuccess]) -> Vec<CountedMetric> {
    let latest = conversion.occurred_at + Duration::days(i64::from(terms.values.adjustment_window_days));
    let counts = |success: &RateableSuccess, metric: &SuccessMetric| {
        success.metric_id == metric.id
            && (success.verified_at.is_some() || !metric.verification_required)
            && success.occurred_at <= latest
            && success.verified_at.is_none_or(|at| at <= latest)
            && success.expires_at.is_none_or(|expiry| expiry > conversion.occurred_at)
    };
    let mut counted: Vec<_> = terms
        .success_metrics
        .iter()
        .filter(|metric| successes.iter().any(|success| counts(success, metric)))
        .map(|metric| CountedMetric { metric_id: metric.id.clone(), value_multiplier: metric.value_multiplier })
        .collect();
    counted.sort_by(|a, b| a.metric_id.cmp(&b.metric_id));
    counted
}

fn needs_verification(terms: &Terms, id: &str) -> bool {
    terms.metric(id).is_some_and(|metric| metric.verification_required)
}

/// The rate to convert with; `None` if the currencies are the same.
fn find_exchange<'r>(
    conversion: &RateableConversion,
    payout_currency: Currency,
    exchange: Option<&'r ExchangeRate>,
) -> Result<Option<&'r ExchangeRate>, Unrateable> {
    let (from, to) = (conversion.currency, payout_currency);
    if from == to {
        return Ok(None);
    }
    let fits = exchange.filter(|rate| (rate.from, rate.to) == (from, to));
    fits.map(Some).ok_or(Unrateable::NoExchangeRate { from, to, day: conversion.occurred_at.date_naive() })
}

/// A rating's amounts, unrounded but for the last two.
struct Amounts {
    earning_value: Decimal,
    base: Decimal,
    product: Decimal,
    multiplier: Decimal,
    full: Decimal,
    wanted_bonus: Decimal,
    final_minor: i64,
    bonus_minor: i64,
}

fn steps(
    conversion: &RateableConversion,
    terms: &Terms,
    exchange: Option<&ExchangeRate>,
    counted: &[CountedMetric],
    amounts: &Amounts,
) -> Vec<String> {
    let Amounts { earning_value, base, product, multiplier, full, wanted_bonus, final_minor, bonus_minor } = *amounts;
    let currency = terms.values.payout_currency;
    let value_money = |minor| Money::new(minor, conversion.currency).to_string();
    let money = |minor| Money::new(minor, currency).to_string();
    // Exact minor units in major units: 24.5 cents read as $0.245.
    let exact = |minor: Decimal| (minor / Decimal::from(10_i64.pow(currency.exponent()))).normalize();
    let code = currency.code();
    let mut steps = Vec::new();
    let mut value = value_money(conversion.value_minor - conversion.reversed_minor);
    if conversion.reversed_minor > 0 {
        steps.push(format!(
            "value = {} − {} reversed = {value}",
            value_money(conversion.value_minor),
            value_money(conversion.reversed_minor)
        ));
    }
    if let Some(rate) = exchange {
        let converted = format!("{} {code}", exact(earning_value));
        steps.push(format!("value in {code} = {value} at {rate} = {converted}"));
        value = converted;
    }
    steps.push(format!("base = {value} × {} = {} {code}", terms.values.commission_rate.normalize(), exact(base)));
    if counted.is_empty() {
        steps.push("multiplier = 1 (no success counted yet)".to_owned());
    } else {
        let factors: Vec<_> =
            counted.iter().map(|metric| format!("{} ({})", metric.value_multiplier.normalize(), metric.metric_id)).collect();
        steps.push(format!("multiplier = {} = {}", factors.join(" × "), product.normalize()));
    }
    if multiplier < product {
        steps.push(format!("multiplier capped at {}", multiplier.normalize()));
    }
    steps.push(format!(
        "commission = {} {code} × {} = {} {code}, rounded {}",
        exact(base),
        multiplier.normalize(),
        exact(full),
        money(final_minor)
    ));
    if !wanted_bonus.is_zero() {
        let rate = terms.values.success_bonus_rate.normalize();
        steps.push(format!(
            "bonus = {} {code} × {rate} = {} {code}, booked {} (with the commission at most base × {})",
            exact(base),
            exact(wanted_bonus),
            money(bonus_minor),
            terms.values.multiplier_cap.normalize()
        ));
    }
    steps
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::{
        attribution::Model,
        exchange::{Rate, cross},
        partner::{MeasurementMethod, MetricKind, TermsValues},
    };
    use chrono::TimeZone;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
    }

    fn terms(rate: &str, bonus: &str, cap: &str) -> Terms {
        Terms {
            partner_terms_id: Uuid::nil().into(),
            partner_id: "supabase".parse().unwrap(),
            version: 1,
            effective_from: DateTime::UNIX_EPOCH,
            values: TermsValues {
                commission_rate: rate.parse().unwrap(),
                success_bonus_rate: bonus.parse().unwrap(),
                multiplier_cap: cap.parse().unwrap(),
                attribution_window_hours: 24,
                hold_period_days: 30,
                adjustment_window_days: 90,
                payout_currency: Currency::USD,
                attribution_model: Model::LastTouch,
                attribution_minimum_seconds: 0,
                minimum_payout_minor: 0,
            },
            success_metrics: supabase_metrics(),
        }
    }

    fn metric(id: &str, multiplier: &str, verification_required: bool) -> SuccessMetric {
        SuccessMetric {
            id: id.to_owned(),
            name: id.to_owned(),
            kind: MetricKind::Achievement,
            measurement_method: MeasurementMethod::Webhook,
            value_multiplier: multiplier.parse().unwrap(),
            required_data: vec![],
            verification_required,
        }
    }

    fn supabase_metrics() -> Vec<SuccessMetric> {
        vec![
            metric("project_created", "1.0", false),
            metric("first_table_created", "1.2", false),
            metric("production_deployment", "1.5", true),
        ]
    }

    fn sale(value_minor: i64, reversed_minor: i64) -> RateableConversion {
        RateableConversion { occurred_at: noon(), value_minor, reversed_minor, currency: Currency::USD }
    }

    fn success(id: &str, verified: bool) -> RateableSuccess {
        RateableSuccess { metric_id: id.to_owned(), occurred_at: noon(), verified_at: verified.then(noon), expires_at: None }
    }

    fn amounts(rating: &Rating) -> (i64, i64, i64) {
        (rating.base_minor, rating.final_minor, rating.bonus_minor)
    }

    #[test]
    fn without_success_the_commission_is_the_base() {
        let rating = rate(&sale(4900, 0), &terms("0.20", "0.30", "3"), &[], None).unwrap();
        assert_eq!(amounts(&rating), (980, 980, 0));
        assert_eq!(rating.receipt.steps.last().unwrap(), "commission = 9.8 USD × 1 = 9.8 USD, rounded $9.80");
    }

    #[test]
    fn each_distinct_verified_metric_multiplies_once() {
        let successes =
            [success("first_table_created", false), success("first_table_created", true), success("production_deployment", true)];
        let rating = rate(&sale(10_000, 0), &terms("0.20", "0.30", "3"), &successes, None).unwrap();
        assert_eq!(rating.multiplier, "1.8".parse().unwrap());
        assert_eq!(amounts(&rating), (2000, 3600, 600));
    }

    #[test]
    fn an_unverified_success_that_needs_verification_multiplies_nothing() {
        let rating = rate(&sale(10_000, 0), &terms("0.20", "0.30", "3"), &[success("production_deployment", false)], None).unwrap();
        assert_eq!(amounts(&rating), (2000, 2000, 0));
    }

    #[test]
    fn commission_and_bonus_together_stop_at_the_cap() {
        let with_metrics = |terms: Terms| Terms { success_metrics: vec![metric("a", "2.5", true), metric("b", "2", false)], ..terms };
        let (low, high) = (with_metrics(terms("0.20", "0.30", "3")), with_metrics(terms("0.20", "0.60", "3")));
        let successes = [success("a", true), success("b", false)];
        let rating = rate(&sale(10_000, 0), &low, &successes, None).unwrap();
        assert_eq!(amounts(&rating), (2000, 6000, 0));
        let rating = rate(&sale(10_000, 0), &low, &successes[..1], None).unwrap();
        assert_eq!(amounts(&rating), (2000, 5000, 600));
        let rating = rate(&sale(10_000, 0), &high, &successes[..1], None).unwrap();
        assert_eq!(amounts(&rating), (2000, 5000, 1000));
    }

    #[test]
    fn a_partial_refund_takes_back_its_share_only() {
        let rating = rate(&sale(10_000, 2_500), &terms("0.20", "0.30", "3"), &[], None).unwrap();
        assert_eq!(amounts(&rating), (1500, 1500, 0));
        let rating = rate(&sale(10_000, 10_000), &terms("0.20", "0.30", "3"), &[success("production_deployment", true)], None).unwrap();
        assert_eq!(amounts(&rating), (0, 0, 0));
    }

    #[test]
    fn halves_of_a_cent_round_to_even() {
        let at = |value| rate(&sale(value, 0), &terms("0.5", "0", "1"), &[], None).unwrap().final_minor;
        assert_eq!([at(1), at(3), at(5)], [0, 2, 2]);
    }

    #[test]
    fn a_value_in_another_currency_is_converted_before_anything_is_rounded() {
        let yen: Currency = "JPY".parse().unwrap();
        let rate_of = |to: &str, per_euro: &str| Rate {
            currency: to.parse().unwrap(),
            day: noon().date_naive(),
            per_euro: per_euro.parse().unwrap(),
        };
        let exchange = cross(&rate_of("JPY", "160"), &rate_of("USD", "1.1")).unwrap();
        let sale = RateableConversion { currency: yen, ..sale(1234, 0) };
        let rating = rate(&sale, &terms("0.20", "0", "3"), &[], Some(&exchange)).unwrap();
        // 1234 × 1.1 ÷ 160 = 8.48375 USD, and a fifth of it 1.69675
        assert_eq!((rating.final_minor, rating.currency, rating.receipt.value_currency), (170, Currency::USD, yen));
        assert_eq!(rating.receipt.exchange_rate, Some(exchange));
    }

    #[test]
    fn without_its_exchange_rate_nothing_is_rated() {
        let sale = RateableConversion { currency: "JPY".parse().unwrap(), ..sale(1234, 0) };
        let other = cross(
            &Rate::euro("EUR".parse().unwrap(), noon().date_naive()),
            &Rate { currency: Currency::USD, day: noon().date_naive(), per_euro: Decimal::ONE },
        );
        for exchange in [None, Some(&other.unwrap())] {
            let refused = rate(&sale, &terms("0.20", "0", "3"), &[], exchange).unwrap_err();
            assert_eq!(refused.to_string(), "no exchange rate from JPY to USD of 2026-11-22 or the days before it");
        }
    }

    #[test]
    fn successes_after_the_adjustment_window_or_expired_before_the_sale_do_not_count() {
        let late = RateableSuccess { occurred_at: noon() + Duration::days(91), ..success("first_table_created", true) };
        let expired = RateableSuccess { expires_at: Some(noon()), ..success("first_table_created", true) };
        let rating = rate(&sale(10_000, 0), &terms("0.20", "0.30", "3"), &[late, expired], None).unwrap();
        assert_eq!(rating.multiplier, Decimal::ONE);
    }

    proptest! {
        #[test]
        fn rating_never_passes_the_cap_and_ignores_order_and_doubles(
            value in 0_i64..1_000_000_000, refund in 0.0..=1.0_f64, rate_bp in 0_i64..=10_000, bonus_bp in 0_i64..=10_000, cap_tenths in 10_i64..100,
            multipliers in proptest::collection::vec((1_i64..50, any::<bool>()), 0..6), achieved in proptest::collection::vec(0_usize..6, 0..12),
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any share of the value will do")]
            let reversed = ((value as f64 * refund) as i64).min(value);
            let decimal = |units: i64, scale| Decimal::new(units, scale).to_string();
            let success_metrics = multipliers.iter().enumerate().map(|(index, (tenths, verify))| metric(&format!("m{index}"), &decimal(*tenths, 1), *verify)).collect();
            let terms = Terms { success_metrics, ..terms(&decimal(rate_bp, 4), &decimal(bonus_bp, 4), &decimal(cap_tenths, 1)) };
            let mut successes: Vec<_> = achieved.iter().map(|index| success(&format!("m{index}"), index % 2 == 0)).collect();
            let rating = rate(&sale(value, reversed), &terms, &successes, None).unwrap();

            let ceiling = round_minor(Decimal::from(value - reversed) * terms.values.commission_rate * terms.values.multiplier_cap).unwrap();
            prop_assert!(rating.final_minor + rating.bonus_minor <= ceiling);
            prop_assert!(rating.final_minor >= 0 && rating.bonus_minor >= 0);

            successes.extend(successes.clone());
            successes.reverse();
            prop_assert_eq!(rate(&sale(value, reversed), &terms, &successes, None), Ok(rating));
        }
    }
}
