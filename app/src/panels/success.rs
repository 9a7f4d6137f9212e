//! Successes: lists of them, and one with its evidence, score and conversions.

use chrono::{DateTime, Utc};
use domain::{
    conversion::Source,
    success::{HALF_LIFE_DAYS, SCORE_HALF_SUM, Score, ScorePart},
};
use engine::success::{Affected, Detail, Listed, Scores, State};
use leptos::prelude::*;
use serde_json::{Map, Value};

use super::html;
use crate::components::{Badge, Bar, DataTable, EmptyState, Notice, NumberCell, Panel, Time, Tone};

/// A table of successes; empty if there are none.
pub fn success_table(caption: &str, successes: Vec<Listed>, now: DateTime<Utc>) -> String {
    if successes.is_empty() {
        return String::new();
    }
    let rows = successes.into_iter().map(|success| view! { <SuccessLine success now/> }).collect_view();
    html(view! {
        <DataTable caption=caption cards=true columns=vec!["State", "Metric", "Partner", "Developer", "#Value", "External id", "Happened"]>
            {rows}
        </DataTable>
    })
}

/// Everything that is known about one success.
pub fn success(detail: Detail, scores: Scores, now: DateTime<Utc>) -> String {
    let (evidence, conversions) = (detail.evidence.clone(), detail.conversions.clone());
    let partner = detail.success.partner_name.clone();
    let state = detail.success.state;
    html(view! {
        <div class="stack">
            <Outcome detail=detail.clone() now/>
            <div class="columns">
                <Panel title="Success"><Facts detail/></Panel>
                <Panel title="Evidence" hint="as it was stated"><Evidence evidence/></Panel>
            </div>
            <Panel title="Conversions" hint="of the same developer and partner: what it may raise" flush=true>
                <Conversions conversions state/>
            </Panel>
            <div class="columns">
                <ScorePanel title=format!("Score with {partner}") score=scores.with_partner with_partner_column=false/>
                <ScorePanel title="Score over all partners" score=scores.overall with_partner_column=true/>
            </div>
        </div>
    })
}

#[component]
fn SuccessState(state: State) -> impl IntoView {
    let (tone, word) = match state {
        State::Unverified => (Tone::Warning, "unverified"),
        State::Verified => (Tone::Good, "verified"),
        State::Rejected => (Tone::Bad, "rejected"),
    };
    view! { <Badge tone>{word}</Badge> }
}

#[component]
fn SuccessLine(success: Listed, now: DateTime<Utc>) -> impl IntoView {
    let expired = success.expires_at.is_some_and(|at| at <= now);
    let external_id = success.external_event_id.clone();
    view! {
        <tr>
            <td data-label="State">
                <span class="row"><SuccessState state=success.state/>{expired.then(|| view! { <Badge>"expired"</Badge> })}</span>
            </td>
            <td data-label="Metric"><a href=format!("/successes/{}", success.success_event_id)>{success.metric_name}</a></td>
            <td data-label="Partner"><a href=format!("/partners/{}", success.partner_id)>{success.partner_name}</a></td>
            <td data-label="Developer">{success.developer_name}</td>
            <NumberCell label="Value">{success.value.map_or_else(|| "–".to_owned(), |value| value.to_string())}</NumberCell>
            <td data-label="External id"><code class="successes__id" title=external_id>{success.external_event_id}</code></td>
            <td data-label="Happened">
                <span class="two-lines">
                    <Time at=success.occurred_at/>
                    <span class="muted">"received "<Time at=success.received_at/></span>
                </span>
            </td>
        </tr>
    }
}

/// Where it stands, in a sentence.
#[component]
fn Outcome(detail: Detail, now: DateTime<Utc>) -> impl IntoView {
    let Detail { success, decided_by, decision_reason, .. } = detail;
    let expired = success.expires_at.is_some_and(|at| at <= now);
    let by = success.verified_by.clone().unwrap_or_default();
    let (tone, words, more) = match success.state {
        State::Unverified => (
            Tone::Warning,
            "Waits for verification",
            "it multiplies no commission until an operator or the partner's signed webhook confirms it".to_owned(),
        ),
        State::Verified if by == "not required" => (Tone::Good, "Verified", "its metric needs no verification".to_owned()),
        State::Verified => (Tone::Good, "Verified", format!("by {by}")),
        State::Rejected => (Tone::Bad, "Rejected", format!("by {}", decided_by.unwrap_or_else(|| "an operator".to_owned()))),
    };
    view! {
        <Notice tone>
            <strong>{words}</strong>": "{more}"."
            {decision_reason.map(|reason| format!(" Reason: {reason}"))}
            {expired.then_some(" It has expired: it counts for conversions from before only.")}
        </Notice>
    }
}

#[component]
fn Facts(detail: Detail) -> impl IntoView {
    let Detail { success, referral_code, webhook_delivery_id, decided_at, .. } = detail;
    let way = match success.source {
        Source::Webhook => "partner's webhook",
        Source::Api => "API",
        Source::Postback => "postback",
        Source::Csv => "import",
    };
    let partner_href = format!("/partners/{}", success.partner_id);
    view! {
        <dl class="facts">
            <div><dt>"State"</dt><dd><SuccessState state=success.state/></dd></div>
            <div><dt>"Metric"</dt><dd>{success.metric_name}" "<code class="muted">{success.metric_id}</code></dd></div>
            <div><dt>"Multiplier"</dt><dd>{format!("× {}", success.value_multiplier.normalize())}</dd></div>
            <div><dt>"Partner"</dt><dd><a href=partner_href>{success.partner_name}</a></dd></div>
            <div><dt>"Developer"</dt><dd>{success.developer_name}</dd></div>
            <div><dt>"Value"</dt><dd>{success.value.map_or_else(|| "not stated".to_owned(), |value| value.to_string())}</dd></div>
            <div><dt>"External id"</dt><dd class="mono">{success.external_event_id}</dd></div>
            {referral_code.map(|code| view! { <div><dt>"Referral code"</dt><dd class="mono">{code}</dd></div> })}
            <div><dt>"Happened"</dt><dd><Time at=success.occurred_at/></dd></div>
            <div><dt>"Received"</dt><dd><Time at=success.received_at/>" by "{way}</dd></div>
            {success.verified_at.map(|at| view! { <div><dt>"Verified"</dt><dd><Time at/></dd></div> })}
            {decided_at.map(|at| view! { <div><dt>"Decided"</dt><dd><Time at/></dd></div> })}
            {success.expires_at.map(|at| view! { <div><dt>"Expires"</dt><dd><Time at/></dd></div> })}
            {webhook_delivery_id.map(|id| view! {
                <div><dt>"As it came in"</dt><dd><a href=format!("/deliveries/{id}")>"the raw event"</a></dd></div>
            })}
        </dl>
    }
}

#[component]
fn Evidence(evidence: Map<String, Value>) -> impl IntoView {
    if evidence.is_empty() {
        return view! { <p class="muted">"The metric asks for none, and none was stated."</p> }.into_any();
    }
    let rows = evidence
        .into_iter()
        .map(|(name, value)| {
            let shown = match value {
                Value::String(text) => linked(text),
                other => view! { <code>{other.to_string()}</code> }.into_any(),
            };
            view! { <div><dt class="mono">{name}</dt><dd>{shown}</dd></div> }
        })
        .collect_view();
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

/// An address can be opened, without telling it where the visitor comes from.
fn linked(text: String) -> AnyView {
    if text.starts_with("https://") || text.starts_with("http://") {
        let href = text.clone();
        return view! { <a href=href rel="noreferrer noopener nofollow external" target="_blank">{text}</a> }.into_any();
    }
    view! { <span>{text}</span> }.into_any()
}

#[component]
fn Conversions(conversions: Vec<Affected>, state: State) -> impl IntoView {
    if conversions.is_empty() {
        return view! {
            <EmptyState title="No conversion yet">
                <p>{if state == State::Rejected { "A rejected success raises none." } else { "What converts later is rated with it, if it is verified." }}</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows = conversions
        .into_iter()
        .map(|conversion| {
            let money = |money: Option<domain::Money>| money.map_or_else(|| "–".to_owned(), |money| money.to_string());
            view! {
                <tr>
                    <td data-label="Conversion"><a href=format!("/conversions/{}", conversion.conversion_id)>{conversion.external_event_id}</a></td>
                    <td data-label="Happened"><Time at=conversion.occurred_at/></td>
                    <NumberCell label="Value">{conversion.value.to_string()}</NumberCell>
                    <NumberCell label="Multiplier">
                        {conversion.multiplier.map_or_else(|| "–".to_owned(), |multiplier| format!("× {}", multiplier.normalize()))}
                    </NumberCell>
                    <NumberCell label="Commission and bonus">{money(conversion.earned)}</NumberCell>
                    <NumberCell label="Adjusted by">{money(conversion.adjusted)}</NumberCell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <DataTable
            caption="Conversions that the success may raise"
            cards=true
            columns=vec!["Conversion", "Happened", "#Value", "#Multiplier", "#Commission and bonus", "#Adjusted by"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn ScorePanel(#[prop(into)] title: String, score: Score, with_partner_column: bool) -> impl IntoView {
    use rust_decimal::prelude::ToPrimitive;
    let percent = score.value.to_f64().unwrap_or(0.0);
    let words = format!(
        "100 × (1 − 2^(−sum / {SCORE_HALF_SUM})), where each verified success adds its multiplier and halves every {HALF_LIFE_DAYS} days. It pays nobody."
    );
    let caption = format!("{title}: what it is made of");
    view! {
        <Panel title=title>
            <div class="stack">
                <p class="successes__score">
                    <span class="successes__figure">{score.value.normalize().to_string()}</span>
                    <span class="muted">" of 100"</span>
                </p>
                <Bar percent/>
                {if score.parts.is_empty() {
                    view! { <p class="muted">"No verified success counts at present."</p> }.into_any()
                } else {
                    view! { <ScoreParts caption parts=score.parts with_partner_column/> }.into_any()
                }}
                <p class="muted successes__note">{words}</p>
            </div>
        </Panel>
    }
}

#[component]
fn ScoreParts(caption: String, parts: Vec<ScorePart>, with_partner_column: bool) -> impl IntoView {
    let mut columns = vec!["Metric", "#Age", "#Multiplier", "#Adds"];
    if with_partner_column {
        columns.insert(0, "Partner");
    }
    let rows = parts
        .into_iter()
        .map(|part| {
            view! {
                <tr>
                    {with_partner_column.then(|| view! { <td>{part.partner_id.to_string()}</td> })}
                    <td>{part.metric_id}</td>
                    <NumberCell>{format!("{} d", part.age_days)}</NumberCell>
                    <NumberCell>{format!("× {}", part.weight.normalize())}</NumberCell>
                    <NumberCell>{part.contribution.to_string()}</NumberCell>
                </tr>
            }
        })
        .collect_view();
    view! { <DataTable caption columns>{rows}</DataTable> }
}
