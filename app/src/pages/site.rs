//! One site: what its code tells, what it is offered and why, and how to show the offers.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{AnalysisView, FindingGroup, FindingView, LanguageView, LinkView, NeedView, OfferView, ScoreView, SiteDetail, find_site},
    components::{Bar, ButtonLink, CopyField, EmptyState, ErrorNote, Notice, PageHeader, Panel, TableSkeleton, Tone, date_time},
};

#[component]
pub fn SitePage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let site = Resource::new(move || id.get(), find_site);
    view! {
        <Transition fallback=|| view! { <Panel title="Site"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match site.await {
                    Ok(site) => view! { <SiteView site/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Site"><ButtonLink href="/sites">"All sites"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn SiteView(site: SiteDetail) -> impl IntoView {
    let kind = site.analysis.as_ref().map_or_else(|| "not analysed yet".to_owned(), |analysis| analysis.kind.clone());
    let demo = format!("/demo?site={}", site.site_id);
    view! {
        <div class="stack">
            <PageHeader title=site.name lead=format!("{}. Added {}.", capitalised(&kind), date_time(site.created_at))>
                {site.url.map(|url| view! { <a href=url rel="noreferrer external" target="_blank">"Visit the site"</a> })}
                <a class="button" data-kind="primary" href=demo rel="external">"See the demo"</a>
                <ButtonLink href="/sites">"All sites"</ButtonLink>
            </PageHeader>
            <Panel title="Embed the offers" hint="one line, anywhere on the site's pages">
                <CopyField label="Embed line" value=site.embed/>
            </Panel>
            <Panel title="Offers" hint="what fits the project best comes first"><Offers offers=site.offers/></Panel>
            {match site.analysis {
                Some(analysis) => view! { <Analysis analysis/> }.into_any(),
                None => view! {
                    <Panel title="Analysis">
                        <EmptyState title="Not analysed yet"><p>"Add the site again with an archive of its code."</p></EmptyState>
                    </Panel>
                }
                .into_any(),
            }}
            <Panel title="Referral links" hint="one for each partner"><Links links=site.links/></Panel>
        </div>
    }
}

#[component]
fn Offers(offers: Vec<OfferView>) -> impl IntoView {
    if offers.is_empty() {
        return view! {
            <EmptyState title="No offers"><p>"There is no active partner with terms in force, or the site was not analysed."</p></EmptyState>
        }
        .into_any();
    }
    let items = offers.into_iter().map(|offer| view! { <li><Offer offer/></li> }).collect_view();
    view! { <ol class="offers">{items}</ol> }.into_any()
}

#[component]
fn Offer(offer: OfferView) -> impl IntoView {
    let is_low = offer.down_ranked.is_some();
    view! {
        <article class="offer" data-low=is_low.then_some("true")>
            <div class="offer__head">
                <h3 class="offer__title"><a href=format!("/partners/{}", offer.partner_id)>{offer.display_name}</a></h3>
                <span class="muted">{offer.category}</span>
                <span class="offer__score">{format!("{:.0} of 100", offer.score_percent)}</span>
            </div>
            <Bar percent=offer.score_percent/>
            <p>{offer.positioning}</p>
            {offer.down_ranked.map(|why| view! { <Notice tone=Tone::Warning>{format!("Ranked low: {why}.")}</Notice> })}
            <ul class="offer__reasons">
                {offer.reasons.into_iter().map(|reason| view! { <li>{capitalised(&reason.name)}<Evidence places=reason.evidence/></li> }).collect_view()}
            </ul>
            <dl class="offer__figures">
                <div><dt>"Fit"</dt><dd>{format!("{:.0} %", offer.fit_percent)}</dd></div>
                <div><dt>"Conversion rate"</dt><dd>{offer.conversion}</dd></div>
                <div><dt>"Expected commission"</dt><dd>{offer.expected_revenue}</dd></div>
                <div><dt>"Link"</dt><dd><code>{offer.link}</code></dd></div>
            </dl>
        </article>
    }
}

#[component]
fn Analysis(analysis: AnalysisView) -> impl IntoView {
    let hint = format!("confidence {:.0} %", analysis.confidence_percent);
    let fact =
        |name: &'static str, value: Option<String>| value.map(|value| view! { <div><dt>{name}</dt><dd><code>{value}</code></dd></div> });
    view! {
        {analysis.warnings.into_iter().map(|warning| view! { <Notice tone=Tone::Warning>{capitalised(&warning)}</Notice> }).collect_view()}
        <div class="columns">
            <Panel title="Analysis" hint>
                <dl class="facts">
                    <div><dt>"Kind"</dt><dd>{capitalised(&analysis.kind)}</dd></div>
                    {fact("Runtime", analysis.runtime)}
                    {fact("Starts with", analysis.start_command)}
                </dl>
                <h3 class="partner__subtitle">"Languages"</h3>
                <Languages languages=analysis.languages/>
            </Panel>
            <Panel title="Needs" hint="what nothing in the project fills yet"><Needs needs=analysis.needs/></Panel>
        </div>
        <div class="site__scores">
            {analysis.scores.into_iter().map(|score| view! { <Score score/> }).collect_view()}
        </div>
        <Panel title="Technologies" hint="with the places that show them"><Technologies groups=analysis.groups/></Panel>
    }
}

#[component]
fn Languages(languages: Vec<LanguageView>) -> impl IntoView {
    if languages.is_empty() {
        return view! { <p class="muted">"No source code was found."</p> }.into_any();
    }
    let items = languages
        .into_iter()
        .map(|language| {
            let files = if language.files == 1 { "1 file".to_owned() } else { format!("{} files", language.files) };
            view! {
                <li>
                    <span class="measure"><span>{language.name}</span><span>{format!("{:.1} %", language.percent)}" "<span class="muted">{files}</span></span></span>
                    <Bar percent=language.percent/>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="measures">{items}</ul> }.into_any()
}

#[component]
fn Needs(needs: Vec<NeedView>) -> impl IntoView {
    if needs.is_empty() {
        return view! { <p class="muted">"Nothing that we know of is missing."</p> }.into_any();
    }
    let items = needs
        .into_iter()
        .map(|need| {
            view! {
                <li>
                    <span class="measure"><strong>{capitalised(&need.category)}</strong><span>{format!("{:.0} %", need.percent)}</span></span>
                    <Bar percent=need.percent/>
                    <p>{capitalised(&need.reason)}<Evidence places=need.evidence/></p>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="measures">{items}</ul> }.into_any()
}

#[component]
fn Score(score: ScoreView) -> impl IntoView {
    let parts = score
        .parts
        .into_iter()
        .map(|part| {
            let share = if part.of == 0 { 0.0 } else { f64::from(part.points) * 100.0 / f64::from(part.of) };
            view! {
                <li>
                    <span class="measure"><span>{capitalised(&part.name)}</span><span>{format!("{} of {}", part.points, part.of)}</span></span>
                    <Bar percent=share/>
                    <p class="muted">{capitalised(&part.reason)}<Evidence places=part.evidence/></p>
                </li>
            }
        })
        .collect_view();
    view! {
        <Panel title=score.title hint=format!("{} of 100", score.value)><ul class="measures">{parts}</ul></Panel>
    }
}

#[component]
fn Technologies(groups: Vec<FindingGroup>) -> impl IntoView {
    if groups.is_empty() {
        return view! { <p class="muted">"None that we know of."</p> }.into_any();
    }
    let technology = |finding: FindingView| view! { <li>{finding.name}<Evidence places=finding.evidence/></li> };
    let groups = groups
        .into_iter()
        .map(|group| {
            view! {
                <div>
                    <h3 class="technologies__title">{group.title}</h3>
                    <ul class="technologies__list">{group.findings.into_iter().map(technology).collect_view()}</ul>
                </div>
            }
        })
        .collect_view();
    view! { <div class="technologies">{groups}</div> }.into_any()
}

#[component]
fn Links(links: Vec<LinkView>) -> impl IntoView {
    if links.is_empty() {
        return view! { <p class="muted">"There is no active partner."</p> }.into_any();
    }
    let items = links
        .into_iter()
        .map(|link| {
            view! {
                <li>
                    <CopyField label=format!("Link to {}", link.partner_id) value=link.url/>
                    <p class="links__code muted">"Referral code "<code>{link.referral_code}</code></p>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="endpoints">{items}</ul> }.into_any()
}

/// The places in the code that a statement rests on.
#[component]
fn Evidence(places: Vec<String>) -> impl IntoView {
    if places.is_empty() {
        return ().into_any();
    }
    view! { <code class="evidence">{places.join(" · ")}</code> }.into_any()
}

/// Statements are lower case without a full stop; a reader gets a beginning.
fn capitalised(text: &str) -> String {
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
