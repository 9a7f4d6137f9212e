//! One conversion: where it stands and what to do, what came in, and the journey that led to it.

use chrono::{DateTime, Utc};
use domain::{
    Money,
    attribution::{MatchedBy, Model},
    conversion::ConversionState,
};
use engine::conversion::{Commission, Detail, Touch};
use leptos::prelude::*;

use super::{books, source_word, span, state_of, type_word};
use crate::components::{Badge, EmptyState, Notice, Panel, Time, Tone, date_time, percent_of_decimal};

#[component]
pub fn Story(detail: Detail, now: DateTime<Utc>) -> impl IntoView {
    let Detail { line, touches, commission, bookings, reversals, successes, .. } = detail.clone();
    let (standing, facts) = (detail.clone(), detail.clone());
    let currency = commission.as_ref().map(|commission| commission.amount.currency);
    let journey_hint = touches.first().map(|touch| model_words(touch.model));
    view! {
        <div class="stack">
            <Standing detail=standing now/>
            <div class="columns">
                <Panel title="What came in"><Facts detail=facts/></Panel>
                <Panel title="How it was matched"><Matching detail/></Panel>
            </div>
            <Panel title="Journey" hint=journey_hint.unwrap_or_default()>
                <Journey touches occurred_at=line.occurred_at value=line.value currency/>
            </Panel>
            <books::Receipt commission/>
            <books::Ledger bookings/>
            <div class="columns">
                <books::Reversals reversals currency=line.value.currency/>
                <books::Successes successes/>
            </div>
        </div>
    }
}

/// State and reason in plain words, and what can be done about it.
#[component]
fn Standing(detail: Detail, now: DateTime<Utc>) -> impl IntoView {
    let (tone, headline, advice) = standing(&detail, now);
    view! {
        <Notice tone>
            <strong>{headline}</strong>
            {advice.map(|advice| view! { <p>{advice}</p> })}
        </Notice>
    }
}

fn standing(detail: &Detail, now: DateTime<Utc>) -> (Tone, String, Option<String>) {
    let line = &detail.line;
    let reason = line.state_reason.clone().map(|reason| format!(": {reason}")).unwrap_or_default();
    let by_hand = match &detail.not_by_hand {
        None => "If you know the link that led to it, attribute it by hand below.".to_owned(),
        Some(refusal) => format!("It cannot be attributed by hand: {refusal}."),
    };
    match line.state {
        ConversionState::Unattributed => {
            let next = match detail.retry_at {
                Some(at) if at > now => format!("Clicks may still arrive: it is looked at again at {}. ", date_time(at)),
                _ => "Clicks may still arrive: it is looked at again within seconds. ".to_owned(),
            };
            (Tone::Warning, format!("It earns nothing yet{reason}."), Some(next + &by_hand))
        }
        ConversionState::Expired => (Tone::Warning, format!("No click may claim it{reason}."), Some(by_hand)),
        ConversionState::Refused => (Tone::Bad, format!("It was refused{reason}."), Some(by_hand)),
        ConversionState::Held => {
            let advice = "Import the exchange rates of that day: it is then rated by itself. No other rate is used in their place.";
            (Tone::Warning, format!("It is attributed, but not rated{reason}."), Some(advice.to_owned()))
        }
        ConversionState::Attributed => match &detail.commission {
            Some(commission) => {
                let (tone, words) = commission_words(commission, now);
                (tone, format!("It earns {}.", commission.amount), Some(words))
            }
            None => (Tone::Neutral, "It is attributed and will be rated in a moment.".to_owned(), None),
        },
    }
}

fn commission_words(commission: &Commission, now: DateTime<Utc>) -> (Tone, String) {
    match commission.state.as_str() {
        "pending" => match &commission.hold_reason {
            Some(reason) => (Tone::Warning, format!("Somebody holds it back: {reason}. It waits until it is released.")),
            None if commission.hold_until > now => {
                (Tone::Neutral, format!("Its hold period runs until {}; then it is approved by itself.", date_time(commission.hold_until)))
            }
            None => (Tone::Neutral, "Its hold period is over: it is approved within a minute.".to_owned()),
        },
        "approved" => (Tone::Good, "It is approved and stands on the partner's next statement.".to_owned()),
        "invoiced" => (Tone::Good, "It stands on a statement that waits for the partner's payment.".to_owned()),
        "paid" => (Tone::Good, "The partner has paid it.".to_owned()),
        _ => (Tone::Warning, "The whole value was refunded, so that nothing is left to earn.".to_owned()),
    }
}

#[component]
fn Facts(detail: Detail) -> impl IntoView {
    let line = detail.line;
    let (tone, state) = state_of(line.state, line.commission_state.as_deref());
    let reversed = (line.reversed_minor > 0).then(|| format!(", {} refunded", Money::new(line.reversed_minor, line.value.currency)));
    view! {
        <dl class="facts">
            <div><dt>"State"</dt><dd><Badge tone>{state}</Badge></dd></div>
            <div><dt>"Partner"</dt><dd><a href=format!("/partners/{}", line.partner_id)>{line.partner_name}</a></dd></div>
            <div><dt>"Partner's id"</dt><dd class="mono">{line.external_event_id}</dd></div>
            <div><dt>"Type"</dt><dd>{type_word(line.conversion_type)}</dd></div>
            <div><dt>"Value"</dt><dd>{line.value.to_string()}{reversed}</dd></div>
            <div><dt>"Happened"</dt><dd><Time at=line.occurred_at/></dd></div>
            <div><dt>"Came in"</dt><dd><Time at=line.received_at/>" by "{source_word(line.source)}</dd></div>
            <div><dt>"Our id"</dt><dd class="mono">{line.conversion_id.to_string()}</dd></div>
        </dl>
    }
}

/// What the sender named, which of it counted, and the policy that decided.
#[component]
fn Matching(detail: Detail) -> impl IntoView {
    let claim = detail.claim;
    let named = [
        ("Click id", claim.click_token),
        ("Referral code", claim.referral_code),
        ("Session", claim.session_id.map(|id| id.to_string())),
        ("Customer", claim.user_identifier),
    ];
    let named = named
        .into_iter()
        .filter_map(|(label, value)| value.map(|value| view! { <div><dt>{label}</dt><dd class="mono">{value}</dd></div> }))
        .collect::<Vec<_>>();
    let nothing_named = named.is_empty().then(|| view! { <div><dt>"Named"</dt><dd>"neither click, code, session nor customer"</dd></div> });
    let first = detail.touches.first().cloned();
    let by_hand = detail.by_hand.filter(|_| first.as_ref().is_some_and(|touch| touch.matched_by == MatchedBy::Manual));
    let policy = detail.terms.map(|terms| {
        let values = terms.values;
        let minimum = match values.attribution_minimum_seconds {
            0 => String::new(),
            seconds => format!(", {seconds} s or more after the click"),
        };
        let words = format!("{}, within {} h{minimum}", model_words(values.attribution_model), values.attribution_window_hours);
        let href = format!("/partners/{}", terms.partner_id);
        view! {
            <div><dt>"Policy"</dt><dd>{words}</dd></div>
            <div><dt>"Terms"</dt><dd><a href=href>"version "{terms.version}</a>" of the partner's terms"</dd></div>
        }
    });
    view! {
        <dl class="facts">
            {named}
            {nothing_named}
            {first.map(|touch| view! {
                <div><dt>"Matched by"</dt><dd>{matched_words(touch.matched_by)}</dd></div>
                <div><dt>"Decided"</dt><dd><Time at=touch.attributed_at/>", rules version "{touch.policy_version}</dd></div>
            })}
            {by_hand.map(|by_hand| view! {
                <div><dt>"By"</dt><dd>{by_hand.actor}", "<Time at=by_hand.happened_at/></dd></div>
                <div><dt>"Reason"</dt><dd>{by_hand.reason}</dd></div>
            })}
            {policy}
        </dl>
    }
}

/// The touches, the oldest first, and the conversion at the end.
#[component]
fn Journey(touches: Vec<Touch>, occurred_at: DateTime<Utc>, value: Money, currency: Option<domain::Currency>) -> impl IntoView {
    if touches.is_empty() {
        return view! {
            <EmptyState title="No click has a share in it"><p>"Nobody is credited, so that nothing is earned."</p></EmptyState>
        }
        .into_any();
    }
    let touches = touches.into_iter().map(|touch| view! { <TouchLine touch occurred_at currency/> }).collect_view();
    view! {
        <ol class="timeline journey" aria-label="Clicks that share in the credit">
            {touches}
            <li data-next="true">
                <Time at=occurred_at/>
                <span>"The conversion, "{value.to_string()}</span>
            </li>
        </ol>
    }
    .into_any()
}

#[component]
fn TouchLine(touch: Touch, occurred_at: DateTime<Utc>, currency: Option<domain::Currency>) -> impl IntoView {
    let site = match touch.site {
        Some((id, name)) => view! { <a href=format!("/sites/{id}")>{name}</a> }.into_any(),
        None => view! { <span class="muted">"a site that is gone"</span> }.into_any(),
    };
    let when = match touch.click_id {
        Some(_) => view! { <Time at=touch.clicked_at/> }.into_any(),
        None => view! { <span class="muted">"No click is known"</span> }.into_any(),
    };
    let distance = touch.click_id.is_some().then(|| format!("{} before", span(occurred_at - touch.clicked_at)));
    let part = currency.map(|currency| Money::new(touch.commission_minor, currency).to_string());
    let title = touch.click_id.map(|id| format!("click {id}"));
    view! {
        <li title=title>
            <span>{when}{distance.map(|distance| view! { <span class="muted">", "{distance}</span> })}</span>
            <span>{site}" by "<code>{touch.referral_code}</code></span>
            <span class="journey__share">
                <strong>{percent_of_decimal(touch.share)}</strong>" of the credit"
                {part.map(|part| view! { ", "<strong>{part}</strong>" of the commission" })}
            </span>
        </li>
    }
}

fn model_words(model: Model) -> String {
    model.label().to_owned()
}

fn matched_words(matched_by: MatchedBy) -> &'static str {
    match matched_by {
        MatchedBy::ClickToken => "the signed click id that came with it",
        MatchedBy::ClickRow => "the id of its click's row that came with it",
        MatchedBy::Session => "the browser session, or a session known to be the customer's",
        MatchedBy::RecentClick => "the most recent click on its referral code",
        MatchedBy::Manual => "an operator",
    }
}
