//! Payouts: due statements to settle, open payouts and the mark that the money came, and what is paid.

use chrono::NaiveDate;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{CreatePayout, DueGroup, MarkPayoutPaid, OpenPayout, PayoutList, list_payouts, use_viewer},
    components::{
        ButtonLink, DoneNotice, EmptyState, ErrorNote, FormError, LeftAlone, LiveIndicator, PageHeader, Pager, Panel, SubmitButton,
        TableSkeleton, Time, count, failure,
    },
};

#[component]
pub fn PayoutsPage() -> impl IntoView {
    let query = use_query_map();
    let page = Memo::new(move |_| query.with(|query| query.get("page").unwrap_or_default()));
    let create = ServerAction::<CreatePayout>::new();
    let mark = ServerAction::<MarkPayoutPaid>::new();
    let list = Resource::new(move || (page.get(), create.version().get(), mark.version().get()), |(page, ..)| list_payouts(page));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <PageHeader title="Payouts" lead="Partners settle due statements; a payout is booked when its money has come.">
            <LiveIndicator topics="books"/>
        </PageHeader>
        <DoneNotice/>
        <FormError failure=failure(create)/>
        <FormError failure=failure(mark)/>
        <Transition fallback=|| view! { <TableSkeleton rows=10/> }>
            {move || Suspend::new(async move {
                match list.await {
                    Ok(list) => view! { <Listing list create mark may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <ErrorNote error/>
                        <p><ButtonLink href="/payouts">"Show the first page"</ButtonLink></p>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Listing(list: PayoutList, create: ServerAction<CreatePayout>, mark: ServerAction<MarkPayoutPaid>, may_operate: bool) -> impl IntoView {
    let PayoutList { due, open, open_count, paid, paid_count, page, pages, today } = list;
    view! {
        <div class="stack">
            <LeftAlone id="payouts-to-do" may_operate href=format!("/payouts?of=paid&page={page}")>
                <Panel title="Due statements" hint="one payout settles statements of one partner in one currency">
                    <Due groups=due create may_operate/>
                </Panel>
                <Open payouts=open total=open_count today mark may_operate/>
            </LeftAlone>
            <Panel title="Paid" hint="the newest first, 50 a page" flush=true>
                <div id="payouts-paid" data-live-region inner_html=paid></div>
                <Pager page pages total=paid_count href="/payouts?of=paid"/>
            </Panel>
        </div>
    }
}

#[component]
fn Due(groups: Vec<DueGroup>, create: ServerAction<CreatePayout>, may_operate: bool) -> impl IntoView {
    if groups.is_empty() {
        return view! {
            <EmptyState title="Nothing is due">
                <p>"A statement is due when its total reaches the partner's minimum payout. "<a href="/statements">"Statements"</a></p>
            </EmptyState>
        }
        .into_any();
    }
    groups.into_iter().map(|group| view! { <DueForm group create may_operate/> }).collect_view().into_any()
}

#[component]
fn DueForm(group: DueGroup, create: ServerAction<CreatePayout>, may_operate: bool) -> impl IntoView {
    let title = format!("{} in {}", group.partner_name, group.currency);
    let choices = group
        .statements
        .into_iter()
        .map(|statement| {
            let id = statement.id.to_string();
            let label = format!("Settle {}", statement.number);
            let choice = may_operate.then(|| {
                view! { <input type="checkbox" class="choice" name="statements[]" value=id.clone() checked=true aria-label=label/> }
            });
            view! {
                <li class="settle__choice">
                    {choice}
                    <span>
                        <a href=format!("/statements/{id}")>{statement.number}</a>
                        ", "{statement.amount}<span class="books__small">", issued "<Time at=statement.issued_at/></span>
                    </span>
                </li>
            }
        })
        .collect_view();
    view! {
        <ActionForm action=create attr:class="settle">
            <h3 class="settle__head">{title}<span class="muted">{group.total}</span></h3>
            <ul class="settle__choices">{choices}</ul>
            {may_operate.then(|| view! { <div class="row"><SubmitButton label="Make a payout" pending=create.pending()/></div> })}
        </ActionForm>
    }
}

#[component]
fn Open(payouts: Vec<OpenPayout>, total: i64, today: NaiveDate, mark: ServerAction<MarkPayoutPaid>, may_operate: bool) -> impl IntoView {
    let shown = i64::try_from(payouts.len()).unwrap_or(total);
    let hint = if shown < total {
        format!("the newest {} of {}", count(shown), count(total))
    } else {
        "waiting for the partner's money".to_owned()
    };
    let is_empty = payouts.is_empty();
    let forms = payouts.into_iter().map(|payout| view! { <OpenForm payout today mark may_operate/> }).collect_view();
    view! {
        <Panel title="Open payouts" hint>
            {if is_empty {
                view! { <EmptyState title="No payout is open"><p>"Make one of due statements above."</p></EmptyState> }.into_any()
            } else {
                view! {
                    {forms}
                    <p class="row"><a class="button" href="/payouts/open.csv" rel="external">"CSV of all that are open"</a></p>
                }
                .into_any()
            }}
        </Panel>
    }
}

#[component]
fn OpenForm(payout: OpenPayout, today: NaiveDate, mark: ServerAction<MarkPayoutPaid>, may_operate: bool) -> impl IntoView {
    let links =
        payout.statements.into_iter().map(|(id, number)| view! { <a href=format!("/statements/{id}")>{number}</a>" " }).collect_view();
    let csv = format!("/payouts/{}/payout.csv", payout.id);
    let id = payout.id.to_string();
    let form = may_operate.then(|| {
        let (reference_id, day_id) = (format!("bank-reference-{id}"), format!("paid-on-{id}"));
        view! {
            <ActionForm action=mark attr:class="filter-bar">
                <input type="hidden" name="id" value=id/>
                <div class="form-field">
                    <label class="form-field__label" for=reference_id.clone()>"Bank reference"</label>
                    <input class="form-field__input" id=reference_id name="bank_reference" required=true maxlength="140"/>
                </div>
                <div class="form-field">
                    <label class="form-field__label" for=day_id.clone()>"Paid on (UTC)"</label>
                    <input class="form-field__input" id=day_id name="paid_on" type="date" required=true value=today.to_string() max=today.to_string()/>
                </div>
                <SubmitButton label="Mark as paid" pending=mark.pending()/>
            </ActionForm>
        }
    });
    let label = format!("Payout {}", payout.reference);
    view! {
        <section class="settle" aria-label=label>
            <h3 class="settle__head">{payout.reference}<span class="muted">{payout.partner_name}", "{payout.amount}</span></h3>
            <p class="books__small">"Made "<Time at=payout.created_at/>" by "{payout.created_by}" for "{links}<a href=csv rel="external">"CSV for the bank"</a></p>
            {form}
        </section>
    }
}
