//! The Secrets Manager emulator, with its state in one file.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use sam_template::REGION;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use winterbaume_core::{MockRequest, MockService, StatefulService, default_account_id};
use winterbaume_secretsmanager::SecretsManagerService;

use super::access_key::AccessKey;
use super::data::DataFolder;
use super::guard::Guard;
use super::server::Server;

/// The file that holds the secrets.
const FILE: &str = "secrets.json";
/// The longest body in bytes. A secret has at most 64 KiB before JSON escaping.
const MAX_BODY: usize = 1024 * 1024;

struct Emulator {
    service: SecretsManagerService,
    /// The folder of the file. `None` keeps the secrets in memory only.
    folder: Option<DataFolder>,
    /// The content of the file. The lock serialises the calls, so that an older state never replaces a newer one.
    saved: Mutex<String>,
}

/// Starts the emulator with the secrets of the folder, or without any.
///
/// # Errors
/// A damaged file, which is not replaced.
pub async fn start(
    listener: TcpListener,
    key: AccessKey,
    folder: Option<DataFolder>,
) -> anyhow::Result<Server> {
    let service = SecretsManagerService::new();
    let saved = folder.as_ref().map(|folder| folder.read(FILE)).transpose()?.flatten();
    if let (Some(folder), Some(text)) = (&folder, &saved) {
        let damaged = || {
            let file = folder.file(FILE);
            anyhow!(
                "{} is damaged. Restore the file, or move the data folder away to start with an empty one",
                file.display()
            )
        };
        let view = serde_json::from_str(text).map_err(|_| damaged())?;
        service.restore(default_account_id(), REGION, view).await.map_err(|_| damaged())?;
    }
    let emulator = Arc::new(Emulator { service, folder, saved: Mutex::new(saved.unwrap_or_default()) });
    Server::start(listener, Guard::KeyHolders(key), Router::new().fallback(handle).with_state(emulator))
}

/// Creates the secret without a value, if it does not exist.
///
/// # Errors
/// An emulator that does not answer.
pub async fn create_secret(client: &Client, name: &str) -> anyhow::Result<()> {
    match client.create_secret().name(name).send().await {
        Ok(_) => Ok(()),
        Err(error)
            if error.as_service_error().is_some_and(CreateSecretError::is_resource_exists_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(error).context("Secrets Manager does not answer"),
    }
}

async fn handle(State(emulator): State<Arc<Emulator>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return respond(StatusCode::PAYLOAD_TOO_LARGE, HeaderMap::new(), Body::empty());
    };
    let request = MockRequest {
        method: parts.method.to_string(),
        // The emulator reads the region from the host name.
        uri: format!("https://secretsmanager.{REGION}.amazonaws.com/"),
        headers: parts.headers,
        body,
    };
    let mut saved = emulator.saved.lock().await;
    if let Some(answer) = emulator.stricter(&request).await {
        return answer;
    }
    let mut response = emulator.service.handle(request).await;
    if let Some(body) = with_next_rotation(&response.body) {
        response.body = body.into();
    }
    if let Err(error) = emulator.save(&mut saved).await {
        // The caller must not rely on a change that a restart loses.
        eprintln!("latchkey dev: can't save the secrets: {error}");
        return respond(StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), Body::empty());
    }
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, response.headers, Body::from(response.body))
}

impl Emulator {
    /// The answer to requests that Secrets Manager rejects and the emulator accepts: writing a version again, and
    /// removing a label from a version that does not have it
    /// (docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html and
    /// API_UpdateSecretVersionStage.html).
    async fn stricter(&self, request: &MockRequest) -> Option<Response<Body>> {
        let target = request.headers.get("x-amz-target")?.to_str().ok()?;
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        let version = async |name: &str| -> Option<Value> {
            let wanted = json!({"SecretId": body["SecretId"], "VersionId": body[name].as_str()?});
            let mut ask = request.clone();
            ask.headers.insert("x-amz-target", HeaderValue::from_static("secretsmanager.GetSecretValue"));
            ask.body = wanted.to_string().into();
            let answer = self.service.handle(ask).await;
            let found = (answer.status == 200).then(|| serde_json::from_slice::<Value>(&answer.body));
            found?.ok()
        };
        match target.rsplit('.').next()? {
            "PutSecretValue" => {
                let written = version("ClientRequestToken").await?;
                Some(if written["SecretString"] == body["SecretString"] {
                    let answer = json!({
                        "ARN": written["ARN"],
                        "Name": written["Name"],
                        "VersionId": written["VersionId"],
                        "VersionStages": written["VersionStages"],
                    });
                    respond(StatusCode::OK, HeaderMap::new(), Body::from(answer.to_string()))
                } else {
                    refuse("ResourceExistsException", "a version with this id has another value")
                })
            }
            "UpdateSecretVersionStage" => {
                let from = version("RemoveFromVersionId").await?;
                let has_it = from["VersionStages"].as_array()?.contains(&body["VersionStage"]);
                (!has_it).then(|| refuse("InvalidParameterException", "the label is on another version"))
            }
            _ => None,
        }
    }

    /// Writes the secrets to the file if they have changed.
    async fn save(&self, saved: &mut String) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        // `Value` sorts the members, so that equal secrets have equal texts.
        let view = serde_json::to_value(self.service.snapshot(default_account_id(), REGION).await)?;
        let text = view.to_string();
        if text != *saved {
            folder.write(FILE, &text)?;
            *saved = text;
        }
        Ok(())
    }
}

/// Adds the time of the next rotation, which the emulator omits from the description of a secret
/// (docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html).
fn with_next_rotation(body: &[u8]) -> Option<String> {
    const DAY: i64 = 86_400;
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let days = body["RotationRules"]["AutomaticallyAfterDays"].as_i64()?;
    let last = body["LastRotatedDate"].as_f64()?;
    #[expect(clippy::cast_possible_truncation)]
    let next = last as i64 + days * DAY;
    body["NextRotationDate"] = next.into();
    Some(body.to_string())
}

fn refuse(kind: &str, message: &str) -> Response<Body> {
    let error = json!({"__type": kind, "Message": message});
    respond(StatusCode::BAD_REQUEST, HeaderMap::new(), Body::from(error.to_string()))
}

fn respond(status: StatusCode, headers: HeaderMap<HeaderValue>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
