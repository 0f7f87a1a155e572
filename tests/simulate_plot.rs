//! The page of plots: the same bytes each time, nothing outside of it, and valid XML whatever a
//! strategy is called.

use piecemeal::simulate::outcome::{Outcome, PeerResult, Row, Run, Sample, Scale, Theory};
use piecemeal::simulate::plot;

fn run(label: &str, pace: f64) -> Run {
    let samples = (0..=120).map(|step| {
        let t = f64::from(step) * 10.0;
        let done = (40.0 * (1.0 - (-(t - 300.0).max(0.0) / (pace * 400.0)).exp())).round() as u64;
        let rarest = (t * 40.0 / (pace * 900.0)).min(40.0) as u64;
        Sample { t, done, rarest, mean: rarest as f64 * 1.4, leechers: 40 - done }
    });
    let peer = |number: usize| {
        let class = number % 3;
        let taken = 113e6 * (0.9 + 0.1 * ((number * 7) % 10) as f64 / 10.0);
        let given =
            taken * [0.5, 0.9, 1.3][class] * (0.8 + 0.4 * ((number * 3) % 10) as f64 / 10.0);
        PeerResult { class, arrived: 0.0, time: Some(900.0), given, taken, from_seeds: 0.0 }
    };
    Run {
        label: label.to_owned(),
        classes: ["slow", "medium", "fast", "seed"].map(str::to_owned).to_vec(),
        peers: (0..40).map(peer).collect(),
        samples: samples.collect(),
        gave: vec![
            vec![6.0, 3.0, 1.0, 0.0],
            vec![2.0, 6.0, 2.0, 0.0],
            vec![1.0, 2.0, 7.0, 0.0],
            vec![3.0, 4.0, 3.0, 0.0],
        ],
        seed_copies: Some(1.5 * pace),
        alive: 1.0,
        ..Run::default()
    }
}

fn outcome() -> Outcome {
    let labels = ["rarest <first>", "random & wild", "in order"];
    let row = |label: &str| Row { label: label.to_owned(), ..Row::default() };
    Outcome {
        scale: Scale { peers: 40, came: (40, 40), pieces: 453, seeds: (0, 0) },
        rows: labels.map(row).to_vec(),
        runs: labels.iter().zip([1.0, 1.4, 2.0]).map(|(label, pace)| run(label, pace)).collect(),
        theory: vec![Theory { label: "a".to_owned(), points: vec![(0.0, 10.0), (1200.0, 38.0)] }],
        ..Outcome::default()
    }
}

fn page(outcome: &Outcome) -> String {
    plot::page("clustering: who \"trades\"", "known: like gives to like", outcome)
}

#[test]
fn the_same_outcome_is_the_same_page() {
    assert_eq!(page(&outcome()), page(&outcome()));
}

#[test]
fn a_page_shows_each_thing_that_there_is() {
    let page = page(&outcome());
    for title in [
        "Peers that are not done",
        "Peers that have everything",
        "Copies of the rarest piece",
        "Given by the seeds until one whole copy was out",
        "Given against taken, by peer: rarest &lt;first&gt;",
        "Who gave whom: random &amp; wild",
    ] {
        assert!(page.contains(&format!(">{title}</text>")), "{title}: {page}");
    }
    // Of ten shares given by the slow, six are to the slow. The seed has a row in each of the three
    // matrices, and no column.
    assert!(page.contains(">0.60</text>"), "{page}");
    assert_eq!(places(&page, "seed").len(), 3, "{page}");
}

/// Where the texts of this content are: from the left, and from the top.
fn places(page: &str, text: &str) -> Vec<(f64, f64)> {
    let number = |line: &str, key: &str| -> f64 {
        let (_, rest) = line.split_once(&format!(" {key}=\"")).expect("it has a place");
        rest.split('"').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    let lines = page.lines().filter(|line| line.contains(&format!(">{text}</text>")));
    lines.map(|line| (number(line, "x"), number(line, "y"))).collect()
}

#[test]
fn each_curve_has_its_name_beside_it_and_no_name_is_over_another() {
    let page = page(&outcome());
    let names = ["rarest &lt;first&gt;", "random &amp; wild", "in order"];
    let names = names.map(|name| places(&page, name));
    // The first three panels are curves, and then there are bars of the same names.
    for panel in 0..3 {
        for (one, other) in [(0, 1), (1, 2), (0, 2)] {
            let ((x, y), (other_x, other_y)) = (names[one][panel], names[other][panel]);
            assert_eq!(x, other_x, "names of a panel stand in a column: {names:?}");
            assert!((y - other_y).abs() >= 11.0, "a letter is 11 high: {names:?}");
        }
    }
}

#[test]
fn what_a_peer_gave_for_what_it_took_is_a_row_of_dots_for_each_class() {
    let mut outcome = outcome();
    outcome.runs[0].peers[0].given = 3.0 * outcome.runs[0].peers[0].taken;
    let page = page(&outcome);
    // The axis is as long as that, also beside it, and 1 has a line of its own.
    assert_eq!(places(&page, "3.0").len(), 2, "{page}");
    assert_eq!(places(&page, "as much as it took").len(), 2, "{page}");
    let rows = ["slow", "medium", "fast"].map(|name| places(&page, name)[0].1);
    assert!(rows.is_sorted(), "from the top: {rows:?}");
}

#[test]
fn a_piece_that_is_lost_shows_in_bars_and_in_the_name_of_its_curve() {
    let whole = Outcome { runs: vec![run("x", 1.0)], rows: outcome().rows, ..Outcome::default() };
    let title = "Runs in which no piece was lost";
    assert!(!page(&whole).contains(title), "nothing is lost");
    let mut outcome = outcome();
    outcome.runs[2].alive = 0.25;
    outcome.runs[2].samples.iter_mut().for_each(|sample| sample.rarest /= 50);
    let page = page(&outcome);
    assert!(page.contains(title) && page.contains(">in order: gone</text>"), "{page}");
    // Of its only run, and of the others': percent.
    assert!(!places(&page, "25").is_empty() && places(&page, "100").len() >= 4, "{page}");
}

#[test]
fn a_color_is_never_alone_and_the_page_fits_both_backgrounds() {
    let page = page(&outcome());
    for line in page.lines().filter(|line| line.contains("class=\"k1\"") && line.contains("<path"))
    {
        let dashed = line.contains("stroke-dasharray");
        let square = line.contains("h4.6v4.6h-4.6z");
        assert!(dashed || square, "the second series has only its color: {line}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("currentColor"), "{page}");
    assert!(!page.contains("http:") || page.matches("http:").count() == 1, "only the namespace");
}

#[test]
fn what_a_strategy_is_called_cannot_break_the_page() {
    let mut outcome = outcome();
    let name = "</text><script>alert(1)</script>\u{7}\"&";
    outcome.rows[0].label = name.to_owned();
    outcome.runs[0].label = name.to_owned();
    let page = page(&outcome);
    assert!(!page.contains("<script") && !page.contains('\u{7}'), "{page}");
    assert!(
        page.contains("&lt;/text&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;"),
        "{page}"
    );
}

#[test]
fn no_number_is_too_odd_for_a_page() {
    let mut outcome = outcome();
    let odd = Sample { t: f64::INFINITY, done: u64::MAX, rarest: 0, mean: f64::NAN, leechers: 1 };
    outcome.runs[0].samples.insert(3, odd);
    outcome.runs[1].samples.clear();
    outcome.runs[1].gave = vec![vec![0.0; 4]; 2];
    outcome.runs[2].gave = Vec::new();
    outcome.runs[0].seed_copies = Some(f64::NAN);
    outcome.runs[0].peers[0].given = f64::NAN;
    for outcome in [outcome, Outcome::default()] {
        let page = page(&outcome);
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        assert!(page.ends_with("</svg>\n"), "{page}");
    }
}
