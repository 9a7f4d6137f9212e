-- What visitors do: recommendations shown and links clicked. Monthly partitions; few indexes, since each costs every
-- click; no foreign keys, since references are checked from memory before the insert.

-- One random key per UTC day for the hash of the IP address; forgotten once the longest attribution window has passed.
create table ip_hash_keys (
    day date primary key,
    sealed bytea not null
);

create table clicks (
    click_id uuid not null,
    clicked_at timestamptz not null,
    referral_code text not null,
    partner_id text not null,
    site_id uuid not null,
    developer_hash text not null,
    session_id uuid,
    source_url text,
    agent_class text not null,
    bot boolean not null,
    -- false for bots, prefetches and a session's repeats within an hour
    counted boolean not null,
    ip_hash bytea,
    country text,
    recommendation_id uuid,
    experiments jsonb,
    primary key (click_id, clicked_at)
) partition by range (clicked_at);
create index clicks_referral_code on clicks (referral_code, clicked_at desc);
create table clicks_default partition of clicks default;

create table recommendations (
    recommendation_id uuid not null,
    recommended_at timestamptz not null,
    site_id uuid not null,
    model_version text not null,
    offers jsonb not null,
    primary key (recommendation_id, recommended_at)
) partition by range (recommended_at);
create table recommendations_default partition of recommendations default;

-- One row per recommendation and partner, however often the widget reports it.
create table impressions (
    recommendation_id uuid not null,
    partner_id text not null,
    recommended_at timestamptz not null,
    seen_at timestamptz not null,
    site_id uuid not null,
    position smallint not null,
    primary key (recommendation_id, partner_id, recommended_at)
) partition by range (recommended_at);
create table impressions_default partition of impressions default;

-- Makes the monthly partition of a traffic table that holds `month`; does nothing if it is there, or if rows of that
-- month already went to the default partition.
create function ensure_month_partition(parent text, month timestamptz) returns void language plpgsql as $$
declare
    month_start timestamptz := date_trunc('month', month at time zone 'UTC') at time zone 'UTC';
    month_end timestamptz := (date_trunc('month', month at time zone 'UTC') + interval '1 month') at time zone 'UTC';
    partition_name text := parent || '_' || to_char(month at time zone 'UTC', 'YYYY_MM');
begin
    if to_regclass(partition_name) is null then
        execute format('create table %I partition of %I for values from (%L) to (%L)', partition_name, parent, month_start, month_end);
    end if;
exception
    when duplicate_table or check_violation then null;
end $$;

-- Counters per hour. `shard` spreads writers over rows, so that two batches never wait for each other; readers sum.
create table hourly_counts (
    hour timestamptz not null,
    partner_id text not null,
    shard smallint not null,
    impressions bigint not null default 0,
    clicks bigint not null default 0,
    clicks_uncounted bigint not null default 0,
    conversions bigint not null default 0,
    conversions_unattributed bigint not null default 0,
    successes bigint not null default 0,
    primary key (hour, partner_id, shard)
) with (fillfactor = 70);

create table hourly_money (
    hour timestamptz not null,
    partner_id text not null,
    currency text not null,
    shard smallint not null,
    value_minor bigint not null default 0,
    commission_minor bigint not null default 0,
    primary key (hour, partner_id, currency, shard)
) with (fillfactor = 70);
