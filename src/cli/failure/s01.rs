//! What to do about bencode that cannot be decoded. (stage 1)

use crate::cli::exit_codes::BAD_INPUT;
use crate::cli::failure::Failure;
use piecemeal::s01_bencode::BencodeError;
use piecemeal::s01_bencode::rules::Rule;

impl From<BencodeError> for Failure {
    fn from(error: BencodeError) -> Failure {
        let help = match error.rule {
            Rule::Ended if error.at == 0 => {
                "give a value, such as 5:hello; in quotes, if the shell might change it"
            }
            Rule::CutShort { .. } | Rule::Ended => "it is cut short, or a length in it is wrong",
            Rule::Trailing { .. } => "one value is expected; wrap several in l...e",
            Rule::IntegerTooLarge { .. } => {
                "write it as a string; integers end at 9223372036854775807"
            }
            Rule::DuplicateKey { .. } => "a key may appear only once; remove the other one",
            Rule::TooDeep { .. } | Rule::TooManyItems { .. } => {
                "no real value looks like that; it may be malicious"
            }
            _ => "compare it with the four forms: i52e, 5:hello, l...e, d...e",
        };
        Failure::new(BAD_INPUT, error).help(help).see("01-bencode")
    }
}
