//! Charts, drawn on the server as SVG, so that the browser need not carry a drawing library.
//!
//! charts-rs writes fixed colours. Charts are therefore drawn in stand-in colours, and [`themed`] puts the style sheet's
//! custom properties in their place, so that one drawing fits dark and light. To add a chart: a file with a function that
//! takes figures and gives `None` when there is nothing to draw, ending in [`themed`].

mod experiment;
mod funnel;
mod line;
mod models;
mod plot;
mod revenue;
mod timeline;

use charts_rs::{Color, FontConfig};

pub use experiment::{conversions, exposures, lift, weights};
pub use funnel::funnel;
pub use models::{MODELS_SHOWN, models};
pub use revenue::revenue;
pub use timeline::timeline;

/// Stands for the accent colour.
const ACCENT: Color = Color { r: 1, g: 1, b: 1, a: 255 };
/// Stands for the colour of secondary text.
const TEXT: Color = Color { r: 2, g: 2, b: 2, a: 255 };
/// Stands for the colour of grid lines.
const LINE: Color = Color { r: 3, g: 3, b: 3, a: 255 };
/// Stand for the colours of series that are compared.
const SERIES: [Color; 4] = [
    Color { r: 4, g: 4, b: 4, a: 255 },
    Color { r: 5, g: 5, b: 5, a: 255 },
    Color { r: 6, g: 6, b: 6, a: 255 },
    Color { r: 7, g: 7, b: 7, a: 255 },
];
const NONE: Color = Color { r: 0, g: 0, b: 0, a: 0 };

/// What each stand-in becomes, as charts-rs writes it.
const THEME: [(&str, &str); 7] = [
    ("#010101", "var(--chart-accent)"),
    ("#020202", "var(--text-2)"),
    ("#030303", "var(--chart-grid)"),
    ("#040404", "var(--series-1)"),
    ("#050505", "var(--series-2)"),
    ("#060606", "var(--series-3)"),
    ("#070707", "var(--series-4)"),
];

fn font(size: f32, color: Color) -> FontConfig {
    FontConfig { size, color, ..FontConfig::default() }
}

/// Puts the style sheet's colours into a drawing, lets it scale, names it for screen readers, and lays `overlay` over it.
fn themed(svg: &str, label: &str, overlay: &str) -> String {
    let body = svg.find("<svg").and_then(|start| svg[start..].find('>').map(|end| &svg[start + end + 1..])).unwrap_or(svg);
    let size = view_box(svg);
    let body = body.strip_suffix("</svg>").unwrap_or(body);
    let label = escape(label);
    // A <title> would pop up wherever the pointer rests.
    let svg = format!(
        r#"<svg class="chart__drawing" viewBox="{size}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">{body}{overlay}</svg>"#
    );
    THEME.iter().fold(svg, |svg, (stand_in, colour)| svg.replace(stand_in, colour))
}

/// The drawing's own `viewBox`, or one from its width and height.
fn view_box(svg: &str) -> String {
    let attribute = |name| attribute(svg, name).unwrap_or_default();
    match attribute("viewBox") {
        "" => format!("0 0 {} {}", attribute("width"), attribute("height")),
        given => given.to_owned(),
    }
}

/// The first value of an attribute.
fn attribute<'s>(svg: &'s str, name: &str) -> Option<&'s str> {
    let start = format!("{name}=\"");
    let found = svg.match_indices(start.as_str()).find(|(at, _)| *at == 0 || svg[..*at].ends_with(' '));
    found.and_then(|(at, _)| svg[at + start.len()..].split('"').next())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_takes_the_colours_of_the_page_and_scales() {
        let svg = themed(r##"<svg width="10" height="20" xmlns="x"><rect fill="#010101"/></svg>"##, "A & B < \"c\"", "<g/>");
        assert!(svg.starts_with(r#"<svg class="chart__drawing" viewBox="0 0 10 20""#), "{svg}");
        assert!(svg.contains(r#"aria-label="A &amp; B &lt; &quot;c&quot;""#), "{svg}");
        assert!(svg.ends_with(r#"<rect fill="var(--chart-accent)"/><g/></svg>"#), "{svg}");
    }
}
