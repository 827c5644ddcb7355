//! Sending a request again: which, how often, after which pause.

use super::portal::Failure;
use crate::context::Context;
use std::time::Duration;
use tokio::time::Instant;

/// How often a request is sent at most.
const TIMES: u32 = 4;
/// For how long it is sent again where somebody waits for nothing else.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Sends a request, and again while its failure is one that `may_pass`, but not after `deadline`.
pub(super) async fn patiently<T>(
    context: &Context,
    operation: &str,
    deadline: Instant,
    may_pass: fn(&Failure) -> bool,
    request: impl AsyncFn() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut sent = 1;
    loop {
        let failure = match request().await {
            Err(failure) if may_pass(&failure) && sent < TIMES => failure,
            answer => return answer,
        };
        let wait = pause(&failure, sent);
        if Instant::now() + wait >= deadline {
            return Err(failure);
        }
        context.detail(&format!("{operation} failed, again in {} ms", wait.as_millis()));
        tokio::time::sleep(wait).await;
        sent += 1;
    }
}

/// How long to wait before the same request: what the service says, and full jitter over a doubling span.
fn pause(failure: &Failure, sent: u32) -> Duration {
    let asked = match failure {
        Failure::Throttled { retry_after: Some(wait) } => *wait,
        _ => Duration::from_millis(50),
    };
    let mut random = [0; 8];
    let _ = getrandom::fill(&mut random);
    asked + Duration::from_millis(u64::from_le_bytes(random) % (125 << sent))
}
