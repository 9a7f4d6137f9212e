//! From impression to success.

use std::fmt::Write;

use charts_rs::{Box, HorizontalBarChart, Series, YAxisConfig};
use domain::{
    dashboard::{Counts, Ratio},
    money::group_thousands,
};

use super::{ACCENT, LINE, NONE, TEXT, attribute, font, themed};
use crate::components::percent;

/// A bar per step with its count and its share of the step before; `None` if nothing happened.
///
/// The bars' lengths are logarithmic: of a million impressions a thousand may convert, and both should be seen.
pub fn funnel(counts: &Counts) -> Option<String> {
    let steps = [
        ("Impressions", counts.impressions),
        ("Clicks", counts.clicks),
        ("Conversions", counts.conversions_attributed()),
        ("Successes", counts.successes),
    ];
    if steps.iter().all(|(_, count)| *count == 0) {
        return None;
    }
    // The library's first category is the lowest one.
    let lengths = steps.iter().rev().map(|(_, count)| length(*count)).collect::<Vec<f32>>();
    let labels = steps.iter().rev().map(|(name, _)| (*name).to_owned()).collect();
    let longest = lengths.iter().copied().fold(0.0, f32::max);
    let mut chart = HorizontalBarChart::new(vec![Series::new("Funnel".to_owned(), lengths)], labels);
    chart.width = 420.0;
    chart.height = 240.0;
    chart.margin = Box { left: 0.0, top: 0.0, right: 104.0, bottom: 0.0 };
    chart.background_color = NONE;
    chart.font_family = "inherit".to_owned();
    chart.legend.show = Some(false);
    chart.grid.stroke_color = NONE;
    chart.x_axis.hidden = true;
    chart.x_axis.stroke_color = LINE;
    chart.x_axis.font = font(12.0, TEXT);
    chart.y_axis_configs = vec![YAxisConfig { min: Some(0.0), max: Some(longest), ..YAxisConfig::default() }];
    chart.series.colors = vec![ACCENT];
    let svg = chart.svg().ok()?;
    let figures = steps.map(|(name, count)| format!("{name}: {count}")).join(", ");
    Some(themed(&svg, &format!("Funnel from impression to success. {figures}"), &overlay(&svg, &steps)))
}

/// A length on the paper: 0 for none, and one more step for each tenfold.
#[expect(clippy::cast_precision_loss, reason = "a length on the paper")]
fn length(count: i64) -> f32 {
    (count.max(0) as f32 + 1.0).log10()
}

/// The counts at the ends of the bars, read from where the bars are.
fn overlay(svg: &str, steps: &[(&str, i64)]) -> String {
    let mut overlay = String::new();
    let bars = svg.split("<rect ").skip(1).filter(|bar| bar.split('>').next().is_some_and(|bar| bar.contains("fill=\"#010101\"")));
    for (index, bar) in (0..steps.len()).rev().zip(bars) {
        let count = steps[index].1;
        let before = index.checked_sub(1).map(|before| steps[before].1);
        let number = |name: &str| attribute(bar, name).and_then(|number| number.parse::<f32>().ok()).unwrap_or_default();
        let (x, y) = (number("x") + number("width") + 8.0, number("y") + number("height") / 2.0);
        let share = before.map(|before| percent(Ratio { part: count, whole: before })).unwrap_or_default();
        let count = group_thousands(&count.max(0).to_string());
        let _ = write!(
            overlay,
            r#"<text class="chart__figure" x="{x:.1}" y="{:.1}">{count}</text><text class="chart__share" x="{x:.1}" y="{:.1}">{share}</text>"#,
            y + if share.is_empty() { 4.0 } else { -2.0 },
            y + 14.0,
        );
    }
    overlay
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn nothing_shown_draws_nothing() {
        assert_eq!(funnel(&Counts::default()), None);
    }

    #[test]
    fn a_funnel_tells_its_figures_in_words_and_beside_its_bars() {
        let counts =
            Counts { impressions: 1200, clicks: 96, conversions: 12, conversions_unattributed: 2, successes: 4, clicks_uncounted: 7 };
        let svg = funnel(&counts).unwrap();
        assert!(svg.contains("Impressions: 1200, Clicks: 96, Conversions: 10, Successes: 4"), "{svg}");
        assert!(svg.contains(">1,200</text>") && svg.contains(">8.00 %</text>") && svg.contains(">10.4 %</text>"), "{svg}");
        assert!(!svg.contains('#'), "{svg}");
    }
}
