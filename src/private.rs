//! A daemon for one command in this very process, on a socket of its own: what `haia ask`, `haia keys` and `haia check` use when none runs.
//!
//! The same actors on the same path as the real one, so that an answer does not depend on who gives it. But it tells nobody of an incident,
//! runs no job, and keeps nothing of what it saw: that is the real one's.

use crate::config::{Loaded, Options};
use crate::daemon::{self, Daemon, Launch, Listen};
use anyhow::{Context as _, anyhow};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the actors may take to start.
const START: Duration = Duration::from_secs(30);

/// A daemon on a thread of this process. It ends when dropped.
pub struct Private {
    folder: PathBuf,
    socket: PathBuf,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Private {
    /// Starts it.
    ///
    /// # Errors
    /// No folder for the socket, no thread, or the actors do not start.
    pub fn start(loaded: Loaded, options: Options) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("haia-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let socket = folder.join("haia.sock");
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (report, started) = mpsc::channel();
        let listen = Listen::Private(socket.clone());
        let thread = std::thread::Builder::new().name("private daemon".to_owned()).spawn(move || {
            daemon::block_on(async move {
                match Daemon::start(Launch { loaded, options, listen, amend: None }).await {
                    Err(error) => drop(report.send(Err(error))),
                    Ok(daemon) => {
                        let known = daemon.first_looks().await;
                        if report.send(Ok(known)).is_ok() {
                            let _ = stopped.await;
                        }
                        daemon.stop().await;
                    }
                }
            });
        })?;
        let private = Self { folder, socket, stop: Some(stop), thread: Some(thread) };
        started.recv_timeout(START).map_err(|_| anyhow!("the actors did not start within {} s", START.as_secs()))??;
        Ok(private)
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the private daemon crashed while it ended");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "the private daemon's folder was not removed");
        }
    }
}
