//! Commissions by state, and what operators decide about them. The URL holds filter, sort and page.

use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, location::Url};

use crate::{
    api::{CommissionList, CommissionQuery, CommissionRow, DecideCommissions, StateSum, list_commissions, list_partners, use_viewer},
    components::{
        Badge, ButtonLink, DataTable, DoneNotice, EmptyState, ErrorNote, FilterBar, FormError, FormField, LeftAlone, LiveIndicator,
        NumberCell, PageHeader, Pager, Panel, SelectField, Tab, TableSkeleton, Tabs, Time, Tone, about, choices, count, failure, with_all,
    },
};

/// The parameters of the query, but for the page.
fn parameters(query: &CommissionQuery) -> String {
    let pairs = [
        ("state", &query.state),
        ("partner", &query.partner),
        ("search", &query.search),
        ("from", &query.from),
        ("to", &query.to),
        ("sort", &query.sort),
    ];
    let texts: Vec<String> =
        pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| format!("{key}={}", Url::escape(value))).collect();
    texts.join("&")
}

fn is_filtered(query: &CommissionQuery) -> bool {
    *query != CommissionQuery { state: query.state.clone(), sort: query.sort.clone(), ..CommissionQuery::default() }
}

#[component]
pub fn CommissionsPage() -> impl IntoView {
    let query = use_query_map();
    let query = Memo::new(move |_| {
        query.with(|query| {
            let text = |key: &str| query.get(key).unwrap_or_default();
            CommissionQuery {
                state: text("state"),
                partner: text("partner"),
                search: text("search"),
                from: text("from"),
                to: text("to"),
                sort: text("sort"),
                page: text("page"),
            }
        })
    });
    let decide = ServerAction::<DecideCommissions>::new();
    let list = Resource::new(move || (query.get(), decide.version().get()), |(query, _)| list_commissions(query));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));

    view! {
        <PageHeader title="Commissions" lead="What partners owe, from pending to paid. Times are UTC.">
            <LiveIndicator topics="conversion books"/>
        </PageHeader>
        <FilterForm query/>
        <DoneNotice/>
        <FormError failure=failure(decide) fields=&["reason"]/>
        <Transition fallback=|| view! { <TableSkeleton rows=10/> }>
            {move || Suspend::new(async move {
                match list.await {
                    Ok(list) => view! { <Listing list query=query.get() decide may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <ErrorNote error/>
                        <p><ButtonLink href="/commissions">"Show all commissions"</ButtonLink></p>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn FilterForm(query: Memo<CommissionQuery>) -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    let sorts =
        || choices([("", "Newest first"), ("oldest", "Oldest first"), ("due", "Approved next first"), ("largest", "Largest first")]);
    view! {
        <Transition>
            {move || Suspend::new(async move {
                let partners = partners.await.map(|list| list.names).unwrap_or_default();
                let chosen = query.get();
                view! {
                    <FilterBar action="/commissions" filtered=is_filtered(&chosen)>
                        <input type="hidden" name="state" value=chosen.state/>
                        <FormField name="search" label="Conversion" kind="search" value=chosen.search placeholder="the partner's id"/>
                        <SelectField name="partner" label="Partner" options=with_all("Every partner", partners) value=chosen.partner/>
                        <FormField name="from" label="Happened from" kind="date" value=chosen.from/>
                        <FormField name="to" label="To (included)" kind="date" value=chosen.to/>
                        <SelectField name="sort" label="Order" options=sorts() value=chosen.sort/>
                    </FilterBar>
                }
            })}
        </Transition>
    }
}

fn tabs(sums: &[StateSum], query: &CommissionQuery) -> Vec<Tab> {
    let label = |state: &str| match state {
        "" => "All",
        "pending" => "Pending",
        "held" => "Held back",
        "approved" => "Approved",
        "invoiced" => "Invoiced",
        "paid" => "Paid",
        _ => "Reversed",
    };
    let tab = |sum: &StateSum| {
        let target = CommissionQuery { state: sum.state.clone(), ..query.clone() };
        let mut note = count(sum.count);
        for amount in &sum.amounts {
            note.push_str(" · ");
            note.push_str(amount);
        }
        Tab {
            label: label(&sum.state).to_owned(),
            href: format!("/commissions?{}", parameters(&target)),
            note,
            current: sum.state == query.state,
        }
    };
    sums.iter().map(tab).collect()
}

#[component]
fn Listing(list: CommissionList, query: CommissionQuery, decide: ServerAction<DecideCommissions>, may_operate: bool) -> impl IntoView {
    let tabs = tabs(&list.sums, &query);
    let back = parameters(&query);
    let href = format!("/commissions?{back}");
    // Only what is pending can be decided about.
    let may_decide = may_operate && list.rows.iter().any(|row| row.state == "pending");
    let body = if list.rows.is_empty() {
        view! { <Nothing filtered=is_filtered(&query) || !query.state.is_empty()/> }.into_any()
    } else if may_decide {
        view! {
            <ActionForm action=decide>
                <input type="hidden" name="back" value=back/>
                <CommissionTable rows=list.rows may_decide/>
                <Bulk decide/>
            </ActionForm>
        }
        .into_any()
    } else {
        view! { <CommissionTable rows=list.rows may_decide/> }.into_any()
    };
    view! {
        <div id="commission-tabs" data-live-region><Tabs label="States" tabs/></div>
        <LeftAlone id="commission-list" may_operate href=format!("{href}&page={}", list.page)>
            <Panel title="Commissions" hint="base and bonus together, 50 a page" flush=true>
                {body}
                <Pager page=list.page pages=list.pages total=list.count href/>
            </Panel>
        </LeftAlone>
    }
}

#[component]
fn Nothing(filtered: bool) -> impl IntoView {
    view! {
        <EmptyState title=if filtered { "No commission fits" } else { "No commissions yet" }>
            {if filtered {
                view! { <p>"Choose another state or filter, or "<a href="/commissions">"show all"</a>"."</p> }.into_any()
            } else {
                view! { <p>"A commission is booked when a conversion is attributed. "<a href="/conversions">"Conversions"</a>" show what came in."</p> }.into_any()
            }}
        </EmptyState>
    }
}

#[component]
fn CommissionTable(rows: Vec<CommissionRow>, may_decide: bool) -> impl IntoView {
    let rows = rows.into_iter().map(|row| view! { <Line row may_decide/> }).collect_view();
    let mut columns = vec!["Conversion", "Partner", "Happened", "#Value", "#Commission", "State", "Where it stands", "Statement"];
    if may_decide {
        columns.insert(0, "Choose");
    }
    view! { <DataTable caption="Commissions" cards=true columns>{rows}</DataTable> }
}

#[component]
fn Line(row: CommissionRow, may_decide: bool) -> impl IntoView {
    let held = row.hold_reason.is_some() && row.state == "pending";
    let tone = match row.state.as_str() {
        _ if held => Tone::Warning,
        "pending" => Tone::Neutral,
        "approved" => Tone::Accent,
        "invoiced" => Tone::Accent,
        "paid" => Tone::Good,
        _ => Tone::Bad,
    };
    let word = if held { "held back".to_owned() } else { row.state.clone() };
    let choice = may_decide.then(|| {
        let label = format!("Choose the commission of {}", row.external_id);
        let pending = row.state == "pending";
        view! {
            <td data-label="Choose">
                {pending.then(|| view! { <input type="checkbox" class="choice" name="ids[]" value=row.id.to_string() aria-label=label/> })}
            </td>
        }
    });
    let standing = match (row.hold_reason, row.approved) {
        (Some(reason), _) if held => reason.into_any(),
        (_, Some((at, by))) => view! { "Approved "<Time at/><span class="books__small">" by "{by}</span> }.into_any(),
        _ if row.state == "pending" => view! { "Approved from "<Time at=row.hold_until/> }.into_any(),
        _ => "Taken back before its approval".into_any(),
    };
    let statement = match row.statement {
        Some((id, number)) => view! { <a href=format!("/statements/{id}")>{number}</a> }.into_any(),
        None => view! { <span class="muted">"–"</span> }.into_any(),
    };
    view! {
        <tr data-commission-id=row.id.to_string()>
            {choice}
            <td data-label="Conversion"><a href=format!("/conversions/{}", row.conversion_id)><code>{row.external_id}</code></a></td>
            <td data-label="Partner"><a href=format!("/partners/{}", row.partner)>{row.partner.clone()}</a></td>
            <td data-label="Happened"><Time at=row.occurred_at/></td>
            <NumberCell label="Value">{row.value}</NumberCell>
            <NumberCell label="Commission"><strong>{row.amount}</strong></NumberCell>
            <td data-label="State"><Badge tone>{word}</Badge></td>
            <td data-label="Where it stands"><span class="books__wrap">{standing}</span></td>
            <td data-label="Statement">{statement}</td>
        </tr>
    }
}

/// What can be done with the chosen ones. Which button was pressed says what.
#[component]
fn Bulk(decide: ServerAction<DecideCommissions>) -> impl IntoView {
    view! {
        <div class="bulk" role="group" aria-label="With the chosen commissions">
            <FormField
                name="reason" label="Reason" hint="Needed to hold back and to approve before the hold period is over."
                error=about(failure(decide), "reason")
            />
            <div class="row">
                <button type="submit" class="button" name="decision" value="hold">"Hold back"</button>
                <button type="submit" class="button" name="decision" value="release">"Release"</button>
                <button type="submit" class="button" data-kind="primary" name="decision" value="approve">"Approve now"</button>
            </div>
        </div>
    }
}
