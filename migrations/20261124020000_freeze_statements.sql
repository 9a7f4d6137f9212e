-- A closed statement must show for ever what it showed when it was issued. So far its files took the names of sites and partner from what is
-- known today: a late click or a new name changed a month that was closed. Now the statement keeps them itself.
alter table statements add column partner_name text;
-- the names of the sites that had the credit, by name; empty for none
alter table statement_lines add column site text;

-- The statements that are there keep what they show today. Their triggers refuse every update, also this one.
alter table statements disable trigger statements_immutable;
alter table statement_lines disable trigger statement_lines_immutable;
update statements s set partner_name = p.display_name from partners p where p.partner_id = s.partner_id;
update statement_lines l
set site = coalesce((select string_agg(distinct name, ', ' order by name)
                     from attributions a join sites using (site_id)
                     where a.conversion_id = t.conversion_id), '')
from ledger_transactions t
where t.ledger_transaction_id = l.ledger_transaction_id;
alter table statements enable trigger statements_immutable;
alter table statement_lines enable trigger statement_lines_immutable;
alter table statements alter column partner_name set not null;
alter table statement_lines alter column site set not null;

-- What else a line shows is what the partner told of the sale. Copying it for 100 000 lines takes a quarter of a second of the two that
-- a month may take, so that it is refused to change instead. No other update calls the trigger.
create function refuse_conversion_change() returns trigger language plpgsql as $$
begin
    raise exception 'what a partner told of a conversion never changes: conversion %', old.conversion_id
        using errcode = 'restrict_violation', constraint = 'conversion_facts_immutable';
end $$;
create trigger conversions_facts_immutable
    before update of partner_id, external_event_id, conversion_type, occurred_at, value_minor, currency on conversions
    for each row execute function refuse_conversion_change();

-- The successes that raise commissions: confirmed, and received while the partner was active. A deactivated partner earns nothing new,
-- not even on what it earned before.
create view earning_successes as
select success_event_id, partner_id, developer_id, metric_id, occurred_at, verified_at, expires_at
from success_events s
where state = 'verified'
      and coalesce((select active from partner_activity a where a.partner_id = s.partner_id and changed_at <= s.received_at
                    order by changed_at desc limit 1), true);
