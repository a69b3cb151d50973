//! Converts YAML to JSON, with CloudFormation's short tags (`!Ref X`) in their long form (`{"Ref": "X"}`).

use saphyr::{LoadableYamlNode, Scalar, Tag, Yaml};
use serde_json::{Map, Number, Value};

use super::{Result, TemplateError};

/// Reads a template.
///
/// # Errors
/// Text that is not one YAML document, keys that are not strings, and numbers that JSON does not have.
pub fn read(text: &str) -> Result<Value> {
    let documents =
        Yaml::load_from_str(text).map_err(|error| TemplateError::new("template", error.to_string()))?;
    match documents.as_slice() {
        [document] => to_json("template", document),
        _ => Err(TemplateError::new("template", "is not one YAML document")),
    }
}

fn to_json(place: &str, yaml: &Yaml<'_>) -> Result<Value> {
    match yaml {
        Yaml::Value(scalar) => scalar_to_json(place, scalar),
        Yaml::Sequence(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| to_json(&format!("{place}[{index}]"), item))
            .collect::<Result<_>>()
            .map(Value::Array),
        Yaml::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| {
                let key = key
                    .as_str()
                    .ok_or_else(|| TemplateError::new(place, "has a key that is not a string"))?;
                Ok((key.to_owned(), to_json(&format!("{place}.{key}"), value)?))
            })
            .collect::<Result<Map<_, _>>>()
            .map(Value::Object),
        Yaml::Tagged(tag, node) => {
            let argument = to_json(place, node)?;
            Ok(Value::Object(Map::from_iter([(long_form(tag), argument)])))
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
            Err(TemplateError::new(place, "cannot be read"))
        }
    }
}

fn scalar_to_json(place: &str, scalar: &Scalar<'_>) -> Result<Value> {
    Ok(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(truth) => Value::Bool(*truth),
        Scalar::Integer(number) => Value::from(*number),
        Scalar::FloatingPoint(number) => Number::from_f64(number.into_inner())
            .map(Value::Number)
            .ok_or_else(|| TemplateError::new(place, "is a number that JSON does not have"))?,
        Scalar::String(text) => Value::from(text.as_ref()),
    })
}

/// CloudFormation's rule: a tag is `Fn::` and its name, except for these two.
fn long_form(tag: &Tag) -> String {
    match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => name.to_owned(),
        name => format!("Fn::{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_tags_become_their_long_form() {
        let yaml =
            "a: !Ref X\nb: !Sub '${X}-y'\nc: !If [C, !GetAtt X.Arn, 1.5]\nd: !Condition C\ne: \"2.0\"\nf:";
        let expected = json!({
            "a": {"Ref": "X"}, "b": {"Fn::Sub": "${X}-y"},
            "c": {"Fn::If": ["C", {"Fn::GetAtt": "X.Arn"}, 1.5]},
            "d": {"Condition": "C"}, "e": "2.0", "f": null,
        });
        assert_eq!(read(yaml).unwrap(), expected);
    }

    #[test]
    fn invalid_yaml_is_rejected() {
        for bad in ["a: [", "a: 1\na: 2", "a: 1\n---\nb: 2", "1: a", "a: .nan", ""] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
