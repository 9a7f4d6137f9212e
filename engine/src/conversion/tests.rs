//! The lists, the file and the detail, on a real database.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::{
    auth::Principal,
    conversion::{ConversionType, Source},
    ledger::Account,
};
use sqlx::PgPool;

use super::*;
use crate::{
    attribution::tests::{Fixture, analyst, by_token, customer, fixture, supabase},
    ledger,
};

/// 130 conversions that nobody claims, in two currencies, ten of them at the same time and of the same value.
async fn many(db: PgPool) -> Fixture {
    let it = fixture(db).await;
    sqlx::query(
        "insert into conversions (conversion_id, partner_id, external_event_id, conversion_type, occurred_at, received_at, value_minor,
                                  currency, source, state, referral_code)
         select gen_random_uuid(), case when n % 13 = 0 then 'figma' else 'supabase' end, 'ord_' || n, case when n % 2 = 0 then 'sale' else 'lead' end,
                $1::timestamptz - make_interval(hours => n / 10), $1, 100 * (n / 10), case when n % 3 = 0 then 'EUR' else 'USD' end,
                case when n % 5 = 0 then 'csv' else 'api' end, case when n % 4 = 0 then 'expired' else 'unattributed' end, 'p4s_code_' || n
         from generate_series(0, 129) n",
    )
    .bind(it.now())
    .execute(&it.engine.db)
    .await
    .unwrap();
    it
}

async fn all_pages(it: &Fixture, filter: Filter) -> Vec<Line> {
    let (mut lines, mut filter) = (Vec::new(), filter);
    loop {
        let page = list(&it.engine, &analyst(), &filter).await.unwrap();
        lines.extend(page.lines);
        // As a URL carries it.
        match page.next {
            Some(next) => filter.after = Some(next.to_string().parse().unwrap()),
            None => return lines,
        }
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn every_order_shows_each_conversion_once_over_its_pages(db: PgPool) {
    let it = many(db).await;
    for (number, amount) in ["49.00", "10.00", "49.00", "0.00"].into_iter().enumerate() {
        it.sale(&format!("sale_{number}"), amount, by_token(it.token(0, it.now() - TimeDelta::hours(1)))).await;
    }
    for sort in [Sort::Newest, Sort::Oldest, Sort::Value, Sort::Commission] {
        let lines = all_pages(&it, Filter { sort, ..Filter::default() }).await;
        let ids: BTreeSet<_> = lines.iter().map(|line| line.conversion_id).collect();
        assert_eq!((lines.len(), ids.len()), (134, 134), "{sort:?}");
        let sorted = match sort {
            Sort::Newest => lines.is_sorted_by(|a, b| a.occurred_at >= b.occurred_at),
            Sort::Oldest => lines.is_sorted_by(|a, b| a.occurred_at <= b.occurred_at),
            Sort::Value => lines.is_sorted_by(|a, b| {
                let key = |line: &Line| (line.value.currency.code(), -line.value.amount_minor);
                key(a) <= key(b)
            }),
            Sort::Commission => {
                let largest: Vec<_> = lines.iter().take(5).map(|line| line.commission.map(|commission| commission.amount_minor)).collect();
                largest == [Some(980), Some(980), Some(200), Some(0), None]
            }
        };
        assert!(sorted, "{sort:?}");
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn each_filter_admits_what_it_says(db: PgPool) {
    let it = many(db).await;
    let count = async |filter: Filter| all_pages(&it, filter).await.len();
    let all = Filter::default;
    assert_eq!(count(Filter { partner_id: Some("figma".parse().unwrap()), ..all() }).await, 10);
    assert_eq!(count(Filter { states: vec![ConversionState::Expired], ..all() }).await, 33);
    assert_eq!(count(Filter { states: vec![ConversionState::Expired, ConversionState::Unattributed], ..all() }).await, 130);
    assert_eq!(count(Filter { conversion_type: Some(ConversionType::Lead), ..all() }).await, 65);
    assert_eq!(count(Filter { source: Some(Source::Csv), ..all() }).await, 26);
    assert_eq!(count(Filter { from: Some(it.now() - TimeDelta::minutes(90)), ..all() }).await, 20);
    assert_eq!(count(Filter { to: Some(it.now() - TimeDelta::minutes(90)), ..all() }).await, 110);
    let search = async |text: &str| count(Filter { search: Some(text.to_owned()), ..all() }).await;
    assert_eq!([search("ord_12").await, search("ORD_129").await, search("CODE_129").await], [11, 1, 1]);
    assert_eq!([search("%").await, search("ord_1_9").await, search("nothing").await], [0, 0, 0], "no letter is a wildcard");
    let one = all_pages(&it, all()).await.remove(7).conversion_id;
    assert_eq!(search(&one.to_string()).await, 1);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_cursor_of_another_order_and_strangers_are_refused(db: PgPool) {
    let it = many(db).await;
    let by_time = list(&it.engine, &analyst(), &Filter::default()).await.unwrap().next;
    let mixed = Filter { sort: Sort::Value, after: by_time, ..Filter::default() };
    assert!(matches!(list(&it.engine, &analyst(), &mixed).await, Err(Error::Invalid { field, .. }) if field == "after"));
    assert!(matches!(list(&it.engine, &Principal::Anonymous, &Filter::default()).await, Err(Error::Unauthenticated)));
    assert!(matches!(export(&it.engine, &Principal::Anonymous, &Filter::default()).await, Err(Error::Unauthenticated)));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_file_holds_all_pages_and_no_cell_is_a_formula(db: PgPool) {
    let it = many(db).await;
    it.sale("=1+1", "49.00", by_token(it.token(0, it.now() - TimeDelta::hours(1)))).await;
    let file = export(&it.engine, &analyst(), &Filter::default()).await.unwrap();
    assert_eq!(file.lines().count(), 132);
    let sale = file.lines().find(|line| line.contains("1+1")).unwrap();
    assert!(sale.contains(",supabase,'=1+1,sale,webhook,"), "{sale}");
    assert!(sale.contains(",49.00,0.00,USD,attributed,"), "{sale}");
    assert!(sale.ends_with(",1,click_token,Site 0,9.80,USD,pending"), "{sale}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_detail_tells_journey_receipt_bookings_and_what_may_be_done(db: PgPool) {
    let it = fixture(db).await;
    let (id, _) = it.sale("ord_1", "49.00", by_token(it.token(0, it.now() - TimeDelta::hours(1)))).await;
    let detail = find(&it.engine, &analyst(), id).await.unwrap();
    assert_eq!(detail.line.commission.unwrap().to_string(), "$9.80");
    assert_eq!((detail.touches.len(), detail.touches[0].commission_minor), (1, 980));
    assert_eq!(detail.commission.unwrap().receipt.steps[0], "base = $49.00 × 0.2 = 9.8 USD");
    let entries: Vec<_> = detail.bookings[0].entries.iter().map(|entry| (entry.account, entry.amount_minor)).collect();
    assert_eq!(entries, [(Account::PartnerReceivable, 980), (Account::HeldCommission, -980)]);
    assert_eq!((detail.bookings[0].seal_position, detail.not_by_hand.as_deref()), (None, Some("it is attributed already")));
    ledger::seal_all(&it.engine).await.unwrap();
    let sealed = find(&it.engine, &analyst(), id).await.unwrap();
    assert!(sealed.bookings[0].seal_position.is_some());

    let (waiting, _) = it.sale("ord_2", "49.00", customer("cus_1")).await;
    let detail = find(&it.engine, &analyst(), waiting).await.unwrap();
    assert_eq!((detail.touches.len(), detail.commission, detail.not_by_hand), (0, None, None));
    assert_eq!((detail.terms.unwrap().partner_id, detail.claim.user_identifier.as_deref()), (supabase(), Some("cus_1")));
    let nobody = find(&it.engine, &analyst(), ConversionId(uuid::Uuid::from_u128(7))).await;
    assert!(matches!(nobody, Err(Error::NotFound { .. })));
}
