//! Draws the connected peers as a table. (stage 15)

use piecemeal::s03_tracker::PeerId;
use piecemeal::s15_swarm::view::PeerView;

use super::short_text::size;

/// The least and the greatest width of the column with the program.
const CLIENT: (usize, usize) = (8, 20);

/// A peer, with what watching it has shown.
pub struct Row {
    /// The peer's letter in the map of pieces.
    pub letter: char,
    pub peer: PeerView,
    /// The recent download rate, in bytes a second.
    pub down: Option<u64>,
    pub up: Option<u64>,
}

struct Column {
    title: &'static str,
    width: usize,
    right: bool,
    /// The order of leaving out columns: the highest goes first.
    luxury: u8,
    cell: fn(&Row) -> String,
}

/// The room that addresses and programs have needed so far. It never shrinks: columns
/// that move whenever a peer comes or goes cannot be read.
#[derive(Default)]
pub struct Widest {
    address: usize,
    client: usize,
}

impl Widest {
    /// Widens the columns for these rows.
    pub fn see(&mut self, rows: &[Row]) {
        let widest = |cell: fn(&Row) -> String| {
            rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or(0)
        };
        self.address = self.address.max(widest(address)).max("peer".len());
        self.client = self.client.max(widest(client)).clamp(CLIENT.0, CLIENT.1);
    }
}

/// Returns a line of titles and a line for each peer, in at most `width` columns and
/// `height` lines.
pub fn lines(rows: &[Row], widest: &Widest, width: usize, height: usize) -> Vec<String> {
    if rows.is_empty() {
        return vec!["no peer is connected".chars().take(width).collect()]
            .into_iter()
            .take(height)
            .collect();
    }
    let fits = rows.len() < height;
    if !fits && height < 3 {
        return Vec::new(); // titles alone say nothing
    }
    let columns = columns(widest, width);
    let shown = if fits { rows.len() } else { height.saturating_sub(2) };
    let titles =
        columns.iter().map(|column| column.fill(column.title)).collect::<Vec<_>>().join(" ");
    let row = |row: &Row| {
        columns.iter().map(|column| column.fill(&(column.cell)(row))).collect::<Vec<_>>().join(" ")
    };
    let mut lines = vec![titles];
    lines.extend(rows.iter().take(shown).map(row));
    if !fits {
        lines.push(format!("  and {} more", rows.len() - shown));
    }
    lines.iter_mut().for_each(|line| *line = line.trim_end().chars().take(width).collect());
    lines.truncate(height);
    lines
}

/// Returns the columns that fit. The program's name gets the room that is left.
fn columns(widest: &Widest, width: usize) -> Vec<Column> {
    let column = |title, width, right, luxury, cell| Column { title, width, right, luxury, cell };
    let mut columns = vec![
        column("", 1, false, 0, |row| row.letter.to_string()),
        column("peer", widest.address, false, 0, address),
        column("client", widest.client, false, 6, client),
        column("choked", 6, false, 3, |row| {
            either(row.peer.peer_choking, "us", row.peer.am_choking).to_owned()
        }),
        column("wants", 5, false, 4, |row| {
            either(row.peer.am_interested, "we", row.peer.peer_interested).to_owned()
        }),
        column("pieces", 6, true, 7, |row| row.peer.pieces.to_string()),
        column("requests", 8, true, 5, |row| row.peer.requests.to_string()),
        column("down/s", 8, true, 1, |row| rate(row.down)),
        column("up/s", 8, true, 2, |row| rate(row.up)),
    ];
    loop {
        let taken: usize = columns.iter().map(|column| column.width + 1).sum::<usize>() - 1;
        let luxury = columns.iter().map(|column| column.luxury).max().unwrap_or(0);
        if taken <= width || luxury == 0 {
            return columns;
        }
        let over = taken - width;
        match columns.iter_mut().find(|column| column.title == "client") {
            Some(client) if client.width >= CLIENT.0 + over => client.width -= over,
            _ => columns.retain(|column| column.luxury < luxury),
        }
    }
}

impl Column {
    fn fill(&self, text: &str) -> String {
        let (width, text) = (self.width, text.chars().take(self.width).collect::<String>());
        if self.right { format!("{text:>width$}") } else { format!("{text:<width$}") }
    }
}

fn address(row: &Row) -> String {
    row.peer.address.to_string()
}

fn client(row: &Row) -> String {
    program(&row.peer.peer_id)
}

/// Returns the program that a peer id names: its first eight characters, or their meaning.
fn program(peer_id: &PeerId) -> String {
    let known: Option<(&str, Option<String>)> = None;
    let client = piecemeal::trace::client::Client::of(peer_id); // plugged in
    let known = known.or(client.and_then(|it| Some((it.name?, it.version)))); // trace is plugged in
    let tag = || {
        peer_id
            .0
            .iter()
            .take(8)
            .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' })
            .collect()
    };
    known.map_or_else(tag, |(name, version)| format!("{name} {}", version.unwrap_or_default()))
}

/// Names the side or sides for which a flag is set.
fn either(ours: bool, our_word: &'static str, theirs: bool) -> &'static str {
    match (ours, theirs) {
        (true, true) => "both",
        (true, false) => our_word,
        (false, true) => "it",
        (false, false) => "-",
    }
}

fn rate(rate: Option<u64>) -> String {
    rate.map_or_else(String::new, |rate| if rate == 0 { "-".to_owned() } else { size(rate) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32, letter: char, id: &[u8; 20], flags: [bool; 4], down: Option<u64>) -> Row {
        let [peer_choking, am_choking, am_interested, peer_interested] = flags;
        let address = std::net::SocketAddr::from(([127, 0, 0, number as u8 + 1], 6881));
        let (downloaded, uploaded) = (0, 0);
        let peer = PeerView {
            number,
            address,
            listens: true,
            dialed: true,
            peer_id: PeerId(*id),
            am_choking,
            am_interested,
            peer_choking,
            peer_interested,
            pieces: 40 * number,
            is_seed: false,
            requests: 16 * number,
            downloaded,
            uploaded,
        };
        Row { letter, peer, down, up: Some(0) }
    }

    fn three() -> Vec<Row> {
        vec![
            row(1, 'a', b"-XQ3000-............", [false, true, true, false], Some(307_200)),
            row(2, 'b', b"-XQ2.0\x1bx............", [true, true, true, true], None),
            row(3, 'c', b"-XQ1234-............", [false, false, false, false], Some(0)),
        ]
    }

    fn lines(rows: &[Row], width: usize, height: usize) -> Vec<String> {
        let mut widest = Widest::default();
        widest.see(rows);
        super::lines(rows, &widest, width, height)
    }

    #[test]
    fn a_table_has_a_line_for_each_peer() {
        let expected = [
            "  peer           client   choked wants pieces requests   down/s     up/s",
            "a 127.0.0.2:6881 -XQ3000- it     we        40       16  300 KiB        -",
            "b 127.0.0.3:6881 -XQ2.0.x both   both      80       32                 -",
            "c 127.0.0.4:6881 -XQ1234- -      -        120       48        -        -",
        ];
        assert_eq!(lines(&three(), 80, 24), expected);
    }

    #[test]
    fn a_narrow_table_leaves_columns_out_and_never_wraps() {
        let expected = [
            "  peer           choked   down/s     up/s",
            "a 127.0.0.2:6881 it      300 KiB        -",
            "b 127.0.0.3:6881 both                   -",
            "c 127.0.0.4:6881 -             -        -",
        ];
        assert_eq!(lines(&three(), 41, 24), expected);
        for width in 0..100 {
            assert!(lines(&three(), width, 9).iter().all(|line| line.len() <= width), "{width}");
        }
    }

    #[test]
    fn columns_stay_where_they_are_when_a_peer_leaves() {
        let (mut widest, mut rows) = (Widest::default(), three());
        rows[2].peer.address = std::net::SocketAddr::from(([192, 168, 100, 200], 51413));
        widest.see(&rows);
        let before = super::lines(&rows, &widest, 100, 24);
        rows.pop();
        widest.see(&rows);
        assert_eq!(super::lines(&rows, &widest, 100, 24), before[..3]);
    }

    #[test]
    fn a_low_table_says_how_many_are_missing() {
        let low: Vec<usize> = (0..6).map(|height| lines(&three(), 80, height).len()).collect();
        assert_eq!(low, [0, 0, 0, 3, 4, 4]);
        assert_eq!(
            lines(&three(), 80, 3)[1..],
            [
                "a 127.0.0.2:6881 -XQ3000- it     we        40       16  300 KiB        -",
                "  and 2 more"
            ]
        );
        assert_eq!(lines(&[], 80, 24), ["no peer is connected"]);
    }
}
