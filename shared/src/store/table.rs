//! Reads and writes of the DynamoDB table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::oauth::error::OAuthError;
use crate::runtime::cache::display_chain;

/// DynamoDB's limit for a partition key, in bytes.
const MAX_PARTITION_KEY: usize = 2048;
/// DynamoDB's limit for a sort key, in bytes.
const MAX_SORT_KEY: usize = 1024;

/// The index for lists. It is eventually consistent, so no decision reads it.
const LISTING_INDEX: &str = "listing";

/// Makes an update return the item that failed its condition.
pub(crate) const CONDITION_FAILED_ITEM: ReturnValuesOnConditionCheckFailure =
    ReturnValuesOnConditionCheckFailure::AllOld;

/// An item of DynamoDB.
pub type Item = HashMap<String, AttributeValue>;

/// Why a read or a write failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB did not respond, or rejected the request.
    #[error("DynamoDB: {0}")]
    Unreachable(String),
    /// An item does not have the expected attributes.
    #[error("item {0} is malformed")]
    Malformed(String),
    /// Another item with this key exists.
    #[error("item already exists")]
    Exists,
    /// There is no such item.
    #[error("item not found")]
    Missing,
    /// The item was modified since it was read.
    #[error("item was modified concurrently")]
    Changed,
}

/// The key of an item.
#[derive(Clone, Debug)]
pub struct Key {
    pk: String,
    sk: String,
}

impl Key {
    /// A partition key of a prefix and a name, which may be user input, and a sort key.
    pub fn new(prefix: &'static str, name: &str, sk: impl Into<String>) -> Self {
        Self { pk: format!("{prefix}{name}"), sk: sk.into() }
    }

    /// Whether the key is within DynamoDB's limits. There can be no item with a longer key.
    fn fits(&self) -> bool {
        self.pk.len() <= MAX_PARTITION_KEY && self.sk.len() <= MAX_SORT_KEY
    }

    fn into_item(self) -> Item {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk)),
            ("sk".to_owned(), AttributeValue::S(self.sk)),
        ])
    }
}

/// An item in a list.
pub struct IndexEntry<'a> {
    /// `CLIENT`, `USER` or `APIKEY`.
    pub kind: &'static str,
    /// Name in the list.
    pub name: &'a str,
}

/// The table.
#[derive(Clone)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// The table with this name.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Reads one item, strongly consistent, because decisions depend on it.
    pub async fn get<T: DeserializeOwned>(&self, key: Key) -> Result<Option<T>, StoreError> {
        self.get_item(key).await?.map(read).transpose()
    }

    /// As [`Table::get`], as a DynamoDB item.
    pub async fn get_item(&self, key: Key) -> Result<Option<Item>, StoreError> {
        if !key.fits() {
            return Ok(None);
        }
        let get = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.into_item()))
            .consistent_read(true);
        Ok(get.send().await.map_err(store_unavailable)?.item)
    }

    /// Writes an item that must not exist.
    pub async fn create<T: Serialize>(
        &self,
        key: Key,
        value: &T,
        listed: Option<IndexEntry<'_>>,
    ) -> Result<(), StoreError> {
        let item = Self::item(key, value, listed)?;
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(CONDITION_FAILED_ITEM);
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // A retry of an applied write finds its own item. This is a success.
                Some(PutItemError::ConditionalCheckFailedException(failed))
                    if failed.item.as_ref() == Some(&item) =>
                {
                    Ok(())
                }
                Some(PutItemError::ConditionalCheckFailedException(_)) => Err(StoreError::Exists),
                _ => Err(store_unavailable(error)),
            },
        }
    }

    /// Writes several items, none of which may exist, in one transaction. The SDK's request token makes a retry of an
    /// applied transaction succeed.
    pub async fn create_all<const N: usize>(&self, items: [Item; N]) -> Result<(), StoreError> {
        let mut transaction = self.client.transact_write_items();
        for item in items {
            let put = Put::builder()
                .table_name(&self.name)
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(|error| StoreError::Unreachable(display_chain(&error)))?;
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        let retried = aws_sdk_dynamodb::Config::builder().retry_classifier(ThrottledTransaction);
        match transaction.customize().config_override(retried).send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|error| {
                    was_cancelled(error, &["ConditionalCheckFailed", "TransactionConflict"])
                }) =>
            {
                Err(StoreError::Exists)
            }
            Err(error) => Err(store_unavailable(error)),
        }
    }

    /// Sets attributes of an existing item.
    pub async fn set<T: Serialize>(&self, key: Key, attributes: &T) -> Result<(), StoreError> {
        let update = self.setting(key, attributes)?.condition_expression("attribute_exists(pk)");
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => condition_failed(error).and(Err(StoreError::Missing)),
        }
    }

    /// Sets attributes of the item that was read, identified by this attribute. `Changed` if there is another item with
    /// the same key.
    pub async fn set_of<T: Serialize>(
        &self,
        key: Key,
        attributes: &T,
        (name, value): (&str, AttributeValue),
    ) -> Result<(), StoreError> {
        let update = self
            .setting(key, attributes)?
            .condition_expression("#same = :same")
            .expression_attribute_names("#same", name)
            .expression_attribute_values(":same", value);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => condition_failed(error).and(Err(StoreError::Changed)),
        }
    }

    /// Sets attributes of an item, which is created if it does not exist.
    pub async fn upsert<T: Serialize>(&self, key: Key, attributes: &T) -> Result<(), StoreError> {
        self.setting(key, attributes)?.send().await.map(drop).map_err(store_unavailable)
    }

    /// An update that sets attributes, to which a condition can be added.
    pub(crate) fn setting<T: Serialize>(
        &self,
        key: Key,
        attributes: &T,
    ) -> Result<UpdateItemFluentBuilder, StoreError> {
        let attributes: Item = to_item(attributes).map_err(|_| StoreError::Malformed(key.sk.clone()))?;
        let mut update = self.update(key)?;
        let mut assignments = Vec::new();
        for (index, (name, value)) in attributes.into_iter().enumerate() {
            update = update
                .expression_attribute_names(format!("#{index}"), name)
                .expression_attribute_values(format!(":{index}"), value);
            assignments.push(format!("#{index} = :{index}"));
        }
        Ok(update.update_expression(format!("SET {}", assignments.join(", "))))
    }

    /// An update of an item.
    pub(crate) fn update(&self, key: Key) -> Result<UpdateItemFluentBuilder, StoreError> {
        if !key.fits() {
            return Err(StoreError::Malformed("key".to_owned()));
        }
        Ok(self.client.update_item().table_name(&self.name).set_key(Some(key.into_item())))
    }

    /// Deletes an item, if it exists.
    pub async fn delete(&self, key: Key) -> Result<(), StoreError> {
        let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key.into_item()));
        delete.send().await.map(drop).map_err(store_unavailable)
    }

    /// Reads a whole partition, strongly consistent.
    pub async fn partition(&self, pk: &str) -> Result<Vec<Item>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .consistent_read(true);
        all(query).await
    }

    /// Turns a value into an item.
    pub fn item<T: Serialize>(
        key: Key,
        value: &T,
        listed: Option<IndexEntry<'_>>,
    ) -> Result<Item, StoreError> {
        if !key.fits() {
            return Err(StoreError::Malformed("key".to_owned()));
        }
        let mut item: Item = to_item(value).map_err(|_| StoreError::Malformed(key.sk.clone()))?;
        // An absent attribute costs nothing and reads as null.
        item.retain(|_, value| !value.is_null());
        if let Some(IndexEntry { kind, name }) = listed {
            item.insert("kind".to_owned(), AttributeValue::S(kind.to_owned()));
            item.insert("listed_as".to_owned(), AttributeValue::S(name.to_owned()));
        }
        item.extend(key.into_item());
        Ok(item)
    }

    /// Lists all items of a kind, ordered by name.
    pub async fn list<T: DeserializeOwned>(&self, kind: &'static str) -> Result<Vec<T>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(LISTING_INDEX)
            .key_condition_expression("kind = :kind")
            .expression_attribute_values(":kind", AttributeValue::S(kind.to_owned()));
        all(query).await?.into_iter().map(read).collect()
    }
}

/// All items of a query, page by page. The SDK's paginator yields single items, which takes a twenty-fifth of the
/// instructions of an authorizer's cold start.
async fn all(query: QueryFluentBuilder) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = query.clone().set_exclusive_start_key(after).send().await.map_err(store_unavailable)?;
        items.extend(page.items.unwrap_or_default());
        after = page.last_evaluated_key.filter(|key| !key.is_empty());
        if after.is_none() {
            return Ok(items);
        }
    }
}

/// Whether a transaction was cancelled for one of these reasons.
fn was_cancelled(error: &TransactWriteItemsError, codes: &[&str]) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    let mut reasons = cancelled.cancellation_reasons().iter();
    reasons.any(|reason| reason.code().is_some_and(|code| codes.contains(&code)))
}

/// Retries transactions that were cancelled because an item was throttled. The SDK does not retry cancelled
/// transactions (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
#[derive(Debug)]
struct ThrottledTransaction;

impl ClassifyRetry for ThrottledTransaction {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err);
        let error = error.and_then(|error| error.as_operation_error()?.downcast_ref());
        match error {
            Some(error) if was_cancelled(error, &["ThrottlingError", "ProvisionedThroughputExceeded"]) => {
                RetryAction::throttling_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "throttled transaction"
    }
}

/// Parses an item.
pub fn read<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let key = item
        .get("pk")
        .and_then(|pk| pk.as_s().ok())
        .map_or("", |pk| pk.split('#').next().unwrap_or_default());
    let key = key.to_owned();
    from_item(item).map_err(|_| StoreError::Malformed(key))
}

/// The item that failed the condition of an update with [`CONDITION_FAILED_ITEM`]. Any other failure is an error.
pub(crate) fn condition_failed(error: SdkError<UpdateItemError>) -> Result<Option<Item>, StoreError> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Ok(failed.item.clone()),
        _ => Err(store_unavailable(error)),
    }
}

pub(crate) fn store_unavailable<E: std::error::Error + 'static, R: std::fmt::Debug>(
    error: SdkError<E, R>,
) -> StoreError {
    StoreError::Unreachable(display_chain(&error))
}

/// A number as DynamoDB takes it.
pub(crate) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The request is answered with 503 and nothing is granted.
impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error)
    }
}
