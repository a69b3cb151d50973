//! The role that `template.yaml` gives a function, judged as AWS documents it
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html). The local stores let
//! everybody do everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use sam_template::policy::covers;
use sam_template::{TEMPLATE, yaml};
use serde_json::{Value, json};

/// What a function may do, what of that it did, and what else it wanted.
pub struct Role {
    statements: Vec<Value>,
    /// Actions and values of conditions, each after its statement's `Sid`.
    used: Mutex<BTreeSet<String>>,
    refused: Mutex<Vec<String>>,
}

/// What a request asks of a store, as far as a policy can speak of it.
#[derive(Debug, Default)]
struct Access {
    /// Of the items.
    partition_keys: BTreeSet<String>,
    /// What is named anywhere, the keys among them.
    attributes: BTreeSet<String>,
    return_values: BTreeSet<String>,
}

/// The words of DynamoDB's expressions that name no attribute
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
    /// The role of the function whose binary has that name.
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
        Arc::new(Self { statements, used: Mutex::default(), refused: Mutex::default() })
    }

    /// Whether a store may do as it is told. The operation is that of the header `x-amz-target`.
    pub fn allows(&self, operation: &str, body: &[u8]) -> bool {
        let request = serde_json::from_slice(body).unwrap_or_default();
        let refuse = |what| self.refused.lock().expect("no test panicked here").push(what);
        // Noted, not panicked about: this is the proxy's task, and the function goes on without what it asked for.
        let Some(accesses) = accesses(operation, &request) else {
            refuse(format!("{operation} {request}"));
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
                    refuse(format!("{action} {access:?}"));
                    all = false;
                }
            }
        }
        all
    }

    /// That all that was asked for is allowed, and that all that is allowed was asked for.
    pub fn assert_just_enough(&self) {
        let refused = self.refused.lock().expect("no test panicked here");
        assert!(refused.is_empty(), "the template does not allow {refused:#?}");
        let used = self.used.lock().expect("no test panicked here");
        let all = self.statements.iter().flat_map(parts).map(|part| part.to_string());
        let unused: Vec<_> = all.filter(|part| !used.contains(part)).collect();
        assert!(unused.is_empty(), "the template allows what nothing needs: {unused:#?}");
    }
}

/// A part of a statement that allows something: an action, or a value of a condition.
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

/// What a statement allows, but for what an update may return: saying nothing of that is what is allowed.
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

/// What a request asks for, by the action that it needs. Items of a transaction need the action of a request for
/// each alone (docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html); several with
/// one action are judged as one request with all their keys, which is the narrower reading.
///
/// None for what no function of ours does: to read without a key, or by an index.
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
            accesses.entry(format!("dynamodb:{operation}")).or_default().add(request)?
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
                // Narrower than IAM, which has no word for what comes back when a condition fails.
                Some(values) if name.starts_with("ReturnValues") => {
                    self.return_values.insert(values.to_owned());
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Whether all that the request has of a condition's key is among what is allowed. What it has nothing of is.
    fn is_within(&self, operator: &str, key: &str, allowed: &[&str]) -> bool {
        self.values(key).iter().all(|value| allowed.iter().any(|allowed| agrees(operator, allowed, value)))
    }

    /// Whether a value of a condition is what lets the request through.
    fn is_for(&self, part: &Part<'_>) -> bool {
        part.condition.is_some_and(|(operator, key)| {
            self.values(key).iter().any(|value| agrees(operator, part.text, value))
        })
    }

    fn values(&self, key: &str) -> &BTreeSet<String> {
        match key {
            "dynamodb:LeadingKeys" => &self.partition_keys,
            "dynamodb:Attributes" => &self.attributes,
            "dynamodb:ReturnValues" => &self.return_values,
            _ => panic!("{key} is not known"),
        }
    }
}

fn agrees(operator: &str, allowed: &str, value: &str) -> bool {
    match operator {
        "ForAllValues:StringLike" => covers(allowed, value),
        "ForAllValues:StringEquals" | "StringEqualsIfExists" => allowed == value,
        _ => panic!("{operator} is not known"),
    }
}

/// The attributes that an expression names, without what is inside them.
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

/// One text or a list of them.
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
    fn a_function_may_do_what_the_template_says_and_nothing_else() {
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
        assert!(!allows(&login, "Query", query.clone()) && allows(&Role::of("authorizer"), "Query", query));
        assert!(login.allows("secretsmanager.GetSecretValue", b"{}"));
        assert!(!login.allows("secretsmanager.PutSecretValue", b"{}"));
        assert!(!allows(&login, "Scan", json!({})) && !allows(&login, "UpdateItem", json!({})));
    }

    #[test]
    fn a_transaction_needs_leave_for_each_of_its_items() {
        let item = |pk: &str| json!({"Put": {"Item": key(pk)}});
        let both = |one: &str, other: &str| json!({"TransactItems": [item(one), item(other)]});
        let google = Role::of("google");
        assert!(allows(&google, "TransactWriteItems", both("IDENTITY#x", "USER#usr_1")));
        assert!(!allows(&google, "TransactWriteItems", both("IDENTITY#x", "USER#ada")));
    }

    #[test]
    #[should_panic(expected = "nothing needs")]
    fn what_nothing_needs_is_named() {
        let discovery = Role::of("discovery");
        discovery.assert_just_enough();
    }

    #[test]
    fn an_expression_names_what_is_neither_a_word_nor_a_value_of_it() {
        let placeholders = json!({"#0": "keys"});
        let expression = "SET #0.#1 = if_not_exists(revision, :0), a.b[1] = :1 REMOVE c";
        assert_eq!(names(expression, &placeholders), ["keys", "revision", "a", "c"]);
    }
}
