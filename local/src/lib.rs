//! The local stack, which `latchkey dev` and the tests run: gateway, emulators, stand-in issuer and demo data.
//!
//! The functions are those that run in Lambda. The gateway reads its routes from `template.yaml`. The stores are
//! emulators behind the AWS SDKs. No deployed function links this crate.
//!
//! It depends on every function, on `shared` and on `sam-template`. It must not depend on the command line or on
//! `test_support`, which depend on it.

mod access_key;
mod data;
mod demo;
mod dynamodb;
mod emulators;
mod env_file;
mod functions;
mod gateway;
pub mod google;
mod guard;
pub mod route_scopes;
mod secrets_manager;
mod server;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Context;
use sam_template::{TEMPLATE, Template};
use shared::runtime::aws::Aws;
use shared::runtime::clock;
use shared::signing::rotation::Rotation;
use shared::signing::signing_secret::SigningSecret;
use shared::store::table::Table;
use shared::trust::store::TrustStore;

use self::data::{DataFolder, Lock};
pub use self::emulators::EMBEDDED_DYNAMODB;
use self::emulators::{Emulators, SIGNING_SECRET_ID, TABLE_NAME};
pub use self::env_file::{Environment, NAME as ENV_FILE};
use self::gateway::{Gateway, LOOPBACK_ORIGINS};
use self::guard::Guard;
use self::server::Server;

/// The options of a local stack.
pub struct Options {
    /// The gateway's port on 127.0.0.1. 0 is any free one.
    pub port: u16,
    /// The data folder, with `dev.env`, and with the stores unless `ephemeral`.
    pub data: PathBuf,
    /// Keeps the stores in memory only.
    pub ephemeral: bool,
    /// The URL of another DynamoDB than the embedded engine.
    pub dynamodb: Option<String>,
}

/// A running local stack. Dropping it stops it at once. [`stop`](Self::stop) completes requests first.
pub struct Running {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// The content of `dev.env`.
    pub environment: Environment,
    /// In the order of stopping: a server before those that it calls.
    servers: Vec<Server>,
    _lock: Lock,
}

impl Running {
    /// Stops accepting requests, completes those in progress, and closes the stores.
    ///
    /// # Errors
    /// A server that failed while it ran. The others have stopped too.
    pub async fn stop(self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for server in self.servers {
            outcome = outcome.and(server.stop().await);
        }
        outcome
    }
}

/// Starts the local stack and returns when it is ready.
///
/// # Errors
/// A port or a data folder in use, an invalid template, and invalid files in the data folder.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let listener = server::listen(options.port).await?;
    let url = server::url(&listener)?;
    let (folder, lock) = DataFolder::open(&options.data)?;
    let before = folder.read(env_file::NAME)?.map(|text| env_file::read(&text)).unwrap_or_default();
    let template = Template::read_with(TEMPLATE, &[("AllowedOrigins", LOOPBACK_ORIGINS)])?;
    route_scopes::check(&template)?;

    let emulators = Emulators::start(&options, &folder, &before).await?;
    let mut environment = emulators.environment();
    environment.insert("LATCHKEY_URL".to_owned(), url.clone());
    environment.extend(seed(&emulators, &template, &before).await?);

    let mut values = emulators.values();
    values.insert("ISSUER".to_owned(), url.clone());
    let functions = functions::link(&template.functions, &values, &emulators.everywhere()).await?;
    folder.write(env_file::NAME, &env_file::write(&environment)).context("can't write dev.env")?;

    let domain = listener.local_addr()?.to_string();
    let gateway = Gateway::new(template, functions, domain);
    let gateway = Server::start(listener, Guard::Pages, gateway.into_router())?;
    let servers = [gateway].into_iter().chain(emulators.into_servers()).collect();
    Ok(Running { url, environment, servers, _lock: lock })
}

/// Creates the table, the signing secret, a signing key and the demo identities, and returns their part of `dev.env`.
async fn seed(
    emulators: &Emulators,
    template: &Template,
    before: &Environment,
) -> anyhow::Result<Environment> {
    let aws = Aws::from_settings(&emulators.everywhere().into_iter().collect())?;
    dynamodb::create_table(&aws.dynamodb(), TABLE_NAME, &template.table).await?;
    secrets_manager::create_secret(&aws.secrets_manager(), SIGNING_SECRET_ID).await?;
    let table = Table::new(aws.dynamodb(), TABLE_NAME);
    let secret = SigningSecret::new(aws.secrets_manager(), SIGNING_SECRET_ID);
    let now = clock::now();
    let rotation = Rotation::new(secret, TrustStore::new(table.clone()));
    demo::create_signing_key(&rotation, now).await?;
    demo::create_identities(&table, before, now).await
}
