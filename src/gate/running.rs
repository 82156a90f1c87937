//! Services that are started once for a session (`restart = "session"`): one for each role.

use super::arm::{Side, StartedService};
use super::copies::{Copies, FolderCopy};
use super::protocol::Begin;
use super::schedule::Role;
use crate::auth::KeyPair;
use crate::error::Error;
use crate::ingester::Service;
use crate::interrupt::Interrupt;

/// Gives a worker the key of the tokens that its service takes.
const PRIVATE_KEY: &str = "INGESTER_PRIVATE_KEY";

/// A running service for each role, and the sides that lead workers to them. Dropping it ends the services, and removes their
/// folders after them.
#[derive(Debug)]
pub struct Running {
    sides: Vec<Side>,
    _services: Vec<Service>,
    _folders: Vec<FolderCopy>,
}

impl Running {
    /// Starts the service of each role; `None` where services are started anew for every pair, or by nobody here.
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
            if let Some(built) = &started.built {
                let folder = copies.of_folder(built)?;
                command.dir.clone_from(&folder.path);
                running._folders.push(folder);
            }
            let service = Service::start(&command, key.public(), begin.stub, interrupt)?;
            let mut env = started.env.clone();
            if started.wants_token {
                env.push((PRIVATE_KEY, begin.key.clone()));
            }
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
        &self.sides[role as usize]
    }
}
