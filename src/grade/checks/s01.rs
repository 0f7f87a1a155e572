//! Stage 1: `decode VALUE` prints a bencoded value as JSON.

use std::ffi::OsStr;

use serde_json::{Value, json};

use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure, worst};
use crate::grade::outcome::{End, Outcome};
use crate::grade::scene::Scene;
use crate::s01_bencode::printable;

const BENCODING: &str = "BEP 3, bencoding";

/// How many lists are opened: Windows does not take a longer argument.
const DEPTH: usize = if cfg!(windows) { 30_000 } else { 100_000 };

/// The checks of stage 1.
pub const CHECKS: &[Check] = &[
    Check::new("1.1", "strings: some letters, none, a colon among them", BENCODING, strings)
        .twin("decode bencoded strings"),
    Check::new("1.2", "integers: 0, positive, negative, over 32 bits", BENCODING, integers)
        .twin("decode bencoded integers"),
    Check::new("1.3", "lists: empty, of both kinds, nested", BENCODING, lists)
        .twin("decode bencoded lists"),
    Check::new("1.4", "dictionaries: empty, with several keys, nested", BENCODING, dictionaries)
        .twin("decode bencoded dictionaries"),
    #[cfg(unix)]
    Check::new("1.5", "bytes that are no text are shown in hex", BENCODING, bytes_in_hex),
    Check::new("1.6", "an integer with a leading zero is refused", BENCODING, leading_zeros)
        .refusal("1.2"),
    Check::new("1.7", "a negative zero is refused", BENCODING, negative_zeros).refusal("1.2"),
    Check::new("1.8", "a string that ends too early is refused", BENCODING, cut_strings)
        .refusal("1.1"),
    Check::new("1.9", "a list or a dictionary without its end is refused", BENCODING, unclosed)
        .refusal("1.3"),
    Check::new("1.10", "bytes after the value are refused", BENCODING, trailing).refusal("1.2"),
    Check::new("1.11", "a string that claims 100 GB is refused", BENCODING, giant_strings)
        .refusal("1.1"),
    Check::new("1.12", "a key that appears twice is refused", BENCODING, keys_twice).refusal("1.4"),
    Check::new("1.13", "a key that is an integer is refused", BENCODING, integer_keys)
        .refusal("1.4"),
    Check::new("1.14", "100,000 lists inside each other are refused", BENCODING, deep_lists)
        .refusal("1.3"),
    Check::new("1.15", "what is no integer is refused: ie, i 5e, i+5e", BENCODING, no_integers)
        .refusal("1.2"),
    Check::new("1.16", "an integer of 65 bits is exact, or refused", BENCODING, huge_integers)
        .refusal("1.2"),
    Check::new("1.17", "what is no length is refused: -3:abc, 3abc", BENCODING, no_lengths)
        .refusal("1.1"),
    Check::new("1.18", "a length counts bytes, not characters", BENCODING, lengths_in_bytes),
    Check::new("1.19", "a key without a value is refused", BENCODING, keys_alone).refusal("1.4"),
    Check::new("1.20", "quotes and line ends stay valid JSON", "RFC 8259, strings", quotes),
];

fn strings(scene: &mut Scene) -> Finding {
    let length = scene.dice.length(3, 12);
    let word = scene.dice.word(length);
    decodes(scene, &json!(word))?;
    decodes(scene, &json!(""))?;
    decodes(scene, &json!(format!("{word}:{word}"))).map_err(|miss| {
        miss.likely("only the first colon ends the length; a later one belongs to the text")
    })
}

fn integers(scene: &mut Scene) -> Finding {
    let small = scene.dice.number(10, 99_999);
    let large = scene.dice.number(1 << 33, 1 << 45) | 1;
    decodes(scene, &json!(0))?;
    decodes(scene, &json!(small))?;
    decodes(scene, &json!(-(small as i64)))?;
    for number in [large as i64, -(large as i64)] {
        decodes(scene, &json!(number)).map_err(|miss| {
            miss.likely("it needs an integer of 64 bits: files may be larger than 4 GiB")
        })?;
    }
    Ok(())
}

fn lists(scene: &mut Scene) -> Finding {
    let (word, number) = (scene.dice.word(6), scene.dice.number(1, 999));
    // Letters that would begin or end something else, if they were not in a string.
    let letters = *scene.dice.one_of(&["lie", "idle", "eel", "die", "deed", "ie"]);
    decodes(scene, &json!([]))?;
    decodes(scene, &json!([word, number]))?;
    decodes(scene, &json!([letters, number, "e"])).map_err(|miss| {
        miss.likely("an `e` or an `i` inside a string means nothing: skip the string by its length")
    })?;
    decodes(scene, &json!([[], [[number], word], number]))
}

fn dictionaries(scene: &mut Scene) -> Finding {
    let (word, number) = (scene.dice.word(6), scene.dice.number(1, 999));
    let (first, second) = (format!("a{word}"), format!("b{word}"));
    decodes(scene, &json!({}))?;
    decodes(scene, &json!({ &*first: number, &*second: word }))?;
    // Keys that a language may take for numbers, or for a part of its own.
    decodes(scene, &json!({ "10": number, "2": word, "__proto__": number }))?;
    decodes(scene, &json!({ "e": { &*first: [word, { "l": number }], &*second: {} }, "i": "e" }))
}

#[cfg(unix)]
fn bytes_in_hex(scene: &mut Scene) -> Finding {
    let mut bytes = scene.dice.bytes(6);
    bytes.retain(|byte| *byte != 0); // which no argument can have
    bytes.insert(0, 0xff); // which no UTF-8 has
    let word = scene.dice.word(4);
    let string = [format!("{}:", bytes.len()).as_bytes(), &bytes].concat();
    let list = [b"l", &string[..], b"4:", word.as_bytes(), b"e"].concat();
    let object = json!({ "$hex": hex::encode(&bytes) });
    for (value, expected) in [(string, object.clone()), (list, json!([object, word]))] {
        let value: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(&value);
        let outcome = scene.run(&[OsStr::new("decode"), value])?;
        shows(&outcome, &expected).map_err(|miss| {
            miss.likely(
                "a bencoded string is bytes: what is not UTF-8 is shown as {\"$hex\":\"…\"}; if only ef bf bd comes, your language has spoilt the argument: get it as bytes",
            )
        })?;
    }
    Ok(())
}

fn leading_zeros(scene: &mut Scene) -> Finding {
    let number = scene.dice.number(1, 999);
    let values = [format!("i0{number}e"), "i00e".to_owned(), format!("i-0{number}e")];
    refused(scene, &values, ONE_SPELLING)
}

/// Why a second spelling is an error.
const ONE_SPELLING: &str = "every value has one spelling; with two, one torrent would have two \
                            info hashes";

fn negative_zeros(scene: &mut Scene) -> Finding {
    refused(scene, &["i-0e".to_owned()], ONE_SPELLING)
}

fn cut_strings(scene: &mut Scene) -> Finding {
    let (length, word) = (scene.dice.length(2, 6), scene.dice.word(9));
    let values = [format!("9:{}", &word[..length]), format!("9:{}", &word[..8]), "9:".to_owned()];
    let cause = "compare the length with what is left: slices of some languages end silently at \
                 the end";
    refused(scene, &values, cause)
}

fn unclosed(scene: &mut Scene) -> Finding {
    let (number, word) = (scene.dice.number(1, 999), scene.dice.word(3));
    let values = [
        format!("li{number}e"),
        "l".to_owned(),
        format!("d3:{word}i{number}e"),
        format!("lli{number}ee"),
        format!("i{number}"),
    ];
    refused(scene, &values, "the input ended before the `e` that closes what was opened")
}

fn trailing(scene: &mut Scene) -> Finding {
    let (number, word) = (scene.dice.number(1, 999), scene.dice.word(3));
    let values = [format!("i{number}ei2e"), format!("3:{word}x"), format!("lee{number}")];
    refused(scene, &values, "after the value, check that all of the input is used")
}

fn giant_strings(scene: &mut Scene) -> Finding {
    let length = scene.dice.number(90_000_000_000, 99_999_999_999);
    let cause = "check the length against what is left before memory is reserved for it";
    refused(scene, &[format!("{length}:a")], cause)
}

fn keys_twice(scene: &mut Scene) -> Finding {
    let (key, first) = (scene.dice.word(4), scene.dice.number(1, 999));
    let value = format!("d4:{key}i{first}e4:{key}i{}ee", first + 1);
    refused(scene, &[value], "with a key twice, two clients may read two different torrents")
}

fn integer_keys(scene: &mut Scene) -> Finding {
    let (key, word) = (scene.dice.number(1, 999), scene.dice.word(4));
    let values = [format!("di{key}e4:{word}e"), format!("dle4:{word}e")];
    refused(scene, &values, "keys are strings: check the kind of the value that is used as one")
}

fn deep_lists(scene: &mut Scene) -> Finding {
    let cause = "each list takes a part of the stack: allow a certain depth, 64 for instance, and \
                 no more";
    refused(scene, &["l".repeat(DEPTH)], cause)
}

fn no_integers(scene: &mut Scene) -> Finding {
    let number = scene.dice.number(10, 99);
    let values = [
        "ie".to_owned(),
        "i-e".to_owned(),
        "i e".to_owned(),
        format!("i {number}e"),
        format!("i+{number}e"),
        format!("i{number}_0e"),
        format!("i{number}.5e"),
        format!("i{number}x"),
    ];
    let cause = "only a minus and digits may be between i and e; the number parsers of most \
                 languages take more";
    refused(scene, &values, cause)
}

fn huge_integers(scene: &mut Scene) -> Finding {
    let above = scene.dice.number((1 << 63) + 1, u64::MAX);
    let digits = scene.dice.number(10_u64.pow(18), 10_u64.pow(19) - 1);
    let numbers =
        [i64::MAX.to_string(), above.to_string(), format!("-{above}"), format!("{digits}{above}")];
    worst(numbers.into_iter().map(|number| {
        let outcome = scene.run(&["decode".to_owned(), format!("i{number}e")])?;
        match outcome.end {
            End::Code(0) => outcome.prints(&number),
            _ => outcome.refuses_silently(),
        }
        .map_err(|miss| {
            miss.likely("a number that does not fit is refused: never rounded, never cut")
        })
    }))
}

fn no_lengths(scene: &mut Scene) -> Finding {
    let word = scene.dice.word(3);
    let values = [
        format!("-3:{word}"),
        format!("l-3:{word}e"),
        format!("l+3:{word}e"),
        format!("l 3:{word}e"),
        format!("3{word}"),
        format!(":{word}"),
        "3".to_owned(),
        word,
    ];
    refused(scene, &values, "a string begins with a digit, and only a colon ends its length")
}

/// Why b'spam' is wrong.
const OWN_SPELLING: &str =
    "that is your language's own spelling: turn bytes into text, and write JSON";

fn lengths_in_bytes(scene: &mut Scene) -> Finding {
    let word = scene.dice.word(4);
    let text = format!("{word}é€{}{word}", scene.dice.one_of(&["𝄞", "🌊", "夜"]));
    let number = scene.dice.number(1, 999);
    for expected in [json!(text), json!([text, number])] {
        let outcome = scene.run(&["decode".to_owned(), bencoded(&expected)])?;
        is_json(&outcome, &expected).map_err(|miss| {
            let letters = text.chars().count();
            miss.likely(format!(
                "{} is {} bytes long, but has {letters} characters: decode bytes, not text",
                printable(&text),
                text.len()
            ))
        })?;
    }
    Ok(())
}

fn keys_alone(scene: &mut Scene) -> Finding {
    let (key, number) = (scene.dice.word(4), scene.dice.number(1, 999));
    let values = [format!("d4:{key}e"), format!("d4:{key}i{number}e5:{key}xe")];
    refused(scene, &values, "each key needs a value behind it")
}

fn quotes(scene: &mut Scene) -> Finding {
    let word = scene.dice.word(3);
    let text = format!("{word}\"\\{word}\n\t\u{1}/'{word}");
    for expected in [json!(text), json!({ &*text: [text] })] {
        let outcome = scene.run(&["decode".to_owned(), bencoded(&expected)])?;
        is_json(&outcome, &expected).map_err(|miss| {
            miss.likely("in JSON, quotes, backslashes and control characters are escaped")
        })?;
    }
    Ok(())
}

/// Insists that a value is decoded to this JSON, to the letter.
fn decodes(scene: &Scene, expected: &Value) -> Finding {
    shows(&scene.run(&["decode".to_owned(), bencoded(expected)])?, expected)
}

/// Insists on this JSON, to the letter.
fn shows(outcome: &Outcome, expected: &Value) -> Finding {
    let expected = expected.to_string();
    outcome.prints(&expected).map_err(|miss| match cause(&expected, &outcome.text()) {
        Some(cause) => miss.likely(cause),
        None => miss,
    })
}

/// Insists on JSON with this value, in whichever spelling.
fn is_json(outcome: &Outcome, expected: &Value) -> Finding {
    outcome.succeeds()?;
    let found = serde_json::from_slice::<Value>(&outcome.stdout).map_err(|error| {
        let text = outcome.text();
        let miss =
            Miss::new(format!("stdout is no JSON: {error}")).instead(expected, printable(&text));
        if text.contains("b'") { miss.likely(OWN_SPELLING) } else { miss }
    })?;
    ensure(found == *expected, || {
        Miss::new(format!("`{}` shows another value", outcome.arguments)).instead(expected, found)
    })
}

/// Returns the likely cause of a wrong spelling of the right value.
fn cause(expected: &str, found: &str) -> Option<&'static str> {
    let without = |text: &str, letter: fn(char) -> bool| text.replace(letter, "");
    let squeezed = without(found, char::is_whitespace);
    if squeezed == expected {
        Some("JSON without spaces and line breaks: [1,\"a\"]; see the options of your JSON writer")
    } else if squeezed.replace("b'", "\"").replace('\'', "\"") == expected {
        Some(OWN_SPELLING)
    } else if without(&squeezed, |c| c == '"') == without(expected, |c| c == '"') {
        Some("in JSON, a string is in double quotes, and a number is not")
    } else if expected.starts_with('"') && found.starts_with('"') {
        Some("the number before the colon counts bytes, and not the colon itself")
    } else {
        None
    }
}

/// Insists that each of these values is refused.
fn refused(scene: &Scene, values: &[String], cause: &str) -> Finding {
    worst(values.iter().map(|value| {
        let outcome = scene.run(&["decode", value])?;
        outcome.refuses_silently().map_err(|miss| miss.likely(cause))
    }))
}

/// Returns what is bencoded to this JSON: strings, integers, lists and dictionaries.
fn bencoded(value: &Value) -> String {
    let string = |text: &str| format!("{}:{text}", text.len());
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => {
            format!("l{}e", items.iter().map(bencoded).collect::<String>())
        }
        Value::Object(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| string(key) + &bencoded(value));
            format!("d{}e", pairs.collect::<String>())
        }
        number => format!("i{number}e"),
    }
}
