//! A small programme whose figures were computed by hand.

use std::path::Path;

use chrono::TimeDelta;
use domain::{auth::Principal, multitouch::Model};
use serde_json::json;
use sqlx::PgPool;

use super::*;
use crate::{partner, testing};

const WHO: Principal = Principal::CommandLine;

fn at(minute: i64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-11-01T00:00:00Z".parse().unwrap();
    start + TimeDelta::minutes(minute)
}

fn question(by: By) -> Question {
    Question { by, period: Period { from: at(0), to: at(10_000) }, currency: None }
}

/// Numbers become ids that sort as the numbers do.
fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

struct Programme(Engine);

impl Programme {
    async fn new(db: PgPool) -> Self {
        let engine = testing::engine(db);
        partner::import_files(&engine, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners")).await.unwrap();
        let developer = "insert into developers (developer_id, user_ref, developer_hash, created_at) values ($1, 'one', 'hash', now())";
        sqlx::query(developer).bind(id(1)).execute(&engine.db).await.unwrap();
        for (site, name) in [(1, "First site"), (2, "Second site"), (3, "=Third site")] {
            let site_row = "insert into sites (site_id, developer_id, name, site_hash, created_at) values ($1, $2, $3, $4, now())";
            let query = sqlx::query(site_row).bind(id(site)).bind(id(1)).bind(name).bind(format!("site{site}"));
            query.execute(&engine.db).await.unwrap();
        }
        Self(engine)
    }

    /// A click; its id is its minute.
    async fn click(&self, minute: u32, session: Option<u128>, partner: &str, site: u128, bot: bool) {
        sqlx::query(
            "insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id, agent_class, bot, counted)
             values ($1, $2, 'code', $3, $4, 'hash', $5, 'desktop', $6, not $6)",
        )
        .bind(id(minute.into()))
        .bind(at(minute.into()))
        .bind(partner)
        .bind(id(site))
        .bind(session.map(id))
        .bind(bot)
        .execute(&self.0.db)
        .await
        .unwrap();
    }

    /// A conversion; its id is its minute.
    async fn convert(&self, minute: u32, partner: &str, (value_minor, currency): (i64, &str), state: &str) {
        sqlx::query(
            "insert into conversions (conversion_id, partner_id, external_event_id, conversion_type, occurred_at, received_at, value_minor,
                                      currency, source, state)
             values ($1, $2, $3, 'sale', $4, $4, $5, $6, 'webhook', $7)",
        )
        .bind(id(minute.into()))
        .bind(partner)
        .bind(minute.to_string())
        .bind(at(minute.into()))
        .bind(value_minor)
        .bind(currency)
        .bind(state)
        .execute(&self.0.db)
        .await
        .unwrap();
    }

    /// Attributes a conversion to a click on a site, and books what it earned.
    async fn attribute(&self, conversion: u32, click: u32, site: u128, commission_minor: i64, state: &str) {
        sqlx::query(
            "insert into attributions (conversion_id, position, share, click_id, clicked_at, referral_code, site_id, developer_id, matched_by,
                                       policy_version, attributed_at, commission_minor)
             values ($1, 0, 1, $2, $3, 'code', $4, $5, 'session', 1, now(), $6)",
        )
        .bind(id(conversion.into()))
        .bind(id(click.into()))
        .bind(at(click.into()))
        .bind(id(site))
        .bind(id(1))
        .bind(commission_minor)
        .execute(&self.0.db)
        .await
        .unwrap();
        sqlx::query(
            "insert into commissions (commission_id, conversion_id, partner_id, partner_terms_id, currency, base_minor, multiplier, final_minor,
                                      bonus_minor, receipt, state, hold_until, created_at, rated_at, approved_at, value_currency)
             select $1, $1, partner_id, (select partner_terms_id from partner_terms t where t.partner_id = c.partner_id limit 1), 'USD', $2, 1, $2,
                    0, $3, $4, now(), now(), now(), now(), currency
             from conversions c where conversion_id = $1",
        )
        .bind(id(conversion.into()))
        .bind(commission_minor)
        .bind(json!({}))
        .bind(state)
        .execute(&self.0.db)
        .await
        .unwrap();
    }

    async fn identify(&self, partner: &str, customer: &str, sessions: &[u128]) {
        for session in sessions {
            let known = "insert into customer_sessions (partner_id, user_identifier, session_id, identified_at) values ($1, $2, $3, $4)";
            let query = sqlx::query(known).bind(partner).bind(customer).bind(id(*session)).bind(at(1_000));
            query.execute(&self.0.db).await.unwrap();
        }
    }

    async fn set(&self, conversion: u32, column: &str, value: &str) {
        let update = format!("update conversions set {column} = '{value}' where conversion_id = $1");
        sqlx::query(sqlx::AssertSqlSafe(update)).bind(id(conversion.into())).execute(&self.0.db).await.unwrap();
    }

    async fn report(&self, question: Question) -> MultitouchReport {
        report(&self.0, &WHO, question).await.unwrap()
    }
}

/// Supabase is A, Railway is B. Paths: A > B converts twice, once by two sessions of one customer; B converts once, in euro; A ends
/// without a conversion twice, once after somebody's conversion.
async fn small_programme(db: PgPool) -> Programme {
    let programme = Programme::new(db).await;
    programme.click(1, Some(11), "supabase", 1, false).await;
    programme.click(2, Some(11), "railway", 2, false).await;
    programme.convert(3, "railway", (10_000, "USD"), "attributed").await;
    programme.attribute(3, 2, 2, 1_500, "paid").await;
    programme.click(4, Some(11), "supabase", 1, false).await;

    programme.click(5, Some(12), "supabase", 1, false).await;
    // A robot of the same session, and one of its own.
    programme.click(6, Some(12), "railway", 2, true).await;
    programme.click(7, None, "railway", 2, true).await;

    programme.click(10, Some(13), "railway", 2, false).await;
    programme.convert(11, "railway", (3_000, "EUR"), "held").await;
    programme.set(11, "session_id", &id(13).to_string()).await;

    // Two devices of one customer, of whom the conversion names only the customer.
    programme.click(20, Some(14), "supabase", 1, false).await;
    programme.click(21, Some(15), "railway", 3, false).await;
    programme.identify("railway", "mary", &[14, 15]).await;
    programme.convert(22, "railway", (6_000, "USD"), "attributed").await;
    programme.set(22, "user_identifier", "mary").await;
    programme.set(22, "reversed_minor", "1000").await;
    programme
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

fn assert_credits(found: &Credits, expected: [f64; 8]) {
    let Credits { first, last, linear, position, time_decay_by_step, markov_with_nulls, markov_without_nulls, shapley } = *found;
    let found = [first, last, linear, position, time_decay_by_step, markov_with_nulls, markov_without_nulls, shapley];
    assert!(found.iter().zip(expected).all(|(found, expected)| close(*found, expected)), "{found:?}, expected {expected:?}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_small_programme_gives_what_was_computed_by_hand(db: PgPool) {
    let programme = small_programme(db).await;
    let report = programme.report(question(By::Partner)).await;

    assert_eq!((report.clicks, report.people, report.paths), (7, 4, 3), "robots are no people");
    assert_eq!((report.conversions, report.nulls, report.cut_at), (3, 2, None));
    assert_eq!(report.value, Money::new(15_000, Currency::USD), "two conversions are in dollars, a partial refund is off");
    assert_eq!(report.currencies, [("EUR".parse().unwrap(), 1), (Currency::USD, 2)]);
    assert_eq!(report.left_out, LeftOut::default());

    let [railway, supabase] = report.channels.as_slice() else { panic!("{:?}", report.channels) };
    assert_eq!((railway.key.as_str(), railway.name.as_str(), railway.clicks), ("railway", "Railway Deployment", 3));
    assert_eq!((supabase.key.as_str(), supabase.clicks), ("supabase", 4));
    // With null paths: start to A 4/5, A to B 1/2, A to null 1/2, B converts: .6 in all, .2 without A, 0 without B.
    let thirds = 1.0 / 3.0;
    assert_credits(&railway.conversions, [1.0, 3.0, 2.0, 2.0, 7.0 * thirds, 1.8, 1.8, 2.0]);
    assert_credits(&supabase.conversions, [2.0, 0.0, 1.0, 1.0, 2.0 * thirds, 1.2, 1.2, 1.0]);
    assert!(close(supabase.removal_effect_with_nulls, 2.0 * thirds) && close(railway.removal_effect_with_nulls, 1.0));
    assert_eq!((supabase.value_minor.linear, supabase.value_minor.shapley), (7_500, 7_500));
    for model in Model::ALL {
        assert_eq!(railway.value_minor.of(model) + supabase.value_minor.of(model), 15_000, "{model:?}");
    }

    assert_eq!((railway.per_order, supabase.per_order), (Decimal::ONE, Decimal::ZERO), "last touch pays");
    let usd = |minor| Money::new(minor, Currency::USD);
    assert_eq!(railway.commissions, [Commission { booked: usd(1_500), paid: usd(1_500) }]);
    assert_eq!(supabase.commissions, []);
    assert_eq!(programme.report(question(By::Partner)).await, report, "the same rows give the same report");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn without_the_customer_two_sessions_are_two_people(db: PgPool) {
    let programme = small_programme(db).await;
    sqlx::query("delete from customer_sessions").execute(&programme.0.db).await.unwrap();
    let report = programme.report(question(By::Partner)).await;
    assert_eq!((report.people, report.conversions, report.nulls), (5, 2, 4));
    assert_eq!(report.left_out, LeftOut { without_click: 1, ..LeftOut::default() });
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn sites_are_channels_and_those_with_few_clicks_are_put_together(db: PgPool) {
    let programme = small_programme(db).await;
    let report = programme.report(question(By::Site)).await;
    let figures = |report: &MultitouchReport| -> Vec<(String, usize, f64)> {
        let mut figures: Vec<_> =
            report.channels.iter().map(|channel| (channel.name.clone(), channel.clicks, channel.conversions.last)).collect();
        figures.sort_by(|a, b| a.0.cmp(&b.0));
        figures
    };
    let named = |name: &str, clicks, last| (name.to_owned(), clicks, last);
    assert_eq!(figures(&report), [named("=Third site", 1, 1.0), named("First site", 4, 0.0), named("Second site", 2, 2.0)]);

    let limits = Limits { clicks: 100, conversions: 100, channels: 2 };
    let folded = report_within(&programme.0, &WHO, question(By::Site), limits).await.unwrap();
    assert_eq!(figures(&folded), [named("First site", 4, 0.0), named("other sites", 3, 3.0)]);
    assert_eq!(folded.folded, 2);
    let rest = folded.channels.iter().find(|channel| channel.is_rest).unwrap();
    assert_eq!((rest.per_order, rest.commissions[0].booked.amount_minor), (Decimal::ONE, 1_500), "what was booked follows its site");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_does_not_count_is_told(db: PgPool) {
    let programme = small_programme(db).await;
    for (minute, state) in [(30, "unattributed"), (31, "expired"), (32, "refused"), (33, "attributed"), (34, "attributed")] {
        programme.convert(minute, "railway", (100, "USD"), state).await;
    }
    programme.set(33, "reversed_minor", "100").await;
    let report = programme.report(question(By::Partner)).await;
    assert_eq!(report.left_out, LeftOut { unattributed: 3, reversed: 1, without_click: 1 });
    assert_eq!((report.conversions, report.value.amount_minor), (3, 15_000));

    let euro = Question { currency: Some("EUR".parse().unwrap()), ..question(By::Partner) };
    assert_eq!(programme.report(euro).await.value.to_string(), "€30.00");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn too_many_clicks_or_conversions_cut_the_period(db: PgPool) {
    let programme = small_programme(db).await;
    let within = async |clicks, conversions| {
        let limits = Limits { clicks, conversions, channels: 1_000 };
        let report = report_within(&programme.0, &WHO, question(By::Partner), limits).await.unwrap();
        (report.cut_at, report.clicks, report.conversions, report.nulls)
    };
    assert_eq!(within(5, 100).await, (Some(at(20)), 5, 2, 2));
    assert_eq!(within(7, 100).await, (None, 7, 3, 2), "just as many as it takes");
    assert_eq!(within(100, 1).await, (Some(at(11)), 5, 1, 3));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_period_without_clicks_is_an_empty_report(db: PgPool) {
    let programme = Programme::new(db).await;
    let report = programme.report(question(By::Site)).await;
    assert_eq!((report.clicks, report.conversions, report.channels.len()), (0, 0, 0));
    assert_eq!(report.value, Money::new(0, Currency::USD));
    assert!(to_csv(&report).ends_with("per_order_commission,per_order_commission_paid\r\n"));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_wrong_period_and_a_stranger_are_refused_by_name(db: PgPool) {
    let engine = testing::engine(db);
    let asked = async |from, to| {
        let question = Question { period: Period { from, to }, ..question(By::Partner) };
        report(&engine, &WHO, question).await.unwrap_err().to_string()
    };
    assert_eq!(asked(at(5), at(5)).await, format!("to: the period from {} to {} holds no time that has passed", at(5), at(5)));
    assert!(asked(at(5), at(4)).await.contains("holds no time"));
    assert!(asked(at(0), at(0) + TimeDelta::days(367)).await.ends_with("is longer than 366 days"));
    assert!(matches!(report(&engine, &Principal::Anonymous, question(By::Partner)).await, Err(Error::Unauthenticated)));
}

#[test]
fn a_question_is_read_and_what_is_wrong_is_named() {
    let read = |channel: &str, from: &str, to: &str, currency: &str| Question::read(channel, from, to, currency, at(10_000));
    let usual = read("", "", "", "").unwrap();
    assert_eq!((usual.by, usual.currency, usual.period.to), (By::Partner, None, at(10_020)));
    let chosen = read("site", "2026-11-01", "2026-11-02", " eur").unwrap();
    assert_eq!((chosen.by, chosen.currency.map(Currency::code), chosen.period.from), (By::Site, Some("EUR"), at(0)));
    let refused = |channel, from, to, currency| read(channel, from, to, currency).unwrap_err().to_string();
    assert_eq!(refused("country", "", "", ""), "channel: `country` is neither partner nor site");
    assert!(refused("", "1.11.2026", "2026-11-02", "").starts_with("from: "));
    assert!(refused("", "2026-11-01", "", "").starts_with("to: "));
    assert!(refused("", "2026-11-02", "2026-11-01", "").starts_with("to: the range ends on 2026-11-01"));
    assert!(refused("", "2020-11-02", "2026-11-01", "").starts_with("to: the range has"));
    assert_eq!(refused("", "", "", "gold"), "currency: `gold` is not a currency such as USD");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_file_has_every_model_and_no_formula(db: PgPool) {
    let programme = small_programme(db).await;
    let csv = to_csv(&programme.report(question(By::Site)).await);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("note,a report over the whole programme; it pays nobody,"), "{csv}");
    let header = lines.iter().position(|line| line.starts_with("site,name,clicks,conversions_first,")).unwrap();
    let third = lines.iter().find(|line| line.contains("Third site")).unwrap();
    assert!(third.contains(",'=Third site,1,0.000000,1.000000,"), "{third}");
    assert!(csv.contains(",1,15.00 USD,15.00 USD"), "{csv}");
    let cells = |line: &str| line.split(',').count();
    assert!(lines.iter().all(|line| cells(line) == cells(lines[header])), "{csv}");
}
