-- Conversions, successes and commissions now count in the hour in which they happened, no longer in that in which they were booked: an
-- attribution that came on another day took away from an hour that had nothing, and an import of old sales was a spike of today.
--
-- What was counted before moves to its hour by differences, in a shard of their own (those of the servers begin with 0), so that no row
-- is locked that a server adds to. A server of the version before that still runs goes on counting in the hour of its booking.
insert into hourly_counts (hour, partner_id, shard, conversions, conversions_unattributed, successes)
select hour, partner_id, -1, sum(conversions), sum(unattributed), sum(successes)
from (
    select date_trunc('hour', occurred_at, 'UTC') as hour, partner_id, 1 as conversions,
           (state not in ('attributed', 'held'))::int as unattributed, 0 as successes
    from conversions
    union all
    select date_trunc('hour', occurred_at, 'UTC'), partner_id, 0, 0, 1 from success_events where state = 'verified'
    union all
    select hour, partner_id, -conversions, -conversions_unattributed, -successes from hourly_counts
) as moved
group by hour, partner_id
having sum(conversions) <> 0 or sum(unattributed) <> 0 or sum(successes) <> 0;

insert into hourly_money (hour, partner_id, currency, shard, commission_minor, rated)
select hour, partner_id, currency, -1, sum(commission_minor), sum(rated)
from (
    select date_trunc('hour', occurred_at, 'UTC') as hour, m.partner_id, m.currency, final_minor + bonus_minor as commission_minor, 1 as rated
    from commissions m join conversions using (conversion_id)
    union all
    select hour, partner_id, currency, -commission_minor, -rated from hourly_money
) as moved
group by hour, partner_id, currency
having sum(commission_minor) <> 0 or sum(rated) <> 0;
