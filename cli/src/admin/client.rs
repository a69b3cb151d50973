//! `latchkey client`: the machines that ask for tokens.

mod report;
mod settings;
mod update;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::Serialize;
use shared::identity::secrets::{SecretKind, generate, random_id};
use shared::runtime::clock;
use shared::store::clients::{Client, ClientKeys, ClientSecret, GrantType, Quota};
use shared::store::table::StoreError;

use self::report::{Deleted, Listed, Shown, Switched, Way};
use self::settings::SettingsArgs;
use self::update::UpdateArgs;
use super::connection::{Connection, TableArgs};
use super::output::{Format, show_once, show_once_if_any};
use super::prompt::confirm;
use super::rules;

/// Secrets of one client that work at once. Invariant: every one is compared at each request.
const MAX_SECRETS: usize = 5;

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
        latchkey client create billing --scope todo:read --claim tenant=acme --output json\n  \
        latchkey client create app --scope todo:read --public-key jwks.json --quota 1000/1h\n  \
        latchkey client create web --scope todo:read --grant token-exchange refresh_token    # GoogleClientIds: ID=web\n  \
        latchkey client create shop-deploy --scope deploy --no-secret")]
    Create(Box<CreateArgs>),
    /// Give a client other settings: what is given replaces what there was, everything else stays
    #[command(after_help = "Examples:\n  \
        latchkey client update billing --scope todo:read\n  \
        latchkey client update billing --quota 1000/1h --audience latchkey https://reports.example.com\n  \
        latchkey client update billing --public-key jwks.json --no-quota --output json\n\n\
        Secrets stay: `latchkey client rotate-secret` gives others. New keys and a new certificate count from the next \
        request on, and so do new scopes, audiences and grants, at a refresh too: a token family never gives more than \
        its client may have at that moment. It is not ended: what a client loses and gets again is there again. Access \
        tokens already issued keep what they say until they expire: `latchkey client disable`, then `enable`, ends them.")]
    Update(Box<UpdateArgs>),
    /// List all clients
    List,
    /// Show one client
    Show {
        /// The client's id
        id: String,
    },
    /// Give a client a new secret, shown this once, and let the old one work a while longer
    #[command(after_help = "Examples:\n  \
        latchkey client rotate-secret billing\n  \
        latchkey client rotate-secret billing --overlap 7d --output json\n  \
        latchkey client rotate-secret billing --overlap 0s    # the old one leaked\n\n\
        Tokens already issued stay good until they expire: `latchkey client disable`, then `enable`, ends them.")]
    RotateSecret {
        /// The client's id
        id: String,
        /// How much longer the old secrets work
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = rules::duration)]
        overlap: Duration,
    },
    /// Refuse a client new tokens, and revoke those it has
    Disable {
        /// The client's id
        id: String,
    },
    /// Unblock a disabled client; its tokens from before stay revoked
    Enable {
        /// The client's id
        id: String,
    },
    /// Delete a client, and revoke the tokens it has
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
    #[command(flatten)]
    settings: SettingsArgs,
    /// Make no secret: for a client that the rules of a trusted issuer name
    #[arg(long)]
    no_secret: bool,
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
        ClientCommand::Create(args) => format.print(&create(connection, args.into_spec()?, now).await?),
        ClientCommand::Update(args) => format.print(&args.run(connection).await?),
        ClientCommand::List => format.print(&Listed(connection.clients.list().await?)),
        ClientCommand::Show { id } => format.print(&Shown::from(find(connection, &id).await?)),
        ClientCommand::RotateSecret { id, overlap } => {
            format.print(&rotate_secret(connection, &id, overlap.as_secs(), now).await?)
        }
        ClientCommand::Disable { id } => format.print(&set_disabled(connection, id, true).await?),
        ClientCommand::Enable { id } => format.print(&set_disabled(connection, id, false).await?),
        ClientCommand::Delete { id, yes } => {
            let client = find(connection, &id).await?;
            confirm(&format!("Delete the client {}? Its tokens stop working.", client.client_id), yes)?;
            format.print(&delete(connection, client).await?)
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
    /// Its public keys, if they authenticate it.
    pub public_keys: Option<ClientKeys>,
    /// The subject of its certificate, if that authenticates it.
    pub certificate_subject: Option<String>,
    /// Whether it gets a secret.
    pub with_secret: bool,
    /// The grants that it may use; empty for client credentials alone.
    pub grants: BTreeSet<GrantType>,
    /// How many tokens it may have in how long.
    pub quota: Option<Quota>,
}

impl CreateArgs {
    /// Reads the files that the options name.
    fn into_spec(self) -> anyhow::Result<Spec> {
        let Self { id, scopes, settings, no_secret } = self;
        let public_keys = settings.public_keys()?;
        settings.certificate_subject.as_deref().map_or(Ok(()), rules::certificate_subject)?;
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
        rules::client_id(&self.client_id)?;
        rules::audiences(&self.audiences)?;
        self.token_ttl.map_or(Ok(()), rules::token_ttl)?;
        Ok(Client {
            scopes: rules::scopes(&self.scopes)?,
            claims: rules::claims(&self.claims)?,
            client_id: self.client_id,
            secrets: secret.into_iter().collect(),
            audiences: self.audiences,
            token_ttl: self.token_ttl,
            grants: self.grants,
            public_keys: self.public_keys,
            certificate_subject: self.certificate_subject,
            quota: self.quota,
            secret_use: Default::default(),
            disabled: false,
            epoch: random_id(""),
            created_at: now,
        })
    }
}

/// A client that was made.
#[derive(Serialize)]
pub struct Created {
    /// `client_id`
    pub client_id: String,
    /// The ways in which it authenticates itself.
    #[serde(skip)]
    ways: Vec<Way>,
    /// Its secret, which is stored nowhere; none if it authenticates itself in another way.
    #[serde(serialize_with = "show_once_if_any", skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretString>,
}

/// A client's new secret.
#[derive(Serialize)]
struct Rotated {
    client_id: String,
    #[serde(skip)]
    overlaps: bool,
    #[serde(serialize_with = "show_once")]
    client_secret: SecretString,
    old_secrets_expire_at: u64,
}

/// Makes a client, with a new secret if it is to have one. `now` is in seconds since 1970.
///
/// # Errors
/// A specification that breaks a rule, and an id that is taken.
pub async fn create(connection: &Connection, spec: Spec, now: u64) -> anyhow::Result<Created> {
    let made = spec.with_secret.then(|| generate(SecretKind::ClientSecret));
    let (client_secret, digest) = made.unzip();
    let secret = digest.map(|digest| ClientSecret { digest, created_at: now, expires_at: None });
    let client = spec.into_client(secret, now)?;
    let (client_id, ways) = (client.client_id.clone(), Way::of(&client));
    match connection.clients.create(&client).await {
        Err(StoreError::Exists) => bail!(
            "client {client_id} exists already: choose another id, or `latchkey client delete {client_id}` first"
        ),
        result => result?,
    }
    // A client of this id may have been deleted today, and is blocked. Only now: before the write it isn't sure
    // that the id is free, and a client that was disabled must not be unblocked.
    connection.unblock(&client_id).await?;
    Ok(Created { client_id, ways, client_secret })
}

/// A new secret. Those before it work `overlap` seconds more, and never longer than they would have.
async fn rotate_secret(connection: &Connection, id: &str, overlap: u64, now: u64) -> anyhow::Result<Rotated> {
    let client = find(connection, id).await?;
    ensure!(
        !client.secrets.is_empty(),
        "client {id} has no secret: it authenticates itself in another way, see `latchkey client show {id}`"
    );
    let end = now.saturating_add(overlap);
    let mut secrets: Vec<_> = client.secrets.iter().filter(|secret| secret.is_active(now)).cloned().collect();
    for secret in &mut secrets {
        secret.expires_at = Some(secret.expires_at.map_or(end, |expires_at| expires_at.min(end)));
    }
    secrets.retain(|secret| secret.is_active(now));
    ensure!(
        secrets.len() < MAX_SECRETS,
        "client {id} has {MAX_SECRETS} secrets that work: wait until some expire, or give --overlap 0s"
    );
    let (client_secret, digest) = generate(SecretKind::ClientSecret);
    secrets.push(ClientSecret { digest, created_at: now, expires_at: None });
    match connection.clients.replace_secrets(id, &client.secrets, &secrets).await {
        Err(StoreError::Changed) => {
            bail!("somebody else changed the secrets of client {id} just now: run it again")
        }
        Err(StoreError::Missing) => bail!(unknown(id)),
        result => result?,
    }
    let client_id = client.client_id;
    Ok(Rotated { client_id, overlaps: overlap > 0, client_secret, old_secrets_expire_at: end })
}

async fn find(connection: &Connection, id: &str) -> anyhow::Result<Client> {
    connection.clients.get(id).await?.with_context(|| unknown(id))
}

fn unknown(id: &str) -> String {
    // A secret that was typed in the wrong place is not repeated.
    if id.starts_with("lk_") {
        return "that looks like a secret, not like a client's id: `latchkey client list` shows the ids"
            .to_owned();
    }
    format!("there is no client {id}: `latchkey client list` shows which there are")
}

async fn set_disabled(connection: &Connection, id: String, disabled: bool) -> anyhow::Result<Switched> {
    let Client { client_id, .. } = find(connection, &id).await?;
    // Each way the trust bundle comes first. Stopped in between, a blocked client can still ask for useless
    // tokens, and an unblocked one still gets none: never is a disabled client's token good. Running the
    // command again does the rest.
    if disabled {
        connection.block(&client_id).await?;
    } else {
        connection.unblock(&client_id).await?;
    }
    match connection.clients.set_disabled(&client_id, disabled).await {
        Err(StoreError::Missing) => bail!(unknown(&id)),
        result => result?,
    }
    Ok(Switched { client_id, disabled })
}

async fn delete(connection: &Connection, client: Client) -> anyhow::Result<Deleted> {
    // In this order for the same reason as above: no token outlives its client.
    connection.block(&client.client_id).await?;
    connection.clients.delete(&client.client_id).await?;
    Ok(Deleted { client_id: client.client_id, deleted: true })
}
