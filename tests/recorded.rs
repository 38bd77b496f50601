//! Streams from files: recorded ones and broken ones, one defect in each.

use crate::support::{End, Proxy, Reply, Request, answering, healthy, right_body};

/// The recorded and the broken streams, by name.
fn fixtures(prefix: &str) -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let streams = files.filter(|path| path.extension().is_some_and(|extension| extension == "sse"));
    let named =
        streams.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()));
    named.filter(|(name, _)| name.starts_with(prefix)).collect()
}

#[tokio::test]
async fn recorded_streams_arrive_as_they_were() {
    assert!(fixtures("good_").len() > 10);
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for (name, stream) in fixtures("good_") {
        // Those that are errors are relayed as errors; other tests see to them.
        if name.contains("error") {
            continue;
        }
        alpha.then(Reply::stream([stream.clone()]).split_every(64));
        let answer = proxy.send(&Request::stream()).await;
        assert_eq!((answer.status(), answer.end), (200, End::Clean), "{name}: {}", answer.text());
        let common = answer.body.iter().zip(&stream).take_while(|(came, sent)| came == sent).count();
        let sent = String::from_utf8_lossy(&stream[common..]).into_owned();
        let harmless = sent.is_empty() || sent.starts_with("data: [DONE]") || name == "good_cut_in_message_stop";
        assert!(harmless || sent.starts_with("event: message_stop"), "{name} lost: {sent}");
        assert!(String::from_utf8_lossy(&answer.body).contains("message_stop"), "{name}");
    }
}

#[tokio::test]
async fn broken_streams_never_look_whole() {
    assert!(fixtures("bad_").len() > 10);
    for (name, stream) in fixtures("bad_") {
        let (alpha, beta) =
            (answering("alpha", Reply::stream([stream.clone()]).split_every(64)).await, healthy("beta").await);
        let answer = Proxy::over([&alpha, &beta]).await.send(&Request::stream()).await;
        assert_eq!(answer.status(), 200, "{name}");
        if answer.upstream() == "beta" {
            assert_eq!((answer.text(), answer.end), (&*right_body(true), End::Clean), "{name}");
        } else {
            assert_eq!(answer.end, End::Cut, "{name}: {}", answer.text());
            assert!(stream.starts_with(&answer.body), "{name}");
        }
    }
}
