-- Asked every two seconds: which codes were switched off.
create index referral_codes_inactive on referral_codes (referral_code) where not active;
