//! The partners of a simulation: one for each attribution model, with currencies and periods of their own, and terms that
//! change in the middle of the simulated time. Each run has its own, since terms never change what has happened; they are
//! active only while it runs, and offered only to its own sites.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    PartnerId,
    analysis::{Analysis, Category, Need},
    attribution::Model,
    auth::Principal,
    partner::{
        AuthType, IntegrationKind, IntegrationMethod, MeasurementMethod, MetricKind, PartnerEdit, PartnerFile, Priors, SecretPurpose,
        SuccessMetric, Terms, TermsValues, WebhookEvent, WebhookScheme,
    },
};
use engine::{Engine, clock, partner};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    plan::Party,
    play::Sender,
    truth::{Book, Counted, Rates, Version},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The commission rate before and after the change, in hundredths.
const RATES: [i64; 2] = [20, 25];

/// No rule of the analysis ever finds a need of it, so that other sites are not offered these partners.
const CATEGORY: Category = Category::Queue;

/// A partner's peculiarities.
struct Role {
    name: &'static str,
    model: Model,
    currency: &'static str,
    window_hours: u32,
    minimum_seconds: u32,
    hold_days: u32,
    adjustment_days: u32,
}

const ROLES: [Role; 5] = [
    Role {
        name: "last-touch",
        model: Model::LastTouch,
        currency: "USD",
        window_hours: 24,
        minimum_seconds: 0,
        hold_days: 30,
        adjustment_days: 90,
    },
    Role {
        name: "first-touch",
        model: Model::FirstTouch,
        currency: "EUR",
        window_hours: 72,
        minimum_seconds: 0,
        hold_days: 2,
        adjustment_days: 3,
    },
    Role {
        name: "linear",
        model: Model::Linear,
        currency: "USD",
        window_hours: 48,
        minimum_seconds: 20,
        hold_days: 1,
        adjustment_days: 90,
    },
    Role {
        name: "position",
        model: Model::PositionBased,
        currency: "USD",
        window_hours: 72,
        minimum_seconds: 0,
        hold_days: 3,
        adjustment_days: 90,
    },
    Role {
        name: "decay",
        model: Model::TimeDecay,
        currency: "JPY",
        window_hours: 14 * 24,
        minimum_seconds: 0,
        hold_days: 30,
        adjustment_days: 5,
    },
];

/// The partners as everyone in the simulation needs them, in one order.
pub struct Cast {
    pub parties: Vec<Party>,
    pub books: Vec<Book>,
    pub senders: Vec<Sender>,
}

impl Cast {
    pub fn partner_ids(&self) -> Vec<PartnerId> {
        self.books.iter().map(|book| book.partner_id.clone()).collect()
    }
}

/// Makes the partners of a run, whose terms change at `change_at`.
pub async fn engage(engine: &Engine, run: &str, change_at: DateTime<Utc>) -> Result<Cast, Failure> {
    let files = ROLES.iter().map(|role| file(run, role)).collect::<Result<Vec<_>, _>>()?;
    partner::import(engine, files).await?;
    let mut cast = Cast { parties: Vec::new(), books: Vec::new(), senders: Vec::new() };
    for role in &ROLES {
        let partner_id: PartnerId = slug(run, role).parse()?;
        change_terms(engine, &partner_id, change_at).await?;
        let mut versions = partner::list_terms(engine, &Principal::CommandLine, &partner_id).await?;
        versions.reverse();
        cast.parties.push(party(role, &versions));
        cast.books.push(Book { partner_id: partner_id.clone(), versions: versions.iter().map(version).collect::<Result<_, _>>()? });
        let secret = partner::set_secret(engine, &Principal::CommandLine, &partner_id, SecretPurpose::Webhook, None).await?;
        cast.senders.push(Sender { partner_id, secret });
    }
    Ok(cast)
}

/// Deactivates the partners, so that nobody is recommended them.
pub async fn dismiss(engine: &Engine, cast: &Cast) -> engine::Result<()> {
    for partner_id in cast.partner_ids() {
        let edit = PartnerEdit { active: Some(false), ..PartnerEdit::default() };
        partner::update(engine, &Principal::CommandLine, &partner_id, edit).await?;
    }
    Ok(())
}

/// What all sites of a run are said to be: they need its partners and nothing else.
pub fn analysis() -> Analysis {
    let need = Need { category: CATEGORY, strength: 1.0, reason: "the simulator says so".to_owned(), evidence: Vec::new(), engines: None };
    Analysis { needs: vec![need], confidence: 1.0, ..Analysis::default() }
}

fn slug(run: &str, role: &Role) -> String {
    format!("{run}-{}", role.name)
}

/// Adds a version with a higher rate and a higher multiplier of the milestone, as if at that time.
async fn change_terms(engine: &Engine, partner_id: &PartnerId, change_at: DateTime<Utc>) -> Result<(), Failure> {
    let before = partner::terms_at(&mut *engine.db.acquire().await?, partner_id, change_at).await?;
    let values = TermsValues { commission_rate: Decimal::new(RATES[1], 2), ..before.values };
    let metrics = success_metrics(true);
    // Terms start some minutes after they were added at the soonest.
    let added_at = change_at - TimeDelta::hours(1);
    clock::at(added_at, partner::add_terms(engine, &Principal::CommandLine, partner_id, values, Some(metrics), change_at)).await?;
    Ok(())
}

fn file(run: &str, role: &Role) -> Result<PartnerFile, Failure> {
    Ok(PartnerFile {
        id: slug(run, role).parse()?,
        name: slug(run, role),
        display_name: format!("Simulated, {}", role.name),
        description: "A partner of the simulator; only its own sites are offered it".to_owned(),
        category: CATEGORY.id().to_owned(),
        engines: Vec::new(),
        homepage_url: "https://simulated.example".to_owned(),
        api_base_url: "https://simulated.example".to_owned(),
        auth_type: AuthType::ApiKey,
        tier: 3,
        active: true,
        terms: TermsValues {
            commission_rate: Decimal::new(RATES[0], 2),
            success_bonus_rate: Decimal::new(30, 2),
            multiplier_cap: Decimal::from(2),
            attribution_window_hours: role.window_hours,
            hold_period_days: role.hold_days,
            adjustment_window_days: role.adjustment_days,
            payout_currency: role.currency.parse()?,
            attribution_model: role.model,
            attribution_minimum_seconds: role.minimum_seconds,
            minimum_payout_minor: 0,
        },
        priors: Priors {
            conversion_rate: Decimal::new(2, 2),
            conversion_rate_weight: Decimal::from(200),
            average_value: Decimal::from(20),
            success_multiplier: Decimal::ONE,
        },
        integration_methods: vec![IntegrationMethod {
            kind: IntegrationKind::DeepLink,
            url_template: "https://simulated.example/start?click_id={{CLICK_ID}}".to_owned().try_into()?,
            conversion_tracking: true,
            customization: Default::default(),
            template_ids: BTreeMap::new(),
        }],
        success_metrics: success_metrics(false),
        webhook_events: vec![WebhookEvent {
            event: "*".to_owned(),
            path: "events".to_owned(),
            authentication: WebhookScheme::StandardWebhooks,
        }],
    })
}

fn success_metrics(generous: bool) -> Vec<SuccessMetric> {
    let metric = |id: &str, hundredths: i64, verification_required: bool| SuccessMetric {
        id: id.to_owned(),
        name: id.to_owned(),
        kind: MetricKind::Achievement,
        measurement_method: MeasurementMethod::Webhook,
        value_multiplier: Decimal::new(hundredths, 2),
        required_data: vec!["project".to_owned()],
        verification_required,
    };
    vec![metric("started", 100, false), metric("invited_a_team", 120, false), metric("went_live", if generous { 160 } else { 150 }, true)]
}

fn party(role: &Role, versions: &[Terms]) -> Party {
    let metrics = versions.last().map_or(&[][..], |terms| &terms.success_metrics);
    Party {
        metrics: metrics.iter().map(|metric| (metric.id.clone(), metric.required_data.clone())).collect(),
        window: TimeDelta::hours(role.window_hours.into()),
        minimum: TimeDelta::seconds(role.minimum_seconds.into()),
        hold: TimeDelta::days(role.hold_days.into()),
        adjustment: TimeDelta::days(role.adjustment_days.into()),
    }
}

fn version(terms: &Terms) -> Result<Version, Failure> {
    let ppm = |value: Decimal| (value * Decimal::from(1_000_000)).to_i128().ok_or("a rate does not fit");
    let values = &terms.values;
    let counted = |metric: &SuccessMetric| {
        Ok((metric.id.clone(), Counted { multiplier_ppm: ppm(metric.value_multiplier)?, milestone: metric.verification_required }))
    };
    Ok(Version {
        from: terms.effective_from,
        model: values.attribution_model,
        rates: Rates {
            commission_ppm: ppm(values.commission_rate)?,
            bonus_ppm: ppm(values.success_bonus_rate)?,
            cap_ppm: ppm(values.multiplier_cap)?,
        },
        metrics: terms.success_metrics.iter().map(counted).collect::<Result<_, Failure>>()?,
        currency: values.payout_currency.to_string(),
        hold: TimeDelta::days(values.hold_period_days.into()),
        adjustment: TimeDelta::days(values.adjustment_window_days.into()),
    })
}
