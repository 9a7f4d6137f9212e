//! The dashboard's panels.

use domain::{
    Currency, Money,
    dashboard::{Bucket, Compared, Counts, Health, Metrics, PartnerFigures, Point, Range, Ratio, RecentConversion},
};
use leptos::prelude::*;

use super::{conversion::state_of, html};
use crate::{
    api::{Chart, Dashboard},
    charts,
    components::{
        Badge, DataTable, EmptyState, KpiCard, NumberCell, StatusDot, Symbol, Time, Tone, age, count, date_time, day, percent, short_count,
        time_of_day,
    },
};

/// Renders everything that the dashboard shows.
pub fn dashboard(metrics: Metrics) -> Dashboard {
    let Metrics { as_of, range, currency, .. } = metrics;
    let counts = metrics.counts.now;
    Dashboard {
        as_of: time_of_day(as_of),
        currency: currency.code().to_owned(),
        commission: chart(charts::revenue(&metrics), || {
            let points = metrics.series.clone();
            html(view! { <SeriesTable points range currency/> })
        }),
        funnel: chart(charts::funnel(&counts), || html(view! { <FunnelTable counts/> })),
        conversions: html(view! { <RecentConversions conversions=metrics.recent_conversions.clone()/> }),
        partners_hint: format!("{}, by {}", range.words(), if metrics.other_commissions.is_empty() { "commission" } else { "conversions" }),
        partners: html(view! { <TopPartners partners=metrics.top_partners.clone()/> }),
        health: html(view! { <HealthList health=metrics.health as_of/> }),
        key_figures: html(view! { <KpiGrid metrics/> }),
    }
}

/// A chart with its numbers as a table, or why there is none.
fn chart(svg: Option<String>, table: impl FnOnce() -> String) -> Chart {
    match svg {
        Some(drawing) => Chart { drawing, table: Some(table()) },
        None => Chart {
            drawing: html(view! {
                <EmptyState title="Nothing in this period" symbol=Symbol::Chart>
                    <p>"Offers are shown by the widget on a site. Register a site, embed the widget, and figures appear here by themselves."</p>
                </EmptyState>
            }),
            table: None,
        },
    }
}

#[component]
fn KpiGrid(metrics: Metrics) -> impl IntoView {
    let Compared { now, before } = metrics.counts;
    let minor = |amounts: Compared<Money>| amounts.map(|amount| amount.amount_minor);
    let amount = |amount: Option<Money>| amount.map_or_else(|| "–".to_owned(), |amount| amount.to_string());
    let currency = metrics.currency;
    view! {
            <KpiCard
                lead=true
                label=format!("Commission, {}", metrics.range.words())
                value=metrics.commission.now.to_string()
                delta=minor(metrics.commission)
                hint=also(format!("{} the period before", metrics.commission.before), &metrics.other_commissions)
            />
            <Amounts label="Commission today" amounts=metrics.commission_today hint="since 00:00 UTC"/>
            <KpiCard
                label="Commission this month"
                value=metrics.commission_this_month.now.to_string()
                delta=minor(metrics.commission_this_month)
                hint=also("against the same part of last month".to_owned(), &metrics.other_commissions_this_month)
            />
            <KpiCard
                label="Average commission"
                value=amount(metrics.average_commission.now)
                delta=metrics.average_commission.both().map(minor)
                hint=format!("per conversion paid in {currency}")
            />
            <Amounts label="Held commission" amounts=metrics.held hint="until its hold period is over"/>
            <Amounts label="Approved commission" amounts=metrics.approved hint="of conversions that are not paid yet"/>
            <Amounts label="Paid commission" amounts=metrics.paid hint="by all payouts so far"/>
            <KpiCard
                label="Earnings per click"
                value=amount(metrics.earnings_per_click.now)
                delta=metrics.earnings_per_click.both().map(minor)
                hint=format!("per click on offers that pay in {currency}")
            />
            <KpiCard label="Impressions" value=short_count(now.impressions) delta=metrics.counts.map(|counts| counts.impressions) hint=count(now.impressions)/>
            <KpiCard
                label="Clicks"
                value=short_count(now.clicks)
                delta=metrics.counts.map(|counts| counts.clicks)
                hint=format!("{} of bots and repeats left out", count(now.clicks_uncounted))
            />
            <KpiCard
                label="Conversions"
                value=count(now.conversions)
                delta=metrics.counts.map(|counts| counts.conversions)
                hint=format!("{} unattributed", count(now.conversions_unattributed))
            />
            <KpiCard
                label="Conversion rate"
                value=percent(now.conversion_rate())
                hint=format!("of clicks; {}", rate_before(before.conversion_rate()))
            />
            <KpiCard
                label="Attribution rate"
                value=percent(now.attribution_rate())
                hint=rate_before(before.attribution_rate())
            />
            <KpiCard
                label="Verified successes"
                value=count(now.successes)
                delta=metrics.counts.map(|counts| counts.successes)
                hint="what developers reached with partners"
            />
            <KpiCard label="New developers" value=count(metrics.new_developers.now) delta=metrics.new_developers hint="with their first site"/>
            <KpiCard label="New sites" value=count(metrics.new_sites.now) delta=metrics.new_sites hint="analysed for the first time"/>
    }
}

/// The first amount as the figure, the others beside its hint.
#[component]
fn Amounts(label: &'static str, amounts: Vec<Money>, hint: &'static str) -> impl IntoView {
    let (first, others) = amounts.split_first().map_or((String::new(), &[][..]), |(first, others)| (first.to_string(), others));
    view! { <KpiCard label value=first hint=also(hint.to_owned(), others)/> }
}

/// Amounts in other currencies cannot be added to a figure, and must not be left out either.
fn also(hint: String, others: &[Money]) -> String {
    if others.is_empty() { hint } else { format!("{hint}; also {}", joined(others)) }
}

/// A rate has no value where there was nothing to divide by.
fn rate_before(rate: Ratio) -> String {
    rate.basis_points().map_or_else(|| "none the period before".to_owned(), |_| format!("{} the period before", percent(rate)))
}

fn joined(amounts: &[Money]) -> String {
    amounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[component]
fn SeriesTable(points: Vec<Point>, range: Range, currency: Currency) -> impl IntoView {
    let rows = points
        .into_iter()
        .rev()
        .map(|point| {
            let at = match range.bucket() {
                Bucket::Hour => date_time(point.at),
                Bucket::Day => day(point.at.date_naive()),
            };
            view! {
                <tr>
                    <th scope="row">{at}</th>
                    <NumberCell>{Money::new(point.commission_minor, currency).to_string()}</NumberCell>
                    <NumberCell>{count(point.conversions)}</NumberCell>
                    <NumberCell>{count(point.clicks)}</NumberCell>
                </tr>
            }
        })
        .collect_view();
    view! { <DataTable caption="Commission over time" columns=vec!["Time (UTC)", "#Commission", "#Conversions", "#Clicks"]>{rows}</DataTable> }
}

#[component]
fn FunnelTable(counts: Counts) -> impl IntoView {
    let of_impressions = move |part| percent(Ratio { part, whole: counts.impressions });
    let rows = [
        ("Impressions", counts.impressions),
        ("Clicks", counts.clicks),
        ("Conversions", counts.conversions_attributed()),
        ("Verified successes", counts.successes),
    ]
    .map(|(step, number)| {
        view! {
            <tr>
                <th scope="row">{step}</th>
                <NumberCell>{count(number)}</NumberCell>
                <NumberCell>{of_impressions(number)}</NumberCell>
            </tr>
        }
    });
    view! { <DataTable caption="Funnel" columns=vec!["Step", "#Count", "#Of impressions"]>{rows.into_iter().collect_view()}</DataTable> }
}

#[component]
fn RecentConversions(conversions: Vec<RecentConversion>) -> impl IntoView {
    if conversions.is_empty() {
        return view! {
            <EmptyState title="No conversions yet">
                <p>"They come in by a partner's signed webhook or postback. A partner's page can send a test."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows = conversions.into_iter().map(|conversion| view! { <ConversionRow conversion/> }).collect_view();
    view! {
        <DataTable
            caption="Recent conversions"
            cards=true
            columns=vec!["Time (UTC)", "Partner", "Site", "#Value", "#Commission", "State", "Matched by"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn ConversionRow(conversion: RecentConversion) -> impl IntoView {
    let (tone, state) = state_of(conversion.state, conversion.commission_state.as_deref());
    let site = match conversion.site {
        Some((id, name)) => view! { <a href=format!("/sites/{id}")>{name}</a> }.into_any(),
        None => view! { <span class="muted">"–"</span> }.into_any(),
    };
    view! {
        <tr data-conversion-id=conversion.conversion_id.to_string()>
            <td data-label="Time"><a href=format!("/conversions/{}", conversion.conversion_id)><Time at=conversion.occurred_at/></a></td>
            <td data-label="Partner"><a href=format!("/partners/{}", conversion.partner_id)>{conversion.partner_name}</a></td>
            <td data-label="Site">{site}</td>
            <NumberCell label="Value">{conversion.value.to_string()}</NumberCell>
            <NumberCell label="Commission">{conversion.commission.map_or_else(|| "–".to_owned(), |amount| amount.to_string())}</NumberCell>
            <td data-label="State"><Badge tone title=conversion.state_reason.unwrap_or_default()>{state}</Badge></td>
            <td data-label="Matched by" class="muted">{conversion.matched_by.map_or_else(|| "–".to_owned(), |by| by.replace('_', " "))}</td>
        </tr>
    }
}

#[component]
fn TopPartners(partners: Vec<PartnerFigures>) -> impl IntoView {
    if partners.is_empty() {
        return view! { <EmptyState title="No partner had traffic in this period"/> }.into_any();
    }
    let rows = partners
        .into_iter()
        .map(|partner| {
            let commissions = joined(&partner.commissions);
            view! {
                <tr>
                    <td data-label="Partner"><a href=format!("/partners/{}", partner.partner_id)>{partner.display_name}</a></td>
                    <NumberCell label="Commission">{if commissions.is_empty() { "–".to_owned() } else { commissions }}</NumberCell>
                    <NumberCell label="Clicks">{count(partner.counts.clicks)}</NumberCell>
                    <NumberCell label="Conversions">{count(partner.counts.conversions)}</NumberCell>
                    <NumberCell label="Rate">{percent(partner.counts.conversion_rate())}</NumberCell>
                    <NumberCell label="Attributed">{percent(partner.counts.attribution_rate())}</NumberCell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <DataTable
            caption="Top partners"
            cards=true
            columns=vec!["Partner", "#Commission", "#Clicks", "#Conversions", "#Rate", "#Attributed"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn HealthList(health: Health, as_of: chrono::DateTime<chrono::Utc>) -> impl IntoView {
    // A delivery is worked off within a second; a minute means that workers are behind.
    let behind = health.oldest_waiting_at.is_some_and(|at| (as_of - at).num_seconds() > 60);
    let oldest = health.oldest_waiting_at.map_or_else(String::new, |at| format!(", the oldest for {}", age(at, as_of)));
    let tone = |bad: bool, tone: Tone| if bad { tone } else { Tone::Good };
    view! {
        <ul class="health">
            <li>
                <StatusDot tone=tone(behind, Tone::Warning)>"Deliveries waiting"</StatusDot>
                <span class="health__value">{format!("{}{oldest}", count(health.deliveries_waiting))}</span>
            </li>
            <li>
                <StatusDot tone=tone(health.deliveries_dead > 0, Tone::Bad)>"Deliveries given up"</StatusDot>
                <a class="health__value" href="/deliveries?state=dead">{count(health.deliveries_dead)}</a>
            </li>
            <li>
                <StatusDot tone=tone(health.transactions_unsealed > 10_000, Tone::Warning)>"Ledger transactions to seal"</StatusDot>
                <span class="health__value">{count(health.transactions_unsealed)}</span>
            </li>
        </ul>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_currency_is_left_out_or_added_up() {
        let money = |minor, code: &str| Money::new(minor, code.parse().expect("a currency"));
        assert_eq!(also("since 00:00 UTC".to_owned(), &[]), "since 00:00 UTC");
        let others = [money(123_456, "EUR"), money(90_000, "JPY")];
        assert_eq!(also("since 00:00 UTC".to_owned(), &others), "since 00:00 UTC; also €1,234.56, ¥90,000");
    }
}
