//! Bytes as a terminal shows them: lines that can be looked at, those that have scrolled away too.

/// A screen, as far as line editors and views of rtrace use one.
pub struct Vt {
    /// All lines ever, the screen being the last ones.
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    size: (usize, usize),
    /// How far the lines were read; what is written over before that counts as new.
    mark: (usize, usize),
    /// The start of a character or control sequence whose rest is to come.
    rest: Vec<u8>,
    /// The usual screen, while another is shown.
    usual: Option<(Vec<Vec<char>>, usize, usize)>,
}

impl Vt {
    pub fn new(rows: usize, columns: usize) -> Vt {
        let size = (rows, columns);
        Vt { lines: vec![Vec::new()], row: 0, column: 0, size, mark: (0, 0), rest: Vec::new(), usual: None }
    }

    /// What is drawn from now on is for a screen of this size.
    pub fn resize(&mut self, rows: usize, columns: usize) {
        self.size = (rows, columns);
        if self.usual.is_some() {
            self.lines = vec![Vec::new(); rows];
            (self.row, self.column, self.mark) = (0, 0, (0, 0));
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.rest);
        let mut at = 0;
        while at < bytes.len() {
            match self.take(&bytes[at..]) {
                Some(length) => at += length,
                None => {
                    self.rest = bytes[at..].to_vec();
                    return;
                }
            }
        }
    }

    /// What stands after what was read.
    pub fn unread(&self) -> String {
        let (row, column) = self.mark;
        let line = |(at, line): (usize, &Vec<char>)| {
            let from = if at == row { column.min(line.len()) } else { 0 };
            line[from..].iter().collect::<String>()
        };
        self.lines.iter().enumerate().skip(row).map(line).collect::<Vec<_>>().join("\n")
    }

    /// Counts so many bytes of [`Vt::unread`] as read.
    pub fn read(&mut self, bytes: usize) {
        let text = self.unread();
        let before = &text[..bytes];
        let (row, column) = self.mark;
        let lines = before.matches('\n').count();
        let last = before.rsplit('\n').next().unwrap_or_default().chars().count();
        self.mark = (row + lines, if lines == 0 { column + last } else { last });
    }

    /// The lines that are on the screen.
    pub fn screen(&self) -> String {
        let lines = self.lines[self.top()..].iter();
        lines.map(|line| line.iter().collect::<String>().trim_end().to_string() + "\n").collect()
    }

    fn top(&self) -> usize {
        self.lines.len().saturating_sub(self.size.0)
    }

    /// Acts on one character or sequence; gives its length, or nothing if it is not complete.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        match bytes[0] {
            b'\x1b' => return self.escape(bytes),
            b'\r' => self.column = 0,
            b'\n' => self.down(),
            b'\x08' => self.column = self.column.saturating_sub(1),
            0x20.. => {
                let length = match bytes[0] {
                    0xf0.. => 4,
                    0xe0.. => 3,
                    0xc0.. => 2,
                    _ => 1,
                };
                let text = bytes.get(..length)?;
                String::from_utf8_lossy(text).chars().for_each(|c| self.put(c));
                return Some(length);
            }
            _ => {}
        }
        Some(1)
    }

    fn escape(&mut self, bytes: &[u8]) -> Option<usize> {
        if *bytes.get(1)? != b'[' {
            return Some(2);
        }
        let length = 2 + bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte))? + 1;
        let parameters = String::from_utf8_lossy(&bytes[2..length - 1]).into_owned();
        self.control(bytes[length - 1], &parameters);
        Some(length)
    }

    fn control(&mut self, kind: u8, parameters: &str) {
        let number = |at: usize| parameters.split(';').nth(at).and_then(|word| word.parse::<usize>().ok());
        let count = number(0).unwrap_or(1).max(1);
        match kind {
            b'A' => self.row = self.row.saturating_sub(count).max(self.top()),
            b'B' => self.move_to_row(self.row + count),
            b'C' => self.column = (self.column + count).min(self.size.1 - 1),
            b'D' => self.column = self.column.saturating_sub(count),
            b'G' => self.column = count - 1,
            b'H' => {
                self.move_to_row(self.top() + count - 1);
                self.column = number(1).unwrap_or(1).max(1) - 1;
            }
            b'K' => self.clear_line(),
            b'J' => self.clear(number(0).unwrap_or(0)),
            b'h' if parameters == "?1049" => {
                self.usual = Some((std::mem::take(&mut self.lines), self.row, self.column));
                self.lines = vec![Vec::new(); self.size.0];
                (self.row, self.column, self.mark) = (0, 0, (0, 0));
            }
            b'l' if parameters == "?1049" => {
                if let Some((lines, row, column)) = self.usual.take() {
                    (self.lines, self.row, self.column, self.mark) = (lines, row, column, (row, 0));
                }
            }
            _ => {}
        }
    }

    fn clear(&mut self, what: usize) {
        if what == 2 {
            (self.row, self.column) = (self.top(), 0);
        }
        self.clear_line();
        self.lines.truncate(self.row + 1);
        if self.usual.is_some() {
            self.lines.resize(self.size.0, Vec::new());
        }
        self.mark = self.mark.min((self.row, self.column));
    }

    fn clear_line(&mut self) {
        self.lines[self.row].truncate(self.column);
        if self.mark.0 == self.row {
            self.mark.1 = self.mark.1.min(self.column);
        }
    }

    fn put(&mut self, c: char) {
        if self.column == self.size.1 {
            self.column = 0;
            self.down();
        }
        let line = &mut self.lines[self.row];
        if line.len() <= self.column {
            line.resize(self.column + 1, ' ');
        }
        line[self.column] = c;
        self.column += 1;
    }

    fn down(&mut self) {
        self.move_to_row(self.row + 1);
    }

    fn move_to_row(&mut self, row: usize) {
        self.row = row;
        if self.lines.len() <= row {
            self.lines.resize(row + 1, Vec::new());
        }
    }
}
