//! A cache of one value, such as a JWKS or the trust snapshot.
//!
//! - Single flight: concurrent callers share one load.
//! - Stale on error: a stale value is served while its source is down, up to a limit.
//! - Backoff: a source that failed is not asked again for a moment.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::oauth::error::OAuthError;

/// The limits of a cache, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a value may be served after it was loaded, if it can't be reloaded.
    pub usable_for: u64,
    /// The minimum time between two reloads that a missing entry of the value requested.
    pub cool_down: u64,
    /// The backoff after a failed load.
    pub after_failure: u64,
}

/// A loaded value.
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    /// How long the value is fresh, in seconds.
    pub fresh_for: u64,
}

/// The cache has no usable value.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(Arc<str>);

impl Unavailable {
    /// With the cause, for the log.
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self(reason.as_ref().into())
    }
}

/// An error and its sources in one line. `Display` of an SDK error omits its sources.
pub fn display_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += ": ";
        text += &source.to_string();
        next = source.source();
    }
    text
}

struct Entry<T> {
    value: Arc<T>,
    loaded_at: u64,
    fresh_for: u64,
}

/// Whether a period that began at `since` still lasts. After the clock was set back, it lasts at most twice as long.
fn is_within(since: u64, seconds: u64, now: u64) -> bool {
    now.abs_diff(since) < seconds
}

struct State<T> {
    entry: Option<Entry<T>>,
    failed: Option<(u64, Unavailable)>,
    forced_at: Option<u64>,
}

/// A cache.
pub struct Cache<T> {
    limits: Limits,
    state: Mutex<State<T>>,
    loading: tokio::sync::Mutex<()>,
}

impl<T> Cache<T> {
    /// An empty cache.
    pub fn new(limits: Limits) -> Self {
        let state = State { entry: None, failed: None, forced_at: None };
        Self { limits, state: Mutex::new(state), loading: tokio::sync::Mutex::new(()) }
    }

    /// The cached value if it is fresh, else the value that `load` returns.
    pub async fn get<E: Error>(
        &self,
        now: u64,
        load: impl AsyncFnOnce() -> Result<Loaded<T>, E>,
    ) -> Result<Arc<T>, Unavailable> {
        if let Some(answer) = self.ready(now) {
            return answer;
        }
        // Another caller is loading. A usable value is served meanwhile.
        let loading = match self.loading.try_lock() {
            Ok(loading) => loading,
            Err(_) => match self.stale_value(now) {
                Some(value) => return Ok(value),
                None => self.loading.lock().await,
            },
        };
        if let Some(answer) = self.ready(now) {
            return answer;
        }
        let answer = self.load(now, load).await;
        drop(loading);
        answer
    }

    /// Reloads the value because `previous` lacks an entry, at most once per `cool_down`.
    pub async fn reload<E: Error>(
        &self,
        now: u64,
        previous: &Arc<T>,
        load: impl AsyncFnOnce() -> Result<Loaded<T>, E>,
    ) -> Result<Arc<T>, Unavailable> {
        let _loading = self.loading.lock().await;
        {
            let state = self.state();
            if let Some(entry) = state.entry.as_ref().filter(|entry| !Arc::ptr_eq(&entry.value, previous)) {
                return Ok(entry.value.clone());
            }
            let recently_forced = state.forced_at.is_some_and(|at| is_within(at, self.limits.cool_down, now));
            if recently_forced
                || state.failed.as_ref().is_some_and(|(failed_at, _)| self.in_backoff(*failed_at, now))
            {
                return Ok(previous.clone());
            }
        }
        let answer = self.load(now, load).await;
        let mut state = self.state();
        // After a failed load, the missing entry may be requested again as soon as the backoff ends.
        state.forced_at = state.failed.is_none().then_some(now);
        answer
    }

    /// The last loaded value, whatever its age.
    pub fn last_value(&self) -> Option<Arc<T>> {
        self.state().entry.as_ref().map(|entry| entry.value.clone())
    }

    /// Age of the value, in seconds.
    pub fn age(&self, now: u64) -> Option<u64> {
        self.state().entry.as_ref().map(|entry| now.saturating_sub(entry.loaded_at))
    }

    /// The answer without a load: a fresh value, or the result of the backoff.
    pub fn ready(&self, now: u64) -> Option<Result<Arc<T>, Unavailable>> {
        let state = self.state();
        if let Some(entry) =
            state.entry.as_ref().filter(|entry| is_within(entry.loaded_at, entry.fresh_for, now))
        {
            return Some(Ok(entry.value.clone()));
        }
        let (failed_at, error) = state.failed.as_ref()?;
        if !self.in_backoff(*failed_at, now) {
            return None;
        }
        let error = error.clone();
        drop(state);
        Some(self.stale_value(now).ok_or(error))
    }

    fn stale_value(&self, now: u64) -> Option<Arc<T>> {
        let state = self.state();
        let entry = state.entry.as_ref()?;
        is_within(entry.loaded_at, self.limits.usable_for, now).then(|| entry.value.clone())
    }

    /// Whether the backoff after a failure still lasts.
    fn in_backoff(&self, failed_at: u64, now: u64) -> bool {
        is_within(failed_at, self.limits.after_failure, now)
    }

    async fn load<E: Error>(
        &self,
        now: u64,
        load: impl AsyncFnOnce() -> Result<Loaded<T>, E>,
    ) -> Result<Arc<T>, Unavailable> {
        // Boxed, because loads are rare and their future is large. Otherwise it would be part of every caller's future.
        match Box::pin(load()).await {
            Ok(Loaded { value, fresh_for }) => {
                let value = Arc::new(value);
                let mut state = self.state();
                state.entry = Some(Entry { value: value.clone(), loaded_at: now, fresh_for });
                state.failed = None;
                Ok(value)
            }
            Err(error) => {
                let error = Unavailable::new(display_chain(&error));
                self.state().failed = Some((now, error.clone()));
                self.stale_value(now).ok_or(error)
            }
        }
    }

    /// Locks the state, which is never locked across an `await`. A panic elsewhere can't leave it inconsistent.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request is answered with 503 and nothing is granted.
impl From<Unavailable> for OAuthError {
    fn from(error: Unavailable) -> Self {
        Self::unavailable(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const LIMITS: Limits = Limits { usable_for: 60, cool_down: 20, after_failure: 5 };

    /// A source that counts its loads and can fail.
    #[derive(Default)]
    struct Source {
        loads: Cell<u32>,
        down: Cell<bool>,
    }

    impl Source {
        async fn load(&self) -> Result<Loaded<u32>, std::io::Error> {
            self.loads.set(self.loads.get() + 1);
            if self.down.get() {
                return Err(std::io::Error::other("the source is down"));
            }
            Ok(Loaded { value: self.loads.get(), fresh_for: 15 })
        }
    }

    async fn value(cache: &Cache<u32>, source: &Source, now: u64) -> Option<u32> {
        cache.get(now, async || source.load().await).await.ok().map(|value| *value)
    }

    #[tokio::test]
    async fn a_fresh_value_is_not_reloaded() {
        let (cache, source) = (Cache::new(LIMITS), Source::default());
        assert_eq!(value(&cache, &source, 100).await, Some(1));
        assert_eq!(value(&cache, &source, 114).await, Some(1));
        assert_eq!(value(&cache, &source, 115).await, Some(2));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_causes_a_reload() {
        let (cache, source) = (Cache::new(LIMITS), Source::default());
        assert_eq!(value(&cache, &source, 10_000).await, Some(1));
        assert_eq!(value(&cache, &source, 9_000).await, Some(2));
        source.down.set(true);
        assert_eq!(value(&cache, &source, 9_016).await, Some(2));
        assert_eq!(value(&cache, &source, 8_950).await, Some(2));
        assert_eq!(value(&cache, &source, 8_000).await, None);
        source.down.set(false);
        assert_eq!(value(&cache, &source, 7_000).await, Some(source.loads.get()));
    }

    #[tokio::test]
    async fn a_stale_value_serves_through_an_outage_up_to_the_limit() {
        let (cache, source) = (Cache::new(LIMITS), Source::default());
        assert_eq!(value(&cache, &source, 100).await, Some(1));
        source.down.set(true);
        assert_eq!(value(&cache, &source, 159).await, Some(1));
        assert_eq!(value(&cache, &source, 160).await, None);
        source.down.set(false);
        assert_eq!(value(&cache, &source, 165).await, Some(source.loads.get()));
    }

    #[tokio::test]
    async fn a_failed_load_starts_the_backoff() {
        let (cache, source) = (Cache::new(LIMITS), Source::default());
        source.down.set(true);
        assert_eq!(value(&cache, &source, 100).await, None);
        assert_eq!(value(&cache, &source, 104).await, None);
        assert_eq!(source.loads.get(), 1);
        source.down.set(false);
        assert_eq!(value(&cache, &source, 105).await, Some(2));
    }

    #[tokio::test]
    async fn forced_reloads_happen_once_per_backoff() {
        let (cache, source) = (Cache::new(LIMITS), Source::default());
        let mut previous = cache.get(100, async || source.load().await).await.unwrap();
        for _ in 0..1000 {
            previous = cache.reload(101, &previous, async || source.load().await).await.unwrap();
        }
        assert_eq!(source.loads.get(), 2);
        cache.reload(120, &previous, async || source.load().await).await.unwrap();
        assert_eq!(source.loads.get(), 2);
        cache.reload(121, &previous, async || source.load().await).await.unwrap();
        assert_eq!(source.loads.get(), 3);
    }

    #[tokio::test]
    async fn a_failed_forced_reload_keeps_the_value_and_is_retried() {
        let (cache, source) = (Cache::new(LIMITS), Source::default());
        let previous = cache.get(100, async || source.load().await).await.unwrap();
        source.down.set(true);
        for now in [101, 105] {
            let kept = cache.reload(now, &previous, async || source.load().await).await.unwrap();
            assert!(Arc::ptr_eq(&kept, &previous));
        }
        assert_eq!(source.loads.get(), 2);
        source.down.set(false);
        assert_eq!(*cache.reload(106, &previous, async || source.load().await).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn concurrent_callers_share_one_load() {
        let (cache, source) = (Cache::new(LIMITS), Source::default());
        let slow = async || {
            tokio::task::yield_now().await;
            source.load().await
        };
        let (one, other) = tokio::join!(cache.get(100, slow), cache.get(100, slow));
        assert_eq!((*one.unwrap(), *other.unwrap(), source.loads.get()), (1, 1, 1));
    }
}
