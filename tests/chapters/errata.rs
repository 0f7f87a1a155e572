//! The tests that the errata name. (Links are checked where the book is made, in docs/book.)

use super::markdown::{documents, root};

/// The files of a test target.
fn texts(target: &str) -> impl Iterator<Item = String> {
    let top = root().join(format!("tests/{target}.rs"));
    let parts = std::fs::read_dir(root().join("tests").join(target)).into_iter().flatten();
    let parts = parts.map(|entry| entry.expect("the folder can be read").path());
    std::iter::once(top).chain(parts).map(|path| std::fs::read_to_string(path).unwrap_or_default())
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
            if !texts(file).any(|text| text.contains(&format!("fn {test}("))) {
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
