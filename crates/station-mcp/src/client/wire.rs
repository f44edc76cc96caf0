//! One JSON-RPC message per line over a server's streams: the transport that is given to rmcp.
//!
//! Ours, because three things must be exact that rmcp's own does not tell: whether a tool call was begun to be written
//! (only then is its outcome unknown), why a connection was given up, and that a probe which is answered after the
//! handshake has begun is not taken for the handshake's answer. Servers that print text on stdout are survived: what
//! is not JSON is passed over.

use super::messages::{BYTES_MAX, messages};
use super::stdio::Streams;
use super::traffic::{Traffic, effect_of};
use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio_util::sync::CancellationToken;

/// Lines without a message that may follow one another: a server that logs on stdout says a few per call, one that
/// floods its stdout says thousands per second and would take the whole runtime with it.
const NOISE_LINES_MAX: u64 = 10_000;

/// Bytes of such lines, for a server that floods with long ones.
const NOISE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// After so many lines without a message others get their turn, also where the pipe is never empty.
const NOISE_PER_TURN: u64 = 64;

/// The transport.
pub(super) struct Wire {
    server: String,
    input: Lines,
    noise: Noise,
    /// Messages of a batch that were read and not yet handed out.
    ready: VecDeque<ServerJsonRpcMessage>,
    output: Arc<tokio::sync::Mutex<Option<ChildStdin>>>,
    /// Ends a write that hangs, so that closing never waits for a server that does not read.
    closing: CancellationToken,
    traffic: Arc<Traffic>,
    probes: Probes,
}

/// The requests of `server/discover`, and whether rmcp has gone on to the handshake without their answer.
#[derive(Default)]
struct Probes {
    ids: Vec<RequestId>,
    over: bool,
}

impl Wire {
    pub(super) fn new(server: &str, streams: Streams, traffic: Arc<Traffic>) -> Self {
        Self {
            server: server.to_owned(),
            input: Lines { pipe: BufReader::new(streams.stdout), line: Vec::new() },
            noise: Noise::default(),
            ready: VecDeque::new(),
            output: Arc::new(tokio::sync::Mutex::new(Some(streams.stdin))),
            closing: CancellationToken::new(),
            traffic,
            probes: Probes::default(),
        }
    }
}

impl Probes {
    fn note(&mut self, message: &ClientJsonRpcMessage) {
        if let JsonRpcMessage::Request(request) = message {
            match request.request {
                ClientRequest::DiscoverRequest(_) => self.ids.push(request.id.clone()),
                ClientRequest::InitializeRequest(_) => self.over = true,
                _ => {}
            }
        }
    }

    /// Whether this is the answer to a probe that nobody waits for any more.
    fn is_late(&self, message: &ServerJsonRpcMessage) -> bool {
        let id = match message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        self.over && id.is_some_and(|id| self.ids.contains(id))
    }
}

impl Transport<RoleClient> for Wire {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.probes.note(&message);
        self.traffic.note_token(&message);
        let effect = effect_of(&message);
        let line = serde_json::to_vec(&message).map_err(io::Error::from);
        let (output, closing, traffic) =
            (Arc::clone(&self.output), self.closing.clone(), Arc::clone(&self.traffic));
        async move {
            let mut line = line?;
            line.push(b'\n');
            let write = async {
                let mut output = output.lock().await;
                let output = output.as_mut().ok_or(io::ErrorKind::NotConnected)?;
                write(output, &line, effect.as_deref(), &traffic).await
            };
            let done = tokio::select! {
                done = write => done,
                () = closing.cancelled() => Err(io::ErrorKind::NotConnected.into()),
            };
            traffic.note_sent(&message);
            done
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            while let Some(message) = self.ready.pop_front() {
                if !self.probes.is_late(&message) && self.traffic.heeds(&message) {
                    return Some(message);
                }
            }
            match self.input.next().await {
                Ok(Some(line)) => {
                    self.ready.extend(messages(&line, &self.traffic));
                    if !self.noise.hear(&line, !self.ready.is_empty()) {
                        let sentence = "floods its stdout with what is no message of the protocol";
                        self.traffic.give_up(sentence.to_owned());
                        tracing::warn!(server = %self.server, sentence, "the connection to a server is given up");
                        return None;
                    }
                    if self.noise.is_turn() {
                        tokio::task::yield_now().await;
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        let limit = BYTES_MAX / (1024 * 1024);
                        self.traffic.give_up(format!("sent a line longer than {limit} MiB"));
                    }
                    tracing::warn!(server = %self.server, %error, "the connection to a server is given up");
                    return None;
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.closing.cancel();
        // Dropping it is what the server sees as the end of its stdin.
        drop(self.output.lock().await.take());
        Ok(())
    }
}

/// Writes a line, telling the traffic the moment from which a call may have reached the server.
async fn write(
    output: &mut ChildStdin,
    line: &[u8],
    effect: Option<&str>,
    traffic: &Traffic,
) -> io::Result<()> {
    let mut beginning = match effect {
        Some(effect) if !traffic.begin(effect) => {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the call was withdrawn"));
        }
        effect => Beginning { traffic, effect },
    };
    let first = output.write(line).await?;
    if first == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    beginning.effect = None;
    output.write_all(&line[first..]).await?;
    output.flush().await
}

/// A line of which nothing is written yet: if it comes to nothing, by an error or because it is given up, the call was
/// not sent.
struct Beginning<'a> {
    traffic: &'a Traffic,
    effect: Option<&'a str>,
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if let Some(effect) = self.effect {
            self.traffic.unbegin(effect);
        }
    }
}

/// The lines of a server's stdout.
struct Lines {
    pipe: BufReader<ChildStdout>,
    /// The line being read. Here and not in `next`, because rmcp drops that future whenever it has something to send.
    line: Vec<u8>,
}

impl Lines {
    /// The next line, `None` at the end; `InvalidData` if it is longer than allowed. Safe to cancel.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let piece = self.pipe.fill_buf().await?;
            if piece.is_empty() {
                // A last message without its newline is a message all the same.
                return Ok((!self.line.is_empty()).then(|| std::mem::take(&mut self.line)));
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(piece.len(), |end| end + 1);
            if self.line.len() + taken > BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
            }
            self.line.extend_from_slice(&piece[..taken]);
            self.pipe.consume(taken);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
        }
    }
}

/// What was heard since the last message.
#[derive(Default)]
struct Noise {
    lines: u64,
    bytes: u64,
}

impl Noise {
    /// Counts a line. Whether the connection may go on.
    fn hear(&mut self, line: &[u8], is_message: bool) -> bool {
        if is_message {
            *self = Self::default();
            return true;
        }
        self.lines += 1;
        self.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.lines <= NOISE_LINES_MAX && self.bytes <= NOISE_BYTES_MAX
    }

    fn is_turn(&self) -> bool {
        self.lines % NOISE_PER_TURN == NOISE_PER_TURN - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_survived_and_a_flood_is_not() {
        let mut noise = Noise::default();
        assert!((0..NOISE_LINES_MAX).all(|_| noise.hear(b"y\n", false)));
        assert!(noise.hear(b"{}", true), "a message begins it anew");
        assert!((0..NOISE_LINES_MAX).all(|_| noise.hear(b"y\n", false)));
        assert!(!noise.hear(b"y\n", false));
        let long = vec![b'y'; 1024 * 1024];
        let mut noise = Noise::default();
        assert!((0..16).all(|_| noise.hear(&long, false)));
        assert!(!noise.hear(&long, false));
    }

    #[test]
    fn a_late_answer_to_a_probe_is_passed_over() {
        let answer: ServerJsonRpcMessage =
            serde_json::from_str(r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"?"}}"#)
                .unwrap();
        for (ids, over, late) in [(vec![0], true, true), (vec![0], false, false), (vec![1], true, false)] {
            let probes = Probes { ids: ids.into_iter().map(RequestId::Number).collect(), over };
            assert_eq!(probes.is_late(&answer), late);
        }
    }
}
