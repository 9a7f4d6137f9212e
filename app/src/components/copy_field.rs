//! A value to take along, such as a secret or an embed line.

use leptos::prelude::*;

use super::{Icon, Symbol};

/// Shows `value` in full, selectable, with a button that copies it and says so.
#[island]
pub fn CopyField(
    /// What it is, for the label.
    #[prop(into)]
    label: String,
    #[prop(into)] value: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = {
        let value = value.clone();
        move |_| {
            #[cfg(feature = "hydrate")]
            {
                // The answer is not awaited: without permission the text is still there to be selected.
                let _ = window().navigator().clipboard().write_text(&value);
                copied.set(true);
                set_timeout(move || copied.set(false), std::time::Duration::from_secs(2));
            }
            #[cfg(not(feature = "hydrate"))]
            let _ = &value;
        }
    };
    let copy_label = format!("Copy {label}");
    let value_label = label.clone();
    view! {
        <div class="copy-field">
            <span class="copy-field__label">{label}</span>
            <div class="copy-field__row">
                <code class="copy-field__value" tabindex="0" aria-label=value_label>{value}</code>
                <button type="button" class="button" data-kind="quiet" aria-label=copy_label on:click=copy>
                    <Icon symbol=Symbol::Copy/>
                    <span aria-live="polite">{move || if copied.get() { "Copied" } else { "Copy" }}</span>
                </button>
            </div>
        </div>
    }
}
