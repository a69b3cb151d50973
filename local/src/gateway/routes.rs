//! The route of a request.
//!
//! The precedence is API Gateway's: a literal segment before `{name}` before `{name+}`, from left to right, and a route
//! for the request's method before one for `ANY`
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>).

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use sam_template::Route;

/// The routes of an API.
pub struct Routes(Vec<Route>);

/// The route of a request, with its path parameters.
pub struct Match<'a> {
    /// The route.
    pub route: &'a Route,
    /// The path parameters, decoded.
    pub path_parameters: BTreeMap<String, String>,
}

/// How a segment of a route matches a segment of a path, in ascending precedence.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Greedy,
    Variable,
    Literal,
}

impl Routes {
    /// Routes in any order.
    pub fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// The route for a method and a percent-encoded path. `None` for an unknown path, and for a known path with another
    /// method, which API Gateway does not distinguish.
    pub fn find(&self, method: &str, raw_path: &str) -> Option<Match<'_>> {
        let path: Vec<String> = raw_path.strip_prefix('/')?.split('/').map(decode).collect();
        self.0
            .iter()
            .filter(|route| route.method == method || route.method == "ANY")
            .filter_map(|route| {
                let (fits, path_parameters) = fit(route, &path)?;
                Some(((fits, route.method != "ANY"), Match { route, path_parameters }))
            })
            .max_by(|(left, _), (right, _)| left.cmp(right))
            .map(|(_, found)| found)
    }
}

/// A percent-decoded path or segment. Bytes that are not UTF-8 become U+FFFD.
pub fn decode(encoded: &str) -> String {
    percent_decode_str(encoded).decode_utf8_lossy().into_owned()
}

fn fit(route: &Route, path: &[String]) -> Option<(Vec<Fit>, BTreeMap<String, String>)> {
    let mut fits = Vec::new();
    let mut variables = BTreeMap::new();
    let mut rest = path;
    for segment in route.path.strip_prefix('/')?.split('/') {
        let (first, others) = rest.split_first()?;
        match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            // A path parameter is not empty.
            Some(_) if first.is_empty() => return None,
            Some(name) => match name.strip_suffix('+') {
                Some(name) => {
                    variables.insert(name.to_owned(), rest.join("/"));
                    fits.push(Fit::Greedy);
                    return Some((fits, variables));
                }
                None => {
                    variables.insert(name.to_owned(), first.clone());
                    fits.push(Fit::Variable);
                }
            },
            None if segment == first => fits.push(Fit::Literal),
            None => return None,
        }
        rest = others;
    }
    rest.is_empty().then_some((fits, variables))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let keys = [
            "ANY /pets/dog/1",
            "GET /pets/dog/1",
            "GET /pets/dog/{id}",
            "GET /pets/{proxy+}",
            "ANY /{all+}",
            "POST /login",
        ];
        Routes::new(
            keys.iter()
                .filter_map(|key| key.split_once(' '))
                .map(|(method, path)| Route {
                    method: method.to_owned(),
                    path: path.to_owned(),
                    function: String::new(),
                    authorizer: None,
                })
                .collect(),
        )
    }

    #[test]
    fn most_specific_route_has_precedence() {
        let routes = routes();
        for (method, path, key, variables) in [
            ("GET", "/pets/dog/1", "GET /pets/dog/1", vec![]),
            ("PUT", "/pets/dog/1", "ANY /pets/dog/1", vec![]),
            ("GET", "/pets/dog/2", "GET /pets/dog/{id}", vec![("id", "2")]),
            ("GET", "/pets/dog/a%2Fb", "GET /pets/dog/{id}", vec![("id", "a/b")]),
            ("GET", "/pets/cat/1", "GET /pets/{proxy+}", vec![("proxy", "cat/1")]),
            ("PUT", "/pets/cat/1", "ANY /{all+}", vec![("all", "pets/cat/1")]),
            ("POST", "/login", "POST /login", vec![]),
            ("POST", "/%6Cogin", "POST /login", vec![]),
            ("POST", "/login/", "ANY /{all+}", vec![("all", "login/")]),
            ("GET", "/%ff", "ANY /{all+}", vec![("all", "\u{fffd}")]),
        ] {
            let found = routes.find(method, path).unwrap_or_else(|| panic!("{method} {path}"));
            assert_eq!(found.route.key(), key, "{method} {path}");
            let found: Vec<_> = found.path_parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(found, variables, "{method} {path}");
        }
    }

    #[test]
    fn request_that_matches_no_route_has_none() {
        let routes = Routes::new(routes().0.into_iter().filter(|route| route.method != "ANY").collect());
        for (method, path) in [
            ("GET", "/login"),
            ("POST", "/login/"),
            ("POST", "//login"),
            ("POST", "/Login"),
            ("GET", "/pets"),
            ("GET", "/pets/"),
            ("GET", "/"),
            ("OPTIONS", "*"),
            ("CONNECT", ""),
        ] {
            assert!(routes.find(method, path).is_none(), "{method} {path}");
        }
    }
}
