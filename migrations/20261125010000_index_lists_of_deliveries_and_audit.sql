-- The lists of deliveries and of the audit log stand in the order of their time. Filtered by something that few rows have, they read the
-- whole table to fill a page.
create index webhook_deliveries_partner on webhook_deliveries (partner_id, webhook_delivery_id desc);
-- What went as it should is most of the table, and needs no index; what waits is found by the queue's.
create index webhook_deliveries_other_ends on webhook_deliveries (state, webhook_delivery_id desc)
    where state in ('dead', 'retrying', 'ignored');

-- The audit log is filtered by who did it, and tells who there is.
create index audit_entries_actor on audit_entries (actor, happened_at desc);
