//! `piecemeal completions`: what a shell completes after `piecemeal`. (every stage)

use clap_complete::{Shell, generate};
use serde_json::json;

use crate::cli::exit_codes::OTHER;
use crate::cli::failure::Failure;
use crate::cli::{Answer, Options};

/// Print a completion script for your shell
#[derive(clap::Args)]
#[command(
    after_help = "Example, for bash, which loads it with `. ./piecemeal.bash`:\n  piecemeal completions bash > piecemeal.bash"
)]
pub struct Args {
    /// bash, zsh, fish, powershell or elvish
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    shell: Shell,
}

impl Args {
    pub fn run(self, _: &Options) -> Result<Answer, Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut crate::command_line(), "piecemeal", &mut script);
        let script = String::from_utf8(script).map_err(|error| Failure::new(OTHER, error))?;
        let text = script.trim_end().to_owned();
        Ok(Answer { json: json!({ "shell": self.shell.to_string(), "script": text }), text })
    }
}
