//! What is typed into the editor of a test: texts, so that nothing is lost by being wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The fields of a design as typed: shares in per cent, times in UTC as `2026-11-23T09:00`, lists by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DesignForm {
    pub name: String,
    /// Only of a new test; an empty one is made from the name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hypothesis: String,
    pub kind: String,
    pub unit: String,
    pub variants: Vec<VariantForm>,
    pub traffic: String,
    pub primary_metric: String,
    /// The margin of each metric; empty for one that is not watched.
    pub guardrails: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partners: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<String>,
    /// Ids of sites that are not offered to be ticked, parted by blanks or commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub other_sites: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group_from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group_to: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub starts_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ends_at: String,
    pub alpha: String,
    pub power: String,
    pub lift: String,
    pub planned_units: String,
    /// `on`, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bandit: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub floor: String,
    pub currency: String,
    /// For the planner alone, which takes what it has measured where these are empty: the metric as it is now, for rates in per cent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub baseline: String,
    /// For the planner alone: how far single units lie from the mean; not for rates.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub spread: String,
    /// For the planner alone: units a day, before holdout, exclusion group and traffic allocation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub daily_units: String,
}

/// A variant as typed. Only the payload of the test's kind counts, and an empty one changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VariantForm {
    pub key: String,
    pub name: String,
    pub weight: String,
    /// Of positioning or of the call to action.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revenue_weight: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub layout: String,
}

impl DesignForm {
    /// Adds a variant. Weights that were even stay so.
    pub fn add_variant(&mut self) {
        let was_even = self.is_even();
        let number = self.variants.len();
        let letter = char::from(b'a' + u8::try_from(number).unwrap_or(25).min(25));
        let taken = |key: &str| self.variants.iter().any(|variant| variant.key == key);
        let key = (0..).map(|extra| if extra == 0 { letter.to_string() } else { format!("{letter}{extra}") }).find(|key| !taken(key));
        self.variants.push(VariantForm {
            key: key.unwrap_or_default(),
            name: format!("Variant {}", letter.to_ascii_uppercase()),
            ..VariantForm::default()
        });
        if was_even {
            self.share_evenly();
        }
    }

    /// Removes a variant, but never the control. Weights that were even stay so.
    pub fn remove_variant(&mut self, index: usize) {
        if index == 0 || index >= self.variants.len() {
            return;
        }
        let was_even = self.is_even();
        self.variants.remove(index);
        if was_even {
            self.share_evenly();
        }
    }

    /// Gives every variant the same weight, to a hundredth of a per cent: readers take thirds as thirds.
    pub fn share_evenly(&mut self) {
        let each = format!("{:.2}", 100.0 / self.variants.len().max(1) as f64);
        let each = each.trim_end_matches('0').trim_end_matches('.');
        for variant in &mut self.variants {
            variant.weight = each.to_owned();
        }
    }

    fn is_even(&self) -> bool {
        let mut even = self.clone();
        even.share_evenly();
        even.variants == self.variants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(weights: &[&str]) -> DesignForm {
        let variants = weights.iter().enumerate().map(|(index, weight)| VariantForm {
            key: if index == 0 { "control".to_owned() } else { format!("{index}") },
            weight: (*weight).to_owned(),
            ..VariantForm::default()
        });
        DesignForm { variants: variants.collect(), ..DesignForm::default() }
    }

    fn weights(form: &DesignForm) -> Vec<&str> {
        form.variants.iter().map(|variant| variant.weight.as_str()).collect()
    }

    #[test]
    fn even_weights_stay_even_when_a_variant_comes_or_goes() {
        let mut form = form(&["50", "50"]);
        form.add_variant();
        assert_eq!((weights(&form), form.variants[2].key.as_str()), (vec!["33.33", "33.33", "33.33"], "c"));
        form.remove_variant(1);
        assert_eq!((weights(&form), form.variants[1].key.as_str()), (vec!["50", "50"], "c"));
    }

    #[test]
    fn weights_that_somebody_chose_are_left_alone() {
        let mut form = form(&["90", "10"]);
        form.add_variant();
        assert_eq!(weights(&form), ["90", "10", ""]);
    }

    #[test]
    fn the_control_and_what_is_not_there_are_never_removed() {
        let mut form = form(&["50", "50"]);
        form.remove_variant(0);
        form.remove_variant(7);
        assert_eq!(form.variants.len(), 2);
    }

    #[test]
    fn a_new_variant_takes_a_key_that_is_free() {
        let mut form = form(&["50", "50"]);
        form.variants[1].key = "c".to_owned();
        form.add_variant();
        assert_eq!(form.variants[2].key, "c1");
    }
}
