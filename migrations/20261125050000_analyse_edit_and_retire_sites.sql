-- A retired site shows no offers any more; its links, its codes and its history stay.
alter table sites add column archived_at timestamptz;

-- Every process asks every two seconds which sites were analysed anew, since it keeps the kind of their project in memory.
create index sites_analysed_at on sites (analysed_at);

-- A request to add a site that carries a name: sent again, it makes no second site.
create table site_requests (
    actor text not null,
    idempotency_key text not null,
    -- SHA-256 of what was sent
    request_digest bytea not null,
    site_id uuid not null references sites,
    created_at timestamptz not null,
    primary key (actor, idempotency_key)
);
