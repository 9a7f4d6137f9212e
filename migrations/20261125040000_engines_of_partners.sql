-- A partner that hosts databases hosts some kinds of them and not others: who has MongoDB is not served by hosted Postgres. Empty: not said,
-- and then any database may move there. The files that ship say it since this version, but a file is imported only once.

alter table partners add column engines text[] not null default '{}';

update partners set engines = '{postgresql}' where partner_id = 'supabase' and category = 'database' and engines = '{}';
