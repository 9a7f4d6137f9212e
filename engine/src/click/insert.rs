//! The statements that write clicks, and count them by hour and partner.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::dashboard::hour_of;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Click;

/// Inserts clicks that were never inserted before, and counts them, in one statement. It asks less of Postgres than
/// [`again`]: no row is looked up first, and none is confirmed or returned.
pub async fn new(connection: &mut PgConnection, clicks: &[Click], shard: i16) -> sqlx::Result<()> {
    let mut columns = Columns::with_capacity(clicks.len());
    let mut counts = Counts::default();
    for click in clicks {
        columns.push(click);
        counts.add(click);
    }
    let ((hours, partner_ids), (counted, uncounted)): ((Vec<_>, Vec<_>), (Vec<_>, Vec<_>)) = counts.0.into_iter().unzip();
    sqlx::query!(
        r#"with added as (
               insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id,
                                   source_url, agent_class, bot, counted, ip_hash, country, recommendation_id)
               select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::uuid[],
                                    $8::text[], $9::text[], $10::bool[], $11::bool[], $12::bytea[], $13::text[], $14::uuid[])
           )
           insert into hourly_counts as h (hour, partner_id, shard, clicks, clicks_uncounted)
           select hour, partner_id, $15, counted, uncounted
           from unnest($16::timestamptz[], $17::text[], $18::bigint[], $19::bigint[]) as batch (hour, partner_id, counted, uncounted)
           on conflict (hour, partner_id, shard) do update
           set clicks = h.clicks + excluded.clicks, clicks_uncounted = h.clicks_uncounted + excluded.clicks_uncounted"#,
        &columns.click_id,
        &columns.clicked_at,
        &columns.referral_code as &[&str],
        &columns.partner_id as &[&str],
        &columns.site_id,
        &columns.developer_hash as &[&str],
        &columns.session_id as &[Option<Uuid>],
        &columns.source_url as &[Option<&str>],
        &columns.agent_class as &[&str],
        &columns.bot,
        &columns.counted,
        &columns.ip_hash as &[Option<&[u8]>],
        &columns.country as &[Option<&str>],
        &columns.recommendation_id as &[Option<Uuid>],
        shard,
        &hours,
        &partner_ids as &[&str],
        &counted,
        &uncounted,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts clicks that may be there already. What it really inserted is added to the counters, so that a batch that
/// comes again from the fallback changes nothing.
pub async fn again(connection: &mut PgConnection, clicks: &[Click], shard: i16) -> sqlx::Result<()> {
    let mut columns = Columns::with_capacity(clicks.len());
    for click in clicks {
        columns.push(click);
    }
    sqlx::query!(
        r#"with added as (
               insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id,
                                   source_url, agent_class, bot, counted, ip_hash, country, recommendation_id)
               select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::uuid[],
                                    $8::text[], $9::text[], $10::bool[], $11::bool[], $12::bytea[], $13::text[], $14::uuid[])
               on conflict do nothing
               returning clicked_at, partner_id, counted
           )
           insert into hourly_counts as h (hour, partner_id, shard, clicks, clicks_uncounted)
           select date_trunc('hour', clicked_at, 'UTC'), partner_id, $15, count(*) filter (where counted), count(*) filter (where not counted)
           from added
           group by 1, 2
           order by 1, 2
           on conflict (hour, partner_id, shard) do update
           set clicks = h.clicks + excluded.clicks, clicks_uncounted = h.clicks_uncounted + excluded.clicks_uncounted"#,
        &columns.click_id,
        &columns.clicked_at,
        &columns.referral_code as &[&str],
        &columns.partner_id as &[&str],
        &columns.site_id,
        &columns.developer_hash as &[&str],
        &columns.session_id as &[Option<Uuid>],
        &columns.source_url as &[Option<&str>],
        &columns.agent_class as &[&str],
        &columns.bot,
        &columns.counted,
        &columns.ip_hash as &[Option<&[u8]>],
        &columns.country as &[Option<&str>],
        &columns.recommendation_id as &[Option<Uuid>],
        shard,
    )
    .execute(connection)
    .await?;
    Ok(())
}

struct Columns<'c> {
    click_id: Vec<Uuid>,
    clicked_at: Vec<DateTime<Utc>>,
    referral_code: Vec<&'c str>,
    partner_id: Vec<&'c str>,
    site_id: Vec<Uuid>,
    developer_hash: Vec<&'c str>,
    session_id: Vec<Option<Uuid>>,
    source_url: Vec<Option<&'c str>>,
    agent_class: Vec<&'c str>,
    bot: Vec<bool>,
    counted: Vec<bool>,
    ip_hash: Vec<Option<&'c [u8]>>,
    country: Vec<Option<&'c str>>,
    recommendation_id: Vec<Option<Uuid>>,
}

impl<'c> Columns<'c> {
    fn with_capacity(length: usize) -> Self {
        Self {
            click_id: Vec::with_capacity(length),
            clicked_at: Vec::with_capacity(length),
            referral_code: Vec::with_capacity(length),
            partner_id: Vec::with_capacity(length),
            site_id: Vec::with_capacity(length),
            developer_hash: Vec::with_capacity(length),
            session_id: Vec::with_capacity(length),
            source_url: Vec::with_capacity(length),
            agent_class: Vec::with_capacity(length),
            bot: Vec::with_capacity(length),
            counted: Vec::with_capacity(length),
            ip_hash: Vec::with_capacity(length),
            country: Vec::with_capacity(length),
            recommendation_id: Vec::with_capacity(length),
        }
    }

    fn push(&mut self, click: &'c Click) {
        use domain::click::AgentClass;
        self.click_id.push(click.click_id.0);
        self.clicked_at.push(click.clicked_at);
        self.referral_code.push(&click.referral_code);
        self.partner_id.push(click.partner_id.as_str());
        self.site_id.push(click.site_id.0);
        self.developer_hash.push(&click.developer_hash);
        self.session_id.push(click.session_id.map(|id| id.0));
        self.source_url.push(click.source_url.as_deref());
        self.agent_class.push(click.agent_class.as_str());
        self.bot.push(matches!(click.agent_class, AgentClass::Bot | AgentClass::Prefetch));
        self.counted.push(click.counted);
        self.ip_hash.push(click.ip_hash.as_ref().map(|hash| hash.as_slice()));
        self.country.push(click.country.as_deref());
        self.recommendation_id.push(click.recommendation_id.map(|id| id.0));
    }
}

/// A batch's clicks by hour and partner, in one fixed order.
#[derive(Default)]
struct Counts<'c>(BTreeMap<(DateTime<Utc>, &'c str), (i64, i64)>);

impl<'c> Counts<'c> {
    fn add(&mut self, click: &'c Click) {
        let (counted, uncounted) = self.0.entry((hour_of(click.clicked_at), click.partner_id.as_str())).or_default();
        *(if click.counted { counted } else { uncounted }) += 1;
    }
}
