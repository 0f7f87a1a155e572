//! `make bench-dht`: a network of a thousand nodes on loopback, with silent ones and liars, and what
//! lookups cost in it, ours and libtorrent's; a node at rest and under load; and how lookups grow
//! with the network, in memory and virtual time.

#[cfg(target_os = "linux")]
mod growth;
#[cfg(target_os = "linux")]
mod libtorrent;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod lookups;
#[cfg(target_os = "linux")]
mod nodes;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod plot;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod rig;
#[cfg(target_os = "linux")]
#[path = "../compare/usage.rs"]
mod usage;

#[cfg(target_os = "linux")]
const HELP: &str = "\
cargo bench --locked --bench dht -- [--runs N] [--only PART]...

  --runs N      lookups of each client in each network [default: 20]
  --only PART   only a part with this in its name: lookups, libtorrent, growth, rest, load, table;
                then no file in docs/ is written";

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match bench() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("The figures of the DHT need Linux: a thousand loopback addresses, and /proc.");
}

/// What may go wrong here ends the program; nobody asks what it was.
#[cfg(target_os = "linux")]
type Summary<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[cfg(target_os = "linux")]
fn bench() -> Summary<()> {
    let options = options::Options::parse(std::env::args().skip(1), HELP, 20)?;
    let Some(options) = options else { return Ok(()) };
    let (load, libtorrent) = (usage::load(), libtorrent::find());
    let folder = tempfile::Builder::new().prefix("piecemeal-dht-").tempdir()?;
    let mut figures = report::Figures::default();
    if libtorrent.is_none() {
        figures.notes.push("libtorrent is not installed (tests/interop/install.sh).".into());
    }
    for (name, mix) in lookups::MIXES {
        eprintln!("{name}:");
        if options.wants("lookups") {
            for (client, is_warm) in [("piecemeal, cold", false), ("piecemeal, warm", true)] {
                let lookups = lookups::ours(client, mix, is_warm, options.runs)?;
                figures.lookups.push((name, client.into(), lookups));
            }
        }
        if let (true, Some((python, _))) = (options.wants("libtorrent"), &libtorrent) {
            let lookups = lookups::libtorrent(python, mix, options.runs)?;
            figures.lookups.push((name, "libtorrent".into(), lookups));
        }
    }
    if options.wants("growth") {
        figures.growth = growth::run();
    }
    if options.wants("table") {
        figures.from_table = load::from_table(folder.path(), options.runs)?;
    }
    if options.wants("load") {
        figures.asked = Some(load::asked()?);
        figures.garbage = Some(load::garbage()?);
    }
    if options.wants("rest") {
        figures.at_rest = Some(load::at_rest(folder.path())?);
    }
    let version = libtorrent.map_or("no libtorrent".into(), |(_, v)| format!("libtorrent {v}"));
    let report = report::markdown(&figures, &report::about(&load, &version));
    println!("{report}");
    if options.is_whole() {
        report::write(&figures, &report)?;
    }
    Ok(())
}
