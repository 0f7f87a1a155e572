//! Sizes, times and sentences in short, for whatever room a terminal has. (stage 10)

/// The units of sizes, each 1024 of the one before it.
pub const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Returns a text on lines of at most `width` columns, broken between words if possible.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                *line += &format!(" {word}")
            }
            _ => lines.push(word.to_owned()),
        }
    }
    // A word longer than a line, such as a URL, is cut, or the terminal would wrap it.
    lines.iter_mut().for_each(|line| *line = line.chars().take(width).collect());
    lines
}

/// Returns a size in short: `999 B`, `1.2 KiB`, `12 KiB`, `1023 KiB`, `1.0 MiB`.
pub fn size(bytes: u64) -> String {
    let (unit, value) = in_unit(bytes);
    let digits = usize::from(unit > 0 && value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Returns the index of the unit that makes a size short, and the size in that unit.
pub fn in_unit(bytes: u64) -> (usize, f64) {
    let (mut unit, mut value) = (0, bytes as f64);
    while value >= 1023.5 && unit < 4 {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    (unit, value)
}

/// Returns a time in short: `8s`, `1:08`, `1:02:03`, `4d 3h`.
pub fn clock(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
    match hours {
        0 if seconds < 60 => format!("{seconds}s"),
        0 => format!("{minutes}:{:02}", seconds % 60),
        1..48 => format!("{hours}:{minutes:02}:{:02}", seconds % 60),
        _ => format!("{}d {}h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_wrapped_and_fits_whatever_room_there_is() {
        let text =
            "waiting: no peer is known; http://127.0.0.1:6969/announce is asked again in 12 s";
        let expected = [
            "waiting: no peer is known;",
            "http://127.0.0.1:6969/announc",
            "is asked again in 12 s",
        ];
        assert_eq!(wrapped(text, 29), expected);
        assert_eq!(wrapped(text, 100), [text]);
        assert!((1..100).all(|width| wrapped(text, width).iter().all(|line| line.len() <= width)));
    }

    #[test]
    fn sizes_and_times_are_short() {
        let sizes =
            [0, 999, 1023, 1024, 10_188, 10_189, 1_047_552, 1_048_064, 5 << 30, u64::MAX].map(size);
        let expected = [
            "0 B",
            "999 B",
            "1023 B",
            "1.0 KiB",
            "9.9 KiB",
            "10 KiB",
            "1023 KiB",
            "1.0 MiB",
            "5.0 GiB",
            "16777216 TiB",
        ];
        assert_eq!(sizes, expected);
        assert_eq!(
            [0, 59, 60, 3599, 3600, 172_799, 172_800].map(clock),
            ["0s", "59s", "1:00", "59:59", "1:00:00", "47:59:59", "2d 0h"]
        );
    }
}
