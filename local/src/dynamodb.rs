//! The DynamoDB emulator: an embedded engine on a SQLite file, with the template's table.

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, Projection,
    TimeToLiveSpecification,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use dynoxide::{Database, DynoxideError};
use sam_template::{KeyDefinition, TableDefinition};
use tokio::net::TcpListener;

use super::access_key::AccessKey;
use super::data::DataFolder;
use super::guard::Guard;
use super::server::Server;

/// The file that holds the items.
const FILE: &str = "dynamodb.sqlite";
/// The prefix of the operation's name in `X-Amz-Target`.
const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// Starts the engine on the folder's file, or in memory without a folder.
///
/// # Errors
/// A file that isn't the engine's.
pub fn start(listener: TcpListener, key: AccessKey, folder: Option<&DataFolder>) -> anyhow::Result<Server> {
    let database = match folder {
        Some(folder) => {
            let path = folder.claim(FILE)?;
            let path = path.to_str().context("the data folder's path is not UTF-8")?;
            Database::new(path).map_err(|error| {
                anyhow!(
                    "can't use {path} ({error}). Restore the file, or move the data folder away to start with an empty one"
                )
            })?
        }
        None => Database::memory().map_err(|error| anyhow!("can't start DynamoDB: {error}"))?,
    };
    // The engine does not delete expired items while it runs. The store code checks expiry, because DynamoDB deletes
    // them up to two days late.
    database.sweep_ttl().map_err(|error| anyhow!("can't delete expired items: {error}"))?;
    Server::start(listener, Guard::KeyHolders(key), Router::new().fallback(handle).with_state(database))
}

/// Answers one request in AWS JSON 1.0 (<https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>). The
/// engine's server is not used, because it answers browser pages and does not verify signatures.
async fn handle(State(database): State<Database>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix(TARGET_PREFIX)).unwrap_or_default();
    // The guard has read and bounded the body.
    let outcome = match to_bytes(body, usize::MAX).await {
        Ok(body) => call(&database, operation, &body),
        Err(error) => Err(DynoxideError::SerializationException(error.to_string())),
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code());
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error.to_json())
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// Calls the engine's method for an operation.
macro_rules! call_by_name {
    ($database:ident, $operation:ident, $body:ident, { $($name:literal => $method:ident),* $(,)? }) => {
        match $operation {
            $($name => {
                let request = serde_json::from_slice($body)
                    .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
                let answer = $database.$method(request)?;
                serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
            })*
            _ => Err(DynoxideError::UnsupportedCapability($operation.to_owned())),
        }
    };
}

fn call(database: &Database, operation: &str, body: &[u8]) -> dynoxide::Result<String> {
    call_by_name!(database, operation, body, {
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "DeleteTable" => delete_table,
        "DescribeTable" => describe_table,
        "DescribeTimeToLive" => describe_time_to_live,
        "ExecuteStatement" => execute_statement,
        "GetItem" => get_item,
        "ListTables" => list_tables,
        "PutItem" => put_item,
        "Query" => query,
        "Scan" => scan,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UpdateItem" => update_item,
        "UpdateTable" => update_table,
        "UpdateTimeToLive" => update_time_to_live,
    })
}

/// Creates the table if it does not exist.
///
/// # Errors
/// An engine that does not answer or rejects the table.
pub async fn create_table(client: &Client, name: &str, table: &TableDefinition) -> anyhow::Result<()> {
    match client.describe_table().table_name(name).send().await {
        Ok(_) => return Ok(()),
        Err(error)
            if error.as_service_error().is_some_and(aws_sdk_dynamodb::operation::describe_table::DescribeTableError::is_resource_not_found_exception) => {}
        Err(error) => {
            let advice = "DynamoDB does not answer. Check AWS_ENDPOINT_URL_DYNAMODB, or unset it for the embedded engine. \
                Cause";
            return Err(error).context(advice);
        }
    }
    let attributes = table
        .attributes
        .iter()
        .map(|(name, kind)| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind.clone()).build()
        })
        .collect::<Result<_, _>>()?;
    let indexes = table
        .indexes
        .iter()
        .map(|index| {
            let attributes = (!index.attributes.is_empty()).then(|| index.attributes.clone());
            let projection = Projection::builder()
                .projection_type(index.projection.clone())
                .set_non_key_attributes(attributes)
                .build();
            let index = GlobalSecondaryIndex::builder()
                .index_name(&index.name)
                .set_key_schema(Some(key_schema(&index.key)?))
                .projection(projection)
                .build()?;
            Ok(index)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(&table.key)?))
        .set_attribute_definitions(Some(attributes))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
        .send()
        .await
        .context("DynamoDB rejects the table")?;
    if let Some(attribute) = &table.time_to_live {
        let time_to_live =
            TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build()?;
        client
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(time_to_live)
            .send()
            .await
            .context("DynamoDB rejects the table's time to live")?;
    }
    Ok(())
}

fn key_schema(key: &[KeyDefinition]) -> anyhow::Result<Vec<KeySchemaElement>> {
    key.iter()
        .map(|key| {
            let element = KeySchemaElement::builder()
                .attribute_name(&key.attribute)
                .key_type(key.kind.clone())
                .build()?;
            Ok(element)
        })
        .collect()
}
