-- The dashboard asks every second how many deliveries were given up and how much commission is held; both are few rows
-- among many.
create index webhook_deliveries_dead on webhook_deliveries (received_at) where state = 'dead';
create index commissions_pending on commissions (currency) include (final_minor, bonus_minor) where state = 'pending';
