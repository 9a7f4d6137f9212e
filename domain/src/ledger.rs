//! The ledger's accounts, its always-balanced transaction, and the hash chain that makes tampering show.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What partners owe us. Debit (positive) when a commission is booked.
    PartnerReceivable,
    /// Commission that may still be taken back: its hold period runs.
    HeldCommission,
    EarnedCommission,
    Cash,
    WriteOff,
}

impl Account {
    pub fn name(self) -> &'static str {
        match self {
            Self::PartnerReceivable => "partner_receivable",
            Self::HeldCommission => "held_commission",
            Self::EarnedCommission => "earned_commission",
            Self::Cash => "cash",
            Self::WriteOff => "write_off",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    Commission,
    Bonus,
    Adjustment,
    Reversal,
    /// The hold period is over: held commission becomes earned.
    Approval,
    /// The partner paid.
    Payout,
    /// The partner will not pay.
    WriteOff,
}

impl fmt::Display for TransactionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commission => "commission",
            Self::Bonus => "bonus",
            Self::Adjustment => "adjustment",
            Self::Reversal => "reversal",
            Self::Approval => "approval",
            Self::Payout => "payout",
            Self::WriteOff => "write_off",
        })
    }
}

/// One line: debits are positive, credits negative, in minor units of the transaction's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub account: Account,
    pub amount_minor: i64,
}

/// Entries that sum to zero; there is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    kind: TransactionKind,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbalanced {
    #[error("{count} entries sum to {total} instead of 0")]
    Sum { count: usize, total: i128 },
    #[error("a transaction needs at least two entries that are not zero")]
    TooFew,
}

impl Transaction {
    /// # Errors
    /// Refuses entries that do not sum to zero, fewer than two, and entries of zero.
    pub fn new(kind: TransactionKind, entries: Vec<Entry>) -> Result<Self, Unbalanced> {
        let total: i128 = entries.iter().map(|entry| i128::from(entry.amount_minor)).sum();
        if total != 0 {
            return Err(Unbalanced::Sum { count: entries.len(), total });
        }
        if entries.len() < 2 || entries.iter().any(|entry| entry.amount_minor == 0) {
            return Err(Unbalanced::TooFew);
        }
        Ok(Self { kind, entries })
    }

    /// Books a change of what a partner owes us for commissions that are still held; negative amounts take back.
    /// `None` for zero, since nothing is to be booked.
    pub fn held(kind: TransactionKind, amount_minor: i64) -> Option<Self> {
        Self::transfer(kind, amount_minor, Account::HeldCommission, Account::PartnerReceivable)
    }

    /// [`Transaction::held`] for commissions that are approved.
    pub fn earned(kind: TransactionKind, amount_minor: i64) -> Option<Self> {
        Self::transfer(kind, amount_minor, Account::EarnedCommission, Account::PartnerReceivable)
    }

    /// The hold period of this much commission is over.
    pub fn approval(amount_minor: i64) -> Option<Self> {
        Self::transfer(TransactionKind::Approval, amount_minor, Account::EarnedCommission, Account::HeldCommission)
    }

    /// The partner paid this much of what it owes.
    pub fn payout(amount_minor: i64) -> Option<Self> {
        Self::transfer(TransactionKind::Payout, amount_minor, Account::PartnerReceivable, Account::Cash)
    }

    /// Credits one account and debits the other.
    fn transfer(kind: TransactionKind, amount_minor: i64, from: Account, to: Account) -> Option<Self> {
        let entries = vec![Entry { account: to, amount_minor }, Entry { account: from, amount_minor: amount_minor.checked_neg()? }];
        Self::new(kind, entries).ok()
    }

    pub fn kind(&self) -> TransactionKind {
        self.kind
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// Hash of the first transaction's predecessor.
pub const GENESIS: [u8; 32] = [0; 32];

/// The seal of a transaction: SHA-256 of its predecessor's seal and its own canonical text.
pub fn seal(previous: &[u8; 32], canonical: &str) -> [u8; 32] {
    Sha256::new().chain_update(previous).chain_update(canonical.as_bytes()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unbalanced_empty_and_zero_entries_are_refused() {
        let entry = |amount_minor| Entry { account: Account::Cash, amount_minor };
        let new = |amounts: &[i64]| Transaction::new(TransactionKind::Payout, amounts.iter().map(|amount| entry(*amount)).collect());
        assert_eq!(new(&[5, -4]), Err(Unbalanced::Sum { count: 2, total: 1 }));
        assert_eq!(new(&[]), Err(Unbalanced::TooFew));
        assert_eq!(new(&[0, 0]), Err(Unbalanced::TooFew));
        assert_eq!(new(&[i64::MAX, i64::MAX]), Err(Unbalanced::Sum { count: 2, total: 2 * i128::from(i64::MAX) }));
    }

    proptest! {
        #[test]
        fn held_amounts_balance(amount in proptest::num::i64::ANY) {
            match Transaction::held(TransactionKind::Commission, amount) {
                Some(transaction) => prop_assert_eq!(transaction.entries().iter().map(|entry| i128::from(entry.amount_minor)).sum::<i128>(), 0),
                None => prop_assert!(amount == 0 || amount == i64::MIN),
            }
        }
    }
}
