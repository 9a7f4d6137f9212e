//! Statements: the list with its totals, what a month would say, and what one says.

use domain::{
    Currency,
    money::Money,
    statement::{Line, Outcome},
};
use engine::{
    ledger::Finding,
    statement::{Drafted, Head, Total},
};
use leptos::prelude::*;

use super::{capitalised, html};
use crate::components::{Badge, DataTable, EmptyState, KpiCard, Notice, NumberCell, Panel, Time, Tone, count, day};

pub fn statement_table(statements: Vec<Head>) -> String {
    html(view! { <StatementTable statements/> })
}

/// What the listed statements come to, a card per currency.
pub fn statement_totals(totals: Vec<Total>) -> String {
    html(view! { <Totals totals/> })
}

/// What the statements of a month would say.
pub fn statement_drafts(drafts: Vec<Drafted>) -> String {
    html(view! { <Drafts drafts/> })
}

pub fn statement_lines(lines: Vec<Line>, currency: Currency) -> String {
    html(view! { <Lines lines currency/> })
}

/// One statement's amounts, what becomes of it, and whether it is what the ledger says.
pub fn statement(head: Head, findings: Vec<Finding>) -> String {
    html(view! { <Story head findings/> })
}

/// Where a statement stands, in a word.
fn standing(head: &Head) -> (Tone, &'static str) {
    match (&head.settled_by, head.outcome) {
        (Some(settled), _) if settled.paid_at.is_some() => (Tone::Good, "paid"),
        (Some(_), _) => (Tone::Accent, "in a payout"),
        (None, Outcome::Due) => (Tone::Warning, "due"),
        (None, Outcome::CarriedForward { .. }) => (Tone::Neutral, "carried forward"),
    }
}

#[component]
fn StatementTable(statements: Vec<Head>) -> impl IntoView {
    if statements.is_empty() {
        return view! {
            <EmptyState title="No statement to show">
                <p>"A statement is issued once its month is over; what has to be stated stands above. "<a href="/statements">"Show all statements"</a>"."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows = statements.into_iter().map(|head| view! { <StatementRow head/> }).collect_view();
    view! {
        <DataTable
            caption="Statements"
            cards=true
            columns=vec!["Statement", "Partner", "Month", "#Lines", "#Carried in", "#Booked", "#Total", "State", "Payout"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn StatementRow(head: Head) -> impl IntoView {
    let currency = head.currency;
    let money = move |minor| Money::new(minor, currency).to_string();
    let (tone, word) = standing(&head);
    let payout = head.settled_by.as_ref().map_or_else(|| "–".to_owned(), |settled| settled.reference.clone());
    view! {
        <tr>
            <td data-label="Statement"><a href=format!("/statements/{}", head.statement_id)>{head.number.clone()}</a></td>
            <td data-label="Partner"><a href=format!("/partners/{}", head.partner_id)>{head.partner_name.clone()}</a></td>
            <td data-label="Month">{head.month.to_string()}</td>
            <NumberCell label="Lines">{count(head.line_count)}</NumberCell>
            <NumberCell label="Carried in">{money(head.opening_minor)}</NumberCell>
            <NumberCell label="Booked">{money(head.lines_minor)}</NumberCell>
            <NumberCell label="Total"><strong>{money(head.total_minor)}</strong></NumberCell>
            <td data-label="State"><Badge tone title=head.outcome.to_string()>{word}</Badge></td>
            <td data-label="Payout">{payout}</td>
        </tr>
    }
}

#[component]
fn Totals(totals: Vec<Total>) -> impl IntoView {
    if totals.is_empty() {
        return ().into_any();
    }
    let cards = totals.into_iter().map(|total| {
        let money = |minor| Money::new(minor, total.currency).to_string();
        let (due, paid) = (money(total.due_minor), money(total.paid_minor));
        let open = money(total.due_minor.saturating_sub(total.paid_minor));
        let hint = format!(
            "{due} due in {} statements, {paid} of it paid; {} carried forward",
            count(total.statements),
            money(total.carried_minor)
        );
        view! { <KpiCard label=format!("Still to be paid, {}", total.currency) value=open hint/> }
    });
    view! { <div class="kpi-grid">{cards.collect_view()}</div> }.into_any()
}

#[component]
fn Drafts(drafts: Vec<Drafted>) -> impl IntoView {
    if drafts.is_empty() {
        return view! {
            <EmptyState title="Nothing is left to state">
                <p>"Every booking of an approved commission up to the end of this month stands on a statement."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows = drafts.into_iter().map(|draft| view! { <DraftRow draft/> }).collect_view();
    view! {
        <DataTable caption="What would be issued" cards=true columns=vec!["Partner", "#Lines", "#Carried in", "#Booked", "#Total", "Outcome"]>
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn DraftRow(draft: Drafted) -> impl IntoView {
    let currency = draft.currency;
    let money = move |minor| Money::new(minor, currency).to_string();
    let outcome = match draft.waits_for {
        Some(earlier) => view! { <Badge tone=Tone::Warning>{format!("{earlier} comes first")}</Badge> }.into_any(),
        None => draft.settlement.outcome.to_string().into_any(),
    };
    view! {
        <tr>
            <td data-label="Partner">{format!("{} in {}", draft.partner_id, draft.currency)}</td>
            <NumberCell label="Lines">{count(draft.line_count)}</NumberCell>
            <NumberCell label="Carried in">{money(draft.opening_minor)}</NumberCell>
            <NumberCell label="Booked">{money(draft.lines_minor)}</NumberCell>
            <NumberCell label="Total"><strong>{money(draft.settlement.total_minor)}</strong></NumberCell>
            <td data-label="Outcome">{outcome}</td>
        </tr>
    }
}

#[component]
fn Lines(lines: Vec<Line>, currency: Currency) -> impl IntoView {
    if lines.is_empty() {
        return view! {
            <EmptyState title="No lines here"><p>"Nothing was booked, or this page is past the last one. The total is what was carried forward."</p></EmptyState>
        }
        .into_any();
    }
    let rows = lines
        .into_iter()
        .map(|line| {
            view! {
                <tr>
                    <td data-label="Booked"><Time at=line.booked_at/></td>
                    <td data-label="Happened"><Time at=line.occurred_at/></td>
                    <td data-label="Kind">{line.kind.to_string()}</td>
                    <td data-label="Conversion"><code>{line.conversion_external_id}</code></td>
                    <td data-label="Site">{line.site}</td>
                    <td data-label="What"><span class="books__wrap">{capitalised(&line.description)}</span></td>
                    <NumberCell label="Amount">{Money::new(line.amount_minor, currency).to_string()}</NumberCell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <DataTable caption="Lines" cards=true columns=vec!["Booked", "Happened", "Kind", "Conversion", "Site", "What", "#Amount"]>{rows}</DataTable>
    }
    .into_any()
}

#[component]
fn Story(head: Head, findings: Vec<Finding>) -> impl IntoView {
    let currency = head.currency;
    let money = move |minor| Money::new(minor, currency).to_string();
    let (tone, word) = standing(&head);
    let payout = match &head.settled_by {
        None if head.outcome == Outcome::Due => view! { <a href="/payouts">"To be settled"</a> }.into_any(),
        None => "None: nothing is due".into_any(),
        Some(settled) => {
            let state = settled.paid_at.map_or_else(|| "open".to_owned(), |at| format!("paid on {}", day(at.date_naive())));
            let reference = settled.reference.clone();
            view! { <a href="/payouts">{reference}</a>", "{state} }.into_any()
        }
    };
    view! {
        <div class="stack">
            <Agreement findings/>
            <div class="columns">
                <Panel title="Amounts">
                    <dl class="facts">
                        <div><dt>"Carried in"</dt><dd>{money(head.opening_minor)}</dd></div>
                        <div><dt>"Booked"</dt><dd>{format!("{} in {} lines", money(head.lines_minor), count(head.line_count))}</dd></div>
                        <div><dt>"Total"</dt><dd><strong>{money(head.total_minor)}</strong></dd></div>
                        <div><dt>"Minimum payout"</dt><dd>{money(head.minimum_payout_minor)}</dd></div>
                    </dl>
                </Panel>
                <Panel title="What becomes of it">
                    <dl class="facts">
                        <div><dt>"State"</dt><dd><Badge tone>{word}</Badge></dd></div>
                        <div><dt>"Outcome"</dt><dd>{capitalised(&head.outcome.to_string())}</dd></div>
                        <div><dt>"Payout"</dt><dd>{payout}</dd></div>
                        <div><dt>"Issued"</dt><dd><Time at=head.issued_at/>" by "{head.issued_by}</dd></div>
                    </dl>
                </Panel>
            </div>
        </div>
    }
}

#[component]
fn Agreement(findings: Vec<Finding>) -> impl IntoView {
    if findings.is_empty() {
        return view! { <Notice tone=Tone::Good>"The total and every line are what the ledger says."</Notice> }.into_any();
    }
    let list = findings.into_iter().map(|finding| view! { <li>{capitalised(&finding.what)}</li> }).collect_view();
    view! { <Notice tone=Tone::Bad><strong>"This statement is not what the ledger says"</strong><ul>{list}</ul></Notice> }.into_any()
}
