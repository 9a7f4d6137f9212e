//! Several lines of code or data.

use leptos::prelude::*;

use super::{Icon, Symbol};

/// Shows `text` as it is, selectable, with a button that copies it and says so.
#[island]
pub fn CodeBlock(
    /// What it is, for the title.
    #[prop(into)]
    label: String,
    #[prop(into)] text: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = {
        let text = text.clone();
        move |_| {
            #[cfg(feature = "hydrate")]
            {
                // The answer is not awaited: without permission the text is still there to be selected.
                let _ = window().navigator().clipboard().write_text(&text);
                copied.set(true);
                set_timeout(move || copied.set(false), std::time::Duration::from_secs(2));
            }
            #[cfg(not(feature = "hydrate"))]
            let _ = &text;
        }
    };
    let copy_label = format!("Copy {label}");
    let region_label = label.clone();
    view! {
        <div class="code-block">
            <div class="code-block__head">
                <span class="code-block__label">{label}</span>
                <button type="button" class="button" data-kind="quiet" aria-label=copy_label on:click=copy>
                    <Icon symbol=Symbol::Copy/>
                    <span aria-live="polite">{move || if copied.get() { "Copied" } else { "Copy" }}</span>
                </button>
            </div>
            <pre class="code-block__text" tabindex="0" role="region" aria-label=region_label><code>{text}</code></pre>
        </div>
    }
}
