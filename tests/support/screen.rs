//! A terminal's screen, after what a program has written to it.

/// Renders a text, row by row. Empty rows at the end are left out.
pub fn rows(text: &str) -> Vec<String> {
    let mut rows = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                assert!(
                    letters.next().is_none_or(|next| next == '['),
                    "an escape that this terminal does not know"
                );
                let mut number = 0;
                while let Some(next) = letters.next_if(|next| next.is_ascii_digit() || *next == ';')
                {
                    number = number * 10 + next.to_digit(10).unwrap_or(0) as usize;
                }
                match letters.next() {
                    Some('A') => row = row.saturating_sub(number.max(1)),
                    Some('K') => rows[row].truncate(column),
                    Some('J') => {
                        rows[row].truncate(column);
                        rows.truncate(row + 1);
                    }
                    Some('m') | None => {}
                    Some(other) => panic!("an escape that this terminal does not know: {other}"),
                }
            }
            letter => {
                let line: &mut Vec<char> = &mut rows[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = letter;
                column += 1;
            }
        }
        rows.resize(rows.len().max(row + 1), Vec::new());
    }
    let mut rows: Vec<String> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows
}
