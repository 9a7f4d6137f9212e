-- Reference rates: units of the currency for one euro. A rate once imported stays as it is.
create table exchange_rates (
    currency text not null constraint exchange_rates_currency_iso check (currency ~ '^[A-Z]{3}$'),
    day date not null,
    per_euro numeric(20, 8) not null constraint exchange_rates_per_euro_positive check (per_euro > 0),
    imported_at timestamptz not null,
    imported_by text not null,
    primary key (currency, day)
);

alter table commissions
    -- the conversion's currency; `currency` is that of the payout
    add column value_currency text,
    -- the rate of the first rating: later ones keep it
    add column exchange_rate jsonb;
update commissions set value_currency = currency, receipt = jsonb_set(receipt, '{value_currency}', receipt -> 'currency');
alter table commissions
    alter column value_currency set not null,
    add constraint commissions_value_currency_iso check (value_currency ~ '^[A-Z]{3}$'),
    add constraint commissions_exchange_rate_present check (value_currency = currency or exchange_rate is not null);
