//! How tests are spoken of: their states, kinds, metrics and payloads in words.

use domain::{
    experiment::{ExperimentKind, Metric, Payload, Reason, Status, UnitKind, WidgetLayout},
    partner::IntegrationKind,
};
use leptos::prelude::*;

use super::{Badge, Tone};

/// Where a test stands.
#[component]
pub fn StatusBadge(status: Status) -> impl IntoView {
    let tone = match status {
        Status::Draft | Status::Archived => Tone::Neutral,
        Status::Running => Tone::Good,
        Status::Paused => Tone::Warning,
        Status::Stopped => Tone::Accent,
    };
    view! { <Badge tone>{status.as_str()}</Badge> }
}

pub fn kind_word(kind: ExperimentKind) -> &'static str {
    match kind {
        ExperimentKind::Positioning => "Positioning",
        ExperimentKind::Cta => "Call to action",
        ExperimentKind::RankingWeight => "Ranking weight",
        ExperimentKind::IntegrationMethod => "Integration method",
        ExperimentKind::WidgetLayout => "Widget layout",
    }
}

/// What a test of the kind changes, as the end of a sentence.
pub fn kind_meaning(kind: ExperimentKind) -> &'static str {
    match kind {
        ExperimentKind::Positioning => "the sentence that an offer says to the developer",
        ExperimentKind::Cta => "the text on an offer's button",
        ExperimentKind::RankingWeight => "how much expected revenue decides the order of fit offers",
        ExperimentKind::IntegrationMethod => "which way leads to the partner",
        ExperimentKind::WidgetLayout => "how the widget is laid out",
    }
}

pub fn unit_word(unit: UnitKind) -> &'static str {
    match unit {
        UnitKind::Visitor => "visitors",
        UnitKind::Site => "sites",
    }
}

pub fn metric_word(metric: Metric) -> &'static str {
    match metric {
        Metric::ClickRate => "Click rate",
        Metric::ConversionRate => "Conversion rate",
        Metric::SuccessRate => "Success rate",
        Metric::ClicksPerUnit => "Clicks per unit",
        Metric::CommissionPerUnit => "Commission per unit",
    }
}

pub fn metric_meaning(metric: Metric) -> &'static str {
    match metric {
        Metric::ClickRate => "share of units with a counted click",
        Metric::ConversionRate => "share of units with an attributed conversion",
        Metric::SuccessRate => "share of units with a verified success",
        Metric::ClicksPerUnit => "counted clicks, divided by the units",
        Metric::CommissionPerUnit => "commission less reversals, divided by the units",
    }
}

pub fn method_word(method: IntegrationKind) -> &'static str {
    match method {
        IntegrationKind::DeepLink => "Deep link",
        IntegrationKind::ApiRedirect => "API redirect",
        IntegrationKind::EmbedWidget => "Embedded widget",
        IntegrationKind::SdkIntegration => "SDK",
    }
}

pub fn layout_name(layout: WidgetLayout) -> &'static str {
    match layout {
        WidgetLayout::Cards => "cards",
        WidgetLayout::Compact => "compact",
    }
}

/// What somebody sees who gets the variant.
pub fn payload_words(payload: &Payload) -> String {
    match payload {
        Payload::Unchanged => "as without a test".to_owned(),
        Payload::Positioning { text } | Payload::Cta { text } => format!("“{text}”"),
        Payload::RankingWeight { revenue_weight } => format!("revenue weight {revenue_weight}"),
        Payload::IntegrationMethod { method } => method_word(*method).to_owned(),
        Payload::WidgetLayout { layout } => format!("{} layout", layout_name(*layout)),
    }
}

/// Why a unit got what it got, in a word.
pub fn reason_word(reason: Reason) -> (Tone, &'static str) {
    match reason {
        Reason::NotRunning => (Tone::Neutral, "not running"),
        Reason::BeforeStart => (Tone::Neutral, "not begun"),
        Reason::Ended => (Tone::Neutral, "ended"),
        Reason::Paused => (Tone::Warning, "paused"),
        Reason::NoUnit => (Tone::Neutral, "no id"),
        Reason::NotEligible => (Tone::Neutral, "not eligible"),
        Reason::Holdout => (Tone::Accent, "held out"),
        Reason::Excluded => (Tone::Neutral, "excluded"),
        Reason::NotInTraffic => (Tone::Neutral, "not in traffic"),
        Reason::Assigned => (Tone::Good, "assigned"),
    }
}

/// A share such as `0.125` as `12.5`, to at most four digits after the point.
pub fn percent_text(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share as `12.5 %`.
pub fn share_words(share: f64) -> String {
    format!("{} %", percent_text(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_without_needless_digits() {
        assert_eq!([0.5, 0.125, 1.0, 0.0, 1.0 / 3.0, 0.07].map(percent_text), ["50", "12.5", "100", "0", "33.3333", "7"]);
        assert_eq!(share_words(0.02), "2 %");
    }
}
