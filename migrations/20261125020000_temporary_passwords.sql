-- A password that somebody else gave is known to them: its owner is asked to choose another until they did. Adding a column with a
-- constant default rewrites nothing. Those who are there already are not asked, since nobody knows whose choice theirs was.
alter table operators add column password_is_temporary boolean not null default false;
