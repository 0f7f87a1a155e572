//! What languages print when a program dies of an error that nobody handled.

/// Words in a stack trace, or above it.
const SIGNS: [&str; 10] = [
    "Traceback (most recent call last)",
    "panicked at",
    "goroutine 1 [",
    "Exception in thread",
    "Unhandled exception",
    "Uncaught ",
    "Unhandled 'error' event",
    "Stack trace:",
    "CallStack (from",
    "terminate called",
];

/// Names of errors that no peer can cause: the program itself is wrong.
const MISTAKES: [&str; 17] = [
    "AttributeError",
    "IndexError",
    "KeyError",
    "NameError",
    "NoMethodError",
    "RecursionError",
    "ReferenceError",
    "RangeError",
    "TypeError",
    "UnboundLocalError",
    "struct.error",
    "IndexOutOfBounds",
    "NullPointerException",
    "index out of ",
    "nil pointer",
    "out of range for slice",
    "std::out_of_range",
];

/// Whether this text of stderr has a stack trace in it.
pub(super) fn is_trace(stderr: &str) -> bool {
    SIGNS.iter().any(|sign| stderr.contains(sign)) || stderr.lines().any(is_frame)
}

/// Whether these words name a mistake in the program, and not something that came to it.
pub(super) fn is_mistake(words: &str) -> bool {
    MISTAKES.iter().any(|mistake| words.contains(mistake))
}

/// Whether a line names a place in a program.
fn is_frame(line: &str) -> bool {
    let numbered = |place: &str| place.rsplit_once(':').filter(|(_, end)| is_number(end)).is_some();
    // Node ends with line and column: `at connect (client.js:4:13)`, `at client.js:4:13`.
    // Java has the line alone: `at Client.main(Client.java:4)`.
    let at = line.trim().strip_prefix("at ").filter(|_| line.starts_with([' ', '\t']));
    let at = at.is_some_and(|place| match place.strip_suffix(')') {
        Some(place) => numbered(place),
        None => place.rsplit_once(':').is_some_and(|(rest, end)| is_number(end) && numbered(rest)),
    });
    // Ruby: `client.rb:4:in 'connect'`.
    let ruby = line.split_once(":in ").is_some_and(|(place, _)| numbered(place));
    let node = line.strip_prefix("Node.js v").is_some_and(|version| version.starts_with(is_digit));
    at || ruby || node
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_digit)
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

/// Returns the place in the program that stderr names: where Python was last, or what Node and
/// compilers print before all else.
pub(super) fn place(stderr: &str) -> Option<String> {
    let python = stderr.lines().rev().find_map(|line| {
        let (file, rest) = line.trim().strip_prefix("File \"")?.split_once("\", line ")?;
        Some((file, rest.split(',').next()?))
    });
    let (file, line) = python.or_else(|| {
        stderr.lines().next()?.rsplit_once(':').filter(|(file, _)| !file.contains(' '))
    })?;
    let name = file.rsplit('/').next().filter(|_| is_number(line))?;
    Some(format!("{name}, line {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_of_each_language_are_told_from_sentences() {
        for trace in [
            "Traceback (most recent call last):\n  File \"c.py\", line 1\nKeyError: 'peers'",
            "Error: bad\n    at connect (/x/client.js:4:13)",
            "Error: bad\n    at /x/client.js:4:13",
            "node:events:497\n      throw er; // Unhandled 'error' event",
            "Node.js v22.3.0",
            "client.rb:9:in 'connect': undefined method (NoMethodError)",
            "\tfrom client.rb:12:in `<main>'",
            "PHP Fatal error:  Uncaught TypeError: strlen()\nStack trace:\n#0 {main}",
            "bencode: Prelude.head: empty list\nCallStack (from HasCallStack):",
            "terminate called after throwing an instance of 'std::out_of_range'",
            "java.io.EOFException\n\tat Client.main(Client.java:12)",
        ] {
            assert!(is_trace(trace), "{trace}");
        }
        for sentence in [
            "error: t.torrent: byte 31: the key \"a\" appears twice",
            "  at byte 31: a leading zero",
            "127.0.0.2:6881: connection refused",
            "in line 4: expected a number",
            "Node.js version 22 is needed",
            "no peer at 127.0.0.1:6881 answered in 5 s",
        ] {
            assert!(!is_trace(sentence), "{sentence}");
        }
    }

    #[test]
    fn the_place_of_an_error_is_found() {
        let python = "  File \"/x/client.py\", line 21\n    def f()\n           ^\nSyntaxError: expected ':'";
        assert_eq!(place(python), Some("client.py, line 21".to_owned()));
        assert_eq!(place("/x/client.js:3\nlet = ;\n"), Some("client.js, line 3".to_owned()));
        assert_eq!(place("error: no peer at 127.0.0.1:6881"), None);
        assert_eq!(place("usage: client COMMAND"), None);
    }
}
