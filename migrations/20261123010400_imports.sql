-- Files of conversions that an operator imports. The file stays as it came; each of its rows goes through the inbound log.
create table imports (
    import_id uuid primary key,
    partner_id text not null references partners,
    file_name text not null,
    -- SHA-256 of the file: the same one again is the same import
    file_digest bytea not null,
    body bytea not null,
    mapping jsonb not null,
    state text not null constraint imports_state_known check (state in ('previewed', 'running', 'finished')),
    rows_total integer not null,
    -- rows that were looked at: a run that was interrupted goes on here
    rows_done integer not null default 0,
    rows_new integer not null default 0,
    rows_duplicate integer not null default 0,
    rows_failed integer not null default 0,
    -- [{line, column, value, expected}], the first thousand
    row_errors jsonb not null default '[]',
    created_at timestamptz not null,
    created_by text not null,
    finished_at timestamptz,
    constraint imports_file_key unique (partner_id, file_digest)
);
