//! Help that fits on a screen, and an example at its end. (That the examples work is
//! shown beside a running lab, in `tests/lab/examples.rs`.)

use crate::support::{Run, commands};

/// A terminal of the usual size.
const LINES: usize = 24;
const COLUMNS: usize = 80;

fn help(name: &str) -> String {
    let outcome = Run::new([name, "--help"]).env("COLUMNS", &COLUMNS.to_string()).run();
    outcome.succeeds();
    outcome.out()
}

#[test]
fn the_help_of_every_command_fits_on_a_screen() {
    for name in commands() {
        let help = help(name);
        assert!(help.lines().count() <= LINES, "{} lines: {help}", help.lines().count());
        for line in help.lines() {
            assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
        }
    }
}

#[test]
fn every_help_says_what_each_argument_of_the_usage_is() {
    for name in commands() {
        let help = help(name);
        let usage = help.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or_default();
        let words: Vec<&str> = usage.split_whitespace().collect();
        let bare = |word: &str| word.trim_matches(['<', '>', '[', ']', '.']).to_owned();
        let (_, after) = help.split_once("\nArguments:\n").unwrap_or_default();
        let (arguments, _) = after.split_once("\n\n").unwrap_or_default();
        let told: Vec<String> = arguments
            .lines()
            .filter_map(|line| line.trim().split_once("  "))
            .map(|(argument, _)| bare(argument))
            .collect();
        // What follows an option is its value, and not an argument.
        let is_option = |word: &str| bare(word).starts_with("--output");
        for two in words.windows(2).filter(|two| two[1].contains(['<', '[']) && !is_option(two[0]))
        {
            let argument = bare(two[1]);
            let is_named = argument != "OPTIONS" && argument != "--";
            assert!(
                !is_named || told.contains(&argument),
                "{name}: {argument} has no line: {help}"
            );
        }
    }
}

#[test]
fn every_help_ends_with_an_example_of_the_command() {
    for name in commands() {
        let help = help(name);
        let (_, last) = help.trim_end().rsplit_once("\n\n").expect("a help has several paragraphs");
        let (title, example) = last.split_once('\n').unwrap_or_default();
        assert!(title.starts_with("Example") && title.ends_with(':'), "{name}: {last}");
        assert!(example.starts_with(&format!("  piecemeal {name}")), "{name}: {last}");
        assert!(example.lines().all(|line| line.starts_with("  ")), "{name}: {last}");
    }
}

#[test]
fn what_every_command_takes_is_explained_once() {
    let whole = Run::new(["--help"]).run().out();
    for option in ["--json", "--quiet", "--verbose", "--color", "--peer", "--timeout"] {
        assert!(whole.contains(option), "{option}: {whole}");
        assert!(!help("decode").contains(&format!("{option} ")) || option == "--json", "{option}");
    }
    for name in commands() {
        let own = help(name);
        let line = own
            .lines()
            .find(|line| line.trim_start().starts_with("-h, --help"))
            .unwrap_or_default();
        assert!(line.contains("piecemeal --help"), "{own}");
    }
}

#[test]
fn a_usage_error_ends_with_the_example_of_its_command() {
    for (words, example) in [
        (&["info"][..], "\n  piecemeal info lab/sample.torrent\n"),
        (&["--json", "magnet-parse"], "\n  piecemeal magnet_parse \\\n    'magnet:?"),
        (&["peers", "--timeout", "soon", "x"], "\n  piecemeal peers lab/sample.torrent\n"),
        (&["no_such_command"], "\n  piecemeal decode d3:cow3:mooe\n"),
    ] {
        let outcome = Run::new(words).run();
        assert!(outcome.code == Some(2) && outcome.err().contains(example), "{outcome}");
    }
}

#[test]
fn every_shell_gets_completions_that_name_all_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let outcome = Run::new(["completions", shell]).run();
        outcome.succeeds();
        let script = outcome.out();
        for name in commands() {
            assert!(script.contains(name), "{shell} does not know {name}");
        }
        assert!(
            script.contains("timeout") && script.contains("max-peers"),
            "{shell} does not know the options"
        );
    }
    let outcome = Run::new(["completions", "teletype"]).run();
    assert_eq!(outcome.code, Some(2), "{outcome}");
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_and_options() {
    let script = Run::new(["completions", "bash"]).run().out();
    let ask = |words: &str, at: usize| {
        let line = format!(
            "{script}\nCOMP_WORDS=({words})\nCOMP_CWORD={at}\n_piecemeal piecemeal '' ''\necho \"${{COMPREPLY[@]}}\""
        );
        let output = std::process::Command::new("bash").arg("-c").arg(line).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Ok(found) = ask("piecemeal magnet_", 1) else {
        return println!("skipped: there is no bash");
    };
    assert!(found.contains("magnet_info") && found.contains("magnet_download_piece"), "{found}");
}
