-- Success events wait for verification where their metric needs it; case studies are written from them.

alter table success_events
    add column state text,
    -- SHA-256 of developer, metric and evidence: the same evidence twice is one success
    add column evidence_digest bytea,
    add column referral_code text,
    add column source text,
    add column decided_at timestamptz,
    add column decided_by text,
    add column decision_reason text;
update success_events set state = case when verified_at is null then 'unverified' else 'verified' end, source = 'webhook';
alter table success_events
    alter column state set not null,
    alter column source set not null,
    add constraint success_events_state_known check (state in ('unverified', 'verified', 'rejected')),
    add constraint success_events_source_known check (source in ('webhook', 'api', 'postback', 'csv', 'operator')),
    add constraint success_events_verified_has_a_time check ((state = 'verified') = (verified_at is not null)),
    add constraint success_events_evidence_key unique (partner_id, evidence_digest);
create index success_events_waiting on success_events (received_at) where state = 'unverified';
create index success_events_partner on success_events (partner_id, occurred_at desc);

-- Without it nothing about the developer is published, anonymised or not.
alter table developers add column consented_at timestamptz;

create table case_studies (
    case_study_id uuid primary key,
    partner_id text not null references partners,
    developer_id uuid not null references developers,
    state text not null constraint case_studies_state_known check (state in ('draft', 'published', 'withdrawn')),
    title text not null,
    summary text not null,
    story text not null,
    -- the facts that the text was written from: figures with query, period and n, and the timeline
    facts jsonb not null,
    created_at timestamptz not null,
    created_by text not null,
    updated_at timestamptz not null,
    published_at timestamptz,
    published_by text,
    constraint case_studies_partner_developer_key unique (partner_id, developer_id),
    constraint case_studies_published_has_a_time check ((state = 'published') = (published_at is not null))
);
