//! A site's origin for the demo and the lab: a static server that answers as ordinary ones do, with validators, ranges and
//! connections that stay open.
//!
//! It is the plainest server that a browser accepts, because xtask has to compile quickly: a thread for each connection and
//! files read whole. It knows nothing of the mesh; what is put into documents is the caller's ([`Origin::documents`]).

mod answer;
mod content_type;
mod link;
mod request;

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use answer::Answer;
use link::Link;
use request::Request;

/// Bytes that are sent at a time: what a shared rate is shared out by.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long a connection may stay idle.
const IDLE: Duration = Duration::from_secs(60);

/// Changes a document before it is sent.
pub type Documents = Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
/// Hears of each request that has been answered.
pub type Heard = Box<dyn Fn(&Answered) + Send + Sync>;
/// Answers for paths that are no files: a status of 200 with this type and these bytes.
pub type Elsewhere = Box<dyn Fn(&str) -> Option<Found> + Send + Sync>;

/// What is answered for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The bytes.
    pub body: Vec<u8>,
    /// Their media type.
    pub kind: String,
    /// When they were last changed, where that is known.
    pub modified: Option<std::time::SystemTime>,
    /// What their `Cache-Control` is, in place of [`Origin::cache_control`].
    pub cache_control: Option<String>,
}

/// A request that has been answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Who asked.
    pub from: SocketAddr,
    /// The path, decoded, without the query.
    pub path: String,
    /// The status.
    pub status: u16,
    /// The media type.
    pub kind: String,
    /// Bytes of the body that were sent.
    pub bytes: u64,
}

/// How an origin answers.
pub struct Origin {
    /// The folder with the files.
    pub folder: PathBuf,
    /// How long each answer waits.
    pub delay: Duration,
    /// Bits a second for all answers together; none when nothing but the network holds them up.
    pub bits_per_second: Option<f64>,
    /// What assets' `Cache-Control` says; documents have `no-cache`, which has them asked for again and not sent again.
    pub cache_control: String,
    /// Changes documents, but for those asked for with the header [`PLAIN`].
    pub documents: Option<Documents>,
    /// Answers before the folder is looked at.
    pub elsewhere: Option<Elsewhere>,
    /// Hears of requests.
    pub heard: Option<Heard>,
}

/// What an origin with this folder has for the decoded path of a URL, as it is.
pub fn content(folder: &Path, path: &str) -> Option<Found> {
    answer::read(folder, path)
}

/// Undoes the percent-encoding of a path.
pub fn decoded(path: &str) -> String {
    request::decode(path)
}

/// A request with this header is answered with the document as it is in the folder.
pub const PLAIN: &str = "x-plain";

impl Origin {
    /// An origin that is near and quick.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            delay: Duration::ZERO,
            bits_per_second: None,
            cache_control: "public, max-age=3600".into(),
            documents: None,
            elsewhere: None,
            heard: None,
        }
    }

    /// Answers in the background until the process ends; returns where.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn serve(self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let server = Arc::new(Server { link: self.bits_per_second.map(Link::new), origin: self });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                // A visitor that goes away in the middle of an answer is nobody's business.
                thread::spawn(move || drop(server.converse(&stream)));
            }
        });
        Ok(address)
    }
}

struct Server {
    origin: Origin,
    link: Option<Link>,
}

impl Server {
    /// Answers the requests of one connection.
    fn converse(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_nodelay(true)?;
        let from = stream.peer_addr()?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader)? {
            thread::sleep(self.origin.delay);
            let answer = Answer::to(&request, &self.origin);
            let mut bytes = 0;
            let sent = self.send(&request, &answer, stream, &mut bytes);
            if let Some(heard) = &self.origin.heard {
                let (kind, status) = (answer.kind().to_owned(), answer.status.code());
                heard(&Answered { from, path: request.path, status, kind, bytes });
            }
            sent?;
        }
        Ok(())
    }

    fn send(
        &self,
        request: &Request,
        answer: &Answer,
        mut stream: &TcpStream,
        bytes: &mut u64,
    ) -> std::io::Result<()> {
        let mut head = answer.head().into_bytes();
        if request.method == "HEAD" {
            return stream.write_all(&head);
        }
        // The head goes with the first of the body: alone it would be a packet of its own.
        let (first, rest) = answer.body.split_at(answer.body.len().min(CHUNK_BYTES));
        let head_bytes = head.len();
        head.extend_from_slice(first);
        for chunk in std::iter::once(&head[..]).chain(rest.chunks(CHUNK_BYTES)) {
            if let Some(link) = &self.link {
                link.pass(chunk.len());
            }
            stream.write_all(chunk)?;
            *bytes += chunk.len() as u64;
        }
        *bytes -= head_bytes as u64;
        Ok(())
    }
}
