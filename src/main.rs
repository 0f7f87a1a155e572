//! The command line: from arguments to a command, from its outcome to an exit code.
//!
//! A command returns its answer; only here is it printed. stdout gets the answer
//! and nothing else, stderr everything that is for people.

mod cli;
mod commands;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser};

use cli::failure::Failure;
use cli::{Answer, Options, exit_code, unprintable, write_json};
use commands::Command;

/// The help of a command. Without the empty line that clap has before the usage, the longest one
/// fits on a screen.
const HELP: &str = "{about-with-newline}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// BitTorrent, piece by piece: each step of the protocol as a command of its own.
#[derive(Parser)]
#[command(name = "piecemeal", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "The chapters go with the commands: `piecemeal stages` lists both, and\n`piecemeal chapter 4` prints one. For a client of your own, in any language:\n`piecemeal chapter your-own-client`.\n\nExample, with no network at all:\n  piecemeal decode d3:cow3:mooe"
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
            show_example(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = cli.command.run(&cli.options);
    let code = exit_code(&outcome);
    let printed = match &outcome {
        Ok(answer) => print_answer(answer, cli.options.json),
        Err(failure) => print_failure(failure, &cli.options),
    };
    match printed {
        // The reader of our output has closed it, as `head` does: end quietly.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(code),
        // It failed anyway and stderr says why, or the terminal has hung up and takes nothing.
        Err(_) if code > 0 => ExitCode::from(code),
        Err(error) => {
            let failure = unprintable(&error);
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::from(failure.code)
        }
        Ok(()) => ExitCode::from(code),
    }
}

/// The command line. Each snake_case command also goes by its kebab-case name.
///
/// Options that all commands take are listed once, in `piecemeal --help`. The help of
/// each command refers to them, and fits on a screen.
pub fn command_line() -> clap::Command {
    with_shared_options(Cli::command())
}

fn with_shared_options(mut cli: clap::Command) -> clap::Command {
    let shared: Vec<Arg> = cli
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .map(|arg| arg.clone().hide(true))
        .collect();
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let help = help.help("Print this (--json and so on: piecemeal --help)");
    for name in cli.get_subcommands().map(|sub| sub.get_name().to_owned()).collect::<Vec<_>>() {
        let kebab = name.replace('_', "-");
        cli = cli.mut_subcommand(&name, |sub| {
            let sub = if kebab == name { sub } else { sub.alias(kebab) };
            sub.disable_help_flag(true).help_template(HELP).args(&shared).arg(&help)
        });
    }
    cli
}

/// Parses the arguments.
///
/// If the first one is a command and all is well, the options of the others are never made: they,
/// and the code that makes them, would stay in memory for as long as the command runs.
fn parse() -> Result<Cli, clap::Error> {
    let first = std::env::args_os().nth(1);
    let alone = first.and_then(|name| Command::alone(name.to_str()?)).and_then(|command| {
        let cli = Options::augment_args(clap::Command::new("piecemeal")).subcommand(command);
        with_shared_options(cli).try_get_matches_from(std::env::args_os()).ok()
    });
    let matches = match alone {
        Some(matches) => matches,
        None => command_line().try_get_matches_from(std::env::args_os())?,
    };
    Cli::from_arg_matches(&matches)
}

/// Shows the example of the command whose arguments were wrong.
fn show_example(error: &clap::Error) {
    if !error.use_stderr()
        || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        return; // clap has printed the whole help, example included
    }
    let cli = command_line();
    if let Some(clap::error::ContextValue::String(word)) =
        error.get(clap::error::ContextKind::InvalidSubcommand)
    {
        let help = "help: a command comes first";
        let of_link = word
            .starts_with("magnet:")
            .then(|| format!("{help}: piecemeal magnet_download -o OUT 'LINK'"));
        let of_file =
            word.ends_with(".torrent").then(|| format!("{help}: piecemeal download -o OUT FILE"));
        of_link.or(of_file).into_iter().for_each(|help| drop(writeln!(io::stderr(), "\n{help}")));
    }
    let command =
        std::env::args_os().skip(1).find_map(|word| cli.find_subcommand(word)).unwrap_or(&cli);
    if let Some(example) = command.get_after_help() {
        let _ = writeln!(io::stderr(), "\n{example}");
    }
}

fn print_answer(answer: &Answer, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json && !answer.json.is_null() {
        write_json(&mut out, &answer.json)?;
        writeln!(out)?;
    } else if !json && !answer.text.is_empty() {
        writeln!(out, "{}", answer.text)?;
    }
    out.flush()
}

fn print_failure(failure: &Failure, options: &Options) -> io::Result<()> {
    let answer = failure.answer_text().filter(|_| !options.json);
    let answered = answer.map_or(Ok(()), |answer| writeln!(io::stdout(), "{answer}"));
    let mut err = io::stderr().lock();
    let (red, plain) = if options.color.wanted(io::stderr().is_terminal()) {
        ("\x1b[1;31m", "\x1b[0m")
    } else {
        ("", "")
    };
    // A closed stderr must not turn one error into another.
    let _ = writeln!(err, "{red}error:{plain} {failure}");
    if options.json && !failure.is_told() {
        writeln!(io::stdout(), "{}", cli::json_line(&failure.json()))?;
    }
    answered
}
