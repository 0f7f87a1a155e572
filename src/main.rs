//! The command line: from arguments to a command, from its outcome to an exit code.
//!
//! A command returns its answer; only here is it printed. stdout gets the answer
//! and nothing else, stderr everything that is for people.

mod commands;
mod progress;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use commands::failure::Failure;
use commands::{Answer, Command, Options, json_line};

/// BitTorrent, piece by piece: each step of the protocol as a command of its own.
#[derive(Parser)]
#[command(name = "piecemeal", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Example, with no network at all:\n  piecemeal decode d3:cow3:mooe\n\nThe chapters in docs/ go with the commands, stage by stage."
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout, and a closed stdout is no error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = cli.command.run(&cli.options);
    let code = outcome.as_ref().err().map_or(0, |failure| failure.code);
    let printed = match &outcome {
        Ok(answer) => print_answer(answer, cli.options.json),
        Err(failure) => print_failure(failure, &cli.options),
    };
    match printed {
        // Whoever reads us has read enough, as `head` does: end quietly.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: the answer could not be printed: {error}");
            ExitCode::from(7)
        }
        Ok(()) => ExitCode::from(code),
    }
}

/// Parses the arguments. Each snake_case command also goes by its kebab-case name.
fn parse() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).filter(|name| name.contains('_')).collect();
    for name in names {
        let kebab = name.replace('_', "-");
        command = command.mut_subcommand(name, |sub| sub.alias(kebab));
    }
    Cli::from_arg_matches(&command.try_get_matches_from(std::env::args_os())?)
}

fn print_answer(answer: &Answer, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json_line(&answer.json))?;
    } else if !answer.text.is_empty() {
        writeln!(out, "{}", answer.text)?;
    }
    out.flush()
}

fn print_failure(failure: &Failure, options: &Options) -> io::Result<()> {
    let answer = failure.answer_text().filter(|_| !options.json);
    let answered = answer.map_or(Ok(()), |answer| writeln!(io::stdout(), "{answer}"));
    let mut err = io::stderr().lock();
    let (red, plain) = if options.color.wanted(io::stderr().is_terminal()) { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    // A closed stderr must not turn one error into another.
    let _ = writeln!(err, "{red}error:{plain} {failure}");
    if options.json {
        writeln!(io::stdout(), "{}", json_line(&failure.json()))?;
    }
    answered
}
