//! A box to tick. Unticked, it sends nothing.

use leptos::prelude::*;

#[component]
pub fn CheckboxField(
    /// Also the id of the input, so it is unique on its page.
    #[prop(into)]
    name: String,
    #[prop(into)] label: String,
    checked: bool,
    #[prop(optional, into)] hint: Option<String>,
) -> impl IntoView {
    let hint_id = hint.is_some().then(|| format!("{name}-hint"));
    view! {
        <div class="checkbox-field">
            <input class="checkbox-field__input" type="checkbox" id=name.clone() name=name.clone() value="on" checked=checked aria-describedby=hint_id.clone()/>
            <label class="checkbox-field__label" for=name>{label}</label>
            {hint.map(|hint| view! { <p class="checkbox-field__hint" id=hint_id>{hint}</p> })}
        </div>
    }
}
