-- From the partner's webhook to the books.

-- The raw inbound log, and the queue that workers take from. Rebuilding everything below from it gives the same state.
create table webhook_deliveries (
    webhook_delivery_id uuid primary key,
    partner_id text not null references partners,
    event_path text not null,
    -- the sender's id of this message: a second delivery of it has no second effect
    message_id text not null,
    headers jsonb not null,
    body bytea not null,
    received_at timestamptz not null,
    state text not null
        constraint webhook_deliveries_state_known check (state in ('received', 'processed', 'ignored', 'retrying', 'dead')),
    attempts integer not null default 0,
    duplicates integer not null default 0,
    next_attempt_at timestamptz not null,
    event_type text,
    outcome text,
    last_error text,
    processed_at timestamptz,
    constraint webhook_deliveries_partner_id_message_id_key unique (partner_id, message_id)
);
create index webhook_deliveries_queue on webhook_deliveries (next_attempt_at) where state in ('received', 'retrying');
create index webhook_deliveries_received_at on webhook_deliveries (received_at desc);

create table conversions (
    conversion_id uuid primary key,
    partner_id text not null references partners,
    external_event_id text not null,
    conversion_type text not null
        constraint conversions_conversion_type_known check (conversion_type in ('lead', 'sale', 'renewal', 'upgrade', 'custom')),
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    value_minor bigint not null constraint conversions_value_not_negative check (value_minor >= 0),
    reversed_minor bigint not null default 0
        constraint conversions_reversed_within_value check (reversed_minor between 0 and value_minor),
    currency text not null constraint conversions_currency_iso check (currency ~ '^[A-Z]{3}$'),
    click_token text,
    referral_code text,
    session_id uuid,
    user_identifier text,
    source text not null
        constraint conversions_source_known check (source in ('webhook', 'api', 'postback', 'csv')),
    webhook_delivery_id uuid,
    state text not null
        constraint conversions_state_known check (state in ('attributed', 'unattributed', 'expired', 'refused')),
    state_reason text,
    retry_at timestamptz,
    -- one external event makes at most one conversion, whatever path it came by
    constraint conversions_partner_id_external_event_id_key unique (partner_id, external_event_id)
);
create index conversions_occurred_at on conversions (occurred_at desc);
create index conversions_retry on conversions (retry_at) where state = 'unattributed';

create table attributions (
    conversion_id uuid not null references conversions,
    position smallint not null,
    share numeric(12, 9) not null constraint attributions_share_range check (share > 0 and share <= 1),
    click_id uuid not null,
    clicked_at timestamptz not null,
    referral_code text not null,
    site_id uuid not null,
    developer_id uuid not null,
    matched_by text not null,
    policy_version integer not null,
    attributed_at timestamptz not null,
    primary key (conversion_id, position)
);
create index attributions_developer on attributions (developer_id);

-- Refunds, chargebacks, cancellations. They may come before the conversion that they point at.
create table reversals (
    reversal_id uuid primary key,
    partner_id text not null references partners,
    external_event_id text not null,
    conversion_external_event_id text not null,
    -- null: all that is left
    amount_minor bigint constraint reversals_amount_positive check (amount_minor > 0),
    currency text,
    reason text,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    conversion_id uuid references conversions,
    applied_minor bigint,
    applied_at timestamptz,
    webhook_delivery_id uuid,
    constraint reversals_partner_id_external_event_id_key unique (partner_id, external_event_id)
);
create index reversals_waiting on reversals (partner_id, conversion_external_event_id) where conversion_id is null;

create table success_events (
    success_event_id uuid primary key,
    partner_id text not null references partners,
    external_event_id text not null,
    developer_id uuid not null references developers,
    metric_id text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    value_minor bigint,
    currency text,
    evidence jsonb not null,
    verified_at timestamptz,
    verified_by text,
    expires_at timestamptz,
    webhook_delivery_id uuid,
    constraint success_events_partner_id_external_event_id_key unique (partner_id, external_event_id)
);
create index success_events_developer on success_events (developer_id, partner_id);

-- The present rating of a conversion: what the ledger's entries for it add up to, and why.
create table commissions (
    commission_id uuid primary key,
    conversion_id uuid not null references conversions constraint commissions_conversion_id_key unique,
    partner_id text not null references partners,
    partner_terms_id uuid not null references partner_terms,
    currency text not null,
    base_minor bigint not null,
    multiplier numeric(12, 6) not null,
    final_minor bigint not null,
    bonus_minor bigint not null,
    receipt jsonb not null,
    state text not null default 'pending'
        constraint commissions_state_known check (state in ('pending', 'approved', 'invoiced', 'paid', 'reversed')),
    hold_until timestamptz not null,
    created_at timestamptz not null,
    rated_at timestamptz not null
);

-- Double-entry, append-only. A transaction's entries sum to zero in its one currency.
create table ledger_transactions (
    ledger_transaction_id uuid primary key,
    currency text not null constraint ledger_transactions_currency_iso check (currency ~ '^[A-Z]{3}$'),
    kind text not null
        constraint ledger_transactions_kind_known check (kind in ('commission', 'bonus', 'adjustment', 'reversal', 'payout')),
    -- which part of the rating it books: each part's transactions sum to its present amount
    component text not null
        constraint ledger_transactions_component_known check (component in ('commission', 'bonus', 'payout')),
    partner_id text not null references partners,
    conversion_id uuid references conversions,
    commission_id uuid references commissions,
    booked_at timestamptz not null,
    receipt jsonb not null
);
create index ledger_transactions_conversion on ledger_transactions (conversion_id);

create table ledger_entries (
    ledger_transaction_id uuid not null references ledger_transactions,
    line smallint not null,
    account text not null
        constraint ledger_entries_account_known
        check (account in ('partner_receivable', 'held_commission', 'earned_commission', 'cash', 'write_off')),
    amount_minor bigint not null constraint ledger_entries_amount_not_zero check (amount_minor <> 0),
    primary key (ledger_transaction_id, line)
);

-- The hash chain, one per currency book, laid behind the postings by a background task so that posting stays concurrent.
create table ledger_seals (
    currency text not null,
    position bigint not null,
    ledger_transaction_id uuid not null constraint ledger_seals_ledger_transaction_id_key unique,
    previous_hash bytea not null,
    hash bytea not null,
    sealed_at timestamptz not null,
    primary key (currency, position)
);
-- Transactions that wait for their seal; the sealer empties it.
create table ledger_unsealed (
    ledger_transaction_id uuid primary key
);

create function refuse_ledger_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only: % on % is refused', tg_op, tg_table_name
        using errcode = 'restrict_violation', constraint = 'ledger_append_only';
end $$;

create trigger ledger_transactions_append_only before update or delete or truncate on ledger_transactions
    for each statement execute function refuse_ledger_change();
create trigger ledger_entries_append_only before update or delete or truncate on ledger_entries
    for each statement execute function refuse_ledger_change();
create trigger ledger_seals_append_only before update or delete or truncate on ledger_seals
    for each statement execute function refuse_ledger_change();

-- Checked when the transaction commits, so that its entries may come one after the other.
create function check_ledger_balance() returns trigger language plpgsql as $$
declare
    id uuid := new.ledger_transaction_id;
    total numeric;
    lines bigint;
begin
    select coalesce(sum(amount_minor), 0), count(*) into total, lines from ledger_entries where ledger_transaction_id = id;
    if lines < 2 or total <> 0 then
        raise exception 'ledger transaction % is not balanced: % entries sum to %', id, lines, total
            using errcode = 'check_violation', constraint = 'ledger_balanced';
    end if;
    return null;
end $$;

create constraint trigger ledger_transactions_balanced after insert on ledger_transactions
    deferrable initially deferred for each row execute function check_ledger_balance();
create constraint trigger ledger_entries_balanced after insert on ledger_entries
    deferrable initially deferred for each row execute function check_ledger_balance();
