//! `latchkey doctor`: looks a deployment over and says plainly what is wrong.
//!
//! Each part is looked at first and judged then, by pure rules. Nothing is changed, no credential leaves this
//! machine but to AWS, and one part that fails keeps no other from being looked at.

mod api;
mod check;
mod clock;
mod cors;
mod http;
mod keys;
mod proxy;
mod routes;
mod secret;
mod table;

use axum::http::Method;
use clap::Args;
use serde_json::Value;
use shared::runtime::clock::now;
use shared::store::table::StoreError;
use shared::trust::key_schedule::KeySchedule;
use shared::trust::published_keys::PublishedKey;
use shared::trust::snapshot::TrustSnapshot;

use self::api::Api;
use self::check::{Check, Diagnosis, Missed};
use self::http::{Answer, Http};
use self::secret::Secret;
use self::table::Table;
use super::connection::{Complaint, Connection, SecretArgs, TableArgs};
use super::output::Format;
use crate::dev::TEMPLATE;
use crate::dev::template::Template;

/// Look a deployment over and say what is wrong: table, secret, keys, API, routes, proxy, clock
#[derive(Args)]
#[command(after_help = "Exit status 1 says that there is a problem; a warning is none.\n\n\
    Examples:\n  \
    source .latchkey/dev.env && latchkey doctor\n  \
    latchkey doctor --url https://auth.example.com --output json")]
pub struct DoctorArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    secret: SecretArgs,
    /// URL of the API: the stack's output ApiUrl, or your own domain
    #[arg(long, env = "LATCHKEY_URL", hide_env_values = true, value_name = "URL")]
    url: Option<String>,
}

impl DoctorArgs {
    /// Looks, and prints what was found.
    ///
    /// # Errors
    /// A deployment that has a problem.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        let template = Template::read(TEMPLATE)?;
        let (stores, api) = tokio::join!(Stores::look(&self), Api::look(self.url.as_deref(), &template));
        let diagnosis = Diagnosis { checks: validate(&stores, &api, &template, now()) };
        format.print(&diagnosis)?;
        diagnosis.verdict()
    }
}

/// What was seen of the stores.
struct Stores {
    connection: Result<Connection, Complaint>,
    table: Table,
    secret: Secret,
    trust: Result<Trust, Missed>,
    /// What DynamoDB answers to whoever comes by: it tells the time.
    greeting: Option<Answer>,
}

/// The keys that the table holds for those who check tokens.
struct Trust {
    timeline: KeySchedule<PublishedKey>,
    snapshot: TrustSnapshot,
    jwks: Vec<Value>,
}

impl Stores {
    async fn look(args: &DoctorArgs) -> Self {
        let (name, id) = (args.table.name(), args.secret.id());
        let connection = Connection::to(name.as_ref().copied().unwrap_or_default()).await;
        let open = match connection {
            Ok(open) => open,
            Err(complaint) => {
                let missed = || Missed::skipped("there is no way to AWS");
                return Self {
                    connection: Err(complaint),
                    table: Table::unseen(name.err().map_or_else(missed, Missed::Failed)),
                    secret: Secret::unseen(id.err().map_or_else(missed, Missed::Failed)),
                    trust: Err(missed()),
                    greeting: None,
                };
            }
        };
        let table = async {
            match name {
                Ok(_) => Table::look(&open).await,
                Err(complaint) => Table::unseen(Missed::Failed(complaint)),
            }
        };
        let secret = async {
            match id {
                Ok(id) => Secret::look(&open, id).await,
                Err(complaint) => Secret::unseen(Missed::Failed(complaint)),
            }
        };
        let (table, secret, trust, greeting) =
            tokio::join!(table, secret, Trust::look(&open), greeting(&open));
        let trust = if table.is_there() { trust } else { Err(Missed::skipped("there is no table")) };
        Self { connection: Ok(open), table, secret, trust, greeting }
    }
}

impl Trust {
    async fn look(connection: &Connection) -> Result<Self, Missed> {
        let store = &connection.trust;
        let (timeline, snapshot, jwks) =
            tokio::join!(store.timeline(), store.snapshot(now()), store.jwks(now()));
        let failed = |error: StoreError| Missed::Failed(connection.store_complaint(&error));
        Ok(Self {
            timeline: timeline.map_err(failed)?,
            snapshot: snapshot.map_err(failed)?,
            jwks: jwks.map_err(failed)?,
        })
    }
}

async fn greeting(connection: &Connection) -> Option<Answer> {
    let place = connection.dynamodb_place();
    let url =
        place.endpoint.unwrap_or_else(|| format!("https://dynamodb.{}.amazonaws.com", connection.region));
    Http::new().send(Method::GET, &url).await.ok()
}

/// Judges all that was seen. `now` is in seconds since 1970.
fn validate(stores: &Stores, api: &Api, template: &Template, now: u64) -> Vec<Check> {
    let Stores { connection, table, secret, trust, greeting } = stores;
    let credentials = match connection {
        Ok(connection) => Check::ok("credentials", format!("there are some, for {}", connection.region)),
        Err(complaint) => Check::problem("credentials", complaint.finding(), &complaint.advice),
    };
    let timeline = trust.as_ref().map(|trust| &trust.timeline);
    let knows = |kid: &str| trust.as_ref().is_ok_and(|trust| trust.snapshot.key(kid, now).is_some());
    let held = secret.keys();
    let held = held.as_ref().map(|held| *held);
    let mut checks = vec![credentials];
    checks.extend(table.validate(&template.table));
    checks.extend(secret.validate(now));
    checks.extend(keys::validate(timeline, held, knows, secret.rotates_every(), now));
    checks.extend(api.validate(
        template,
        trust.as_ref().map(|trust| (&trust.timeline, trust.jwks.as_slice())),
        now,
    ));
    checks.push(proxy::validate(api.answers()));
    checks.push(clock::validate(api.answers().chain(greeting)));
    checks
}
