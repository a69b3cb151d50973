//! The table: that it is there, and as the template declares it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndexDescription, IndexStatus, KeySchemaElement, KeyType,
    PointInTimeRecoveryStatus, ProjectionType, ScalarAttributeType, SseStatus, TableDescription, TableStatus,
    TimeToLiveDescription, TimeToLiveStatus,
};
use shared::runtime::cache::display_chain;
use shared::store::table::StoreError;

use super::check::{Check, Missed};
use crate::admin::connection::Connection;
use crate::dev::template::{Index, Key, Table as Declared};

const DEPLOY: &str = "deploy the template again (`sam deploy`)";

/// What was seen of the table.
pub struct Table {
    description: Result<TableDescription, Missed>,
    expiry: Result<TimeToLiveDescription, Missed>,
    backed_up: Result<bool, Missed>,
    /// Whether something else than AWS keeps it: that has no backups and protects nothing.
    local: bool,
}

impl Table {
    /// Looks at it.
    pub async fn look(connection: &Connection) -> Self {
        let failed = |text| Missed::Failed(connection.store_complaint(&StoreError::Unreachable(text)));
        let (client, name) = (&connection.dynamodb, &connection.table);
        let (table, expiry, backups) = tokio::join!(
            client.describe_table().table_name(name).send(),
            client.describe_time_to_live().table_name(name).send(),
            client.describe_continuous_backups().table_name(name).send(),
        );
        let nothing = || Missed::skipped("DynamoDB says nothing of it");
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

    /// There was nothing to look at.
    pub fn unseen(missed: Missed) -> Self {
        let [expiry, backups] = [(); 2].map(|()| Missed::skipped("there is no table to look at"));
        Self { description: Err(missed), expiry: Err(expiry), backed_up: Err(backups), local: false }
    }

    /// Whether it is there.
    pub fn is_there(&self) -> bool {
        self.description.is_ok()
    }

    /// Judges it by what the template declares.
    pub fn validate(&self, declared: &Declared) -> Vec<Check> {
        const NAMES: [&str; 7] =
            ["table", "table key", "listings", "expiry", "backups", "deletion protection", "encryption"];
        let [table, key, listings, expiry, backups, protection, encryption] = NAMES;
        let description = match &self.description {
            Ok(description) => description,
            Err(missed) => {
                let rest = NAMES[1..].iter();
                let rest = rest.map(|name| Check::not_checked(name, "there is no table to look at"));
                return [missed.check(table)].into_iter().chain(rest).collect();
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
                Ok(seen) => self::expiry(expiry, seen, declared),
                Err(missed) => missed.not_checked(expiry),
            },
            self.protection(
                backups,
                self.backed_up.as_ref().copied(),
                declared.backed_up,
                [
                    "the table can be brought back as it was at any moment of the last weeks",
                    "the table can't be brought back as it was: point-in-time recovery is off",
                ],
            ),
            self.protection(
                protection,
                Ok(protected),
                declared.protected,
                ["nobody can delete the table by mistake", "the table can be deleted by mistake"],
            ),
            self.protection(
                encryption,
                Ok(encrypted),
                declared.encrypted,
                [
                    "the table is encrypted with a key of the account",
                    "the table is encrypted with a key of AWS's, whose use no trail shows",
                ],
            ),
        ]
    }

    /// What the cloud alone has. `words` say that it is on, and that it is off.
    fn protection(
        &self,
        name: &'static str,
        seen: Result<bool, &Missed>,
        declared: bool,
        [on, off]: [&str; 2],
    ) -> Check {
        match seen {
            Ok(true) => Check::ok(name, on),
            _ if self.local => Check::not_checked(name, "a local table has none"),
            Ok(false) if declared => Check::warning(name, off, DEPLOY),
            Ok(false) => Check::ok(name, "off, as the template says"),
            Err(missed) => missed.not_checked(name),
        }
    }
}

fn state(name: &'static str, table: &TableDescription) -> Check {
    let called = table.table_name().unwrap_or("it");
    match table.table_status() {
        Some(TableStatus::Active | TableStatus::Updating) => {
            Check::ok(name, format!("{called} is there and active"))
        }
        Some(TableStatus::Creating) => {
            Check::warning(name, format!("{called} is being made"), "wait a minute and run it again")
        }
        status => {
            let status = status.map_or("not known", TableStatus::as_str);
            Check::problem(
                name,
                format!("{called} can't be used: its state is {status}"),
                "is TABLE_NAME right?",
            )
        }
    }
}

type Types = BTreeMap<String, ScalarAttributeType>;

fn types(definitions: &[AttributeDefinition]) -> Types {
    definitions.iter().map(|one| (one.attribute_name.clone(), one.attribute_type.clone())).collect()
}

/// A key in words, `pk (S, HASH) and sk (S, RANGE)`: two keys are the same if their words are.
fn in_words<'a>(key: impl Iterator<Item = (&'a str, &'a KeyType)>, types: &Types) -> String {
    let word = |(attribute, kind): (&str, &KeyType)| {
        let of_type = types.get(attribute).map_or("?", ScalarAttributeType::as_str);
        format!("{attribute} ({of_type}, {kind})")
    };
    key.map(word).collect::<Vec<_>>().join(" and ")
}

fn seen_key(schema: &[KeySchemaElement], table: &TableDescription) -> String {
    let parts = schema.iter().map(|part| (part.attribute_name.as_str(), &part.key_type));
    in_words(parts, &types(table.attribute_definitions()))
}

fn declared_key(key: &[Key], declared: &Declared) -> String {
    in_words(key.iter().map(|part| (part.attribute.as_str(), &part.kind)), &declared.attributes)
}

fn key(name: &'static str, table: &TableDescription, declared: &Declared) -> Check {
    let (seen, wanted) = (seen_key(table.key_schema(), table), declared_key(&declared.key, declared));
    if seen == wanted {
        return Check::ok(name, format!("as the template says: {wanted}"));
    }
    Check::problem(
        name,
        format!("it is {seen} in place of {wanted}"),
        "is TABLE_NAME right? No table changes its key",
    )
}

fn listings(name: &'static str, table: &TableDescription, declared: &Declared) -> Check {
    let found = |index: &Index| {
        table.global_secondary_indexes().iter().find(|seen| seen.index_name() == Some(&index.name))
    };
    for index in &declared.indexes {
        let Some(seen) = found(index) else {
            return Check::problem(
                name,
                format!("the index {} is missing: nothing can be listed", index.name),
                DEPLOY,
            );
        };
        let (key, wanted) = (seen_key(seen.key_schema(), table), declared_key(&index.key, declared));
        if key != wanted {
            let detail = format!("the key of the index {} is {key} in place of {wanted}", index.name);
            return Check::problem(name, detail, DEPLOY);
        }
        let missing = missing_attributes(seen, index);
        if !missing.is_empty() {
            let detail =
                format!("the index {} lacks {}: lists can't be read", index.name, missing.join(", "));
            return Check::problem(
                name,
                detail,
                "delete the index, then deploy the template again: none changes what it holds",
            );
        }
        if !matches!(seen.index_status(), None | Some(IndexStatus::Active | IndexStatus::Updating)) {
            let detail = format!("the index {} is being made: lists are not complete", index.name);
            return Check::warning(name, detail, "wait and run it again");
        }
    }
    Check::ok(name, "the index for lists is as the template says")
}

fn missing_attributes<'a>(seen: &GlobalSecondaryIndexDescription, index: &'a Index) -> Vec<&'a str> {
    let projection = seen.projection();
    if projection.and_then(|projection| projection.projection_type()) == Some(&ProjectionType::All) {
        return Vec::new();
    }
    let copied = projection.map(|projection| projection.non_key_attributes()).unwrap_or_default();
    let wanted = index.attributes.iter().filter(|attribute| !copied.contains(attribute));
    wanted.map(String::as_str).collect()
}

fn expiry(name: &'static str, seen: &TimeToLiveDescription, declared: &Declared) -> Check {
    let Some(wanted) = declared.time_to_live.as_deref() else {
        return Check::ok(name, "the template deletes nothing by itself");
    };
    let on =
        matches!(seen.time_to_live_status(), Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling));
    match seen.attribute_name().filter(|_| on) {
        Some(attribute) if attribute == wanted => {
            Check::ok(name, format!("DynamoDB deletes what has expired, by {wanted}"))
        }
        Some(attribute) => Check::problem(
            name,
            format!("DynamoDB deletes items by {attribute} in place of {wanted}, perhaps those in use"),
            format!("switch its time to live off at once, then on for {wanted}"),
        ),
        None => Check::warning(
            name,
            "what has expired is never deleted, so the table grows: its time to live is off",
            DEPLOY,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use crate::dev::TEMPLATE;
    use crate::dev::template::Template;
    use aws_sdk_dynamodb::types::builders::{ProjectionBuilder, TableDescriptionBuilder};
    use aws_sdk_dynamodb::types::{Projection, SseDescription};

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

    /// What DynamoDB says of the template's table.
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

    fn seen(description: TableDescriptionBuilder) -> Table {
        Table {
            description: Ok(description.build()),
            expiry: Ok(expires_by("expires_at", TimeToLiveStatus::Enabled)),
            backed_up: Ok(true),
            local: false,
        }
    }

    fn bad(table: &Table) -> Vec<(&'static str, Status)> {
        let checks = table.validate(&Template::read(TEMPLATE).unwrap().table);
        assert_eq!(checks.len(), 7);
        let bad = checks.iter().filter(|check| check.status != Status::Ok);
        bad.map(|check| (check.name, check.status)).collect()
    }

    #[test]
    fn a_table_is_well_when_it_is_as_the_template_says() {
        assert_eq!(bad(&seen(deployed())), []);
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
            assert_eq!(bad(&seen(description)), [(name, status)]);
        }
    }

    #[test]
    fn a_time_to_live_by_another_attribute_is_worse_than_none() {
        for (attribute, status, expected) in [
            ("expires_at", TimeToLiveStatus::Enabling, vec![]),
            ("expires_at", TimeToLiveStatus::Disabled, vec![("expiry", Status::Warning)]),
            ("created_at", TimeToLiveStatus::Enabled, vec![("expiry", Status::Problem)]),
        ] {
            let table = Table { expiry: Ok(expires_by(attribute, status)), ..seen(deployed()) };
            assert_eq!(bad(&table), expected);
        }
    }

    #[test]
    fn what_a_local_engine_does_not_have_is_not_checked() {
        let unprotected = || deployed().deletion_protection_enabled(false).set_sse_description(None);
        let unknown = || Err(Missed::skipped("UnknownOperationException"));
        let table = Table { backed_up: unknown(), local: true, ..seen(unprotected()) };
        let not_checked =
            ["backups", "deletion protection", "encryption"].map(|name| (name, Status::NotChecked));
        assert_eq!(bad(&table), not_checked);
        let table = Table { backed_up: unknown(), ..seen(deployed()) };
        assert_eq!(bad(&table), [("backups", Status::NotChecked)], "nor what nobody may ask");
        let table = Table { backed_up: Ok(false), ..seen(deployed()) };
        assert_eq!(bad(&table), [("backups", Status::Warning)]);
    }

    #[test]
    fn of_a_table_that_is_not_there_nothing_else_is_checked() {
        let table = Table::unseen(Missed::Failed(Default::default()));
        assert_eq!(bad(&table)[0], ("table", Status::Problem));
        assert!(bad(&table)[1..].iter().all(|(_, status)| *status == Status::NotChecked));
    }
}
