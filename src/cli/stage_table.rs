//! The table of stages in `lib.rs`, which `stages` prints. (every stage)

/// The crate's first page. Its table is the only one: cutting off a stage cuts its line,
/// and the stage disappears from this command as well.
pub const MAP: &str = include_str!("../lib.rs");

/// Returns the chapter of a stage: `04-handshake`.
pub fn chapter(stage: u8) -> Option<String> {
    let modules = MAP.lines().filter_map(|line| line.strip_prefix("//! | [`s")?.split('`').next());
    modules.map(|module| module.replace('_', "-")).find(|module| {
        module.split('-').next().and_then(|number| number.parse().ok()) == Some(stage)
    })
}
