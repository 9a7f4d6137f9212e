//! The fields of the editor, a panel for each question: what is tried, on whom, and how it is judged. What does not belong to the chosen kind
//! or metric is hidden by the style sheet, so that it needs no script.

use std::collections::BTreeMap;

use domain::{
    experiment::{ExperimentKind, Metric, UnitKind, VARIANTS_MAX, VARIANTS_MIN, WidgetLayout},
    partner::IntegrationKind,
};
use leptos::prelude::*;

use crate::{
    api::{DesignForm, Measured, VariantForm},
    components::{
        CheckboxField, FormField, Panel, SelectField, TextAreaField, choices, kind_meaning, kind_word, layout_name, method_word,
        metric_meaning, metric_word, with_all,
    },
};

type Faults = BTreeMap<String, String>;

/// What is wrong with a field.
fn fault(faults: &Faults, field: &str) -> Signal<Option<String>> {
    Signal::stored(faults.get(field).map(|reason| sentence(reason)))
}

fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Faults of a group of fields, under them.
#[component]
fn GroupFault(faults: Faults, field: &'static str) -> impl IntoView {
    faults.get(field).map(|reason| view! { <p class="form-field__error" role="alert">{sentence(reason)}</p> })
}

/// What a fault is about, in the words of the form.
pub fn field_name(field: &str) -> String {
    let parts: Vec<&str> = field.split('.').collect();
    match parts[..] {
        ["variants", index, part] => {
            let number = index.parse::<usize>().map_or(0, |index| index + 1);
            let part = if part == "payload" { "what it shows" } else { part };
            format!("Variant {number}, {part}")
        }
        ["guardrails", metric] => {
            let metric = Metric::ALL.into_iter().find(|known| known.as_str() == metric);
            format!("Guardrail {}", metric.map_or("", metric_word).to_lowercase())
        }
        ["plan", "minimum_detectable_lift"] => "Smallest lift".to_owned(),
        ["plan", "planned_units"] => "Planned units".to_owned(),
        ["plan", "alpha"] => "Significance".to_owned(),
        ["plan", "power"] => "Power".to_owned(),
        ["bandit", "floor"] => "Smallest weight".to_owned(),
        ["eligibility", what] => capital(what.trim_end_matches("_ids")) + "s",
        ["exclusion_group", ..] => "Exclusion group".to_owned(),
        ["traffic_allocation"] => "Traffic".to_owned(),
        ["starts_at"] => "Begins".to_owned(),
        ["ends_at"] => "Ends".to_owned(),
        _ => capital(&field.replace(['_', '.'], " ")),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[component]
pub fn Subject(form: DesignForm, faults: Faults, is_new: bool) -> impl IntoView {
    let kinds = ExperimentKind::ALL.map(|kind| (kind.as_str().to_owned(), format!("{}: {}", kind_word(kind), kind_meaning(kind)))).to_vec();
    let units = UnitKind::ALL.map(|unit| {
        let label = match unit {
            UnitKind::Visitor => "Visitors: each browser on a site is dealt by itself",
            UnitKind::Site => "Sites: all visitors of a site see the same",
        };
        (unit.as_str().to_owned(), label.to_owned())
    });
    view! {
        <Panel title="What is tried">
            <div class="stack">
                <div class="field-grid">
                    <FormField name="form[name]" label="Name" required=true value=form.name error=fault(&faults, "name")/>
                    {is_new.then(|| view! {
                        <FormField
                            name="form[key]" label="Key" value=form.key placeholder="made from the name"
                            hint="a-z, 0-9 and -. It stands in links and seeds the deal, so it stays." error=fault(&faults, "key")
                        />
                    })}
                </div>
                <TextAreaField
                    name="form[hypothesis]" label="Hypothesis" rows=3 value=form.hypothesis
                    hint="What you expect, of whom, and why. It is on record before the first figure comes in."
                    error=fault(&faults, "hypothesis")
                />
                <div class="field-grid experiment-form__wide">
                    <SelectField name="form[kind]" label="Kind" options=kinds value=form.kind error=fault(&faults, "kind")/>
                    <SelectField
                        name="form[unit]" label="Who is dealt" options=units.to_vec() value=form.unit
                        hint="Who keeps one variant. Visitors who ask not to be tracked are never part of a test."
                        error=fault(&faults, "unit")
                    />
                </div>
            </div>
        </Panel>
    }
}

#[component]
pub fn Variants(
    form: DesignForm,
    faults: Faults,
    /// The demo page and the test's key, once the test is saved.
    preview: Option<(String, String)>,
) -> impl IntoView {
    let count = form.variants.len();
    let cards = form.variants.into_iter().enumerate().map(|(index, variant)| {
        view! { <VariantFields index variant faults=faults.clone() is_removable={index > 0 && count > VARIANTS_MIN} preview=preview.clone()/> }
    });
    let cards = cards.collect_view();
    view! {
        <div id="variants">
            <Panel title="Variants" hint="the first is the control; a payload left empty shows what is shown without a test">
                <div class="stack">
                    <ol class="variant-list">{cards}</ol>
                    <GroupFault faults=faults.clone() field="variants"/>
                    <div class="row">
                        {(count < VARIANTS_MAX).then(|| view! { <button type="submit" class="button" name="act" value="add">"Add a variant"</button> })}
                        <button type="submit" class="button" data-kind="quiet" name="act" value="even">"Share the weights evenly"</button>
                    </div>
                </div>
            </Panel>
        </div>
    }
}

#[component]
fn VariantFields(
    index: usize,
    variant: VariantForm,
    faults: Faults,
    is_removable: bool,
    preview: Option<(String, String)>,
) -> impl IntoView {
    let name = |part: &str| format!("form[variants][{index}][{part}]");
    let fault = |part: &str| fault(&faults, &format!("variants.{index}.{part}"));
    let methods = IntegrationKind::ALL.map(|method| (method.as_str().to_owned(), method_word(method).to_owned())).to_vec();
    let layouts =
        choices([(layout_name(WidgetLayout::Cards), "Cards side by side"), (layout_name(WidgetLayout::Compact), "A compact list")]);
    let title = if index == 0 { "Control".to_owned() } else { format!("Variant {}", index + 1) };
    let link = preview.filter(|_| !variant.key.is_empty()).map(|(demo, key)| format!("{demo}&p4s_variant={key}:{}", variant.key));
    let has_links = is_removable || link.is_some();
    view! {
        <li class="variant-list__item">
            <fieldset class="variant-list__fields">
                <legend class="variant-list__title">{title.clone()}</legend>
                <div class="variant-list__grid">
                    <FormField name=name("name") label="Name" required=true value=variant.name error=fault("name")/>
                    <FormField name=name("key") label="Key" required=true value=variant.key error=fault("key")/>
                    <FormField name=name("weight") label="Weight, %" inputmode="decimal" required=true value=variant.weight error=fault("weight")/>
                </div>
                <div class="variant-list__payload" data-kind-field="text">
                    <FormField name=name("text") label="Text" value=variant.text placeholder="as without a test" hint="{partner} becomes the partner's name." error=fault("payload")/>
                </div>
                <div class="variant-list__payload" data-kind-field="ranking_weight">
                    <FormField
                        name=name("revenue_weight") label="Revenue weight, 0 to 1" inputmode="decimal" value=variant.revenue_weight
                        placeholder="as without a test" hint="0 orders by fit alone." error=fault("payload")
                    />
                </div>
                <div class="variant-list__payload" data-kind-field="integration_method">
                    <SelectField name=name("method") label="Way to the partner" options=with_all("As without a test", methods) value=variant.method error=fault("payload")/>
                </div>
                <div class="variant-list__payload" data-kind-field="widget_layout">
                    <SelectField name=name("layout") label="Layout" options=with_all("As without a test", layouts) value=variant.layout error=fault("payload")/>
                </div>
                {has_links.then(|| view! {
                    <div class="row">
                        {link.map(|href| view! { <a href=href rel="external" target="_blank">"Preview as it is saved"</a> })}
                        {is_removable.then(|| view! {
                            <button type="submit" class="button" data-kind="quiet" name="act" value=format!("remove-{index}")>
                                {format!("Remove {}", title.to_lowercase())}
                            </button>
                        })}
                    </div>
                })}
            </fieldset>
        </li>
    }
}

#[component]
pub fn TakesPart(
    form: DesignForm,
    faults: Faults,
    partners: Vec<(String, String)>,
    sites: Vec<(String, String)>,
    segments: Vec<(String, String)>,
) -> impl IntoView {
    let narrowed = |chosen: &[String]| if chosen.is_empty() { "all".to_owned() } else { format!("{} chosen", chosen.len()) };
    let site_note = if form.other_sites.trim().is_empty() { narrowed(&form.sites) } else { "chosen".to_owned() };
    let (partner_note, segment_note) = (narrowed(&form.partners), narrowed(&form.segments));
    let (has_partners, has_segments) = (!form.partners.is_empty(), !form.segments.is_empty());
    let has_sites = !form.sites.is_empty() || !form.other_sites.is_empty();
    let has_group = !form.group_name.is_empty() || faults.keys().any(|field| field.starts_with("exclusion_group"));
    view! {
        <Panel title="Who takes part" hint="nothing chosen means everybody">
            <div class="stack">
                <div class="field-grid">
                    <FormField
                        name="form[traffic]" label="Traffic, %" inputmode="decimal" required=true value=form.traffic
                        hint="Share of the eligible units. Raising it later moves nobody." error=fault(&faults, "traffic_allocation")
                    />
                    <FormField
                        name="form[starts_at]" label="Begins (UTC)" kind="datetime-local" value=form.starts_at
                        hint="Empty: when you start it." error=fault(&faults, "starts_at")
                    />
                    <FormField
                        name="form[ends_at]" label="Ends (UTC)" kind="datetime-local" value=form.ends_at
                        hint="Empty: when you stop it. At this time it is over." error=fault(&faults, "ends_at")
                    />
                </div>
                <details class="experiment-form__more" data-offers="true" open=has_partners>
                    <summary>"Partners "<span class="muted">{partner_note}</span></summary>
                    <Ticks name="form[partners][]" options=partners chosen=form.partners/>
                    <GroupFault faults=faults.clone() field="eligibility.partner_ids"/>
                </details>
                <details class="experiment-form__more" open=has_sites>
                    <summary>"Sites "<span class="muted">{site_note}</span></summary>
                    <Ticks name="form[sites][]" options=sites chosen=form.sites/>
                    <TextAreaField
                        name="form[other_sites]" label="Other sites, by id" rows=2 value=form.other_sites
                        hint="One a line. The newest are above." error=fault(&faults, "eligibility.site_ids")
                    />
                </details>
                <details class="experiment-form__more" open=has_segments>
                    <summary>"Kinds of project "<span class="muted">{segment_note}</span></summary>
                    <Ticks name="form[segments][]" options=segments chosen=form.segments/>
                    <GroupFault faults=faults.clone() field="eligibility.segments"/>
                </details>
                <details class="experiment-form__more" open=has_group>
                    <summary>"Exclusion group "<span class="muted">{if has_group { "in one" } else { "none" }}</span></summary>
                    <p class="experiment__note">
                        "Tests of one group whose parts do not overlap never share a unit. Give one test 0 to 50 and the other 50 to 100."
                    </p>
                    <div class="field-grid">
                        <FormField name="form[group_name]" label="Group" value=form.group_name hint="a-z, 0-9 and -" error=fault(&faults, "exclusion_group.name")/>
                        <FormField name="form[group_from]" label="From, %" inputmode="decimal" value=form.group_from error=fault(&faults, "exclusion_group.start")/>
                        <FormField name="form[group_to]" label="To, %" inputmode="decimal" value=form.group_to error=fault(&faults, "exclusion_group.end")/>
                    </div>
                    <GroupFault faults=faults.clone() field="exclusion_group"/>
                </details>
            </div>
        </Panel>
    }
}

#[component]
fn Ticks(name: &'static str, options: Vec<(String, String)>, chosen: Vec<String>) -> impl IntoView {
    let boxes = options
        .into_iter()
        .map(|(value, label)| {
            let id = format!("{name}{value}");
            let checked = chosen.contains(&value);
            view! {
                <li class="experiment-form__tick">
                    <input class="choice" type="checkbox" name=name id=id.clone() value=value checked=checked/>
                    <label for=id>{label}</label>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="experiment-form__ticks">{boxes}</ul> }
}

#[component]
pub fn Judged(form: DesignForm, faults: Faults) -> impl IntoView {
    let metrics =
        Metric::ALL.map(|metric| (metric.as_str().to_owned(), format!("{}: {}", metric_word(metric), metric_meaning(metric)))).to_vec();
    let rails = Metric::ALL.map(|metric| {
        let name = format!("form[guardrails][{}]", metric.as_str());
        let value = form.guardrails.get(metric.as_str()).cloned().unwrap_or_default();
        let error = fault(&faults, &format!("guardrails.{}", metric.as_str()));
        view! {
            <div class="experiment-form__rail" data-metric=metric.as_str()>
                <FormField name label=metric_word(metric) inputmode="decimal" value placeholder="not watched" error/>
            </div>
        }
    });
    view! {
        <Panel title="How it is judged">
            <div class="stack">
                <div class="field-grid experiment-form__wide">
                    <SelectField
                        name="form[primary_metric]" label="Primary metric" options=metrics value=form.primary_metric
                        hint="The verdict is about this one alone." error=fault(&faults, "primary_metric")
                    />
                    <FormField
                        name="form[currency]" label="Currency" required=true value=form.currency
                        hint="In which commission is measured; three letters." error=fault(&faults, "currency")
                    />
                </div>
                <fieldset class="experiment-form__rails">
                    <legend>"Guardrails: the drop that is bearable, %"</legend>
                    <p class="experiment__note">
                        "What must not get worse while the primary metric gets better. With 2, a drop of up to 2 % is fine. Empty: not watched."
                    </p>
                    <div class="field-grid">{rails.into_iter().collect_view()}</div>
                </fieldset>
            </div>
        </Panel>
    }
}

#[component]
pub fn Plan(form: DesignForm, faults: Faults, planner: String, measured: Measured) -> impl IntoView {
    let as_measured = |number: &str| if number.is_empty() { String::new() } else { format!("{number}, as measured") };
    view! {
        <div id="plan" class="columns">
            <Panel title="Plan" hint="fixed when the test starts">
                <div class="stack">
                    <div class="field-grid">
                        <FormField
                            name="form[lift]" label="Smallest lift worth finding, %" inputmode="decimal" required=true value=form.lift
                            hint="Relative: 10 is from 2.0 % to 2.2 %." error=fault(&faults, "plan.minimum_detectable_lift")
                        />
                        <FormField
                            name="form[planned_units]" label="Planned units" inputmode="numeric" required=true value=form.planned_units
                            hint="Of all variants together." error=fault(&faults, "plan.planned_units")
                        />
                        <FormField
                            name="form[alpha]" label="Significance, %" inputmode="decimal" required=true value=form.alpha
                            hint="How often chance alone may look like a difference." error=fault(&faults, "plan.alpha")
                        />
                        <FormField
                            name="form[power]" label="Power, %" inputmode="decimal" required=true value=form.power
                            hint="How often a lift that is there is found." error=fault(&faults, "plan.power")
                        />
                    </div>
                    <CheckboxField
                        name="form[bandit]" label="Bandit: let the weights follow the results" checked=!form.bandit.is_empty()
                        hint="More units see what does better, at the price of slower answers; measured lifts then lean towards early luck."
                    />
                    <div class="experiment-form__floor">
                        <FormField
                            name="form[floor]" label="No variant gets less than, %" inputmode="decimal" value=form.floor
                            error=fault(&faults, "bandit.floor")
                        />
                    </div>
                </div>
            </Panel>
            <Panel title="Planner" hint="what the plan takes">
                <div class="stack">
                    <div class="field-grid">
                        <div data-metric-field="rate">
                            <FormField
                                name="form[baseline]" label="Metric without the test" inputmode="decimal" value=form.baseline
                                placeholder=as_measured(&measured.baseline) hint="For rates in %. Empty: as measured."
                            />
                        </div>
                        <div class="experiment-form__spread">
                            <FormField
                                name="form[spread]" label="Spread of single units" inputmode="decimal" value=form.spread
                                placeholder=as_measured(&measured.spread) hint="Standard deviation. Empty: as measured."
                            />
                        </div>
                        <FormField
                            name="form[daily_units]" label="Units a day" inputmode="numeric" value=form.daily_units
                            placeholder=as_measured(&measured.daily_units) hint="Before any are taken off. Empty: as measured."
                        />
                    </div>
                    <div class="row"><button type="submit" class="button" name="act" value="plan">"Compute"</button></div>
                    <div inner_html=planner></div>
                </div>
            </Panel>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_the_words_of_the_form() {
        assert_eq!(field_name("variants.1.payload"), "Variant 2, what it shows");
        assert_eq!(field_name("guardrails.success_rate"), "Guardrail success rate");
        assert_eq!(field_name("eligibility.site_ids"), "Sites");
        assert_eq!(field_name("plan.alpha"), "Significance");
        assert_eq!(field_name("name"), "Name");
        assert_eq!(sentence("`a` must be b"), "`a` must be b.");
    }
}
