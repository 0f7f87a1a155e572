//! The sheet of a swarm: three clients and a seed that really meet, and files that are broken in one
//! way each.

use crate::support::serving::Ended;
use crate::support::{FakeTracker, Outcome, Run, Serving, Torrent, folder};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

use super::seed::meeting_place;

const FILM: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A file with the result of a run, by the peer ids of those that it has met.
fn result(peer_id: &str, info_hash: &str, from: &[(&str, u64)], to: &[(&str, u64)]) -> String {
    let list = |moved: &[(&str, u64)]| -> Value {
        let one = |(id, bytes): &(&str, u64)| json!({ "peer": format!("192.168.1.{}:6881", id.len()), "peer_id": id, "bytes": bytes });
        moved.iter().map(one).collect()
    };
    let sum = |moved: &[(&str, u64)]| moved.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let metadata = json!({ "event": "metadata", "name": "film", "length": 100 });
    let done = json!({
        "event": "done", "output": "film", "info_hash": info_hash, "peer_id": peer_id,
        "downloaded": sum(from), "uploaded": sum(to), "from": list(from), "to": list(to), "banned": [],
    });
    format!("{metadata}\n{done}\n")
}

/// A seed, and what two that took all of it say.
fn three(folder: &Path) {
    let files = [
        ("seed.json", result("s", FILM, &[], &[("aa", 60), ("bbb", 40)])),
        ("ada.json", result("aa", FILM, &[("s", 60), ("bbb", 40)], &[("bbb", 60)])),
        ("bob.json", result("bbb", FILM, &[("s", 40), ("aa", 60)], &[("aa", 40)])),
    ];
    files.iter().for_each(|(name, text)| write(folder, name, text));
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    fs::write(folder.join(name), text).expect("the test's folder takes a file");
}

fn sheet(folder: &Path, files: &[&str]) -> Outcome {
    Run::new(["swarm_sheet"].iter().chain(files)).dir(folder).run()
}

/// The sheet as JSON.
#[track_caller]
fn merged(folder: &Path, files: &[&str]) -> Value {
    let outcome = sheet(folder, &[&["--json"], files].concat());
    serde_json::from_str(&outcome.succeeds().out()).expect("JSON")
}

fn names(sheet: &Value) -> Vec<&str> {
    let peers = sheet["peers"].as_array().expect("a list");
    peers.iter().map(|peer| peer["name"].as_str().expect("text")).collect()
}

/// A number of one of the peers.
fn of(sheet: &Value, name: &str, key: &str) -> u64 {
    let peers = sheet["peers"].as_array().expect("a list");
    let peer = peers.iter().find(|peer| peer["name"] == name);
    peer.unwrap_or_else(|| panic!("no {name}: {sheet}"))[key].as_u64().expect("a number")
}

fn passed_over(sheet: &Value) -> Vec<&str> {
    let lines = sheet["passed_over"].as_array().expect("a list");
    lines.iter().map(|line| line.as_str().expect("text")).collect()
}

#[test]
fn the_sums_of_a_real_swarm_are_what_each_of_its_processes_says() {
    let (folder, torrent) = (folder(), Torrent::of_pieces(40, 9));
    let tracker: FakeTracker = meeting_place();
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let content = folder.path().join("content");
    write(folder.path(), "content", &torrent.content);
    let place = |name: &str| folder.path().join(format!("{name}.json"));
    let mut all = vec![("seed", {
        let run = Run::new(["seed", "--max-upload", "1MiB"]).arg(&file).arg(content);
        Serving::start(run, &place("seed"))
    })];
    for name in ["ada", "bob", "eve"] {
        let out = folder.path().join(name);
        let run = Run::new(["download", "--keep-seeding", "-o"]).arg(out).arg(&file);
        all.push((name, Serving::start(run, &place(name))));
    }
    all[1..].iter_mut().for_each(|(_, student)| drop(student.wait_for("completed", |_| true)));
    // The students first, as in class.
    let ended: Vec<(&str, Ended)> =
        all.into_iter().rev().map(|(name, it)| (name, it.interrupt())).collect();

    let sheet = merged(folder.path(), &["seed.json", "ada.json", "bob.json", "eve.json"]);
    assert_eq!(names(&sheet), ["seed", "ada", "bob", "eve"]);
    assert_eq!(
        (&sheet["length"], &sheet["passed_over"]),
        (&torrent.content.len().into(), &json!([]))
    );
    let differences = sheet["differences"].as_array().expect("a list");
    let mut total = 0;
    for (name, ended) in &ended {
        let done = ended.done();
        let number = |key: &str| done[key].as_u64().expect("a number");
        assert_eq!(of(&sheet, name, "took"), number("downloaded"), "{name}: {sheet}");
        total += number("downloaded");
        // A block may be on its way when a connection ends: that is sent, and never arrives.
        let lost: u64 = differences
            .iter()
            .filter(|it| it["giver"] == *name)
            .map(|it| it["given"].as_u64().expect("one") - it["taken"].as_u64().expect("one"))
            .sum();
        assert_eq!(of(&sheet, name, "gave") + lost, number("uploaded"), "{name}: {sheet}");
    }
    assert_eq!(sheet["total"], total);
    assert!(of(&sheet, "seed", "gave") >= torrent.content.len() as u64, "{sheet}");
}

#[test]
fn the_text_has_a_row_for_each_giver_and_the_sums() {
    let folder = folder();
    three(folder.path());
    sheet(folder.path(), &["seed.json", "ada.json", "bob.json"]).prints(
        "\
film, 100 bytes: who gave what to whom, in bytes.
Givers down, takers across.

               1     2     3  gave  copies
  1  seed      -    60    40   100    1.00
  2  ada       .     -    60    60    0.60
  3  bob       .    40     -    40    0.40
     took      0   100   100   200
     copies 0.00  1.00  1.00
",
    );
}

#[test]
fn where_the_two_sides_differ_the_takers_figure_counts_and_both_are_told() {
    let folder = folder();
    three(folder.path());
    // The seed has sent five bytes more than came; bob has never heard of ada's.
    write(folder.path(), "seed.json", result("s", FILM, &[], &[("aa", 65), ("bbb", 40)]));
    write(folder.path(), "bob.json", result("bbb", FILM, &[("s", 40)], &[("aa", 40)]));
    let files = ["seed.json", "ada.json", "bob.json"];
    let merged = merged(folder.path(), &files);
    assert_eq!(merged["matrix"], json!([[0, 60, 40], [0, 0, 0], [0, 40, 0]]));
    assert_eq!(
        merged["differences"],
        json!([
            { "giver": "seed", "taker": "ada", "given": 65, "taken": 60 },
            { "giver": "ada", "taker": "bob", "given": 60, "taken": 0 },
        ])
    );
    let text = sheet(folder.path(), &files).succeeds().out();
    assert!(
        text.contains(" 60! ") && text.contains("seed gave ada 65 bytes, which took 60"),
        "{text}"
    );
}

#[test]
fn a_peer_without_a_result_has_a_row_by_what_the_others_say() {
    let folder = folder();
    three(folder.path());
    // A cut file: the laptop was switched off before it said its totals.
    write(
        folder.path(),
        "bob.json",
        "{\"event\":\"metadata\",\"name\":\"film\",\"length\":100}\n{\"eve",
    );
    let files = ["seed.json", "ada.json", "bob.json"];
    let merged = merged(folder.path(), &files);
    assert_eq!(names(&merged), ["seed", "ada", "192.168.1.3:6881"]);
    assert_eq!(merged["matrix"], json!([[0, 60, 40], [0, 0, 60], [0, 40, 0]]));
    assert_eq!((&merged["peers"][2]["file"], &merged["differences"]), (&Value::Null, &json!([])));
    let notes = passed_over(&merged);
    assert!(notes[0] == "bob.json: line 2 is not JSON, and passed over", "{notes:?}");
    assert!(notes[1].starts_with("bob.json: has no result"), "{notes:?}");
    let text = sheet(folder.path(), &files).succeeds().out();
    assert!(
        text.contains("192.168.1.3:6881?") && text.contains("\n? has no result here"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_used_is_passed_over_with_its_reason() {
    let folder = folder();
    three(folder.path());
    let twice = fs::read_to_string(folder.path().join("ada.json")).expect("it is there");
    let no_id = result("x", FILM, &[], &[]).replace("\"peer_id\":\"x\"", "\"peer_id\":7");
    for (name, text, why) in [
        ("empty.json", "\n\n", "is empty"),
        ("page.json", "<!DOCTYPE html>\n<p>", "is not what --json prints: no line of it is JSON"),
        (
            "other.json",
            &result("x", OTHER, &[("s", 9)], &[]),
            "is about another torrent, --info-hash bbbb",
        ),
        ("copy.json", &twice, "has the same run as ada.json; it counts once"),
        ("no-id.json", &no_id, "line 2: its peer_id is missing, or no text; it is passed over"),
        ("tracker.json", "{\"event\":\"done\",\"refused\":0,\"torrents\":[]}", "has no result"),
        ("deep.json", &"[".repeat(100_000), "is not what --json prints"),
    ] {
        write(folder.path(), name, text);
        let merged = merged(folder.path(), &["seed.json", "ada.json", "bob.json", name]);
        assert_eq!(merged["matrix"], json!([[0, 60, 40], [0, 0, 60], [0, 40, 0]]), "{name}");
        let notes = passed_over(&merged);
        assert!(notes[0].starts_with(&format!("{name}: {why}")), "{notes:?}");
        let told = sheet(folder.path(), &["seed.json", name]).err();
        assert!(told.contains(&format!("note: {name}: ")) || name == "copy.json", "{told}");
    }
}

#[test]
fn a_sheet_is_about_the_torrent_that_is_wanted_or_that_most_results_have() {
    let folder = folder();
    three(folder.path());
    write(folder.path(), "eve.json", result("e", OTHER, &[("s", 9)], &[]));
    let all = ["eve.json", "seed.json", "ada.json", "bob.json"];
    assert_eq!(merged(folder.path(), &all)["info_hash"], FILM);
    let other =
        merged(folder.path(), &[&all[..], &["--info-hash", &OTHER.to_uppercase()]].concat());
    assert_eq!((names(&other), &other["total"]), (vec!["eve", "192.168.1.1:6881"], &json!(9)));
}

#[test]
fn runs_in_one_file_are_one_laptop_and_files_of_one_name_are_two() {
    let folder = folder();
    three(folder.path());
    fs::create_dir(folder.path().join("late")).expect("the test's folder takes a folder");
    // Stopped and started again, with another peer id, into the same file.
    let again = result("aa", FILM, &[("s", 60)], &[])
        + &result("aaa2", FILM, &[("bbb", 40)], &[("bbb", 60)]);
    write(folder.path(), "ada.json", again);
    write(
        folder.path(),
        "bob.json",
        result("bbb", FILM, &[("s", 40), ("aaa2", 60)], &[("aaa2", 40)]),
    );
    write(folder.path(), "late/ada.json", result("l", FILM, &[("s", 1)], &[]));
    let merged = merged(folder.path(), &["seed.json", "ada.json", "bob.json", "late/ada.json"]);
    assert_eq!(names(&merged), ["seed", "ada", "bob", "late/ada"]);
    assert_eq!((of(&merged, "ada", "took"), of(&merged, "ada", "gave")), (100, 60));
}

#[test]
fn a_folder_and_what_powershell_writes_are_read_as_well() {
    let folder = folder();
    three(folder.path());
    let text = fs::read_to_string(folder.path().join("bob.json")).expect("it is there");
    let wide =
        [0xfeff].into_iter().chain(text.replace('\n', "\r\n").encode_utf16().collect::<Vec<u16>>());
    write(folder.path(), "bob.json", wide.flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    write(folder.path(), "notes.txt", "not one of them");
    let merged = merged(folder.path(), &["."]);
    assert_eq!(names(&merged), ["ada", "bob", "seed"]);
    assert_eq!((&merged["total"], &merged["passed_over"]), (&json!(200), &json!([])));
}

#[test]
fn seeders_of_a_lab_are_givers_and_meet_the_results_of_those_that_took() {
    let folder = folder();
    let joined = |who: &str, peer: &str, id: &str, client: &str| json!({ "event": "joined", "who": who, "peer": peer, "client": client, "peer_id": id, "info_hash": FILM });
    let left = |who: &str, peer: &str, bytes: u64| json!({ "event": "left", "who": who, "peer": peer, "blocks": 1, "bytes": bytes, "spoiled": 0, "chokes": 0, "why": "it hung up" });
    let (one, two) = ("127.0.0.2:6881", "127.0.0.3:6881");
    let events = [
        joined(one, "127.0.0.1:5001", "aa", "piecemeal 0.1"),
        joined(two, "127.0.0.1:5002", "aa", "piecemeal 0.1"),
        left(two, "127.0.0.1:5002", 40),
        left(one, "127.0.0.1:5001", 60),
        // Two commands of a client that has no file: each has a peer id of its own.
        joined(one, "10.0.0.5:5003", "x1", "XX 1.0"),
        left(one, "10.0.0.5:5003", 16),
        joined(one, "10.0.0.5:5004", "x2", "XX 1.0"),
        left(one, "10.0.0.5:5004", 16),
        left(one, "10.0.0.6:5005", 99), // no handshake that was told
    ];
    write(folder.path(), "lab.json", events.map(|event| format!("{event}\n")).concat());
    let of_lab = |id: &str, address: &str, bytes: u64| json!({ "peer": address, "peer_id": id, "bytes": bytes });
    let ada = json!({
        "event": "done", "info_hash": FILM, "peer_id": "aa",
        "from": [of_lab("-LB0001-1", one, 60), of_lab("-LB0001-2", two, 40)], "to": [],
    });
    write(folder.path(), "ada.json", ada.to_string());
    let merged = merged(folder.path(), &["lab.json", "ada.json"]);
    assert_eq!(names(&merged), [one, two, "ada", "XX 1.0 at 10.0.0.5"]);
    assert_eq!(
        merged["matrix"],
        json!([[0, 0, 60, 32], [0, 0, 40, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    );
    assert_eq!(merged["differences"], json!([]));
}

#[test]
fn too_many_strangers_share_a_row() {
    let folder = folder();
    let ids: Vec<String> = (0..200).map(|number| format!("stranger-{number}")).collect();
    let to: Vec<(&str, u64)> =
        ids.iter().zip(1..).map(|(id, bytes)| (id.as_str(), bytes)).collect();
    write(folder.path(), "seed.json", result("s", FILM, &[], &to));
    let merged = merged(folder.path(), &["seed.json"]);
    assert_eq!(names(&merged).len(), 32);
    assert_eq!((names(&merged)[31], &merged["total"]), ("170 others", &json!(200 * 201 / 2)));
    assert_eq!(of(&merged, "170 others", "took"), 170 * 171 / 2);
}

#[test]
fn figures_beyond_all_bounds_do_not_overflow() {
    let folder = folder();
    let most = u64::MAX;
    write(folder.path(), "seed.json", result("s", FILM, &[], &[]).replace("\"to\":[]", &format!(
        "\"to\":[{{\"peer\":\"a\",\"peer_id\":\"a\",\"bytes\":{most}}},{{\"peer\":\"b\",\"peer_id\":\"b\",\"bytes\":{most}}}]"
    )));
    assert_eq!(merged(folder.path(), &["seed.json"])["total"], most);
    write(
        folder.path(),
        "seed.json",
        "{\"event\":\"done\",\"info_hash\":\"a\",\"peer_id\":\"s\",\"from\":[{\"peer\":\"a\",\"peer_id\":\"a\",\"bytes\":-1}],\"to\":[]}",
    );
    let wrong = sheet(folder.path(), &["seed.json"]);
    wrong.mentions("line 1: its bytes is missing, or no number of bytes");
    assert_eq!(wrong.code, Some(3), "{wrong}");
}

#[test]
fn a_spreadsheet_gets_every_figure_in_bytes_and_computes_no_name() {
    let folder = folder();
    three(folder.path());
    fs::rename(folder.path().join("bob.json"), folder.path().join("=1+\"1\".json"))
        .expect("a name");
    sheet(folder.path(), &["--csv", "sheet.csv", "seed.json", "ada.json", "=1+\"1\".json"])
        .succeeds();
    let csv = fs::read_to_string(folder.path().join("sheet.csv")).expect("it is written");
    assert_eq!(
        csv,
        "\"giver\",\"seed\",\"ada\",\"'=1+\"\"1\"\"\",\"gave\"\r\n\
         \"seed\",0,60,40,100\r\n\"ada\",0,0,60,60\r\n\"'=1+\"\"1\"\"\",0,40,0,40\r\n\
         \"took\",0,100,100,200\r\n"
    );
    // The first of the class's files is not taken for the place of the table.
    let wrong = sheet(folder.path(), &["--csv", "seed.json", "ada.json"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert!(
        fs::read_to_string(folder.path().join("seed.json")).expect("it is whole").contains("done")
    );
}

/// The values of an attribute in all elements of a kind.
fn attribute(svg: &str, element: &str, name: &str) -> Vec<f64> {
    let opening = format!("<{element} ");
    let tags = svg.split(&opening).skip(1).filter_map(|rest| rest.split('>').next());
    tags.filter_map(|tag| tag.split_once(&format!("{name}=\"")))
        .filter_map(|(_, value)| value.split('"').next()?.parse().ok())
        .collect()
}

#[test]
fn a_drawing_is_readable_for_four_laptops_and_for_thirty() {
    for count in [4_usize, 30] {
        let folder = folder();
        let ids: Vec<String> = (0..count).map(|number| format!("{number:02}")).collect();
        for (place, id) in ids.iter().enumerate() {
            let given = |other: usize| 1_000_000 * ((place * 7 + other * 3) % 11) as u64;
            let others = |moved: &dyn Fn(usize) -> u64| -> Vec<(&str, u64)> {
                let others = (0..count).filter(|other| *other != place && moved(*other) > 0);
                others.map(|other| (ids[other].as_str(), moved(other))).collect()
            };
            let took = |other: usize| 1_000_000 * ((other * 7 + place * 3) % 11) as u64;
            let text = result(id, FILM, &others(&took), &others(&given));
            write(folder.path(), &format!("laptop-{id}.json"), text);
        }
        let outcome = sheet(folder.path(), &[".", "--svg", "sheet.svg"]);
        assert!(!outcome.succeeds().out().contains('!'), "{outcome}");
        let svg = fs::read_to_string(folder.path().join("sheet.svg")).expect("it is written");
        let width = attribute(&svg, "svg", "width")[0];
        assert!(width < 1400.0, "{count} laptops take {width} pixels");
        let sides = attribute(&svg, "rect", "width");
        assert!(sides.iter().filter(|side| **side == sides[1]).count() >= count * count);
        // Letters of a figure are 0.6 of its size wide, and stay in its square.
        for figure in svg.split("style=\"font-size:").skip(1) {
            let (size, rest) = figure.split_once("px").expect("a size in pixels");
            let size: f64 = size.parse().expect("a number");
            let text =
                rest.split_once('>').and_then(|(_, rest)| rest.split('<').next()).expect("a text");
            assert!(size >= 9.0 || !rest.starts_with(";pointer"), "{size}");
            let inside = !rest.starts_with(";pointer") || text.len() as f64 * 0.6 * size < sides[1];
            assert!(inside, "{count}: {text} of {size} in {}", sides[1]);
        }
        assert!(svg.contains("prefers-color-scheme: dark"));
    }
}

#[test]
fn a_drawing_escapes_what_names_contain() {
    let folder = folder();
    three(folder.path());
    let name = "<script>&\"'.json";
    fs::rename(folder.path().join("bob.json"), folder.path().join(name)).expect("a name");
    sheet(folder.path(), &["seed.json", "ada.json", name, "--svg", "sheet.svg"]).succeeds();
    let svg = fs::read_to_string(folder.path().join("sheet.svg")).expect("it is written");
    assert!(svg.contains("&lt;script&gt;&amp;&quot;&#39;"), "{svg}");
    let opened = svg.matches('<').count();
    assert_eq!(opened, svg.matches('>').count(), "each < begins a tag");
    let closed = svg.matches("</").count() + svg.matches("/>").count();
    assert_eq!(opened, closed * 2 - svg.matches("/>").count(), "each tag is closed");
}

#[test]
fn more_files_than_a_sheet_takes_are_refused() {
    let folder = folder();
    (0..101).for_each(|number| write(folder.path(), &format!("{number}.json"), "{}"));
    let wrong = sheet(folder.path(), &["."]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    wrong.mentions("101 files: a sheet has at most 100");
}
