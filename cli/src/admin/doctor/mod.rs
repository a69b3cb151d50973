//! `latchkey doctor`: checks a deployment.
//!
//! `inspect` functions do the requests, and pure functions check the answers. Doctor changes nothing, sends credentials
//! to AWS only, and checks the other parts if one fails.

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
use sam_template::{TEMPLATE, Template};
use serde_json::Value;
use shared::runtime::clock::now;
use shared::store::table::StoreError;
use shared::trust::key_schedule::KeySchedule;
use shared::trust::published_keys::PublishedKey;
use shared::trust::snapshot::TrustSnapshot;

use self::api::ObservedApi;
use self::check::{Check, Diagnosis, NotObserved};
use self::http::{HttpAnswer, HttpClient};
use self::secret::Secret;
use self::table::ObservedTable;
use super::connection::{Connection, SecretArgs, TableArgs, UserError};
use super::output::Format;

/// Check a deployment: table, secret, keys, API, routes, proxy and clock
#[derive(Args)]
#[command(
    after_help = "Doctor changes nothing. The exit status is 1 with a problem, and 0 with warnings only.\n\n\
    Examples:\n  \
    source .latchkey/dev.env && latchkey doctor\n  \
    latchkey doctor --url https://auth.example.com --output json"
)]
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
    /// Checks the deployment and prints the results.
    ///
    /// # Errors
    /// A check found a problem.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        let template = Template::read(TEMPLATE)?;
        let (stores, api) = tokio::join!(
            ObservedStores::inspect(&self),
            ObservedApi::inspect(self.url.as_deref(), &template)
        );
        let diagnosis = Diagnosis { checks: check(&stores, &api, &template, now()) };
        format.print(&diagnosis)?;
        diagnosis.result()
    }
}

/// What the stores answered.
struct ObservedStores {
    connection: Result<Connection, UserError>,
    table: ObservedTable,
    secret: Secret,
    trust: Result<Trust, NotObserved>,
    /// DynamoDB's answer to an unsigned request, whose date is needed.
    unsigned: Option<HttpAnswer>,
}

/// The trust partition of the table.
struct Trust {
    schedule: KeySchedule<PublishedKey>,
    snapshot: TrustSnapshot,
    jwks: Vec<Value>,
}

impl ObservedStores {
    async fn inspect(args: &DoctorArgs) -> Self {
        let (name, id) = (args.table.name(), args.secret.id());
        let connection = Connection::to(name.as_ref().copied().unwrap_or_default()).await;
        let open = match connection {
            Ok(open) => open,
            Err(error) => {
                let not_observed = || NotObserved::skipped("no connection to AWS");
                return Self {
                    connection: Err(error),
                    table: ObservedTable::not_observed(
                        name.err().map_or_else(not_observed, NotObserved::Failed),
                    ),
                    secret: Secret::not_observed(id.err().map_or_else(not_observed, NotObserved::Failed)),
                    trust: Err(not_observed()),
                    unsigned: None,
                };
            }
        };
        let table = async {
            match name {
                Ok(_) => ObservedTable::inspect(&open).await,
                Err(error) => ObservedTable::not_observed(NotObserved::Failed(error)),
            }
        };
        let secret = async {
            match id {
                Ok(id) => Secret::inspect(&open, id).await,
                Err(error) => Secret::not_observed(NotObserved::Failed(error)),
            }
        };
        let (table, secret, trust, unsigned) =
            tokio::join!(table, secret, Trust::inspect(&open), unsigned(&open));
        let trust = if table.is_there() { trust } else { Err(NotObserved::skipped("no table to check")) };
        Self { connection: Ok(open), table, secret, trust, unsigned }
    }
}

impl Trust {
    async fn inspect(connection: &Connection) -> Result<Self, NotObserved> {
        let store = &connection.trust;
        let (schedule, snapshot, jwks) =
            tokio::join!(store.key_schedule(), store.snapshot(now()), store.jwks(now()));
        let failed = |error: StoreError| NotObserved::Failed(connection.store_error(&error));
        Ok(Self {
            schedule: schedule.map_err(failed)?,
            snapshot: snapshot.map_err(failed)?,
            jwks: jwks.map_err(failed)?,
        })
    }
}

async fn unsigned(connection: &Connection) -> Option<HttpAnswer> {
    let place = connection.dynamodb_place();
    let url =
        place.endpoint.unwrap_or_else(|| format!("https://dynamodb.{}.amazonaws.com", connection.region));
    HttpClient::new().send(Method::GET, &url).await.ok()
}

/// Checks all answers. `now` is in seconds since 1970.
fn check(stores: &ObservedStores, api: &ObservedApi, template: &Template, now: u64) -> Vec<Check> {
    let ObservedStores { connection, table, secret, trust, unsigned } = stores;
    let credentials = match connection {
        Ok(connection) => Check::ok("credentials", format!("credentials are set, for {}", connection.region)),
        Err(error) => Check::problem("credentials", error.finding(), &error.advice),
    };
    let schedule = trust.as_ref().map(|trust| &trust.schedule);
    let has_key = |kid: &str| trust.as_ref().is_ok_and(|trust| trust.snapshot.key(kid, now).is_some());
    let held = secret.keys();
    let held = held.as_ref().map(|held| *held);
    let mut checks = vec![credentials];
    checks.extend(table.check(&template.table));
    checks.extend(secret.check(now));
    checks.extend(keys::check(schedule, held, has_key, secret.rotates_every(), now));
    checks.extend(api.check(
        template,
        trust.as_ref().map(|trust| (&trust.schedule, trust.jwks.as_slice())),
        now,
    ));
    checks.push(routes::check_scopes(template));
    checks.push(proxy::check(api.answers()));
    checks.push(clock::check(api.answers().chain(unsigned)));
    checks
}
