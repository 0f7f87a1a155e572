//! `make bench`: ours, a bare floor and the other clients that are installed, in
//! turn, on the same work.
//!
//! One program in many processes. What is measured is started by a small process
//! (`starter`), since a child's peak memory is never below that of the process that
//! forked it. What answers it (`seeder`, `relay`, `leecher`) is a process of its own,
//! so that its memory and its CPU time are nobody else's. All of them are this same
//! executable, with a role as its first argument.

#[cfg(unix)]
mod clients;
#[cfg(unix)]
mod content;
#[cfg(unix)]
mod downloads;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod floor;
#[cfg(unix)]
mod helper;
#[cfg(unix)]
mod leecher;
#[cfg(unix)]
mod machine;
#[cfg(unix)]
mod options;
#[cfg(unix)]
mod plot;
#[cfg(unix)]
mod queue;
#[cfg(unix)]
mod relay;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod role;
#[cfg(unix)]
mod seeder;
#[cfg(unix)]
mod seeding;
#[cfg(unix)]
mod starter;
#[cfg(unix)]
mod table;
#[cfg(unix)]
mod targets;
#[cfg(unix)]
mod tracker;
#[cfg(unix)]
mod usage;
#[cfg(unix)]
mod wire;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == helper::FLAG => role::play(rest),
        _ => bench(&arguments),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        // Said already, to whoever gave the role.
        Err(_) if arguments.first().is_some_and(|first| first == helper::FLAG) => {
            std::process::ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(unix))]
fn main() {
    println!(
        "The comparison needs a Unix: it reads what a process used by getrusage and from /proc."
    );
}

/// What may go wrong here ends a measurement or the program; nobody asks what it was.
#[cfg(unix)]
type Summary<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[cfg(unix)]
fn bench(arguments: &[String]) -> Summary<()> {
    let Some(options) = options::Options::parse(arguments)? else { return Ok(()) };
    let load = usage::load();
    let folder = machine::Folder::new()?;
    let (clients, missing) = clients::find();
    let mut table = table::Table::default();
    missing.into_iter().for_each(|note| table.note(note));
    eprintln!("data in {}", folder.path().display());

    downloads::run(&options, &clients, folder.path(), &mut table)?;
    files::run(&options, &clients, folder.path(), &mut table)?;
    seeding::run(&options, &clients, folder.path(), &mut table)?;
    queue::run(&options, &mut table)?;

    let about = machine::about(&options, &folder, &clients, &load);
    let report = report::markdown(&table, &about);
    println!("{report}");
    if options.is_whole() {
        report::write(&table, &report, &about)?;
    }
    Ok(())
}
