//! `latchkey user`: the people who sign in.

mod report;
mod update;

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::Serialize;
use shared::identity::secrets::random_id;
use shared::identity::subjects::new_user_subject;
use shared::oauth::scope::Scopes;
use shared::passwords::hash::PasswordHash;
use shared::runtime::clock;
use shared::store::table::StoreError;
use shared::store::users::User;

use self::report::{Deleted, Listed, PasswordSet, Shown, Switched, Unlocked};
use self::update::UpdateArgs;
use super::connection::{Connection, TableArgs};
use super::import;
use super::output::Format;
use super::prompt::{confirm, new_password};
use super::rules;

/// Users: the people who sign in
#[derive(Args)]
pub struct UserArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Make a user; the password is asked for, or read from standard input
    #[command(after_help = "Examples:\n  \
        latchkey user create ada --email ada@example.com --scope todo:read todo:write\n  \
        pwgen 20 1 | tee password | latchkey user create ada --output json")]
    Create(CreateArgs),
    /// Give a user other scopes or another email address: what is given replaces what there was, everything else stays
    #[command(after_help = "Examples:\n  \
        latchkey user update ada --scope todo:read todo:write\n  \
        latchkey user update ada --email ada@example.com --no-scope --output json\n\n\
        Fewer scopes count from the next refresh on, more scopes and another email address from the next sign-in on. A \
        token family is not ended. Access tokens already issued keep what they say until they expire: `latchkey user \
        disable`, then `enable`, ends them and the token families.\n\
        Of a user of another issuer (Google, TrustedIssuers) both come with each sign-in: they can't be changed here.")]
    Update(UpdateArgs),
    /// List all users
    List,
    /// Show one user
    Show {
        /// The user's name
        name: String,
    },
    /// Give a user another password, and revoke the tokens they have; it is asked for, or read from
    /// standard input
    #[command(after_help = "Examples:\n  \
        latchkey user set-password ada\n  \
        pwgen 20 1 | tee password | latchkey user set-password ada")]
    SetPassword {
        /// The user's name
        name: String,
    },
    /// Forget wrong passwords, so that a locked account can be signed in to again
    #[command(after_help = "Example:\n  \
        latchkey user unlock ada\n\n\
        An address that tried too many accounts stays locked for up to 15 minutes.")]
    Unlock {
        /// The user's name
        name: String,
    },
    /// Refuse a user's sign-ins, and revoke the tokens they have
    Disable {
        /// The user's name
        name: String,
    },
    /// Unblock a disabled user; their tokens from before stay revoked
    Enable {
        /// The user's name
        name: String,
    },
    /// Delete a user, and revoke the tokens they have
    Delete {
        /// The user's name
        name: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
    /// Take users over from another system, with the hashes of their passwords
    #[command(
        after_help = "Each line is a JSON object with username, password_hash, and optionally email and scopes:\n  \
        {\"username\":\"ada\",\"password_hash\":\"$2b$12$…\",\"email\":\"ada@example.com\",\"scopes\":[\"todo:read\"]}\n\n\
        A password_hash is bcrypt of cost 10 to 13 ($2a$, $2b$, $2y$), or a PHC string of Argon2id with m from 16384, \
        t from 2, m × t up to 204800 and p up to 8, as it is or as Django and Spring Security write it:\n  \
        bcrypt$$2b$12$…   argon2$argon2id$v=19$…   {bcrypt}$2a$10$…   {argon2@SpringSecurity_v5_8}$argon2id$v=19$…\n\n\
        Who exists is skipped: an import that was stopped, or had bad lines, can be run again."
    )]
    Import {
        /// File of JSON lines; - is standard input
        file: PathBuf,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// The user's name
    name: String,
    /// Their email address
    #[arg(long)]
    email: Option<String>,
    /// Scopes that a sign-in gets
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<String>,
}

impl UserArgs {
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

async fn run(command: UserCommand, connection: &Connection, format: Format) -> anyhow::Result<()> {
    let now = clock::now();
    match command {
        UserCommand::Create(CreateArgs { name, email, scopes }) => {
            let spec = Spec { username: name, email, scopes };
            // Nobody should think of a password for a user who can't be made.
            spec.check()?;
            if connection.users.get(&spec.username).await?.is_some() {
                bail!(taken(&spec.username));
            }
            format.print(&create(connection, spec, &new_password()?, now).await?)
        }
        UserCommand::Update(args) => format.print(&args.run(connection).await?),
        UserCommand::List => format.print(&Listed(connection.users.list().await?)),
        UserCommand::Show { name } => format.print(&Shown::from(find(connection, &name).await?)),
        UserCommand::SetPassword { name } => {
            let user = find(connection, &name).await?;
            check_has_password(&user)?;
            format.print(&set_password(connection, user, &new_password()?).await?)
        }
        UserCommand::Unlock { name } => {
            let user = find(connection, &name).await?;
            connection.attempts.forget(&user.username).await?;
            format.print(&Unlocked { username: user.username, unlocked: true })
        }
        UserCommand::Disable { name } => format.print(&set_disabled(connection, &name, true).await?),
        UserCommand::Enable { name } => format.print(&set_disabled(connection, &name, false).await?),
        UserCommand::Delete { name, yes } => {
            let user = find(connection, &name).await?;
            confirm(&format!("Delete the user {}? Their tokens stop working.", user.username), yes)?;
            format.print(&delete(connection, user).await?)
        }
        UserCommand::Import { file } => import::run(connection, &file, format, now).await,
    }
}

/// Who a new user is.
pub struct Spec {
    /// The name to sign in with.
    pub username: String,
    /// The email address, when known.
    pub email: Option<String>,
    /// The scopes that a sign-in gets.
    pub scopes: Vec<String>,
}

impl Spec {
    fn check(&self) -> anyhow::Result<Scopes> {
        rules::username(&self.username)?;
        self.email.as_deref().map_or(Ok(()), rules::email)?;
        rules::scopes(&self.scopes)
    }

    /// A new user with that hash of a password.
    pub(super) fn into_user(self, password_hash: PasswordHash, now: u64) -> anyhow::Result<User> {
        Ok(User {
            scopes: self.check()?,
            username: self.username,
            sub: new_user_subject(),
            password_hash: Some(password_hash),
            email: self.email,
            disabled: false,
            epoch: random_id(""),
            created_at: now,
        })
    }
}

/// A user who was made.
#[derive(Serialize)]
pub struct Created {
    /// The name.
    pub username: String,
    /// `sub`
    pub sub: String,
}

/// Makes a user. Takes tens of milliseconds of CPU. `now` is in seconds since 1970.
///
/// # Errors
/// A specification that breaks a rule, a password that is too weak, and a name that is taken.
pub async fn create(
    connection: &Connection,
    spec: Spec,
    password: &SecretString,
    now: u64,
) -> anyhow::Result<Created> {
    spec.check()?;
    let hash = hash(&spec.username, password)?;
    let user = spec.into_user(hash, now)?;
    match connection.users.create(&user).await {
        Err(StoreError::Exists) => bail!(taken(&user.username)),
        result => result?,
    }
    Ok(Created { username: user.username, sub: user.sub })
}

fn hash(username: &str, password: &SecretString) -> anyhow::Result<PasswordHash> {
    PasswordHash::of(username, password).map_err(|error| anyhow!("{error}: choose another one"))
}

fn taken(name: &str) -> String {
    format!(
        "user {name} exists already: choose another name, or change the password with `latchkey user set-password`"
    )
}

async fn find(connection: &Connection, name: &str) -> anyhow::Result<User> {
    connection.users.get(name).await?.with_context(|| unknown(name))
}

fn unknown(name: &str) -> String {
    format!("there is no user {name}: `latchkey user list` shows who there is")
}

/// Whoever signs in with another issuer gets no second way in that the issuer knows nothing of.
fn check_has_password(user: &User) -> anyhow::Result<()> {
    if user.is_federated() {
        bail!(
            "user {} signs in through another issuer and has no password: make a user of another name for that",
            user.username
        );
    }
    Ok(())
}

async fn set_password(
    connection: &Connection,
    user: User,
    password: &SecretString,
) -> anyhow::Result<PasswordSet> {
    let hash = hash(&user.username, password)?;
    match connection.users.set_password(&user.username, &hash).await {
        Err(StoreError::Missing) => bail!(unknown(&user.username)),
        result => result?,
    }
    // Last: until here the old password got tokens, while the new one was being typed too.
    if let Err(error) = connection.revoke_issued(&user.sub).await {
        let error = connection.explain(error.into());
        return Err(
            error.context("the password is changed, but tokens issued before still work: run it again")
        );
    }
    Ok(PasswordSet { username: user.username, sub: user.sub })
}

async fn set_disabled(connection: &Connection, name: &str, disabled: bool) -> anyhow::Result<Switched> {
    let User { username, sub, .. } = find(connection, name).await?;
    // Each way the trust bundle comes first. Stopped in between, a blocked user can still get useless tokens,
    // and an unblocked one still gets none: never is a disabled user's token good. Running the command again
    // does the rest.
    if disabled {
        connection.block(&sub).await?;
    } else {
        connection.unblock(&sub).await?;
    }
    match connection.users.set_disabled(&username, disabled).await {
        Err(StoreError::Missing) => bail!(unknown(name)),
        result => result?,
    }
    Ok(Switched { username, sub, disabled })
}

async fn delete(connection: &Connection, user: User) -> anyhow::Result<Deleted> {
    // In this order for the same reason as above: no token outlives its user.
    connection.block(&user.sub).await?;
    connection.users.delete(&user.username).await?;
    Ok(Deleted { username: user.username, sub: user.sub, deleted: true })
}
