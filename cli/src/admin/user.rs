//! `latchkey user`: users.

mod import;
mod shown;
mod spec;
mod update;

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::Serialize;
use shared::passwords::hash::PasswordHash;
use shared::runtime::clock;
use shared::store::table::StoreError;
use shared::store::users::User;

use self::shown::Shown;
pub use self::spec::Spec;
use self::update::UpdateArgs;
use super::connection::{Connection, TableArgs};
use super::output::{Done, Format, List, Report};
use super::prompt::{confirm, new_password};

/// Manage users
#[derive(Args)]
pub struct UserArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Create a user, with a password from a prompt or standard input
    #[command(after_help = "Examples:\n  \
        latchkey user create ada --email ada@example.com --scope todo:read todo:write\n  \
        pwgen 20 1 | tee password | latchkey user create ada --output json")]
    Create(CreateArgs),
    /// Change the given settings of a user
    #[command(after_help = "Examples:\n  \
        latchkey user update ada --scope todo:read todo:write\n  \
        latchkey user update ada --email ada@example.com --no-scope --output json\n\n\
        Settings that are not given keep their value.\n\
        Removed scopes apply from the next refresh. Added scopes and another email address apply from the next \
        sign-in. Token families stay valid.\n\
        Access tokens already issued don't change until they expire. `latchkey user disable`, then `enable`, revokes \
        them and the token families.\n\
        A federated user (Google, TrustedIssuers) can't be changed. Scopes and email address come with each sign-in.")]
    Update(UpdateArgs),
    /// List all users
    List,
    /// Show a user
    Show {
        /// Username
        name: String,
    },
    /// Set a user's password, from a prompt or standard input, and revoke the user's tokens
    #[command(after_help = "Examples:\n  \
        latchkey user set-password ada\n  \
        pwgen 20 1 | tee password | latchkey user set-password ada")]
    SetPassword {
        /// Username
        name: String,
    },
    /// Reset the failed sign-in attempts of a user
    #[command(after_help = "Example:\n  \
        latchkey user unlock ada\n\n\
        An IP address that tried too many usernames stays locked out for up to 15 minutes.")]
    Unlock {
        /// Username
        name: String,
    },
    /// Disable a user and revoke the user's tokens
    Disable {
        /// Username
        name: String,
    },
    /// Enable a disabled user, whose earlier tokens stay revoked
    Enable {
        /// Username
        name: String,
    },
    /// Delete a user and revoke the user's tokens
    Delete {
        /// Username
        name: String,
        /// Skip the confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Import users with their password hashes
    #[command(
        after_help = "Each line is a JSON object with username, password_hash, and optionally email and scopes:\n  \
        {\"username\":\"ada\",\"password_hash\":\"$2b$12$…\",\"email\":\"ada@example.com\",\"scopes\":[\"todo:read\"]}\n\n\
        A password_hash is one of:\n  \
        bcrypt    $2a$, $2b$ or $2y$, with cost 10 to 13\n  \
        Argon2id  a PHC string with m from 16384, t from 2, m × t up to 204800 and p up to 8\n\n\
        The prefixes of Django and Spring Security are accepted:\n  \
        bcrypt$$2b$12$…   argon2$argon2id$v=19$…   {bcrypt}$2a$10$…   {argon2@SpringSecurity_v5_8}$argon2id$v=19$…\n\n\
        The import skips users that exist. Run it again after an interruption, or with the failed lines fixed."
    )]
    Import {
        /// File of JSON lines, or - for standard input
        file: PathBuf,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// Username
    name: String,
    /// Email address
    #[arg(long)]
    email: Option<String>,
    /// Scopes of the user
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<String>,
}

impl UserArgs {
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

async fn run(command: UserCommand, connection: &Connection, format: Format) -> anyhow::Result<()> {
    let now = clock::now();
    match command {
        UserCommand::Create(CreateArgs { name, email, scopes }) => {
            let spec = Spec { username: name, email, scopes };
            // Before the prompt for a password.
            spec.validate()?;
            if connection.users.get(&spec.username).await?.is_some() {
                bail!(taken(&spec.username));
            }
            format.print(&create(connection, spec, &new_password()?, now).await?)
        }
        UserCommand::Update(args) => format.print(&args.run(connection).await?),
        UserCommand::List => {
            let empty = "There are no users. `latchkey user create` creates one.";
            format.print(&List { rows: connection.users.list().await?, empty })
        }
        UserCommand::Show { name } => format.print(&Shown::from(find(connection, &name).await?)),
        UserCommand::SetPassword { name } => {
            let user = find(connection, &name).await?;
            check_has_password(&user)?;
            format.print(&set_password(connection, user, &new_password()?).await?)
        }
        UserCommand::Unlock { name } => {
            let user = find(connection, &name).await?;
            connection.attempts.reset(&user.username).await?;
            let sentence = format!("User {} is unlocked.", user.username);
            let fields = [("username", user.username.into()), ("unlocked", true.into())];
            format.print(&Done::new(fields, sentence))
        }
        UserCommand::Disable { name } => format.print(&set_disabled(connection, &name, true).await?),
        UserCommand::Enable { name } => format.print(&set_disabled(connection, &name, false).await?),
        UserCommand::Delete { name, yes } => {
            let user = find(connection, &name).await?;
            confirm(&format!("Delete user {} and revoke their tokens?", user.username), yes)?;
            format.print(&delete(connection, user).await?)
        }
        UserCommand::Import { file } => import::run(connection, &file, format, now).await,
    }
}

/// A new user.
#[derive(Serialize)]
pub struct Created {
    /// The username.
    pub username: String,
    /// `sub`
    pub sub: String,
}

impl Report for Created {}

/// Creates a user. Takes tens of milliseconds of CPU. `now` is in seconds since 1970.
///
/// # Errors
/// Invalid settings, a weak password, a username that exists, and a store that does not answer.
pub async fn create(
    connection: &Connection,
    spec: Spec,
    password: &SecretString,
    now: u64,
) -> anyhow::Result<Created> {
    spec.validate()?;
    let hash = hash(&spec.username, password)?;
    let user = spec.into_user(hash, now)?;
    match connection.users.create(&user).await {
        Err(StoreError::Exists) => bail!(taken(&user.username)),
        result => result?,
    }
    Ok(Created { username: user.username, sub: user.sub })
}

fn hash(username: &str, password: &SecretString) -> anyhow::Result<PasswordHash> {
    PasswordHash::new(username, password).map_err(|error| anyhow!("{error}. Choose another password"))
}

fn taken(name: &str) -> String {
    format!(
        "user {name} exists already. Choose another name, or set the password with `latchkey user set-password`"
    )
}

async fn find(connection: &Connection, name: &str) -> anyhow::Result<User> {
    connection.users.get(name).await?.with_context(|| unknown(name))
}

fn unknown(name: &str) -> String {
    format!("user {name} does not exist. `latchkey user list` shows all users")
}

/// A federated user gets no password, because the issuer could not disable that sign-in.
fn check_has_password(user: &User) -> anyhow::Result<()> {
    if user.is_federated() {
        bail!(
            "user {} signs in at another issuer and has no password. Create a user with another name",
            user.username
        );
    }
    Ok(())
}

async fn set_password(connection: &Connection, user: User, password: &SecretString) -> anyhow::Result<Done> {
    let hash = hash(&user.username, password)?;
    match connection.users.set_password(&user.username, &hash).await {
        Err(StoreError::Missing) => bail!(unknown(&user.username)),
        result => result?,
    }
    // Last, because the old password still got tokens while the new one was typed.
    if let Err(error) = connection.revoke_issued(&user.sub).await {
        let error = connection.explain(error.into());
        return Err(error.context(
            "the password is changed, but earlier tokens are still valid. Run the command again. Cause",
        ));
    }
    let sentence = format!("User {} has a new password. Their tokens are revoked.", user.username);
    Ok(Done::new([("username", user.username.into()), ("sub", user.sub.into())], sentence))
}

async fn set_disabled(connection: &Connection, name: &str, disabled: bool) -> anyhow::Result<Done> {
    let User { username, sub, .. } = find(connection, name).await?;
    // The trust partition is written first in both directions. If the command is interrupted here, a disabled user
    // never has a valid token: either their new tokens are revoked, or they get none. Running the command again
    // completes the change.
    if disabled {
        connection.block(&sub).await?;
    } else {
        connection.unblock(&sub).await?;
    }
    match connection.users.set_disabled(&username, disabled).await {
        Err(StoreError::Missing) => bail!(unknown(name)),
        result => result?,
    }
    let sentence = if disabled {
        format!("User {username} is disabled. Their tokens are revoked.")
    } else {
        format!("User {username} is enabled. They must sign in again.")
    };
    let fields = [("username", username.into()), ("sub", sub.into()), ("disabled", disabled.into())];
    Ok(Done::new(fields, sentence))
}

async fn delete(connection: &Connection, user: User) -> anyhow::Result<Done> {
    // In this order, so that no token outlives its user.
    connection.block(&user.sub).await?;
    connection.users.delete(&user.username).await?;
    let sentence = format!("User {} is deleted. Their tokens are revoked.", user.username);
    let fields = [("username", user.username.into()), ("sub", user.sub.into()), ("deleted", true.into())];
    Ok(Done::new(fields, sentence))
}
