-- An average commission divides the commissions of a currency by the conversions that were rated in it, which the roll-up did not know.
-- `value_minor`, which stood in the sales' currency beside commissions in the payout currency, is neither written nor read any more; a
-- later migration drops it.
alter table hourly_money add column rated bigint not null default 0;
