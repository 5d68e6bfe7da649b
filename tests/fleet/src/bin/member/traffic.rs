//! Requests to the API, one after the other in each of a few lanes, for as long as the process lives.

use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use fleet::{Event, Gaps, Report};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use tokio::sync::watch;
use tower::{BoxError, ServiceExt};
use tower_auth_refresh::{AuthRefresh, error::RefreshFailure, test_util::TestProvider};

use crate::{
    stdio::say,
    transport::{ApiClient, Sent},
};

/// The client of the API, with the layer around it.
pub(crate) type Client = AuthRefresh<ApiClient, TestProvider>;

/// How many requests are under way at once.
const LANES: usize = 2;

/// Between two requests of one lane: traffic enough to notice every change, and no more, for all processes share a machine.
const PAUSE: Duration = Duration::from_millis(20);

/// What a request takes anyway, and is no gap.
const LEAST: Duration = Duration::from_millis(1);

/// The lanes, and what has become of their requests.
pub(crate) struct Traffic {
    api: Uri,
    /// The number of the last [`serve`](Self::serve).
    asked: watch::Sender<u64>,
    /// For each lane, which of these its last good answer was to.
    served: watch::Sender<[u64; LANES]>,
    counted: Mutex<Counted>,
}

struct Counted {
    ok: u64,
    gaps: Gaps,
}

impl Traffic {
    pub(crate) fn start(client: Client, api: Uri) -> Arc<Self> {
        let traffic = Arc::new(Self {
            api,
            asked: watch::Sender::default(),
            served: watch::Sender::default(),
            counted: Mutex::new(Counted { ok: 0, gaps: Gaps::new(LANES) }),
        });
        for lane in 0..LANES {
            tokio::spawn(Arc::clone(&traffic).run(lane, client.clone()));
        }
        traffic
    }

    /// Says so once each lane has had an answer to a request that began after this.
    pub(crate) fn serve(self: &Arc<Self>) {
        self.asked.send_modify(|asked| *asked += 1);
        let (traffic, asked) = (Arc::clone(self), *self.asked.borrow());
        tokio::spawn(async move {
            let mut served = traffic.served.subscribe();
            let reached = served.wait_for(|lanes| lanes.iter().all(|lane| *lane >= asked)).await.is_ok();
            if reached {
                say(&Event::Served);
            }
        });
    }

    /// What has happened since the last report.
    pub(crate) fn report(&self) -> Report {
        let mut counted = self.counted();
        Report { ok: std::mem::take(&mut counted.ok), lacks: counted.gaps.so_far(Instant::now()) }
    }

    async fn run(self: Arc<Self>, lane: usize, client: Client) {
        loop {
            let asked = *self.asked.borrow();
            self.counted().gaps.begin(lane, Instant::now());
            match self.ask(&client).await {
                Ok(Sent(at)) => {
                    let lacked = self.count(lane, at);
                    if lacked >= LEAST {
                        say(&Event::Lacked(lacked));
                    }
                    self.served.send_modify(|lanes| lanes[lane] = asked);
                }
                Err(error) => say(&Event::Failed(chain(&*error))),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(&self, client: &Client) -> Result<Sent, BoxError> {
        let request = Request::get(self.api.clone()).body(Full::<Bytes>::default())?;
        let answer = client.clone().oneshot(request).await?;
        let (head, body) = answer.into_parts();
        body.collect().await?;
        if head.status == StatusCode::OK {
            return head.extensions.get().copied().ok_or_else(|| "an answer to what was never sent".into());
        }
        let why = head.extensions.get::<RefreshFailure>().map(|failure| chain(failure)).unwrap_or_default();
        Err(format!("status {} {why}", head.status.as_u16()).into())
    }

    /// Says how long there was no token for the one that was `sent` then, and answered well.
    fn count(&self, lane: usize, sent: Instant) -> Duration {
        let mut counted = self.counted();
        counted.ok += 1;
        counted.gaps.end(lane, sent)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error and its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
