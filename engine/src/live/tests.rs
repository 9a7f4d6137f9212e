#![expect(clippy::unwrap_used, reason = "a test may panic")]

use domain::WebhookDeliveryId;
use redis::{
    Client, ConnectionAddr,
    aio::{ConnectionManager, ConnectionManagerConfig, PubSubStream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};
use uuid::Uuid;

use super::*;

type Browser = broadcast::Receiver<Arc<LiveEvent>>;

fn client() -> Client {
    Client::open(std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned())).unwrap()
}

/// A channel of the test's own: all tests share one Redis.
fn new_channel() -> String {
    format!("live-{}", rand::random::<u64>())
}

/// A process that publishes and hears nothing.
fn live(channel: &str, client: &Client) -> Live {
    // It fails at the first try, but never because the machine is busy.
    let config = ConnectionManagerConfig::new().set_number_of_retries(0).set_response_timeout(None).set_connection_timeout(None);
    Live::on(channel, ConnectionManager::new_lazy_with_config(client.clone(), config).unwrap())
}

/// A process with an open browser.
async fn subscribed(channel: &str, client: &Client) -> (Live, Browser) {
    let live = live(channel, client);
    let mut browser = live.subscribe();
    tokio::spawn(live.clone().forward(client.clone()));
    assert_eq!(heard(&mut browser).await, LiveEvent::Resync);
    (live, browser)
}

fn event(number: u128) -> LiveEvent {
    LiveEvent::Delivery { webhook_delivery_id: WebhookDeliveryId(Uuid::from_u128(number)) }
}

async fn heard(browser: &mut Browser) -> LiveEvent {
    (*browser.recv().await.unwrap()).clone()
}

/// What goes over a channel itself.
async fn tap(channel: &str) -> PubSubStream {
    let (mut sink, messages) = client().get_async_pubsub().await.unwrap().split();
    sink.subscribe(channel).await.unwrap();
    messages
}

async fn passed(tap: &mut PubSubStream) -> LiveEvent {
    let text: String = tap.next().await.unwrap().get_payload().unwrap();
    serde_json::from_str::<Message<LiveEvent>>(&text).unwrap().event
}

#[derive(Clone, Copy)]
enum Break {
    /// Connections are closed.
    Cut,
    /// They stay, but nothing comes through, and nobody says so.
    Silence,
}

/// A way to the tests' Redis that can break, as a network can.
#[derive(Clone, Copy)]
struct Wire {
    /// New connections get through.
    open: bool,
    breaks: u32,
    last: Break,
}

async fn lay(wire: Wire) -> (Client, watch::Sender<Wire>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::open(format!("redis://{}/", listener.local_addr().unwrap())).unwrap();
    let (changes, wire) = watch::channel(wire);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let begun = wire.borrow().breaks;
            tokio::spawn(carry(near, wire.clone(), begun));
        }
    });
    (client, changes)
}

async fn carry(mut near: TcpStream, mut wire: watch::Receiver<Wire>, begun: u32) {
    let mut far = connect().await;
    let ended = tokio::select! {
        biased;
        wire = wire.wait_for(|wire| !wire.open || wire.breaks != begun) => wire.map(|wire| wire.last),
        _ = copy_bidirectional(&mut near, &mut far) => return,
    };
    if matches!(ended, Ok(Break::Silence)) {
        std::future::pending().await
    }
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

async fn connect() -> Box<dyn Socket> {
    match client().get_connection_info().addr() {
        ConnectionAddr::Tcp(host, port) => Box::new(TcpStream::connect((host.as_str(), *port)).await.unwrap()),
        ConnectionAddr::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        _ => unreachable!("the tests' Redis is on this machine"),
    }
}

#[tokio::test]
async fn every_process_hears_an_event_once_and_in_order() {
    let channel = new_channel();
    let (a, mut browser_of_a) = subscribed(&channel, &client()).await;
    let (b, mut browser_of_b) = subscribed(&channel, &client()).await;
    for number in 0..20 {
        a.publish(event(number));
    }
    for number in 0..20 {
        assert_eq!(heard(&mut browser_of_b).await, event(number));
    }
    // It comes to the first process after all that Redis tells it of its own.
    b.publish(event(20));
    for number in 0..=20 {
        assert_eq!(heard(&mut browser_of_a).await, event(number));
    }
}

#[tokio::test]
async fn a_process_that_hears_nothing_tells_its_own_browsers_though_others_received_it() {
    let channel = new_channel();
    let _others = subscribed(&channel, &client()).await;
    let live = live(&channel, &client());
    let mut browser = live.subscribe();
    live.publish(event(1));
    live.flush().await;
    assert_eq!(*browser.try_recv().unwrap(), event(1));
}

#[tokio::test]
async fn of_more_than_the_queue_holds_the_oldest_become_one_refetch() {
    let channel = new_channel();
    let mut tap = tap(&channel).await;
    let live = live(&channel, &client());
    let count = QUEUE as u128 + 10;
    // The sending task runs only when this one waits.
    for number in 0..count {
        live.publish(event(number));
    }
    assert_eq!(passed(&mut tap).await, LiveEvent::Resync);
    for number in 10..count {
        assert_eq!(passed(&mut tap).await, event(number));
    }
}

#[tokio::test]
async fn what_redis_did_not_take_becomes_one_refetch_once_it_is_back() {
    let channel = new_channel();
    let mut tap = tap(&channel).await;
    let (client, wire) = lay(Wire { open: false, breaks: 0, last: Break::Cut }).await;
    let live = live(&channel, &client);
    live.publish(event(1));
    live.publish(event(2));
    // It gives up, since the first one failed.
    live.flush().await;
    wire.send_modify(|wire| wire.open = true);
    assert_eq!(passed(&mut tap).await, LiveEvent::Resync);
    live.publish(event(3));
    assert_eq!(passed(&mut tap).await, event(3));
}

#[tokio::test]
async fn a_subscription_that_broke_or_fell_silent_is_made_anew_and_browsers_refetch() {
    let channel = new_channel();
    let (client, wire) = lay(Wire { open: true, breaks: 0, last: Break::Cut }).await;
    let (_live, mut browser) = subscribed(&channel, &client).await;
    let others = live(&channel, &self::client());
    for (number, last) in [(1, Break::Cut), (2, Break::Silence)] {
        wire.send_modify(|wire| *wire = Wire { breaks: wire.breaks + 1, last, ..*wire });
        assert_eq!(heard(&mut browser).await, LiveEvent::Resync);
        others.publish(event(number));
        assert_eq!(heard(&mut browser).await, event(number));
    }
}

#[tokio::test]
async fn what_is_queued_is_sent_before_a_process_ends() {
    let channel = new_channel();
    let mut tap = tap(&channel).await;
    let live = live(&channel, &client());
    live.publish(event(1));
    live.publish(event(2));
    live.flush().await;
    // Whatever else is sent from here on comes after it.
    let mut redis = client().get_multiplexed_async_connection().await.unwrap();
    let () = redis.publish(&channel, r#"{"topic":"traffic"}"#).await.unwrap();
    for expected in [event(1), event(2), LiveEvent::Traffic] {
        assert_eq!(passed(&mut tap).await, expected);
    }
}

#[test]
fn a_message_is_an_event_with_its_process_and_older_ones_have_none() {
    let text = serde_json::to_string(&Message { process: Some(7), event: &LiveEvent::Traffic }).unwrap();
    assert_eq!(text, r#"{"process":7,"topic":"traffic"}"#);
    let read: Message<LiveEvent> = serde_json::from_str(&text).unwrap();
    assert_eq!((read.process, read.event), (Some(7), LiveEvent::Traffic));
    let older: Message<LiveEvent> = serde_json::from_str(r#"{"topic":"traffic"}"#).unwrap();
    assert_eq!((older.process, older.event), (None, LiveEvent::Traffic));
    // As an older version reads ours.
    assert_eq!(serde_json::from_str::<LiveEvent>(&text).unwrap(), LiveEvent::Traffic);
}
