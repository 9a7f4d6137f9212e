use domain::experiment::Deal;

use super::*;

/// A form that is fine.
fn form() -> DesignForm {
    let mut form = DesignForm { name: "Shorter button".to_owned(), ..new_form("cta") };
    form.variants[1].text = "Try it".to_owned();
    form
}

fn faults_of(change: impl FnOnce(&mut DesignForm)) -> Faults {
    let mut form = form();
    change(&mut form);
    design(&form, None).1
}

fn fields(faults: &Faults) -> Vec<&str> {
    faults.keys().map(String::as_str).collect()
}

#[test]
fn what_most_tests_have_is_filled_in_and_fine() {
    let (design, faults) = design(&form(), None);
    assert_eq!(faults, Faults::new());
    assert_eq!(design.variants[0].payload, Payload::Unchanged);
    assert_eq!(design.variants[1].payload, Payload::Cta { text: "Try it".to_owned() });
    assert_eq!((design.plan, design.traffic_allocation), (Plan::default(), 1.0));
}

#[test]
fn a_design_comes_back_from_its_form_to_the_last_bit() {
    let mut start = form();
    start.variants = vec!["a", "b", "c"]
        .into_iter()
        .map(|key| VariantForm {
            key: key.to_owned(),
            name: key.to_owned(),
            weight: "33.33".to_owned(),
            text: key.to_owned(),
            ..VariantForm::default()
        })
        .collect();
    start.guardrails.insert("success_rate".to_owned(), "2.5".to_owned());
    start.guardrails.insert("conversion_rate".to_owned(), "0".to_owned());
    (start.group_name, start.group_from, start.group_to) = ("widget".to_owned(), "0".to_owned(), "33.3333".to_owned());
    (start.starts_at, start.ends_at) = ("2026-11-23T09:00".to_owned(), "2026-12-23T09:00:30".to_owned());
    (start.bandit, start.floor, start.traffic) = ("on".to_owned(), "7".to_owned(), "12,5".to_owned());
    let (first, faults) = design(&start, None);
    assert_eq!(faults, Faults::new());
    assert!((first.variants[0].weight - 1.0 / 3.0).abs() < 1e-15 && (first.traffic_allocation - 0.125).abs() < 1e-15);
    // Times with parts of a second, as the API may have set them, stay too.
    let first = Design { starts_at: "2026-11-23T09:00:00.123Z".parse().ok(), ..first };
    assert_eq!(design(&DesignForm::from(&first), Some(&first)), (first.clone(), Faults::new()));

    let renamed = DesignForm { name: "Another name".to_owned(), ..DesignForm::from(&first) };
    let (renamed, _) = design(&renamed, Some(&first));
    assert_eq!(domain::experiment::edit(&first, &renamed), domain::experiment::Edit::Description);
    let deal = |design| Deal { design, seed: "s", weights: &[0.5, 0.25, 0.25] };
    assert!(domain::experiment::moves(&deal(&first), &deal(&renamed)).moved.abs() < 1e-12);
}

#[test]
fn shares_are_typed_in_per_cent_with_point_or_comma_and_may_say_so() {
    for typed in ["12.5", "12,5", " 12.5 % "] {
        let (design, faults) = design(&DesignForm { traffic: typed.to_owned(), ..form() }, None);
        assert!(faults.is_empty() && (design.traffic_allocation - 0.125).abs() < 1e-15, "{typed}");
    }
    for typed in ["", "0", "-1", "100.1", "NaN", "inf", "half", "1e999"] {
        assert_eq!(fields(&faults_of(|form| form.traffic = typed.to_owned())), ["traffic_allocation"], "{typed}");
    }
}

#[test]
fn weights_must_add_up_but_thirds_may_be_typed_short() {
    let with = |weights: &[&str]| {
        faults_of(|form| {
            form.variants = weights
                .iter()
                .enumerate()
                .map(|(index, weight)| VariantForm {
                    key: format!("v{index}"),
                    name: "V".to_owned(),
                    weight: (*weight).to_owned(),
                    text: index.to_string(),
                    ..VariantForm::default()
                })
                .collect();
        })
    };
    assert_eq!(with(&["33.3", "33.3", "33.4"]), Faults::new());
    assert_eq!(with(&["14.29"; 7]), Faults::new());
    assert_eq!(with(&["50", "40"])["variants"], "the weights add up to 90 %, not to 100 %");
    assert_eq!(fields(&with(&["50", "x"])), ["variants.1.weight"]);
    assert_eq!(fields(&with(&["100"])), ["variants"]);
    assert_eq!(fields(&with(&["100", "0"])), ["variants.1.weight"]);
}

#[test]
fn every_fault_is_named_at_once_at_its_field() {
    let faults = faults_of(|form| {
        form.name = " ".to_owned();
        form.variants[1].key = "Not A Key".to_owned();
        form.guardrails.insert("success_rate".to_owned(), "lots".to_owned());
        form.ends_at = "tomorrow".to_owned();
        form.planned_units = "50".to_owned();
        form.currency = "XXY".to_owned();
        form.other_sites = "12".to_owned();
    });
    let expected =
        ["currency", "eligibility.site_ids", "ends_at", "guardrails.success_rate", "name", "plan.planned_units", "variants.1.key"];
    assert_eq!(fields(&faults), expected);
}

#[test]
fn a_payload_belongs_to_the_kind_and_an_empty_one_changes_nothing() {
    let of = |kind: &str, change: fn(&mut VariantForm)| {
        let mut form = DesignForm { kind: kind.to_owned(), ..form() };
        change(&mut form.variants[1]);
        let (design, faults) = design(&form, None);
        (design.variants[1].payload.clone(), faults)
    };
    let weight = of("ranking_weight", |variant| variant.revenue_weight = "0,3".to_owned());
    assert_eq!(weight, (Payload::RankingWeight { revenue_weight: 0.3 }, Faults::new()));
    assert_eq!(fields(&of("ranking_weight", |variant| variant.revenue_weight = "2".to_owned()).1), ["variants.1.payload"]);
    assert_eq!(of("widget_layout", |variant| variant.layout = "compact".to_owned()).1, Faults::new());
    assert_eq!(fields(&of("widget_layout", |variant| variant.layout = "round".to_owned()).1), ["variants.1.payload"]);
    // Both show what is shown anyway.
    assert_eq!(fields(&of("integration_method", |_| ()).1), ["variants.1.payload"]);
}

#[test]
fn the_primary_metric_is_no_guardrail_of_its_own() {
    let mut form = form();
    form.guardrails.insert("click_rate".to_owned(), "2".to_owned());
    let (design, faults) = design(&form, None);
    assert!(faults.is_empty() && design.guardrails.is_empty());
}

#[test]
fn a_part_of_a_group_lies_within_it() {
    let of = |name: &str, from: &str, to: &str| {
        faults_of(|form| {
            (form.group_name, form.group_from, form.group_to) = (name.to_owned(), from.to_owned(), to.to_owned());
        })
    };
    assert_eq!(of("", "", ""), Faults::new());
    assert_eq!(of("widget", "0", "50"), Faults::new());
    assert_eq!(fields(&of("widget", "50", "50")), ["exclusion_group.end"]);
    assert_eq!(fields(&of("widget", "", "120")), ["exclusion_group.end", "exclusion_group.start"]);
    assert_eq!(fields(&of("", "0", "50")), ["exclusion_group.name"]);
    assert_eq!(fields(&of("Not A Name", "0", "50")), ["exclusion_group.name"]);
}

#[test]
fn partners_count_only_where_offers_are_tested() {
    let partners = vec!["supabase".to_owned()];
    let (cta, faults) = design(&DesignForm { partners: partners.clone(), ..form() }, None);
    assert!(faults.is_empty() && cta.eligibility.partner_ids.len() == 1);
    let mut layout = DesignForm { partners, kind: "widget_layout".to_owned(), ..form() };
    layout.variants[1].layout = "compact".to_owned();
    let (layout, faults) = design(&layout, None);
    assert!(faults.is_empty() && layout.eligibility.partner_ids.is_empty());
}
