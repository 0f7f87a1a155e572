//! An exam as JUnit's XML: a suite a stage, a case a check.
//!
//! There is no standard, only readers. This keeps to the schema of Jenkins's plug-in, which is the
//! strictest one in use: the counts, `time` in seconds, at most one `failure` or `skipped` a case.

use std::fmt::Write;

use super::{chapter, hint, lines_about, points, title};
use crate::grade::exam::{Graded, Report, Status};

/// Returns the report.
pub fn of(report: &Report) -> String {
    let name = escaped(&title(report));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" {}>\n",
        counts(&report.graded.iter().collect::<Vec<_>>())
    );
    for (number, suite) in suites(report).iter().enumerate() {
        let stage = suite.first().map_or(0, |graded| graded.check.stage());
        let _ = writeln!(
            out,
            "  <testsuite name=\"stage {stage}: {}\" id=\"{number}\" skipped=\"{}\" {}>",
            chapter(stage),
            suite.iter().filter(|graded| graded.status == Status::NotCounted).count(),
            counts(suite)
        );
        if number == 0 {
            let _ = writeln!(
                out,
                "    <properties>\n      <property name=\"seed\" value=\"{}\"/>\n      <property name=\"points\" value=\"{}\"/>\n      <property name=\"of\" value=\"{}\"/>\n    </properties>",
                report.seed,
                points(report.points()),
                points(report.of())
            );
        }
        suite.iter().for_each(|graded| case(graded, &mut out));
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

/// Returns the checks by stage, in order.
fn suites(report: &Report) -> Vec<Vec<&Graded>> {
    report
        .graded
        .chunk_by(|a, b| a.check.stage() == b.check.stage())
        .map(|suite| suite.iter().collect())
        .collect()
}

fn counts(graded: &[&Graded]) -> String {
    let failed = |status| matches!(status, Status::Failed | Status::Half);
    let seconds: f64 = graded.iter().map(|graded| graded.elapsed.as_secs_f64()).sum();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{seconds:.3}\"",
        graded.len(),
        graded.iter().filter(|graded| failed(graded.status)).count()
    )
}

fn case(graded: &Graded, out: &mut String) {
    let check = graded.check;
    let _ = write!(
        out,
        "    <testcase name=\"{} {}\" classname=\"piecemeal.stage{:02}\" time=\"{:.3}\"",
        check.id,
        escaped(check.title),
        check.stage(),
        graded.elapsed.as_secs_f64()
    );
    let lines = lines_about(graded);
    let what = escaped(lines.first().map_or("", String::as_str));
    match graded.status {
        Status::Passed => *out += "/>\n",
        Status::NotCounted => {
            let _ = writeln!(out, ">\n      <skipped message=\"{what}\"/>\n    </testcase>");
        }
        Status::Failed | Status::Half => {
            let mut text = lines.join("\n");
            if let Some(hint) = hint(graded) {
                text += &format!("\nlikely: {hint}");
            }
            text += &format!("\n{}; piecemeal chapter {}", check.clause, check.stage());
            let _ = writeln!(
                out,
                ">\n      <failure message=\"{what}\" type=\"{}\">{}</failure>\n    </testcase>",
                graded.status.word(),
                escaped(&text)
            );
        }
    }
}

/// Escapes text for XML, also between double quotes. XML has no way at all to write most control
/// characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ if letter.is_control() => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}
