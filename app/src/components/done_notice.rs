//! What a form has just done, after it led back to its page.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{Notice, Tone};

/// Says what the query's `done` stands for. The words are ours: nothing of the URL is shown.
#[component]
pub fn DoneNotice() -> impl IntoView {
    let query = use_query_map();
    let words = move || {
        query.with(|query| {
            Some(match query.get_str("done")? {
                "partner" => "The partner is saved.",
                "site-analysed" => "The project is analysed again: its offers follow the new analysis.",
                "site-saved" => "The site is saved.",
                "site-retired" => "The site is retired: it shows no offers any more. Its links still lead on.",
                "site-restored" => "The site shows offers again.",
                "terms" => "The new terms are saved as a version of their own.",
                "terms-withdrawn" => "The terms are withdrawn: the version before them goes on.",
                "revoked" => "The secret is revoked: what is signed with it is refused from now on.",
                "replayed" => "It is back in the queue and will be processed again.",
                "attributed" => "It is attributed: it earns from now on, and no later click changes that.",
                "replayed-all" => "All that were given up are back in the queue.",
                "commissions-held" => "The chosen commissions are held back: no timer approves them.",
                "commissions-released" => "The chosen commissions go on: each is approved when its hold period is over.",
                "commissions-approved" => "The chosen commissions are approved. Those that are held back have to be released first.",
                "statements-issued" => "The month is closed: its statements are issued and will not change.",
                "payout-created" => "The payout is open. Mark it as paid when the money has come.",
                "payout-paid" => "The payout is paid and booked.",
                "mapped" => "The mapping is saved. A dry run shows what an import would do.",
                "import-started" => "The import is running. You may leave this page: it goes on.",
                "success-verified" => "The success is verified, and its developer's commissions are rated anew.",
                "success-rejected" => "The success is rejected: it multiplies nothing.",
                "case-study-drafted" => "The case study is drafted from the data.",
                "case-study-saved" => "The texts are saved.",
                "case-study-rewritten" => "The case study is written anew from the present data.",
                "case-study-published" => "The case study is published and can be downloaded.",
                "case-study-withdrawn" => "The case study is withdrawn.",
                "consent-given" => "The consent is recorded.",
                "consent-withdrawn" => {
                    "It is recorded that the consent is taken back, and nothing about the developer is published any more."
                }
                "experiment-created" => "The test is saved as a draft. Nobody sees it before you start it.",
                "experiment-edited" => "The test is saved.",
                "experiment-new-phase" => "A new phase has begun: everybody is dealt anew, and results count from here.",
                "experiment-started" => "The test runs, at once and everywhere. The plan is on record.",
                "experiment-paused" => "The test is paused: everybody sees what is shown without it.",
                "experiment-resumed" => "The test runs again. Everybody keeps their variant.",
                "experiment-stopped" => "The test is stopped. Late conversions are still credited.",
                "experiment-archived" => "The test is archived.",
                "experiment-shipped" => "It is shipped: the next recommendation uses it.",
                "experiment-holdout" => "The holdout is set, and counts at once.",
                "password-changed" => "Your password is changed, and your other browsers are signed out.",
                "person-role" => "The role is changed, and holds at once.",
                "person-removed" => "They are removed and signed out. What they did stays in the audit log.",
                _ => return None,
            })
        })
    };
    move || words().map(|words| view! { <Notice tone=Tone::Good>{words}</Notice> })
}
