//! The stores of a stack, each behind a proxy that enforces the role of one function.

use std::sync::Arc;

use crate::Stack;
use crate::lambda::{Function, Settings};
use crate::proxy::Proxy;
use crate::role::Role;

/// Both stores, for the processes of one binary.
pub struct Stores {
    pub dynamodb: Proxy,
    pub secrets_manager: Proxy,
    pub role: Arc<Role>,
    binary: &'static str,
}

impl Stores {
    pub async fn of(stack: &Stack, binary: &'static str) -> Self {
        let role = Role::of(name(binary));
        let at = |name: &str| &stack.running.environment[name];
        Self {
            dynamodb: Proxy::enforcing(at("AWS_ENDPOINT_URL_DYNAMODB"), role.clone()).await,
            secrets_manager: Proxy::enforcing(at("AWS_ENDPOINT_URL_SECRETS_MANAGER"), role.clone()).await,
            role,
            binary,
        }
    }

    /// Starts the binary with the proxies as its stores.
    pub async fn function(&self, stack: &Stack, settings: Settings<'_>) -> Function {
        let endpoints = [
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.url.as_str()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.secrets_manager.url.as_str()),
        ];
        Function::start(self.binary, stack, &[&endpoints, settings].concat()).await
    }

    pub fn each(&self) -> [&Proxy; 2] {
        [&self.dynamodb, &self.secrets_manager]
    }
}

/// The name of a binary.
fn name(binary: &str) -> &str {
    binary.rsplit('/').next().unwrap_or(binary)
}
