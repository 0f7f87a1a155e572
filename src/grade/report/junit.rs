//! An exam as JUnit's XML: a suite a stage, a case a check.
//!
//! There is no standard, only readers. This keeps to the schema of Jenkins's plug-in, which is the
//! strictest one in use: the counts, `time` in seconds, at most one `failure` or `skipped` a case.
//!
//! * **Properties are in every suite.** No schema has a place for those of the whole, and Jenkins
//!   shows them suite by suite. The points are those of the suite.
//! * **A suite is the class of its cases.** GitLab shows the class of a case as its suite, and a
//!   reporter for GitHub makes a group of each class that is not the suite.
//! * **Why a case is skipped is said twice.** Jenkins reads the attribute, and GitLab the content.

use std::fmt::Write;

use super::{chapter, hint, lines_about, points, sums, title};
use crate::grade::exam::{Graded, Report, Status};
use crate::trace::capture::page::escaped;

/// Returns the report.
pub fn of(report: &Report) -> String {
    let name = escaped(&title(report));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" {}>\n",
        counts(&report.graded.iter().collect::<Vec<_>>(), report.took.as_secs_f64())
    );
    for (number, suite) in suites(report).iter().enumerate() {
        let Some(first) = suite.first() else { continue };
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" id=\"{number}\" skipped=\"{}\" {}>",
            class(first),
            suite.iter().filter(|graded| is_skipped(graded.status)).count(),
            counts(suite, suite.iter().map(|graded| graded.elapsed.as_secs_f64()).sum())
        );
        let (credit, worth) = sums(suite.iter().copied());
        let _ = writeln!(
            out,
            "    <properties>\n      <property name=\"seed\" value=\"{}\"/>\n      <property name=\"points\" value=\"{}\"/>\n      <property name=\"of\" value=\"{}\"/>\n    </properties>",
            report.seed,
            points(credit),
            points(worth)
        );
        suite.iter().for_each(|graded| case(report, graded, &mut out));
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

/// Returns the name of a check's suite, and the class of its case: `piecemeal.04-handshake`.
fn class(graded: &Graded) -> String {
    format!("piecemeal.{}", chapter(graded.check.stage()))
}

fn is_skipped(status: Status) -> bool {
    status == Status::NotCounted || !status.is_begun()
}

/// Returns the numbers of checks, and the time. Checks run side by side: those of a suite take more
/// time together than the clock says.
fn counts(graded: &[&Graded], seconds: f64) -> String {
    let failed = |status| matches!(status, Status::Failed | Status::Half);
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{seconds:.3}\"",
        graded.len(),
        graded.iter().filter(|graded| failed(graded.status)).count()
    )
}

fn case(report: &Report, graded: &Graded, out: &mut String) {
    let check = graded.check;
    let _ = write!(
        out,
        "    <testcase name=\"{} {}\" classname=\"{}\" time=\"{:.3}\"",
        check.id,
        escaped(check.title),
        class(graded),
        graded.elapsed.as_secs_f64()
    );
    let lines = lines_about(report, graded);
    let what = escaped(lines.first().map_or("", String::as_str));
    match graded.status {
        Status::Passed => *out += "/>\n",
        status if is_skipped(status) => {
            let _ = writeln!(
                out,
                ">\n      <skipped message=\"{what}\">{what}</skipped>\n    </testcase>"
            );
        }
        _ => {
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
