//! Integrals of a few smooth posterior densities at once: deterministic, and to about ten digits.
//!
//! The supports of all posteriors are cut into panels, every cut of one is a cut of all, and in a panel the densities are known at the nodes of a
//! Gauss-Legendre rule. Distribution functions at the nodes come from integrating the polynomial through them, so that no density is
//! evaluated twice.

use std::{array, f64::consts::PI, sync::LazyLock};

/// Nodes of a panel.
const NODES: usize = 16;
/// Panels of a posterior's own support.
const PANELS: u32 = 14;
/// Densities below exp(-45) of their top count as nothing.
const LN_NOTHING: f64 = -45.0;

/// What is believed of a rate or a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Posterior {
    /// With a, b >= 1.
    Beta { a: f64, b: f64 },
    /// With a deviation above 0.
    Normal { mean: f64, deviation: f64 },
}

struct Rule {
    nodes: [f64; NODES],
    weights: [f64; NODES],
    /// `partial[i][j]`: the weight of node j in the integral from -1 to node i.
    partial: [[f64; NODES]; NODES],
}

/// The Gauss-Legendre rule: roots of the Legendre polynomial by Newton's method.
static RULE: LazyLock<Rule> = LazyLock::new(|| {
    let nodes: [f64; NODES] = array::from_fn(|place| {
        let mut x = -((place as f64 + 0.75) / (NODES as f64 + 0.5) * PI).cos();
        for _ in 0..20 {
            let (value, slope) = top_legendre(x);
            x -= value / slope;
        }
        x
    });
    let weights: [f64; NODES] = array::from_fn(|place| {
        let x = nodes[place];
        2.0 / ((1.0 - x * x) * top_legendre(x).1.powi(2))
    });
    // The polynomial through the nodes is a sum of Legendre polynomials, whose integrals from -1 are (P[l+1] - P[l-1]) / (2l + 1).
    let partial = array::from_fn(|place| {
        let to = legendre(nodes[place]);
        array::from_fn(|node| {
            let at = legendre(nodes[node]);
            let higher: f64 = (1..NODES).map(|order| at[order] * (to[order + 1] - to[order - 1]) / 2.0).sum();
            weights[node] * ((nodes[place] + 1.0) / 2.0 + higher)
        })
    });
    Rule { nodes, weights, partial }
});

/// P[0](x) to P[NODES](x).
fn legendre(x: f64) -> [f64; NODES + 1] {
    let mut values = [1.0; NODES + 1];
    values[1] = x;
    for order in 1..NODES {
        let l = order as f64;
        values[order + 1] = ((2.0 * l + 1.0) * x * values[order] - l * values[order - 1]) / (l + 1.0);
    }
    values
}

/// P[NODES](x) and its derivative.
fn top_legendre(x: f64) -> (f64, f64) {
    let values = legendre(x);
    let (top, below) = (values[NODES], values[NODES - 1]);
    (top, NODES as f64 * (x * top - below) / (x * x - 1.0))
}

impl Posterior {
    fn mode(self) -> f64 {
        match self {
            Self::Beta { a, b } if a + b > 2.0 => (a - 1.0) / (a + b - 2.0),
            Self::Beta { .. } => 0.5,
            Self::Normal { mean, .. } => mean,
        }
    }

    /// Relative to the density at the mode, so that large counts do not cancel.
    fn ln_density(self, x: f64) -> f64 {
        let mode = self.mode();
        let power = |exponent: f64, change: f64, from: f64| if exponent > 0.0 { exponent * (change / from).ln_1p() } else { 0.0 };
        match self {
            Self::Beta { a, b } => power(a - 1.0, x - mode, mode) + power(b - 1.0, mode - x, 1.0 - mode),
            Self::Normal { mean, deviation } => -((x - mean) / deviation).powi(2) / 2.0,
        }
    }

    fn support(self) -> (f64, f64) {
        match self {
            Self::Beta { .. } => {
                let mode = self.mode();
                let is_nothing = |x: f64| self.ln_density(x) < LN_NOTHING;
                let low = super::special::bisect(0.0, mode, is_nothing);
                let high = super::special::bisect(mode, 1.0, |x| !is_nothing(x));
                (low, high)
            }
            Self::Normal { mean, deviation } => {
                let reach = (-2.0 * LN_NOTHING).sqrt() * deviation;
                (mean - reach, mean + reach)
            }
        }
    }
}

/// The distributions of several posteriors, at common nodes in ascending order.
pub(super) struct Grid {
    /// Weight of each node in an integral over x.
    pub weights: Vec<f64>,
    /// By posterior and node: density, P(below), P(above).
    pub densities: Vec<Vec<f64>>,
    pub below: Vec<Vec<f64>>,
    pub above: Vec<Vec<f64>>,
}

impl Grid {
    pub(super) fn of(posteriors: &[Posterior]) -> Self {
        let cuts = cuts(posteriors);
        let panels = || cuts.windows(2).map(|cut| ((cut[1] - cut[0]) / 2.0, f64::midpoint(cut[0], cut[1])));
        let weights = panels().flat_map(|(half, _)| RULE.weights.map(|weight| weight * half)).collect();
        let (mut densities, mut below, mut above) = (Vec::new(), Vec::new(), Vec::new());
        for posterior in posteriors {
            let (low, high) = posterior.support();
            let density = |x: f64| if (low..=high).contains(&x) { posterior.ln_density(x).exp() } else { 0.0 };
            let values: Vec<[f64; NODES]> = panels().map(|(half, middle)| RULE.nodes.map(|node| density(middle + half * node))).collect();
            let masses: Vec<f64> = panels().zip(&values).map(|((half, _), values)| half * dot(&RULE.weights, values)).collect();
            let total: f64 = masses.iter().sum();
            // A tail is summed from its own end, so that a small one keeps its digits.
            let mut left = 0.0;
            let mut right: Vec<f64> = masses.iter().rev().scan(0.0, |sum, mass| Some(std::mem::replace(sum, *sum + mass))).collect();
            right.reverse();
            let (mut lower, mut upper) = (Vec::new(), Vec::new());
            for (index, (half, _)) in panels().enumerate() {
                for place in 0..NODES {
                    let part = (half * dot(&RULE.partial[place], &values[index])).clamp(0.0, masses[index]);
                    let rest = (half * dot(&RULE.partial[NODES - 1 - place], &reversed(&values[index]))).clamp(0.0, masses[index]);
                    lower.push(((left + part) / total).min(1.0));
                    upper.push(((right[index] + rest) / total).min(1.0));
                }
                left += masses[index];
            }
            densities.push(values.iter().flatten().map(|value| value / total).collect());
            below.push(lower);
            above.push(upper);
        }
        Self { weights, densities, below, above }
    }

    /// The integral over x of a function of the node's number.
    pub(super) fn integral(&self, value: impl Fn(usize) -> f64) -> f64 {
        self.weights.iter().enumerate().map(|(node, weight)| weight * value(node)).sum()
    }
}

/// Ascending, without those that are the same to the last digits.
fn cuts(posteriors: &[Posterior]) -> Vec<f64> {
    let of_one = |posterior: &Posterior| {
        let (low, high) = posterior.support();
        (0..=PANELS).map(move |cut| low + (high - low) * f64::from(cut) / f64::from(PANELS))
    };
    let mut cuts: Vec<f64> = posteriors.iter().flat_map(of_one).collect();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    cuts
}

fn dot(a: &[f64; NODES], b: &[f64; NODES]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn reversed(values: &[f64; NODES]) -> [f64; NODES] {
    array::from_fn(|place| values[NODES - 1 - place])
}
