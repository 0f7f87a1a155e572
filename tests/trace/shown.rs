//! The output for each sample. Read `shown.txt` whenever it changes: the samples' bytes are in
//! `samples.rs`, and each line must be true of them.

use super::bytes::lines;
use super::samples::{all, described};

#[test]
fn every_sample_is_shown_as_in_the_file() {
    let expected = include_str!("shown.txt");
    let mut sections = expected.split("== ").skip(1);
    for sample in all() {
        let objects = described(sample.kind, &sample.bytes);
        let shown: Vec<String> =
            objects.iter().map(|(at, object)| lines(object, &sample.bytes[*at..])).collect();
        let shown = format!("{}\n{}\n\n", sample.what, shown.join("\n"));
        assert_eq!(sections.next().unwrap_or_default(), shown, "\n== {shown}");
    }
    assert_eq!(sections.next(), None, "a section for each sample");
}
