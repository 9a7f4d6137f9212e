//! What was written down of a test: its variants, who takes part, and how it is judged.

use std::collections::BTreeMap;

use domain::experiment::{Design, Experiment, Status};
use leptos::prelude::*;

use crate::{
    components::{
        DataTable, NumberCell, Panel, Time, count, kind_meaning, kind_word, metric_meaning, metric_word, payload_words, share_words,
        unit_word,
    },
    panels::{capitalised, html},
};

/// `names` are those of partners and sites, by id; `preview` is the page where a variant can be looked at, if there is a site.
pub fn design(experiment: &Experiment, names: &BTreeMap<String, String>, preview: Option<&str>) -> String {
    let hypothesis = Some(experiment.design.hypothesis.clone()).filter(|text| !text.is_empty());
    html(view! {
        <div class="stack">
            {hypothesis.map(|text| view! { <Panel title="Hypothesis"><p class="experiment__hypothesis">{text}</p></Panel> })}
            <Variants experiment=experiment.clone() preview=preview.map(str::to_owned)/>
            <div class="columns">
                <TakesPart design=experiment.design.clone() names=names.clone()/>
                <Judged design=experiment.design.clone()/>
            </div>
        </div>
    })
}

#[component]
fn Variants(experiment: Experiment, preview: Option<String>) -> impl IntoView {
    let Experiment { key, design, phase, status, .. } = experiment;
    let hint = format!("{} tests change {}", kind_word(design.kind), kind_meaning(design.kind));
    let is_open = matches!(status, Status::Draft | Status::Running | Status::Paused);
    let weights = phase.map(|phase| phase.weights).filter(|weights| weights.len() == design.variants.len());
    let weights = weights.unwrap_or_else(|| design.weights());
    let rows = design.variants.into_iter().zip(weights).enumerate().map(|(index, (variant, weight))| {
        let link = preview.as_ref().filter(|_| is_open).map(|demo| format!("{demo}&p4s_variant={key}:{}", variant.key));
        let role = if index == 0 { "control" } else { "" };
        view! {
            <tr>
                <td data-label="Variant">
                    <span class="two-lines">
                        <span>{variant.name}" "<span class="muted">{role}</span></span>
                        <code class="books__small">{variant.key}</code>
                    </span>
                </td>
                <td data-label="Shows"><span class="books__wrap">{payload_words(&variant.payload)}</span></td>
                <NumberCell label="Weight now">{share_words((weight * 1e4).round() / 1e4)}</NumberCell>
                <td data-label="Preview">
                    {match link {
                        Some(link) => view! { <a href=link rel="external">"Look at it"</a> }.into_any(),
                        None => view! { <span class="muted">"–"</span> }.into_any(),
                    }}
                </td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    view! {
        <Panel title="Variants" hint flush=true>
            <DataTable caption="What each variant shows" cards=true columns=vec!["Variant", "Shows", "#Weight now", "Preview"]>{rows}</DataTable>
        </Panel>
    }
}

#[component]
fn TakesPart(design: Design, names: BTreeMap<String, String>) -> impl IntoView {
    let named = |id: String| names.get(&id).cloned().unwrap_or(id);
    let list = |items: Vec<String>, all: &str| if items.is_empty() { all.to_owned() } else { items.join(", ") };
    let eligibility = &design.eligibility;
    let partners = list(eligibility.partner_ids.iter().map(|id| named(id.to_string())).collect(), "All partners' offers");
    let sites = list(eligibility.site_ids.iter().map(|id| named(id.to_string())).collect(), "All sites");
    let segments = list(eligibility.segments.iter().map(|kind| capitalised(kind.describe())).collect(), "All kinds of project");
    let group = design.exclusion_group.as_ref().map_or_else(
        || "None: it may share units with other tests".to_owned(),
        |group| format!("{}, the part from {} to {}", group.name, share_words(group.start), share_words(group.end)),
    );
    let traffic = format!("{} of the eligible {}", share_words(design.traffic_allocation), unit_word(design.unit));
    let start = match design.starts_at {
        Some(at) => view! { <Time at/> }.into_any(),
        None => "When it is started".into_any(),
    };
    let end = match design.ends_at {
        Some(at) => view! { <Time at/> }.into_any(),
        None => "When it is stopped".into_any(),
    };
    view! {
        <Panel title="Who takes part">
            <dl class="facts">
                <div><dt>"Traffic"</dt><dd>{traffic}</dd></div>
                <div><dt>"Partners"</dt><dd>{partners}</dd></div>
                <div><dt>"Sites"</dt><dd>{sites}</dd></div>
                <div><dt>"Projects"</dt><dd>{segments}</dd></div>
                <div><dt>"Exclusion group"</dt><dd>{group}</dd></div>
                <div><dt>"Begins"</dt><dd>{start}</dd></div>
                <div><dt>"Ends"</dt><dd>{end}</dd></div>
            </dl>
        </Panel>
    }
}

#[component]
fn Judged(design: Design) -> impl IntoView {
    let rails = design.guardrails.iter().map(|rail| {
        let words = match rail.margin {
            margin if margin <= 0.0 => "no drop".to_owned(),
            margin => format!("a drop of at most {}", share_words(margin)),
        };
        view! { <li>{metric_word(rail.metric)}", "{words}</li> }
    });
    let rails = if design.guardrails.is_empty() { "None".into_any() } else { view! { <ul>{rails.collect_view()}</ul> }.into_any() };
    let plan = design.plan;
    let units = format!("{} of all variants together", count(i64::try_from(plan.planned_units).unwrap_or(i64::MAX)));
    let weights = design
        .bandit
        .map_or_else(|| "Fixed".to_owned(), |bandit| format!("Follow the results, never below {} (bandit)", share_words(bandit.floor)));
    let metric = design.primary_metric;
    view! {
        <Panel title="How it is judged">
            <dl class="facts">
                <div><dt>"Primary metric"</dt><dd>{metric_word(metric)}<span class="books__small experiment__line">{capitalised(metric_meaning(metric))}</span></dd></div>
                <div><dt>"Guardrails"</dt><dd>{rails}</dd></div>
                <div><dt>"Planned units"</dt><dd>{units}</dd></div>
                <div><dt>"Smallest lift"</dt><dd>{format!("+{}, found with a chance of {}", share_words(plan.minimum_detectable_lift), share_words(plan.power))}</dd></div>
                <div><dt>"Significance"</dt><dd>{format!("{}, two-sided", share_words(plan.alpha))}</dd></div>
                <div><dt>"Weights"</dt><dd>{weights}</dd></div>
                <div><dt>"Currency"</dt><dd>{design.currency.to_string()}</dd></div>
            </dl>
        </Panel>
    }
}
