-- The registry: who pays (partners and their effective-dated terms), who recommends (sites of developers),
-- and the referral codes that join the two.

create table partners (
    partner_id text primary key
        constraint partners_partner_id_slug check (partner_id ~ '^[a-z0-9-]{2,40}$'),
    name text not null,
    display_name text not null,
    description text not null,
    category text not null,
    homepage_url text not null,
    api_base_url text not null,
    auth_type text not null
        constraint partners_auth_type_known check (auth_type in ('oauth2', 'api_key', 'bearer_token')),
    tier smallint not null constraint partners_tier_range check (tier between 1 and 3),
    active boolean not null default true,
    integration_methods jsonb not null,
    success_metrics jsonb not null,
    webhook_events jsonb not null,
    priors jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- A change of rate, window, hold period, cap or currency is a new row; a conversion is rated with the row in force
-- when it happened.
create table partner_terms (
    partner_terms_id uuid primary key,
    partner_id text not null references partners,
    version integer not null constraint partner_terms_version_positive check (version > 0),
    effective_from timestamptz not null,
    commission_rate numeric(7, 6) not null
        constraint partner_terms_commission_rate_range check (commission_rate between 0 and 1),
    success_bonus_rate numeric(7, 6) not null
        constraint partner_terms_success_bonus_rate_range check (success_bonus_rate between 0 and 1),
    multiplier_cap numeric(6, 3) not null
        constraint partner_terms_multiplier_cap_range check (multiplier_cap >= 1),
    attribution_window_hours integer not null
        constraint partner_terms_attribution_window_positive check (attribution_window_hours > 0),
    hold_period_days integer not null
        constraint partner_terms_hold_period_not_negative check (hold_period_days >= 0),
    adjustment_window_days integer not null
        constraint partner_terms_adjustment_window_not_negative check (adjustment_window_days >= 0),
    payout_currency text not null
        constraint partner_terms_payout_currency_iso check (payout_currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null,
    created_by text not null,
    constraint partner_terms_partner_id_version_key unique (partner_id, version),
    constraint partner_terms_partner_id_effective_from_key unique (partner_id, effective_from)
);

-- Sealed with the installation's key; the plain secret is shown once, when it is made.
create table partner_secrets (
    partner_secret_id uuid primary key,
    partner_id text not null references partners,
    purpose text not null
        constraint partner_secrets_purpose_known check (purpose in ('webhook', 'postback')),
    sealed bytea not null,
    hint text not null,
    created_at timestamptz not null,
    created_by text not null,
    revoked_at timestamptz
);
create index partner_secrets_active on partner_secrets (partner_id, purpose) where revoked_at is null;

create table developers (
    developer_id uuid primary key,
    user_ref text not null constraint developers_user_ref_key unique,
    developer_hash text not null,
    created_at timestamptz not null
);

create table sites (
    site_id uuid primary key,
    developer_id uuid not null references developers,
    name text not null,
    url text,
    site_hash text not null,
    analysis jsonb,
    analysed_at timestamptz,
    created_at timestamptz not null
);
create index sites_created_at on sites (created_at desc);

create table referral_codes (
    referral_code text primary key,
    alias text not null constraint referral_codes_alias_key unique,
    -- first 8 bytes of SHA-256 of the code: what a click id carries in its place
    code_digest bytea not null constraint referral_codes_code_digest_key unique,
    partner_id text not null references partners,
    site_id uuid not null references sites,
    developer_id uuid not null references developers,
    developer_hash text not null,
    metadata jsonb,
    active boolean not null default true,
    created_at timestamptz not null
);
create unique index referral_codes_site_partner on referral_codes (site_id, partner_id) where metadata is null;

-- Signing in, machine access, and who changed what.
create table operators (
    operator_id uuid primary key,
    email text not null,
    password_hash text not null,
    role text not null
        constraint operators_role_known check (role in ('owner', 'operator', 'analyst')),
    created_at timestamptz not null,
    last_signed_in_at timestamptz
);
create unique index operators_email_key on operators (lower(email));

create table operator_sessions (
    -- SHA-256 of the cookie's token
    token_digest bytea primary key,
    operator_id uuid not null references operators on delete cascade,
    created_at timestamptz not null,
    expires_at timestamptz not null
);

create table api_tokens (
    api_token_id uuid primary key,
    token_digest bytea not null constraint api_tokens_token_digest_key unique,
    name text not null,
    scopes text[] not null,
    created_at timestamptz not null,
    revoked_at timestamptz
);

create table audit_entries (
    audit_entry_id uuid primary key,
    happened_at timestamptz not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail jsonb not null
);
create index audit_entries_happened_at on audit_entries (happened_at desc);
