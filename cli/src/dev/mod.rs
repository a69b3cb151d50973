//! `latchkey dev`: the whole bundle on one machine.
//!
//! The functions are the ones that run in Lambda, the gateway takes its routes from `template.yaml`, and
//! the stores are emulators on the other end of the AWS SDK. Nothing here is part of what is deployed.

mod access_key;
mod command;
mod data;
mod demo;
mod dynamodb;
mod engines;
mod env_file;
mod functions;
mod gateway;
pub mod google;
mod google_token;
mod guard;
mod secrets_manager;
mod server;
pub mod template;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Context;
use shared::runtime::aws::Aws;
use shared::runtime::clock;
use shared::signing::rotation::Rotation;
use shared::signing::signing_secret::SigningSecret;
use shared::store::table::Table;
use shared::trust::store::TrustStore;

pub use self::command::DevArgs;
use self::data::{DataFolder, Lock};
use self::engines::{Engines, SIGNING_SECRET_ID, TABLE_NAME};
pub use self::env_file::Environment;
use self::gateway::{Gateway, LOOPBACK_ORIGINS};
pub use self::google_token::GoogleTokenArgs;
use self::guard::Guard;
use self::server::Server;
use self::template::Template;

/// The map that this program was built with.
pub const TEMPLATE: &str = include_str!("../../../template.yaml");

/// What a local stack is started with.
pub struct Options {
    /// The gateway's port on 127.0.0.1; 0 is any free one.
    pub port: u16,
    /// The data folder. `dev.env` is written here, and the stores are kept here unless `ephemeral`.
    pub data: PathBuf,
    /// Keeps the stores in memory.
    pub ephemeral: bool,
    /// URL of a DynamoDB to use in place of the embedded engine.
    pub dynamodb: Option<String>,
}

/// A running local stack. Dropped, it stops at once; [`stop`](Self::stop) lets requests end first.
pub struct Running {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// What `dev.env` holds.
    pub environment: Environment,
    /// In the order in which they stop: whoever asks before whom they ask.
    servers: Vec<Server>,
    _lock: Lock,
}

impl Running {
    /// Stops accepting requests, lets those under way end, and closes the stores.
    ///
    /// # Errors
    /// A part of the stack that failed while it ran; the others have stopped all the same.
    pub async fn stop(self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for server in self.servers {
            outcome = outcome.and(server.stop().await);
        }
        outcome
    }
}

/// Starts the local stack and returns when it answers.
///
/// # Errors
/// A port or a data folder that is in use, and anything in the template or under `data` that can't be
/// used.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let listener = server::listen(options.port).await?;
    let url = server::url(&listener)?;
    let (folder, lock) = DataFolder::open(&options.data)?;
    let before = folder.read(env_file::NAME)?.map(|text| env_file::read(&text)).unwrap_or_default();
    let template = Template::read_with(TEMPLATE, &[("AllowedOrigins", LOOPBACK_ORIGINS)])?;

    let engines = Engines::start(&options, &folder, &before).await?;
    let mut environment = engines.environment();
    environment.insert("LATCHKEY_URL".to_owned(), url.clone());
    environment.extend(fill_stores(&engines, &template, &before).await?);

    let mut values = engines.values();
    values.insert("ISSUER".to_owned(), url.clone());
    let functions = functions::link(&template.functions, &values, &engines.everywhere()).await?;
    folder.write(env_file::NAME, &env_file::write(&environment)).context("can't write dev.env")?;

    let domain = listener.local_addr()?.to_string();
    let gateway = Gateway::new(template, functions, domain);
    let gateway = Server::start(listener, Guard::Pages, gateway.into_router())?;
    let servers = [gateway].into_iter().chain(engines.into_servers()).collect();
    Ok(Running { url, environment, servers, _lock: lock })
}

/// Makes what a deployment and its first hour would make: the table, the secret, a signing key and
/// somebody to sign in. Returns the part of `dev.env` that tells of them.
async fn fill_stores(
    engines: &Engines,
    template: &Template,
    before: &Environment,
) -> anyhow::Result<Environment> {
    let aws = Aws::from_settings(&engines.everywhere().into_iter().collect())?;
    dynamodb::make_table(&aws.dynamodb(), TABLE_NAME, &template.table).await?;
    secrets_manager::make_secret(&aws.secrets_manager(), SIGNING_SECRET_ID).await?;
    let table = Table::new(aws.dynamodb(), TABLE_NAME);
    let secret = SigningSecret::new(aws.secrets_manager(), SIGNING_SECRET_ID);
    let now = clock::now();
    let rotation = Rotation::new(secret, TrustStore::new(table.clone()));
    demo::make_signing_key(&rotation, now).await?;
    demo::make_identities(&table, before, now).await
}
