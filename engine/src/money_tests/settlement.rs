//! From a statement to paid, and refunds that come at every point of it.

use chrono::NaiveDate;
use domain::{
    PayoutId, StatementId,
    ledger::TransactionKind,
    statement::{CarryReason, Month, Outcome, payout_csv},
};

use super::{
    month_close::{conflict, month_fixture},
    *,
};
use crate::{Error, payout, statement};

impl Fixture {
    async fn pay(&self, statements: &[StatementId]) -> PayoutId {
        let payout = payout::create(&self.engine, &Principal::CommandLine, statements).await.unwrap();
        self.mark(payout.payout_id).await.unwrap();
        payout.payout_id
    }

    async fn mark(&self, payout_id: PayoutId) -> crate::Result<()> {
        payout::mark_paid(&self.engine, &Principal::CommandLine, payout_id, "SEPA 4711", self.now().date_naive()).await
    }

    /// One sale of $100 on a statement of its month.
    async fn invoiced(&self, month: Month) -> StatementId {
        self.sell("ord_1", "100.00").await;
        self.turn_month().await;
        self.issue(month).await.unwrap().statement_id
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_paid_payout_moves_what_is_owed_to_cash_and_its_commissions_to_paid(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    let statement_id = it.invoiced(month).await;
    let payout = payout::create(&it.engine, &Principal::CommandLine, &[statement_id, statement_id]).await.unwrap();
    assert!(payout.reference.starts_with("P-") && payout.reference.ends_with("-0001"), "{}", payout.reference);
    assert_eq!((payout.amount.amount_minor, payout.paid.clone()), (2000, None));
    assert_eq!((it.balance("cash").await, it.commission_states().await), (0, vec!["invoiced".to_owned()]));
    let rows = payout::rows(&it.engine, &Principal::CommandLine, None).await.unwrap();
    let csv = payout_csv(&rows);
    assert!(csv.contains(&format!("{},Supabase Database,20.00,USD,S-supabase-{month}-USD", payout.reference)), "{csv}");

    it.mark(payout.payout_id).await.unwrap();
    assert_eq!((it.balance("cash").await, it.receivable().await, it.commission_states().await), (2000, 0, vec!["paid".to_owned()]));
    let paid = payout::find(&it.engine, &Principal::CommandLine, payout.payout_id).await.unwrap();
    assert_eq!(paid.paid.unwrap().bank_reference, "SEPA 4711");
    let head = statement::find(&it.engine, &Principal::CommandLine, statement_id).await.unwrap();
    assert!(head.settled_by.is_some_and(|settled| settled.paid_at.is_some()));
    assert_eq!(payout::due(&it.engine, &Principal::CommandLine).await.unwrap(), []);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_payout_that_is_marked_paid_many_times_at_once_is_paid_once(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    let statement_id = it.invoiced(month).await;
    let payout = payout::create(&it.engine, &Principal::CommandLine, &[statement_id]).await.unwrap();
    let marks = join_all((0..6).map(|_| it.mark(payout.payout_id))).await;
    assert_eq!(marks.iter().filter(|mark| mark.is_ok()).count(), 1);
    let since = format!("payout `{}` is paid since {}", payout.reference, it.now().date_naive());
    for mark in marks.into_iter().filter(Result::is_err) {
        assert_eq!(conflict(mark), since);
    }
    assert_eq!((it.balance("cash").await, it.receivable().await), (2000, 0));
    let entries: i64 =
        sqlx::query_scalar("select count(*) from audit_entries where action = 'payout.paid'").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(entries, 1);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_statement_gets_into_one_payout_even_if_two_are_made_at_once(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    let statement_id = it.invoiced(month).await;
    let ids = [statement_id];
    let payouts = join_all((0..4).map(|_| payout::create(&it.engine, &Principal::CommandLine, &ids))).await;
    assert_eq!(payouts.iter().filter(|payout| payout.is_ok()).count(), 1);
    assert_eq!(it.count("payouts").await, 1);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_payout_refuses_what_it_cannot_settle(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 1_500).await;
    let create = async |ids: &[StatementId]| payout::create(&it.engine, &Principal::CommandLine, ids).await;
    assert!(matches!(create(&[]).await, Err(Error::Invalid { field, .. }) if field == "statements"));
    assert!(matches!(create(&[it.engine.new_id()]).await, Err(Error::NotFound { .. })));
    let due = it.invoiced(month).await;
    it.sell("ord_2", "10.00").await;
    it.turn_month().await;
    let carried = it.issue(month.next()).await.unwrap().statement_id;
    assert!(conflict(create(&[due, carried]).await).contains("was carried forward"));
    assert_eq!(it.count("payouts").await, 0);

    let payout = create(&[due]).await.unwrap();
    assert!(conflict(create(&[due]).await).contains(&format!("is in payout `{}` already", payout.reference)));
    let mark = async |reference: &str, on: NaiveDate| {
        payout::mark_paid(&it.engine, &Principal::CommandLine, payout.payout_id, reference, on).await
    };
    let today = it.now().date_naive();
    assert!(matches!(mark(" ", today).await, Err(Error::Invalid { field, .. }) if field == "bank_reference"));
    assert!(matches!(mark("SEPA", today.succ_opt().unwrap()).await, Err(Error::Invalid { field, .. }) if field == "paid_on"));
    assert!(matches!(mark("SEPA", month.first_day()).await, Err(Error::Invalid { field, .. }) if field == "paid_on"));
    assert!(matches!(it.mark(it.engine.new_id()).await, Err(Error::NotFound { .. })));
    assert!(matches!(payout::create(&it.engine, &Principal::Anonymous, &[due]).await, Err(Error::Unauthenticated)));
    assert_eq!(it.balance("cash").await, 0);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_payout_never_mixes_partners_or_currencies(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    let due = it.invoiced(month).await;
    for (partner, currency) in [("railway", "USD"), ("supabase", "EUR")] {
        let other: StatementId = it.engine.new_id();
        sqlx::query(
            "insert into statements (statement_id, number, partner_id, partner_name, month, currency, opening_minor, lines_minor, total_minor, line_count,
                                     minimum_payout_minor, outcome, issued_at, issued_by)
             values ($1, 'S-' || $2 || $3, $2, $2, $4, $3, 0, 500, 500, 1, 0, 'due', $5, 'test')",
        )
        .bind(other)
        .bind(partner)
        .bind(currency)
        .bind(month.first_day())
        .bind(it.now())
        .execute(&it.engine.db)
        .await
        .unwrap();
        let refused = payout::create(&it.engine, &Principal::CommandLine, &[due, other]).await;
        assert!(
            matches!(refused, Err(Error::Invalid { reason, .. }) if reason.contains("not of one partner and currency")),
            "{partner} {currency}"
        );
    }
    assert_eq!(it.count("payouts").await, 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_payout_also_settles_what_was_carried_forward_into_its_statement(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 1_500).await;
    for (number, closed) in [(1, month), (2, month.next())] {
        it.sell(&format!("ord_{number}"), "49.00").await;
        it.turn_month().await;
        it.issue(closed).await.unwrap();
    }
    it.sell("ord_3", "49.00").await;
    let due = payout::due(&it.engine, &Principal::CommandLine).await.unwrap();
    assert_eq!((due.len(), due[0].amount.amount_minor), (1, 1960));
    it.pay(&[due[0].statement_id]).await;
    assert_eq!(it.commission_states().await, ["paid", "paid", "pending"]);
    assert_eq!((it.balance("cash").await, it.receivable().await), (1960, 980));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_refund_before_the_month_is_issued_is_on_the_same_statement(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    it.sell("ord_1", "100.00").await;
    it.give_back("ord_1", Some("25.00")).await;
    it.turn_month().await;
    let issued = it.issue(month).await.unwrap();
    assert_eq!((issued.line_count, issued.total_minor), (2, 1500));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_refund_after_the_statement_is_a_negative_line_of_the_next(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    let first = it.invoiced(month).await;
    it.give_back("ord_1", Some("25.00")).await;
    it.sell("ord_2", "100.00").await;
    it.turn_month().await;
    let second = it.issue(month.next()).await.unwrap();
    assert_eq!((second.line_count, second.total_minor, second.outcome), (2, 1500, Outcome::Due));
    assert_eq!(statement::find(&it.engine, &Principal::CommandLine, first).await.unwrap().total_minor, 2000);
    it.pay(&[first, second.statement_id]).await;
    assert_eq!((it.balance("cash").await, it.receivable().await), (3500, 0));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_refund_after_the_payout_is_a_negative_balance_that_carries_forward_until_it_is_earned_back(db: PgPool) {
    let (it, month) = month_fixture(db, 0, 0).await;
    let first = it.invoiced(month).await;
    it.pay(&[first]).await;
    it.give_back("ord_1", None).await;
    assert_eq!((it.commission_states().await, it.receivable().await), (vec!["reversed".to_owned()], -2000));
    it.turn_month().await;
    let second = it.issue(month.next()).await.unwrap();
    assert_eq!((second.total_minor, second.outcome), (-2000, Outcome::CarriedForward { why: CarryReason::Negative }));
    let line = statement::lines(&it.engine, &Principal::CommandLine, second.statement_id, 1).await.unwrap().lines.remove(0);
    assert_eq!((line.kind, line.amount_minor, line.conversion_external_id.as_str()), (TransactionKind::Reversal, -2000, "ord_1"));
    assert!(conflict(payout::create(&it.engine, &Principal::CommandLine, &[second.statement_id]).await).contains("was carried forward"));

    it.sell("ord_2", "150.00").await;
    it.turn_month().await;
    let third = it.issue(month.next().next()).await.unwrap();
    assert_eq!((third.total_minor, third.outcome), (1000, Outcome::Due));
    it.pay(&[third.statement_id]).await;
    assert_eq!((it.balance("cash").await, it.receivable().await), (3000, 0));
    assert_eq!(it.commission_states().await, ["reversed", "paid"]);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_sale_that_was_wholly_taken_back_before_its_approval_is_on_no_statement(db: PgPool) {
    let (it, month) = month_fixture(db, 20, 0).await;
    it.sell("ord_1", "100.00").await;
    it.give_back("ord_1", None).await;
    it.turn_month().await;
    assert!(conflict(it.issue(month).await).contains("would be empty"));
    assert_eq!((it.receivable().await, it.balance("held_commission").await), (0, 0));
    assert!(it.is_clean().await);
}
