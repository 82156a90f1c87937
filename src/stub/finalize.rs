//! `POST /api/v1/finalize/{file_id}`: moves a temporary file to an element for permanent ones, in the background; and
//! `GET /api/v1/finalize/{transaction_id}/status`, which tells how far that is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use uuid::Uuid;

use super::answer::Refusal;
use super::state::State;
use super::storage::StorageError;

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
struct Transaction {
    transaction_id: Uuid,
    file_id: Uuid,
    status: Progress,
    /// What went wrong.
    error: Option<String>,
}

/// The transactions of late, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Transactions(Mutex<VecDeque<Transaction>>);

impl Transactions {
    fn begin(&self, file_id: Uuid) -> Transaction {
        let transaction_id = Uuid::new_v4();
        let begun = Transaction { transaction_id, file_id, status: Progress::Copying, error: None };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST {
            known.pop_front();
        }
        known.push_back(begun.clone());
        begun
    }

    fn end(&self, id: Uuid, outcome: Result<(), StorageError>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // From the back: it began a moment ago.
        let Some(transaction) = known.iter_mut().rev().find(|known| known.transaction_id == id) else {
            return;
        };
        match outcome {
            Ok(()) => transaction.status = Progress::Completed,
            Err(error) => {
                transaction.status = Progress::Failed;
                transaction.error = Some(Refusal::Storage(error).cause().to_owned());
            }
        }
    }

    fn find(&self, id: Uuid) -> Option<Transaction> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().rev().find(|known| known.transaction_id == id).cloned()
    }
}

/// Begins to move a file.
pub(super) async fn begin(Shared(state): Shared<Arc<State>>, Path(file): Path<String>) -> Response {
    // A name that is not a UUID is the name of no file.
    let found = match file.parse::<Uuid>() {
        Ok(id) => state.storage.find(id).await.map(|found| found.map(|_| id)),
        Err(_) => Ok(None),
    };
    let id = match found {
        Ok(Some(id)) => id,
        Ok(None) => return Refusal::NotFound.answer(state.dialect),
        Err(error) => return Refusal::Storage(error).answer(state.dialect),
    };
    let transaction = state.transactions.begin(id);
    let transaction_id = transaction.transaction_id;
    let shared = Arc::clone(&state);
    tokio::spawn(async move {
        let outcome = shared.storage.finalize(id).await.map(|_| ());
        shared.transactions.end(transaction_id, outcome);
    });
    (StatusCode::ACCEPTED, Json(transaction)).into_response()
}

/// How far a file is on its way.
pub(super) async fn status(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    let known = id.parse().ok().and_then(|id| state.transactions.find(id));
    match known {
        Some(transaction) => Json(transaction).into_response(),
        None => Refusal::NotFound.answer(state.dialect),
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
        transactions.end(second, Err(StorageError::Full));
        let second = transactions.find(second).expect("is remembered");
        assert_eq!((second.status, second.error.as_deref()), (Progress::Failed, Some("storage_full")));
    }
}
