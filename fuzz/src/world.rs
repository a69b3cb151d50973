//! The functions with their stores in this process, and valid credentials.

use std::borrow::Cow;
use std::cell::RefCell;

use shared::runtime::clock;
use test_support::Stack;
use test_support::events::placeholders;
use tokio::runtime::Runtime;

use crate::text::filled;

/// The number of inputs before a restart, because written items pile up and accounts get locked.
const LIFE: usize = 10_000;

/// Scopes for some routes of the recorded events. Any valid credential is enough for the others.
const ROUTE_SCOPES: &str =
    r#"{"GET /todo":["todo:read"],"GET /users/{id}":["admin"],"ANY /all/{rest+}":["todo:read"]}"#;

/// The functions and the credentials for their requests.
pub struct World {
    pub runtime: Runtime,
    pub authorizer: authorizer::Deps,
    pub google: google::Deps,
    pub introspect: introspect::Deps,
    pub login: login::Deps,
    pub revoke: revoke::Deps,
    pub token: token::Deps,
    /// The time of every request: nothing expires.
    pub now: u64,
    /// The values of the placeholders in recorded events.
    values: Vec<(&'static str, String)>,
    left: usize,
    _stack: Stack,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Runs `act` with the world of this thread and starts one if needed.
pub fn with<T>(act: impl FnOnce(&World) -> T) -> T {
    WORLD.with_borrow_mut(|world| {
        if world.as_ref().is_none_or(|world| world.left == 0) {
            *world = None;
        }
        let world = world.get_or_insert_with(World::start);
        world.left -= 1;
        act(world)
    })
}

impl World {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (stack, values) = runtime.block_on(async {
            let stack = Stack::start().await;
            let values = placeholders(&stack).await;
            (stack, values)
        });
        let settings = stack.settings(&[("ROUTE_SCOPES", ROUTE_SCOPES)]);
        Self {
            authorizer: authorizer::Deps::from_settings(&settings).expect("good settings"),
            google: google::Deps::from_settings(&settings).expect("good settings"),
            introspect: introspect::Deps::from_settings(&settings).expect("good settings"),
            login: login::Deps::from_settings(&settings).expect("good settings"),
            revoke: revoke::Deps::from_settings(&settings).expect("good settings"),
            token: token::Deps::from_settings(&settings).expect("good settings"),
            now: clock::now(),
            runtime,
            values,
            left: LIFE,
            _stack: stack,
        }
    }

    /// An input with its placeholders filled in.
    pub fn filled<'a>(&self, data: &'a [u8]) -> Cow<'a, [u8]> {
        filled(data, &self.values)
    }

    /// Whether a text contains a valid credential.
    pub fn holds_secret(&self, text: &str) -> bool {
        let public = ["DEMO_CLIENT_ID", "DEMO_USERNAME", "DEMO_BASIC", "SIGNING_SECRET_ID", "ROTATION_TOKEN"];
        let mut secrets = self.values.iter().filter(|(name, _)| !public.contains(name));
        secrets.any(|(_, secret)| text.contains(secret.as_str()))
    }
}
