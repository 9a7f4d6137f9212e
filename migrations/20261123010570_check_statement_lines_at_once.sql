-- A statement takes all its lines in one insert. Checking two references for each of 100 000 rows costs more than all the rest, so that
-- they are checked for the whole insert at once. What is referred to cannot go later: ledger and statements refuse every delete.
alter table statement_lines
    drop constraint statement_lines_statement_id_fkey,
    drop constraint statement_lines_ledger_transaction_id_fkey;

create function check_statement_lines() returns trigger language plpgsql as $$
begin
    if exists (select from added left join statements s on s.statement_id = added.statement_id where s.statement_id is null)
        or exists (
            select from added left join ledger_transactions t on t.ledger_transaction_id = added.ledger_transaction_id
            where t.ledger_transaction_id is null
        )
    then
        raise exception 'a statement line refers to a statement or a ledger transaction that is not there'
            using errcode = 'foreign_key_violation', constraint = 'statement_lines_refer';
    end if;
    return null;
end $$;

create trigger statement_lines_refer after insert on statement_lines referencing new table as added
    for each statement execute function check_statement_lines();

-- No query is served by it, and a month's end would write it anew for every commission.
drop index commissions_partner_state;
