//! The file that outlives the process: the token set in its stored form, replaced as a whole at each change.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::{select, sync::oneshot, task};
use tower_auth_refresh::{
    Provider, Session,
    session::{Event, Events},
    token::{Generation, Stored, TokenSet},
};
use tracing::error;

use super::{config::BadConfig, token_file};

/// After what time a write that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Names the file in an error.
const KEY: &str = "store.path";

/// A file that nobody else writes: two processes must not share a refresh token.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    path: Arc<Path>,
}

/// What is not in the file yet.
#[derive(Clone, Copy)]
enum Change {
    Set(Generation),
    SignedOut,
}

impl Store {
    /// The store at `path`, and the token set in it where there is one.
    ///
    /// # Errors
    /// When the file is there and holds no token set that `provider` can use, or when the folder cannot be written. The
    /// file stays as it is.
    pub(crate) fn open(path: PathBuf, provider: &dyn Provider) -> Result<(Self, Option<TokenSet>), BadConfig> {
        let token = token_file::read(KEY, &path, provider)?;
        let store = Self { path: behind_links(path).into() };
        // A rotated token that cannot be stored is lost with the process: better to know it now.
        let probe = store.new_file().and_then(|(_, name)| fs::remove_file(name));
        probe.map_err(|error| BadConfig::new(KEY, format!("its folder cannot be written: {}", error.kind())))?;
        Ok((store, token))
    }

    /// Writes each change until `stop`, and then what has changed by then.
    ///
    /// # Errors
    /// When the last change could not be written.
    pub(crate) async fn follow<P: Provider>(
        self,
        session: Session<P>,
        mut events: Events,
        mut stop: oneshot::Receiver<()>,
    ) -> io::Result<()> {
        let mut unsaved = None;
        loop {
            select! {
                // What has changed before the stop is seen before it.
                biased;
                event = events.recv() => unsaved = match event {
                    Some(Event::TokenChanged { generation }) => Some(Change::Set(generation)),
                    Some(Event::SignedOut { .. }) => Some(Change::SignedOut),
                    Some(_) => continue,
                    None => return Ok(()),
                },
                _ = &mut stop => return self.save(&session, unsaved).await,
                () = pause(), if unsaved.is_some() => {}
            }
            match self.save(&session, unsaved).await {
                Ok(()) => unsaved = None,
                Err(error) => error!(%error, "the token set could not be stored; it will be tried again"),
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the rule is the library's")]
    async fn save<P: Provider>(&self, session: &Session<P>, unsaved: Option<Change>) -> io::Result<()> {
        let store = self.clone();
        let save: Box<dyn FnOnce() -> io::Result<()> + Send> = match unsaved {
            None => return Ok(()),
            Some(Change::SignedOut) => Box::new(move || store.remove()),
            Some(Change::Set(generation)) => {
                let token = session.token().await.map_err(io::Error::other)?;
                let json = Stored::new(token, generation).to_json().map_err(io::Error::other)?;
                Box::new(move || store.replace(&json))
            }
        };
        task::spawn_blocking(save).await?
    }

    /// Whoever reads the file, and whenever the machine stops, finds the old token set or the new one.
    #[allow(clippy::disallowed_methods, reason = "the token set is put into a store")]
    fn replace(&self, json: &SecretString) -> io::Result<()> {
        let (mut file, name) = self.new_file()?;
        file.write_all(json.expose_secret().as_bytes())?;
        file.sync_all()?;
        fs::rename(name, &self.path)?;
        self.sync_folder()
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.sync_folder(),
        }
    }

    /// A file beside the real one that nobody else can read. One that a killed process left behind goes first: a file that
    /// is opened instead of made could be somebody else's.
    fn new_file(&self) -> io::Result<(File, PathBuf)> {
        let mut name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(".new");
        let name = self.path.with_file_name(name);
        let _ = fs::remove_file(&name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok((options.open(&name)?, name))
    }

    /// Makes the new name last.
    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if cfg!(unix) { File::open(folder.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
    }
}

/// Where links lead, if only to a file that is not there yet: one that is replaced itself would leave the file behind it,
/// which may be the one that lasts, with a token that is spent. Those that lead in a circle could not be read.
fn behind_links(path: PathBuf) -> PathBuf {
    match fs::read_link(&path) {
        Ok(target) => behind_links(path.with_file_name(target)),
        Err(_) => path,
    }
}

#[allow(clippy::disallowed_methods, reason = "the rule is the library's")]
async fn pause() {
    tokio::time::sleep(AGAIN).await;
}
