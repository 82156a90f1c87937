//! Places threads on cores. Short cases are repeatable only with client and stub on cores of their own: the medians of
//! eight processes spanned 121 % unpinned, and 14 % pinned.

use std::fmt;
use std::str::FromStr;

use core_affinity::CoreId;

/// The core of the client's thread and the core of the stub's; `None` leaves a thread to the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Core of the client.
    pub client: Option<usize>,
    /// Core of the stub.
    pub stub: Option<usize>,
}

/// Error for a text that is not a placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a valid placement; write split (client and stub on cores of their own) or none")]
pub struct NotAPlacement(String);

impl Placement {
    /// Leaves all threads to the scheduler.
    pub const fn none() -> Self {
        Self { client: None, stub: None }
    }

    /// The first two cores that this process may use; as `none` where there is only one, or where the system refuses
    /// to pin a thread. Whether the two are one core in hardware (hyper-threads) is not known.
    pub fn split() -> Self {
        match core_affinity::get_core_ids().unwrap_or_default().as_slice() {
            [client, stub, ..] if can_pin(client.id) && can_pin(stub.id) => {
                Self { client: Some(client.id), stub: Some(stub.id) }
            }
            _ => Self::none(),
        }
    }
}

impl Placement {
    /// This placement without the stub's core, for a service that runs in another process.
    pub const fn of_client(self) -> Self {
        Self { stub: None, ..self }
    }

    /// A core for each thread of a load generator: all that this process may use. Where the ingester runs on this
    /// machine too, it keeps one.
    pub fn generator(&self, ingester_is_here: bool) -> Vec<Option<usize>> {
        let mut cores: Vec<usize> =
            core_affinity::get_core_ids().unwrap_or_default().iter().map(|c| c.id).collect();
        // Where the service's core is not known, the last one is left to it.
        let kept = self.stub.or_else(|| cores.last().copied());
        if ingester_is_here && cores.len() > 1 {
            cores.retain(|core| Some(*core) != kept);
        }
        // Where the system does not tell its cores there is one thread; its number is not used, as nothing is pinned then.
        if cores.is_empty() {
            cores.push(0);
        }
        let pinned = self.client.is_some();
        cores.into_iter().map(|core| if pinned { Some(core) } else { None }).collect()
    }
}

impl FromStr for Placement {
    type Err = NotAPlacement;

    fn from_str(text: &str) -> Result<Self, NotAPlacement> {
        match text {
            "split" => Ok(Self::split()),
            "none" => Ok(Self::none()),
            _ => Err(NotAPlacement(text.to_owned())),
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.client, self.stub) {
            (Some(client), Some(stub)) => write!(f, "split: client on core {client}, stub on core {stub}"),
            (Some(client), None) => write!(f, "client on core {client}"),
            (None, _) => f.write_str("none"),
        }
    }
}

/// Whether a thread can be pinned to this core, tried on one that ends at once.
fn can_pin(core: usize) -> bool {
    std::thread::spawn(move || pin(Some(core))).join().unwrap_or(false)
}

/// Pins the calling thread, and so every thread it starts later. False where the system refuses.
pub(crate) fn pin(core: Option<usize>) -> bool {
    core.is_none_or(|id| core_affinity::set_for_current(CoreId { id }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_uses_two_cores_or_none() {
        let placement: Placement = "split".parse().expect("is one");
        assert!(placement == Placement::none() || placement.client != placement.stub);
        assert_eq!("none".parse(), Ok(Placement::none()));
        assert!("both".parse::<Placement>().is_err());
    }

    #[test]
    fn pinning_moves_the_calling_thread_only() {
        let placement = Placement::split();
        let before = core_affinity::get_core_ids();
        std::thread::spawn(move || assert!(pin(placement.stub))).join().expect("does not panic");
        assert_eq!(core_affinity::get_core_ids(), before);
    }
}
