-- What a caller of the API was told: the same request again gets the same answer.
alter table webhook_deliveries
    add column answer jsonb,
    -- the import that brought the event, and the line of its file
    add column import_id uuid references imports,
    add column import_line bigint;
create index webhook_deliveries_import on webhook_deliveries (import_id, state) where import_id is not null;

-- One worker at a time runs an import; another takes over when the lease has ended.
alter table imports
    add column lease_id uuid,
    add column leased_until timestamptz;
create index imports_running on imports (created_at) where state = 'running';
create index imports_created_at on imports (created_at desc, import_id desc);
