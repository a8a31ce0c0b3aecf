//! Last answers, kept for when the server is away. What is read back is believed by its signature alone.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::Digest;
use mainstay_plane::signing::PublicKey;
use serde_json::{Value, json};

use crate::output::instant;

/// By how much the clocks of server and caller may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The largest file that is read back, in bytes.
const FILE_MAX_BYTES: u64 = 4 << 20;

/// What holds while the server is away.
pub(super) enum Offline {
    /// The last answer.
    Holds(Value),
    /// What the policy says for this case, by the last answer, which is too old or of another change.
    FailMode {
        /// `allow`, `needs-approval` or `refuse`.
        mode: String,
        /// Why the answer itself does not hold.
        why: String,
    },
    /// There is nothing to go by.
    Nothing {
        /// Why.
        why: String,
    },
}

/// The last answers of one server.
pub(super) struct Cache<'a> {
    /// None: there is nowhere to keep anything.
    dir: Option<PathBuf>,
    /// The key that the caller gave.
    given: Option<&'a PublicKey>,
}

impl<'a> Cache<'a> {
    /// The answers of `server` below `state_dir`, or below the user's cache.
    pub(super) fn new(state_dir: Option<&Path>, server: &str, given: Option<&'a PublicKey>) -> Self {
        let variable = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let users = || {
            let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
            Some(cache.join("mainstay"))
        };
        let server = Digest::of(server.trim_end_matches('/').as_bytes()).to_string();
        let dir = state_dir.map(Path::to_owned).or_else(users);
        Self {
            dir: dir.map(|dir| dir.join("gate").join(server)),
            given,
        }
    }

    /// Keeps an answer, if it is signed by the key that is pinned; the first key seen is pinned where none is given. That
    /// there is nowhere to keep it is said, and no reason to fail.
    ///
    /// # Errors
    /// In words, if the answer is not signed by the pinned key: this is another server, or somebody between.
    pub(super) fn keep(&self, answer: &Value) -> Result<(), String> {
        let part = |key: &str| answer[key].as_str().unwrap_or_default();
        let (text, signature) = (part("statement"), part("signature"));
        let offered = PublicKey::parse(part("public_key")).ok_or("it names no key that it is signed by")?;
        let pinned = self.pinned();
        let key = pinned.as_ref().unwrap_or(&offered);
        if !key.verifies(text.as_bytes(), signature) {
            let told = match pinned {
                Some(_) => {
                    "it is not signed by the key that is pinned; if the server's key was changed on purpose, give the \
                            new one with --public-key, or remove it from the state directory"
                }
                None => "its signature is not of the key that it names",
            };
            return Err(told.to_owned());
        }
        let statement: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if statement != answer["answer"] {
            return Err("what it says is not what is signed".to_owned());
        }
        if let Err(error) = self.write(&statement, text, signature, &offered) {
            anstream::eprintln!("mainstay: the answer is not kept for when the server is away: {error}");
        }
        Ok(())
    }

    fn write(&self, statement: &Value, text: &str, signature: &str, key: &PublicKey) -> std::io::Result<()> {
        let Some(dir) = &self.dir else {
            return Err(std::io::Error::other(
                "there is no --state-dir, and no home directory",
            ));
        };
        std::fs::create_dir_all(dir)?;
        let pin = dir.join("key");
        if self.given.is_none() && !pin.exists() {
            write_whole(&pin, &key.to_string())?;
        }
        let kept = json!({"statement": text, "signature": signature});
        write_whole(&dir.join(name_of(&statement["request"])), &kept.to_string())
    }

    /// The key that is given or was kept.
    fn pinned(&self) -> Option<PublicKey> {
        self.given
            .cloned()
            .or_else(|| PublicKey::parse(&read(&self.dir.as_ref()?.join("key"))?))
    }

    /// What holds for a request at `now`.
    pub(super) fn offline(&self, request: &Value, now: Timestamp) -> Offline {
        let nothing = |why: &str| Offline::Nothing { why: why.to_owned() };
        let Some(kept) = self
            .dir
            .as_ref()
            .and_then(|dir| read(&dir.join(name_of(request))))
        else {
            return nothing("there is no last answer for this service and cell");
        };
        let Some(key) = self.pinned() else {
            return nothing("there is no key to verify the last answer by");
        };
        let Some(statement) = believed(&kept, &key) else {
            return nothing("the last answer that is kept was tampered with: it is not believed");
        };
        // A file that was moved is signed, and says of something else.
        if name_of(&statement["request"]) != name_of(request) {
            return nothing("the last answer that is kept is of another change: it is not believed");
        }
        let (at, until) = (instant(&statement, "at"), instant(&statement, "valid_until"));
        let soon = now.saturating_add(SKEW).unwrap_or(Timestamp::MAX);
        let fresh = at.is_some_and(|at| at <= soon) && until.is_some_and(|until| now < until);
        let same_version = statement["request"]["version"].as_str() == request["version"].as_str();
        let for_this = same_version || statement["for_version_only"] != true;
        let why = match (fresh, for_this) {
            (true, true) => return Offline::Holds(statement),
            (false, _) => "the last answer is too old",
            (true, false) => "the last answer is an approval of another version",
        };
        match statement["fail_mode"].as_str() {
            Some(mode) => Offline::FailMode {
                mode: mode.to_owned(),
                why: why.to_owned(),
            },
            None => nothing("the last answer says nothing for this case"),
        }
    }
}

/// The statement, if the key signed it.
fn believed(kept: &str, key: &PublicKey) -> Option<Value> {
    let kept: Value = serde_json::from_str(kept).ok()?;
    let text = kept["statement"].as_str()?;
    key.verifies(text.as_bytes(), kept["signature"].as_str()?)
        .then(|| serde_json::from_str(text).ok())?
}

/// The file of a request's last answer: by what decides about it, but for the version.
fn name_of(request: &Value) -> String {
    let parts =
        ["service", "cell", "tenant", "kind"].map(|key| request[key].as_str().unwrap_or_default().as_bytes());
    format!("{}.json", Digest::of_parts(&parts))
}

fn read(file: &Path) -> Option<String> {
    let length = std::fs::metadata(file).ok()?.len();
    (length <= FILE_MAX_BYTES).then(|| std::fs::read_to_string(file).ok())?
}

/// Whole or not at all: pipelines run side by side.
fn write_whole(file: &Path, text: &str) -> std::io::Result<()> {
    let beside = file.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, file)
}
