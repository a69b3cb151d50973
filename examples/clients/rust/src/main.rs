//! Calls an API with tokens from the client credentials grant.

use std::env;
use std::time::{Duration, Instant};

use serde::Deserialize;

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: u64,
}

struct Api {
    http: reqwest::Client,
    url: String,
    client_id: String,
    client_secret: String,
    token: Option<(Token, Instant)>,
}

impl Api {
    /// The token in memory, or a new one half a minute before it expires.
    async fn access_token(&mut self) -> anyhow::Result<String> {
        if let Some((token, renew_at)) = &self.token
            && Instant::now() < *renew_at
        {
            return Ok(token.access_token.clone());
        }
        let response = self
            .http
            .post(format!("{}/oauth2/token", self.url))
            .basic_auth(&self.client_id, Some(&self.client_secret))
            .form(&[("grant_type", "client_credentials"), ("scope", "todo:read")])
            .send()
            .await?;
        let token: Token = response.error_for_status()?.json().await?;
        let renew_at = Instant::now() + Duration::from_secs(token.expires_in.saturating_sub(30));
        Ok(self.token.insert((token, renew_at)).0.access_token.clone())
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<String> {
        let token = self.access_token().await?;
        let response = self.http.get(format!("{}{path}", self.url)).bearer_auth(token).send().await?;
        Ok(response.error_for_status()?.text().await?)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut api = Api {
        http: reqwest::Client::new(),
        url: env::var("LATCHKEY_URL")?,
        client_id: env::var("DEMO_CLIENT_ID")?,
        client_secret: env::var("DEMO_CLIENT_SECRET")?,
        token: None,
    };
    println!("{}", api.get("/todo").await?);
    Ok(())
}
