//! CloudFormation's intrinsic functions that the template uses. Any other function is an error.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Result, TemplateError};

/// The local values of CloudFormation's pseudo parameters.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html>
const PSEUDO_PARAMETERS: [(&str, &str); 5] = [
    ("AWS::AccountId", super::ACCOUNT_ID),
    ("AWS::Partition", "aws"),
    ("AWS::Region", super::REGION),
    ("AWS::StackName", "latchkey"),
    ("AWS::URLSuffix", "amazonaws.com"),
];

/// The names of a template and their values.
pub struct Scope {
    parameters: BTreeMap<String, String>,
    conditions: Map<String, Value>,
    resources: BTreeSet<String>,
}

impl Scope {
    /// Reads `Parameters`, `Conditions` and the names of `Resources`. A parameter has its value in `values`, or its
    /// default.
    ///
    /// # Errors
    /// A parameter without a default, and a value for a parameter that does not exist.
    pub fn of(template: &Value, values: &[(&str, &str)]) -> Result<Self> {
        let section = |name: &str| template.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let mut parameters = section("Parameters")
            .into_iter()
            .map(|(name, parameter)| {
                let value = default_value(&format!("Parameters.{name}"), &parameter)?;
                Ok((name, value))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        for (name, value) in values {
            let parameter = parameters.get_mut(*name);
            let parameter = parameter
                .ok_or_else(|| TemplateError::new("Parameters", format!("{name} is not a parameter")))?;
            (*value).clone_into(parameter);
        }
        let resources = section("Resources").into_iter().map(|(name, _)| name).collect();
        Ok(Self { parameters, conditions: section("Conditions"), resources })
    }

    /// Resolves the intrinsic functions of a value. `None` is `AWS::NoValue`. In the local stack, a resource's `Ref` is
    /// its logical id, and its `Arn` attribute is `ID.Arn`.
    ///
    /// # Errors
    /// Unknown functions and names, and malformed functions.
    pub fn resolve(&self, place: &str, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Object(map) => match function(map) {
                Some((name, argument)) => self.call(place, name, argument),
                None => {
                    let mut resolved = Map::new();
                    for (key, value) in map {
                        if let Some(value) = self.resolve(&format!("{place}.{key}"), value)? {
                            resolved.insert(key.clone(), value);
                        }
                    }
                    Ok(Some(Value::Object(resolved)))
                }
            },
            Value::Array(items) => {
                let mut resolved = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.resolve(&format!("{place}[{index}]"), item)?);
                }
                Ok(Some(Value::Array(resolved)))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    /// Whether a condition of the template holds.
    ///
    /// # Errors
    /// A condition that does not exist, is malformed, or depends on itself.
    pub fn holds(&self, place: &str, condition: &str) -> Result<bool> {
        self.evaluate_named(place, condition, &mut Vec::new())
    }

    fn call(&self, place: &str, name: &str, argument: &Value) -> Result<Option<Value>> {
        let malformed = || TemplateError::new(place, format!("{name} is malformed"));
        match name {
            "Ref" => match argument.as_str().ok_or_else(malformed)? {
                "AWS::NoValue" => Ok(None),
                name => Ok(Some(Value::from(self.reference(place, name)?))),
            },
            "Fn::GetAtt" => {
                let path = match argument {
                    Value::Array(parts) => parts.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
                    Value::String(path) => Some(vec![path.as_str()]),
                    _ => None,
                };
                let path = path.ok_or_else(malformed)?.join(".");
                Ok(Some(Value::from(self.attribute(place, &path)?)))
            }
            "Fn::Sub" => self.substitute(place, argument.as_str().ok_or_else(malformed)?).map(Some),
            "Fn::If" => {
                let [condition, then, otherwise] =
                    argument.as_array().map(Vec::as_slice).ok_or_else(malformed)?
                else {
                    return Err(malformed());
                };
                let condition = condition.as_str().ok_or_else(malformed)?;
                let chosen = if self.holds(place, condition)? { then } else { otherwise };
                self.resolve(place, chosen)
            }
            "Fn::Split" => {
                let [delimiter, source] = argument.as_array().map(Vec::as_slice).ok_or_else(malformed)?
                else {
                    return Err(malformed());
                };
                let delimiter = delimiter.as_str().filter(|text| !text.is_empty()).ok_or_else(malformed)?;
                let source = self.resolve(place, source)?;
                let source = source.as_ref().and_then(Value::as_str).ok_or_else(malformed)?;
                Ok(Some(source.split(delimiter).map(Value::from).collect()))
            }
            "Fn::Join" => {
                let [Value::String(delimiter), parts] =
                    argument.as_array().map(Vec::as_slice).ok_or_else(malformed)?
                else {
                    return Err(malformed());
                };
                let parts = self.resolve(place, parts)?;
                let parts = parts.as_ref().and_then(Value::as_array).ok_or_else(malformed)?;
                let parts = parts.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
                Ok(Some(Value::from(parts.ok_or_else(malformed)?.join(delimiter))))
            }
            unknown => Err(TemplateError::new(place, format!("{unknown} is not supported"))),
        }
    }

    fn reference<'a>(&'a self, place: &str, name: &'a str) -> Result<&'a str> {
        let pseudo = PSEUDO_PARAMETERS.iter().find(|(known, _)| *known == name);
        if let Some((_, value)) = pseudo {
            return Ok(value);
        }
        if let Some(value) = self.parameters.get(name) {
            return Ok(value);
        }
        if self.resources.contains(name) {
            return Ok(name);
        }
        Err(TemplateError::new(place, format!("{name} is not a parameter or a resource")))
    }

    fn attribute<'a>(&self, place: &str, path: &'a str) -> Result<&'a str> {
        match path.strip_suffix(".Arn") {
            Some(resource) if self.resources.contains(resource) => Ok(path),
            _ => Err(TemplateError::new(place, format!("{path} is not the Arn of a resource"))),
        }
    }

    /// `${Name}`, `${Name.Arn}`, and `${!Literal}` for `${Literal}`.
    fn substitute(&self, place: &str, text: &str) -> Result<Value> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| TemplateError::new(place, "Fn::Sub has a ${ without a }"))?;
            result.push_str(before);
            match name.strip_prefix('!') {
                Some(literal) => result.extend(["${", literal, "}"]),
                None if name.contains('.') => result.push_str(self.attribute(place, name)?),
                None => result.push_str(self.reference(place, name)?),
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(Value::from(result))
    }

    fn evaluate_named<'a>(&'a self, place: &str, name: &'a str, open: &mut Vec<&'a str>) -> Result<bool> {
        let condition = self
            .conditions
            .get(name)
            .ok_or_else(|| TemplateError::new(place, format!("{name} is not a condition")))?;
        if open.contains(&name) {
            return Err(TemplateError::new(place, format!("condition {name} depends on itself")));
        }
        open.push(name);
        let truth = self.evaluate(&format!("Conditions.{name}"), condition, open)?;
        open.pop();
        Ok(truth)
    }

    fn evaluate<'a>(&'a self, place: &str, condition: &'a Value, open: &mut Vec<&'a str>) -> Result<bool> {
        let malformed = || TemplateError::new(place, "is not a condition");
        let (name, argument) = condition.as_object().and_then(function).ok_or_else(malformed)?;
        if name == "Condition" {
            return self.evaluate_named(place, argument.as_str().ok_or_else(malformed)?, open);
        }
        let arguments = argument.as_array().ok_or_else(malformed)?;
        match (name, arguments.as_slice()) {
            ("Fn::Equals", [left, right]) => {
                Ok(self.resolve(place, left)?.map(as_text) == self.resolve(place, right)?.map(as_text))
            }
            ("Fn::Not", [inner]) => Ok(!self.evaluate(place, inner, open)?),
            ("Fn::And", [_, ..]) => {
                arguments.iter().try_fold(true, |all, inner| Ok(self.evaluate(place, inner, open)? && all))
            }
            ("Fn::Or", [_, ..]) => {
                arguments.iter().try_fold(false, |any, inner| Ok(self.evaluate(place, inner, open)? || any))
            }
            (unknown, _) => Err(TemplateError::new(place, format!("{unknown} is not supported"))),
        }
    }
}

/// The name and argument of an intrinsic function. `None` if the object is not one.
fn function(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = map.iter();
    let (name, argument) = entries.next()?;
    let is_function = name.starts_with("Fn::") || ["Ref", "Condition"].contains(&name.as_str());
    (is_function && entries.next().is_none()).then_some((name.as_str(), argument))
}

/// A parameter's default. Parameters are strings, though YAML reads some as numbers or booleans.
fn default_value(place: &str, parameter: &Value) -> Result<String> {
    let default = parameter.get("Default").ok_or_else(|| TemplateError::new(place, "has no default"))?;
    match parameter.get("Type").and_then(Value::as_str) {
        Some("String" | "Number") => Ok(as_text(default.clone())),
        _ => Err(TemplateError::new(place, "has a type that is not supported")),
    }
}

/// The text of a value. CloudFormation treats numbers and booleans as text.
pub fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Scope {
        let template = json!({
            "Parameters": {
                "Stage": {"Type": "String", "Default": "dev"},
                "Seconds": {"Type": "Number", "Default": 15},
                "Origins": {"Type": "String", "Default": "a,b"},
            },
            "Conditions": {
                "IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]},
                "IsFast": {"Fn::Equals": [{"Ref": "Seconds"}, 15]},
                "Neither": {"Fn::Not": [{"Fn::Or": [{"Condition": "IsDev"}, {"Condition": "IsFast"}]}]},
                "Both": {"Fn::And": [{"Condition": "IsDev"}, {"Condition": "IsFast"}]},
                "Loop": {"Fn::Not": [{"Condition": "Loop"}]},
                "Odd": {"Fn::Contains": [["a"], "a"]},
            },
            "Resources": {"Table": {}},
        });
        Scope::of(&template, &[]).unwrap()
    }

    #[test]
    fn intrinsic_functions_are_resolved() {
        for (value, expected) in [
            (json!({"Ref": "Seconds"}), json!("15")),
            (json!({"Fn::Split": [",", {"Ref": "Origins"}]}), json!(["a", "b"])),
            (
                json!({"Fn::Join": [",", ["x", {"Fn::If": ["Both", {"Ref": "Origins"}, "y"]}, {"Ref": "AWS::NoValue"}]]}),
                json!("x,a,b"),
            ),
            (json!({"Ref": "Table"}), json!("Table")),
            (json!({"Ref": "AWS::Partition"}), json!("aws")),
            (json!({"Fn::GetAtt": "Table.Arn"}), json!("Table.Arn")),
            (json!({"Fn::GetAtt": ["Table", "Arn"]}), json!("Table.Arn")),
            (json!({"Fn::Sub": "${Stage}-${Table.Arn}-${!x}-$"}), json!("dev-Table.Arn-${x}-$")),
            (json!([{"Fn::If": ["Neither", 1, {"Ref": "AWS::NoValue"}]}, 2]), json!([2])),
            (json!({"a": {"Fn::If": ["Both", 1, 2]}, "b": {"Ref": "AWS::NoValue"}}), json!({"a": 1})),
        ] {
            assert_eq!(scope().resolve("here", &value).unwrap(), Some(expected), "{value}");
        }
    }

    #[test]
    fn unknown_function_is_an_error_that_names_its_place() {
        for value in [
            json!({"Fn::Select": [0, []]}),
            json!({"Fn::Join": [",", "a"]}),
            json!({"Fn::Join": [",", [1]]}),
            json!({"Ref": "Nothing"}),
            json!({"Ref": 1}),
            json!({"Fn::GetAtt": "Table.StreamArn"}),
            json!({"Fn::Sub": "${Stage"}),
            json!({"Fn::Split": ["", "a"]}),
            json!({"Fn::Split": [",", ["a"]]}),
            json!({"Fn::Sub": ["${x}", {"x": "y"}]}),
            json!({"Fn::If": ["IsDev", 1]}),
            json!({"Fn::If": ["Missing", 1, 2]}),
            json!({"Fn::If": ["Loop", 1, 2]}),
            json!({"Fn::If": ["Odd", 1, 2]}),
        ] {
            let error = scope().resolve("here", &json!({"a": [value]})).unwrap_err().to_string();
            assert!(
                error.starts_with("template.yaml, here.a[0]: ") || error.contains("Conditions."),
                "{error}"
            );
        }
    }

    #[test]
    fn given_value_replaces_the_default() {
        let template = json!({"Parameters": {"P": {"Type": "String", "Default": "a"}}});
        let scope = Scope::of(&template, &[("P", "b")]).unwrap();
        assert_eq!(scope.resolve("here", &json!({"Ref": "P"})).unwrap(), Some(json!("b")));
        let error = Scope::of(&template, &[("Q", "b")]).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("template.yaml, Parameters: Q is not a parameter"));
    }

    #[test]
    fn parameter_without_a_default_is_rejected() {
        let template = json!({"Parameters": {"P": {"Type": "String"}}});
        let error = Scope::of(&template, &[]).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("template.yaml, Parameters.P: has no default"));
    }
}
