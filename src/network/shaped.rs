//! A stream that is as slow as a network.
//!
//! Bytes that are written wait here until the line has carried them, and only then reach the real stream; bytes that arrive
//! on it are let through when the line would have delivered them. Each has an instant at which it is due, so delays of the
//! timer, whose steps are 1 ms, do not add up: nothing arrives early, and nothing more than a step late.
//!
//! Nobody but the stream's owner moves the bytes. Every call, whatever it asks for, hands over what is due in both
//! directions, and whoever waits is woken for it: an owner that only waits for an answer still sends its request. This
//! takes one task that polls the stream, as that of an HTTP connection does.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::arrival::Arrival;
use super::line::Direction;
use super::spec::Network;
use super::way::Way;

/// Most bytes that are read from the real stream at once.
const READ: usize = 16 << 10;

/// A stream behind a simulated network.
pub(crate) struct Shaped<S> {
    stream: S,
    /// When the client had connected.
    began: Instant,
    up: Way,
    down: Way,
    /// Rings when the next bytes reach the service.
    up_timer: Pin<Box<Sleep>>,
    /// Rings when the next bytes reach a waiting reader.
    down_timer: Pin<Box<Sleep>>,
    arrival: Arc<Arrival>,
    /// The waker that the real stream is read with.
    notes_arrival: Waker,
    buffer: Box<[u8]>,
    /// Why the service takes no more bytes.
    broken: Option<io::Error>,
    /// How the service ended its own direction.
    end: Option<End>,
    /// A task that waits for something to come under way to it.
    reader: Option<Waker>,
    /// A task that waits for room, or for all to have left.
    writer: Option<Waker>,
}

/// How reading from the service ended.
enum End {
    Closed,
    Failed(io::Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Shaped<S> {
    /// The connection with this number, on a stream that has just connected. Connecting takes a round trip.
    pub async fn connected(stream: S, network: &Network, number: u64) -> Self {
        sleep(network.round_trip).await;
        Self::new(stream, network, number)
    }

    /// As `connected`, from when the client had connected.
    fn new(stream: S, network: &Network, number: u64) -> Self {
        let began = Instant::now();
        let arrival = Arc::new(Arrival::default());
        Self {
            stream,
            began,
            up: Way::new(network, Direction::Up, number),
            down: Way::new(network, Direction::Down, number),
            up_timer: Box::pin(sleep_until(began)),
            down_timer: Box::pin(sleep_until(began)),
            notes_arrival: Waker::from(Arc::clone(&arrival)),
            arrival,
            buffer: vec![0; READ].into_boxed_slice(),
            broken: None,
            end: None,
            reader: None,
            writer: None,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Does all that is due, in both directions. The task is woken for what is due next.
    fn drive(&mut self, cx: &mut Context<'_>) {
        self.deliver(cx);
        self.take_in(cx);
    }

    /// Hands to the service what has reached it.
    fn deliver(&mut self, cx: &mut Context<'_>) {
        loop {
            let now = self.now();
            let mut progress = self.up.arrive(now);
            let mut blocked = false;
            while !blocked && !self.up.arrived().is_empty() {
                match Pin::new(&mut self.stream).poll_write(cx, self.up.arrived()) {
                    Poll::Ready(Ok(0)) => self.break_up(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(written)) => self.up.take(written),
                    Poll::Ready(Err(error)) => self.break_up(error),
                    Poll::Pending => blocked = true,
                }
                progress |= !blocked;
            }
            if progress {
                // A stream that buffers has to pass it on now. Its errors come back with the next bytes.
                let _ = Pin::new(&mut self.stream).poll_flush(cx);
                wake(&mut self.writer);
            }
            // The real stream wakes the task when it takes more; until then no timer can help.
            if blocked {
                return;
            }
            let Some(due) = self.up.next_due() else { return };
            if poll_until(&mut self.up_timer, self.began + due, cx).is_pending() {
                return;
            }
        }
    }

    /// The service takes no more bytes: those under way get lost. What it has sent can still be read.
    fn break_up(&mut self, error: io::Error) {
        self.broken = Some(error);
        self.up.clear();
    }

    /// Puts what has arrived on the real stream on its way to the reader.
    fn take_in(&mut self, cx: &mut Context<'_>) {
        if self.end.is_some() {
            return;
        }
        self.arrival.wakes(cx.waker());
        // Where nobody was woken for it, it arrives now.
        let left = match self.arrival.take() {
            Some(at) => at.saturating_duration_since(self.began),
            None => self.now(),
        };
        let mut progress = false;
        while self.end.is_none() && self.down.room() > 0 {
            let most = self.down.room().min(READ);
            let mut buffer = ReadBuf::new(&mut self.buffer[..most]);
            let mut noting = Context::from_waker(&self.notes_arrival);
            match Pin::new(&mut self.stream).poll_read(&mut noting, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    self.down.send_end(left);
                    self.end = Some(End::Closed);
                }
                Poll::Ready(Ok(())) => self.down.send(buffer.filled(), left),
                // Told as soon as what came before it has been read: nothing is gained by a failure that comes late.
                Poll::Ready(Err(error)) => self.end = Some(End::Failed(error)),
            }
            progress = true;
        }
        if progress {
            wake(&mut self.reader);
        }
    }

    /// How reading ends, if all that came before the end has been read.
    fn ended(&mut self) -> Option<io::Result<()>> {
        match self.end.take()? {
            End::Closed => {
                self.end = Some(End::Closed);
                Some(Ok(()))
            }
            End::Failed(error) => {
                self.end = Some(End::Closed);
                Some(Err(error))
            }
        }
    }

    /// Takes as much of these slices as there is room for.
    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.writer = None;
        self.drive(cx);
        if let Some(error) = &self.broken {
            return Poll::Ready(Err(copy_of(error)));
        }
        let mut room = self.up.room();
        if room == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let now = self.now();
        let mut taken = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(room)];
            self.up.send(part, now);
            room -= part.len();
            taken += part.len();
        }
        // Once more, so that the timer is set for what was taken just now.
        self.deliver(cx);
        Poll::Ready(Ok(taken))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Shaped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.reader = None;
        loop {
            this.drive(cx);
            let now = this.now();
            this.down.arrive(now);
            let arrived = this.down.arrived();
            if !arrived.is_empty() {
                let read = arrived.len().min(buffer.remaining());
                buffer.put_slice(&arrived[..read]);
                this.down.take(read);
                return Poll::Ready(Ok(()));
            }
            let Some(due) = this.down.next_due() else {
                // Nothing is under way.
                if let Some(ended) = this.ended() {
                    return Poll::Ready(ended);
                }
                this.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            ready!(poll_until(&mut this.down_timer, this.began + due, cx));
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Shaped<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        // Else HTTP/1.1 would copy a whole body into one buffer before the first byte of it is written.
        true
    }

    /// Waits for nothing, as with a socket: what was written leaves by itself. HTTP/2 reads nothing while it has to flush.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.drive(cx);
        match &this.broken {
            Some(error) => Poll::Ready(Err(copy_of(error))),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.writer = None;
        this.drive(cx);
        // A service that has ended its own direction answers nothing more. Waiting would keep an idle connection that it
        // closed from being seen as closed: TLS still has its farewell to send.
        if this.end.is_some() {
            this.up.clear();
        }
        // The end itself takes no time on the line: nothing waits for it but the service's own cleaning up.
        if !this.up.is_empty() {
            this.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// Whether this instant has come; if not, the task is woken when it has.
fn poll_until(timer: &mut Pin<Box<Sleep>>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
    // Setting it anew costs more than asking for the time that it has.
    if timer.deadline() != at {
        timer.as_mut().reset(at);
    }
    timer.as_mut().poll(cx)
}

/// Wakes the task that waits, if one does.
fn wake(waiting: &mut Option<Waker>) {
    if let Some(task) = waiting.take() {
        task.wake();
    }
}

/// The same error again: it stands for every write from then on.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::join;

    use super::*;

    /// More than any test has under way, so that the real stream is never full.
    const ROOMY: usize = 1 << 20;

    /// A client's end behind this network, the service's end, and when they were connected.
    struct Ends {
        client: Shaped<DuplexStream>,
        service: DuplexStream,
        began: Instant,
    }

    fn ends(network: &str, buffer: usize) -> Ends {
        let network: Network = network.parse().expect(network);
        let (client, service) = duplex(buffer);
        let client = Shaped::new(client, &network, 0);
        let began = client.began;
        Ends { client, service, began }
    }

    /// Milliseconds since then, by the clock of the runtime, which the tests let stand still until a timer rings.
    fn ms_since(began: Instant) -> u128 {
        began.elapsed().as_millis()
    }

    /// Bytes of which no two neighbouring segments are the same.
    fn bytes(n: usize) -> Vec<u8> {
        (0..n).map(|n| (n % 251) as u8).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn connecting_takes_a_round_trip() {
        let network: Network = "slow-3g".parse().expect("is one");
        let (client, _service) = duplex(ROOMY);
        let before = Instant::now();
        Shaped::connected(client, &network, 0).await;
        assert_eq!(ms_since(before), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_and_its_answer_take_what_the_line_takes() {
        let Ends { mut client, mut service, began } = ends("slow-3g", ROOMY);
        let sent = bytes(50_000);
        let answered = async {
            client.write_all(&sent).await.expect("is written");
            // From now on the client only waits: what it wrote leaves all the same.
            let mut answer = [0; 5000];
            client.read_exact(&mut answer).await.expect("is answered");
            ms_since(began)
        };
        let served = async {
            let mut received = vec![0; 50_000];
            service.read_exact(&mut received[..1]).await.expect("arrives");
            let first = ms_since(began);
            service.read_exact(&mut received[1..]).await.expect("arrives");
            assert!(received == sent);
            let last = ms_since(began);
            service.write_all(&[7; 5000]).await.expect("is written");
            [first, last]
        };
        let (answered, arrived) = join!(answered, served);
        // 1448 bytes take 28.96 ms at 400 kbit/s, 50,000 take 1 s, and 200 ms until they arrive.
        assert_eq!(arrived, [229, 1200]);
        // 5000 bytes take 0.1 s, and 200 ms until they arrive.
        assert_eq!(answered, 1500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_returns_when_there_is_room_again() {
        let Ends { mut client, service: _service, began } = ends("slow-3g", ROOMY);
        client.write_all(&[0; 86_036]).await.expect("is written");
        // As much as finds room (see `way`), at once.
        assert_eq!(ms_since(began), 0);
        client.write_all(&[0; 13_964]).await.expect("is written");
        // Ten segments of 1448 bytes have to arrive before: 10 * 28.96 + 200 = 489.6 ms.
        assert_eq!(ms_since(began), 490);
    }

    #[tokio::test(start_paused = true)]
    async fn flushing_waits_for_nothing() {
        let Ends { mut client, mut service, began } = ends("slow-3g", ROOMY);
        client.write_all(&[0; 1000]).await.expect("is written");
        client.flush().await.expect("is flushed");
        assert_eq!(ms_since(began), 0);
        assert!(service.read(&mut [0]).now_or_never().is_none(), "it has arrived already");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_service_sends_at_once_arrives_in_its_time() {
        let Ends { mut client, mut service, began } = ends("slow-3g", ROOMY);
        service.write_all(&[0; 5000]).await.expect("is written");
        client.read_exact(&mut [0; 5000]).await.expect("arrives");
        // The service knows of the connection at 200 ms; 100 ms to send, 200 ms to arrive.
        assert_eq!(ms_since(began), 500);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_arrives_half_a_round_trip_later() {
        let Ends { mut client, service, began } = ends("slow-3g", ROOMY);
        let ends = async {
            sleep(Duration::from_secs(1)).await;
            drop(service);
        };
        let mut buffer = [0; 10];
        let (read, ()) = join!(client.read(&mut buffer), ends);
        assert_eq!((read.expect("ends"), ms_since(began)), (0, 1200));
        // And stays the end.
        assert_eq!(client.read(&mut buffer).await.expect("ends"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_while_nobody_read_is_there_at_once() {
        let Ends { mut client, mut service, began } = ends("slow-3g", ROOMY);
        let mut buffer = [0; 10];
        assert!(client.read(&mut buffer).now_or_never().is_none());
        let sends = async {
            sleep(Duration::from_secs(1)).await;
            service.write_all(b"bye").await.expect("is written");
            drop(service);
        };
        // Half a round trip before it is read, so it has arrived by then.
        join!(sends, sleep(Duration::from_millis(1300)));
        assert_eq!(client.read(&mut buffer).now_or_never().expect("is there").expect("is read"), 3);
        assert_eq!(client.read(&mut buffer).now_or_never().expect("is there").expect("ends"), 0);
        assert_eq!(ms_since(began), 1300);
    }

    #[tokio::test(start_paused = true)]
    async fn shutting_down_waits_for_what_is_under_way() {
        let Ends { mut client, mut service, began } = ends("100ms,8mbit,8mbit", ROOMY);
        client.write_all(&[1; 1000]).await.expect("is written");
        let mut received = Vec::new();
        let (shut, read) = join!(client.shutdown(), service.read_to_end(&mut received));
        shut.expect("is shut down");
        // 1 ms to send, 50 ms to arrive.
        assert_eq!((read.expect("ends"), ms_since(began)), (1000, 51));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_hears_the_end_shuts_down_at_once() {
        let Ends { mut client, service, began } = ends("100ms,8mbit,8mbit", ROOMY);
        drop(service);
        assert_eq!(client.read(&mut [0; 10]).await.expect("ends"), 0);
        assert_eq!(ms_since(began), 100);
        // What it still says reaches nobody.
        client.write_all(b"farewell").await.expect("is written");
        client.shutdown().now_or_never().expect("waits for nothing").expect("is shut down");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_read_though_the_service_reads_no_more() {
        let Ends { mut client, mut service, began } = ends("100ms,8mbit,8mbit", ROOMY);
        client.write_all(&[0; 100_000]).await.expect("is written");
        service.write_all(b"refused").await.expect("is written");
        // From now on writing to it fails.
        drop(service);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("is read");
        assert_eq!((answer.as_slice(), ms_since(began)), (&b"refused"[..], 101));
        for _ in 0..2 {
            let error = client.write(&[0]).await.expect_err("nobody reads");
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        assert_eq!(client.flush().await.expect_err("nobody reads").kind(), io::ErrorKind::BrokenPipe);
    }

    /// A connection that was reset.
    struct Reset;

    impl AsyncRead for Reset {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }
    }

    impl AsyncWrite for Reset {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_is_told_at_once() {
        let network: Network = "slow-3g".parse().expect("is one");
        let mut client = Shaped::new(Reset, &network, 0);
        let error = client.read(&mut [0; 10]).now_or_never().expect("is told").expect_err("was reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        // The error is told once, and from then on it is the end.
        assert_eq!(client.read(&mut [0; 10]).await.expect("ends"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_keep_their_order_whatever_happens_to_them() {
        // A service that takes 1000 bytes at a time, and a line on which everything varies.
        let Ends { mut client, mut service, .. } = ends("20ms,100mbit,100mbit,10ms,5%", 1000);
        let sent = bytes(300_000);
        let answered = async {
            client.write_all(&sent).await.expect("is written");
            let mut answer = vec![0; 300_000];
            client.read_exact(&mut answer).await.expect("is answered");
            answer
        };
        let served = async {
            let mut received = vec![0; 300_000];
            service.read_exact(&mut received).await.expect("arrives");
            service.write_all(&received).await.expect("is written");
            received
        };
        let (answer, received) = join!(answered, served);
        assert!(received == sent && answer == sent);
    }

    #[tokio::test(start_paused = true)]
    async fn slices_are_written_in_their_order() {
        let Ends { mut client, mut service, .. } = ends("20ms,8mbit,8mbit", ROOMY);
        let slices = [IoSlice::new(b"one, "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert!(client.is_write_vectored());
        assert_eq!(client.write_vectored(&slices).await.expect("is written"), 8);
        let mut received = [0; 8];
        let mut nothing = [0];
        let reads = service.read_exact(&mut received);
        // The client has to be asked for something, or nobody moves its bytes; nothing ever comes.
        tokio::select! {
            read = reads => assert_eq!(read.expect("arrives"), 8),
            _ = client.read(&mut nothing) => panic!("nothing was sent"),
        }
        assert_eq!(&received, b"one, two");
    }
}
