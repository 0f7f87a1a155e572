//! The tests that the errata name. (Links are checked where the book is made, in docs/book.)

use super::markdown::{documents, root};

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
