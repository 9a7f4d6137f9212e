//! What somebody typed into a form whose page is out of date, put over what stands now.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The fields of `typed` that are not as they were `shown`. What was left alone is no wish to bring an old value back.
pub fn changes(typed: &impl Serialize, shown: &impl Serialize) -> Value {
    Value::Object(differing(value_of(typed), &value_of(shown)))
}

/// The form with changes over it; as it is if they do not fit.
pub fn with_changes<Form: Clone + Serialize + DeserializeOwned>(form: &Form, changes: Value) -> Form {
    let mut value = value_of(form);
    put_over(&mut value, changes);
    serde_json::from_value(value).unwrap_or_else(|_| form.clone())
}

fn value_of(form: &impl Serialize) -> Value {
    serde_json::to_value(form).unwrap_or_default()
}

fn differing(typed: Value, shown: &Value) -> Map<String, Value> {
    let Value::Object(typed) = typed else { return Map::new() };
    let change = |(key, value): (String, Value)| {
        let before = &shown[&key];
        if before.is_object() && value.is_object() {
            let inner = differing(value, before);
            return (!inner.is_empty()).then_some((key, Value::Object(inner)));
        }
        (*before != value).then_some((key, value))
    };
    typed.into_iter().filter_map(change).collect()
}

fn put_over(value: &mut Value, changes: Value) {
    match (value, changes) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (key, change) in changes {
                put_over(fields.entry(key).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_typed_goes_over_what_stands_now() {
        let shown = json!({ "rate": "15", "hold": "30", "active": "on", "multipliers": { "deployed": "1.5", "saved": "1" } });
        let typed = json!({ "rate": "15", "hold": "45", "active": "on", "multipliers": { "deployed": "2", "saved": "1" } });
        let changes = changes(&typed, &shown);
        assert_eq!(changes, json!({ "hold": "45", "multipliers": { "deployed": "2" } }));

        let now = json!({ "rate": "20", "hold": "30", "active": null, "multipliers": { "deployed": "1.5", "saved": "3" } });
        let next = with_changes(&now, changes);
        assert_eq!(next, json!({ "rate": "20", "hold": "45", "active": null, "multipliers": { "deployed": "2", "saved": "3" } }));
    }

    #[test]
    fn a_box_that_was_unticked_stays_so_and_without_a_known_page_all_was_typed() {
        let typed = json!({ "active": null, "name": "Acme" });
        assert_eq!(changes(&typed, &json!({ "active": "on", "name": "Acme" })), json!({ "active": null }));
        assert_eq!(with_changes(&json!({ "active": "on", "name": "Acme" }), json!({ "active": null })), typed);
        assert_eq!(changes(&typed, &Value::Null)["name"], "Acme");
    }
}
