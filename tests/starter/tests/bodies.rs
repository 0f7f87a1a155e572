//! Bodies out of a file and into it: all else stays to the byte.

use piecemeal_starter::source::Source;

const FILE: &str = "\
//! Letters of several bytes: … é 漢.

fn plain(é: &str) -> usize { é.len() }

/// …
impl<'a, R: Read> Reader<'a, R> {
    /// é
    pub fn read(&mut self, text: &str) -> Option<u8> {
        // … a comment with a brace }
        if text == \"}\" { return None; }
        Some(b'}')
    }
    fn all(&self) -> impl Iterator<Item = u8> + '_ {
        std::iter::empty()
    }
    fn opaque(&self) -> impl Fn() {
        || ()
    }
}

impl Iterator for Reader<'_, File> {
    type Item = u8;
    fn next(&mut self) -> Option<u8> { None }
}

impl Shape for &Reader<'_, File> {
    fn area(&self) -> u32 { 7 }
}

trait Shape {
    fn area(&self) -> u32;
    fn twice(&self) -> u32 { self.area() * 2 }
}

mod inside {
    pub fn plain() {}
    impl Thing { fn new() -> Thing { Thing } }
}
";

fn source() -> Source {
    Source::parse("src/s01.rs", FILE.to_owned()).expect("it is Rust")
}

#[test]
fn a_function_is_found_by_its_path() {
    for (path, body) in [
        ("plain", " é.len() "),
        ("Reader as Iterator::next", " None "),
        ("Reader as Shape::area", " 7 "),
        ("Shape::twice", " self.area() * 2 "),
        ("inside::plain", ""),
        ("inside::Thing::new", " Thing "),
    ] {
        assert_eq!(source().body(path).expect(path), body, "{path}");
    }
    let read = source().body("Reader::read").expect("it is there").to_owned();
    assert!(read.starts_with("\n        // …") && read.ends_with("Some(b'}')\n    "), "{read:?}");
}

#[test]
fn a_body_that_is_taken_out_and_put_back_leaves_every_byte() {
    let source = source();
    let paths = ["plain", "Reader::read", "Reader::all", "inside::plain", "Shape::twice"];
    let bodies: Vec<String> =
        paths.iter().map(|path| source.body(path).expect(path).to_owned()).collect();
    let empty = source.with_bodies(paths.map(|path| (path, ""))).expect("all are there");
    assert!(empty.contains("fn plain(é: &str) -> usize {}\n"), "{empty}");
    let empty = Source::parse("src/s01.rs", empty).expect("it is still Rust");
    let pairs = paths.iter().copied().zip(bodies.iter().map(String::as_str));
    assert_eq!(empty.with_bodies(pairs).expect("all are there"), FILE);
}

#[test]
fn a_hole_has_the_task_and_a_todo_that_compiles() {
    let source = source();
    let empty = |path: &str| source.find(path).expect(path).empty(path, "Reads {one} byte.");
    assert_eq!(
        empty("Reader::read").expect("it can be empty"),
        "\n        // Reads {one} byte.\n        todo!(\"Reader::read\")\n    "
    );
    // What stands in for an iterator has to be one.
    assert_eq!(
        empty("Reader::all").expect("it can be empty"),
        "\n        // Reads {one} byte.\n        let hole: std::iter::Empty<_> = todo!(\"Reader::all\");\n        hole\n    "
    );
    assert_eq!(
        empty("plain").expect("it can be empty"),
        "\n    // Reads {one} byte.\n    todo!(\"plain\")\n"
    );
    let told = empty("Reader::opaque").expect_err("nothing stands in for it").to_string();
    assert_eq!(told, "`Reader::opaque` returns `impl Fn ()`, which `todo!()` cannot pass for");
}

#[test]
fn a_path_that_is_there_twice_is_refused() {
    let text = "#[cfg(unix)]\nfn once() {}\n#[cfg(not(unix))]\nfn once() {}\n".to_owned();
    let source = Source::parse("src/s01.rs", text).expect("it is Rust");
    let told = source.find("once").expect_err("there are two").to_string();
    assert_eq!(told, "src/s01.rs has `once` 2 times, and once is expected");
}

#[test]
fn what_is_not_rust_is_told_with_its_place() {
    let told = Source::parse("src/s01.rs", "fn a() {\n    é é\n".to_owned()).expect_err("no brace");
    assert!(told.to_string().starts_with("src/s01.rs:1:8: "), "{told}");
}
