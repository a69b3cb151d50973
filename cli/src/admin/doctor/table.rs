//! The table: it exists and is as the template declares it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndexDescription, IndexStatus, KeySchemaElement, KeyType,
    PointInTimeRecoveryStatus, ProjectionType, ScalarAttributeType, SseStatus, TableDescription, TableStatus,
    TimeToLiveDescription, TimeToLiveStatus,
};
use sam_template::{Index, KeyDefinition, TableDefinition as Declared};
use shared::runtime::cache::display_chain;
use shared::store::table::StoreError;

use super::check::{Check, NotObserved};
use crate::admin::connection::Connection;

const DEPLOY: &str = "Deploy the template again (`sam deploy`)";

/// What DynamoDB answered about the table.
pub struct ObservedTable {
    description: Result<TableDescription, NotObserved>,
    expiry: Result<TimeToLiveDescription, NotObserved>,
    backed_up: Result<bool, NotObserved>,
    /// Whether the endpoint is not AWS's. Then there are no backups, protection and encryption to check.
    local: bool,
}

impl ObservedTable {
    /// Reads the table's description, time to live and backups.
    pub async fn inspect(connection: &Connection) -> Self {
        let failed = |text| NotObserved::Failed(connection.store_error(&StoreError::Unreachable(text)));
        let (client, name) = (&connection.dynamodb, &connection.table);
        let (table, expiry, backups) = tokio::join!(
            client.describe_table().table_name(name).send(),
            client.describe_time_to_live().table_name(name).send(),
            client.describe_continuous_backups().table_name(name).send(),
        );
        let nothing = || NotObserved::skipped("DynamoDB's answer is empty");
        let table = table.map_err(|error| failed(display_chain(&error)));
        let expiry = expiry.map_err(|error| failed(display_chain(&error)));
        let backups = backups.map_err(|error| failed(display_chain(&error)));
        Self {
            description: table.and_then(|output| output.table.ok_or_else(nothing)),
            expiry: expiry.and_then(|output| output.time_to_live_description.ok_or_else(nothing)),
            backed_up: backups.map(|output| {
                let backups = output.continuous_backups_description;
                let recovery = backups.and_then(|backups| backups.point_in_time_recovery_description);
                let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
                status == Some(PointInTimeRecoveryStatus::Enabled)
            }),
            local: connection.dynamodb_place().local,
        }
    }

    /// A table that was not read.
    pub fn not_observed(not_observed: NotObserved) -> Self {
        let [expiry, backups] = [(); 2].map(|()| NotObserved::skipped("no table to check"));
        Self { description: Err(not_observed), expiry: Err(expiry), backed_up: Err(backups), local: false }
    }

    /// Whether the table exists.
    pub fn is_there(&self) -> bool {
        self.description.is_ok()
    }

    /// Checks the table against what the template declares.
    pub fn check(&self, declared: &Declared) -> Vec<Check> {
        const NAMES: [&str; 7] =
            ["table", "table key", "listings", "expiry", "backups", "deletion protection", "encryption"];
        let [table, key, listings, expiry, backups, protection, encryption] = NAMES;
        let description = match &self.description {
            Ok(description) => description,
            Err(not_observed) => {
                let rest = NAMES[1..].iter();
                let rest = rest.map(|name| Check::not_checked(name, "no table to check"));
                return [not_observed.check(table)].into_iter().chain(rest).collect();
            }
        };
        let protected = description.deletion_protection_enabled.unwrap_or_default();
        let sse = description.sse_description.as_ref().and_then(|sse| sse.status.as_ref());
        let encrypted = matches!(sse, Some(SseStatus::Enabled | SseStatus::Updating));
        vec![
            state(table, description),
            self::key(key, description, declared),
            self::listings(listings, description, declared),
            match &self.expiry {
                Ok(observed) => self::expiry(expiry, observed, declared),
                Err(not_observed) => not_observed.not_checked(expiry),
            },
            self.protection(
                backups,
                self.backed_up.as_ref().copied(),
                declared.backed_up,
                [
                    "point-in-time recovery is on",
                    "point-in-time recovery is off. Deleted or damaged items can't be restored",
                ],
            ),
            self.protection(
                protection,
                Ok(protected),
                declared.protected,
                ["deletion protection is on", "deletion protection is off. A mistake can delete the table"],
            ),
            self.protection(
                encryption,
                Ok(encrypted),
                declared.encrypted,
                [
                    "the table is encrypted with a key of the account",
                    "the table is encrypted with an AWS-owned key, whose use is not in CloudTrail",
                ],
            ),
        ]
    }

    /// Checks what only AWS has, with a text for on and one for off.
    fn protection(
        &self,
        name: &'static str,
        observed: Result<bool, &NotObserved>,
        declared: bool,
        [on, off]: [&str; 2],
    ) -> Check {
        match observed {
            Ok(true) => Check::ok(name, on),
            _ if self.local => Check::not_checked(name, "not available in a local table"),
            Ok(false) if declared => Check::warning(name, off, DEPLOY),
            Ok(false) => Check::ok(name, "off, as the template declares"),
            Err(not_observed) => not_observed.not_checked(name),
        }
    }
}

fn state(name: &'static str, table: &TableDescription) -> Check {
    let called = table.table_name().unwrap_or("the table");
    match table.table_status() {
        Some(TableStatus::Active | TableStatus::Updating) => Check::ok(name, format!("{called} is active")),
        Some(TableStatus::Creating) => {
            Check::warning(name, format!("{called} is being created"), "Wait a minute and run doctor again")
        }
        status => {
            let status = status.map_or("unknown", TableStatus::as_str);
            Check::problem(name, format!("{called} has the status {status}"), "Check TABLE_NAME")
        }
    }
}

type Types = BTreeMap<String, ScalarAttributeType>;

fn types(definitions: &[AttributeDefinition]) -> Types {
    definitions.iter().map(|one| (one.attribute_name.clone(), one.attribute_type.clone())).collect()
}

/// The text of a key, `pk (S, HASH) and sk (S, RANGE)`. Equal keys have equal texts.
fn in_words<'a>(key: impl Iterator<Item = (&'a str, &'a KeyType)>, types: &Types) -> String {
    let word = |(attribute, kind): (&str, &KeyType)| {
        let of_type = types.get(attribute).map_or("?", ScalarAttributeType::as_str);
        format!("{attribute} ({of_type}, {kind})")
    };
    key.map(word).collect::<Vec<_>>().join(" and ")
}

fn observed_key(schema: &[KeySchemaElement], table: &TableDescription) -> String {
    let parts = schema.iter().map(|part| (part.attribute_name.as_str(), &part.key_type));
    in_words(parts, &types(table.attribute_definitions()))
}

fn declared_key(key: &[KeyDefinition], declared: &Declared) -> String {
    in_words(key.iter().map(|part| (part.attribute.as_str(), &part.kind)), &declared.attributes)
}

fn key(name: &'static str, table: &TableDescription, declared: &Declared) -> Check {
    let (observed, wanted) = (observed_key(table.key_schema(), table), declared_key(&declared.key, declared));
    if observed == wanted {
        return Check::ok(name, format!("the key is {wanted}, as the template declares"));
    }
    Check::problem(
        name,
        format!("the key is {observed} instead of {wanted}"),
        "Check TABLE_NAME. The key of a table can't be changed",
    )
}

fn listings(name: &'static str, table: &TableDescription, declared: &Declared) -> Check {
    let found = |index: &Index| {
        table.global_secondary_indexes().iter().find(|observed| observed.index_name() == Some(&index.name))
    };
    for index in &declared.indexes {
        let Some(observed) = found(index) else {
            return Check::problem(
                name,
                format!("index {} is missing. The `list` commands fail", index.name),
                DEPLOY,
            );
        };
        let (key, wanted) = (observed_key(observed.key_schema(), table), declared_key(&index.key, declared));
        if key != wanted {
            let detail = format!("the key of index {} is {key} instead of {wanted}", index.name);
            return Check::problem(name, detail, DEPLOY);
        }
        let missing = missing_attributes(observed, index);
        if !missing.is_empty() {
            let detail =
                format!("index {} lacks {}. The `list` commands fail", index.name, missing.join(", "));
            return Check::problem(
                name,
                detail,
                "Delete the index and deploy the template again. An index can't be changed",
            );
        }
        if !matches!(observed.index_status(), None | Some(IndexStatus::Active | IndexStatus::Updating)) {
            let detail = format!("index {} is being created. Lists are incomplete", index.name);
            return Check::warning(name, detail, "Wait and run doctor again");
        }
    }
    Check::ok(name, "the index is as the template declares")
}

fn missing_attributes<'a>(observed: &GlobalSecondaryIndexDescription, index: &'a Index) -> Vec<&'a str> {
    let projection = observed.projection();
    if projection.and_then(|projection| projection.projection_type()) == Some(&ProjectionType::All) {
        return Vec::new();
    }
    let copied = projection.map(aws_sdk_dynamodb::types::Projection::non_key_attributes).unwrap_or_default();
    let wanted = index.attributes.iter().filter(|attribute| !copied.contains(attribute));
    wanted.map(String::as_str).collect()
}

fn expiry(name: &'static str, observed: &TimeToLiveDescription, declared: &Declared) -> Check {
    let Some(wanted) = declared.time_to_live.as_deref() else {
        return Check::ok(name, "off, as the template declares");
    };
    let on = matches!(
        observed.time_to_live_status(),
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
    );
    match observed.attribute_name().filter(|_| on) {
        Some(attribute) if attribute == wanted => {
            Check::ok(name, format!("DynamoDB deletes expired items by {wanted}"))
        }
        Some(attribute) => Check::problem(
            name,
            format!("DynamoDB deletes items by {attribute} instead of {wanted}. It may delete items in use"),
            format!("Turn time to live off at once, then on for {wanted}"),
        ),
        None => Check::warning(name, "time to live is off. Expired items stay and the table grows", DEPLOY),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use aws_sdk_dynamodb::types::builders::{ProjectionBuilder, TableDescriptionBuilder};
    use aws_sdk_dynamodb::types::{Projection, SseDescription};
    use sam_template::{TEMPLATE, Template};

    fn element((attribute, kind): (&str, KeyType)) -> KeySchemaElement {
        KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().unwrap()
    }

    fn listing(projection: ProjectionBuilder) -> GlobalSecondaryIndexDescription {
        let key = [("kind", KeyType::Hash), ("listed_as", KeyType::Range)].map(element).to_vec();
        let index = GlobalSecondaryIndexDescription::builder().index_name("listing");
        index.set_key_schema(Some(key)).projection(projection.build()).build()
    }

    fn all() -> ProjectionBuilder {
        Projection::builder().projection_type(ProjectionType::All)
    }

    /// DynamoDB's description of the template's table.
    fn deployed() -> TableDescriptionBuilder {
        let attributes = ["pk", "sk", "kind", "listed_as"].map(|attribute| {
            let definition = AttributeDefinition::builder().attribute_name(attribute);
            definition.attribute_type(ScalarAttributeType::S).build().unwrap()
        });
        TableDescription::builder()
            .table_name("latchkey")
            .table_status(TableStatus::Active)
            .set_attribute_definitions(Some(attributes.to_vec()))
            .set_key_schema(Some([("pk", KeyType::Hash), ("sk", KeyType::Range)].map(element).to_vec()))
            .global_secondary_indexes(listing(all()))
            .deletion_protection_enabled(true)
            .sse_description(SseDescription::builder().status(SseStatus::Enabled).build())
    }

    fn expires_by(attribute: &str, status: TimeToLiveStatus) -> TimeToLiveDescription {
        TimeToLiveDescription::builder().attribute_name(attribute).time_to_live_status(status).build()
    }

    fn observed(description: TableDescriptionBuilder) -> ObservedTable {
        ObservedTable {
            description: Ok(description.build()),
            expiry: Ok(expires_by("expires_at", TimeToLiveStatus::Enabled)),
            backed_up: Ok(true),
            local: false,
        }
    }

    fn bad(table: &ObservedTable) -> Vec<(&'static str, Status)> {
        let checks = table.check(&Template::read(TEMPLATE).unwrap().table);
        assert_eq!(checks.len(), 7);
        let bad = checks.iter().filter(|check| check.status != Status::Ok);
        bad.map(|check| (check.name, check.status)).collect()
    }

    #[test]
    fn table_must_be_as_the_template_declares() {
        assert_eq!(bad(&observed(deployed())), []);
        let lacking =
            Projection::builder().projection_type(ProjectionType::Include).non_key_attributes("scopes");
        for (description, name, status) in [
            (deployed().table_status(TableStatus::Deleting), "table", Status::Problem),
            (deployed().table_status(TableStatus::Creating), "table", Status::Warning),
            (deployed().key_schema(element(("more", KeyType::Range))), "table key", Status::Problem),
            (deployed().set_global_secondary_indexes(None), "listings", Status::Problem),
            (
                deployed().set_global_secondary_indexes(Some(vec![listing(lacking)])),
                "listings",
                Status::Problem,
            ),
            (deployed().deletion_protection_enabled(false), "deletion protection", Status::Warning),
            (deployed().set_sse_description(None), "encryption", Status::Warning),
        ] {
            assert_eq!(bad(&observed(description)), [(name, status)]);
        }
    }

    #[test]
    fn time_to_live_by_another_attribute_is_a_problem_and_none_a_warning() {
        for (attribute, status, expected) in [
            ("expires_at", TimeToLiveStatus::Enabling, vec![]),
            ("expires_at", TimeToLiveStatus::Disabled, vec![("expiry", Status::Warning)]),
            ("created_at", TimeToLiveStatus::Enabled, vec![("expiry", Status::Problem)]),
        ] {
            let table = ObservedTable { expiry: Ok(expires_by(attribute, status)), ..observed(deployed()) };
            assert_eq!(bad(&table), expected);
        }
    }

    #[test]
    fn backups_and_protection_of_a_local_table_are_not_checked() {
        let unprotected = || deployed().deletion_protection_enabled(false).set_sse_description(None);
        let unknown = || Err(NotObserved::skipped("UnknownOperationException"));
        let table = ObservedTable { backed_up: unknown(), local: true, ..observed(unprotected()) };
        let not_checked =
            ["backups", "deletion protection", "encryption"].map(|name| (name, Status::NotChecked));
        assert_eq!(bad(&table), not_checked);
        let table = ObservedTable { backed_up: unknown(), ..observed(deployed()) };
        assert_eq!(bad(&table), [("backups", Status::NotChecked)], "nor without the permission");
        let table = ObservedTable { backed_up: Ok(false), ..observed(deployed()) };
        assert_eq!(bad(&table), [("backups", Status::Warning)]);
    }

    #[test]
    fn missing_table_is_a_problem_and_nothing_else_of_it_is_checked() {
        let table = ObservedTable::not_observed(NotObserved::Failed(Default::default()));
        assert_eq!(bad(&table)[0], ("table", Status::Problem));
        assert!(bad(&table)[1..].iter().all(|(_, status)| *status == Status::NotChecked));
    }
}
