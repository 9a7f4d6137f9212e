//! Tables. On narrow screens a table scrolls inside its own box, or, with `cards`, each row becomes a card whose cells
//! are labelled by `data-label`.

use leptos::prelude::*;

/// A table with its columns' titles; a title that starts with `#` is of numbers and stands at the right.
#[component]
pub fn DataTable(
    /// What the table holds, for screen readers.
    #[prop(into)]
    caption: String,
    columns: Vec<&'static str>,
    /// Rows become cards on narrow screens; every `td` then carries `data-label`.
    #[prop(optional)]
    cards: bool,
    /// The rows: `<tr>` elements.
    children: Children,
) -> impl IntoView {
    let heads = columns
        .into_iter()
        .map(|title| match title.strip_prefix('#') {
            Some(title) => view! { <th scope="col" data-kind="number">{title}</th> },
            None => view! { <th scope="col" data-kind="text">{title}</th> },
        })
        .collect_view();
    let label = caption.clone();
    view! {
        <div class="table-box" tabindex="0" role="region" aria-label=label>
            <table class="table" data-cards=cards.then_some("true")>
                <caption class="visually-hidden">{caption}</caption>
                <thead><tr>{heads}</tr></thead>
                <tbody>{children()}</tbody>
            </table>
        </div>
    }
}

/// A cell with a number, aligned by its digits.
#[component]
pub fn NumberCell(#[prop(optional)] label: &'static str, children: Children) -> impl IntoView {
    view! { <td data-kind="number" data-label=label>{children()}</td> }
}
