//! Which user performs which request: a pure function of the request's index.

/// The closed model: each of `users` begins its next request when its last has ended, `requests` in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Requests under way at once.
    pub users: u32,
    /// Requests in all.
    pub requests: u64,
}

impl Closed {
    /// The requests of `user`, counted from 0: every `users`-th.
    pub fn requests_of(self, user: u32) -> impl Iterator<Item = u64> {
        (u64::from(user)..self.requests).step_by(self.users.max(1) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_belongs_to_exactly_one_user() {
        let plan = Closed { users: 3, requests: 8 };
        assert_eq!(plan.requests_of(0).collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!(plan.requests_of(1).collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(plan.requests_of(2).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn users_without_a_request_stay_idle() {
        let plan = Closed { users: 5, requests: 2 };
        assert_eq!((0..5).map(|user| plan.requests_of(user).count()).sum::<usize>(), 2);
        assert_eq!(plan.requests_of(4).count(), 0);
    }
}
