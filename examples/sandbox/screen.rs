//! What a terminal shows after what was written to it: just enough of one to take line editors' work away.

/// The text on a screen without end in either direction. Colours and modes are dropped.
pub(crate) fn text(written: &str) -> String {
    let mut screen = Screen::default();
    let mut rest = written.chars();
    while let Some(char) = rest.next() {
        match char {
            '\r' => screen.column = 0,
            '\n' => screen.row += 1,
            '\x08' => screen.column = screen.column.saturating_sub(1),
            '\x1b' => screen.escape(&mut rest),
            char if char.is_control() => {}
            char => screen.put(char),
        }
    }
    let lines: Vec<String> = screen.rows.iter().map(|row| row.iter().collect::<String>()).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n").trim_end().to_owned()
}

#[derive(Default)]
struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    fn row(&mut self) -> &mut Vec<char> {
        if self.rows.len() <= self.row {
            self.rows.resize(self.row + 1, Vec::new());
        }
        &mut self.rows[self.row]
    }

    fn put(&mut self, char: char) {
        let column = self.column;
        let row = self.row();
        if row.len() <= column {
            row.resize(column + 1, ' ');
        }
        row[column] = char;
        self.column += 1;
    }

    /// An escape sequence (ECMA-48), of which the introducer has been read.
    fn escape(&mut self, rest: &mut std::str::Chars<'_>) {
        match rest.next() {
            Some('[') => {
                let mut parameters = String::new();
                let end = rest.by_ref().find(|&char| {
                    let ends = ('\x40'..='\x7e').contains(&char);
                    if !ends {
                        parameters.push(char);
                    }
                    ends
                });
                self.control(end, parameters.parse().ok());
            }
            // A title or another string, up to BEL or ESC \.
            Some(']' | 'P' | '^' | '_') => {
                let end = rest.by_ref().find(|char| matches!(char, '\x07' | '\x1b'));
                end.filter(|&char| char == '\x1b').and_then(|_| rest.next());
            }
            // A character set is named by one more.
            Some('(' | ')') => drop(rest.next()),
            _ => {}
        }
    }

    fn control(&mut self, end: Option<char>, parameter: Option<usize>) {
        let (column, count) = (self.column, parameter.unwrap_or(1).max(1));
        match end {
            Some('A') => self.row = self.row.saturating_sub(count),
            Some('B') => self.row += count,
            Some('C') => self.column += count,
            Some('D') => self.column = column.saturating_sub(count),
            Some('G') => self.column = count - 1,
            Some('K') if parameter.unwrap_or(0) == 0 => self.row().truncate(column),
            Some('J') if parameter.unwrap_or(0) == 0 => {
                self.row().truncate(column);
                let below = self.row + 1;
                self.rows.truncate(below);
            }
            _ => {}
        }
    }
}
