//! The whole program but its terminal and its proxy: keys go in, pictures and wishes come out. The clock is a paused one.

use std::cell::Cell;
use std::time::Duration;

use ratatui::backend::TestBackend;

use super::fixture::{all_news, as_text, key, lost, opened, options};
use super::message::{Answer, Ask, News};
use super::*;
use crate::wire::status::ChangeView;

/// Notes what is asked for, and answers as a proxy that does all of it.
struct Scripted {
    answers: mpsc::Sender<Message>,
    asked: Vec<Effect>,
    /// Pictures drawn.
    drawn: Cell<usize>,
    stops: usize,
}

impl Outside for Scripted {
    fn act(&mut self, effect: Effect) {
        let answer = match &effect {
            Effect::Ask(Ask::Record(id)) => Some(Answer::Record { id: id.clone(), opened: Ok(opened()) }),
            Effect::Ask(ask @ Ask::Enable { .. }) => Some(Answer::Changed {
                ask: ask.clone(),
                done: Ok(Some(Box::new(ChangeView { diff: "-a\n+b".into(), ..ChangeView::default() }))),
            }),
            _ => None,
        };
        if let Some(answer) = answer {
            self.answers.try_send(Message::Answer(answer)).unwrap();
        }
        self.asked.push(effect);
    }

    async fn suspend(&mut self) -> io::Result<()> {
        self.stops += 1;
        Ok(())
    }

    fn has_terminal(&self) -> bool {
        self.drawn.set(self.drawn.get() + 1);
        true
    }

    fn take_again(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Ended {
    end: End,
    picture: String,
    outside: Scripted,
}

/// One line of a script.
enum Line<'a> {
    /// Keys by name, with a moment behind each.
    Keys(&'a str),
    Types(&'a str),
    Feed(News),
    Sends(Message),
    Waits(Duration),
}

use Line::{Feed, Keys, Sends, Types, Waits};

/// The last picture before it ended, and how it did; a script that does not end it is ended by a signal.
async fn play(script: Vec<Line<'_>>) -> Ended {
    let (sender, inputs) = mpsc::channel(1024);
    let mut outside = Scripted { answers: sender.clone(), asked: Vec::new(), drawn: Cell::new(0), stops: 0 };
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let model = Model::new(options());
    let moment = Duration::from_millis(250);
    let lines = async {
        for line in script {
            match line {
                Keys(names) => {
                    for name in names.split_whitespace() {
                        let _ = sender.send(Message::Key(key(name))).await;
                        tokio::time::sleep(moment).await;
                    }
                }
                Types(text) => {
                    for letter in text.chars() {
                        let _ = sender.send(Message::Key(key(&letter.to_string()))).await;
                    }
                }
                Feed(news) => drop(sender.send(Message::Feed(Box::new(news))).await),
                Sends(message) => drop(sender.send(message).await),
                Waits(time) => tokio::time::sleep(time).await,
            }
        }
        tokio::time::sleep(moment).await;
        let _ = sender.send(Message::Stop).await;
    };
    let (end, ()) = tokio::join!(run(&mut terminal, inputs, &mut outside, model), lines);
    Ended { end: end.unwrap(), picture: as_text(terminal.backend().buffer()), outside }
}

fn begun() -> Vec<Line<'static>> {
    all_news().into_iter().map(Feed).collect()
}

fn after_begin(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    begun().into_iter().chain(lines).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failover_is_found_and_its_attempts_are_read() {
    let ended = play(after_begin(vec![Keys("k k Enter 5")])).await;
    assert!(ended.outside.asked.contains(&Effect::Ask(Ask::Record("req_8".into()))));
    for part in ["5 Attempts", "529", "first byte 1.2s", "mirror-1"] {
        assert!(ended.picture.contains(part), "{part}: {}", ended.picture);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_switched_off_and_on_again() {
    let ended = play(after_begin(vec![Keys("1 j e u")])).await;
    let wish = |on| Effect::Ask(Ask::Enable { name: "mirror-1".into(), on });
    assert_eq!(ended.outside.asked, [wish(false), wish(true)]);
    assert!(ended.picture.contains("mirror-1 is enabled · u takes it back"), "{}", ended.picture);
}

#[tokio::test(start_paused = true)]
async fn a_filter_is_typed_and_cleared() {
    let filtered = || vec![Keys("/"), Types("endpoint:kimi"), Keys("Enter")];
    let ended = play(after_begin(filtered())).await;
    assert!(ended.picture.contains("Requests ─ filter: endpoint:kimi ─"), "{}", ended.picture);
    assert!(ended.picture.contains("1 of 6") && !ended.picture.contains("14:02:09 200"), "{}", ended.picture);
    let ended = play(after_begin(filtered().into_iter().chain([Keys("Esc")]).collect())).await;
    assert!(ended.picture.contains("14:02:09 200"), "{}", ended.picture);
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_when_the_proxy_does() {
    let gone = || vec![Feed(lost(1)), Waits(Duration::from_secs(1))];
    let ended = play(after_begin(gone())).await;
    assert!(ended.picture.contains("lost 127.0.0.1:8081, retry in 1 s (1)"), "{}", ended.picture);
    let back = gone().into_iter().chain(begun());
    let ended = play(after_begin(back.collect())).await;
    assert!(ended.picture.contains("● serving :8080"), "{}", ended.picture);
    assert!(ended.picture.contains("the proxy is back after"), "{}", ended.picture);
}

#[tokio::test(start_paused = true)]
async fn how_it_ends() {
    assert_eq!(play(after_begin(vec![Keys("q")])).await.end, End::Left);
    assert_eq!(play(after_begin(vec![Keys("Ctrl-c")])).await.end, End::Left);
    assert_eq!(play(after_begin(vec![Keys(": q Enter")])).await.end, End::Left);
    assert_eq!(play(begun()).await.end, End::Left, "by a signal");
    let why = "nobody listens there".to_owned();
    assert_eq!(play(vec![Feed(lost(1)), Keys("q")]).await.end, End::NeverAttached(why));
    let (why, hint) = ("a token is needed".to_owned(), "set it".to_owned());
    let shut_out = News::Lost(Lost { why: why.clone(), hint: Some(hint.clone()), ..Lost::default() });
    assert_eq!(play(vec![Feed(shut_out), Keys("q")]).await.end, End::Refused { why, hint });
    assert_eq!(play(vec![Sends(Message::Panicked("x".into()))]).await.end, End::Bug);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_passed_on_and_the_screen_is_drawn_again() {
    let ended = play(after_begin(vec![Keys("Ctrl-z"), Sends(Message::Resumed)])).await;
    assert_eq!(ended.outside.stops, 1);
    assert!(ended.picture.contains("● serving :8080"), "{}", ended.picture);
}

#[tokio::test(start_paused = true)]
async fn what_a_hand_does_is_seen_without_a_wait_for_the_next_tenth_of_a_second() {
    let still = play(begun()).await.outside.drawn.get();
    let flood = (0..1000).flat_map(|_| [Sends(Message::Key(key("k"))), Waits(Duration::from_millis(1))]).collect();
    let flooded = play(after_begin(flood)).await.outside.drawn.get() - still;
    assert!((25..=40).contains(&flooded), "{flooded} pictures in a second of a held key");
}

/// Drawing is what costs: a flood must not make it draw faster, and nothing at all must not make it draw often.
#[tokio::test(start_paused = true)]
async fn it_draws_ten_times_a_second_at_most_and_once_a_second_at_rest() {
    let minute = Duration::from_mins(1);
    let quiet = play(after_begin(vec![Waits(minute)])).await.outside.drawn.get();
    assert!((58..70).contains(&quiet), "{quiet} pictures in a minute of rest");
    let mut flood = Vec::new();
    for _ in 0..1000 {
        flood.extend([Sends(Message::Resized), Waits(minute / 1000)]);
    }
    let busy = play(after_begin(flood)).await.outside.drawn.get();
    assert!((300..=620).contains(&busy), "{busy} pictures in a minute of news");
}
