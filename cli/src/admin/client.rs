//! `latchkey client`: the machines that ask for tokens.

mod report;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::Serialize;
use shared::clock;
use shared::grants::client_auth::new_secret;
use shared::store::clients::{Client, ClientSecret};
use shared::store::table::StoreError;

use self::report::{Deleted, Listed, Shown, Switched};
use super::connection::{Connection, TableArgs};
use super::output::{Format, show_once};
use super::prompt::confirm;
use super::rules;

/// Clients: the machines that ask for tokens
#[derive(Args)]
pub struct ClientArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Subcommand)]
enum ClientCommand {
    /// Make a client and show its secret, this once
    #[command(after_help = "Examples:\n  \
        latchkey client create billing --scope todo:read todo:write\n  \
        latchkey client create reports --scope todo:read --audience https://reports.example.com --token-ttl 3600\n  \
        latchkey client create billing --scope todo:read --claim tenant=acme --output json")]
    Create(CreateArgs),
    /// List all clients
    List,
    /// Show one client
    Show {
        /// The client's id
        id: String,
    },
    /// Refuse a client new tokens, and shut out those it has
    Disable {
        /// The client's id
        id: String,
    },
    /// Let a disabled client in again
    Enable {
        /// The client's id
        id: String,
    },
    /// Forget a client, and shut out the tokens it has
    Delete {
        /// The client's id
        id: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// The client's id: letters, digits and . _ -
    id: String,
    /// Scopes that it may ask for
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1.., required = true)]
    scopes: Vec<String>,
    /// Audiences that it may ask for, the first being its default [default: the deployment's]
    #[arg(long = "audience", value_name = "AUDIENCE", num_args = 1..)]
    audiences: Vec<String>,
    /// Life of its tokens in seconds [default: the deployment's]
    #[arg(long, value_name = "SECONDS")]
    token_ttl: Option<u64>,
    /// Claims that its tokens carry
    #[arg(long = "claim", value_name = "NAME=VALUE", num_args = 1.., value_parser = claim)]
    claims: Vec<(String, String)>,
}

fn claim(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a claim is written NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl ClientArgs {
    /// Carries out the command.
    ///
    /// # Errors
    /// A command that was refused, or a store that does not answer.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        let connection = Connection::open(&self.table).await?;
        let result = run(self.command, &connection, format).await;
        result.map_err(|error| connection.explain(error))
    }
}

async fn run(command: ClientCommand, connection: &Connection, format: Format) -> anyhow::Result<()> {
    let now = clock::now();
    match command {
        ClientCommand::Create(args) => {
            let CreateArgs { id, scopes, audiences, token_ttl, claims } = args;
            let spec = Spec { client_id: id, scopes, audiences, token_ttl, claims };
            format.print(&create(connection, spec, now).await?)
        }
        ClientCommand::List => format.print(&Listed(connection.clients.list().await?)),
        ClientCommand::Show { id } => format.print(&Shown::from(find(connection, &id).await?)),
        ClientCommand::Disable { id } => format.print(&set_disabled(connection, id, true, now).await?),
        ClientCommand::Enable { id } => format.print(&set_disabled(connection, id, false, now).await?),
        ClientCommand::Delete { id, yes } => {
            let client = find(connection, &id).await?;
            confirm(&format!("Delete the client {}? Its tokens stop working.", client.client_id), yes)?;
            format.print(&delete(connection, client, now).await?)
        }
    }
}

/// What a new client is to be.
pub struct Spec {
    /// `client_id`
    pub client_id: String,
    /// The scopes that it may ask for.
    pub scopes: Vec<String>,
    /// The audiences that it may ask for; empty for those of the deployment.
    pub audiences: Vec<String>,
    /// Life of its tokens in seconds; none for the deployment's.
    pub token_ttl: Option<u64>,
    /// Claims that its tokens carry.
    pub claims: Vec<(String, String)>,
}

impl Spec {
    fn into_client(self, secret: ClientSecret, now: u64) -> anyhow::Result<Client> {
        rules::client_id(&self.client_id)?;
        rules::audiences(&self.audiences)?;
        self.token_ttl.map_or(Ok(()), rules::token_ttl)?;
        Ok(Client {
            scopes: rules::scopes(&self.scopes)?,
            claims: rules::claims(&self.claims)?,
            client_id: self.client_id,
            secrets: vec![secret],
            audiences: self.audiences,
            token_ttl: self.token_ttl,
            disabled: false,
            created_at: now,
        })
    }
}

/// A client that was made.
#[derive(Serialize)]
pub struct Created {
    /// `client_id`
    pub client_id: String,
    /// Its secret, which is stored nowhere.
    #[serde(serialize_with = "show_once")]
    pub client_secret: SecretString,
}

/// Makes a client with a new secret. `now` is in seconds since 1970.
///
/// # Errors
/// A specification that breaks a rule, and an id that is taken.
pub async fn create(connection: &Connection, spec: Spec, now: u64) -> anyhow::Result<Created> {
    let (client_secret, digest) = new_secret();
    let client = spec.into_client(ClientSecret { digest, created_at: now, expires_at: None }, now)?;
    let client_id = client.client_id.clone();
    match connection.clients.create(&client).await {
        Err(StoreError::Exists) => bail!(
            "client {client_id} exists already: choose another id, or `latchkey client delete {client_id}` first"
        ),
        result => result?,
    }
    // A client of this id may have been deleted today, and its tokens shut out. Only now: before the write
    // it isn't sure that the id is free, and a client that was disabled must not be let in again.
    connection.readmit(&client_id, now).await?;
    Ok(Created { client_id, client_secret })
}

async fn find(connection: &Connection, id: &str) -> anyhow::Result<Client> {
    connection.clients.get(id).await?.with_context(|| unknown(id))
}

fn unknown(id: &str) -> String {
    format!("there is no client {id}: `latchkey client list` shows which there are")
}

async fn set_disabled(
    connection: &Connection,
    id: String,
    disabled: bool,
    now: u64,
) -> anyhow::Result<Switched> {
    let Client { client_id, .. } = find(connection, &id).await?;
    // Each way the trust bundle comes first. Stopped in between, a client whose tokens are shut out can
    // still ask for useless ones, and one that is let in again still gets none: never is a disabled
    // client's token good. Running the command again does the rest.
    if disabled {
        connection.trust.shut_out(&client_id, now).await?;
    } else {
        connection.readmit(&client_id, now).await?;
    }
    match connection.clients.set_disabled(&client_id, disabled).await {
        Err(StoreError::Missing) => bail!(unknown(&id)),
        result => result?,
    }
    Ok(Switched { client_id, disabled })
}

async fn delete(connection: &Connection, client: Client, now: u64) -> anyhow::Result<Deleted> {
    // In this order for the same reason as above: no token outlives its client.
    connection.trust.shut_out(&client.client_id, now).await?;
    connection.clients.delete(&client.client_id).await?;
    Ok(Deleted { client_id: client.client_id, deleted: true })
}
