//! DynamoDB on the laptop: an embedded engine on a SQLite file, and the template's table in it.

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, Projection,
    TimeToLiveSpecification,
};
use dynoxide::Database;
use tokio::net::TcpListener;

use super::data::DataFolder;
use super::server::{Server, stopped};
use super::template::{Key, Table};

/// The file that holds the items.
const FILE: &str = "dynamodb.sqlite";

/// Starts the engine on the folder's file, or in memory without one.
///
/// # Errors
/// A file that isn't the engine's.
pub fn start(listener: TcpListener, folder: Option<&DataFolder>) -> anyhow::Result<Server> {
    let database = match folder {
        Some(folder) => {
            let path = folder.claim(FILE)?;
            let path = path.to_str().context("the data folder's path is not UTF-8")?;
            Database::new(path).map_err(|error| {
                anyhow!(
                    "can't use {path}: bring it back, or move the data folder away to begin anew ({error})"
                )
            })?
        }
        None => Database::memory().map_err(|error| anyhow!("can't start DynamoDB: {error}"))?,
    };
    // The engine expires nothing by itself while it runs; code checks expiry anyway, as it must in the
    // cloud, where an expired item may stay for two days.
    database.sweep_ttl().map_err(|error| anyhow!("can't drop expired items: {error}"))?;
    Server::spawn(listener, |listener, signal| async move {
        dynoxide::server::serve_with_shutdown(listener, database, stopped(signal))
            .await
            .map_err(|error| anyhow!("DynamoDB failed: {error}"))
    })
}

/// Makes the table unless it is there.
///
/// # Errors
/// An engine that can't be reached or refuses the table.
pub async fn make_table(client: &Client, name: &str, table: &Table) -> anyhow::Result<()> {
    match client.describe_table().table_name(name).send().await {
        Ok(_) => return Ok(()),
        Err(error)
            if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {}
        Err(error) => {
            let advice = "DynamoDB does not answer: is AWS_ENDPOINT_URL_DYNAMODB right? Unset it for the embedded engine";
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
        .context("DynamoDB refuses the table")?;
    if let Some(attribute) = &table.time_to_live {
        let time_to_live =
            TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build()?;
        client
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(time_to_live)
            .send()
            .await
            .context("DynamoDB refuses the table's time to live")?;
    }
    Ok(())
}

fn key_schema(key: &[Key]) -> anyhow::Result<Vec<KeySchemaElement>> {
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
