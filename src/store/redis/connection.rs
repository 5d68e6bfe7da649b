//! One connection for many stores: made at the first call, and anew after whatever goes wrong with it.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use redis::{PushInfo, PushKind, RedisResult, aio::MultiplexedConnection, from_redis_value};
use tokio::sync::{oneshot, watch};

use super::{
    channel::{Channel, Channels},
    failure::{Failure, is_end_of_connection},
    server::Server,
};
use crate::rt;

pub(super) struct Connection {
    server: Server,
    state: Mutex<State>,
    made: AtomicU64,
    channels: Channels,
}

enum State {
    Idle,
    /// For all who wait: a server that comes back meets one connection and not a crowd.
    Connecting(u64, Attempt),
    Connected(Live),
}

/// What has come of an attempt to connect.
type Attempt = watch::Receiver<Option<Result<Live, Failure>>>;

/// A connection that works, as far as is known, and which one it is, from 1 on.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) number: u64,
    pub(super) connection: MultiplexedConnection,
    answers: Arc<AtomicU64>,
}

/// How long a call may take, with everything that it needs: less than a session waits for its store, so that it is this
/// side that finds out.
const LIMIT: Duration = Duration::from_secs(2);

impl Connection {
    pub(super) fn to(server: Server) -> Arc<Self> {
        Arc::new(Self {
            server,
            state: Mutex::new(State::Idle),
            made: AtomicU64::new(0),
            channels: Channels::default(),
        })
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    pub(super) fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Sends a command and waits for its answer. Whoever drops it has sent it or not.
    pub(super) async fn call<T, F>(
        self: &Arc<Self>,
        command: impl FnOnce(Live) -> F + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        let mut limit = rt::sleep(LIMIT).ok_or(Failure::NoRuntime)?;
        if let Some(live) = self.current() {
            return self.send(live, command).await;
        }
        let live = self.connect(&mut limit).await?;
        before(&mut limit, self.send(live, command)).await.unwrap_or(Err(Failure::Silent))
    }

    /// On a task of its own: that its caller has gone says nothing about the connection, and that no answer comes is found
    /// out all the same.
    async fn send<T, F>(
        self: &Arc<Self>,
        live: Live,
        command: impl FnOnce(Live) -> F + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let this = Arc::clone(self);
        rt::spawn(async move {
            let answer = command(live.clone());
            this.attend(live, answer, tell).await;
        });
        // The runtime has ended meanwhile.
        told.await.unwrap_or(Err(Failure::NoRuntime))
    }

    async fn attend<T>(
        &self,
        live: Live,
        answer: impl Future<Output = RedisResult<T>>,
        tell: oneshot::Sender<Result<T, Failure>>,
    ) {
        let (mut answer, mut tell) = (pin!(answer), Some(tell));
        let mut tell = |outcome| tell.take().map(|tell| tell.send(outcome));
        loop {
            let answers = live.answers.load(Ordering::Relaxed);
            match rt::timeout(LIMIT, answer.as_mut()).await {
                Ok(answer) => {
                    live.answers.fetch_add(1, Ordering::Relaxed);
                    if answer.as_ref().is_err_and(is_end_of_connection) {
                        self.discard(live.number);
                    }
                    tell(answer.map_err(Failure::Redis));
                    return;
                }
                // The server is gone, or was replaced without a word: a new connection answers that.
                Err(_) if live.answers.load(Ordering::Relaxed) == answers => {
                    self.discard(live.number);
                    tell(Err(Failure::Silent));
                    return;
                }
                // Answers come in the order of their questions: those before it still do.
                Err(_) => tell(Err(Failure::Silent)),
            };
        }
    }

    async fn connect(self: &Arc<Self>, limit: &mut rt::Sleep) -> Result<Live, Failure> {
        let (number, mut attempt) = match &mut *self.lock() {
            State::Connected(live) => return Ok(live.clone()),
            State::Connecting(number, attempt) if attempt.has_changed().is_ok() => (*number, attempt.clone()),
            // Or one whose runtime has ended before it.
            state => {
                let (number, attempt) = self.begin();
                *state = State::Connecting(number, attempt.clone());
                (number, attempt)
            }
        };
        match before(limit, attempt.wait_for(Option::is_some)).await {
            Some(Ok(outcome)) => outcome.clone().unwrap_or(Err(Failure::NoRuntime)),
            Some(Err(_)) => Err(Failure::NoRuntime),
            None => {
                self.end_attempt(number, State::Idle);
                Err(Failure::Silent)
            }
        }
    }

    /// Connects on a task of its own: that whoever asked first has gone is nothing to those who came after.
    fn begin(self: &Arc<Self>) -> (u64, Attempt) {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let (tell, attempt) = watch::channel(None);
        let this = Arc::clone(self);
        rt::spawn(async move {
            let driver = Driver { connection: Arc::downgrade(&this), number };
            let connection = rt::timeout(LIMIT, this.server.connect(move |push| driver.heard(push))).await;
            let outcome = match connection {
                Ok(Ok(connection)) => Ok(Live { number, connection, answers: Arc::default() }),
                Ok(Err(error)) => Err(Failure::Redis(error)),
                Err(_) => Err(Failure::Silent),
            };
            this.end_attempt(number, outcome.clone().map_or(State::Idle, State::Connected));
            tell.send_replace(Some(outcome));
        });
        (number, attempt)
    }

    fn end_attempt(&self, number: u64, next: State) {
        let mut state = self.lock();
        if matches!(&*state, State::Connecting(of, _) if *of == number) {
            *state = next;
        }
    }

    /// The connection of this number is gone, and with it what it was to bring.
    fn discard(&self, number: u64) {
        let discarded = {
            let mut state = self.lock();
            let is_it = matches!(&*state, State::Connected(live) if live.number == number);
            is_it.then(|| mem::replace(&mut *state, State::Idle))
        };
        if discarded.is_some() {
            self.channels.wake_all();
        }
    }

    /// Makes sure that changes are told on this channel.
    pub(super) async fn subscribe(self: &Arc<Self>, channel: &Arc<Channel>) -> Result<(), Failure> {
        if self.current().is_some_and(|live| channel.is_asked_for_on(live.number)) {
            return Ok(());
        }
        let channel = Arc::clone(channel);
        self.call(async move |mut live: Live| {
            if let Some(mut asking) = channel.ask_on(live.number) {
                live.connection.subscribe(channel.name()).await?;
                asking.is_done = true;
            }
            Ok(())
        })
        .await
    }

    /// Nobody waits for it any more.
    pub(super) async fn unsubscribe(self: &Arc<Self>, channel: String, asked_on: u64) {
        let Some(live) = self.current().filter(|live| live.number == asked_on) else { return };
        let this = Arc::clone(self);
        let told = self.send(live, async move |mut live: Live| {
            if this.channels.is_wanted(&channel) { Ok(()) } else { live.connection.unsubscribe(channel).await }
        });
        // Whoever comes in between is woken by the answer. Without one, what comes in meets nobody.
        let _ = told.await;
    }

    fn current(&self) -> Option<Live> {
        if let State::Connected(live) = &*self.lock() { Some(live.clone()) } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection's own task holds: where that ends, by itself or with its runtime, the connection is of no more use.
struct Driver {
    connection: Weak<Connection>,
    number: u64,
}

impl Driver {
    /// What the server says unasked, and whether it has begun or ended to do so, in its order. Nobody is listening where it is
    /// an error.
    fn heard(&self, push: PushInfo) -> Result<(), ()> {
        let connection = self.connection.upgrade().ok_or(())?;
        let Some(channel) = push.data.into_iter().next() else { return Ok(()) };
        let channel = || from_redis_value::<String>(channel).map_err(drop);
        match push.kind {
            PushKind::Message => connection.channels.wake(&channel()?),
            PushKind::Subscribe => connection.channels.begin(&channel()?, self.number),
            PushKind::Unsubscribe => connection.channels.end(&channel()?, self.number),
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.discard(self.number);
        }
    }
}

/// What comes of `future`, if it does before `limit`.
async fn before<T>(limit: &mut rt::Sleep, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Pin::new(&mut *limit).poll(cx).map(|()| None),
    })
    .await
}
