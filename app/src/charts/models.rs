//! Attribution models side by side.

use std::fmt::Write;

use charts_rs::{Box, Color, HorizontalBarChart, Series, YAxisConfig};

use super::{LINE, NONE, SERIES, TEXT, attribute, font, themed};

/// The models that are drawn, in the order of their bars.
pub const MODELS_SHOWN: [&str; 4] = ["First click", "Last click", "Markov", "Shapley"];

/// A band of four bars per channel, in the drawing's own units.
const BAND_HEIGHT: f32 = 72.0;
const NAME_LETTERS_MAX: usize = 18;

/// Each channel with its share, 0 to 1, under each of [`MODELS_SHOWN`]; `None` if there is nothing to compare.
pub fn models(channels: &[(String, [f64; 4])]) -> Option<String> {
    let longest = channels.iter().flat_map(|(_, shares)| *shares).fold(0.0, f64::max);
    if longest <= 0.0 {
        return None;
    }
    // The library's first category is the lowest one.
    let names = channels.iter().rev().map(|(name, _)| shortened(name)).collect();
    let series = MODELS_SHOWN.iter().enumerate().map(|(model, name)| {
        let lengths = channels.iter().rev().map(|(_, shares)| length(shares[model])).collect();
        Series::new((*name).to_owned(), lengths)
    });
    let mut chart = HorizontalBarChart::new(series.collect(), names);
    chart.width = 520.0;
    chart.height = channels.iter().map(|_| BAND_HEIGHT).sum();
    chart.margin = Box { left: 0.0, top: 0.0, right: 56.0, bottom: 0.0 };
    chart.background_color = NONE;
    chart.font_family = "inherit".to_owned();
    chart.legend.show = Some(false);
    chart.grid.stroke_color = NONE;
    chart.x_axis.hidden = true;
    chart.x_axis.stroke_color = LINE;
    chart.x_axis.font = font(13.0, TEXT);
    chart.y_axis_configs = vec![YAxisConfig { min: Some(0.0), max: Some(length(longest)), ..YAxisConfig::default() }];
    chart.series.colors = SERIES.to_vec();
    let svg = chart.svg().ok()?;
    let words = channels.iter().map(|(name, shares)| {
        let each = MODELS_SHOWN.iter().zip(shares).map(|(model, share)| format!("{model} {}", percent(*share)));
        format!("{name}: {}", each.collect::<Vec<_>>().join(", "))
    });
    let label = format!("Shares under four models. {}", words.collect::<Vec<_>>().join("; "));
    Some(themed(&svg, &label, &overlay(&svg, channels)))
}

/// A length on the paper, in percent: nothing is computed from it.
#[expect(clippy::cast_possible_truncation, reason = "a length on the paper")]
fn length(share: f64) -> f32 {
    (share * 100.0) as f32
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_LETTERS_MAX {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME_LETTERS_MAX - 1).collect();
    format!("{}…", start.trim_end())
}

/// The shares at the ends of the bars, read from where the bars are.
fn overlay(svg: &str, channels: &[(String, [f64; 4])]) -> String {
    let mut overlay = String::new();
    for (model, colour) in SERIES.iter().enumerate() {
        let Color { r, g, b, .. } = colour;
        let fill = format!("fill=\"#{r:02x}{g:02x}{b:02x}\"");
        let bars =
            svg.split("<rect ").skip(1).filter(|bar| bar.split('>').next().is_some_and(|bar| bar.to_ascii_lowercase().contains(&fill)));
        for ((_, shares), bar) in channels.iter().rev().zip(bars) {
            let number = |name: &str| attribute(bar, name).and_then(|number| number.parse::<f32>().ok()).unwrap_or_default();
            let (x, y) = (number("x") + number("width") + 6.0, number("y") + number("height") / 2.0 + 4.0);
            let _ = write!(overlay, r#"<text class="chart__share" x="{x:.1}" y="{y:.1}">{}</text>"#, percent(shares[model]));
        }
    }
    overlay
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_compare_draws_nothing() {
        assert_eq!(models(&[]), None);
        assert_eq!(models(&[("Acme".to_owned(), [0.0; 4])]), None);
    }

    #[test]
    fn every_bar_tells_its_share_in_words_and_at_its_end() {
        let channels = [("Acme & a very long name".to_owned(), [0.75, 0.5, 0.6, 0.55]), ("Brio".to_owned(), [0.25, 0.5, 0.4, 0.0])];
        let svg = models(&channels).unwrap();
        assert!(svg.contains("Acme &amp; a very long name: First click 75.0 %, Last click 50.0 %, Markov 60.0 %"), "{svg}");
        assert_eq!(svg.matches("chart__share").count(), 8, "{svg}");
        assert!(svg.contains("var(--series-1)") && svg.contains("var(--series-4)") && !svg.contains('#'), "{svg}");
        assert_eq!(shortened("Acme & a very long name"), "Acme & a very lon…");
    }
}
