//! Imports on a real database: what a file says once, however often and on whatever way it is said, has one effect.

use chrono::TimeDelta;
use domain::{
    ImportId,
    auth::Principal,
    import::{Field, Format},
};
use serde_json::json;
use sqlx::PgPool;

use super::{Import, ImportState, Step, claim, dry_run, effects, errors_csv, find, list, preview, save_mapping, start, step, upload};
use crate::{
    Error,
    inbound::tests::{It, it},
    webhook,
};

const WHO: Principal = Principal::CommandLine;

const HEADER: &str = "event,conversion_id,reversal_id,type,occurred_at,amount,currency,click_id";

impl It {
    async fn upload(&self, name: &str, text: &str) -> ImportId {
        upload(&self.engine, &WHO, &self.partner_id, name, text.as_bytes().to_vec()).await.unwrap()
    }

    /// Runs every import that was started, and works off the queue between the batches.
    async fn run(&self) {
        while let Some(run) = claim(&self.engine).await.unwrap() {
            while step(&self.engine, &run).await.unwrap() != Step::Ended {
                self.drain().await;
            }
        }
        self.drain().await;
    }

    async fn import(&self, name: &str, text: &str) -> Import {
        let id = self.upload(name, text).await;
        start(&self.engine, &WHO, id).await.unwrap();
        self.run().await;
        find(&self.engine, &WHO, id).await.unwrap()
    }

    fn sale_row(&self, id: &str, amount: &str) -> String {
        let at = self.now() - TimeDelta::minutes(1);
        format!("conversion,{id},,sale,{},{amount},USD,{}", at.format("%Y-%m-%dT%H:%M:%SZ"), self.click_before(at))
    }
}

fn counts(import: &Import) -> (i32, i32, i32, i32) {
    (import.rows_done, import.rows_new, import.rows_duplicate, import.rows_failed)
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn good_doubled_and_bad_rows_are_told_before_anything_is_written_and_done_after(db: PgPool) {
    let it = it(db).await;
    it.create(None, &it.sale("ord_there", "30.00", "USD", it.now())).await.unwrap();
    let file = [
        HEADER.to_owned(),
        it.sale_row("ord_1", "49.00"),
        it.sale_row("ord_2", "100.00"),
        it.sale_row("ord_there", "30.00"),
        it.sale_row("ord_1", "49.00"),
        it.sale_row("ord_3", "abc"),
        it.sale_row("ord_1", "50.00"),
        "conversion,ord_4,,sale,2099-01-01,1.00,USD,".to_owned(),
        format!("reversal,ord_2,re_1,,{},25.00,USD,", it.now().format("%Y-%m-%d")),
    ]
    .join("\n");
    let id = it.upload("C:\\sales\\november.csv", &file).await;
    let logged = it.count("webhook_deliveries").await;

    let seen = preview(&it.engine, &WHO, id).await.unwrap();
    assert_eq!((seen.headers.len(), seen.rows.len(), seen.invalid_mapping, seen.errors_total), (8, 8, None, 1));
    assert_eq!(seen.errors[0].to_string(), "line 6, column `amount`: `abc` should be an amount such as 1234.56");
    let before = dry_run(&it.engine, &WHO, id).await.unwrap();
    assert_eq!((before.new, before.duplicate, before.failed), (3, 2, 3));
    let lines: Vec<_> = before.errors.iter().map(|error| (error.line, error.column.as_str())).collect();
    assert_eq!(lines, [(6, "amount"), (7, "amount"), (8, "occurred_at")]);
    assert_eq!(before.errors[1].expected, "$49.00, as `ord_1` was recorded before: one id is one event");
    assert_eq!((it.count("webhook_deliveries").await, it.count("conversions").await), (logged, 1), "a dry run writes nothing");

    start(&it.engine, &WHO, id).await.unwrap();
    it.run().await;
    let import = find(&it.engine, &WHO, id).await.unwrap();
    assert_eq!((import.state, counts(&import), import.file_name.as_str()), (ImportState::Finished, (8, 3, 2, 3), "november.csv"));
    assert_eq!(import.row_errors, before.errors);
    // 30.00 + 49.00 + 100.00 - 25.00, of which a fifth
    assert_eq!((it.receivable().await, it.count("conversions").await), (600 + 980 + 1500, 3));
    let sources: Vec<String> = sqlx::query_scalar("select source from conversions order by 1").fetch_all(&it.engine.db).await.unwrap();
    assert_eq!(sources, ["api", "csv", "csv"]);
    let outcome = effects(&it.engine, &WHO, id).await.unwrap();
    assert_eq!((outcome.waiting, outcome.processed, outcome.given_up_total), (0, 3, 0));
    let csv = errors_csv(&it.engine, &WHO, id).await.unwrap();
    assert_eq!(csv.lines().next(), Some("line,column,value,expected"));
    assert!(csv.contains("6,amount,abc,"), "{csv}");
    it.assert_books_are_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_same_file_again_and_one_that_overlaps_have_no_second_effect(db: PgPool) {
    let it = it(db).await;
    let rows: Vec<String> = (0..6).map(|number| it.sale_row(&format!("ord_{number}"), "10.00")).collect();
    let first = format!("{HEADER}\n{}\n", rows[..4].join("\n"));
    let import = it.import("first.csv", &first).await;
    assert_eq!(counts(&import), (4, 4, 0, 0));
    assert_eq!(it.upload("again.csv", &first).await, import.import_id);
    assert!(matches!(start(&it.engine, &WHO, import.import_id).await, Err(Error::Conflict(_))));

    let overlapping = it.import("second.csv", &format!("{HEADER}\n{}\n", rows[2..].join("\n"))).await;
    assert_eq!(counts(&overlapping), (4, 2, 2, 0));
    assert_eq!((it.receivable().await, it.count("conversions").await), (1200, 6));

    // Mapped anew and run again: everything is there already.
    save_mapping(&it.engine, &WHO, import.import_id, import.mapping.clone()).await.unwrap();
    start(&it.engine, &WHO, import.import_id).await.unwrap();
    it.run().await;
    assert_eq!(counts(&find(&it.engine, &WHO, import.import_id).await.unwrap()), (4, 0, 4, 0));
    assert_eq!(it.receivable().await, 1200);
    let all = list(&it.engine, &WHO, None).await.unwrap();
    assert_eq!((all.imports.len(), all.imports[0].file_name.as_str(), all.next), (2, "second.csv", None));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_interrupted_run_goes_on_where_it_was_and_two_workers_never_double_it(db: PgPool) {
    let it = it(db).await;
    let rows: Vec<String> = (0..450).map(|number| it.sale_row(&format!("ord_{number}"), "10.00")).collect();
    let id = it.upload("large.csv", &format!("{HEADER}\n{}\n", rows.join("\n"))).await;
    start(&it.engine, &WHO, id).await.unwrap();
    let first = claim(&it.engine).await.unwrap().unwrap();
    assert_eq!(step(&it.engine, &first).await.unwrap(), Step::Advanced);
    assert_eq!(step(&it.engine, &first).await.unwrap(), Step::Waiting, "a whole file must not stand before what partners send");
    assert_eq!(counts(&find(&it.engine, &WHO, id).await.unwrap()), (200, 200, 0, 0));
    assert!(claim(&it.engine).await.unwrap().is_none(), "somebody runs it");

    // The first worker is silent for longer than its lease.
    it.engine.clock.advance(TimeDelta::minutes(2));
    let second = claim(&it.engine).await.unwrap().unwrap();
    it.drain().await;
    assert_eq!(step(&it.engine, &first).await.unwrap(), Step::Ended, "its lease is gone");
    assert_eq!(step(&it.engine, &second).await.unwrap(), Step::Advanced);
    it.drain().await;
    assert_eq!(step(&it.engine, &second).await.unwrap(), Step::Ended);
    it.drain().await;
    let import = find(&it.engine, &WHO, id).await.unwrap();
    assert_eq!((import.state, counts(&import)), (ImportState::Finished, (450, 450, 0, 0)));
    assert_eq!((it.count("conversions").await, it.receivable().await), (450, 90_000));
    assert!(claim(&it.engine).await.unwrap().is_none());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_the_books_refuse_is_listed_with_its_line(db: PgPool) {
    let it = it(db).await;
    let refund = format!("reversal,ord_1,re_1,,{},5.00,EUR,", it.now().format("%Y-%m-%d"));
    let import = it.import("mixed.csv", &format!("{HEADER}\n{}\n{refund}\n", it.sale_row("ord_1", "49.00"))).await;
    assert_eq!(counts(&import), (2, 2, 0, 0));
    let outcome = effects(&it.engine, &WHO, import.import_id).await.unwrap();
    // Whichever of the two is worked off first.
    assert_eq!((outcome.processed, outcome.given_up_total), (1, 1));
    assert_eq!((outcome.given_up[0].line, outcome.given_up[0].reason.as_str()), (3, "currency: `EUR` is not the conversion's USD"));
    assert_eq!(it.receivable().await, 980);

    // Corrected, under the same id.
    let corrected = it.import("corrected.csv", &format!("{HEADER}\n{}\n", refund.replace("EUR", "USD"))).await;
    assert_eq!(counts(&corrected), (1, 1, 0, 0));
    assert_eq!(it.receivable().await, 880);
    let outcome = effects(&it.engine, &WHO, corrected.import_id).await.unwrap();
    assert_eq!((outcome.processed, outcome.given_up_total), (1, 0));
    assert_eq!(effects(&it.engine, &WHO, import.import_id).await.unwrap().given_up_total, 0, "it is given up no longer");
    let both = format!("{HEADER}\n{}\n{}\n", it.sale_row("ord_1", "49.00"), refund.replace("EUR", "USD"));
    assert_eq!((counts(&it.import("both.csv", &both).await), it.receivable().await), ((2, 0, 2, 0), 880));
    it.assert_books_are_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_exports_of_other_programs_bring_their_refunds(db: PgPool) {
    let it = it(db).await;
    let rewardful = "id,currency,sale.sale_amount_cents,sale.refund_amount_cents,sale.stripe_charge_id,sale.charged_at,link.token\n\
                     1,usd,10000,2500,ch_1,2026-11-20T10:00:00Z,\n2,usd,5000,0,ch_2,2026-11-20T11:00:00Z,\n";
    let import = it.import("rewardful.csv", rewardful).await;
    assert_eq!((import.mapping.format, counts(&import)), (Format::Rewardful, (2, 2, 0, 0)));
    let reversed: Vec<(String, i64)> =
        sqlx::query_as("select external_event_id, reversed_minor from conversions order by 1").fetch_all(&it.engine.db).await.unwrap();
    assert_eq!(reversed, [("ch_1".to_owned(), 2500), ("ch_2".to_owned(), 0)]);

    // A later export: one refund has grown, the other is new.
    let later = it.import("rewardful-2.csv", &rewardful.replace("2500", "4000").replace("5000,0", "5000,5000")).await;
    assert_eq!(counts(&later), (2, 1, 0, 1));
    assert!(later.row_errors[0].expected.starts_with("$25.00, as `ch_1/refund` was recorded before"), "{:?}", later.row_errors);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_a_webhook_brings_while_the_file_is_read_is_a_duplicate(db: PgPool) {
    let it = it(db).await;
    let id = it.upload("sales.csv", &format!("{HEADER}\n{}\n", it.sale_row("ord_1", "49.00"))).await;
    assert_eq!(dry_run(&it.engine, &WHO, id).await.unwrap().new, 1);
    let data = json!({ "conversion_id": "ord_1", "occurred_at": it.now().to_rfc3339(), "amount": "49.00", "currency": "USD", "click_id": it.click_before(it.now()) });
    webhook::enqueue(&it.engine, &it.partner_id, "events", "msg_1", &json!({ "type": "conversion.created", "data": data })).await.unwrap();
    start(&it.engine, &WHO, id).await.unwrap();
    it.run().await;
    assert_eq!((it.count("conversions").await, it.receivable().await), (1, 980));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn wrong_files_mappings_and_people_are_refused_by_name(db: PgPool) {
    let it = it(db).await;
    let refused = async |text: &[u8]| match upload(&it.engine, &WHO, &it.partner_id, "x.csv", text.to_vec()).await {
        Err(Error::Invalid { field, reason }) if field == "file" => reason,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(refused(b"").await, "line 1: the file is empty, expected a line of column names");
    assert_eq!(refused(b"id,amount\n").await, "has a header but no rows");
    assert!(refused(b"id\n\xff\n").await.contains("UTF-8"));
    assert!(refused(&vec![b'a'; super::FILE_BYTES_MAX + 1]).await.contains("expected at most"));
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(upload(&it.engine, &WHO, &nobody, "x.csv", b"id\n1\n".to_vec()).await, Err(Error::NotFound { .. })));
    assert!(matches!(
        upload(&it.engine, &Principal::Anonymous, &it.partner_id, "x.csv", b"id\n1\n".to_vec()).await,
        Err(Error::Unauthenticated)
    ));

    let id = it.upload("x.csv", "order,when,how much\n1,2026-11-20,5.00\n").await;
    let invalid = |result: Result<(), Error>| match result {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(preview(&it.engine, &WHO, id).await.unwrap().invalid_mapping.unwrap().field, Field::OccurredAt);
    assert_eq!(invalid(start(&it.engine, &WHO, id).await), "occurred_at");
    let mut mapping = find(&it.engine, &WHO, id).await.unwrap().mapping;
    mapping.columns.insert(Field::OccurredAt, "nowhere".to_owned());
    assert_eq!(invalid(save_mapping(&it.engine, &WHO, id, mapping.clone()).await), "occurred_at");
    mapping.columns.insert(Field::OccurredAt, "when".to_owned());
    mapping.columns.insert(Field::Amount, "how much".to_owned());
    assert_eq!(invalid(save_mapping(&it.engine, &WHO, id, mapping.clone()).await), "currency");
    mapping.currency = Some("USD".parse().unwrap());
    save_mapping(&it.engine, &WHO, id, mapping.clone()).await.unwrap();
    assert_eq!(dry_run(&it.engine, &WHO, id).await.unwrap().new, 1);
    assert!(matches!(start(&it.engine, &Principal::Anonymous, id).await, Err(Error::Unauthenticated)));
    start(&it.engine, &WHO, id).await.unwrap();
    assert!(matches!(save_mapping(&it.engine, &WHO, id, mapping).await, Err(Error::Conflict(_))));
    let unknown = it.engine.new_id();
    assert!(matches!(find(&it.engine, &WHO, unknown).await, Err(Error::NotFound { .. })));
    assert!(matches!(dry_run(&it.engine, &Principal::Anonymous, id).await, Err(Error::Unauthenticated)));
}
