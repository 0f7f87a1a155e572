//! The chapters and other pages, inside the program: a laptop may have nothing else. (every stage)

/// A page of `docs/`.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The name of its file, without the ending: `04-handshake`.
    pub name: &'static str,
    /// What is in it, as Markdown.
    pub text: &'static str,
}

/// Returns a page by the name of its file.
macro_rules! page {
    ($name:literal) => {
        Page { name: $name, text: include_str!(concat!("../../docs/", $name, ".md")) }
    };
}

/// All pages, in the order of reading. Cutting off a stage cuts its line.
#[rustfmt::skip] // or a cut would move the comments of the lines that are left
pub const PAGES: &[Page] = &[
    page!("README"),
    page!("your-own-client"), // grade is plugged in
    page!("01-bencode"),
    page!("02-metainfo"),      // s02_metainfo is plugged in
    page!("03-tracker"),       // s03_tracker is plugged in
    page!("04-handshake"),     // s04_handshake is plugged in
    page!("05-messages"),      // s05_messages is plugged in
    page!("06-magnet"),        // s06_magnet is plugged in
    page!("07-extension"),     // s07_extension is plugged in
    page!("08-metadata"),      // s08_metadata is plugged in
    page!("09-pieces"),        // s09_pieces is plugged in
    page!("10-storage"),       // s10_storage is plugged in
    page!("11-work-queue"),    // s11_work_queue is plugged in
    page!("12-session"),       // s12_session is plugged in
    page!("13-peer-sources"),  // s13_peer_sources is plugged in
    page!("14-peer-list"),     // s14_peer_list is plugged in
    page!("15-swarm"),         // s15_swarm is plugged in
    page!("16-uploading"),     // s16_uploading is plugged in
    page!("17-seeding"),       // s17_seeding is plugged in
    page!("18-udp-tracker"),   // s18_udp_tracker is plugged in
    page!("19-pex"),           // s19_pex is plugged in
    page!("20-lsd"),           // s20_lsd is plugged in
    page!("21-dht-lookup"),    // s21_dht_lookup is plugged in
    page!("22-dht-node"),      // s22_dht_node is plugged in
    page!("23-v2"),            // s23_v2 is plugged in
    page!("24-hash-transfer"), // s24_hash_transfer is plugged in
    page!("policies"),         // simulate is plugged in
    page!("reading-a-trace"),  // trace is plugged in
    page!("teaching"),         // grade is plugged in
    page!("a-swarm-in-class"), // lab is plugged in
    page!("grading-a-class"),  // grade is plugged in
    page!("glossary"),
];

impl Page {
    /// Returns the page with this name, or the chapter with this number.
    pub fn find(wanted: &str) -> Option<Page> {
        let number = wanted.parse().ok();
        let is_it = |page: &&Page| {
            page.name.eq_ignore_ascii_case(wanted) || number.is_some() && page.number() == number
        };
        PAGES.iter().find(is_it).copied()
    }

    /// Returns the number of a chapter.
    pub fn number(self) -> Option<u8> {
        self.name.split('-').next()?.parse().ok()
    }

    /// Returns its first line, without the mark of a heading.
    pub fn title(self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }
}
