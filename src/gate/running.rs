//! Services that are started once for a session (`restart = "session"`): one for each role.

use super::arm::{ArmError, Side, StartedService};
use super::copies::{Copies, FolderCopy};
use super::protocol::Begin;
use crate::auth::KeyPair;
use crate::error::Error;
use crate::ingester::{OF_A_REAL_INGESTER, Service};
use crate::interrupt::Interrupt;
use crate::lockstep::Role;

/// Variable that gives a worker the key for signing the tokens that its service accepts.
const PRIVATE_KEY: &str = "INGESTER_PRIVATE_KEY";

/// A running service for each role, and for each a side whose workers connect to it. Dropping it ends the services,
/// then removes their folders.
#[derive(Debug)]
pub struct Running {
    sides: Vec<Side>,
    _services: Vec<Service>,
    _folders: Vec<FolderCopy>,
}

impl Running {
    /// Starts the service of each role. `None` where services are started anew for every pair, or where there are
    /// none to start.
    pub fn start(
        base: &Side,
        head: &Side,
        copies: &mut Copies,
        begin: &Begin,
        interrupt: &Interrupt,
    ) -> Result<Option<Self>, Error> {
        let key = KeyPair::from_pem(&begin.key)?;
        let mut running = Self { sides: Vec::new(), _services: Vec::new(), _folders: Vec::new() };
        for role in Role::ALL {
            let side = if role == Role::Head { head } else { base };
            let Some(started) = side.service.as_ref().filter(|service| service.once) else { return Ok(None) };
            let mut command = started.command.clone();
            command.log = copies.log_of(role);
            // Each role has a copy of its own, so that no two of the processes share the pages of a file.
            if let Some(built) = &started.built {
                let folder = copies.of_folder(built)?;
                command.dir.clone_from(&folder.path);
                running._folders.push(folder);
            }
            // The service checks tokens by the public half of the session's key; workers sign them with the private
            // one.
            let service = match Service::start(&command, key.public(), begin.stub, interrupt) {
                Ok(service) => service,
                // An interrupt has an exit code of its own.
                Err(Error::Interrupted(signal)) => return Err(Error::Interrupted(signal)),
                Err(error) => return Err(ArmError::new(role, side, error.to_string()).into()),
            };
            let mut env = started.env.clone();
            // A token of the user's own comes before those of this session's key.
            let has_own = OF_A_REAL_INGESTER[1..].iter().any(|variable| std::env::var_os(variable).is_some());
            if started.wants_token && !has_own {
                env.push((PRIVATE_KEY, begin.key.clone()));
            }
            // With a URL, a worker does not start the service. Without the slash at the end, as it answers with the
            // URL in that form (`Arm::begin` compares the two).
            running.sides.push(Side {
                url: Some(service.base().as_str().trim_end_matches('/').to_owned()),
                service: Some(StartedService { env, built: None, ..started.clone() }),
                ..side.clone()
            });
            running._services.push(service);
        }
        Ok(Some(running))
    }

    /// What a worker of this role measures.
    pub fn side(&self, role: Role) -> &Side {
        // They were started in the order of `Role::ALL`.
        &self.sides[role as usize]
    }
}
