//! How well this system can keep submissions apart, and the command that does it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Class;
use crate::grade::outcome::End;
use crate::grade::process::{MAX_OUTPUT, Running};
use crate::s01_bencode::printable;

/// A user who owns nothing. Root's submissions run as this one.
const NOBODY: u32 = 65_534;

/// The home, and the place for temporary files, in a world of its own.
const HOME: &str = "/tmp/home";
const TEMPORARY: &str = "/tmp/tmp";

/// Variables of the teacher that name where a language is installed.
const KEPT: [&str; 7] =
    ["DOTNET_ROOT", "GOROOT", "JAVA_HOME", "NODE_PATH", "NVM_DIR", "PYENV_ROOT", "RUSTUP_HOME"];

/// How long a trial of the sandbox may take, on a machine whose cores are all busy.
const TRIAL: Duration = Duration::from_secs(60);

/// How submissions are kept apart.
#[derive(Debug, Default)]
pub struct Sandbox {
    /// Whether each has a world of its own.
    pub isolates: bool,
    /// The user who runs them, if it is another than ours.
    pub user: Option<u32>,
    /// What is not kept apart, a sentence each.
    pub lacks: Vec<String>,
    /// Our own program, where that user can reach it.
    program: PathBuf,
}

impl Sandbox {
    /// Tries what this system can do, the best first.
    pub fn find(class: &Class, base: &Path) -> Sandbox {
        open_to_all(base);
        let program = class.program.clone();
        let here = |user: Option<u32>| {
            let program = user.map_or(program.clone(), |_| reachable(&program, base));
            Sandbox { isolates: true, user, lacks: Vec::new(), program }
        };
        let mut why = "this system has no namespaces".to_owned();
        if cfg!(target_os = "linux") {
            if is_root() {
                match here(Some(NOBODY)).trial(class, &base.join("trial-nobody")) {
                    Ok(sandbox) => return sandbox,
                    Err(error) => why = error,
                }
            }
            match here(None).trial(class, &base.join("trial")) {
                Ok(mut sandbox) => {
                    if is_root() {
                        sandbox.lacks.push(format!(
                            "the submissions run as root, since the user nobody cannot run them ({why})"
                        ));
                    }
                    return sandbox;
                }
                Err(error) => why = error,
            }
        }
        Sandbox {
            isolates: false,
            user: None,
            lacks: vec![format!(
                "the submissions are not isolated ({why}): they see this machine's files, processes and network, with your rights; use a container, or a user of its own"
            )],
            program,
        }
    }

    /// Grades nothing, but all the way: it fails where a submission would.
    fn trial(self, class: &Class, place: &Path) -> Result<Sandbox, String> {
        let made = make_place(place)
            .and_then(|()| std::fs::create_dir(place.join("work")))
            .and_then(|()| self.give(place));
        made.map_err(|error| error.to_string())?;
        let mut command = self.command(class, place, "true");
        command.arg("--list");
        let first = command.get_program().display().to_string();
        let outcome = Running::start(command, String::new(), TRIAL, MAX_OUTPUT)
            .map_err(|error| format!("{first}: {error}"))?
            .finish();
        match outcome.end {
            End::Code(0) => Ok(self),
            _ => {
                let said: serde_json::Value =
                    serde_json::from_slice(&outcome.stdout).unwrap_or_default();
                let error = said.get("error").and_then(|error| error.as_str()).map(printable);
                // Without a word of our own, unshare or setpriv has said why on stderr.
                let words = error.or_else(|| outcome.last_words());
                Err(words.unwrap_or_else(|| "its trial ended without a word".to_owned()))
            }
        }
    }

    /// Gives a place to the user who runs the submission in it.
    ///
    /// # Errors
    /// If that is not allowed.
    pub fn give(&self, place: &Path) -> std::io::Result<()> {
        #[cfg(unix)]
        if let Some(user) = self.user {
            super::copy::give_to(place, user)?;
        }
        let _ = place;
        Ok(())
    }

    /// Returns the command that grades the submission at this place with all of its output as JSON.
    pub fn command(&self, class: &Class, place: &Path, run: &str) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(user) = self.user {
            let user = user.to_string();
            let dropped = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
            words.extend(dropped.map(OsString::from));
        }
        if self.isolates {
            let apart = "unshare --user --map-root-user --mount --net --ipc --uts --pid --fork --kill-child --mount-proc";
            words.extend(apart.split(' ').map(OsString::from));
        }
        words.push(self.program.clone().into());
        let (first, rest) = words.split_first().expect("our own program is among them");
        let mut command = Command::new(first);
        command.args(rest).args(["--json", "grade", "--place"]).arg(place);
        command.args([OsStr::new("--run"), OsStr::new(run)]);
        if self.isolates {
            command.arg("--isolated");
            for hidden in [Some(class.folder.clone()), Some(class.out.clone())] {
                let Some(hidden) = hidden.and_then(|path| path.canonicalize().ok()) else {
                    continue;
                };
                command.arg("--hide").arg(hidden);
            }
            if let Some(home) = std::env::home_dir() {
                command.arg("--home").arg(home);
            }
        }
        command.args(&class.chosen);
        self.environment(&mut command, place);
        command
    }

    fn environment(&self, command: &mut Command, place: &Path) {
        let (home, temporary) = if self.isolates {
            (PathBuf::from(HOME), PathBuf::from(TEMPORARY))
        } else {
            (place.join("home"), place.join("tmp"))
        };
        command.env_clear().env("HOME", home).env("TMPDIR", temporary).env("LANG", "C.UTF-8");
        for name in KEPT.into_iter().chain(["PATH"]) {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let rustup = std::env::home_dir().map(|home| home.join(".rustup"));
        if std::env::var_os("RUSTUP_HOME").is_none() {
            command.envs(rustup.filter(|path| path.is_dir()).map(|path| ("RUSTUP_HOME", path)));
        }
        command.current_dir("/");
    }
}

/// Makes the folder of a submission, and in it the point where its world begins.
///
/// # Errors
/// If the disk does not take it.
pub(super) fn make_place(place: &Path) -> std::io::Result<()> {
    std::fs::create_dir(place)?;
    std::fs::create_dir(place.join("space"))
}

/// Returns our own program at a place that every user can reach: root's home is closed.
fn reachable(program: &Path, base: &Path) -> PathBuf {
    let here = base.join("piecemeal");
    match std::fs::hard_link(program, &here).or_else(|_| std::fs::copy(program, &here).map(drop)) {
        Ok(()) => here,
        Err(_) => program.to_owned(),
    }
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

/// Lets every user pass through a folder to what is theirs in it, but not see what else is there.
fn open_to_all(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711));
    }
    let _ = folder;
}
