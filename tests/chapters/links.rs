//! Links, and the tests that the errata name.

use super::markdown::{documents, root};

/// The targets of `[text](target)` in a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, open)| line[at + open.len()..].split(')').next())
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder =
            root().join(&document.path).parent().expect("a document is in a folder").to_owned();
        for (number, line) in &document.text {
            for target in targets(line).filter(|target| !target.contains("://")) {
                let path = target.split('#').next().unwrap_or_default();
                if !path.is_empty() && !folder.join(path).exists() {
                    broken.push(format!("{}:{number}: {target}", document.path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n  {}", broken.join("\n  "));
}

/// A test is named as `s04_handshake::a_test`.
#[test]
fn every_test_that_the_errata_name_exists() {
    let document = documents()
        .into_iter()
        .find(|document| document.path.ends_with("errata.md"))
        .expect("there are errata");
    let mut rows = 0;
    let mut wrong = Vec::new();
    for (number, line) in document.text.iter().filter(|(_, line)| line.starts_with("| ")) {
        let named: Vec<(&str, &str)> =
            line.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect();
        let named: Vec<_> = named
            .into_iter()
            .filter(|(file, _)| file.starts_with('s') && file.contains('_'))
            .collect();
        rows += usize::from(!named.is_empty());
        for (file, test) in named {
            let text = std::fs::read_to_string(root().join(format!("tests/{file}.rs")))
                .unwrap_or_default();
            if !text.contains(&format!("fn {test}(")) {
                wrong.push(format!("docs/errata.md:{number}: there is no {file}::{test}"));
            }
        }
        if line.matches(" | ").count() >= 2
            && !line.contains("::")
            && !line.contains("---")
            && !line.starts_with("| where")
        {
            wrong.push(format!("docs/errata.md:{number}: no test is named"));
        }
    }
    assert!(wrong.is_empty(), "the errata:\n  {}", wrong.join("\n  "));
    assert!(rows >= 16, "only {rows} errata name a test");
}
