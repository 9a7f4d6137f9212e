//! Adjusted p-values when several variants are compared with one control.

use serde::{Deserialize, Serialize};

/// How the p-values of several comparisons are held to one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    None,
    /// The chance of any false find stays below alpha, under any dependence (Holm 1979).
    #[default]
    Holm,
    /// The share of false finds among the finds stays below alpha (Benjamini and Hochberg 1995).
    BenjaminiHochberg,
}

/// The p-values as they may be compared with alpha, in the same order; a find at level alpha is one with an adjusted p of at most alpha.
pub fn adjusted(p_values: &[f64], correction: Correction) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = p_values.to_vec();
    match correction {
        Correction::None => {}
        Correction::Holm => {
            let mut largest = 0.0_f64;
            for (rank, index) in order.into_iter().enumerate() {
                largest = largest.max(p_values[index] * (count - rank) as f64).min(1.0);
                adjusted[index] = largest;
            }
        }
        Correction::BenjaminiHochberg => {
            let mut smallest = 1.0_f64;
            for (rank, index) in order.into_iter().enumerate().rev() {
                smallest = smallest.min(p_values[index] * count as f64 / (rank + 1) as f64);
                adjusted[index] = smallest;
            }
        }
    }
    adjusted
}
