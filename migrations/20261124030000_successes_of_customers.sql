-- A success that names only a customer or a browser session belongs to whom their clicks lead to. It waits until such a click is
-- known, and what becomes known late may lead it to another developer.

alter table success_events
    -- of a success that names no link
    add column session_id uuid,
    add column user_identifier text;
create index success_events_customer on success_events (partner_id, user_identifier) where user_identifier is not null;
create index success_events_session on success_events (session_id) where session_id is not null;

alter table webhook_deliveries
    -- whose click a delivery waits for
    add column awaited_session_id uuid,
    add column awaited_user_identifier text;
create index webhook_deliveries_awaited_customer on webhook_deliveries (partner_id, awaited_user_identifier)
    where awaited_user_identifier is not null;
create index webhook_deliveries_awaited_session on webhook_deliveries (awaited_session_id) where awaited_session_id is not null;

-- As attribution_rechecks. No constraint refers to the successes: who learns of something would wait for their rows.
create table success_rechecks (
    success_recheck_id bigint generated always as identity primary key,
    success_event_id uuid not null
);
