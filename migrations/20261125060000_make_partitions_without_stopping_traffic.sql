-- `create table … partition of` locks the whole traffic table against reads and writes: while it waits for a long report or a backup, all
-- clicks wait behind it. A table that is made apart and attached leaves writes alone; it needs the default partition to itself for a moment,
-- and gives up after half a second rather than let readers queue up.
create or replace function ensure_month_partition(parent text, month timestamptz) returns void language plpgsql
set lock_timeout = '500ms' as $$
declare
    month_start timestamptz := date_trunc('month', month at time zone 'UTC') at time zone 'UTC';
    month_end timestamptz := (date_trunc('month', month at time zone 'UTC') + interval '1 month') at time zone 'UTC';
    partition_name text := parent || '_' || to_char(month at time zone 'UTC', 'YYYY_MM');
begin
    if to_regclass(partition_name) is null then
        execute format('create table %I (like %I including all)', partition_name, parent);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, partition_name, month_start, month_end);
    end if;
exception
    -- Another process made it meanwhile, or rows of that month already lie in the default partition.
    when duplicate_table or unique_violation or check_violation then null;
end $$;
