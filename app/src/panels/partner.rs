//! The list of partners, and what of a partner's page is only read.

use chrono::{DateTime, Utc};
use domain::{
    Money,
    partner::{AuthType, IntegrationKind, IntegrationMethod, MeasurementMethod, MetricKind, Partner, SuccessMetric},
};
use engine::partner::{Overview, TermsVersion};
use leptos::prelude::*;

use super::html;
use crate::components::{Badge, DataTable, EmptyState, NumberCell, Time, Tone, date_time, percent_of_decimal};

pub fn partner_table(partners: Vec<Overview>) -> String {
    html(view! { <PartnerTable partners/> })
}

/// Who the partner is and where its links lead.
pub fn identity(partner: &Partner) -> String {
    let partner = partner.clone();
    html(view! { <Identity partner/> })
}

/// All versions of the terms, the newest first.
pub fn terms_history(terms: Vec<TermsVersion>, now: DateTime<Utc>) -> String {
    html(view! { <History terms now/> })
}

pub fn metrics(metrics: Vec<SuccessMetric>) -> String {
    html(view! { <MetricTable metrics/> })
}

#[component]
fn PartnerTable(partners: Vec<Overview>) -> impl IntoView {
    if partners.is_empty() {
        return view! {
            <EmptyState title="There are no partners yet">
                <p>"Partners are imported from the files in "<code>"partners/"</code>" when the server starts."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows = partners.into_iter().map(|partner| view! { <PartnerLine partner/> }).collect_view();
    view! {
        <DataTable
            caption="Partners"
            cards=true
            columns=vec!["Name", "Category", "Tier", "State", "#Commission rate", "#Attribution window", "Webhook secret"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn PartnerLine(partner: Overview) -> impl IntoView {
    let rate = partner.commission_rate.map_or_else(|| "no terms yet".to_owned(), percent_of_decimal);
    let window = partner.attribution_window_hours.map_or_else(|| "–".to_owned(), |hours| format!("{hours} h"));
    let (secret_tone, secret) = match partner.webhook_secrets {
        0 => (Tone::Warning, "not set"),
        1 => (Tone::Good, "set"),
        _ => (Tone::Accent, "rotating"),
    };
    let (state_tone, state) = if partner.active { (Tone::Good, "active") } else { (Tone::Neutral, "inactive") };
    view! {
        <tr>
            <td data-label="Name"><a class="partners__name" href=format!("/partners/{}", partner.partner_id)>{partner.display_name}</a></td>
            <td data-label="Category">{partner.category}</td>
            <td data-label="Tier">{format!("Tier {}", partner.tier)}</td>
            <td data-label="State"><Badge tone=state_tone>{state}</Badge></td>
            <NumberCell label="Commission rate">{rate}</NumberCell>
            <NumberCell label="Attribution window">{window}</NumberCell>
            <td data-label="Webhook secret"><Badge tone=secret_tone>{secret}</Badge></td>
        </tr>
    }
}

#[component]
fn Identity(partner: Partner) -> impl IntoView {
    let links = partner.integration_methods.clone();
    view! {
        <Facts partner/>
        <h3 class="partner__subtitle">"Links"</h3>
        {links.into_iter().map(|link| view! { <LinkLine link/> }).collect_view()}
    }
}

#[component]
fn Facts(partner: Partner) -> impl IntoView {
    let link = |url: String| {
        let text = url.clone();
        view! { <a href=url rel="noreferrer external" target="_blank">{text}</a> }
    };
    view! {
        <dl class="facts">
            <div><dt>"Id"</dt><dd><code>{partner.partner_id.to_string()}</code></dd></div>
            <div><dt>"Category"</dt><dd>{partner.category}</dd></div>
            <div><dt>"Tier"</dt><dd>{partner.tier.to_string()}</dd></div>
            <div><dt>"Home page"</dt><dd>{link(partner.homepage_url)}</dd></div>
            <div><dt>"API"</dt><dd><span class="mono">{partner.api_base_url}</span></dd></div>
            <div><dt>"API sign-in"</dt><dd>{auth_words(partner.auth_type)}</dd></div>
        </dl>
    }
}

#[component]
fn LinkLine(link: IntegrationMethod) -> impl IntoView {
    let tracking = match () {
        () if link.url_template.is_ours() => "not built yet: visitors take the deep link",
        () if link.conversion_tracking => "tracks conversions",
        () => "no tracking",
    };
    view! {
        <div class="partner__link">
            <p class="partner__link-kind">{integration_words(link.kind)}" "<span class="muted">{tracking}</span></p>
            <code class="partner__template">{link.url_template.as_str().to_owned()}</code>
        </div>
    }
}

#[component]
fn History(terms: Vec<TermsVersion>, now: DateTime<Utc>) -> impl IntoView {
    if terms.is_empty() {
        return view! { <EmptyState title="No terms yet"><p>"Without terms no conversion can be rated."</p></EmptyState> }.into_any();
    }
    let in_force = terms.iter().find(|version| version.terms.effective_from <= now).map(|version| version.terms.version);
    let rows = terms.into_iter().map(|version| view! { <TermsLine version in_force/> }).collect_view();
    view! {
        <DataTable
            caption="Versions of the terms, the newest first"
            cards=true
            columns=vec!["Version", "In force from", "#Commission", "#Bonus", "#Cap", "Attribution", "#Window", "#Hold", "#Adjustments", "#Minimum payout", "Made by"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn TermsLine(version: TermsVersion, in_force: Option<i32>) -> impl IntoView {
    let TermsVersion { terms, created_at, created_by } = version;
    let values = terms.values;
    let window = match values.attribution_minimum_seconds {
        0 => format!("{} h", values.attribution_window_hours),
        seconds => format!("{seconds} s to {} h", values.attribution_window_hours),
    };
    let minimum_payout = Money::new(values.minimum_payout_minor, values.payout_currency);
    let (tone, phase) = match in_force {
        Some(current) if terms.version == current => (Tone::Good, "in force"),
        Some(current) if terms.version < current => (Tone::Neutral, "past"),
        _ => (Tone::Accent, "coming"),
    };
    // Terms that ship with a partner's file are in force for all of its history.
    let from = if terms.effective_from.timestamp() <= 0 {
        view! { <span>"the beginning"</span> }.into_any()
    } else {
        view! { <Time at=terms.effective_from/> }.into_any()
    };
    view! {
        <tr>
            <td data-label="Version"><span class="row">{terms.version.to_string()}<Badge tone>{phase}</Badge></span></td>
            <td data-label="In force from">{from}</td>
            <NumberCell label="Commission">{percent_of_decimal(values.commission_rate)}</NumberCell>
            <NumberCell label="Bonus">{percent_of_decimal(values.success_bonus_rate)}</NumberCell>
            <NumberCell label="Cap">{format!("× {}", values.multiplier_cap)}</NumberCell>
            <td data-label="Attribution">{values.attribution_model.to_string().replace('_', " ")}</td>
            <NumberCell label="Window">{window}</NumberCell>
            <NumberCell label="Hold">{format!("{} d", values.hold_period_days)}</NumberCell>
            <NumberCell label="Adjustments">{format!("{} d", values.adjustment_window_days)}</NumberCell>
            <NumberCell label="Minimum payout">{format!("{} {}", minimum_payout.to_decimal(), values.payout_currency)}</NumberCell>
            <td data-label="Made by" title=date_time(created_at)>{created_by}</td>
        </tr>
    }
}

#[component]
fn MetricTable(metrics: Vec<SuccessMetric>) -> impl IntoView {
    if metrics.is_empty() {
        return view! { <EmptyState title="This partner has no success metrics"/> }.into_any();
    }
    let rows = metrics
        .into_iter()
        .map(|metric| {
            view! {
                <tr>
                    <td data-label="Metric">
                        <span class="two-lines">
                            <span>{metric.name}</span>
                            <code class="muted">{metric.id}</code>
                        </span>
                    </td>
                    <td data-label="Kind">{kind_words(metric.kind)}</td>
                    <NumberCell label="Multiplier">{format!("× {}", metric.value_multiplier.normalize())}</NumberCell>
                    <td data-label="Measured by">{method_words(metric.measurement_method)}</td>
                    <td data-label="Verification">
                        {if metric.verification_required {
                            view! { <Badge tone=Tone::Warning>"required"</Badge> }.into_any()
                        } else {
                            view! { <span class="muted">"not required"</span> }.into_any()
                        }}
                    </td>
                    <td data-label="Required data" class="partner__wrap"><span class="mono">{metric.required_data.join(", ")}</span></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <DataTable
            caption="Metrics, multipliers and their proof"
            cards=true
            columns=vec!["Metric", "Kind", "#Multiplier", "Measured by", "Verification", "Required data"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

fn kind_words(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Conversion => "conversion",
        MetricKind::Retention => "retention",
        MetricKind::Expansion => "expansion",
        MetricKind::Achievement => "achievement",
        MetricKind::Revenue => "revenue",
    }
}

fn method_words(method: MeasurementMethod) -> &'static str {
    match method {
        MeasurementMethod::ApiTracking => "partner's API",
        MeasurementMethod::Webhook => "webhook",
        MeasurementMethod::UserReport => "developer's report",
        MeasurementMethod::Analytics => "analytics",
    }
}

fn integration_words(kind: IntegrationKind) -> &'static str {
    match kind {
        IntegrationKind::DeepLink => "Deep link",
        IntegrationKind::ApiRedirect => "Created through the API",
        IntegrationKind::EmbedWidget => "Embedded widget",
        IntegrationKind::SdkIntegration => "SDK",
    }
}

fn auth_words(auth_type: AuthType) -> &'static str {
    match auth_type {
        AuthType::Oauth2 => "OAuth 2",
        AuthType::ApiKey => "API key",
        AuthType::BearerToken => "bearer token",
    }
}
