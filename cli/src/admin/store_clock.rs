//! The store's clock, which dates revocations. The administrator's clock may differ from the functions'.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use shared::runtime::clock;
use tokio::time::{Instant, sleep_until};

/// The time of the store's last answer: by its clock, in seconds since 1970, and by ours.
#[derive(Clone, Copy, Debug)]
struct LastAnswer {
    date: u64,
    received: Instant,
}

impl LastAnswer {
    /// The latest time at which this second is over by the store's clock.
    fn end_of(self, second: u64) -> Instant {
        self.received + Duration::from_secs((second + 1).saturating_sub(self.date))
    }
}

/// The clock, read from the `Date` of every answer (RFC 9110 §6.6.1).
#[derive(Clone, Debug, Default)]
pub struct StoreClock(Arc<Mutex<Option<LastAnswer>>>);

impl StoreClock {
    /// The second of the store's last answer, since 1970. Before the first answer it is this machine's.
    pub fn now(&self) -> u64 {
        self.answer().map_or_else(clock::now, |answer| answer.date)
    }

    /// Waits until this second is over by the store's clock.
    pub async fn wait_until_over(&self, second: u64) {
        if let Some(answer) = self.answer() {
            sleep_until(answer.end_of(second)).await;
        }
    }

    fn answer(&self) -> Option<LastAnswer> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for StoreClock {
    fn name(&self) -> &'static str {
        "StoreClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date) = date.and_then(|date| u64::try_from(date.secs()).ok()) {
            let answer = LastAnswer { date, received: Instant::now() };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_dynamodb::{Client, Config};
    use axum::Router;
    use axum::http::header::DATE;
    use axum::routing::any;
    use tokio::net::TcpListener;

    use super::*;

    /// Ten minutes and a second after the beginning of 2026.
    const DATE_OF_STORE: (&str, u64) = ("Thu, 01 Jan 2026 00:10:01 GMT", 1_767_226_201);

    #[tokio::test]
    async fn clock_is_the_stores_and_not_the_administrators() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let store = Router::new().fallback(any(|| async { ([(DATE, DATE_OF_STORE.0)], "{}") }));
        tokio::spawn(async { axum::serve(listener, store).await });
        let clock = StoreClock::default();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::for_tests())
            .endpoint_url(url)
            .interceptor(clock.clone());
        Client::from_conf(config.build()).list_tables().send().await.unwrap();
        assert_eq!(clock.now(), DATE_OF_STORE.1);
        let answer = clock.answer().unwrap();
        assert_eq!(answer.end_of(answer.date + 1), answer.received + Duration::from_secs(2));
        assert_eq!(answer.end_of(answer.date - 60), answer.received);
    }
}
