//! Reads a capture, for `explain` and `replay`, and shows it in each of their views. (trace)

use piecemeal::trace::capture::{self, Capture, CaptureError, lines, mermaid, page};
use piecemeal::trace::kind::Kind;
use serde_json::Value;

use super::Answer;
use super::discretion::wanted;
use super::exit_codes::BAD_INPUT;
use super::explain_input::ExplainInput;
use super::failure::Failure;
use super::failure::trace::PAGE;

/// The value of `--as`: what the bytes are, or how to show a capture.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// One kind of object, not a capture.
    Kind(Kind),
    /// A capture, event by event.
    Capture,
    /// A capture as a Mermaid diagram.
    Mermaid,
    /// A capture as a page of HTML.
    Html,
}

const VIEWS: [(&str, View); 3] =
    [("capture", View::Capture), ("mermaid", View::Mermaid), ("html", View::Html)];

impl View {
    /// Parses the value of `--as`.
    pub fn named(name: &str) -> Result<View, String> {
        let view = VIEWS.iter().find(|(known, _)| *known == name).map(|(_, view)| *view);
        view.or_else(|| Kind::named(name).map(View::Kind)).ok_or_else(|| {
            let all: Vec<&str> =
                Kind::all().map(Kind::name).chain(VIEWS.iter().map(|(name, _)| *name)).collect();
            format!("one of these was expected: {}", all.join(", "))
        })
    }

    /// Returns how to show the bytes: as the user said, or else as they look. `None` if they
    /// look like nothing that is known.
    pub fn of(chosen: Option<View>, input: &ExplainInput) -> Option<View> {
        let looks = || capture::is_capture(&input.bytes).then_some(View::Capture);
        chosen.or_else(looks).or_else(|| Kind::of(&input.bytes).map(View::Kind))
    }
}

/// Reads a capture, secrets included.
pub fn read(input: &ExplainInput) -> Result<Capture, Failure> {
    read_by(Capture::read, input)
}

fn read_by(
    read: impl Fn(&[u8]) -> Result<Capture, CaptureError>,
    input: &ExplainInput,
) -> Result<Capture, Failure> {
    read(&input.bytes).map_err(|error: CaptureError| {
        let help = "a capture is the file that --capture FILE writes; if its last line is cut short, drop it: sed '$d' FILE";
        Failure::new(BAD_INPUT, error).about(&input.source).help(help).see(PAGE)
    })
}

/// Shows a capture.
pub fn show(input: &ExplainInput, view: View, json: bool) -> Result<Answer, Failure> {
    let capture = if wanted() { read_by(Capture::read_discreetly, input)? } else { read(input)? };
    let answer = if json {
        Answer { text: String::new(), json: lines::to_json(&capture, &input.source) }
    } else {
        Answer { text: as_text(&capture, input, view), json: Value::Null }
    };
    let Some((number, event, captured)) = capture.broken() else { return Ok(answer) };
    let Some(why) = &captured.object.broken else { return Ok(answer) };
    let what = format!(
        "#{number:04}, {}: the {}: byte {}: expected {}, found {}",
        capture.lane(event).name,
        captured.object.name,
        why.range.start,
        why.expected,
        why.found
    );
    let help = format!("look at #{number:04} in the output: the carets show where");
    Err(Failure::new(BAD_INPUT, what).help(help).about(&input.source).see(PAGE).answer(answer))
}

fn as_text(capture: &Capture, input: &ExplainInput, view: View) -> String {
    match view {
        View::Mermaid => mermaid::diagram(capture),
        // The page may be passed on, and its readers need not know the folder.
        View::Html => page::page(capture, input.source.rsplit('/').next().unwrap_or_default()),
        View::Kind(_) | View::Capture => {
            let mut text = format!("A capture ({}): {}.", input.name(), lines::head(capture));
            let mut line = |line: &str| text += &format!("\n{line}");
            lines::lanes(capture).iter().for_each(|lane| line(lane));
            capture.numbered().for_each(|(number, event)| {
                line(&format!("\n{}", lines::event(capture, number, event)))
            });
            lines::left_out(capture).iter().for_each(|rest| line(&format!("\n{rest}")));
            text
        }
    }
}
