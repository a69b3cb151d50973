//! The functions, called as Lambda calls them, with a JSON event and a JSON answer.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use lambda_http::{Body, Request, Response};
use lambda_runtime::Error;
use sam_template::Function;
use serde_json::{Value, json};
use shared::runtime::settings::Settings;
use shared::runtime::{clock, lambda};

/// A function that is ready to be called.
pub type Invoke = Arc<dyn Fn(Value) -> FunctionAnswer + Send + Sync>;
/// The answer to a call.
pub type FunctionAnswer = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send>>;

/// Initialises every function of the template, by its logical id. Each gets the environment of the template, with the
/// local values of `values`, and with `everywhere`, which Lambda would add.
///
/// # Errors
/// A function that is not linked into this program, and settings that a function rejects.
pub async fn link(
    functions: &BTreeMap<String, Function>,
    values: &BTreeMap<String, String>,
    everywhere: &BTreeMap<String, String>,
) -> anyhow::Result<BTreeMap<String, Invoke>> {
    let mut linked = BTreeMap::new();
    for (id, function) in functions {
        let own = function.environment.iter().map(|(name, value)| (name, values.get(name).unwrap_or(value)));
        let settings = own.chain(everywhere).map(|(name, value)| (name.clone(), value.clone())).collect();
        let invoke = link_one(&function.name, &settings).await.with_context(|| format!("function {id}"))?;
        linked.insert(id.clone(), isolated(function.name.clone(), invoke));
    }
    Ok(linked)
}

/// What the `main.rs` of an HTTP function does before its first request.
macro_rules! http_function {
    ($name:ident, $settings:expr) => {{
        let deps = Arc::new($name::Deps::from_settings($settings)?);
        deps.warm_up(clock::now()).await;
        http(move |request| {
            let deps = Arc::clone(&deps);
            async move { $name::handle(&deps, request, clock::now()).await }
        })
    }};
}

async fn link_one(name: &str, settings: &Settings) -> anyhow::Result<Invoke> {
    Ok(match name {
        "authorizer" => {
            let deps = Arc::new(authorizer::Deps::from_settings(settings)?);
            deps.warm_up(clock::now()).await;
            Arc::new(move |event: Value| -> FunctionAnswer {
                let deps = Arc::clone(&deps);
                Box::pin(async move {
                    let event = serde_json::from_str(&event.to_string())?;
                    let answer = authorizer::handle(&deps, event, clock::now()).await?;
                    Ok(serde_json::to_value(answer)?)
                })
            })
        }
        "rotation" => {
            let deps = Arc::new(rotation::Deps::from_settings(settings)?);
            Arc::new(move |event: Value| -> FunctionAnswer {
                let deps = Arc::clone(&deps);
                Box::pin(async move {
                    let event = serde_json::from_str(&event.to_string())?;
                    rotation::handle(&deps, event, clock::now()).await?;
                    Ok(Value::Null)
                })
            })
        }
        "discovery" => http_function!(discovery, settings),
        "docs" => {
            let deps = Arc::new(docs::Deps::from_settings(settings)?);
            http(move |request| {
                let deps = Arc::clone(&deps);
                async move { docs::handle(&deps, request, clock::now()).await }
            })
        }
        "google" => http_function!(google, settings),
        "introspect" => http_function!(introspect, settings),
        "login" => http_function!(login, settings),
        "revoke" => http_function!(revoke, settings),
        "token" => http_function!(token, settings),
        "whoami" => {
            let deps = Arc::new(whoami::Deps::from_settings(settings)?);
            http(move |request| {
                let deps = Arc::clone(&deps);
                async move { whoami::handle(&deps, request, clock::now()).await }
            })
        }
        unknown => bail!("{unknown} is not linked into this program"),
    })
}

/// A handler of HTTP requests behind the adaptor that it has in Lambda. The event passes through text, as in Lambda, so
/// that an event that can't be parsed fails in both.
fn http<H, F>(handler: H) -> Invoke
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |event: Value| -> FunctionAnswer {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let request: lambda::HttpEvent = serde_json::from_str(&event.to_string())?;
            Ok(serde_json::to_value(lambda::answer(request, &*handler).await)?)
        })
    })
}

/// Isolates a function as Lambda does: it completes though the caller hangs up, a panic is an error of the call, and a
/// failure is one line in the log.
fn isolated(name: String, invoke: Invoke) -> Invoke {
    Arc::new(move |event| {
        let (name, call) = (name.clone(), tokio::spawn(invoke(event)));
        Box::pin(async move {
            let answer = call.await.unwrap_or_else(|_| Err("the function panicked".into()));
            if answer.is_err() {
                // Without the error, which may contain the request. The function logs the causes that it knows.
                log_failure(&name, "the function failed");
            }
            answer
        })
    })
}

/// One line on standard error, as Lambda writes one to its log.
pub fn log_failure(function: &str, message: &str) {
    eprintln!("{}", json!({"function": function, "message": message}));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn error_names_the_function_that_is_not_linked() {
        let function = Function { name: "missing".to_owned(), environment: BTreeMap::new(), optional: false };
        let none = BTreeMap::new();
        let error = link(&[("Id".to_owned(), function)].into(), &none, &none).await.err().unwrap();
        assert_eq!(format!("{error:#}"), "function Id: missing is not linked into this program");
    }

    #[tokio::test]
    async fn panic_is_an_error_of_the_call() {
        let panicking: Invoke = Arc::new(|_| -> FunctionAnswer { Box::pin(async { panic!("on purpose") }) });
        assert!(isolated("f".to_owned(), panicking)(Value::Null).await.is_err());
    }
}
