//! The list of sites, and a site's offers and analysis. Nothing in them is acted on.

use std::collections::BTreeSet;

use domain::{
    Money,
    analysis::{Analysis, Evidence, Finding, LanguageShare, Need, ProjectKind, Score},
    recommendation::LinkedOffer,
};
use engine::site::Overview;
use leptos::prelude::*;
use serde::{Deserialize, de::value::StrDeserializer};

use super::html;
use crate::components::{Badge, Bar, DataTable, EmptyState, Notice, NumberCell, Panel, Time, Tone, count};

/// What fits the project, the best first, with our own figures.
pub fn offers(offers: Vec<LinkedOffer>) -> String {
    html(view! { <Offers offers/> })
}

/// All that the project's code tells.
pub fn analysis(analysis: Option<Analysis>) -> String {
    match analysis {
        Some(analysis) => html(view! { <AnalysisPanels analysis/> }),
        None => html(view! {
            <Panel title="Analysis">
                <EmptyState title="Not analysed yet"><p>"Upload an archive of its code under “Change this site” below."</p></EmptyState>
            </Panel>
        }),
    }
}

#[component]
fn Offers(offers: Vec<LinkedOffer>) -> impl IntoView {
    if offers.is_empty() {
        return view! {
            <EmptyState title="No offers">
                <p>"There is no active partner with terms in force, or the site was not analysed, or it is retired."</p>
            </EmptyState>
        }
        .into_any();
    }
    let items = offers.into_iter().map(|linked| view! { <li><Offer linked/></li> }).collect_view();
    view! { <ol class="offers">{items}</ol> }.into_any()
}

#[component]
fn Offer(linked: LinkedOffer) -> impl IntoView {
    let LinkedOffer { offer, link } = linked;
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let chance = offer.conversion_probability;
    let conversion = format!("{} (95 % between {} and {})", percent(chance.mean), percent(chance.low), percent(chance.high));
    let revenue = format!("{} per click", Money::new(offer.expected_revenue_minor, offer.currency));
    let is_low = offer.down_ranked.is_some();
    view! {
        <article class="offer" data-low=is_low.then_some("true")>
            <div class="offer__head">
                <h3 class="offer__title"><a href=format!("/partners/{}", offer.partner_id)>{offer.display_name}</a></h3>
                <span class="muted">{offer.category}</span>
                <span class="offer__score">{format!("{:.0} of 100", offer.score * 100.0)}</span>
            </div>
            <Bar percent={offer.score * 100.0}/>
            <p>{offer.positioning}</p>
            {offer.down_ranked.map(|why| view! { <Notice tone=Tone::Warning>{format!("Ranked low: {why}.")}</Notice> })}
            <ul class="offer__reasons">
                {offer.reasons.into_iter().map(|reason| view! { <li>{capitalised(&reason.text)}<Places evidence=reason.evidence/></li> }).collect_view()}
            </ul>
            <dl class="offer__figures">
                <div><dt>"Fit"</dt><dd>{format!("{:.0} %", offer.fit.value * 100.0)}</dd></div>
                <div><dt>"Conversion rate"</dt><dd>{conversion}</dd></div>
                <div><dt>"Expected commission"</dt><dd>{revenue}</dd></div>
                <div><dt>"Link"</dt><dd><code>{link}</code></dd></div>
            </dl>
        </article>
    }
}

#[component]
fn AnalysisPanels(analysis: Analysis) -> impl IntoView {
    let hint = format!("confidence {:.0} %", analysis.confidence * 100.0);
    let kind = capitalised(analysis.kind.describe());
    let groups = [
        ("Frameworks", analysis.frameworks),
        ("Databases", analysis.databases),
        ("Data access", analysis.data_access),
        ("Services in use", analysis.services),
        ("Design", analysis.design),
        ("Package managers", analysis.package_managers),
    ];
    let groups: Vec<_> = groups.into_iter().filter(|(_, findings)| !findings.is_empty()).collect();
    let scores = [
        ("Complexity", analysis.complexity),
        ("Deployment readiness", analysis.deployment_readiness),
        ("Design needs", analysis.design_needs),
    ];
    let warnings = analysis.partial.into_iter().chain(analysis.warnings);
    let fact =
        |name: &'static str, value: Option<String>| value.map(|value| view! { <div><dt>{name}</dt><dd><code>{value}</code></dd></div> });
    view! {
        <div class="stack">
        {warnings.map(|warning| view! { <Notice tone=Tone::Warning>{capitalised(&warning)}</Notice> }).collect_view()}
        <div class="columns">
            <Panel title="Analysis" hint>
                <dl class="facts">
                    <div><dt>"Kind"</dt><dd>{kind}</dd></div>
                    {fact("Runtime", analysis.runtime)}
                    {fact("Starts with", analysis.start_command.map(|start| start.command))}
                </dl>
                <h3 class="partner__subtitle">"Languages"</h3>
                <Languages languages=analysis.languages/>
            </Panel>
            <Panel title="Needs" hint="what nothing in the project fills yet"><Needs needs=analysis.needs/></Panel>
        </div>
        <div class="site__scores">
            {scores.map(|(title, score)| view! { <ScorePanel title score/> }).into_iter().collect_view()}
        </div>
        <Panel title="Technologies" hint="with the places that show them"><Technologies groups/></Panel>
        </div>
    }
}

#[component]
fn Languages(languages: Vec<LanguageShare>) -> impl IntoView {
    if languages.is_empty() {
        return view! { <p class="muted">"No source code was found."</p> }.into_any();
    }
    let items = languages
        .into_iter()
        .map(|language| {
            let files = if language.files == 1 { "1 file".to_owned() } else { format!("{} files", language.files) };
            view! {
                <li>
                    <span class="measure"><span>{language.name}</span><span>{format!("{:.1} %", language.share * 100.0)}" "<span class="muted">{files}</span></span></span>
                    <Bar percent={language.share * 100.0}/>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="measures">{items}</ul> }.into_any()
}

#[component]
fn Needs(needs: Vec<Need>) -> impl IntoView {
    if needs.is_empty() {
        return view! { <p class="muted">"Nothing that we know of is missing."</p> }.into_any();
    }
    let items = needs
        .into_iter()
        .map(|need| {
            view! {
                <li>
                    <span class="measure"><strong>{capitalised(&need.category.to_string())}</strong><span>{format!("{:.0} %", need.strength * 100.0)}</span></span>
                    <Bar percent={need.strength * 100.0}/>
                    <p>{capitalised(&need.reason)}<Places evidence=need.evidence/></p>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="measures">{items}</ul> }.into_any()
}

#[component]
fn ScorePanel(title: &'static str, score: Score) -> impl IntoView {
    let parts = score
        .parts
        .into_iter()
        .map(|part| {
            let share = if part.of == 0 { 0.0 } else { f64::from(part.points) * 100.0 / f64::from(part.of) };
            view! {
                <li>
                    <span class="measure"><span>{capitalised(&part.name)}</span><span>{format!("{} of {}", part.points, part.of)}</span></span>
                    <Bar percent=share/>
                    <p class="muted">{capitalised(&part.reason)}<Places evidence=part.evidence/></p>
                </li>
            }
        })
        .collect_view();
    view! {
        <Panel title hint=format!("{} of 100", score.value)><ul class="measures">{parts}</ul></Panel>
    }
}

#[component]
fn Technologies(groups: Vec<(&'static str, Vec<Finding>)>) -> impl IntoView {
    if groups.is_empty() {
        return view! { <p class="muted">"None that we know of."</p> }.into_any();
    }
    let technology = |finding: Finding| view! { <li>{finding.name}<Places evidence=finding.evidence/></li> };
    let groups = groups
        .into_iter()
        .map(|(title, findings)| {
            view! {
                <div>
                    <h3 class="technologies__title">{title}</h3>
                    <ul class="technologies__list">{findings.into_iter().map(technology).collect_view()}</ul>
                </div>
            }
        })
        .collect_view();
    view! { <div class="technologies">{groups}</div> }.into_any()
}

/// The sites of one page of the list.
pub fn site_table(sites: Vec<Overview>) -> String {
    if sites.is_empty() {
        return html(view! {
            <EmptyState title="No sites yet">
                <p>"Add one above, or let your site generator post its projects to the API."</p>
            </EmptyState>
        });
    }
    let rows = sites.into_iter().map(|site| view! { <SiteLine site/> }).collect_view();
    html(view! { <DataTable caption="Sites" cards=true columns=vec!["Name", "Kind", "Languages", "#Offers", "Added"]>{rows}</DataTable> })
}

#[component]
fn SiteLine(site: Overview) -> impl IntoView {
    let languages = if site.languages.is_empty() { "–".to_owned() } else { site.languages.join(", ") };
    let known = |kind: &str| ProjectKind::deserialize(StrDeserializer::<serde::de::value::Error>::new(kind)).ok();
    let kind = site.kind.map(|kind| known(&kind).map_or_else(|| kind.replace('_', " "), |known| known.describe().to_owned()));
    view! {
        <tr>
            <td data-label="Name">
                <span class="two-lines">
                    <a class="partners__name" href=format!("/sites/{}", site.site_id)>{site.name}</a>
                    {site.url.map(|url| view! { <span class="muted">{url}</span> })}
                    {site.archived.then(|| view! { <Badge>"retired"</Badge> })}
                </span>
            </td>
            <td data-label="Kind">{kind.unwrap_or_else(|| "not analysed".to_owned())}</td>
            <td data-label="Languages">{languages}</td>
            <NumberCell label="Offers">{count(site.offers)}</NumberCell>
            <td data-label="Added"><Time at=site.created_at/></td>
        </tr>
    }
}

/// The places in the code that a statement rests on.
#[component]
fn Places(evidence: Vec<Evidence>) -> impl IntoView {
    if evidence.is_empty() {
        return ().into_any();
    }
    let mut seen = BTreeSet::new();
    let places: Vec<String> = evidence.iter().map(ToString::to_string).filter(|place| seen.insert(place.clone())).collect();
    view! { <code class="evidence">{places.join(" · ")}</code> }.into_any()
}

/// Statements are lower case without a full stop; a reader gets a beginning.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_statement_begins_with_a_capital() {
        assert_eq!(super::capitalised("an API service"), "An API service");
        assert_eq!(super::capitalised(""), "");
    }
}
