-- The dashboard counts the developers who are new, at each of its refreshes.
create index developers_created_at on developers (created_at desc);
