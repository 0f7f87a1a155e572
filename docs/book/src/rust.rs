//! Rust, as far as a reader's eye needs it: comments, strings, words.
//!
//! It follows rustfmt's output of code that compiles. What it cannot tell apart by the letters
//! alone (a type from a trait, a call from a name) it does not tell apart.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `//` to the end of the line, or `/* */`.
    Comment,
    /// `///` or `//!` to the end of the line.
    Doc,
    /// A string or a character, with its prefix.
    Text,
    /// A number.
    Number,
    /// A name or a keyword.
    Word,
    /// `'a`
    Lifetime,
    /// One character of anything else. `::` and `->` are two tokens each.
    Mark,
}

/// A token and where it is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'s> {
    /// What it is.
    pub kind: Kind,
    /// Its letters.
    pub text: &'s str,
    /// Where it begins.
    pub at: usize,
}

const KEYWORDS: &str = "as break const continue crate dyn else enum extern false fn for if impl in let loop \
    match mod move mut pub ref return self Self static struct super trait true type unsafe use where while";

/// Whether a word is Rust's own.
pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.split_whitespace().any(|keyword| keyword == word)
}

/// The keywords that say what a line is: what it defines, and where the flow goes. To color each
/// `self` and `let` as well would only make it louder.
const LANDMARKS: &str = "async break const continue else enum fn for if impl loop match mod return static \
    struct trait type while";

/// Whether a word is a keyword that an eye looks for.
pub fn is_landmark(word: &str) -> bool {
    LANDMARKS.split_whitespace().any(|landmark| landmark == word)
}

fn is_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The tokens of a text, without spaces.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = next(&source[at..], first);
        tokens.push(Token { kind, text: &source[at..at + length], at });
        at += length;
    }
    tokens
}

/// The kind and the length of the token at the start of a text.
fn next(rest: &str, first: char) -> (Kind, usize) {
    let line = rest.find('\n').unwrap_or(rest.len());
    if rest.starts_with("//") {
        let doc = rest.starts_with("//!") || rest.starts_with("///") && !rest.starts_with("////");
        return (if doc { Kind::Doc } else { Kind::Comment }, line);
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if let Some(length) = text(rest) {
        return (Kind::Text, length);
    }
    if first == '\'' {
        let word = rest[1..].find(|letter| !is_letter(letter)).map_or(rest.len(), |end| end + 1);
        return (Kind::Lifetime, word);
    }
    if first.is_ascii_digit() {
        return (Kind::Number, number(rest));
    }
    if is_letter(first) {
        return (Kind::Word, rest.find(|letter| !is_letter(letter)).unwrap_or(rest.len()));
    }
    (Kind::Mark, first.len_utf8())
}

/// The length of a number: `0x1f_u8`, `1.5`, but not the range in `1..5`.
fn number(rest: &str) -> usize {
    let whole = rest.find(|letter| !is_letter(letter)).unwrap_or(rest.len());
    let fraction = rest[whole..]
        .strip_prefix('.')
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    match fraction {
        Some(digits) => whole + 1 + digits.find(|c| !is_letter(c)).unwrap_or(digits.len()),
        None => whole,
    }
}

/// The length of a string or character literal, if one begins here.
fn text(rest: &str) -> Option<usize> {
    let body = ["br", "cr", "b", "c", "r"].iter().find_map(|prefix| {
        let body = rest.strip_prefix(prefix)?;
        let quoted =
            body.starts_with(['"', '#']) && (!body.starts_with('#') || prefix.ends_with('r'));
        (quoted || *prefix == "b" && body.starts_with('\''))
            .then_some((prefix.ends_with('r'), body))
    });
    let (raw, body) = body.unwrap_or((false, rest));
    let prefix = rest.len() - body.len();
    if raw {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let inside = body[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", &body[..hashes]);
        let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
        return Some(prefix + hashes + 1 + length);
    }
    if body.starts_with('\'') {
        return character(body).map(|length| prefix + length);
    }
    let mut escaped = false;
    let end = body.strip_prefix('"')?.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    });
    Some(end.map_or(rest.len(), |end| prefix + 1 + end + 1))
}

/// The length of `'c'`, `'\''` or `'\u{1f600}'`; a quote without an end begins a lifetime.
fn character(body: &str) -> Option<usize> {
    let mut letters = body.char_indices().skip(1);
    let (_, first) = letters.next()?;
    let (at, next) = letters.next()?;
    if first == '\\' {
        let from = at + next.len_utf8();
        return body[from..].find('\'').map(|end| from + end + 1);
    }
    (next == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(Kind, &str)> {
        tokens(source).into_iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn strings_characters_and_lifetimes_are_told_apart() {
        let source = r####"b"a\"b" r#"x"y"# 'c' '\'' '\u{1f}' b'\n' 'a &'static str"####;
        let texts: Vec<&str> = kinds(source)
            .into_iter()
            .filter(|(kind, _)| *kind == Kind::Text)
            .map(|(_, text)| text)
            .collect();
        assert_eq!(texts, [r#"b"a\"b""#, r##"r#"x"y"#"##, "'c'", r"'\''", r"'\u{1f}'", r"b'\n'"]);
        let lifetimes =
            kinds(source).into_iter().filter(|(kind, _)| *kind == Kind::Lifetime).count();
        assert_eq!(lifetimes, 2);
    }

    #[test]
    fn a_comment_ends_with_its_line_and_a_string_hides_one() {
        use Kind::{Comment, Doc, Mark, Number, Text, Word};
        assert_eq!(
            kinds("/// doc\nlet x = \"// no\"; // why\n1..2.5"),
            [
                (Doc, "/// doc"),
                (Word, "let"),
                (Word, "x"),
                (Mark, "="),
                (Text, "\"// no\""),
                (Mark, ";"),
                (Comment, "// why"),
                (Number, "1"),
                (Mark, "."),
                (Mark, "."),
                (Number, "2.5"),
            ]
        );
    }

    #[test]
    fn every_letter_is_in_a_token_or_a_space() {
        for source in ["'", "b'", "r#", "\"", "/*", "'é'", "é'a", "'\\", "0x", "//", "r\"é"] {
            let mut end = 0;
            for token in tokens(source) {
                assert!(source[end..token.at].trim().is_empty(), "{source:?}");
                end = token.at + token.text.len();
            }
            assert_eq!(end, source.len(), "{source:?}");
        }
    }
}
