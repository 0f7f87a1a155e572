//! Stage 1: `decode VALUE` prints a bencoded value as JSON.

use crate::grade::check::{Check, Finding};
use crate::grade::scene::Scene;

const BENCODING: &str = "BEP 3, bencoding";

/// The checks of stage 1.
pub const CHECKS: &[Check] =
    &[Check::new("1.1", "strings: some letters, none, a colon among them", BENCODING, strings)
        .twin("decode bencoded strings")];

fn strings(scene: &mut Scene) -> Finding {
    let length = scene.dice.length(3, 12);
    let word = scene.dice.word(length);
    for text in [word.clone(), String::new(), format!("{word}:{word}")] {
        let value = format!("{}:{text}", text.len());
        scene.run(&["decode", &value])?.prints(&format!("\"{text}\"")).map_err(|miss| {
            miss.likely("the number before the colon counts bytes, and not the colon itself")
        })?;
    }
    Ok(())
}
