//! The audit log, with what changed in words.

use engine::audit::AuditEntry;
use leptos::prelude::*;
use serde_json::{Map, Value};

use super::html;
use crate::components::{DataTable, Time};

/// Longer values are cut: a partner's whole registry entry says more than a person reads.
const VALUE_LENGTH_MAX: usize = 300;

pub fn audit_table(entries: Vec<AuditEntry>) -> String {
    html(view! { <AuditTable entries/> })
}

#[component]
fn AuditTable(entries: Vec<AuditEntry>) -> impl IntoView {
    let rows = entries.into_iter().map(|entry| view! { <AuditRow entry/> }).collect_view();
    view! { <DataTable caption="Audit log" cards=true columns=vec!["When", "Who", "What", "About", "Details"]>{rows}</DataTable> }
}

#[component]
fn AuditRow(entry: AuditEntry) -> impl IntoView {
    view! {
        <tr>
            <td data-label="When"><Time at=entry.happened_at/></td>
            <td data-label="Who">{entry.actor}</td>
            <td data-label="What"><code>{entry.action}</code></td>
            <td data-label="About"><span class="books__wrap">{entry.subject}</span></td>
            <td data-label="Details"><Changes detail=entry.detail/></td>
        </tr>
    }
}

#[component]
fn Changes(detail: Value) -> impl IntoView {
    let changes = changes(&detail);
    if changes.is_empty() {
        return view! { <span class="muted">"–"</span> }.into_any();
    }
    let rows = changes
        .into_iter()
        .map(|Change { what, before, after }| {
            let before = before.map(|before| view! { <del>{before}</del>" → " });
            view! { <div><dt>{what}</dt><dd>{before}<ins>{after}</ins></dd></div> }
        })
        .collect_view();
    view! { <dl class="changes">{rows}</dl> }.into_any()
}

/// One value of an entry, and what it was before if the entry says.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    what: String,
    before: Option<String>,
    after: String,
}

/// What an entry's detail says: of `before` and `after` only what differs, of the rest everything.
fn changes(detail: &Value) -> Vec<Change> {
    let Value::Object(fields) = detail else {
        return if detail.is_null() { vec![] } else { vec![Change { what: "detail".to_owned(), before: None, after: words(detail) }] };
    };
    let (before, after) = (fields.get("before").unwrap_or(&Value::Null), fields.get("after").unwrap_or(&Value::Null));
    let mut changes = differences(before, after);
    changes.extend(
        fields.iter().filter(|(key, value)| !matches!(key.as_str(), "before" | "after") && !value.is_null()).map(|(key, value)| Change {
            what: key.replace('_', " "),
            before: None,
            after: words(value),
        }),
    );
    changes
}

fn differences(before: &Value, after: &Value) -> Vec<Change> {
    if before == after {
        return vec![];
    }
    let none = Map::new();
    let fields = |value: &Value| value.as_object().cloned();
    match (fields(before), fields(after)) {
        (None, None) => vec![Change { what: "change".to_owned(), before: Some(words(before)), after: words(after) }],
        (old, new) => {
            let (old, new) = (old.unwrap_or_else(|| none.clone()), new.unwrap_or(none));
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.into_iter()
                .filter(|key| old.get(*key) != new.get(*key))
                .map(|key| Change {
                    what: key.replace('_', " "),
                    before: old.get(key).map(words),
                    after: new.get(key).map_or_else(|| "nothing".to_owned(), words),
                })
                .collect()
        }
    }
}

fn words(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            items.iter().map(words).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE_LENGTH_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(what: &str, before: Option<&str>, after: &str) -> Change {
        Change { what: what.to_owned(), before: before.map(str::to_owned), after: after.to_owned() }
    }

    #[test]
    fn only_what_differs_is_shown_of_before_and_after() {
        let detail = json!({ "before": { "active": true, "tier": 1 }, "after": { "active": false, "tier": 1 }, "reason": "asked to" });
        assert_eq!(changes(&detail), [change("active", Some("true"), "false"), change("reason", None, "asked to")]);
    }

    #[test]
    fn single_values_lists_and_what_was_not_there_read_as_words() {
        assert_eq!(changes(&json!({ "before": null, "after": "held" })), [change("change", Some("nothing"), "held")]);
        assert_eq!(changes(&json!({ "after": { "rate": "0.2" } })), [change("rate", None, "0.2")]);
        assert_eq!(changes(&json!({ "statements": ["S-1", "S-2"] })), [change("statements", None, "S-1, S-2")]);
        assert_eq!(changes(&json!({})), []);
        assert_eq!(changes(&Value::Null), []);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = "ü".repeat(VALUE_LENGTH_MAX + 1);
        assert_eq!(words(&json!(long)), format!("{}…", "ü".repeat(VALUE_LENGTH_MAX)));
    }
}
