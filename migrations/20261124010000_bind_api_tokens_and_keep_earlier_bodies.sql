-- A token of a partner's server speaks for that partner alone; null: a service of our own, which speaks for all.
alter table api_tokens add column partner_id text references partners;

-- An event that was given up may come again corrected, under the same message id. What it was before stays in the raw log: an array of
-- {received_at, event_path, body as base64, error}, the oldest first; null if there is none.
alter table webhook_deliveries add column earlier_bodies jsonb;
