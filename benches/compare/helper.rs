//! A process of its own that runs this same executable with a role.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Summary;

/// The first argument of a process that plays a role.
pub const FLAG: &str = "--role";
/// What a line begins with that says what went wrong, in the place of an answer.
pub const TROUBLE: &str = "trouble: ";

/// A command that plays a role.
pub fn command(role: &str) -> Summary<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args([FLAG, role]);
    Ok(command)
}

/// Waits until whoever started this process closes its standard input.
pub fn until_stdin_ends() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// A process with a role that runs until this is dropped.
pub struct Helper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it.
    pub fn start(command: &mut Command) -> Summary<Helper> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("a helper without an output")?);
        Ok(Helper { child, input, output })
    }

    /// The next line that it says.
    pub fn line(&mut self) -> Summary<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("the other side gave up".into());
        }
        match line.strip_prefix(TROUBLE) {
            Some(trouble) => Err(trouble.trim_end().into()),
            None => Ok(line.trim_end().to_owned()),
        }
    }

    /// Tells it to go on, by closing its input.
    pub fn go_on(&mut self) {
        self.input = None;
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
