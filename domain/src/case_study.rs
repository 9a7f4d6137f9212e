//! Case studies: a developer's way with a partner, written from the data by a template.
//!
//! [`draft`] turns facts into title, summary, story, figures and timeline; an operator edits the texts and publishes. Every figure names
//! the query that it came from, its period and its n. The developer appears as `Developer 1a2b3c4d` only. The same facts give the same
//! draft.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Money, PartnerId,
    export::{escape_html, escape_markdown},
};

/// Entries of the timeline: more would be a list nobody reads.
pub const TIMELINE_MAX: usize = 50;

/// What is known of a developer's way with a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// A keyed hash of the developer's id; its first four bytes make the anonymous name.
    pub developer_digest: [u8; 32],
    pub partner_id: PartnerId,
    pub partner_name: String,
    /// Both days included.
    pub from: NaiveDate,
    pub until: NaiveDate,
    /// The first click on one of the developer's links to the partner.
    pub first_click_at: Option<DateTime<Utc>>,
    /// Verified ones only, in any order.
    pub successes: Vec<FactSuccess>,
    /// Conversions per currency, after reversals, in any order.
    pub conversions: Vec<FactConversions>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactSuccess {
    pub metric_name: String,
    pub occurred_at: DateTime<Utc>,
    /// What the success was worth to the developer, if that is known.
    pub value: Option<Money>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactConversions {
    pub count: u64,
    pub total: Money,
}

/// A number with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    pub label: String,
    /// As it is to be read, with unit or currency.
    pub value: String,
    /// The query that it was taken from, in words that say table and condition.
    pub source: String,
    pub period: String,
    /// How many rows went into it.
    pub n: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub at: DateTime<Utc>,
    pub label: String,
}

/// What the template wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub title: String,
    pub summary: String,
    /// Paragraphs, separated by blank lines.
    pub story: String,
    pub figures: Vec<Figure>,
    /// Oldest first.
    pub timeline: Vec<TimelineEntry>,
}

/// A case study as it is shown: a draft whose texts may have been edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseStudy {
    pub developer_name: String,
    pub partner_name: String,
    #[serde(flatten)]
    pub draft: Draft,
}

/// `Developer 1a2b3c4d`.
pub fn anonymous_name(developer_digest: &[u8; 32]) -> String {
    format!("Developer {}", hex::encode(&developer_digest[..4]))
}

/// Writes a case study from facts. Nothing is in it that is not in them; the order of successes and conversions does not matter.
pub fn draft(facts: &Facts) -> Draft {
    let mut successes: Vec<_> = facts.successes.iter().collect();
    successes.sort_by(|a, b| {
        let money = |success: &FactSuccess| success.value.map(|value| (value.currency, value.amount_minor));
        a.occurred_at.cmp(&b.occurred_at).then_with(|| a.metric_name.cmp(&b.metric_name)).then_with(|| money(a).cmp(&money(b)))
    });
    let (name, partner) = (anonymous_name(&facts.developer_digest), &facts.partner_name);
    let period = format!("{} to {}", facts.from, facts.until);
    let milestones = count(successes.len() as u64, "verified milestone", "verified milestones");
    let days_to_first = facts.first_click_at.zip(successes.first()).and_then(|(click, first)| {
        let days = (first.occurred_at - click).num_days();
        (first.occurred_at >= click).then_some(days)
    });

    let mut figures = vec![Figure {
        label: "Verified successes".to_owned(),
        value: successes.len().to_string(),
        source: "success_events of the developer and the partner, state verified".to_owned(),
        period: period.clone(),
        n: successes.len() as u64,
    }];
    for (total, n) in success_values(&successes) {
        figures.push(Figure {
            label: format!("Value created ({})", total.currency),
            value: total.to_string(),
            source: "sum of value over success_events of the developer and the partner, state verified, value known".to_owned(),
            period: period.clone(),
            n,
        });
    }
    let mut conversions: Vec<_> = facts.conversions.iter().filter(|conversions| conversions.count > 0).collect();
    conversions.sort_by_key(|conversions| (conversions.total.currency, conversions.total.amount_minor, conversions.count));
    for conversions in &conversions {
        figures.push(Figure {
            label: format!("Value of conversions ({})", conversions.total.currency),
            value: conversions.total.to_string(),
            source: "sum of value less reversals over conversions attributed to the developer's links to the partner".to_owned(),
            period: period.clone(),
            n: conversions.count,
        });
    }
    if let Some(days) = days_to_first {
        figures.push(Figure {
            label: "Time to first success".to_owned(),
            value: count_days(days),
            source: "first verified success_event less first click on a link of the developer to the partner".to_owned(),
            period: period.clone(),
            n: 1,
        });
    }

    Draft {
        title: format!("{name} and {partner}: {milestones}"),
        summary: format!(
            "Between {} and {}, {name} reached {milestones} with {partner}.{}",
            facts.from,
            facts.until,
            first_sentence(days_to_first)
        ),
        story: story(facts, &name, &successes, &conversions, days_to_first),
        figures,
        timeline: timeline(facts, &successes),
    }
}

fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

fn count_days(days: i64) -> String {
    match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn first_sentence(days_to_first: Option<i64>) -> String {
    days_to_first.map(|days| format!(" The first came {} after the first click.", count_days(days))).unwrap_or_default()
}

/// Known values per currency, and how many there are; a sum that does not fit is left out.
fn success_values(successes: &[&FactSuccess]) -> Vec<(Money, u64)> {
    let mut sums: BTreeMap<_, (i128, u64)> = BTreeMap::new();
    for value in successes.iter().filter_map(|success| success.value) {
        let (sum, n) = sums.entry(value.currency).or_default();
        *sum += i128::from(value.amount_minor);
        *n += 1;
    }
    sums.into_iter().filter_map(|(currency, (sum, n))| Some((Money::new(i64::try_from(sum).ok()?, currency), n))).collect()
}

/// Paragraphs: how it began, what was reached, what it was worth. Those without facts are left out.
fn story(facts: &Facts, name: &str, successes: &[&FactSuccess], conversions: &[&FactConversions], days_to_first: Option<i64>) -> String {
    let partner = &facts.partner_name;
    let mut paragraphs = Vec::new();
    paragraphs.push(match (facts.first_click_at, days_to_first) {
        (Some(click), Some(days)) => format!(
            "{name} first followed a link to {partner} on {}. The first verified success came {} later.",
            click.date_naive(),
            count_days(days)
        ),
        (Some(click), None) => format!("{name} first followed a link to {partner} on {}.", click.date_naive()),
        (None, _) => format!("This is what {name} reached with {partner} between {} and {}.", facts.from, facts.until),
    });

    if let (Some(first), Some(last)) = (successes.first(), successes.last()) {
        let mut metrics: Vec<(&str, u64)> = Vec::new();
        for success in successes {
            match metrics.iter_mut().find(|(metric, _)| *metric == success.metric_name) {
                Some((_, n)) => *n += 1,
                None => metrics.push((&success.metric_name, 1)),
            }
        }
        let named: Vec<_> =
            metrics.iter().map(|(metric, n)| if *n == 1 { (*metric).to_owned() } else { format!("{metric} ({n} times)") }).collect();
        let (first, last) = (first.occurred_at.date_naive(), last.occurred_at.date_naive());
        let span = if first == last { format!("on {first}") } else { format!("from {first} to {last}") };
        let was = if successes.len() == 1 { "was" } else { "were" };
        paragraphs.push(format!(
            "{} {was} recorded {span}: {}. Each was confirmed by the partner, by a signed message or by an operator, or needs no confirmation under the partner's terms.",
            count(successes.len() as u64, "success", "successes"),
            join(&named)
        ));
    } else {
        paragraphs.push("No verified success was recorded in this period.".to_owned());
    }

    let mut worth = Vec::new();
    for (total, n) in success_values(successes) {
        worth.push(format!("The successes whose value is known ({n} of {}) are worth {total} together.", successes.len()));
    }
    for conversions in conversions {
        let came = if conversions.count == 1 { "is" } else { "are" };
        worth.push(format!(
            "{} {came} attributed to the developer's links, worth {} after refunds.",
            count(conversions.count, "conversion", "conversions"),
            conversions.total
        ));
    }
    if !worth.is_empty() {
        paragraphs.push(worth.join(" "));
    }
    paragraphs.join("\n\n")
}

/// `a, b and c`.
fn join(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [firsts @ .., last] => format!("{} and {last}", firsts.join(", ")),
    }
}

/// The first click and the successes, oldest first; the first click and the newest successes if there are too many.
fn timeline(facts: &Facts, successes: &[&FactSuccess]) -> Vec<TimelineEntry> {
    let click = facts.first_click_at.map(|at| TimelineEntry { at, label: format!("First click on a link to {}", facts.partner_name) });
    let entry = |success: &&FactSuccess| {
        let value = success.value.map(|value| format!(" ({value})")).unwrap_or_default();
        TimelineEntry { at: success.occurred_at, label: format!("{}{value}", success.metric_name) }
    };
    let left_out = (successes.len() + usize::from(click.is_some())).saturating_sub(TIMELINE_MAX);
    let mut timeline: Vec<_> = click.into_iter().chain(successes.iter().skip(left_out).map(entry)).collect();
    timeline.sort_by_key(|entry| entry.at);
    timeline
}

fn paragraphs(story: &str) -> impl Iterator<Item = &str> {
    story.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty())
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// The case study as Markdown. Texts are taken as plain text: markup in them is escaped.
pub fn to_markdown(case_study: &CaseStudy) -> String {
    let CaseStudy { developer_name, partner_name, draft } = case_study;
    let mut text = format!("# {}\n\n", escape_markdown(&draft.title));
    text.push_str(&format!("{} with {}\n\n", escape_markdown(developer_name), escape_markdown(partner_name)));
    text.push_str(&format!("{}\n\n## Story\n\n", escape_markdown(&draft.summary)));
    for paragraph in paragraphs(&draft.story) {
        text.push_str(&format!("{}\n\n", escape_markdown(paragraph)));
    }
    text.push_str("## Timeline\n\n");
    for entry in &draft.timeline {
        text.push_str(&format!("- {}: {}\n", moment(entry.at), escape_markdown(&entry.label)));
    }
    text.push_str("\n## Figures\n\n| Figure | Value | Source | Period | n |\n|---|---|---|---|---|\n");
    for figure in &draft.figures {
        let cells = [&figure.label, &figure.value, &figure.source, &figure.period].map(|cell| escape_markdown(cell));
        text.push_str(&format!("| {} | {} |\n", cells.join(" | "), figure.n));
    }
    text
}

/// The case study as a complete HTML document that prints on A4. Texts are escaped.
pub fn to_html(case_study: &CaseStudy) -> String {
    let CaseStudy { developer_name, partner_name, draft } = case_study;
    let (title, summary) = (escape_html(&draft.title), escape_html(&draft.summary));
    let story: String = paragraphs(&draft.story).map(|paragraph| format!("<p>{}</p>\n", escape_html(paragraph))).collect();
    let timeline: String = draft
        .timeline
        .iter()
        .map(|entry| {
            format!("<li><time datetime=\"{}\">{}</time>: {}</li>\n", entry.at.to_rfc3339(), moment(entry.at), escape_html(&entry.label))
        })
        .collect();
    let figures: String = draft
        .figures
        .iter()
        .map(|figure| {
            let [label, value, source, period] =
                [&figure.label, &figure.value, &figure.source, &figure.period].map(|cell| escape_html(cell));
            let n = figure.n;
            format!("<tr><th scope=\"row\">{label}</th><td>{value}</td><td>{source}</td><td>{period}</td><td>{n}</td></tr>\n")
        })
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<p>{} with {}</p>\n<p class=\"summary\">{summary}</p>\n<h2>Story</h2>\n{story}\
         <h2>Timeline</h2>\n<ol>\n{timeline}</ol>\n\
         <h2>Figures</h2>\n<table>\n<thead><tr><th scope=\"col\">Figure</th><th scope=\"col\">Value</th><th scope=\"col\">Source</th><th scope=\"col\">Period</th><th scope=\"col\">n</th></tr></thead>\n<tbody>\n{figures}</tbody>\n</table>\n\
         </body>\n</html>\n",
        escape_html(developer_name),
        escape_html(partner_name),
    )
}

const CSS: &str = "@page { size: A4; margin: 20mm; } body { font: 11pt/1.5 system-ui, sans-serif; color: #111; max-inline-size: 46em; margin-inline: auto; } \
.summary { font-weight: bold; } table { inline-size: 100%; border-collapse: collapse; font-size: 9pt; } \
th, td { text-align: start; vertical-align: top; padding: 1mm 2mm; border-block-end: 0.2mm solid #bbb; } tr, li { break-inside: avoid; }";

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::Currency;
    use chrono::TimeZone;
    use proptest::prelude::*;

    fn at(day: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 10, day, 12, 0, 0).unwrap()
    }

    fn success(day: u32, metric: &str, value_minor: Option<i64>) -> FactSuccess {
        FactSuccess {
            metric_name: metric.to_owned(),
            occurred_at: at(day),
            value: value_minor.map(|minor| Money::new(minor, Currency::USD)),
        }
    }

    fn facts() -> Facts {
        let mut developer_digest = [0; 32];
        developer_digest[..4].copy_from_slice(&[0x1a, 0x2b, 0x3c, 0x4d]);
        Facts {
            developer_digest,
            partner_id: "supabase".parse().unwrap(),
            partner_name: "Supabase".to_owned(),
            from: "2026-08-24".parse().unwrap(),
            until: "2026-11-22".parse().unwrap(),
            first_click_at: Some(at(1)),
            successes: vec![
                success(20, "Production Deployment", Some(150_000)),
                success(3, "Project Created", None),
                success(5, "First Database Table Created", Some(2_500)),
            ],
            conversions: vec![FactConversions { count: 2, total: Money::new(9800, Currency::USD) }],
        }
    }

    fn case_study(facts: &Facts) -> CaseStudy {
        CaseStudy { developer_name: anonymous_name(&facts.developer_digest), partner_name: facts.partner_name.clone(), draft: draft(facts) }
    }

    #[test]
    fn the_draft_tells_what_the_facts_say() {
        let draft = draft(&facts());
        assert_eq!(draft.title, "Developer 1a2b3c4d and Supabase: 3 verified milestones");
        assert_eq!(
            draft.summary,
            "Between 2026-08-24 and 2026-11-22, Developer 1a2b3c4d reached 3 verified milestones with Supabase. The first came 2 days after the first click."
        );
        let paragraphs: Vec<_> = draft.story.split("\n\n").collect();
        assert_eq!(
            paragraphs[0],
            "Developer 1a2b3c4d first followed a link to Supabase on 2026-10-01. The first verified success came 2 days later."
        );
        assert!(paragraphs[1].starts_with(
            "3 successes were recorded from 2026-10-03 to 2026-10-20: Project Created, First Database Table Created and Production Deployment."
        ));
        assert_eq!(
            paragraphs[2],
            "The successes whose value is known (2 of 3) are worth $1,525.00 together. 2 conversions are attributed to the developer's links, worth $98.00 after refunds."
        );
        assert_eq!(draft.timeline.iter().map(|entry| entry.at).collect::<Vec<_>>(), [at(1), at(3), at(5), at(20)]);
    }

    #[test]
    fn every_figure_names_its_query_period_and_n() {
        let draft = draft(&facts());
        let read: Vec<_> = draft.figures.iter().map(|figure| (figure.label.as_str(), figure.value.as_str(), figure.n)).collect();
        assert_eq!(
            read,
            [
                ("Verified successes", "3", 3),
                ("Value created (USD)", "$1,525.00", 2),
                ("Value of conversions (USD)", "$98.00", 2),
                ("Time to first success", "2 days", 1)
            ]
        );
        assert!(draft.figures.iter().all(|figure| !figure.source.is_empty() && figure.period == "2026-08-24 to 2026-11-22"));
    }

    #[test]
    fn currencies_are_never_added_up() {
        let euro = Money::new(100, "EUR".parse().unwrap());
        let mut facts = facts();
        facts.successes.push(FactSuccess { value: Some(euro), ..success(6, "Project Created", None) });
        let values: Vec<_> = draft(&facts)
            .figures
            .into_iter()
            .filter(|figure| figure.label.starts_with("Value created"))
            .map(|figure| figure.value)
            .collect();
        assert_eq!(values, ["€1.00", "$1,525.00"]);
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let bare = Facts { first_click_at: None, successes: vec![success(3, "Project Created", None)], conversions: vec![], ..facts() };
        let draft = draft(&bare);
        assert_eq!(draft.title, "Developer 1a2b3c4d and Supabase: 1 verified milestone");
        assert!(draft.story.contains("1 success was recorded on 2026-10-03: Project Created."));
        assert!(!draft.story.contains("worth") && !draft.summary.contains("click"));
        assert_eq!((draft.figures.len(), draft.timeline.len()), (1, 1));
        let late_click = Facts { first_click_at: Some(at(30)), ..facts() };
        assert!(!super::draft(&late_click).figures.iter().any(|figure| figure.label == "Time to first success"));
        let none = Facts { successes: vec![], conversions: vec![], ..facts() };
        assert!(super::draft(&none).story.contains("No verified success"));
    }

    #[test]
    fn a_value_that_does_not_fit_is_left_out() {
        let huge = Facts { successes: vec![success(3, "A", Some(i64::MAX)), success(4, "A", Some(i64::MAX))], ..facts() };
        assert!(!draft(&huge).figures.iter().any(|figure| figure.label.starts_with("Value created")));
        assert!(draft(&huge).story.contains("A (2 times)"));
    }

    #[test]
    fn a_long_timeline_keeps_the_first_click_and_the_newest() {
        let many = Facts { successes: (0..200).map(|index| success(2 + index % 28, &format!("m{index}"), None)).collect(), ..facts() };
        let timeline = draft(&many).timeline;
        assert_eq!((timeline.len(), timeline[0].at, timeline[TIMELINE_MAX - 1].at), (TIMELINE_MAX, at(1), at(29)));
    }

    #[test]
    fn the_exports_are_complete_and_escaped() {
        let mut study = case_study(&facts());
        study.draft.title = "<script>alert(1)</script> | *bold*".to_owned();
        study.draft.timeline[0].label = "a\n# b".to_owned();
        let html = to_html(&study);
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        assert!(!html.contains("<script>"));
        assert_eq!((html.matches("<li>").count(), html.matches("<tr>").count(), html.matches("<p>").count()), (4, 5, 4));
        assert!(html.contains("<td>2026-08-24 to 2026-11-22</td><td>2</td>"));
        let markdown = to_markdown(&study);
        assert!(markdown.starts_with("# \\<script\\>alert(1)\\</script\\> \\| \\*bold\\*\n"));
        assert!(markdown.contains("- 2026-10-01 12:00 UTC: a \\# b\n") && markdown.contains("| Verified successes | 3 |"));
    }

    #[test]
    fn a_case_study_survives_json() {
        let study = case_study(&facts());
        assert_eq!(serde_json::from_str::<CaseStudy>(&serde_json::to_string(&study).unwrap()).unwrap(), study);
    }

    proptest! {
        #[test]
        fn any_order_of_facts_makes_the_same_draft(rows in proptest::collection::vec((1_u32..=31, "[a-c]", proptest::option::of(0_i64..100_000)), 0..10)) {
            let mut facts = Facts { successes: rows.iter().map(|(day, metric, value)| success(*day, metric, *value)).collect(), ..facts() };
            let forward = draft(&facts);
            facts.successes.reverse();
            facts.conversions.reverse();
            prop_assert_eq!(forward, draft(&facts));
        }

        #[test]
        fn no_text_adds_markup(text in "\\PC{0,40}") {
            let study = case_study(&Facts { partner_name: text, ..facts() });
            prop_assert_eq!(to_html(&study).matches('<').count(), to_html(&case_study(&facts())).matches('<').count());
            let rows = |study: &CaseStudy| to_markdown(study).lines().count();
            prop_assert_eq!(rows(&study), rows(&case_study(&facts())));
        }
    }
}
