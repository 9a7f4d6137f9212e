//! Two tests at once know nothing of each other, and who takes part says nothing about the variant.

use domain::experiment::{Evaluator, Holdout, assign, bucket_ranges, choose_variation};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{FULL, now, running, visitor};

const UNITS: u32 = if FULL { 1_000_000 } else { 50_000 };
const SEEDS: usize = 20;
const VARIANTS: usize = 4;
/// Chance that all comparisons together raise a false alarm, if all is independent.
const FAMILY_ALPHA: f64 = 0.01;

/// Counts of two things together.
#[derive(Clone)]
struct Table(Vec<Vec<u32>>);

impl Table {
    fn new(rows: usize) -> Self {
        Self(vec![vec![0; VARIANTS]; rows])
    }

    /// Pearson's test of independence.
    fn p_value(&self) -> f64 {
        let count = |cells: &mut dyn Iterator<Item = u32>| f64::from(cells.sum::<u32>());
        let rows: Vec<f64> = self.0.iter().map(|row| count(&mut row.iter().copied())).collect();
        let columns: Vec<f64> = (0..VARIANTS).map(|column| count(&mut self.0.iter().map(|row| row[column]))).collect();
        let total: f64 = rows.iter().sum();
        let mut statistic = 0.0;
        for (row, row_count) in self.0.iter().zip(&rows) {
            for (observed, column_count) in row.iter().zip(&columns) {
                let expected = row_count * column_count / total;
                statistic += (f64::from(*observed) - expected).powi(2) / expected;
            }
        }
        let freedom = (rows.len() - 1) * (VARIANTS - 1);
        ChiSquared::new(freedom as f64).unwrap().sf(statistic)
    }

    /// Pearson's test of the columns against equal shares.
    fn p_value_of_shares(&self) -> f64 {
        let columns: Vec<u32> = (0..VARIANTS).map(|column| self.0.iter().map(|row| row[column]).sum()).collect();
        let expected = f64::from(columns.iter().sum::<u32>()) / VARIANTS as f64;
        let statistic = columns.iter().map(|observed| (f64::from(*observed) - expected).powi(2) / expected).sum();
        ChiSquared::new((VARIANTS - 1) as f64).unwrap().sf(statistic)
    }
}

#[test]
fn tests_at_once_are_independent_of_each_other_and_of_who_takes_part() {
    let of = |number| {
        let mut experiment = running(&format!("exp-{number}:1"), &[0.25; VARIANTS]);
        experiment.design.traffic_allocation = 0.5;
        Evaluator::new(&experiment)
    };
    let tests: Vec<_> = (0..SEEDS).map(of).collect();
    let ranges = bucket_ranges(VARIANTS, 1.0, None);
    let mut of_neighbours = vec![Table::new(VARIANTS); SEEDS];
    let mut of_traffic = vec![Table::new(2); SEEDS];
    for unit in 0..UNITS {
        let unit = unit.to_string();
        let answers: Vec<_> = tests.iter().map(|test| assign(test, &visitor(&unit), &Holdout::none(), now())).collect();
        for (number, answer) in answers.iter().enumerate() {
            let would_see = choose_variation(answer.bucket.unwrap(), &ranges).unwrap();
            of_traffic[number].0[usize::from(answer.variant.is_some())][would_see] += 1;
            if let (Some(mine), Some(others)) = (answer.variant, answers[(number + 1) % SEEDS].variant) {
                of_neighbours[number].0[mine][others] += 1;
            }
        }
    }
    // Bonferroni over all comparisons.
    let alpha = FAMILY_ALPHA / (3 * SEEDS) as f64;
    for (number, (neighbours, traffic)) in of_neighbours.iter().zip(&of_traffic).enumerate() {
        let p_values = [neighbours.p_value(), traffic.p_value(), traffic.p_value_of_shares()];
        assert!(p_values.iter().all(|p| *p > alpha), "test {number}: p of neighbours, traffic and shares: {p_values:?}, {alpha} allowed");
    }
}

#[test]
fn the_same_comparison_finds_the_dependence_of_one_hash_for_both_questions() {
    let mut table = Table::new(2);
    let covered = bucket_ranges(VARIANTS, 0.5, Some(&[0.4, 0.3, 0.2, 0.1]));
    let ranges = bucket_ranges(VARIANTS, 1.0, None);
    let test = Evaluator::new(&running("exp:1", &[0.25; VARIANTS]));
    for unit in 0..10_000 {
        let bucket = assign(&test, &visitor(&unit.to_string()), &Holdout::none(), now()).bucket.unwrap();
        let is_covered = choose_variation(bucket, &covered).is_some();
        table.0[usize::from(is_covered)][choose_variation(bucket, &ranges).unwrap()] += 1;
    }
    assert!(table.p_value() < 1e-9);
}
