//! Who would have earned what under another attribution policy.

use domain::{Currency, Money};
use engine::attribution::{CONVERSIONS_MAX, Change, Figures, WhatIf};
use leptos::prelude::*;
use rust_decimal::Decimal;

use super::html;
use crate::components::{Badge, DataTable, EmptyState, Notice, NumberCell, Panel, Tone, count, date_time};

/// What changed at large, then partner by partner and site by site.
pub fn what_if(report: WhatIf) -> String {
    if report.conversions == 0 {
        return html(view! {
            <Panel title="Result">
                <EmptyState title="No conversion happened in this period"><p>"Choose another period or partner."</p></EmptyState>
            </Panel>
        });
    }
    let cut = report.cut_at.map(|at| {
        format!(
            "More than {} conversions happened: those from {} on were not looked at. A shorter period or one partner shows the rest.",
            count(number(CONVERSIONS_MAX)),
            date_time(at)
        )
    });
    let (partners, sites) = (report.partners.clone(), report.sites.clone());
    html(view! {
        <div class="stack">
            {cut.map(|cut| view! { <Notice tone=Tone::Warning>{cut}</Notice> })}
            <Panel title="At large"><Summary report/></Panel>
            <Panel title="By partner" hint="commission and bonus that partners owe; nothing was changed" flush=true>
                <ChangeTable caption="Change by partner" changes=partners/>
            </Panel>
            <Panel title="By site" hint="the largest gains first, the largest losses last" flush=true>
                <ChangeTable caption="Change by site" changes=sites/>
            </Panel>
        </div>
    })
}

#[component]
fn Summary(report: WhatIf) -> impl IntoView {
    let WhatIf { conversions, unchanged, moved, gained, lost, unrated, .. } = report;
    let fact = |label: &'static str, figure: usize| view! { <div><dt>{label}</dt><dd>{count(number(figure))}</dd></div> };
    view! {
        <p class="what-if__policy">
            {report.model.label()}", within "{count(report.window_hours)}" h, at least "{count(report.minimum_seconds)}" s after the click"
        </p>
        <dl class="facts what-if__facts">
            {fact("Conversions", conversions)}
            {fact("As they are", unchanged)}
            {fact("Shared otherwise", moved)}
            {fact("Newly attributed", gained)}
            {fact("No longer attributed", lost)}
            {(unrated > 0).then(|| fact("Without exchange rate", unrated))}
        </dl>
        {(unrated > 0).then(|| view! { <p class="muted">"Conversions without an exchange rate would be held; their money is in no sum."</p> })}
    }
}

#[component]
fn ChangeTable(caption: &'static str, changes: Vec<Change>) -> impl IntoView {
    if changes.is_empty() {
        return view! { <EmptyState title="Nothing is attributed, now or then"/> }.into_any();
    }
    let rows = changes.into_iter().map(|change| view! { <ChangeLine change/> }).collect_view();
    view! {
        <DataTable
            caption
            cards=true
            columns=vec!["Who", "#Conversions now", "#then", "#Commission now", "#then", "#Difference", "Result"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn ChangeLine(change: Change) -> impl IntoView {
    let difference_minor = change.difference_minor();
    let (tone, result) = match difference_minor {
        1.. => (Tone::Good, "gains"),
        0 => (Tone::Neutral, "the same"),
        ..=-1 => (Tone::Bad, "loses"),
    };
    let Change { partner_id, site, currency, now, then } = change;
    let money = move |figures: Figures| Money::new(figures.commission_minor, currency).to_string();
    let partner = partner_id.to_string();
    let who = match site {
        Some((id, name)) => {
            view! { <span class="two-lines"><a href=format!("/sites/{id}")>{name}</a><span class="muted">{partner}</span></span> }
                .into_any()
        }
        None => view! { <a href=format!("/partners/{partner}")>{partner.clone()}</a> }.into_any(),
    };
    view! {
        <tr>
            <td data-label="Who">{who}</td>
            <NumberCell label="Conversions now">{shares(now.conversions)}</NumberCell>
            <NumberCell label="Conversions then">{shares(then.conversions)}</NumberCell>
            <NumberCell label="Commission now">{money(now)}</NumberCell>
            <NumberCell label="Commission then">{money(then)}</NumberCell>
            <NumberCell label="Difference">{signed(difference_minor, currency)}</NumberCell>
            <td data-label="Result"><Badge tone>{result}</Badge></td>
        </tr>
    }
}

/// A sum of shares, to two digits.
fn shares(sum: Decimal) -> String {
    sum.round_dp(2).normalize().to_string()
}

fn signed(minor: i64, currency: Currency) -> String {
    let plus = if minor > 0 { "+" } else { "" };
    format!("{plus}{}", Money::new(minor, currency))
}

fn number(figure: usize) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}
