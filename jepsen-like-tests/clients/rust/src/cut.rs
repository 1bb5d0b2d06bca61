//! A way to the server that can be cut: every connection ends at once, and new ones are accepted.
//!
//! Must not know: what goes over it.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Connections that are passed on.
#[derive(Debug)]
pub(crate) struct Cut {
    endpoint: String,
    open: Arc<Mutex<Vec<JoinHandle<()>>>>,
    door: JoinHandle<()>,
}

impl Cut {
    /// Passes on to `to`, `host:port`.
    pub(crate) async fn new(to: &str) -> std::io::Result<Self> {
        let door = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = door.local_addr()?.to_string();
        let open = Arc::new(Mutex::new(Vec::new()));
        let (to, all) = (to.to_owned(), Arc::clone(&open));
        let door = tokio::spawn(async move {
            while let Ok((mut client, _)) = door.accept().await {
                let to = to.clone();
                let one = tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        // It ends with either side, or by the cut.
                        let _ended = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
                all.lock().expect("nothing panics under it").push(one);
            }
        });
        Ok(Self { endpoint, open, door })
    }

    /// Where a client connects to.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        for one in self.open.lock().expect("nothing panics under it").drain(..) {
            one.abort();
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.door.abort();
        self.cut();
    }
}
