//! The DynamoDB table, with the properties that the local stack creates and doctor checks.
//!
//! Source of the property names:
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html>

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{KeyType, ProjectionType, ScalarAttributeType};
use serde::Deserialize;
use serde_json::Value;

use super::{Resources, Result, TemplateError};

/// A table.
pub struct TableDefinition {
    /// Its key.
    pub key: Vec<KeyDefinition>,
    /// The types of all key attributes.
    pub attributes: BTreeMap<String, ScalarAttributeType>,
    /// Its global secondary indexes.
    pub indexes: Vec<Index>,
    /// The TTL attribute.
    pub time_to_live: Option<String>,
    /// Whether point-in-time recovery is on.
    pub backed_up: bool,
    /// Whether deletion protection is on.
    pub protected: bool,
    /// Whether it is encrypted with a key of the account.
    pub encrypted: bool,
}

/// One attribute of a key.
pub struct KeyDefinition {
    /// The attribute's name.
    pub attribute: String,
    /// Partition or sort key.
    pub kind: KeyType,
}

/// A global secondary index.
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: Vec<KeyDefinition>,
    /// The type of its projection.
    pub projection: ProjectionType,
    /// The projected attributes of an `INCLUDE` projection.
    pub attributes: Vec<String>,
}

/// Reads the table without its billing.
pub(super) fn read(resources: &Resources, table: &Value) -> Result<TableDefinition> {
    let place = |part: &str| format!("Table.{part}");
    let property = |name: &str| table.get("Properties").and_then(|properties| properties.get(name));
    if property("LocalSecondaryIndexes").is_some() {
        return Err(TemplateError::new(place("LocalSecondaryIndexes"), "is not supported"));
    }
    let key: Vec<KeyPart> = resources.read(&place("KeySchema"), property("KeySchema"))?.unwrap_or_default();
    let attributes: Vec<Attribute> =
        resources.read(&place("AttributeDefinitions"), property("AttributeDefinitions"))?.unwrap_or_default();
    let indexes: Vec<IndexDefinition> = resources
        .read(&place("GlobalSecondaryIndexes"), property("GlobalSecondaryIndexes"))?
        .unwrap_or_default();
    let time_to_live: Option<TimeToLive> =
        resources.read(&place("TimeToLiveSpecification"), property("TimeToLiveSpecification"))?;
    let backups: Option<PointInTimeRecovery> = resources
        .read(&place("PointInTimeRecoverySpecification"), property("PointInTimeRecoverySpecification"))?;
    let encryption: Option<Encryption> =
        resources.read(&place("SSESpecification"), property("SSESpecification"))?;
    let protected: Option<bool> =
        resources.read(&place("DeletionProtectionEnabled"), property("DeletionProtectionEnabled"))?;
    Ok(TableDefinition {
        key: keys(key)?,
        backed_up: backups.is_some_and(|backups| backups.point_in_time_recovery_enabled),
        protected: protected.unwrap_or_default(),
        encrypted: encryption.is_some_and(|encryption| encryption.sse_enabled),
        attributes: attributes
            .into_iter()
            .map(|attribute| {
                let kind = ScalarAttributeType::try_parse(&attribute.attribute_type)
                    .map_err(|_| TemplateError::new("AttributeType", attribute.attribute_type))?;
                Ok((attribute.attribute_name, kind))
            })
            .collect::<Result<_>>()?,
        indexes: indexes.into_iter().map(IndexDefinition::check).collect::<Result<_>>()?,
        time_to_live: time_to_live.filter(|ttl| ttl.enabled).map(|ttl| ttl.attribute_name),
    })
}

fn keys(parts: Vec<KeyPart>) -> Result<Vec<KeyDefinition>> {
    parts
        .into_iter()
        .map(|part| {
            let kind = KeyType::try_parse(&part.key_type)
                .map_err(|_| TemplateError::new("KeyType", format!("{} is not supported", part.key_type)))?;
            Ok(KeyDefinition { attribute: part.attribute_name, kind })
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeyPart {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PointInTimeRecovery {
    point_in_time_recovery_enabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encryption {
    #[serde(rename = "SSEEnabled")]
    sse_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct IndexDefinition {
    index_name: String,
    key_schema: Vec<KeyPart>,
    projection: Projection,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Projection {
    projection_type: String,
    #[serde(default)]
    non_key_attributes: Vec<String>,
}

impl IndexDefinition {
    fn check(self) -> Result<Index> {
        let projection = ProjectionType::try_parse(&self.projection.projection_type).map_err(|_| {
            TemplateError::new(&self.index_name, "has a ProjectionType that is not supported")
        })?;
        Ok(Index {
            name: self.index_name,
            key: keys(self.key_schema)?,
            projection,
            attributes: self.projection.non_key_attributes,
        })
    }
}
