//! What is shown to a service.

use super::client_credentials::ClientCredentials;
use crate::auth::{Minter, Token};

/// What proves to a service that uploads are allowed.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing: the service wants no token.
    None,
    /// A bearer token as it is.
    Token(Token),
    /// A private key; tokens are minted with it.
    PrivateKey(Minter),
    /// A client id with its secret; tokens are asked for.
    Client(ClientCredentials),
}
