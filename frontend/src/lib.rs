//! The browser's entry.

use leptos::prelude::document;
use wasm_bindgen::prelude::wasm_bindgen;

/// Makes the server's page live. Then `<html data-hydrated>` says so, for style sheets and browser tests.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
    if let Some(html) = document().document_element() {
        let _ = html.set_attribute("data-hydrated", "");
    }
}
