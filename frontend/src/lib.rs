//! The browser's entry.

// Each island exports a function of its own, which the page calls by name.
use app as _;
use leptos::prelude::document;
use wasm_bindgen::prelude::wasm_bindgen;

/// Makes the server's page live. Then `<html data-hydrated>` says so, for style sheets and browser tests.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
    if let Some(html) = document().document_element() {
        let _ = html.set_attribute("data-hydrated", "");
    }
}
