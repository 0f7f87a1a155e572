//! The difference of two short texts, line by line.

/// Returns the lines of both texts: `-` before those of the first only, `+` before those of the
/// second only. Where the shorter text shares less than half of its lines, each is whole, one after
/// the other: woven around a common brace or two, neither could be read.
pub fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut lines = woven(&old, &new);
    let shared = lines.iter().filter(|line| line.starts_with("  ") && tells(line)).count();
    let telling = |text: &[&str]| text.iter().filter(|line| tells(line)).count();
    if 2 * shared < telling(&old).min(telling(&new)) {
        let whole = old.iter().map(|line| format!("- {line}"));
        lines = whole.chain(new.iter().map(|line| format!("+ {line}"))).collect();
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// Whether a line has more than braces.
fn tells(line: &str) -> bool {
    line.contains(char::is_alphanumeric)
}

/// Returns the lines of both texts as one, those that they share once.
fn woven(old: &[&str], new: &[&str]) -> Vec<String> {
    let common = common(old, new);
    let (mut at, mut other) = (0, 0);
    let mut lines = Vec::new();
    while at < old.len() || other < new.len() {
        let is_same = at < old.len() && other < new.len() && old[at] == new[other];
        let is_removed = at < old.len()
            && (other == new.len() || common[at + 1][other] >= common[at][other + 1]);
        if is_same {
            lines.push(format!("  {}", old[at]));
            (at, other) = (at + 1, other + 1);
        } else if is_removed {
            lines.push(format!("- {}", old[at]));
            at += 1;
        } else {
            lines.push(format!("+ {}", new[other]));
            other += 1;
        }
    }
    lines
}

/// For every pair of places, the most lines that both texts have from there on in the same order.
fn common(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
    for at in (0..old.len()).rev() {
        for other in (0..new.len()).rev() {
            table[at][other] = match old[at] == new[other] {
                true => table[at + 1][other + 1] + 1,
                false => table[at + 1][other].max(table[at][other + 1]),
            };
        }
    }
    table
}
