//! The traffic tables' partitions by month, made ahead of time.

use chrono::{DateTime, Utc};

use crate::{Engine, Error, Result};

const PARENTS: [&str; 3] = ["clicks", "recommendations", "impressions"];

/// Makes the partitions for this month and the next two, and for `months_back` before, that are not there yet. Each is made on its own, and
/// no statement waits for longer than half a second for a lock, since traffic would queue behind it.
///
/// # Errors
/// Some could not be made: something else held a lock. The same call may work later; until then, rows go to the default partition.
pub async fn ensure_partitions(engine: &Engine, months_back: i32) -> Result<()> {
    let mut outcome = Ok(());
    for (parent, month) in missing(engine, months_back).await? {
        let made = sqlx::query!("select ensure_month_partition($1, $2)", parent, month).execute(&engine.db).await;
        if let Err(error) = made {
            outcome = Err(Error::from(error));
        }
    }
    outcome
}

/// Tables and months without a partition; a look that locks nothing.
async fn missing(engine: &Engine, months_back: i32) -> Result<Vec<(String, DateTime<Utc>)>> {
    let missing = sqlx::query!(
        r#"select parent as "parent!", month as "month!"
           from unnest($3::text[]) as parent
           cross join generate_series(-$2::int, 2) as months_ahead
           cross join lateral (select $1::timestamptz + make_interval(months => months_ahead) as month) as wanted
           where to_regclass(parent || to_char(month at time zone 'UTC', '"_"YYYY_MM')) is null"#,
        engine.now(),
        months_back,
        &PARENTS as &[&str],
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(missing.into_iter().map(|row| (row.parent, row.month)).collect())
}

/// The traffic tables with rows in their default partition. The months of these rows get no partition of their own, until somebody moves
/// them.
pub async fn tables_with_stray_rows(engine: &Engine) -> Result<Vec<&'static str>> {
    let found = sqlx::query!(
        r#"select exists (select from clicks_default) as "clicks!", exists (select from recommendations_default) as "recommendations!",
                  exists (select from impressions_default) as "impressions!""#
    )
    .fetch_one(&engine.db)
    .await?;
    let found = [found.clicks, found.recommendations, found.impressions];
    Ok(PARENTS.into_iter().zip(found).filter_map(|(parent, stray)| stray.then_some(parent)).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use chrono::TimeDelta;
    use sqlx::PgPool;

    use super::*;
    use crate::testing;

    async fn partitions(db: &PgPool, parent: &str) -> Vec<String> {
        sqlx::query_scalar("select inhrelid::regclass::text from pg_inherits where inhparent = $1::regclass order by 1")
            .bind(parent)
            .fetch_all(db)
            .await
            .unwrap()
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn months_are_there_ahead_of_time_with_the_indexes_of_the_table(db: PgPool) {
        let engine = testing::engine(db.clone());
        ensure_partitions(&engine, 1).await.unwrap();
        ensure_partitions(&engine, 1).await.unwrap();
        for parent in PARENTS {
            assert_eq!(partitions(&db, parent).await.len(), 5, "four months and the default of {parent}");
            let partition = format!("{parent}_{}", engine.now().format("%Y_%m"));
            let count = "select count(*) from pg_index where indrelid = $1::regclass";
            let indexes = async |table: &str| sqlx::query_scalar::<_, i64>(count).bind(table).fetch_one(&db).await.unwrap();
            assert_eq!(indexes(&partition).await, indexes(parent).await, "{partition}");
        }
        assert!(tables_with_stray_rows(&engine).await.unwrap().is_empty());
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_long_report_keeps_a_month_from_being_made_but_no_click_from_being_written(db: PgPool) {
        let engine = testing::engine(db.clone());
        ensure_partitions(&engine, 0).await.unwrap();
        let mut report = db.begin().await.unwrap();
        sqlx::query("select count(*) from clicks").execute(&mut *report).await.unwrap();

        engine.clock.advance(TimeDelta::days(31));
        let (made, written) = tokio::join!(ensure_partitions(&engine, 0), async {
            let mut connection = db.acquire().await.unwrap();
            sqlx::query("set lock_timeout = '5s'").execute(&mut *connection).await.unwrap();
            // A row of a month that has its partition, written while the new one waits for its lock.
            sqlx::query("insert into clicks select gen_random_uuid(), now(), '', '', gen_random_uuid(), '', null, null, '', false, true")
                .execute(&mut *connection)
                .await
        });
        assert!(matches!(made, Err(Error::Unavailable(_))), "{made:?}");
        written.unwrap();
        report.commit().await.unwrap();
        ensure_partitions(&engine, 0).await.unwrap();
        assert_eq!(missing(&engine, 0).await.unwrap(), []);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn rows_without_a_month_are_told_of(db: PgPool) {
        let engine = testing::engine(db.clone());
        sqlx::query("insert into impressions select gen_random_uuid(), 'p', now(), now(), gen_random_uuid(), 0::smallint")
            .execute(&db)
            .await
            .unwrap();
        ensure_partitions(&engine, 0).await.unwrap();
        assert_eq!(tables_with_stray_rows(&engine).await.unwrap(), ["impressions"]);
    }
}
