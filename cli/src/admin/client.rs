//! `latchkey client`: clients.

mod settings;
mod shown;
mod update;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::Serialize;
use shared::identity::secrets::{SecretKind, generate};
use shared::runtime::clock;
use shared::store::clients::{Client, ClientKeys, ClientSecret, GrantType, Quota};
use shared::store::table::StoreError;

use self::settings::SettingsArgs;
use self::shown::Shown;
use self::update::UpdateArgs;
use super::connection::{Connection, TableArgs};
use super::output::{Done, Format, List, Noted, Report, show_once, show_once_if_any, time};
use super::prompt::confirm;
use super::validation;

/// The maximum number of valid secrets of a client. Each token request is compared with all of them.
const MAX_SECRETS: usize = 5;

/// Manage clients, the programs that request tokens
#[derive(Args)]
pub struct ClientArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Subcommand)]
enum ClientCommand {
    /// Create a client and print its secret once
    #[command(after_help = "Examples:\n  \
        latchkey client create billing --scope todo:read todo:write\n  \
        latchkey client create reports --scope todo:read --audience https://reports.example.com --token-ttl 3600\n  \
        latchkey client create billing --scope todo:read --claim tenant=acme --output json\n  \
        latchkey client create app --scope todo:read --public-key jwks.json --quota 1000/1h\n  \
        latchkey client create web --scope todo:read --grant token-exchange refresh_token    # GoogleClientIds: ID=web\n  \
        latchkey client create shop-deploy --scope deploy --no-secret")]
    Create(Box<CreateArgs>),
    /// Change the given settings of a client
    #[command(after_help = "Examples:\n  \
        latchkey client update billing --scope todo:read\n  \
        latchkey client update billing --quota 1000/1h --audience latchkey https://reports.example.com\n  \
        latchkey client update billing --public-key jwks.json --no-quota --output json\n\n\
        Settings that are not given keep their value. The secrets stay valid, and `latchkey client rotate-secret` \
        replaces them.\n\
        New keys, certificates, scopes, audiences and grants apply from the next token request. A refresh never gives \
        more than the client may have at that time. Token families stay valid, so a scope that is removed and added \
        again is available to them again.\n\
        Access tokens already issued don't change until they expire. `latchkey client disable`, then `enable`, revokes \
        them.")]
    Update(Box<UpdateArgs>),
    /// List all clients
    List,
    /// Show a client
    Show {
        /// Client id
        id: String,
    },
    /// Create a new secret, print it once, and expire the old secrets after an overlap
    #[command(after_help = "Examples:\n  \
        latchkey client rotate-secret billing\n  \
        latchkey client rotate-secret billing --overlap 7d --output json\n  \
        latchkey client rotate-secret billing --overlap 0s    # after a leak\n\n\
        Access tokens already issued stay valid until they expire. `latchkey client disable`, then `enable`, revokes \
        them.")]
    RotateSecret {
        /// Client id
        id: String,
        /// How long the old secrets stay valid
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = validation::duration)]
        overlap: Duration,
    },
    /// Disable a client and revoke its tokens
    Disable {
        /// Client id
        id: String,
    },
    /// Enable a disabled client, whose earlier tokens stay revoked
    Enable {
        /// Client id
        id: String,
    },
    /// Delete a client and revoke its tokens
    Delete {
        /// Client id
        id: String,
        /// Skip the confirmation
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// Client id: letters, digits and . _ -
    id: String,
    /// Scopes that the client may request
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1.., required = true)]
    scopes: Vec<String>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Create no secret, for a client that only claim rules of a trusted issuer use
    #[arg(long)]
    no_secret: bool,
}

impl ClientArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// Invalid input, and a store that does not answer.
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
            let answer = create(connection, args.into_spec()?, now).await?;
            let note = if answer.client_secret.is_some() { STORE_SECRET } else { "No secret was created." };
            format.print(&Noted { answer, note: note.to_owned() })
        }
        ClientCommand::Update(args) => format.print(&args.run(connection).await?),
        ClientCommand::List => {
            let empty = "There are no clients. `latchkey client create` creates one.";
            format.print(&List { rows: connection.clients.list().await?, empty })
        }
        ClientCommand::Show { id } => format.print(&Shown::from(find(connection, &id).await?)),
        ClientCommand::RotateSecret { id, overlap } => {
            format.print(&rotate_secret(connection, &id, overlap.as_secs(), now).await?)
        }
        ClientCommand::Disable { id } => format.print(&set_disabled(connection, id, true).await?),
        ClientCommand::Enable { id } => format.print(&set_disabled(connection, id, false).await?),
        ClientCommand::Delete { id, yes } => {
            let client = find(connection, &id).await?;
            confirm(&format!("Delete client {} and revoke its tokens?", client.client_id), yes)?;
            format.print(&delete(connection, client).await?)
        }
    }
}

/// The note on a new secret.
const STORE_SECRET: &str = "Store the secret now. Latchkey stores its digest only and can't print it again.";

/// The settings of a new client.
pub struct Spec {
    /// `client_id`
    pub client_id: String,
    /// The scopes that the client may request.
    pub scopes: Vec<String>,
    /// The audiences that the client may request. Empty for the deployment's.
    pub audiences: Vec<String>,
    /// The lifetime of access tokens in seconds. `None` for the deployment's.
    pub token_ttl: Option<u64>,
    /// Custom claims.
    pub claims: Vec<(String, String)>,
    /// The public keys for `private_key_jwt`.
    pub public_keys: Option<ClientKeys>,
    /// The certificate subject for `tls_client_auth`.
    pub certificate_subject: Option<String>,
    /// Whether the client gets a secret.
    pub with_secret: bool,
    /// The grants that the client may use. Empty for client credentials only.
    pub grants: BTreeSet<GrantType>,
    /// The token quota.
    pub quota: Option<Quota>,
}

impl CreateArgs {
    /// Reads the files that the options name.
    fn into_spec(self) -> anyhow::Result<Spec> {
        let Self { id, scopes, settings, no_secret } = self;
        let public_keys = settings.public_keys()?;
        settings.certificate_subject.as_deref().map_or(Ok(()), validation::certificate_subject)?;
        Ok(Spec {
            with_secret: !no_secret && public_keys.is_none() && settings.certificate_subject.is_none(),
            client_id: id,
            scopes,
            audiences: settings.audiences,
            token_ttl: settings.token_ttl,
            claims: settings.claims,
            public_keys,
            certificate_subject: settings.certificate_subject,
            grants: settings.grants.into_iter().collect(),
            quota: settings.quota,
        })
    }
}

impl Spec {
    fn into_client(self, secret: Option<ClientSecret>, now: u64) -> anyhow::Result<Client> {
        validation::client_id(&self.client_id)?;
        validation::audiences(&self.audiences)?;
        self.token_ttl.map_or(Ok(()), validation::token_ttl)?;
        let client = Client::new(self.client_id, validation::scopes(&self.scopes)?, now);
        Ok(Client {
            claims: validation::claims(&self.claims)?,
            secrets: secret.into_iter().collect(),
            audiences: self.audiences,
            token_ttl: self.token_ttl,
            grants: self.grants,
            public_keys: self.public_keys,
            certificate_subject: self.certificate_subject,
            quota: self.quota,
            ..client
        })
    }
}

/// A new client.
#[derive(Serialize)]
pub struct Created {
    /// `client_id`
    pub client_id: String,

    /// The secret. The table holds its digest only. `None` with another authentication method.
    #[serde(serialize_with = "show_once_if_any", skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretString>,
}

impl Report for Created {}

/// A client's new secret.
#[derive(Serialize)]
struct Rotated {
    client_id: String,
    #[serde(serialize_with = "show_once")]
    client_secret: SecretString,
    old_secrets_expire_at: u64,
}

impl Report for Rotated {}

/// Creates a client, with a new secret if `spec` has it. `now` is in seconds since 1970.
///
/// # Errors
/// Invalid settings, an id that exists, and a store that does not answer.
pub async fn create(connection: &Connection, spec: Spec, now: u64) -> anyhow::Result<Created> {
    let made = spec.with_secret.then(|| generate(SecretKind::ClientSecret));
    let (client_secret, digest) = made.unzip();
    let secret = digest.map(|digest| ClientSecret { digest, created_at: now, expires_at: None });
    let client = spec.into_client(secret, now)?;
    let client_id = client.client_id.clone();
    match connection.clients.create(&client).await {
        Err(StoreError::Exists) => bail!(
            "client {client_id} exists already. Choose another id, or run `latchkey client delete {client_id}` first"
        ),
        result => result?,
    }
    // A client that was deleted today may have had this id, which is then still blocked. The write above has to come
    // first, because only it proves that the id is not a disabled client's.
    connection.unblock(&client_id).await?;
    Ok(Created { client_id, client_secret })
}

/// Adds a new secret. The old secrets expire after `overlap` seconds, or earlier if they already had an expiry.
async fn rotate_secret(
    connection: &Connection,
    id: &str,
    overlap: u64,
    now: u64,
) -> anyhow::Result<Noted<Rotated>> {
    let client = find(connection, id).await?;
    ensure!(
        !client.secrets.is_empty(),
        "client {id} has no secret to rotate. `latchkey client show {id}` shows how it authenticates"
    );
    let end = now.saturating_add(overlap);
    let mut secrets: Vec<_> = client.secrets.iter().filter(|secret| secret.is_active(now)).cloned().collect();
    for secret in &mut secrets {
        secret.expires_at = Some(secret.expires_at.map_or(end, |expires_at| expires_at.min(end)));
    }
    secrets.retain(|secret| secret.is_active(now));
    ensure!(
        secrets.len() < MAX_SECRETS,
        "client {id} has {MAX_SECRETS} valid secrets. Wait until one expires, or give --overlap 0s"
    );
    let (client_secret, digest) = generate(SecretKind::ClientSecret);
    secrets.push(ClientSecret { digest, created_at: now, expires_at: None });
    match connection.clients.replace_secrets(id, &client.secrets, &secrets).await {
        Err(StoreError::Changed) => {
            bail!(
                "another command changed the secrets of client {id} at the same time. Run the command again"
            )
        }
        Err(StoreError::Missing) => bail!(unknown(id)),
        result => result?,
    }
    let old = if overlap > 0 {
        format!("The old secrets are valid until {}.", time(end))
    } else {
        "The old secrets are not valid any longer.".to_owned()
    };
    let answer = Rotated { client_id: client.client_id, client_secret, old_secrets_expire_at: end };
    Ok(Noted { answer, note: format!("{STORE_SECRET}\n{old}") })
}

async fn find(connection: &Connection, id: &str) -> anyhow::Result<Client> {
    connection.clients.get(id).await?.with_context(|| unknown(id))
}

fn unknown(id: &str) -> String {
    // The text must not repeat a secret that was typed by mistake.
    if id.starts_with("lk_") {
        return "the input looks like a secret, not like a client id. `latchkey client list` shows the ids"
            .to_owned();
    }
    format!("client {id} does not exist. `latchkey client list` shows all clients")
}

async fn set_disabled(connection: &Connection, id: String, disabled: bool) -> anyhow::Result<Done> {
    let Client { client_id, .. } = find(connection, &id).await?;
    // The trust partition is written first in both directions. If the command is interrupted here, a disabled client
    // never has a valid token: either its new tokens are revoked, or it gets none. Running the command again
    // completes the change.
    if disabled {
        connection.block(&client_id).await?;
    } else {
        connection.unblock(&client_id).await?;
    }
    match connection.clients.set_disabled(&client_id, disabled).await {
        Err(StoreError::Missing) => bail!(unknown(&id)),
        result => result?,
    }
    let sentence = if disabled {
        format!("Client {client_id} is disabled. Its tokens are revoked.")
    } else {
        format!("Client {client_id} is enabled. Request new tokens for it.")
    };
    Ok(Done::new([("client_id", client_id.into()), ("disabled", disabled.into())], sentence))
}

async fn delete(connection: &Connection, client: Client) -> anyhow::Result<Done> {
    // In this order, so that no token outlives its client.
    connection.block(&client.client_id).await?;
    connection.clients.delete(&client.client_id).await?;
    let sentence = format!("Client {} is deleted. Its tokens are revoked.", client.client_id);
    Ok(Done::new([("client_id", client.client_id.into()), ("deleted", true.into())], sentence))
}
