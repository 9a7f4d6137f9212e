//! Charts, drawn on the server as SVG, so that the browser need not carry a drawing library.
//!
//! charts-rs writes fixed colours. Charts are therefore drawn in stand-in colours, and [`themed`] puts the style sheet's
//! custom properties in their place, so that one drawing fits dark and light. To add a chart: a file with a function that
//! takes figures and gives `None` when there is nothing to draw, ending in [`themed`].

mod funnel;
mod revenue;

use charts_rs::{Color, FontConfig};

pub use funnel::funnel;
pub use revenue::revenue;

/// Stands for the accent colour.
const ACCENT: Color = Color { r: 1, g: 1, b: 1, a: 255 };
/// Stands for the colour of secondary text.
const TEXT: Color = Color { r: 2, g: 2, b: 2, a: 255 };
/// Stands for the colour of grid lines.
const LINE: Color = Color { r: 3, g: 3, b: 3, a: 255 };
/// Stands for the colour of primary text.
const STRONG: Color = Color { r: 4, g: 4, b: 4, a: 255 };
const NONE: Color = Color { r: 0, g: 0, b: 0, a: 0 };

/// What each stand-in becomes, as charts-rs writes it.
const THEME: [(&str, &str); 4] =
    [("#010101", "var(--chart-accent)"), ("#020202", "var(--text-2)"), ("#030303", "var(--chart-grid)"), ("#040404", "var(--text-1)")];

fn font(size: f32, color: Color) -> FontConfig {
    FontConfig { size, color, ..FontConfig::default() }
}

/// Puts the style sheet's colours and the page's font into a drawing, lets it scale, and names it for screen readers.
fn themed(svg: &str, id: &str, title: &str, description: &str) -> String {
    let body = svg.find("<svg").and_then(|start| svg[start..].find('>').map(|end| &svg[start + end + 1..])).unwrap_or(svg);
    let size = view_box(svg);
    let (title, description) = (escape(title), escape(description));
    let head = format!(
        r#"<svg class="chart__drawing" viewBox="{size}" role="img" aria-labelledby="{id}-title {id}-description" xmlns="http://www.w3.org/2000/svg"><title id="{id}-title">{title}</title><desc id="{id}-description">{description}</desc>"#
    );
    THEME.iter().fold(head + body, |svg, (stand_in, colour)| svg.replace(stand_in, colour))
}

/// The drawing's own `viewBox`, or one from its width and height.
fn view_box(svg: &str) -> String {
    let attribute = |name: &str| {
        let start = svg.find(&format!(" {name}=\""))? + name.len() + 3;
        svg[start..].split('"').next().map(str::to_owned)
    };
    attribute("viewBox")
        .unwrap_or_else(|| format!("0 0 {} {}", attribute("width").unwrap_or_default(), attribute("height").unwrap_or_default()))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_takes_the_colours_of_the_page_and_scales() {
        let svg = themed(r##"<svg width="10" height="20" xmlns="x"><rect fill="#010101"/></svg>"##, "c", "A & B", "c < d");
        assert!(svg.starts_with(r#"<svg class="chart__drawing" viewBox="0 0 10 20""#), "{svg}");
        assert!(svg.contains("A &amp; B") && svg.contains("c &lt; d"), "{svg}");
        assert!(svg.ends_with(r#"<rect fill="var(--chart-accent)"/></svg>"#), "{svg}");
    }
}
