//! Numbers of bytes as people type them: `65536`, `300KiB`, `1.5MiB`. (stage 10)

/// Parses a number of bytes above 0: digits, and perhaps a unit of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let found =
        units.into_iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)));
    let (digits, unit): (&str, u64) = found.unwrap_or((text, 1));
    // Rust's own parser would also take `+7`, `1e9` and `inf`.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let bytes =
        digits.parse().ok().filter(|_| plain).map(|number: f64| (number * unit as f64) as u64);
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| {
        "a number of bytes above 0 was expected, such as 65536, 300KiB or 1MiB".to_owned()
    })
}
