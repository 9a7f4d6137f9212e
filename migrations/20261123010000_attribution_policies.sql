-- Who may claim a conversion, and by how much, is part of the terms: versioned and effective-dated like the rates.
alter table partner_terms
    add column attribution_model text not null default 'last_touch'
        constraint partner_terms_attribution_model_known
        check (attribution_model in ('last_touch', 'first_touch', 'linear', 'position_based', 'time_decay')),
    -- a conversion sooner after its click than this was not made by a person
    add column attribution_minimum_seconds integer not null default 0
        constraint partner_terms_attribution_minimum_not_negative check (attribution_minimum_seconds >= 0),
    -- in minor units of the payout currency; a statement below it is carried forward
    add column minimum_payout_minor bigint not null default 0
        constraint partner_terms_minimum_payout_not_negative check (minimum_payout_minor >= 0),
    -- what a success multiplies by is money: an edit is a new version, so that it never touches earlier conversions
    add column success_metrics jsonb not null default '[]';
update partner_terms set success_metrics = (select p.success_metrics from partners p where p.partner_id = partner_terms.partner_id);
alter table partner_terms alter column success_metrics drop default;
alter table partners drop column success_metrics;

-- Whether a partner was active is asked for the time at which a conversion came in, not for now.
create table partner_activity (
    partner_id text not null references partners,
    changed_at timestamptz not null,
    active boolean not null,
    primary key (partner_id, changed_at)
);
insert into partner_activity (partner_id, changed_at, active) select partner_id, updated_at, false from partners where not active;

-- The partner's own name of a customer, and the browser sessions known to be theirs: a renewal that names only the
-- customer finds its click by it.
create table customer_sessions (
    partner_id text not null references partners,
    user_identifier text not null,
    session_id uuid not null,
    identified_at timestamptz not null,
    primary key (partner_id, user_identifier, session_id)
);
create index customer_sessions_session on customer_sessions (session_id);

-- Session ids grow with time, so that this index is only ever appended to.
create index clicks_session on clicks (session_id, clicked_at) where session_id is not null;

alter table conversions
    drop constraint conversions_state_known,
    -- held: attributed, but not rated for want of an exchange rate
    add constraint conversions_state_known check (state in ('attributed', 'unattributed', 'expired', 'refused', 'held'));
create index conversions_partner on conversions (partner_id, occurred_at desc, conversion_id);
create index conversions_customer on conversions (partner_id, user_identifier) where user_identifier is not null;
create index conversions_unattributed on conversions (occurred_at desc) where state in ('unattributed', 'expired', 'refused', 'held');

alter table attributions
    add column model text not null default 'last_touch'
        constraint attributions_model_known check (model in ('last_touch', 'first_touch', 'linear', 'position_based', 'time_decay')),
    -- this touch's part of the commission and bonus, in minor units of the commission's currency
    add column commission_minor bigint not null default 0;
create index attributions_site on attributions (site_id, attributed_at desc);

-- Conversions to be looked at again because something became known late. A queue of its own, so that whoever learns of
-- something never waits for the rows that it may change.
create table attribution_rechecks (
    attribution_recheck_id bigint generated always as identity primary key,
    conversion_id uuid not null references conversions
);
