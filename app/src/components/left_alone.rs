//! Lists that people decide about, which must not change under their hands.

use leptos::prelude::*;

use super::{Icon, Symbol};

/// A live region that is left alone for those who may decide: a notice above it tells them once it is out of date.
#[component]
pub fn LeftAlone(
    id: &'static str,
    may_operate: bool,
    /// Of the page anew, without what its last form said.
    #[prop(into)]
    href: String,
    children: Children,
) -> impl IntoView {
    if !may_operate {
        return view! { <div class="stack" id=id data-live-region>{children()}</div> }.into_any();
    }
    view! {
        <div>
            <div role="status">
                <div class="notice" data-tone="warning" data-outdated=id hidden=true>
                    <Icon symbol=Symbol::Warning/>
                    <p class="notice__text">
                        <strong>"The list has changed since you opened it. "</strong>
                        <a href=href rel="external">"Reload it"</a>
                        " before you decide; what you have ticked or typed is lost then."
                    </p>
                </div>
            </div>
            <div class="stack" id=id data-left-alone>{children()}</div>
        </div>
    }
    .into_any()
}
