//! `piecemeal chapter`: the chapters, for a machine that has only the program. (every stage)

use serde_json::{Value, json};

use crate::cli::exit_codes::USAGE;
use crate::cli::failure::Failure;
use crate::cli::pages::{PAGES, Page};
use crate::cli::{Answer, Options};

/// Print a chapter, or list them all
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal chapter 4")]
pub struct Args {
    /// A chapter's number, or a page's name [default: list them]
    #[arg(value_name = "N|NAME")]
    page: Option<String>,
}

impl Args {
    pub fn run(self, _: &Options) -> Result<Answer, Failure> {
        let Some(wanted) = self.page else { return Ok(list()) };
        let page = Page::find(&wanted).ok_or_else(|| {
            Failure::new(USAGE, format!("there is no chapter {wanted}"))
                .help("`piecemeal chapter` lists them all")
                .see("README")
        })?;
        let mut json = described(page);
        json["text"] = page.text.into();
        Ok(Answer { text: page.text.trim_end().to_owned(), json })
    }
}

/// Returns the list of all pages.
fn list() -> Answer {
    let line = |page: &Page| match page.number() {
        Some(number) => {
            format!("{number:>2}  {}", page.title().trim_start_matches(&format!("{number}. ")))
        }
        None => format!("{}\n    {}", page.name, page.title()),
    };
    let lines: Vec<String> = PAGES.iter().map(line).collect();
    let pages: Vec<Value> = PAGES.iter().map(|page| described(*page)).collect();
    Answer { text: lines.join("\n"), json: json!({ "pages": pages }) }
}

fn described(page: Page) -> Value {
    json!({ "number": page.number(), "name": page.name, "title": page.title() })
}
