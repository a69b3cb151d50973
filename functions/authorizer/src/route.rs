//! Routes as API Gateway names them, and the keys of the route scopes, which name routes.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The route of an HTTP API for calls that no other route takes.
pub const DEFAULT: &str = "$default";
/// The route by which a WebSocket opens.
pub const CONNECT: &str = "$connect";

/// The route of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalledRoute<'a> {
    /// The call's own method. A WebSocket opens by `GET` (RFC 6455 §4.1).
    pub method: &'a str,
    /// The path of the route that API Gateway chose: `/todo/{id}`, `$default` or `$connect`.
    pub path: &'a str,
    /// False for a `TOKEN` event, which does not name the route: then `path` is the path of the call.
    pub is_chosen: bool,
    /// Whether the path or a parameter of the call [is unsafe](is_unsafe).
    pub is_unsafe: bool,
}

/// A key of the route scopes: `GET /todo/{id}`, `ANY /admin/{proxy+}`, `$connect` or `$default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// A method, or `ANY`.
    pub method: String,
    /// The path without parameter names.
    pub path: String,
}

impl RouteKey {
    /// Parses a key.
    pub fn parse(key: &str) -> Option<Self> {
        let has_path = ![DEFAULT, CONNECT].contains(&key);
        let (method, path) = if has_path { key.split_once(' ')? } else { ("ANY", key) };
        let path = without_names(path);
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || "{}*?%\\;#".contains(c);
        let is_path = path.starts_with('/')
            && path.find("{+}").is_none_or(|at| path[at..].len() == 3)
            && !path[1..].split_inclusive('/').any(|text| ["/", "./", "../", ".", ".."].contains(&text))
            && path.split('/').all(|text| ["{}", "{+}"].contains(&text) || !text.contains(is_odd));
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        (is_method && (is_path || !has_path))
            .then(|| Self { method: method.to_owned(), path: path.into_owned() })
    }
}

/// A route's path without the names of its parameters: `/todo/{id}` becomes `/todo/{}`, `/{proxy+}` becomes `/{+}`.
pub fn without_names(path: &str) -> Cow<'_, str> {
    if !path.contains('{') {
        return path.into();
    }
    let segment = |text| match str::strip_prefix(text, "{").and_then(|text| text.strip_suffix('}')) {
        Some(name) if name.ends_with('+') => "{+}",
        Some(_) => "{}",
        None => text,
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/").into()
}

/// How specific a path is, in API Gateway's order: literal segments before parameters, `{name+}` last
/// (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html).
pub fn specificity(path: &str) -> impl Ord + use<> {
    let rank = |text| match text {
        "{+}" => 0,
        "{}" => 1,
        _ => 2,
    };
    path.split('/').map(rank).collect::<Vec<u8>>()
}

/// Whether a route matches the path of a call.
pub fn matches(route: &str, called: &str) -> bool {
    let mut called = called.split('/');
    for text in route.split('/') {
        match (text, called.next()) {
            ("{+}", Some(value)) => return !value.is_empty(),
            (text, Some(value)) if text == value || text == "{}" && !value.is_empty() => {}
            _ => return false,
        }
    }
    called.next().is_none()
}

/// The text that all paths of a route begin with, without the last `/`.
pub fn literal_prefix(route: &str) -> &str {
    let literal = if route == DEFAULT { "" } else { route.split('{').next().unwrap_or_default() };
    literal.strip_suffix('/').unwrap_or(literal)
}

/// How often a text may be percent-encoded. Invariant: at least as often as any back end decodes.
const MAX_ENCODINGS: usize = 3;

/// Whether a text holds a dot segment, a backslash or a control character, as sent or decoded. A back end that
/// normalizes paths would resolve it to another path. Some cut a segment at `;`, `?` or `#` first.
pub fn is_unsafe(text: &str) -> bool {
    let is_dot_segment =
        |segment: &str| matches!(segment.split([';', '?', '#']).next().map(str::trim), Some("." | ".."));
    let mut text = Cow::Borrowed(text);
    for _ in 0..=MAX_ENCODINGS {
        if text.contains(|c: char| c == '\\' || c.is_control()) || text.split('/').any(is_dot_segment) {
            return true;
        }
        if !text.contains('%') {
            return false;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded.into();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_method_and_a_path_or_a_route_with_a_dollar() {
        for (key, method, path) in [
            ("GET /", "GET", "/"),
            ("GET /todo", "GET", "/todo"),
            ("ANY /todo/{id}", "ANY", "/todo/{}"),
            ("PUT /a/{x}/b/{rest+}", "PUT", "/a/{}/b/{+}"),
            ("GET /.well-known/x.json", "GET", "/.well-known/x.json"),
            ("$default", "ANY", "$default"),
            ("$connect", "ANY", "$connect"),
        ] {
            let expected = RouteKey { method: method.to_owned(), path: path.to_owned() };
            assert_eq!(RouteKey::parse(key), Some(expected), "{key}");
        }
        for key in [
            "",
            "*",
            "todo",
            "GET",
            "GET todo",
            "get /todo",
            "$disconnect",
            "$connect /",
            "GET $default",
            "GET /*",
            "GET /a?",
            "GET  /a",
            "GET /a ",
            "GET x /a",
            "GET /a b",
            "GET /%61",
            "GET /a\\b",
            "GET /${x}",
            "GET /{id}.json",
            "GET /{rest+}/a",
            "GET /a/./b",
            "GET /..",
            "GET /a//b",
        ] {
            assert_eq!(RouteKey::parse(key), None, "{key:?}");
        }
    }

    #[test]
    fn parameter_names_do_not_matter() {
        assert_eq!(RouteKey::parse("GET /a/{id}/{rest+}"), RouteKey::parse("GET /a/{key}/{proxy+}"));
        assert_ne!(RouteKey::parse("GET /a/{id}"), RouteKey::parse("GET /a/{id+}"));
    }

    #[test]
    fn literal_segments_are_more_specific_than_parameters() {
        let order = ["/a/b", "/a/{}", "/a/{+}", "/{}/b", "/{+}"];
        assert!(order.is_sorted_by(|one, other| specificity(one) > specificity(other)));
        for (route, called, expected) in [
            ("/a/{}", "/a/b", true),
            ("/a/{}", "/a/", false),
            ("/a/{}", "/a/b/c", false),
            ("/a/{+}", "/a/b/c", true),
            ("/a/{+}", "/a", false),
            ("/a/{+}", "/a/", false),
            ("/", "/", true),
            ("$default", "/a", false),
        ] {
            assert_eq!(matches(route, called), expected, "{route} {called}");
        }
    }

    #[test]
    fn dot_segments_backslashes_and_control_characters_are_unsafe() {
        for text in [
            ".",
            "..",
            "../a",
            "a/..",
            "a/./b",
            "%2e%2E/a",
            "a%2F..",
            "..;x/a",
            "..%3bx",
            "..?",
            "a\\b",
            "%5Ca",
            "%252e%252e",
            "%25252E",
            "%252525252e",
            "a\n",
            "%00",
            "%7f",
        ] {
            assert!(is_unsafe(text), "{text:?}");
        }
        for text in ["", "/", "a//b", "..a", ".well-known", "a%20b", "100%", "%zz", "a;b=..", "é"] {
            assert!(!is_unsafe(text), "{text:?}");
        }
    }
}
