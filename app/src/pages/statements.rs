//! Monthly statements, and the form that closes a month. The URL holds month, partner and page.

use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, location::Url};

use crate::{
    api::{IssueStatements, MonthDraft, StatementList, list_partners, list_statements, use_viewer},
    components::{
        ButtonLink, DoneNotice, ErrorNote, FilterBar, FormError, FormField, LiveIndicator, Notice, PageHeader, Pager, Panel, SelectField,
        SubmitButton, TableSkeleton, Tone, failure, with_all,
    },
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    month: String,
    partner: String,
    page: String,
}

#[component]
pub fn StatementsPage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| {
        query.with(|query| {
            let text = |key: &str| query.get(key).unwrap_or_default();
            Filter { month: text("month"), partner: text("partner"), page: text("page") }
        })
    });
    let issue = ServerAction::<IssueStatements>::new();
    let list = Resource::new(
        move || (filter.get(), issue.version().get()),
        |(filter, _)| list_statements(filter.month, filter.partner, filter.page),
    );
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));

    view! {
        <PageHeader title="Statements" lead="What each partner owes for a month, closed for good once it is issued.">
            <LiveIndicator topics="books"/>
        </PageHeader>
        <FilterForm filter/>
        <DoneNotice/>
        <FormError failure=failure(issue)/>
        <Transition fallback=|| view! { <TableSkeleton rows=10/> }>
            {move || Suspend::new(async move {
                match list.await {
                    Ok(list) => view! { <Listing list filter=filter.get() issue may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <ErrorNote error/>
                        <p><ButtonLink href="/statements">"Show all statements"</ButtonLink></p>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn FilterForm(filter: Memo<Filter>) -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    view! {
        <Transition>
            {move || Suspend::new(async move {
                let partners = partners.await.map(|list| list.names).unwrap_or_default();
                let chosen = filter.get();
                view! {
                    <FilterBar action="/statements" filtered={chosen != Filter::default()}>
                        <FormField name="month" label="Month" kind="month" value=chosen.month placeholder="2026-11"/>
                        <SelectField name="partner" label="Partner" options=with_all("Every partner", partners) value=chosen.partner/>
                    </FilterBar>
                }
            })}
        </Transition>
    }
}

#[component]
fn Listing(list: StatementList, filter: Filter, issue: ServerAction<IssueStatements>, may_operate: bool) -> impl IntoView {
    let href = format!("/statements?month={}&partner={}", Url::escape(&filter.month), Url::escape(&filter.partner));
    view! {
        <div id="statement-totals" data-live-region inner_html=list.totals></div>
        <Close draft=list.draft issue may_operate/>
        <Panel title="Statements" hint="the newest month first, 50 a page" flush=true>
            <div id="statements" data-live-region inner_html=list.table></div>
            <Pager page=list.page pages=list.pages total=list.count href/>
        </Panel>
    }
}

/// What issuing the month would do, and the button that does it.
#[component]
fn Close(draft: MonthDraft, issue: ServerAction<IssueStatements>, may_operate: bool) -> impl IntoView {
    let MonthDraft { month, is_over, count, table } = draft;
    let title = format!("To be issued for {month}");
    let action = if !is_over {
        view! { <div class="bulk"><Notice tone=Tone::Neutral>{format!("{month} is not over yet; this is what it would say now.")}</Notice></div> }.into_any()
    } else if may_operate && count > 0 {
        let label = format!("Issue the statements of {month}");
        view! {
            <ActionForm action=issue attr:class="bulk">
                <p class="books__note">
                    "Issued statements never change. What is booked later, refunds too, stands on the statement of a later month."
                </p>
                <input type="hidden" name="month" value=month/>
                <div class="row"><SubmitButton label pending=issue.pending()/></div>
            </ActionForm>
        }
        .into_any()
    } else {
        ().into_any()
    };
    view! {
        <Panel title hint="approved bookings that stand on no statement yet" flush=true>
            <div inner_html=table></div>
            {action}
        </Panel>
    }
}
