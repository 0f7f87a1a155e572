//! Enough of XML to read a report: strict about what it knows, and it knows nothing else.

/// An element.
#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    /// An attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document.
#[track_caller]
pub fn parse(text: &str) -> Element {
    for letter in text.chars() {
        let allowed = matches!(letter, '\t' | '\n' | '\r') || letter >= ' ';
        assert!(allowed && !matches!(letter, '\u{fffe}' | '\u{ffff}'), "{letter:?} is not XML");
    }
    let rest =
        text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration");
    let mut reader = Reader { rest: rest.trim_start() };
    let root = reader.element();
    assert_eq!(reader.rest.trim(), "", "something behind the root");
    root
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self, what: &str) {
        self.rest = self
            .rest
            .strip_prefix(what)
            .unwrap_or_else(|| panic!("expected {what:?}, found {:.60}", self.rest));
    }

    fn until(&mut self, end: char) -> String {
        let (before, after) =
            self.rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} in {:.60}", self.rest));
        self.rest = after;
        unescaped(before)
    }

    fn name(&mut self) -> String {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let (name, rest) = self.rest.split_at(end.expect("a name ends"));
        assert!(!name.is_empty(), "no name: {:.60}", self.rest);
        self.rest = rest;
        name.to_owned()
    }

    fn element(&mut self) -> Element {
        self.skip("<");
        let mut element = Element { name: self.name(), ..Element::default() };
        while let Some(rest) = self.rest.strip_prefix(' ') {
            self.rest = rest;
            let name = self.name();
            self.skip("=\"");
            assert_eq!(element.get(&name), None, "{name} twice");
            let value = self.until('"');
            element.attributes.push((name, value));
        }
        if let Some(rest) = self.rest.strip_prefix("/>") {
            self.rest = rest;
            return element;
        }
        self.skip(">");
        loop {
            let (text, _) = self.rest.split_once('<').expect("the element ends");
            element.text += &unescaped(text);
            self.rest = &self.rest[text.len()..];
            if let Some(rest) = self.rest.strip_prefix("</") {
                self.rest = rest;
                assert_eq!(self.name(), element.name, "the end of another element");
                self.skip(">");
                return element;
            }
            element.children.push(self.element());
        }
    }
}

fn unescaped(text: &str) -> String {
    assert!(!text.contains('<'), "a bare < in {text:?}");
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, behind) = after.split_once(';').expect("a reference ends");
        out += before;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            _ => panic!("no such reference: &{name};"),
        });
        rest = behind;
    }
    out + rest
}
