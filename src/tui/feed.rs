//! Watches the proxy and tells the main loop: attaches, asks for what is there, passes on what is pushed, and comes back
//! when the proxy was gone. Nothing is asked for more often than once a second.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::message::{Lost, Message, News};
use crate::client::{AdminClient, ClientError, EventStream};
use crate::clock;
use crate::wire::event::Event;

/// The proxy pushes its status once a second: who is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(15);
/// Figures age out of the window even when nothing happens.
const REFRESH: Duration = Duration::from_secs(10);
/// Sums of the log change slowly.
const SUMS: Duration = Duration::from_secs(20);
/// Records that are asked for at first.
const RECENT: usize = 300;
/// Steps of the charts.
const STEPS: u64 = 60;

/// Until nobody listens. `range`: the stretch that the charts show, in seconds.
pub(super) async fn run(client: AdminClient, out: mpsc::Sender<Message>, mut range: watch::Receiver<u64>) {
    let mut last_id = None;
    let mut attempt = 0;
    loop {
        let error = match client.events(last_id.as_deref()).await {
            Ok(stream) => {
                let watch = Watch { client: &client, out: &out, last_id: &mut last_id };
                let error = watch.attached(stream, &mut range).await;
                attempt = 0;
                error
            }
            Err(error) => error,
        };
        attempt += 1;
        let retry_in = back_off(attempt);
        let hint = if matches!(error, ClientError::Refused { .. }) { error.hint() } else { None };
        let lost = Lost { why: why(&error), hint, attempt, retry_in };
        if out.send(Message::Feed(Box::new(News::Lost(lost)))).await.is_err() {
            return;
        }
        sleep(retry_in).await;
    }
}

/// 1, 2, 4, 8, then 10 seconds.
fn back_off(attempt: u32) -> Duration {
    Duration::from_secs(1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(10).min(10))
}

/// Without what the reader sees beside it: the address.
fn why(error: &ClientError) -> String {
    match error {
        ClientError::NoProxy { why, .. } | ClientError::Stranger { why, .. } | ClientError::Lost { why, .. } => {
            why.clone()
        }
        ClientError::Refused { problem, .. } => problem.message.clone(),
    }
}

/// One stream of events.
struct Watch<'a> {
    client: &'a AdminClient,
    out: &'a mpsc::Sender<Message>,
    last_id: &'a mut Option<String>,
}

impl Watch<'_> {
    /// Why it is over.
    async fn attached(self, mut stream: EventStream, range: &mut watch::Receiver<u64>) -> ClientError {
        self.tell(News::Attached).await;
        self.ask_for(Wanted::Endpoints);
        self.ask_for(Wanted::Recent);
        self.ask_for(Wanted::Stats(*range.borrow_and_update()));
        let (mut stale, mut asked, mut summed) = (false, clock::now(), clock::now());
        loop {
            let pushed = tokio::select! {
                pushed = timeout(SILENCE, stream.next()) => pushed,
                // The sender lives as long as the main loop does.
                Ok(()) = range.changed() => {
                    self.ask_for(Wanted::Stats(*range.borrow_and_update()));
                    continue;
                }
            };
            let pushed = match pushed {
                Ok(Ok(pushed)) => pushed,
                Ok(Err(error)) => return error,
                Err(_) => return self.silent(),
            };
            if pushed.id.is_some() {
                *self.last_id = pushed.id;
            }
            match &pushed.event {
                Event::Status(_) => {
                    let now = clock::now();
                    if stale || now - asked >= REFRESH {
                        (stale, asked) = (false, now);
                        self.ask_for(Wanted::Endpoints);
                    }
                    if now - summed >= SUMS {
                        summed = now;
                        self.ask_for(Wanted::Stats(*range.borrow()));
                    }
                }
                Event::RequestEnded(_) | Event::Endpoint(_) | Event::Config(_) => stale = true,
                Event::Missed(_) => {
                    stale = true;
                    self.ask_for(Wanted::Recent);
                }
                Event::RequestStarted(_) | Event::RequestCommitted(_) => {}
            }
            self.tell(News::Pushed(pushed.event)).await;
        }
    }

    fn silent(&self) -> ClientError {
        let address = self.client.target().address.clone();
        ClientError::Lost { address, why: format!("it was silent for {} s", SILENCE.as_secs()) }
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more: the end is near.
        let _ = self.out.send(Message::Feed(Box::new(news))).await;
    }

    /// Asks beside the stream, which goes on meanwhile.
    fn ask_for(&self, wanted: Wanted) {
        let (client, out) = (self.client.clone(), self.out.clone());
        tokio::spawn(async move {
            // When it fails the stream is about to tell why, or the next time goes better.
            if let Ok(news) = wanted.ask(&client).await {
                let _ = out.send(Message::Feed(Box::new(news))).await;
            }
        });
    }
}

enum Wanted {
    Endpoints,
    Recent,
    /// Over so many seconds.
    Stats(u64),
}

impl Wanted {
    async fn ask(self, client: &AdminClient) -> Result<News, ClientError> {
        Ok(match self {
            Self::Endpoints => News::Endpoints(client.get("/api/endpoints").await?),
            Self::Recent => News::Recent(client.get(&format!("/api/logs?detail=summary&limit={RECENT}")).await?),
            Self::Stats(range) => {
                let path = format!("/api/stats?range={range}s&step={}s", (range / STEPS).max(1));
                News::Stats(Box::new(client.get(&path).await?))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_soon_and_then_more_slowly() {
        let waits: Vec<u64> = (1..8).map(|attempt| back_off(attempt).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(back_off(u32::MAX).as_secs(), 10);
    }
}
