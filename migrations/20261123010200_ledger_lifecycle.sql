-- From pending to paid: approval, monthly statements, payouts.

alter table commissions
    add column approved_at timestamptz,
    add column approved_by text,
    -- somebody wants to look first: no timer approves it
    add column hold_reason text,
    add constraint commissions_approved_has_a_time check (state in ('pending', 'reversed') or approved_at is not null);
create index commissions_due on commissions (hold_until) where state = 'pending' and hold_reason is null;
create index commissions_partner_state on commissions (partner_id, state, created_at desc);

alter table ledger_transactions
    drop constraint ledger_transactions_kind_known,
    add constraint ledger_transactions_kind_known
        check (kind in ('commission', 'bonus', 'adjustment', 'reversal', 'approval', 'payout', 'write_off')),
    drop constraint ledger_transactions_component_known,
    add constraint ledger_transactions_component_known check (component in ('commission', 'bonus', 'approval', 'payout')),
    add column payout_id uuid;
create index ledger_transactions_partner on ledger_transactions (partner_id, currency, booked_at);
create index ledger_transactions_commission on ledger_transactions (commission_id);

-- What a partner pays in one go, for one or several statements.
create table payouts (
    payout_id uuid primary key,
    reference text not null constraint payouts_reference_key unique,
    partner_id text not null references partners,
    currency text not null constraint payouts_currency_iso check (currency ~ '^[A-Z]{3}$'),
    amount_minor bigint not null constraint payouts_amount_positive check (amount_minor > 0),
    state text not null constraint payouts_state_known check (state in ('open', 'paid')),
    created_at timestamptz not null,
    created_by text not null,
    paid_at timestamptz,
    paid_by text,
    bank_reference text,
    constraint payouts_paid_has_a_time check ((state = 'paid') = (paid_at is not null))
);

-- A partner's month in one currency. Once issued it never changes, but for the payout that settles it.
create table statements (
    statement_id uuid primary key,
    number text not null constraint statements_number_key unique,
    partner_id text not null references partners,
    month date not null constraint statements_month_first_day check (extract(day from month) = 1),
    currency text not null constraint statements_currency_iso check (currency ~ '^[A-Z]{3}$'),
    -- carried forward from the statement before
    opening_minor bigint not null,
    lines_minor bigint not null,
    total_minor bigint not null constraint statements_total_adds_up check (total_minor = opening_minor + lines_minor),
    line_count bigint not null,
    minimum_payout_minor bigint not null,
    outcome text not null constraint statements_outcome_known check (outcome in ('due', 'carried_forward')),
    issued_at timestamptz not null,
    issued_by text not null,
    payout_id uuid references payouts,
    constraint statements_partner_month_key unique (partner_id, month, currency)
);

create table statement_lines (
    statement_id uuid not null references statements,
    ledger_transaction_id uuid not null references ledger_transactions
        constraint statement_lines_ledger_transaction_id_key unique,
    amount_minor bigint not null,
    primary key (statement_id, ledger_transaction_id)
);

create function refuse_statement_change() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'statements' and tg_op = 'UPDATE' then
        if to_jsonb(new) - 'payout_id' = to_jsonb(old) - 'payout_id' and old.payout_id is null then
            return new;
        end if;
    end if;
    raise exception 'a closed period is immutable: % on % is refused', tg_op, tg_table_name
        using errcode = 'restrict_violation', constraint = 'closed_period_immutable';
end $$;

create trigger statements_immutable before update or delete on statements for each row execute function refuse_statement_change();
create trigger statement_lines_immutable before update or delete on statement_lines for each row execute function refuse_statement_change();
create trigger statements_not_emptied before truncate on statements for each statement execute function refuse_ledger_change();
create trigger statement_lines_not_emptied before truncate on statement_lines for each statement execute function refuse_ledger_change();

create index audit_entries_subject on audit_entries (subject, happened_at desc);
create index audit_entries_action on audit_entries (action, happened_at desc);
