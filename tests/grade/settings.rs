//! `grade.toml`: what is wrong in it is named, with its place.

use super::classes::Class;
use super::scripts::STRINGS;

#[test]
fn each_mistake_is_named() {
    for (text, words) in [
        ("run = 'a\n", "line 1: "),
        ("run = 3", "run: expected a command in quotes, found 3"),
        ("run = ' '", "run: expected a command in quotes"),
        ("seconds = 0", "seconds: expected 1 to 86400, found 0"),
        ("seconds = -5", "seconds: expected 1 to 86400"),
        ("runs = 'x'", "runs: expected a table: [runs]"),
        ("[runs]\nada = 1", "runs.ada: expected a command"),
        ("[runs]\neve = 'x'", "runs.eve: no student has this name"),
        ("[builds]\neve = 'x'", "builds.eve: no student has this name"),
        ("seed = -1", "seed: expected a number from 0 on, found -1"),
        ("[weights]\n9.4 = 2", "weights: write \"9.4\" in quotes"),
        ("[weights]\n99 = 1", "weights: there is no check and no stage \"99\""),
        ("[weights]\n1 = -1", "weights.1: expected a number from 0 to 1000, found -1"),
        ("[weights]\n1 = nan", "weights.1: expected a number"),
        ("[hidden]\nchecks = ['1.1']", "until is missing"),
        ("[hidden]\nuntil = 'tomorrow'", "hidden.until: expected a day: 2027-01-31"),
        ("[hidden]\nuntil = 2027-01-31\nchecks = '1.1'", "hidden.checks: expected a list of ids"),
        ("[hidden]\nuntil = 2027-01-31\nchecks = [1.1]", "hidden.checks: expected ids in quotes"),
        ("[hidden]\nuntil = 2027-01-31\nids = []", "hidden: there is no setting \"ids\""),
        ("\u{1b}[31m = 1", "line 1: "),
    ] {
        let class = Class::new().student("ada", STRINGS).settings(text);
        let outcome = class.grade(&["--check", "1.1"]);
        assert!(outcome.code == Some(3) && outcome.stdout.is_empty(), "{text}: {outcome}");
        outcome.mentions("grade.toml: ").mentions(words);
        assert!(!outcome.err().contains('\u{1b}'), "{outcome}");
    }
}
