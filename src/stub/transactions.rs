//! Files on their way from one storage element to another.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use uuid::Uuid;

/// Most transactions that are remembered. The oldest are forgotten first.
const MOST: usize = 10_000;

/// How far a file is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    Copying,
    Completed,
    Failed,
}

/// One file on its way.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Transaction {
    pub transaction_id: Uuid,
    file_id: Uuid,
    status: Progress,
    /// What went wrong.
    error: Option<String>,
}

/// The transactions of late, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Transactions(Mutex<VecDeque<Transaction>>);

impl Transactions {
    /// Remembers one that begins.
    pub fn begin(&self, file_id: Uuid) -> Transaction {
        let transaction_id = Uuid::new_v4();
        let begun = Transaction { transaction_id, file_id, status: Progress::Copying, error: None };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST {
            known.pop_front();
        }
        known.push_back(begun.clone());
        begun
    }

    /// Notes how one has ended: well, or with this error.
    pub fn end(&self, id: Uuid, outcome: Result<(), &str>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // From the back: it began a moment ago.
        let Some(transaction) = known.iter_mut().rev().find(|known| known.transaction_id == id) else {
            return;
        };
        match outcome {
            Ok(()) => transaction.status = Progress::Completed,
            Err(error) => {
                transaction.status = Progress::Failed;
                transaction.error = Some(error.to_owned());
            }
        }
    }

    /// The one with this id, if it is remembered.
    pub fn find(&self, id: Uuid) -> Option<Transaction> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().rev().find(|known| known.transaction_id == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_transactions_are_forgotten() {
        let transactions = Transactions::default();
        let first = transactions.begin(Uuid::new_v4()).transaction_id;
        let second = transactions.begin(Uuid::new_v4()).transaction_id;
        for _ in 2..=MOST {
            transactions.begin(Uuid::new_v4());
        }
        assert!(transactions.find(first).is_none());
        transactions.end(second, Err("storage_full"));
        let second = transactions.find(second).expect("is remembered");
        assert_eq!((second.status, second.error.as_deref()), (Progress::Failed, Some("storage_full")));
    }
}
