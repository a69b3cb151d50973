//! Hello world with one GetItem by the unmodified SDK. Only the HTTP client is ours, because the SDK's client reads the
//! system's certificates, which dominates a cold start.

// The SDK's futures nest deeper than the compiler's default.
#![recursion_limit = "256"]

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::{Client, Config};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::runtime::aws::amazon_roots;
use shared::runtime::https::Https;
use shared::runtime::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = Settings::from_process();
    let credentials = Credentials::new(
        settings.required("AWS_ACCESS_KEY_ID")?,
        settings.required("AWS_SECRET_ACCESS_KEY")?,
        None,
        None,
        "environment",
    );
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.required("AWS_REGION")?.to_owned()))
        .credentials_provider(credentials)
        .http_client(Https::new(amazon_roots()))
        .endpoint_url(settings.required("AWS_ENDPOINT_URL_DYNAMODB")?);
    let client = &Client::from_conf(config.build());
    let (table, partition_key) = (settings.table_name()?, settings.required("PARTITION_KEY")?);
    run(service_fn(async |event: LambdaEvent<Value>| {
        let get = client
            .get_item()
            .table_name(table)
            .key("pk", AttributeValue::S(partition_key.to_owned()))
            .key("sk", AttributeValue::S("PROFILE".to_owned()))
            .consistent_read(true);
        get.send().await?.item.ok_or("the item does not exist")?;
        Ok::<_, Error>(event.payload)
    }))
    .await
}
