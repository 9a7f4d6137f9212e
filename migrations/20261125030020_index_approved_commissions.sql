-- The dashboard asks every second how much is approved and not paid yet, which is few rows among many.
create index commissions_approved on commissions (currency) include (final_minor, bonus_minor) where state in ('approved', 'invoiced');
