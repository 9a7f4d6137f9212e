//! What the charts of one line over time have in common: axes, area, and what shows under the pointer.

use charts_rs::{Box, LineChart, Series, YAxisConfig};

use super::{ACCENT, LINE, NONE, TEXT, escape, font};

/// In the drawing's own units, as are the heights; the page scales it.
pub(super) const WIDE: f32 = 720.0;
/// About as many as a phone has pixels, so that labels keep their size there.
pub(super) const NARROW: f32 = 360.0;
const FONT_SIZE: f32 = 12.0;
/// The labels of the days stand below.
const UNDER_THE_LINE: f32 = 28.0;
/// So close to an edge a text under the pointer would be cut off if it stood in the middle.
const EDGE: f32 = 200.0;

/// A filled line from 0, or from the lowest point below it, up to `max`, or to the highest point.
pub(super) fn line_chart(name: &str, labels: Vec<String>, points: Vec<f32>, (width, height): (f32, f32), max: Option<f32>) -> LineChart {
    // Left to the library, the axis of points below 0 has 0 among its labels.
    let min = points.iter().all(|point| *point >= 0.0).then_some(0.0);
    let mut chart = LineChart::new(vec![Series::new(name.to_owned(), points)], labels);
    (chart.height, chart.width) = (height, width);
    chart.margin = Box { left: 8.0, top: 22.0, right: 4.0, bottom: 0.0 };
    chart.background_color = NONE;
    chart.font_family = "inherit".to_owned();
    chart.legend.show = Some(false);
    chart.grid.stroke_color = LINE;
    chart.x_axis.stroke_color = LINE;
    chart.x_axis.font = font(FONT_SIZE, TEXT);
    chart.x_axis.boundary_gap = Some(false);
    chart.y_axis_configs = vec![YAxisConfig {
        font: font(FONT_SIZE, TEXT),
        stroke_color: NONE,
        split_number: 4,
        name_gap: 8.0,
        min,
        max,
        formatter: Some("{t}".to_owned()),
        ..YAxisConfig::default()
    }];
    chart.series.colors = vec![ACCENT];
    chart.series.stroke_width = 2.0;
    chart.series.smooth = false;
    chart.series.fill = true;
    chart.series.fill_opacity = Some(0.14);
    chart.series.symbol = None;
    chart
}

/// For each point of the line a column that shows its text while the pointer is on it, and where the point is. A point without a text
/// has no column.
pub(super) fn columns(svg: &str, (width, height): (f32, f32), texts: impl Iterator<Item = Option<String>>) -> Vec<(f32, f32, String)> {
    let places = line_points(svg);
    let step = places.get(1).map_or(width, |(second, _)| second - places[0].0);
    let bottom = height - UNDER_THE_LINE;
    let edge = EDGE.min(width / 2.0);
    let column = |((x, y), text): ((f32, f32), Option<String>)| {
        let anchor = if x < edge {
            "start"
        } else if x > width - edge {
            "end"
        } else {
            "middle"
        };
        let (left, text) = (x - step / 2.0, escape(&text?));
        let column = format!(
            r#"<g class="chart__point"><rect x="{left:.1}" y="0" width="{step:.1}" height="{bottom}"/><line x1="{x}" x2="{x}" y1="20" y2="{bottom}"/><circle cx="{x}" cy="{y}" r="4"/><text x="{x}" y="12" text-anchor="{anchor}">{text}</text></g>"#
        );
        Some((x, y, column))
    };
    places.into_iter().zip(texts).filter_map(column).collect()
}

/// Where the line's points are, read from its path.
fn line_points(svg: &str) -> Vec<(f32, f32)> {
    let line =
        svg.split("<path d=\"").find_map(|rest| rest.split_once('"').filter(|(_, attributes)| is_line(attributes)).map(|(path, _)| path));
    let numbers: Vec<f32> = line.unwrap_or_default().split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// The area's path is filled, the line's is not.
fn is_line(attributes: &str) -> bool {
    attributes.split('>').next().is_some_and(|attributes| attributes.contains("fill=\"none\""))
}
