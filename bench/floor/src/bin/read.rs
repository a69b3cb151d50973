//! Hello world that reads one item, as little as the SDK lets it: what a token costs before anybody has
//! thought about tokens.

// The SDK's futures nest deeper than the compiler's default.
#![recursion_limit = "256"]

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::aws::Aws;
use shared::config::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = Settings::from_process();
    let client = &Aws::from_settings(&settings)?.dynamodb();
    let (table, partition_key) = (settings.table_name()?, settings.required("PARTITION_KEY")?);
    run(service_fn(async |event: LambdaEvent<Value>| {
        let get = client
            .get_item()
            .table_name(table)
            .key("pk", AttributeValue::S(partition_key.to_owned()))
            .key("sk", AttributeValue::S("PROFILE".to_owned()))
            .consistent_read(true);
        get.send().await?.item.ok_or("there is no such item")?;
        Ok::<_, Error>(event.payload)
    }))
    .await
}
