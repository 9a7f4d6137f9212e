//! From pending to a statement: hold periods, what is held back, and closed months.

use domain::{
    Currency, StatementId,
    auth::Role,
    live::LiveEvent,
    statement::{CarryReason, Month, Outcome, to_csv, to_html, to_json},
};

use super::*;
use crate::{
    Error, audit,
    statement::{self, Issued},
};

/// A fixture at noon of a month's tenth day, whatever today is, under terms with this hold period and minimum payout.
pub(super) async fn month_fixture(db: PgPool, hold_period_days: u32, minimum_payout_minor: i64) -> (Fixture, Month) {
    let it = fixture(db).await;
    let mut values = partner::terms_at(&mut it.engine.db.acquire().await.unwrap(), &it.code.partner_id, it.now()).await.unwrap().values;
    (values.hold_period_days, values.minimum_payout_minor) = (hold_period_days, minimum_payout_minor);
    partner::add_terms(&it.engine, &Principal::CommandLine, &it.code.partner_id, values, None, it.now()).await.unwrap();
    let month = Month::of(it.now()).next();
    it.engine.clock.advance(month.range().0 + TimeDelta::hours(9 * 24 + 12) - it.now());
    (it, month)
}

impl Fixture {
    /// A sale that is booked now.
    pub(super) async fn sell(&self, id: &str, amount: &str) {
        self.post(&format!("msg_{id}"), "conversion.created", self.sale(id, amount)).await.unwrap();
        self.drain().await;
    }

    /// A refund that is booked now.
    pub(super) async fn give_back(&self, id: &str, amount: Option<&str>) {
        let message = format!("msg_re_{id}_{}", self.count("reversals").await);
        self.post(&message, "conversion.reversed", self.refund(id, amount)).await.unwrap();
        self.drain().await;
    }

    /// The tenth day of the next month; what is due by then is approved before the present one ends, as the worker does.
    pub(super) async fn turn_month(&self) {
        commission::approve_due(&self.engine).await.unwrap();
        let next = Month::of(self.now()).next();
        self.engine.clock.advance(next.range().0 + TimeDelta::hours(9 * 24 + 12) - self.now());
    }

    pub(super) async fn issue(&self, month: Month) -> crate::Result<Issued> {
        statement::issue(&self.engine, &Principal::CommandLine, &self.code.partner_id, month, Currency::USD).await
    }

    pub(super) async fn balance(&self, account: &str) -> i64 {
        let balances = ledger::balances(&self.engine).await.unwrap();
        balances.iter().find(|balance| balance.account == account).map_or(0, |balance| balance.amount_minor)
    }

    /// Each commission's state, in the order of the sales.
    pub(super) async fn commission_states(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select c.state from commissions c join conversions v using (conversion_id) order by v.occurred_at, v.external_event_id",
        )
        .fetch_all(&self.engine.db)
        .await
        .unwrap()
    }

    /// A statement as CSV, HTML and JSON.
    async fn files(&self, id: StatementId) -> [String; 3] {
        let whole = statement::export(&self.engine, &Principal::CommandLine, id).await.unwrap();
        [to_csv(&whole), to_html(&whole), to_json(&whole)]
    }

    async fn commission_ids(&self) -> Vec<domain::CommissionId> {
        sqlx::query_scalar("select commission_id from commissions order by commission_id").fetch_all(&self.engine.db).await.unwrap()
    }
}

pub(super) fn conflict<T: std::fmt::Debug>(result: crate::Result<T>) -> String {
    match result.unwrap_err() {
        Error::Conflict(reason) => reason,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_commission_is_approved_when_its_hold_period_is_over_and_not_before(db: PgPool) {
    let (it, _) = month_fixture(db, 7, 0).await;
    it.sell("ord_1", "49.00").await;
    it.engine.clock.advance(TimeDelta::days(7) - TimeDelta::minutes(1));
    assert_eq!(commission::approve_due(&it.engine).await.unwrap(), 0);
    assert_eq!((it.balance("held_commission").await, it.balance("earned_commission").await), (-980, 0));
    it.engine.clock.advance(TimeDelta::minutes(1));
    assert_eq!(commission::approve_due(&it.engine).await.unwrap(), 1);
    assert_eq!(commission::approve_due(&it.engine).await.unwrap(), 0);
    assert_eq!((it.balance("held_commission").await, it.balance("earned_commission").await, it.receivable().await), (0, -980, 980));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn no_timer_and_no_early_approval_approves_what_is_held_back_until_it_is_released(db: PgPool) {
    let (it, _) = month_fixture(db, 7, 0).await;
    it.sell("ord_1", "49.00").await;
    let ids = it.commission_ids().await;
    assert!(
        matches!(commission::hold(&it.engine, &Principal::CommandLine, &ids, "  ").await, Err(Error::Invalid { field, .. }) if field == "reason")
    );
    assert_eq!(commission::hold(&it.engine, &Principal::CommandLine, &ids, "looks odd").await.unwrap(), 1);
    it.engine.clock.advance(TimeDelta::days(100));
    assert_eq!(commission::approve_due(&it.engine).await.unwrap(), 0);
    assert_eq!(commission::approve_early(&it.engine, &Principal::CommandLine, &ids, "the partner asks").await.unwrap(), 0);
    assert_eq!(it.commission_states().await, ["pending"]);
    assert_eq!(commission::release(&it.engine, &Principal::CommandLine, &ids).await.unwrap(), 1);
    assert_eq!(it.commission_states().await, ["approved"]);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn open_pages_hear_that_a_commission_was_held_back_or_released(db: PgPool) {
    let (it, _) = month_fixture(db, 7, 0).await;
    it.sell("ord_1", "49.00").await;
    let ids = it.commission_ids().await;
    let mut browser = it.engine.live.subscribe();
    assert_eq!(commission::hold(&it.engine, &Principal::CommandLine, &ids, "looks odd").await.unwrap(), 1);
    assert!(matches!(*browser.try_recv().unwrap(), LiveEvent::Books { .. }));
    assert_eq!(commission::release(&it.engine, &Principal::CommandLine, &ids).await.unwrap(), 1);
    assert!(matches!(*browser.try_recv().unwrap(), LiveEvent::Books { .. }));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_early_approval_needs_a_reason_and_a_person_who_may_and_stands_in_the_audit_log(db: PgPool) {
    let (it, _) = month_fixture(db, 30, 0).await;
    it.sell("ord_1", "49.00").await;
    let ids = it.commission_ids().await;
    let analyst = Principal::Operator { id: it.engine.new_id(), email: "reader@example.com".to_owned(), role: Role::Analyst };
    assert!(matches!(commission::approve_early(&it.engine, &analyst, &ids, "why not").await, Err(Error::Forbidden(_))));
    assert!(matches!(commission::approve_early(&it.engine, &Principal::CommandLine, &ids, "").await, Err(Error::Invalid { .. })));
    assert_eq!(commission::approve_early(&it.engine, &Principal::CommandLine, &ids, "agreed by mail").await.unwrap(), 1);
    assert_eq!(commission::approve_early(&it.engine, &Principal::CommandLine, &ids, "agreed by mail").await.unwrap(), 0);
    let filter = audit::Filter { action: "commission.approved".to_owned(), search: "ORD_1".to_owned(), ..audit::Filter::default() };
    let page = audit::list(&it.engine, &analyst, &filter).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!((&page.entries[0].detail["reason"], &page.entries[0].detail["partner_id"]), (&json!("agreed by mail"), &json!("supabase")));
    assert!(page.actors.contains(&"command line".to_owned()));
    assert!(matches!(audit::list(&it.engine, &Principal::Anonymous, &filter).await, Err(Error::Unauthenticated)));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_statement_says_what_the_ledger_says_and_moves_its_commissions_on(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    for number in 1..=3 {
        it.sell(&format!("ord_{number}"), "49.00").await;
    }
    it.give_back("ord_2", Some("19.00")).await;
    it.turn_month().await;
    it.sell("ord_4", "10.00").await;
    let issued = it.issue(month).await.unwrap();
    assert_eq!((issued.number.as_str(), issued.line_count, issued.outcome), (format!("S-supabase-{month}-USD").as_str(), 4, Outcome::Due));
    // 3 × 9.80, less 20 % of 19.00; the sale after the month's end is not on it
    assert_eq!((issued.total_minor, it.receivable().await), (2560, 2560 + 200));
    assert_eq!(it.commission_states().await, ["invoiced", "invoiced", "invoiced", "approved"]);
    assert_eq!(statement::check(&it.engine, Some(issued.statement_id)).await.unwrap(), []);

    let whole = statement::export(&it.engine, &Principal::CommandLine, issued.statement_id).await.unwrap();
    assert_eq!(whole.lines.iter().map(|line| line.amount_minor).sum::<i64>(), 2560);
    assert_eq!(whole.lines[3].description, "taken back after a reversal: sale of $49.00");
    assert!(to_csv(&whole).contains(",25.60,USD"));
    let page = statement::lines(&it.engine, &Principal::CommandLine, issued.statement_id, 2).await.unwrap();
    assert_eq!((page.lines.len(), page.count), (0, 4));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_month_is_issued_once_when_it_is_over_and_in_order(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    it.sell("ord_1", "49.00").await;
    assert!(conflict(it.issue(month).await).starts_with(&format!("month {month} is not over")));
    it.turn_month().await;
    it.sell("ord_2", "49.00").await;
    it.turn_month().await;
    let wait = conflict(it.issue(month.next()).await);
    assert!(wait.contains("has to wait") && wait.contains(&month.to_string()), "{wait}");
    it.issue(month).await.unwrap();
    let again = conflict(it.issue(month).await);
    assert!(again.contains(&format!("`S-supabase-{month}-USD` was issued already")), "{again}");
    it.issue(month.next()).await.unwrap();
    let late = conflict(it.issue("2001-01".parse().unwrap()).await);
    assert!(late.contains("is closed"), "{late}");
    let eur = statement::issue(&it.engine, &Principal::CommandLine, &it.code.partner_id, month, "EUR".parse().unwrap()).await;
    assert!(conflict(eur).contains("would be empty"));
    assert!(
        conflict(statement::issue_month(&it.engine, &Principal::CommandLine, month).await).contains("no partner has anything to state")
    );
    let analyst = Principal::Operator { id: it.engine.new_id(), email: "reader@example.com".to_owned(), role: Role::Analyst };
    assert!(matches!(statement::issue_month(&it.engine, &analyst, month).await, Err(Error::Forbidden(_))));
    assert!(matches!(statement::list(&it.engine, &Principal::Anonymous, &statement::Filter::default()).await, Err(Error::Unauthenticated)));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn two_operators_who_issue_the_same_month_at_once_make_one_statement(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    it.sell("ord_1", "49.00").await;
    it.turn_month().await;
    let both = join_all((0..4).map(|_| statement::issue_month(&it.engine, &Principal::CommandLine, month))).await;
    assert_eq!(both.iter().filter(|result| result.is_ok()).count(), 1, "{both:?}");
    assert!(both.into_iter().all(|result| matches!(result, Ok(_) | Err(Error::Conflict(_)))));
    assert_eq!((it.count("statements").await, it.count("statement_lines").await), (1, 1));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_closed_statement_refuses_every_change(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    it.sell("ord_1", "49.00").await;
    it.turn_month().await;
    it.issue(month).await.unwrap();
    for statement in [
        "update statements set opening_minor = 1, total_minor = lines_minor + 1",
        "update statements set issued_by = 'nobody'",
        "update statements set partner_name = 'Nobody'",
        "delete from statements",
        "update statement_lines set amount_minor = 1",
        "update statement_lines set site = 'another'",
        "delete from statement_lines",
    ] {
        let error = sqlx::query(statement).execute(&it.engine.db).await.unwrap_err().to_string();
        assert!(error.contains("a closed period is immutable"), "{statement}: {error}");
    }
    let error = sqlx::query("update conversions set value_minor = 1").execute(&it.engine.db).await.unwrap_err().to_string();
    assert!(error.contains("never changes"), "{error}");
    let error = sqlx::query("truncate statement_lines").execute(&it.engine.db).await.unwrap_err().to_string();
    assert!(error.contains("is refused"), "{error}");
    let twice = sqlx::query("insert into statement_lines select * from statement_lines").execute(&it.engine.db).await.unwrap_err();
    assert!(twice.as_database_error().is_some_and(|error| error.is_unique_violation()), "{twice}");
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_files_of_a_closed_month_stay_the_same_byte_for_byte_whatever_becomes_known_later(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    let session_id: SessionId = it.engine.new_id();
    let sold_at = it.now();
    it.insert_click(sold_at - TimeDelta::hours(3), Some(session_id)).await;
    let sale = json!({ "conversion_id": "ord_1", "occurred_at": sold_at.to_rfc3339(), "amount": "49.00", "currency": "USD", "session_id": session_id });
    it.post("msg_1", "conversion.created", sale).await.unwrap();
    it.drain().await;
    it.turn_month().await;
    let issued = it.issue(month).await.unwrap();
    let files = it.files(issued.statement_id).await;
    assert!(files.iter().all(|file| file.contains("A site") && file.contains("ord_1") && file.contains("commission: sale of $49.00")));
    assert!(files[1].contains("Partner: Supabase Database (supabase)"), "{}", files[1]);

    // The session's last click before the sale was another one; and names change.
    let other = testing::plant_site(&it.engine, "Another site", &it.code.partner_id).await;
    let late = testing::click(&other, sold_at - TimeDelta::hours(1), Some(session_id));
    click::insert_history(&it.engine, std::slice::from_ref(&late)).await.unwrap();
    attribution::reconsider_clicks(&it.engine, &[late]).await.unwrap();
    assert!(attribution::recheck_one(&it.engine).await.unwrap());
    let site: Uuid = sqlx::query_scalar("select site_id from attributions").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(site, other.site_id.0);
    sqlx::query("update sites set name = name || ' of old'").execute(&it.engine.db).await.unwrap();
    let edit = PartnerEdit { display_name: Some("Supabase Inc.".to_owned()), ..PartnerEdit::default() };
    partner::update(&it.engine, &Principal::CommandLine, &it.code.partner_id, edit).await.unwrap();

    assert_eq!(it.files(issued.statement_id).await, files);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn verify_names_a_statement_that_somebody_with_all_rights_changed(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    it.sell("ord_1", "49.00").await;
    it.turn_month().await;
    let issued = it.issue(month).await.unwrap();
    let tamper = async |statement: &'static str| {
        let mut connection = it.engine.db.acquire().await.unwrap();
        sqlx::query("set session_replication_role = replica").execute(&mut *connection).await.unwrap();
        sqlx::query(statement).execute(&mut *connection).await.unwrap();
        sqlx::query("set session_replication_role = origin").execute(&mut *connection).await.unwrap();
    };
    let findings = async || {
        let report = ledger::verify(&it.engine).await.unwrap();
        assert!(report.findings.iter().all(|finding| finding.subject == format!("statement {}", issued.number)), "{:?}", report.findings);
        report.findings.into_iter().map(|finding| finding.what).collect::<Vec<_>>().join("; ")
    };
    tamper("update statement_lines set amount_minor = 990").await;
    let found = findings().await;
    assert!(found.contains("says 990, the ledger holds 980") && found.contains("says 1 lines of 980 in all, and has 1 of 990"), "{found}");
    tamper("update statement_lines set amount_minor = 980").await;
    tamper("update statements set opening_minor = 20, total_minor = 1000").await;
    let found = findings().await;
    assert!(found.contains("opens with 20, and the one before carried 0 forward"), "{found}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_is_below_the_minimum_payout_is_carried_forward_and_adds_up(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 2_500).await;
    let mut outcomes = Vec::new();
    let mut closed = month;
    for number in 1..=3 {
        it.sell(&format!("ord_{number}"), "49.00").await;
        it.turn_month().await;
        let issued = it.issue(closed).await.unwrap();
        outcomes.push((issued.total_minor, issued.outcome));
        closed = closed.next();
    }
    let below = Outcome::CarriedForward { why: CarryReason::BelowMinimum };
    assert_eq!(outcomes, [(980, below), (1960, below), (2940, Outcome::Due)]);
    // A month in which nothing happens and nothing is carried has no statement.
    it.turn_month().await;
    assert!(conflict(it.issue(closed).await).contains("would be empty"));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_preview_says_what_issuing_then_does(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    it.sell("ord_1", "49.00").await;
    it.turn_month().await;
    let drafts = statement::preview(&it.engine, &Principal::CommandLine, month).await.unwrap();
    let done = statement::issue_month(&it.engine, &Principal::CommandLine, month).await.unwrap();
    assert_eq!((drafts.len(), done.issued.len(), done.refused.len()), (1, 1, 0));
    assert_eq!((drafts[0].line_count, drafts[0].settlement.total_minor), (done.issued[0].line_count, done.issued[0].total_minor));
    assert_eq!(statement::preview(&it.engine, &Principal::CommandLine, month).await.unwrap(), []);
    let page = statement::list(&it.engine, &Principal::CommandLine, &statement::Filter { month: Some(month), ..Default::default() })
        .await
        .unwrap();
    assert_eq!((page.count, page.totals[0].due_minor, page.totals[0].paid_minor), (1, 980, 0));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn commissions_are_listed_by_state_search_and_size_with_what_each_state_comes_to(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    it.sell("small_1", "10.00").await;
    it.sell("LARGE_2", "90.00").await;
    it.turn_month().await;
    it.issue(month).await.unwrap();
    it.sell("small_3", "20.00").await;
    let list = async |filter: commission::Filter| commission::list(&it.engine, &Principal::CommandLine, &filter).await.unwrap();
    let ids = |page: &commission::Page| page.commissions.iter().map(|listed| listed.external_event_id.clone()).collect::<Vec<_>>();
    let all = list(commission::Filter { sort: commission::Sort::Largest, ..Default::default() }).await;
    assert_eq!((ids(&all), all.count), (vec!["LARGE_2".to_owned(), "small_3".to_owned(), "small_1".to_owned()], 3));
    assert!(all.commissions[0].statement.as_ref().is_some_and(|(_, number)| number.starts_with("S-supabase-")));
    let found = list(commission::Filter { search: Some("SMALL".to_owned()), ..Default::default() }).await;
    assert_eq!(ids(&found), ["small_3", "small_1"]);
    let invoiced = list(commission::Filter { state: Some(commission::State::Invoiced), ..Default::default() }).await;
    assert_eq!((invoiced.count, invoiced.sums.len()), (2, 2));
    let sum = invoiced.sums.iter().find(|sum| sum.state == commission::State::Invoiced).unwrap();
    assert_eq!((sum.commissions, sum.amount.amount_minor), (2, 2000));
    assert_eq!(ids(&list(commission::Filter { held_back: true, ..Default::default() }).await), Vec::<String>::new());
    assert_eq!(ids(&list(commission::Filter { to: Some(month.last_day()), ..Default::default() }).await).len(), 2);
    assert_eq!(ids(&list(commission::Filter { from: Some(month.next().first_day()), ..Default::default() }).await), ["small_3"]);
    assert_eq!(ids(&list(commission::Filter { page: 2, ..Default::default() }).await), Vec::<String>::new());
}
