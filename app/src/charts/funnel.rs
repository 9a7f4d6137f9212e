//! From impression to success.

use charts_rs::{Box, HorizontalBarChart, Series, YAxisConfig};
use domain::dashboard::Counts;

use super::{ACCENT, LINE, NONE, TEXT, font, themed};

/// A bar per step; `None` if nothing was shown to anybody.
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
    #[expect(clippy::cast_precision_loss, reason = "lengths on the paper")]
    let lengths = steps.iter().map(|(_, count)| *count as f32).collect::<Vec<f32>>();
    let labels = steps.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut chart = HorizontalBarChart::new(vec![Series::new("Funnel".to_owned(), lengths)], labels);
    chart.width = 420.0;
    chart.height = 260.0;
    chart.margin = Box { left: 0.0, top: 4.0, right: 48.0, bottom: 0.0 };
    chart.background_color = NONE;
    chart.font_family = "inherit".to_owned();
    chart.legend.show = Some(false);
    chart.grid.stroke_color = LINE;
    chart.x_axis.stroke_color = NONE;
    chart.x_axis.font = font(11.0, TEXT);
    chart.y_axis_configs = vec![YAxisConfig { font: font(12.0, TEXT), stroke_color: NONE, ..YAxisConfig::default() }];
    chart.series.colors = vec![ACCENT];
    chart.tooltip.show = true;
    let title = "Funnel from impression to success".to_owned();
    let description = steps.map(|(name, count)| format!("{name}: {count}")).join(", ");
    Some(themed(&chart.svg().ok()?, "funnel-chart", &title, &description))
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
    fn a_funnel_tells_its_figures_in_words() {
        let counts = Counts { impressions: 1200, clicks: 96, conversions: 12, conversions_unattributed: 2, successes: 4, clicks_uncounted: 7 };
        let svg = funnel(&counts).unwrap();
        assert!(svg.contains("Impressions: 1200, Clicks: 96, Conversions: 10, Successes: 4"), "{svg}");
    }
}
