//! The IAM role that `template.yaml` gives a function, evaluated as AWS documents it
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html). The emulators check no
//! permissions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use sam_template::policy::covers;
use sam_template::{TEMPLATE, yaml};
use serde_json::{Value, json};

/// A function's permissions, those that it used, and the requests that were denied.
pub struct Role {
    statements: Vec<Value>,
    /// Actions and condition values, each with its statement's `Sid`.
    used: Mutex<BTreeSet<String>>,
    denied: Mutex<Vec<String>>,
}

/// The parts of a store request that IAM conditions can name.
#[derive(Debug, Default)]
struct Access {
    /// The partition keys of the items.
    partition_keys: BTreeSet<String>,
    /// Every attribute that the request names, keys included.
    attributes: BTreeSet<String>,
    return_values: BTreeSet<String>,
}

/// The keywords of DynamoDB's expressions
/// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html).
const EXPRESSION_WORDS: [&str; 18] = [
    "",
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "if_not_exists",
    "list_append",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
];

impl Role {
    /// The role of the function with this binary.
    pub fn of(binary: &str) -> Arc<Self> {
        let template = yaml::read(TEMPLATE).expect("YAML");
        let mut resources = template["Resources"].as_object().expect("resources").values();
        let function = resources.find(|resource| resource["Metadata"]["BuildProperties"]["Binary"] == binary);
        let properties =
            &function.unwrap_or_else(|| panic!("no function has the binary {binary}"))["Properties"];
        let policies = properties["Policies"].as_array().into_iter().flatten();
        let statements = policies.flat_map(|policy| policy["Statement"].as_array().expect("statements"));
        let statements: Vec<_> = statements.cloned().collect();
        assert!(statements.iter().all(|statement| statement["Effect"] == "Allow"), "{binary}");
        Arc::new(Self { statements, used: Mutex::default(), denied: Mutex::default() })
    }

    /// Whether the role allows a request. The operation is the value of the header `x-amz-target`.
    pub fn allows(&self, operation: &str, body: &[u8]) -> bool {
        let request = serde_json::from_slice(body).unwrap_or_default();
        let deny = |what| self.denied.lock().expect("no test panicked here").push(what);
        // A panic in the proxy's task would not fail the test, so denials are collected.
        let Some(accesses) = accesses(operation, &request) else {
            deny(format!("{operation} {request}"));
            return false;
        };
        let mut all = true;
        for (action, access) in accesses {
            match self.statements.iter().find(|statement| allows(statement, &action, &access)) {
                Some(statement) => {
                    let of_use = parts(statement).filter(|part| part.text == action || access.is_for(part));
                    let of_use = of_use.map(|part| part.to_string());
                    self.used.lock().expect("no test panicked here").extend(of_use);
                }
                None => {
                    deny(format!("{action} {access:?}"));
                    all = false;
                }
            }
        }
        all
    }

    /// Asserts that the role allowed every request and that requests used all of the role.
    pub fn assert_just_enough(&self) {
        let denied = self.denied.lock().expect("no test panicked here");
        assert!(denied.is_empty(), "the template does not allow {denied:#?}");
        let used = self.used.lock().expect("no test panicked here");
        let all = self.statements.iter().flat_map(parts).map(|part| part.to_string());
        let unused: Vec<_> = all.filter(|part| !used.contains(part)).collect();
        assert!(unused.is_empty(), "the template allows what no request needs: {unused:#?}");
    }
}

/// A part of a statement: an action, or a value of a condition.
struct Part<'a> {
    sid: &'a str,
    /// The condition's operator and key.
    condition: Option<(&'a str, &'a str)>,
    text: &'a str,
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.sid, self.text)
    }
}

/// The parts of a statement. `dynamodb:ReturnValues` is left out, because a request without it satisfies the
/// condition.
fn parts(statement: &Value) -> impl Iterator<Item = Part<'_>> {
    let sid = statement["Sid"].as_str().expect("a Sid");
    let actions =
        texts(&statement["Action"]).into_iter().map(move |text| Part { sid, condition: None, text });
    let conditions = statement["Condition"].as_object().into_iter().flatten();
    let conditions = conditions.flat_map(move |(operator, keys)| {
        let keys = keys.as_object().expect("keys").iter().filter(|(key, _)| *key != "dynamodb:ReturnValues");
        keys.flat_map(move |(key, values)| {
            let condition = Some((operator.as_str(), key.as_str()));
            texts(values).into_iter().map(move |text| Part { sid, condition, text })
        })
    });
    actions.chain(conditions)
}

/// The accesses of a request by action. Each item of a transaction needs the action of a single request
/// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html). Items with the same action
/// count as one request with all their keys, which is stricter than IAM.
///
/// None for reads without a key or by an index, which no function makes.
fn accesses(target: &str, request: &Value) -> Option<BTreeMap<String, Access>> {
    let (service, operation) = target.split_once('.')?;
    let mut accesses: BTreeMap<String, Access> = BTreeMap::new();
    match (service, operation) {
        ("secretsmanager", _) => {
            accesses.insert(format!("secretsmanager:{operation}"), Access::default());
        }
        ("DynamoDB_20120810", "TransactWriteItems") => {
            for (operation, item) in
                request["TransactItems"].as_array()?.iter().filter_map(Value::as_object).flatten()
            {
                accesses.entry(format!("dynamodb:{operation}Item")).or_default().add(item)?;
            }
        }
        ("DynamoDB_20120810", _) => {
            accesses.entry(format!("dynamodb:{operation}")).or_default().add(request)?;
        }
        _ => return None,
    }
    Some(accesses)
}

impl Access {
    fn add(&mut self, request: &Value) -> Option<()> {
        if !request["IndexName"].is_null() {
            return None;
        }
        let key = match request["KeyConditionExpression"].as_str() {
            Some("pk = :pk") => &request["ExpressionAttributeValues"][":pk"],
            Some(_) => return None,
            None => [&request["Key"]["pk"], &request["Item"]["pk"]].into_iter().find(|key| !key.is_null())?,
        };
        self.partition_keys.insert(key["S"].as_str()?.to_owned());
        let parts = [&request["Key"], &request["Item"]].into_iter().filter_map(Value::as_object);
        self.attributes.extend(parts.flat_map(|part| part.keys().cloned()));
        for (name, value) in request.as_object()? {
            match value.as_str() {
                Some(expression) if name.ends_with("Expression") => {
                    self.attributes.extend(names(expression, &request["ExpressionAttributeNames"]));
                }
                // Stricter than IAM, which has no condition key for the values returned by a failed condition.
                Some(values) if name.starts_with("ReturnValues") => {
                    self.return_values.insert(values.to_owned());
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Whether the condition allows every value that the request has for its key. A request without a value passes.
    fn is_within(&self, operator: &str, key: &str, allowed: &[&str]) -> bool {
        self.values(key)
            .iter()
            .all(|value| allowed.iter().any(|allowed| matches_value(operator, allowed, value)))
    }

    /// Whether this value of a condition matches a value of the request.
    fn is_for(&self, part: &Part<'_>) -> bool {
        part.condition.is_some_and(|(operator, key)| {
            self.values(key).iter().any(|value| matches_value(operator, part.text, value))
        })
    }

    fn values(&self, key: &str) -> &BTreeSet<String> {
        match key {
            "dynamodb:LeadingKeys" => &self.partition_keys,
            "dynamodb:Attributes" => &self.attributes,
            "dynamodb:ReturnValues" => &self.return_values,
            _ => panic!("unknown condition key {key}"),
        }
    }
}

fn matches_value(operator: &str, allowed: &str, value: &str) -> bool {
    match operator {
        "ForAllValues:StringLike" => covers(allowed, value),
        "ForAllValues:StringEquals" | "StringEqualsIfExists" => allowed == value,
        _ => panic!("unknown condition operator {operator}"),
    }
}

/// The top-level attributes that an expression names.
fn names(expression: &str, placeholders: &Value) -> Vec<String> {
    let words = expression.split(|char: char| !(char.is_ascii_alphanumeric() || "_#:.".contains(char)));
    let words = words.map(|word| word.split('.').next().unwrap_or_default());
    let words = words.filter(|word| !word.starts_with(':') && !EXPRESSION_WORDS.contains(word));
    words
        .filter(|word| word.parse::<u64>().is_err())
        .map(|word| match word.starts_with('#') {
            true => placeholders[word].as_str().unwrap_or(word).to_owned(),
            false => word.to_owned(),
        })
        .collect()
}

/// Whether a statement allows an action on the one table or the one secret.
fn allows(statement: &Value, action: &str, access: &Access) -> bool {
    let resource = match action.starts_with("dynamodb:") {
        true => json!({"Fn::GetAtt": "Table.Arn"}),
        false => json!({"Ref": "SigningSecret"}),
    };
    let mut conditions = statement["Condition"].as_object().into_iter().flatten();
    statement["Resource"] == resource
        && texts(&statement["Action"]).contains(&action)
        && conditions.all(|(operator, keys)| {
            let mut keys = keys.as_object().expect("keys").iter();
            keys.all(|(key, allowed)| access.is_within(operator, key, &texts(allowed)))
        })
}

/// The texts of a string or a list of strings.
fn texts(value: &Value) -> Vec<&str> {
    match value.as_array() {
        Some(values) => values.iter().map(|value| value.as_str().expect("a text")).collect(),
        None => vec![value.as_str().expect("a text")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(role: &Role, operation: &str, request: Value) -> bool {
        role.allows(&format!("DynamoDB_20120810.{operation}"), request.to_string().as_bytes())
    }

    fn key(pk: &str) -> Value {
        json!({"pk": {"S": pk}, "sk": {"S": "PROFILE"}})
    }

    #[test]
    fn a_role_allows_what_the_template_says_and_nothing_else() {
        let login = Role::of("login");
        let renewal = |pk: &str, attribute: &str, returned: Value| {
            json!({
                "Key": key(pk), "UpdateExpression": "SET #0 = :0", "ReturnValues": returned,
                "ConditionExpression": "attribute_exists(pk) AND password_hash = :old",
                "ExpressionAttributeNames": {"#0": attribute},
            })
        };
        let none = json!("NONE");
        assert!(allows(&login, "UpdateItem", renewal("USER#ada", "password_hash", Value::Null)));
        assert!(allows(&login, "UpdateItem", renewal("USER#ada", "password_hash", none.clone())));
        assert!(!allows(&login, "UpdateItem", renewal("USER#ada", "scopes", none.clone())));
        assert!(!allows(&login, "UpdateItem", renewal("CLIENT#ada", "password_hash", none)));
        assert!(!allows(&login, "UpdateItem", renewal("USER#ada", "password_hash", json!("ALL_NEW"))));
        assert!(allows(&login, "GetItem", json!({"Key": key("USER#ada")})));
        assert!(!allows(&login, "DeleteItem", json!({"Key": key("USER#ada")})));
        let query = json!({
            "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "TRUST"}},
        });
        assert!(!allows(&login, "Query", query.clone()));
        assert!(allows(&Role::of("authorizer"), "Query", query));
        assert!(login.allows("secretsmanager.GetSecretValue", b"{}"));
        assert!(!login.allows("secretsmanager.PutSecretValue", b"{}"));
        assert!(!allows(&login, "Scan", json!({})));
        assert!(!allows(&login, "UpdateItem", json!({})));
    }

    #[test]
    fn a_transaction_needs_permission_for_each_item() {
        let item = |pk: &str| json!({"Put": {"Item": key(pk)}});
        let both = |one: &str, other: &str| json!({"TransactItems": [item(one), item(other)]});
        let google = Role::of("google");
        assert!(allows(&google, "TransactWriteItems", both("IDENTITY#x", "USER#usr_1")));
        assert!(!allows(&google, "TransactWriteItems", both("IDENTITY#x", "USER#ada")));
    }

    #[test]
    #[should_panic(expected = "no request needs")]
    fn an_unused_permission_is_named() {
        let discovery = Role::of("discovery");
        discovery.assert_just_enough();
    }

    #[test]
    fn attribute_names_of_an_expression_exclude_keywords_and_values() {
        let placeholders = json!({"#0": "keys"});
        let expression = "SET #0.#1 = if_not_exists(revision, :0), a.b[1] = :1 REMOVE c";
        assert_eq!(names(expression, &placeholders), ["keys", "revision", "a", "c"]);
    }
}
