-- Experiments: their designs and phases, who was exposed to what, and what came of it.

-- Counts every change of what is assigned or shown by default. A recommendation is logged together with a look at it, so that none is
-- ever given by a test that has stopped, on any instance.
create table experiment_revision (
    one boolean primary key default true constraint experiment_revision_one check (one),
    revision bigint not null
);
insert into experiment_revision (revision) values (1);

create table experiments (
    experiment_id uuid primary key,
    key text not null constraint experiments_key_key unique constraint experiments_key_form check (key ~ '^[a-z0-9-]{1,40}$'),
    status text not null constraint experiments_status_known check (status in ('draft', 'running', 'paused', 'stopped', 'archived')),
    owner text not null,
    -- of the draft, or of the present phase
    design jsonb not null,
    -- the present phase; null before the first start
    phase integer,
    shipped_variant text,
    created_at timestamptz not null,
    stopped_at timestamptz,
    constraint experiments_phase_known check ((phase is null) <= (status in ('draft', 'archived')))
);

-- A time in which the design did not change. Its seed deals the units.
create table experiment_phases (
    experiment_id uuid not null references experiments,
    phase integer not null,
    seed text not null,
    design jsonb not null,
    started_at timestamptz not null,
    ended_at timestamptz,
    primary key (experiment_id, phase)
);

-- The weights within a phase: one row, or one for each change of a bandit's.
create table experiment_weights (
    experiment_id uuid not null,
    phase integer not null,
    period integer not null,
    weights double precision[] not null,
    -- the chance to be best that they were computed from, for each variant
    chances double precision[],
    since timestamptz not null,
    primary key (experiment_id, phase, period),
    foreign key (experiment_id, phase) references experiment_phases
);

-- Units that no test reaches, and its own seed. One row.
create table experiment_holdout (
    one boolean primary key default true constraint experiment_holdout_one check (one),
    share double precision not null constraint experiment_holdout_share_range check (share >= 0 and share <= 0.5),
    seed text not null
);
insert into experiment_holdout (share, seed) values (0, 'holdout-1');

-- What a decided test made the default. An empty partner means all partners. Of those that apply the newest counts; the others stay, so that
-- they count again once it is taken back.
create table recommendation_defaults (
    kind text not null,
    partner_id text not null default '',
    -- the sites and segments that the test was for, as its eligibility has them
    scope jsonb not null,
    payload jsonb not null,
    experiment_id uuid not null references experiments,
    shipped_at timestamptz not null,
    shipped_by text not null,
    primary key (experiment_id, partner_id)
);

alter table recommendations
    -- whom it was given to: visitor or site, by the id that tests hash
    add column visitor text,
    -- [{experiment_id, phase, period, variant, propensity, partner_ids}] of the tests that it was made with
    add column experiments jsonb;

-- A unit that really saw a variant, once per phase, and what came of it. Amounts are in minor units of the test's currency.
create table experiment_exposures (
    experiment_id uuid not null,
    phase integer not null,
    unit text not null,
    -- period and variant are those that it saw first: they stay, and get what comes later, also when a bandit has moved the unit
    period integer not null,
    variant smallint not null,
    exposed_at timestamptz not null,
    propensity double precision not null,
    recommendation_id uuid not null,
    -- counted clicks of the unit in the 28 days before: the covariate of CUPED
    clicks_before integer not null default 0,
    clicks integer not null default 0,
    conversions integer not null default 0,
    successes integer not null default 0,
    commission_minor bigint not null default 0,
    -- the last day that anything of it was summed up for: what comes in later counts there or later, so that every evening was once true
    changed_on date not null,
    primary key (experiment_id, phase, unit)
);
create index experiment_exposures_unit on experiment_exposures (unit);

-- Counted clicks by unit and day, for the covariate.
create table unit_clicks (
    unit text not null,
    day date not null,
    clicks integer not null,
    primary key (unit, day)
);

-- Clicks that were credited to their exposures, so that none counts twice however often it is looked at.
create table experiment_clicks (
    click_id uuid primary key,
    credited_at timestamptz not null
);
create index experiment_clicks_credited_at on experiment_clicks (credited_at);

-- What a conversion is worth to the exposures of its clicks, as credited last.
create table experiment_conversions (
    conversion_id uuid not null,
    experiment_id uuid not null,
    phase integer not null,
    unit text not null,
    commission_minor bigint not null,
    successes integer not null,
    -- the commission counts as nothing until the exchange rate is imported that it takes
    waits_for_rate boolean not null default false,
    primary key (conversion_id, experiment_id, phase, unit)
);
create index experiment_conversions_waiting on experiment_conversions (conversion_id) where waits_for_rate;

-- Conversions whose credit may have changed.
create table experiment_rechecks (
    experiment_recheck_id bigint generated always as identity primary key,
    conversion_id uuid not null,
    touched_at timestamptz not null
);

-- Sums over exposures, by the period of the first one and by the day on which each part happened: the sums of all days up to one are the state of its evening.
-- Squares and products are exact, so that variances are.
create table experiment_sums (
    experiment_id uuid not null,
    phase integer not null,
    period integer not null,
    variant smallint not null,
    day date not null,
    shard smallint not null,
    exposures bigint not null default 0,
    -- units with at least one
    clicked bigint not null default 0,
    converted bigint not null default 0,
    succeeded bigint not null default 0,
    clicks bigint not null default 0,
    clicks_squares numeric not null default 0,
    conversions bigint not null default 0,
    commission_minor bigint not null default 0,
    commission_squares numeric not null default 0,
    -- of the covariate x = clicks_before, and its products with each metric
    x numeric not null default 0,
    x_squares numeric not null default 0,
    x_clicked numeric not null default 0,
    x_converted numeric not null default 0,
    x_succeeded numeric not null default 0,
    x_clicks numeric not null default 0,
    x_commission numeric not null default 0,
    primary key (experiment_id, phase, period, variant, day, shard)
) with (fillfactor = 70);
