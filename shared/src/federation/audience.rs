//! The audiences that a trusted issuer's tokens must be for.

use std::collections::BTreeSet;

use crate::identity::subjects::is_client_id;

/// An accepted audience, and the clients that may exchange its tokens. Without clients it is for first-party sign-in.
pub(super) struct Audience {
    pub(super) name: String,
    pub(super) allowed_clients: BTreeSet<String>,
}

impl Audience {
    /// Adds configured audiences, each `AUDIENCE` or `AUDIENCE=CLIENT`, and returns their names.
    pub(super) fn add(audiences: &mut Vec<Self>, entries: &[String]) -> Result<Vec<String>, &'static str> {
        let add = |entry: &String| {
            let (name, client) = match entry.rsplit_once('=') {
                Some((name, client)) => (name, Some(client)),
                None => (entry.as_str(), None),
            };
            if name.is_empty() || client.is_some_and(|client| !is_client_id(client)) {
                return Err(
                    "has an audience that is neither AUDIENCE nor AUDIENCE=CLIENT with a valid client id",
                );
            }
            let allowed_clients = client.map(str::to_owned);
            match audiences.iter_mut().find(|known| known.name == name) {
                Some(known) if known.allowed_clients.is_empty() != allowed_clients.is_none() => {
                    return Err(
                        "lists an audience both as AUDIENCE and as AUDIENCE=CLIENT; AUDIENCE is for \
                                first-party sign-in, AUDIENCE=CLIENT for that client",
                    );
                }
                Some(known) => known.allowed_clients.extend(allowed_clients),
                None => audiences.push(Self {
                    name: name.to_owned(),
                    allowed_clients: allowed_clients.into_iter().collect(),
                }),
            }
            Ok(name.to_owned())
        };
        entries.iter().map(add).collect()
    }
}
