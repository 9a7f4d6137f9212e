//! All tests: where they stand, how far they are, and what they say. The URL holds state, kind, search and page.

use domain::experiment::{ExperimentKind, Status};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, location::Url};

use crate::{
    api::{ExperimentList, ExperimentQuery, SetExperimentHoldout, list_experiments, use_viewer},
    components::{
        ButtonLink, DoneNotice, EmptyState, ErrorNote, FilterBar, FormError, FormField, LiveIndicator, PageHeader, Pager, Panel,
        SelectField, SubmitButton, Symbol, Tab, TableSkeleton, Tabs, about, count, failure, kind_meaning, kind_word, with_all,
    },
};

#[component]
pub fn ExperimentsPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        query.with(|query| {
            let text = |key: &str| query.get(key).unwrap_or_default();
            ExperimentQuery { status: text("status"), kind: text("kind"), search: text("search"), page: text("page") }
        })
    });
    let hold = ServerAction::<SetExperimentHoldout>::new();
    let list = Resource::new(move || (asked.get(), hold.version().get()), |(asked, _)| list_experiments(asked));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <PageHeader title="Experiments" lead="Tests of what developers are shown: who sees what, and what comes of it. Times are UTC.">
            <LiveIndicator topics="experiment"/>
            <ButtonLink href="/experiments/compare">"Compare"</ButtonLink>
            <ButtonLink href="/experiments/unit">"Why did I get this?"</ButtonLink>
            {move || may_operate.get().then(|| view! { <ButtonLink href="/experiments/new" kind="primary">"New test"</ButtonLink> })}
        </PageHeader>
        <DoneNotice/>
        <Transition fallback=|| view! { <TableSkeleton rows=8/> }>
            {move || Suspend::new(async move {
                match list.await {
                    Ok(list) => view! { <Listing list query=asked.get() hold may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <ErrorNote error/>
                        <p><ButtonLink href="/experiments">"Show all tests"</ButtonLink></p>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Listing(list: ExperimentList, query: ExperimentQuery, hold: ServerAction<SetExperimentHoldout>, may_operate: bool) -> impl IntoView {
    if list.has_none {
        return view! { <FirstTest may_operate/> <Holdout share=list.holdout hold may_operate/> }.into_any();
    }
    let tabs = tabs(&list, &query);
    let href = format!("/experiments?{}", parameters(&query));
    let kinds = ExperimentKind::ALL.map(|kind| (kind.as_str().to_owned(), kind_word(kind).to_owned())).to_vec();
    let is_filtered = !query.kind.is_empty() || !query.search.is_empty();
    let table = list.table.unwrap_or_default();
    let body = if table.is_empty() {
        view! {
            <EmptyState title="No test fits"><p>"Choose another state or filter, or "<a href="/experiments">"show all"</a>"."</p></EmptyState>
        }
        .into_any()
    } else {
        view! { <div id="experiments" data-live-region inner_html=table></div> }.into_any()
    };
    view! {
        <FilterBar action="/experiments" filtered=is_filtered>
            {(!query.status.is_empty()).then(|| view! { <input type="hidden" name="status" value=query.status.clone()/> })}
            <FormField name="search" label="Name or key" kind="search" value=query.search.clone()/>
            <SelectField name="kind" label="Kind" options=with_all("Every kind", kinds) value=query.kind.clone()/>
        </FilterBar>
        <div id="experiment-tabs" data-live-region><Tabs label="States" tabs/></div>
        <Panel title="Tests" hint="the newest first, 25 a page" flush=true>
            {body}
            <Pager page=list.page pages=list.pages total=list.count href/>
        </Panel>
        <Holdout share=list.holdout hold may_operate/>
    }
    .into_any()
}

fn parameters(query: &ExperimentQuery) -> String {
    let ExperimentQuery { status, kind, search, page: _ } = query;
    format!("status={}&kind={}&search={}", Url::escape(status), Url::escape(kind), Url::escape(search))
}

fn tabs(list: &ExperimentList, query: &ExperimentQuery) -> Vec<Tab> {
    let label = |status: Option<Status>| match status {
        None => "All but archived",
        Some(Status::Draft) => "Drafts",
        Some(Status::Running) => "Running",
        Some(Status::Paused) => "Paused",
        Some(Status::Stopped) => "Stopped",
        Some(Status::Archived) => "Archived",
    };
    let tab = |(status, number): &(Option<Status>, usize)| {
        let name = status.map(Status::as_str).unwrap_or_default();
        let target = ExperimentQuery { status: name.to_owned(), ..query.clone() };
        Tab {
            label: label(*status).to_owned(),
            href: format!("/experiments?{}", parameters(&target)),
            note: count(i64::try_from(*number).unwrap_or(i64::MAX)),
            current: name == query.status,
        }
    };
    list.counts.iter().map(tab).collect()
}

/// What a test is, for somebody who has never made one.
#[component]
fn FirstTest(may_operate: bool) -> impl IntoView {
    let kinds = ExperimentKind::ALL.into_iter().map(|kind| {
        let name = view! { <span class="experiment-kinds__name">{kind_word(kind)}</span> };
        let meaning = view! { <span class="experiment-kinds__meaning">{kind_meaning(kind)}</span> };
        if may_operate {
            view! { <li><a class="experiment-kinds__link" href=format!("/experiments/new?kind={}", kind.as_str())>{name}{meaning}</a></li> }
                .into_any()
        } else {
            view! { <li><div class="experiment-kinds__link">{name}{meaning}</div></li> }.into_any()
        }
    });
    let kinds = kinds.collect_view();
    view! {
        <Panel title="No test yet">
            <EmptyState title="Find out what works, and know that it does" symbol=Symbol::Experiments>
                <p>
                    "A test shows visitors one of two or more variants, by a fair deal that each of them keeps, and counts what comes of it. \
                     You write down what you expect and how it is judged; the page then says in plain words when the answer is there, \
                     however often you look."
                </p>
                {may_operate.then(|| view! { <ButtonLink href="/experiments/new" kind="primary">"Make the first test"</ButtonLink> })}
            </EmptyState>
            <h3 class="experiment-kinds__title">{if may_operate { "Or begin with what you would like to change" } else { "What can be tested" }}</h3>
            <ul class="experiment-kinds">{kinds}</ul>
        </Panel>
    }
}

#[component]
fn Holdout(share: String, hold: ServerAction<SetExperimentHoldout>, may_operate: bool) -> impl IntoView {
    let failed = failure(hold);
    let words = match share.as_str() {
        "0" => "Nobody is held out: every visitor and site may take part in tests. Who is held out shows, compared with everybody else, what all tests together bring.".to_owned(),
        share => format!("{share} % of the visitors and sites take part in no test. Compared with everybody else, they show what all tests together bring."),
    };
    view! {
        <Panel title="Holdout" hint="units that no test reaches">
            <div class="stack">
                <p class="experiment__note">
                    {words}
                    " Shipped winners reach them too. Raising the share keeps who is held out already, and counts at once."
                </p>
                {may_operate.then(|| view! {
                    <ActionForm action=hold attr:class="experiment__inline-form">
                        <FormField name="share" label="Held out, %" inputmode="decimal" required=true value=share hint="0 to 50" error=about(failed, "share")/>
                        <SubmitButton label="Set the holdout" kind="secondary" pending=hold.pending()/>
                    </ActionForm>
                })}
                <FormError failure=failed fields=&["share"]/>
            </div>
        </Panel>
    }
}
