//! From what was typed to a design, with everything that is wrong with it; and back.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Timelike, Utc};
use domain::{
    Currency, SiteId,
    analysis::ProjectKind,
    experiment::{
        Bandit, Design, Eligibility, ExclusionGroup, ExperimentKind, Guardrail, InvalidDesign, Metric, Payload, Plan, UnitKind, Variant,
        WidgetLayout,
    },
    partner::IntegrationKind,
};

use super::form::{DesignForm, VariantForm};
use crate::components::{layout_name, percent_text};

/// Weights typed to a tenth or hundredth of a per cent may miss 100 by this much together.
const SUM_TOLERANCE: f64 = 0.1;

/// What is wrong, by field: paths as of [`Design::faults`], but guardrails by metric.
pub type Faults = BTreeMap<String, String>;

/// Reads a form. A number that is typed as `base` is written is the one of `base` to the last bit, so that an edit of a name changes nothing
/// else. Where something is wrong the design holds a stand-in, and the faults name it.
pub fn design(form: &DesignForm, base: Option<&Design>) -> (Design, Faults) {
    let mut reader = Reader { faults: Faults::new() };
    let kind = reader.one_of("kind", &form.kind, &ExperimentKind::ALL, ExperimentKind::as_str, "kind of test");
    let before = Plan::default();
    let plan = base.map_or(before, |base| base.plan);
    let design = Design {
        name: form.name.trim().to_owned(),
        hypothesis: form.hypothesis.replace("\r\n", "\n").trim().to_owned(),
        kind,
        unit: reader.one_of("unit", &form.unit, &UnitKind::ALL, UnitKind::as_str, "unit"),
        variants: reader.variants(form, kind, base),
        traffic_allocation: reader.share(
            "traffic_allocation",
            &form.traffic,
            base.map(|base| base.traffic_allocation),
            Bounds { low: 0.0, high: 100.0, is_open: true },
        ),
        primary_metric: reader.one_of("primary_metric", &form.primary_metric, &Metric::ALL, Metric::as_str, "metric"),
        guardrails: reader.guardrails(form, base),
        eligibility: reader.eligibility(form, kind),
        exclusion_group: reader.group(form, base),
        starts_at: reader.time("starts_at", &form.starts_at, base.and_then(|base| base.starts_at)),
        ends_at: reader.time("ends_at", &form.ends_at, base.and_then(|base| base.ends_at)),
        plan: Plan {
            alpha: reader.share("plan.alpha", &form.alpha, Some(plan.alpha), Bounds { low: 0.01, high: 20.0, is_open: false }),
            power: reader.share("plan.power", &form.power, Some(plan.power), Bounds { low: 50.0, high: 99.0, is_open: false }),
            minimum_detectable_lift: reader.share(
                "plan.minimum_detectable_lift",
                &form.lift,
                Some(plan.minimum_detectable_lift),
                Bounds { low: 0.1, high: 1_000.0, is_open: false },
            ),
            planned_units: reader.count("plan.planned_units", &form.planned_units),
        },
        bandit: reader.bandit(form, base),
        currency: reader.currency(&form.currency),
    };
    let metrics: Vec<Metric> = design.guardrails.iter().map(|guardrail| guardrail.metric).collect();
    for InvalidDesign { field, reason } in design.faults() {
        let field = by_metric(&field, &metrics).unwrap_or(field);
        // A stand-in is never at fault, and the first reason is the nearest.
        reader.faults.entry(field).or_insert(reason);
    }
    (design, reader.faults)
}

/// `guardrails.0.margin` as `guardrails.click_rate`.
fn by_metric(field: &str, metrics: &[Metric]) -> Option<String> {
    let index: usize = field.strip_prefix("guardrails.")?.split('.').next()?.parse().ok()?;
    metrics.get(index).map(|metric| format!("guardrails.{}", metric.as_str()))
}

/// In per cent.
#[derive(Clone, Copy)]
struct Bounds {
    low: f64,
    high: f64,
    /// The lower bound itself is too low.
    is_open: bool,
}

struct Reader {
    faults: Faults,
}

impl Reader {
    fn fault(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.faults.entry(field.into()).or_insert(reason.into());
    }

    fn one_of<T: Copy>(&mut self, field: &str, text: &str, all: &[T], name: fn(T) -> &'static str, what: &str) -> T {
        all.iter().copied().find(|value| name(*value) == text).unwrap_or_else(|| {
            self.fault(field, format!("`{text}` is no {what}"));
            all[0]
        })
    }

    /// A share that is typed in per cent.
    fn share(&mut self, field: &str, text: &str, base: Option<f64>, bounds: Bounds) -> f64 {
        let typed = text.trim().trim_end_matches('%').trim_end();
        if let Some(same) = base.filter(|base| percent_text(*base) == typed) {
            return same;
        }
        let Bounds { low, high, is_open } = bounds;
        let is_within = |number: f64| number <= high && if is_open { number > low } else { number >= low };
        match typed.replace(',', ".").parse::<f64>() {
            Ok(number) if is_within(number) => return number / 100.0,
            Ok(number) if number.is_finite() => {
                let from = if is_open { format!("above {low}") } else { format!("at least {low}") };
                self.fault(field, format!("`{typed}` must be {from} and at most {} %", percent_text(high / 100.0)));
            }
            _ if typed.is_empty() => self.fault(field, "must not be empty"),
            _ => self.fault(field, format!("`{typed}` is no number of per cent, such as 12.5")),
        }
        high / 100.0
    }

    /// A whole number, which may be typed with separators.
    fn count(&mut self, field: &str, text: &str) -> u64 {
        let digits: String = text.chars().filter(|letter| !letter.is_whitespace() && !matches!(letter, ',' | '\'' | '_')).collect();
        digits.parse().unwrap_or_else(|_| {
            self.fault(field, format!("`{}` is no whole number, such as 20000", text.trim()));
            Plan::default().planned_units
        })
    }

    fn time(&mut self, field: &str, text: &str, base: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let typed = text.trim();
        if typed.is_empty() {
            return None;
        }
        if let Some(base) = base.filter(|base| time_text(*base) == typed) {
            return Some(base);
        }
        let read = |form| NaiveDateTime::parse_from_str(typed, form).ok();
        let time = read("%Y-%m-%dT%H:%M").or_else(|| read("%Y-%m-%dT%H:%M:%S")).or_else(|| read("%Y-%m-%d %H:%M"));
        if time.is_none() {
            self.fault(field, format!("`{typed}` is no time such as 2026-11-23T09:00"));
        }
        time.map(|time| time.and_utc())
    }

    fn currency(&mut self, text: &str) -> Currency {
        text.trim().to_ascii_uppercase().parse().unwrap_or_else(|error: domain::money::UnknownCurrency| {
            self.fault("currency", error.to_string());
            Currency::USD
        })
    }

    fn variants(&mut self, form: &DesignForm, kind: ExperimentKind, base: Option<&Design>) -> Vec<Variant> {
        let old = base.map(|base| base.variants.as_slice()).unwrap_or_default();
        let is_same_weights = old.len() == form.variants.len()
            && old
                .iter()
                .zip(&form.variants)
                .all(|(old, new)| percent_text(old.weight) == new.weight.trim().trim_end_matches('%').trim_end());
        let mut variants: Vec<Variant> = Vec::new();
        let mut is_typed_well = true;
        for (index, typed) in form.variants.iter().enumerate() {
            let field = format!("variants.{index}.weight");
            let weight = self.share(&field, &typed.weight, None, Bounds { low: 0.0, high: 100.0, is_open: true });
            is_typed_well &= !self.faults.contains_key(&field);
            variants.push(Variant {
                key: typed.key.trim().to_owned(),
                name: typed.name.trim().to_owned(),
                weight,
                payload: self.payload(index, typed, kind, old.get(index)),
            });
        }
        if is_same_weights {
            variants.iter_mut().zip(old).for_each(|(variant, old)| variant.weight = old.weight);
        } else if is_typed_well {
            let sum: f64 = variants.iter().map(|variant| variant.weight * 100.0).sum();
            if (sum - 100.0).abs() > SUM_TOLERANCE {
                self.fault("variants", format!("the weights add up to {} %, not to 100 %", percent_text(sum / 100.0)));
            }
            even_out(&mut variants);
        } else {
            // Their sum says nothing as long as one of them cannot be read.
            even_out(&mut variants);
        }
        variants
    }

    fn payload(&mut self, index: usize, typed: &VariantForm, kind: ExperimentKind, old: Option<&Variant>) -> Payload {
        let field = format!("variants.{index}.payload");
        let text = typed.text.trim().to_owned();
        match kind {
            ExperimentKind::Positioning if !text.is_empty() => Payload::Positioning { text },
            ExperimentKind::Cta if !text.is_empty() => Payload::Cta { text },
            ExperimentKind::RankingWeight if !typed.revenue_weight.trim().is_empty() => {
                let text = typed.revenue_weight.trim().replace(',', ".");
                let same = old.and_then(|old| match old.payload {
                    Payload::RankingWeight { revenue_weight } if revenue_weight.to_string() == text => Some(revenue_weight),
                    _ => None,
                });
                let number = same.or_else(|| text.parse().ok().filter(|number| (0.0..=1.0).contains(number)));
                if number.is_none() {
                    self.fault(field, format!("`{text}` must be a number from 0 to 1, such as 0.3"));
                }
                // Each stand-in differs, so that none is told to show the same as another.
                Payload::RankingWeight { revenue_weight: number.unwrap_or(index as f64 / 1_000_000.0) }
            }
            ExperimentKind::IntegrationMethod if !typed.method.is_empty() => Payload::IntegrationMethod {
                method: self.one_of(&field, &typed.method, &IntegrationKind::ALL, IntegrationKind::as_str, "integration method"),
            },
            ExperimentKind::WidgetLayout if !typed.layout.is_empty() => Payload::WidgetLayout {
                layout: self.one_of(&field, &typed.layout, &[WidgetLayout::Cards, WidgetLayout::Compact], layout_name, "layout"),
            },
            _ => Payload::Unchanged,
        }
    }

    /// The primary metric is never a guardrail: what stands there is left out.
    fn guardrails(&mut self, form: &DesignForm, base: Option<&Design>) -> Vec<Guardrail> {
        let watched = Metric::ALL.into_iter().filter(|metric| metric.as_str() != form.primary_metric);
        let mut guardrails: Vec<Guardrail> = Vec::new();
        for metric in watched {
            let text = form.guardrails.get(metric.as_str()).map_or("", |text| text.trim());
            if !text.is_empty() {
                let old = base.and_then(|base| base.guardrails.iter().find(|old| old.metric == metric));
                let field = format!("guardrails.{}", metric.as_str());
                let margin = self.share(&field, text, old.map(|old| old.margin), Bounds { low: 0.0, high: 99.0, is_open: false });
                guardrails.push(Guardrail { metric, margin });
            }
        }
        // The order of a design means nothing; keeping it keeps an edit of the name from being one of the guardrails.
        if let Some(base) = base {
            let place = |guardrail: &Guardrail| base.guardrails.iter().position(|old| old.metric == guardrail.metric).unwrap_or(usize::MAX);
            guardrails.sort_by_key(place);
        }
        guardrails
    }

    fn eligibility(&mut self, form: &DesignForm, kind: ExperimentKind) -> Eligibility {
        let mut eligibility = Eligibility::default();
        // The boxes of partners are hidden for tests of the list as a whole.
        for id in form.partners.iter().filter(|_| kind.is_of_offers()) {
            match id.parse() {
                Ok(id) => _ = eligibility.partner_ids.insert(id),
                Err(error) => self.fault("eligibility.partner_ids", error.to_string()),
            }
        }
        let typed = form.other_sites.split(|letter: char| letter.is_whitespace() || letter == ',').filter(|id| !id.is_empty());
        for id in form.sites.iter().map(String::as_str).chain(typed) {
            match id.parse::<SiteId>() {
                Ok(id) => _ = eligibility.site_ids.insert(id),
                Err(_) => self.fault("eligibility.site_ids", format!("`{id}` is no id of a site")),
            }
        }
        for id in &form.segments {
            match ProjectKind::ALL.into_iter().find(|kind| kind.id() == id) {
                Some(kind) => _ = eligibility.segments.insert(kind),
                None => self.fault("eligibility.segments", format!("`{id}` is no kind of project")),
            }
        }
        eligibility
    }

    fn group(&mut self, form: &DesignForm, base: Option<&Design>) -> Option<ExclusionGroup> {
        let name = form.group_name.trim();
        if name.is_empty() {
            if !form.group_from.trim().is_empty() || !form.group_to.trim().is_empty() {
                self.fault("exclusion_group.name", "a part belongs to a group: name it, or empty the part");
            }
            return None;
        }
        let old = base.and_then(|base| base.exclusion_group.as_ref());
        let bounds = Bounds { low: 0.0, high: 100.0, is_open: false };
        let start = self.share("exclusion_group.start", &form.group_from, old.map(|old| old.start), bounds);
        let end = self.share("exclusion_group.end", &form.group_to, old.map(|old| old.end), bounds);
        if self.faults.contains_key("exclusion_group.start") || self.faults.contains_key("exclusion_group.end") {
            return Some(ExclusionGroup { name: name.to_owned(), start: 0.0, end: 1.0 });
        }
        if start >= end {
            self.fault("exclusion_group.end", "must be more than where the part begins");
            return Some(ExclusionGroup { name: name.to_owned(), start: 0.0, end: 1.0 });
        }
        Some(ExclusionGroup { name: name.to_owned(), start, end })
    }

    fn bandit(&mut self, form: &DesignForm, base: Option<&Design>) -> Option<Bandit> {
        if form.bandit.is_empty() {
            return None;
        }
        let old = base.and_then(|base| base.bandit).map(|bandit| bandit.floor);
        let high = 100.0 / form.variants.len().max(1) as f64;
        let floor = self.share("bandit.floor", &form.floor, old, Bounds { low: 0.1, high, is_open: false });
        Some(Bandit { floor })
    }
}

fn even_out(variants: &mut [Variant]) {
    let sum: f64 = variants.iter().map(|variant| variant.weight).sum();
    if sum > 0.0 {
        variants.iter_mut().for_each(|variant| variant.weight /= sum);
    }
}

/// As a field of date and time takes it; seconds only where there are some.
fn time_text(at: DateTime<Utc>) -> String {
    let form = if at.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    at.format(form).to_string()
}

/// The form of a new test: a control and one variant, everything else as most tests have it.
pub fn new_form(kind: &str) -> DesignForm {
    let kind = ExperimentKind::ALL.into_iter().find(|known| known.as_str() == kind).unwrap_or(ExperimentKind::Cta);
    let variant = |key: &str, name: &str| VariantForm { key: key.to_owned(), name: name.to_owned(), ..VariantForm::default() };
    let plan = Plan::default();
    let mut form = DesignForm {
        kind: kind.as_str().to_owned(),
        unit: UnitKind::default().as_str().to_owned(),
        variants: vec![variant("control", "Control"), variant("b", "Variant B")],
        traffic: "100".to_owned(),
        primary_metric: Metric::ClickRate.as_str().to_owned(),
        alpha: percent_text(plan.alpha),
        power: percent_text(plan.power),
        lift: percent_text(plan.minimum_detectable_lift),
        planned_units: plan.planned_units.to_string(),
        floor: "5".to_owned(),
        currency: Currency::USD.to_string(),
        ..DesignForm::default()
    };
    form.share_evenly();
    form
}

impl From<&Design> for DesignForm {
    fn from(design: &Design) -> Self {
        let group = design.exclusion_group.as_ref();
        Self {
            name: design.name.clone(),
            key: String::new(),
            hypothesis: design.hypothesis.clone(),
            kind: design.kind.as_str().to_owned(),
            unit: design.unit.as_str().to_owned(),
            variants: design.variants.iter().map(VariantForm::from).collect(),
            traffic: percent_text(design.traffic_allocation),
            primary_metric: design.primary_metric.as_str().to_owned(),
            guardrails: design.guardrails.iter().map(|rail| (rail.metric.as_str().to_owned(), percent_text(rail.margin))).collect(),
            partners: design.eligibility.partner_ids.iter().map(ToString::to_string).collect(),
            sites: design.eligibility.site_ids.iter().map(ToString::to_string).collect(),
            other_sites: String::new(),
            segments: design.eligibility.segments.iter().map(|kind| kind.id().to_owned()).collect(),
            group_name: group.map(|group| group.name.clone()).unwrap_or_default(),
            group_from: group.map(|group| percent_text(group.start)).unwrap_or_default(),
            group_to: group.map(|group| percent_text(group.end)).unwrap_or_default(),
            starts_at: design.starts_at.map(time_text).unwrap_or_default(),
            ends_at: design.ends_at.map(time_text).unwrap_or_default(),
            alpha: percent_text(design.plan.alpha),
            power: percent_text(design.plan.power),
            lift: percent_text(design.plan.minimum_detectable_lift),
            planned_units: design.plan.planned_units.to_string(),
            bandit: design.bandit.map(|_| "on".to_owned()).unwrap_or_default(),
            floor: design.bandit.map_or_else(|| "5".to_owned(), |bandit| percent_text(bandit.floor)),
            currency: design.currency.to_string(),
            ..Self::default()
        }
    }
}

impl From<&Variant> for VariantForm {
    fn from(variant: &Variant) -> Self {
        let mut form =
            Self { key: variant.key.clone(), name: variant.name.clone(), weight: percent_text(variant.weight), ..Self::default() };
        match &variant.payload {
            Payload::Unchanged => {}
            Payload::Positioning { text } | Payload::Cta { text } => form.text.clone_from(text),
            Payload::RankingWeight { revenue_weight } => form.revenue_weight = revenue_weight.to_string(),
            Payload::IntegrationMethod { method } => method.as_str().clone_into(&mut form.method),
            Payload::WidgetLayout { layout } => layout_name(*layout).clone_into(&mut form.layout),
        }
        form
    }
}

#[cfg(test)]
mod tests;
