//! Offers for real-looking projects, and the laws of the ranking.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;
use crate::{
    analysis::{SourceFile, analyze},
    partner::{AuthType, Priors},
};

fn partner(id: &str, category: &str, average_value: i64, rate_percent: i64) -> (Partner, TermsValues) {
    let mut name = id.to_owned();
    name[..1].make_ascii_uppercase();
    let partner = Partner {
        partner_id: id.parse().unwrap(),
        display_name: format!("{name} Platform"),
        name,
        description: "Does things. And more.".into(),
        category: category.into(),
        engines: Vec::new(),
        homepage_url: format!("https://{id}.example"),
        api_base_url: format!("https://api.{id}.example"),
        auth_type: AuthType::ApiKey,
        tier: 1,
        active: true,
        integration_methods: Vec::new(),
        success_metrics: Vec::new(),
        webhook_events: Vec::new(),
        priors: Priors {
            conversion_rate: Decimal::new(5, 2),
            conversion_rate_weight: Decimal::from(100),
            average_value: Decimal::from(average_value),
            success_multiplier: Decimal::new(12, 1),
        },
    };
    let terms = TermsValues {
        commission_rate: Decimal::new(rate_percent, 2),
        success_bonus_rate: Decimal::ZERO,
        multiplier_cap: Decimal::from(3),
        attribution_window_hours: 24,
        hold_period_days: 30,
        adjustment_window_days: 90,
        payout_currency: Currency::USD,
        attribution_model: crate::attribution::Model::LastTouch,
        attribution_minimum_seconds: 0,
        minimum_payout_minor: 0,
    };
    (partner, terms)
}

fn three() -> Vec<(Partner, TermsValues)> {
    vec![partner("supabase", "database", 25, 20), partner("railway", "hosting", 20, 15), partner("figma", "design", 15, 10)]
}

/// The three, of whom the one for databases hosts PostgreSQL alone.
fn three_with_engines() -> Vec<(Partner, TermsValues)> {
    let mut partners = three();
    partners[0].0.engines = vec!["postgresql".into()];
    partners
}

fn analysis_of(files: &[(&str, &str)]) -> Analysis {
    let files: Vec<SourceFile> = files
        .iter()
        .map(|(path, content)| SourceFile { path: (*path).into(), size: content.len() as u64, content: Some((*content).into()) })
        .collect();
    analyze(&files)
}

fn nextjs(more: &[(&str, &str)]) -> Analysis {
    let manifest = r#"{ "private": true, "scripts": {"start": "next start"}, "dependencies": {"next": "15", "@prisma/client": "6"} }"#;
    let mut files = vec![("package.json", manifest), ("app/page.tsx", "export default () => <p/>")];
    files.extend(more);
    analysis_of(&files)
}

fn order(offers: &[Offer]) -> Vec<&str> {
    offers.iter().map(|offer| offer.partner_id.as_str()).collect()
}

#[test]
fn prisma_without_a_hosted_database_is_the_reason_for_one() {
    let offers = rank(&nextjs(&[]), &three(), &History::new(), &Settings::default());
    assert_eq!(order(&offers), ["supabase", "railway", "figma"]);
    assert_eq!(offers[0].reasons[0].text, "your project uses Prisma with no hosted database");
    assert_eq!(offers[0].reasons[0].evidence[0].to_string(), "package.json dependencies.@prisma/client");
    assert_eq!(offers[0].positioning, "Supabase hosts the database behind your Prisma code.");
    assert_eq!((offers[0].cta_text.as_str(), offers[0].urgency), ("Create a database with Supabase", Urgency::High));
    assert!(offers.iter().all(|offer| offer.down_ranked.is_none()));
}

#[test]
fn revenue_never_puts_a_filled_category_on_top() {
    let analysis = nextjs(&[(".env.example", "DATABASE_URL=postgres://u:p@ep-x.aws.neon.tech/db\n")]);
    let mut partners = three();
    partners[0].0.priors.average_value = Decimal::from(1_000_000);
    let offers = rank(&analysis, &partners, &History::new(), &Settings::default());
    assert_eq!(order(&offers), ["railway", "figma", "supabase"]);
    assert_eq!(offers[2].down_ranked.as_deref(), Some("your project already uses Neon as its hosted database"));
    assert_eq!(offers[2].reasons[0].evidence[0].path, ".env.example");
    assert!(offers[2].score < 0.5 && offers[1].score >= 0.5);
}

#[test]
fn a_partner_that_is_in_use_already_says_so() {
    let analysis = nextjs(&[("supabase/config.toml", "project_id='x'")]);
    let offers = rank(&analysis, &three(), &History::new(), &Settings::default());
    let last = offers.last().unwrap();
    assert_eq!((last.partner_id.as_str(), last.down_ranked.as_deref()), ("supabase", Some("your project already uses Supabase")));
}

/// Supabase's offer for a project of these files.
fn supabase_for(files: &[(&str, &str)]) -> Offer {
    let offers = rank(&analysis_of(files), &three_with_engines(), &History::new(), &Settings::default());
    offers.into_iter().find(|offer| offer.partner_id.as_str() == "supabase").unwrap()
}

#[test]
fn a_database_of_another_engine_is_not_served_by_the_partner() {
    let mongoose =
        r#"{ "private": true, "scripts": {"start": "node ."}, "dependencies": {"express": "5", "mongoose": "8", "react": "19"} }"#;
    let offer = supabase_for(&[("package.json", mongoose), ("index.js", "require('express')")]);
    assert_eq!(offer.down_ranked.as_deref(), Some("your project uses MongoDB, and Supabase hosts PostgreSQL"));
    assert_eq!(offer.positioning, "Supabase gives your Express app a hosted database.");
    assert_eq!((offer.urgency, offer.reasons[0].evidence[0].to_string().as_str()), (Urgency::Low, "package.json dependencies.mongoose"));

    let prisma = r#"{ "private": true, "dependencies": {"next": "15", "@prisma/client": "6"} }"#;
    let schema = |provider: &str| format!("datasource db {{\n provider = \"{provider}\"\n}}\n");
    let with = |provider: &str| supabase_for(&[("package.json", prisma), ("prisma/schema.prisma", &schema(provider))]).down_ranked;
    assert_eq!(with("mysql").as_deref(), Some("your project uses MySQL, and Supabase hosts PostgreSQL"));
    assert_eq!(with("sqlserver").as_deref(), Some("your project uses SQL Server, and Supabase hosts PostgreSQL"));
    assert_eq!(with("postgresql"), None);
}

#[test]
fn the_database_of_another_server_does_not_speak_for_the_one_that_lacks_one() {
    let api = r#"{ "private": true, "scripts": {"start": "node ."}, "dependencies": {"express": "5", "mysql2": "3"} }"#;
    let web = r#"{ "private": true, "dependencies": {"next": "15", "@prisma/client": "6"} }"#;
    let mut analysis = analysis_of(&[
        ("api/package.json", api),
        ("api/index.js", "require('express')"),
        ("api/.env.example", "DATABASE_URL=mysql://u:p@aws.connect.psdb.cloud/shop\n"),
        ("web/package.json", web),
        ("web/app/page.tsx", "export default () => <p/>"),
    ]);
    let supabase = |analysis: &Analysis| {
        let offers = rank(analysis, &three_with_engines(), &History::new(), &Settings::default());
        offers.into_iter().find(|offer| offer.partner_id.as_str() == "supabase").unwrap().down_ranked
    };
    assert_eq!(supabase(&analysis), None);
    let need = analysis.needs.iter_mut().find(|need| need.category == crate::analysis::Category::Database).unwrap();
    assert_eq!(need.engines.take(), Some(Vec::new()));
    assert_eq!(supabase(&analysis).as_deref(), Some("your project uses MySQL, and Supabase hosts PostgreSQL"), "an earlier version");
}

#[test]
fn a_partner_that_does_not_say_what_it_hosts_is_offered_for_any_database() {
    let analysis = nextjs(&[("prisma/schema.prisma", "datasource db { provider = \"mysql\" }")]);
    assert!(rank(&analysis, &three(), &History::new(), &Settings::default()).iter().all(|offer| offer.down_ranked.is_none()));
}

#[test]
fn a_file_of_data_beside_a_server_is_a_weak_reason_and_no_promise() {
    let manifest = r#"{ "private": true, "dependencies": {"express": "5", "better-sqlite3": "11", "knex": "3"} }"#;
    let offer = supabase_for(&[("package.json", manifest), ("server.js", "require('express')")]);
    assert_eq!(offer.reasons[0].text, "your project keeps its data in SQLite, a file that only one machine has");
    assert_eq!((offer.down_ranked, offer.urgency), (None, Urgency::Low));
    assert_eq!(offer.positioning, "Supabase gives your Express app a hosted database.");
}

#[test]
fn the_database_on_a_phone_needs_no_host() {
    let offer = supabase_for(&[(
        "pubspec.yaml",
        "name: app\npublish_to: 'none'\ndependencies:\n  flutter:\n    sdk: flutter\n  sqflite: ^2.0.0\n",
    )]);
    assert_eq!(offer.down_ranked.as_deref(), Some("a mobile app does not call for a hosted database"));
}

#[test]
fn wordpress_keeps_its_data_in_mysql() {
    let offer = supabase_for(&[("wp-config.php", "<?php define('DB_NAME', 'x');"), ("index.php", "<?php require 'wp-blog-header.php';")]);
    assert_eq!(offer.down_ranked.as_deref(), Some("your project uses MySQL, and Supabase hosts PostgreSQL"));
}

#[test]
fn a_library_is_offered_nothing_as_fit() {
    let analysis = analysis_of(&[("Cargo.toml", "[package]\nname='x'\n[lib]\n"), ("src/lib.rs", "pub fn f() {}")]);
    let offers = rank(&analysis, &three(), &History::new(), &Settings::default());
    assert!(offers.iter().all(|offer| offer.down_ranked.is_some()), "{offers:?}");
    assert_eq!(offers[0].down_ranked.as_deref(), Some("a library does not call for a design tool"));
}

#[test]
fn expected_revenue_is_exact_and_rounded_once() {
    // 5 % × (25.00 × 20 %) × 1.2 = 0.30
    let offers = rank(&nextjs(&[]), &three(), &History::new(), &Settings::default());
    assert_eq!((offers[0].expected_revenue_minor, offers[0].currency), (30, Currency::USD));
    // 100 imagined and 100 real clicks with 15 conversions: 20 / 200; average (10 × 500 × 1.2 + 15 × 1000) / 25 = 840
    let history = History::from([(
        "supabase".parse().unwrap(),
        PartnerHistory { clicks: 100, conversions: 15, rated: 15, commission_minor: 15_000 },
    )]);
    let offers = rank(&nextjs(&[]), &three(), &history, &Settings::default());
    assert_eq!(offers[0].expected_revenue_minor, 84);
    // Ten of them were rated in another currency, before the partner's payout currency changed: (6 000 + 5 000) / 15, of which 10 %.
    let history =
        History::from([("supabase".parse().unwrap(), PartnerHistory { clicks: 100, conversions: 15, rated: 5, commission_minor: 5_000 })]);
    let changed = rank(&nextjs(&[]), &three(), &history, &Settings::default());
    assert_eq!(changed[0].expected_revenue_minor, 73);
    let probability = offers[0].conversion_probability;
    assert!((probability.mean - 0.1).abs() < 1e-12 && probability.low < 0.1 && probability.high > 0.1);
}

#[test]
fn fractions_of_a_cent_are_ranked_by_what_they_are() {
    // 5 % × (value × 1 %) × 1.2: 1.44 and 1.56 cents, shown as 1 and 2.
    let partners = [partner("one", "database", 24, 1), partner("two", "database", 26, 1)];
    let offers = rank(&nextjs(&[]), &partners, &History::new(), &Settings::default());
    assert_eq!(offers.iter().map(|offer| offer.expected_revenue_minor).collect::<Vec<_>>(), [2, 1]);
    let apart = offers[0].score - offers[1].score;
    assert!((apart - 0.5 * 0.7 * (1.0 - 24.0 / 26.0)).abs() < 1e-9, "{apart}");
}

#[test]
fn the_multiplier_is_capped_by_the_terms() {
    let mut partners = three();
    partners[0].0.priors.success_multiplier = Decimal::from(9);
    let offers = rank(&nextjs(&[]), &partners, &History::new(), &Settings::default());
    assert_eq!(offers[0].expected_revenue_minor, 75);
}

#[test]
fn the_weight_of_revenue_is_a_setting() {
    // Hosting is needed a little less than a database, and would pay more.
    let mut partners = three();
    partners[1].0.priors.average_value = Decimal::from(100);
    let first = |revenue_weight: f64| {
        let settings = Settings { revenue_weight, ..Settings::default() };
        rank(&nextjs(&[]), &partners, &History::new(), &settings)[0].partner_id.to_string()
    };
    assert_eq!((first(1.0).as_str(), first(0.0).as_str()), ("railway", "supabase"));
}

#[test]
fn currencies_are_never_compared() {
    let mut partners = three();
    partners[0].1.payout_currency = "JPY".parse().unwrap();
    partners[0].0.priors.average_value = Decimal::from(3000);
    let offers = rank(&nextjs(&[]), &partners, &History::new(), &Settings::default());
    let supabase = offers.iter().find(|offer| offer.partner_id.as_str() == "supabase").unwrap();
    assert_eq!((supabase.expected_revenue_minor, supabase.currency.code()), (36, "JPY"));
    assert!(supabase.score <= 1.0);
}

#[test]
fn an_unknown_category_or_an_inactive_partner_does_not_win() {
    let mut partners = three();
    partners[0].0.active = false;
    partners.push(partner("quantum", "teleportation", 100_000, 50));
    let offers = rank(&nextjs(&[]), &partners, &History::new(), &Settings::default());
    assert_eq!(order(&offers), ["railway", "figma", "quantum"]);
    assert_eq!(offers[2].positioning, "Does things.");
}

#[test]
fn an_amount_beyond_64_bits_counts_for_nothing() {
    let mut partners = three();
    partners[0].0.priors.average_value = Decimal::MAX;
    let offers = rank(&nextjs(&[]), &partners, &History::new(), &Settings::default());
    assert_eq!(offers.iter().find(|offer| offer.partner_id.as_str() == "supabase").unwrap().expected_revenue_minor, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_ranking_is_total_and_does_not_depend_on_the_order_of_partners(
        values in prop::collection::vec((0_i64..1000, 0_i64..100, prop::sample::select(vec!["database", "hosting", "design", "auth", "other"])), 1..8),
        clicks in 0_u64..10_000, conversions in 0_u64..12_000, rotate in 0_usize..8,
    ) {
        let analysis = nextjs(&[]);
        let mut partners: Vec<_> = values.iter().enumerate().map(|(index, (value, rate, category))| partner(&format!("partner-{index}"), category, *value, *rate)).collect();
        let history = History::from([("partner-0".parse().unwrap(), PartnerHistory { clicks, conversions, rated: conversions, commission_minor: 77 })]);
        let offers = rank(&analysis, &partners, &history, &Settings::default());
        let count = partners.len();
        partners.rotate_left(rotate % count);
        prop_assert_eq!(&offers, &rank(&analysis, &partners, &history, &Settings::default()));

        let mut fit_ended = false;
        for offer in &offers {
            prop_assert!((0.0..=1.0).contains(&offer.score) && (0.0..=1.0).contains(&offer.fit.value));
            let probability = offer.conversion_probability;
            prop_assert!(0.0 <= probability.low && probability.low <= probability.high && probability.high <= 1.0);
            prop_assert!(offer.expected_revenue_minor >= 0 && !offer.reasons.is_empty());
            fit_ended |= offer.down_ranked.is_some();
            prop_assert!(!fit_ended || offer.down_ranked.is_some(), "a fit partner below one that is not");
        }
    }
}
