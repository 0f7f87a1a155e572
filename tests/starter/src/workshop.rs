//! The crate in which bodies are tried: the reference's stages 1 to N, with other bodies in some
//! of its functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::failure::{At, Failure, Result, fail};
use crate::list::Hole;
use crate::prefix::{make_prefix, names, read};
use crate::source::Source;

/// Files of a crate by their paths in it, `/` between folders.
pub type Files = BTreeMap<String, String>;

/// A folder with the reference, and a crate beside it that is the reference with changes.
pub struct Workshop {
    reference: PathBuf,
    crate_folder: PathBuf,
    target: PathBuf,
    build: PathBuf,
}

/// What came of a build.
#[derive(Debug)]
pub enum Built {
    /// The test programs, by target.
    Ready(BTreeMap<String, PathBuf>),
    /// The compiler's words.
    Broken(String),
}

impl Workshop {
    /// Makes the reference of stages 1 to `stage` in a folder. What cargo makes lies in `build`,
    /// so that several crates compile their dependencies once.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn open(root: &Path, stage: usize, folder: &Path, build: &Path) -> Result<Workshop> {
        fs::create_dir_all(folder).at(folder)?;
        let folder = folder.canonicalize().at(folder)?;
        let reference = folder.join("reference");
        make_prefix(root, stage, &reference)?;
        rename(&reference, &format!("piecemeal-stage-{stage:02}-check"))?;
        Ok(Workshop {
            crate_folder: folder.join("crate"),
            target: folder.join("target"),
            build: absolute(build)?,
            reference,
        })
    }

    /// Returns the folder with the unchanged reference.
    pub fn reference(&self) -> &Path {
        &self.reference
    }

    /// Returns the folder of the crate that is built: tests run in it.
    pub fn crate_folder(&self) -> &Path {
        &self.crate_folder
    }

    /// Returns the bodies of a hole in the reference, its own first.
    ///
    /// # Errors
    /// If one of its functions is not there.
    pub fn bodies(&self, hole: &Hole) -> Result<Vec<String>> {
        let source = Source::read(&self.reference, &hole.source())?;
        hole.paths().map(|path| source.body(path).map(str::to_owned)).collect()
    }

    /// Returns the reference's files with these holes' bodies in them.
    ///
    /// # Errors
    /// If one of the functions is not there.
    pub fn with<'h>(
        &self,
        holes: impl IntoIterator<Item = (&'h Hole, &'h [String])>,
    ) -> Result<Files> {
        let mut by_file: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        for (hole, bodies) in holes {
            let pairs = hole.paths().zip(bodies.iter().map(String::as_str));
            by_file.entry(hole.source()).or_default().extend(pairs);
        }
        let mut files = Files::new();
        for (file, bodies) in by_file {
            let text = Source::read(&self.reference, &file)?.with_bodies(bodies)?;
            files.insert(file, text);
        }
        Ok(files)
    }

    /// Returns the reference's files with these holes empty.
    ///
    /// # Errors
    /// If one of the functions is not there.
    pub fn emptied(&self, holes: &[&Hole]) -> Result<Files> {
        let mut bodies = Vec::new();
        for hole in holes {
            let source = Source::read(&self.reference, &hole.source())?;
            let empty = |path| hole.empty(source.find(path)?, "");
            bodies.push(hole.paths().map(empty).collect::<Result<Vec<String>>>()?);
        }
        self.with(holes.iter().copied().zip(bodies.iter().map(Vec::as_slice)))
    }

    /// Makes the crate the reference with these files instead of its own. A file that stays as
    /// it is is not written: cargo builds again only what has changed.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn fill(&self, changed: &Files) -> Result<()> {
        let mut wanted = files(&self.reference);
        wanted.extend(changed.keys().cloned());
        for file in files(&self.crate_folder).difference(&wanted) {
            if file != "Cargo.lock" {
                let path = self.crate_folder.join(file);
                fs::remove_file(&path).at(&path)?;
            }
        }
        for file in &wanted {
            let from = self.reference.join(file);
            let text = match changed.get(file) {
                Some(text) => text.clone().into_bytes(),
                None => fs::read(&from).at(&from)?,
            };
            let to = self.crate_folder.join(file);
            if fs::read(&to).ok().as_ref() != Some(&text) {
                fs::create_dir_all(to.parent().unwrap_or(&to)).at(&to)?;
                fs::write(&to, text).at(&to)?;
            }
        }
        Ok(())
    }

    /// Builds test programs of the crate: `s05_messages`, or `lib` for the unit tests.
    ///
    /// # Errors
    /// If cargo cannot be run, or fails for another reason than the code.
    pub fn build<'t>(&self, targets: impl IntoIterator<Item = &'t str>) -> Result<Built> {
        self.cargo(targets).run()
    }

    /// Returns the compiler's warnings in a build of these targets.
    ///
    /// # Errors
    /// If cargo cannot be run.
    pub fn warnings<'t>(&self, targets: impl IntoIterator<Item = &'t str>) -> Result<Vec<String>> {
        Ok(words(&self.cargo(targets).output()?, "warning"))
    }

    fn cargo<'t>(&self, targets: impl IntoIterator<Item = &'t str>) -> Cargo {
        let mut cargo = Cargo::new(&self.crate_folder, &self.target, &self.build);
        cargo.0.args(["test", "--no-run"]);
        for target in targets.into_iter().collect::<BTreeSet<_>>() {
            match target {
                "lib" => cargo.0.arg("--lib"),
                target => cargo.0.args(["--test", target]),
            };
        }
        cargo
    }
}

/// A cargo that says in JSON what it does.
pub struct Cargo(Command);

impl Cargo {
    /// Prepares cargo in a folder. `target` gets the programs; what is in between goes to `build`.
    pub fn new(folder: &Path, target: &Path, build: &Path) -> Cargo {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // Set on the child, since they may be set for us, and shared with others.
        cargo.env("CARGO_TARGET_DIR", target).env("CARGO_BUILD_BUILD_DIR", build);
        cargo.current_dir(folder).stdin(Stdio::null());
        Cargo(cargo)
    }

    /// Checks the library of a crate without making a program.
    ///
    /// # Errors
    /// As [`Workshop::build`].
    pub fn check(mut self) -> Result<Built> {
        self.0.args(["check", "--lib"]);
        self.run()
    }

    fn output(mut self) -> Result<Output> {
        self.0.args(["--quiet", "--message-format=json"]);
        self.0.output().map_err(|error| Failure(format!("cargo cannot be started: {error}")))
    }

    fn run(self) -> Result<Built> {
        let output = self.output()?;
        let mut programs = BTreeMap::new();
        for said in messages(&output) {
            if let Some(program) = said["executable"].as_str()
                && said["profile"]["test"] == true
            {
                let is_lib = said["target"]["kind"][0] != "test";
                let name =
                    if is_lib { "lib" } else { said["target"]["name"].as_str().unwrap_or("") };
                programs.insert(name.to_owned(), PathBuf::from(program));
            }
        }
        if output.status.success() {
            return Ok(Built::Ready(programs));
        }
        let errors = words(&output, "error");
        if !errors.is_empty() {
            return Ok(Built::Broken(errors.join("\n") + "\n"));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let hint = "\nIs this machine without a network? Once, with one: cargo fetch";
        let hint =
            if said.contains("ownload") || said.contains("resolve host") { hint } else { "" };
        fail(format!("cargo failed:\n{}{hint}", said.trim_end()))
    }
}

/// Returns what cargo says, message by message.
fn messages(output: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Returns the compiler's words of this level: "error" or "warning".
fn words(output: &Output, level: &str) -> Vec<String> {
    let said = messages(output).into_iter().filter(|said| said["message"]["level"] == level);
    said.filter_map(|said| Some(said["message"]["rendered"].as_str()?.to_owned())).collect()
}

/// Returns all files under a folder by their paths in it.
pub fn files(folder: &Path) -> BTreeSet<String> {
    fn add(folder: &Path, before: &str, found: &mut BTreeSet<String>) {
        for name in names(folder) {
            let path = folder.join(&name);
            if path.is_dir() {
                add(&path, &format!("{before}{name}/"), found);
            } else {
                found.insert(format!("{before}{name}"));
            }
        }
    }
    let mut found = BTreeSet::new();
    add(folder, "", &mut found);
    found
}

/// Gives a prefix a package name of its own: two packages of one name would overwrite each other
/// in a target folder that they share. The library and the program keep theirs. The name is to
/// begin with `piecemeal`: cargo sorts its lock file, and changes one that is in another order.
///
/// # Errors
/// If a file cannot be read or written.
pub fn rename(folder: &Path, package: &str) -> Result<()> {
    let manifest = folder.join("Cargo.toml");
    let text = read(&manifest)?
        .replacen("name = \"piecemeal\"", &format!("name = \"{package}\""), 1)
        .replacen("[lib]\n", "[lib]\nname = \"piecemeal\"\n", 1)
        // Without its body, a function leaves much unused, and the warnings would hide the task.
        .replacen(
            "[lints.rust]\n",
            "[lints.rust]\nunused = { level = \"allow\", priority = -1 }\n",
            1,
        )
        + "\n[[bin]]\nname = \"piecemeal\"\npath = \"src/main.rs\"\n";
    fs::write(&manifest, text).at(&manifest)?;
    let lock = folder.join("Cargo.lock");
    let text =
        read(&lock)?.replacen("name = \"piecemeal\"\n", &format!("name = \"{package}\"\n"), 1);
    fs::write(&lock, text).at(&lock)
}

/// Returns a path that holds from every folder.
///
/// # Errors
/// If there is no current folder.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).at(path)
}
