//! A year of conversions with everything that hangs on them, by a few statements.
//!
//! The rows look like those of the workflows, but for the seals, whose hashes prove nothing: `ledger verify` would refuse them.

use engine::Engine;

use crate::Result;

/// A conversion a row, the oldest first; the ids grow with their times, as ours do.
const DRAW: &str = "
    create temp table seed as
    with codes as (
        select r.*, t.partner_terms_id, t.commission_rate, row_number() over (order by referral_code) - 1 as nth
        from referral_codes r join partner_terms t on t.partner_id = r.partner_id and t.version = 1
    ), draws as (
        select n, now() - interval '12 hours' - random() * interval '350 days' as at, 1000 + n * 7919 % 50000 as value_minor,
               n % (select count(*) from codes) as nth
        from generate_series($1::bigint + 1, $2::bigint) as n
    )
    select n, at, value_minor, round(value_minor * commission_rate)::bigint as final_minor, referral_code, partner_id, site_id, developer_id,
           developer_hash, partner_terms_id, pg_temp.id_at(at - interval '2 hours') as click_id, pg_temp.id_at(at - interval '2 hours') as session_id,
           pg_temp.id_at(at) as webhook_delivery_id, pg_temp.id_at(at) as conversion_id, pg_temp.id_at(at) as commission_id,
           pg_temp.id_at(at) as booking_id, pg_temp.id_at(at + interval '30 days') as approval_id, at < now() - interval '30 days' as approved
    from draws join codes using (nth)
    order by at";

/// A UUIDv7. One expression, so that Postgres puts it in place of the call.
const ID_AT: &str = "
    create or replace function pg_temp.id_at(at timestamptz) returns uuid language sql volatile as $$
        select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(translate(gen_random_uuid()::text, '-', ''), 14))::uuid
    $$";

const FILL: [&str; 11] = [
    "insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id, agent_class, bot, counted)
     select click_id, at - interval '2 hours', referral_code, partner_id, site_id, developer_hash, session_id, 'desktop', false, true from seed",
    "insert into webhook_deliveries (webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, state, attempts, next_attempt_at,
                                     event_type, outcome, processed_at)
     select webhook_delivery_id, partner_id, 'events', 'seed-' || n, jsonb_build_object('webhook-id', 'seed-' || n, 'content-type', 'application/json'),
            convert_to(jsonb_build_object('type', 'conversion.created', 'timestamp', at, 'data', jsonb_build_object('conversion_id', 'seed-' || n,
                       'occurred_at', at, 'amount', (value_minor / 100.0)::text, 'currency', 'USD', 'referral_code', referral_code,
                       'session_id', session_id))::text, 'UTF8'),
            at, 'processed', 1, at, 'conversion.created', 'conversion ' || conversion_id || ' attributed', at
     from seed",
    "insert into conversions (conversion_id, partner_id, external_event_id, conversion_type, occurred_at, received_at, value_minor, currency, referral_code,
                              session_id, user_identifier, source, webhook_delivery_id, state)
     select conversion_id, partner_id, 'seed-' || n, 'sale', at, at, value_minor, 'USD', referral_code, session_id,
            case when n % 5 = 0 then 'customer-' || n / 10 end, 'webhook', webhook_delivery_id, 'attributed'
     from seed",
    "insert into customer_sessions (partner_id, user_identifier, session_id, identified_at)
     select partner_id, 'customer-' || n / 10, session_id, at from seed where n % 5 = 0",
    "insert into attributions (conversion_id, position, share, click_id, clicked_at, referral_code, site_id, developer_id, matched_by, policy_version, attributed_at,
                               commission_minor)
     select conversion_id, 1, 1, click_id, at - interval '2 hours', referral_code, site_id, developer_id, 'session', 1, at, final_minor from seed",
    "insert into commissions (commission_id, conversion_id, partner_id, partner_terms_id, value_currency, currency, base_minor, multiplier, final_minor, bonus_minor,
                              receipt, state, hold_until, created_at, rated_at, approved_at, approved_by)
     select commission_id, conversion_id, partner_id, partner_terms_id, 'USD', 'USD', final_minor, 1, final_minor, 0, pg_temp.receipt(value_minor, at),
            case when approved then 'approved' else 'pending' end, at + interval '30 days', at, at, case when approved then at + interval '30 days' end,
            case when approved then 'hold period' end
     from seed",
    "insert into ledger_transactions (ledger_transaction_id, currency, kind, component, partner_id, conversion_id, commission_id, booked_at, receipt)
     select booking_id, 'USD', 'commission', 'commission', partner_id, conversion_id, commission_id, at, pg_temp.receipt(value_minor, at) from seed
     union all
     select approval_id, 'USD', 'approval', 'approval', partner_id, conversion_id, commission_id, at + interval '30 days',
            jsonb_build_object('amount_minor', final_minor, 'hold_until', at + interval '30 days')
     from seed where approved",
    "insert into ledger_entries (ledger_transaction_id, line, account, amount_minor)
     select booking_id, line, account, sign * final_minor
     from seed, (values (1, 'partner_receivable', 1), (2, 'held_commission', -1)) as entry (line, account, sign)
     union all
     select approval_id, line, account, sign * final_minor
     from seed, (values (1, 'held_commission', 1), (2, 'earned_commission', -1)) as entry (line, account, sign)
     where approved",
    "insert into ledger_seals (currency, position, ledger_transaction_id, previous_hash, hash, sealed_at)
     select 'USD', (select coalesce(max(position), 0) from ledger_seals where currency = 'USD') + row_number() over (order by id), id,
            sha256(id::text::bytea), sha256(('after ' || id)::bytea), at
     from (select booking_id as id, at from seed union all select approval_id, at + interval '30 days' from seed where approved) as booked",
    "insert into hourly_counts as h (hour, partner_id, shard, clicks, conversions)
     select date_trunc('hour', at), partner_id, n % 32, count(*), count(*) from seed group by 1, 2, 3
     on conflict (hour, partner_id, shard) do update set clicks = h.clicks + excluded.clicks, conversions = h.conversions + excluded.conversions",
    "insert into hourly_money as h (hour, partner_id, currency, shard, commission_minor, rated)
     select date_trunc('hour', at), partner_id, 'USD', n % 32, sum(final_minor), count(*) from seed group by 1, 2, 4
     on conflict (hour, partner_id, currency, shard) do update
     set commission_minor = h.commission_minor + excluded.commission_minor, rated = h.rated + excluded.rated",
];

/// A receipt with the keys and about the length of ours.
const RECEIPT: &str = "
    create or replace function pg_temp.receipt(value_minor bigint, at timestamptz) returns jsonb language sql volatile as $$
        select jsonb_build_object('value_minor', value_minor, 'reversed_minor', 0, 'value_currency', 'USD', 'currency', 'USD', 'occurred_at', at,
                   'terms_version', 1, 'terms_effective_from', '1970-01-01T00:00:00Z', 'commission_rate', '0.200000', 'success_bonus_rate', '0.300000',
                   'multiplier_cap', '3.000', 'metrics', '[]'::jsonb, 'bonus_metric', null, 'rounding', 'half-even, once, to the minor unit',
                   'exchange_rate', null, 'steps', jsonb_build_array('base = $' || value_minor / 100.0 || ' × 0.2 = 9.8 USD',
                   'multiplier = 1 (no success counted yet)', 'commission = 9.8 USD × 1 = 9.8 USD, rounded $9.80'))
    $$";

/// Adds conversions until there are `size`, and leaves the tables vacuumed and analysed.
pub(super) async fn fill(engine: &Engine, size: usize) -> Result<()> {
    let mut connection = engine.db.acquire().await?;
    let present: i64 = sqlx::query_scalar("select count(*) from conversions").fetch_one(&mut *connection).await?;
    // No triggers and no checks of references: the rows are right, and there are many.
    sqlx::raw_sql("set session_replication_role = replica; set synchronous_commit = off; set work_mem = '256MB'")
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql(ID_AT).execute(&mut *connection).await?;
    sqlx::raw_sql(RECEIPT).execute(&mut *connection).await?;
    sqlx::query(DRAW).bind(present).bind(i64::try_from(size)?).execute(&mut *connection).await?;
    for statement in FILL {
        sqlx::raw_sql(statement).execute(&mut *connection).await?;
    }
    // The settings go with the connection.
    sqlx::raw_sql("drop table seed").execute(&mut *connection).await?;
    connection.close().await?;
    sqlx::raw_sql("vacuum analyze").execute(&engine.db).await?;
    Ok(())
}
