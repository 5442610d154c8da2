//! One way out for all that is said while a line may be edited: text goes straight out, or waits for the line editor to make room
//! for it, or for a view to be left.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Copies write to the same place.
#[derive(Clone)]
pub struct Screen(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    out: Box<dyn Write + Send>,
    mode: Mode,
    waiting: Vec<u8>,
    /// What the line editor was given and has not shown yet, as far as is known.
    handed: Option<String>,
    dropped: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Direct,
    /// A line is being edited: text is shown above it, by the editor.
    Editing,
    /// Something else has the screen.
    Held,
    /// The last words are said: nobody may edit any more.
    Final,
    /// Nothing will be shown any more.
    Closed,
}

/// Bytes that may wait before whoever writes more is kept waiting too (or, for a view, before the oldest are dropped).
const ENOUGH: usize = 256 << 10;

/// Bytes that the editor is given at once.
const PORTION: usize = 32 << 10;

/// How long the rest of an unfinished line is waited for.
const REST_OF_LINE: Duration = Duration::from_millis(50);

/// Each portion has the line redrawn, which nobody needs more often than this.
const PACE: Duration = Duration::from_millis(20);

/// After this long, a portion counts as shown: the editor was not in the way when it was printed.
const SHOWN: Duration = Duration::from_secs(1);

/// Whoever began to draw a line before the last words needs no longer for it.
const DRAWING: Duration = Duration::from_millis(20);

impl Screen {
    pub fn new(out: Box<dyn Write + Send>) -> Screen {
        let state = State { out, mode: Mode::Direct, waiting: Vec::new(), handed: None, dropped: 0 };
        Screen(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// The editor has the terminal and shows text in between. Once the last words are said, whoever edits is stopped here for good.
    pub fn begin_editing(&self) {
        let mut state = self.lock();
        while matches!(state.mode, Mode::Final | Mode::Closed) {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.mode = Mode::Editing;
        drop(state);
        self.0.changed.notify_all();
    }

    /// A view has the screen for itself.
    pub fn hold(&self) {
        self.switch(Mode::Held);
    }

    /// Draws for whoever has the screen.
    pub fn draw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.out.write_all(bytes).and_then(|()| state.out.flush())
    }

    /// Nobody has the screen: what waits is written.
    pub fn release(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.mode != Mode::Final {
            state.mode = Mode::Direct;
        }
        self.0.changed.notify_all();
        let (waiting, dropped) = (std::mem::take(&mut state.waiting), std::mem::take(&mut state.dropped));
        if dropped > 0 {
            writeln!(state.out, "({dropped} bytes of earlier output were dropped while a view was shown)")?;
        }
        state.out.write_all(&waiting)?;
        state.out.flush()
    }

    /// What follows are the last words, below a line that nobody will finish.
    pub fn abandon_line(&self) -> io::Result<()> {
        let before = std::mem::replace(&mut self.lock().mode, Mode::Final);
        if before == Mode::Editing {
            std::thread::sleep(DRAWING);
            self.lock().out.write_all(b"\n")?;
        }
        self.write_handed()?;
        self.release()
    }

    fn write_handed(&self) -> io::Result<()> {
        let mut state = self.lock();
        let handed = state.handed.take().unwrap_or_default();
        state.out.write_all(handed.as_bytes())
    }

    /// The last of all: what the editor did not come to show is written too.
    pub fn close(&self) -> io::Result<()> {
        self.abandon_line()?;
        self.switch(Mode::Closed);
        Ok(())
    }

    /// The editor has shown what it was given.
    pub fn shown(&self) {
        self.lock().handed = None;
        self.0.changed.notify_all();
    }

    /// Hands text to the editor as it comes, until the screen is closed.
    pub fn deliver(&self, mut print: impl FnMut(String)) {
        while let Some(text) = self.portion() {
            print(text);
            std::thread::sleep(PACE);
        }
    }

    /// Waits for text that the editor is to show next; `None` at the end.
    fn portion(&self) -> Option<String> {
        let mut state = self.lock();
        loop {
            state = match state.mode {
                Mode::Closed => return None,
                Mode::Editing if state.handed.is_some() => {
                    let (mut state, waited) = self.wait(state, SHOWN);
                    if waited.timed_out() && state.mode == Mode::Editing {
                        state.handed = None;
                    }
                    state
                }
                Mode::Editing if !state.waiting.is_empty() => {
                    if !state.waiting.contains(&b'\n') {
                        let (later, waited) = self.wait(state, REST_OF_LINE);
                        state = later;
                        if !waited.timed_out() || state.mode != Mode::Editing {
                            continue;
                        }
                    }
                    let text = state.take_portion();
                    self.0.changed.notify_all();
                    return Some(text);
                }
                Mode::Editing | Mode::Direct | Mode::Held | Mode::Final => {
                    self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    fn switch(&self, mode: Mode) {
        self.lock().mode = mode;
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(
        &self,
        state: MutexGuard<'s, State>,
        time: Duration,
    ) -> (MutexGuard<'s, State>, std::sync::WaitTimeoutResult) {
        self.0.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whole lines, as many as fit; of a line that is too long or goes on later, what there is.
    fn take_portion(&mut self) -> String {
        let room = &self.waiting[..self.waiting.len().min(PORTION)];
        let end = room.iter().rposition(|byte| *byte == b'\n').map_or(room.len(), |at| at + 1);
        let text: Vec<u8> = self.waiting.drain(..end).collect();
        let text = String::from_utf8_lossy(&text).into_owned();
        self.handed = Some(text.clone());
        text
    }

    /// Makes room by dropping the oldest lines.
    fn shorten(&mut self) {
        let half = self.waiting.len() / 2;
        let end = self.waiting[half..].iter().position(|byte| *byte == b'\n').map_or(half, |at| half + at + 1);
        self.waiting.drain(..end);
        self.dropped += end;
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        while state.mode == Mode::Editing && state.waiting.len() > ENOUGH {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match state.mode {
            Mode::Direct | Mode::Final => state.out.write_all(bytes)?,
            Mode::Closed => {}
            Mode::Editing | Mode::Held => {
                state.waiting.extend_from_slice(bytes);
                if state.mode == Mode::Held && state.waiting.len() > ENOUGH {
                    state.shorten();
                }
                self.0.changed.notify_all();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.lock();
        if matches!(state.mode, Mode::Direct | Mode::Final) { state.out.flush() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn text_waits_while_the_screen_is_taken() {
        let paper = Paper::default();
        let mut screen = Screen::new(Box::new(paper.clone()));
        writeln!(screen, "a").unwrap();
        screen.hold();
        writeln!(screen, "b").unwrap();
        assert_eq!(paper.text(), "a\n");
        screen.release().unwrap();
        assert_eq!(paper.text(), "a\nb\n");
    }

    #[test]
    fn a_view_drops_the_oldest_lines_and_says_so() {
        let paper = Paper::default();
        let mut screen = Screen::new(Box::new(paper.clone()));
        screen.hold();
        (0..ENOUGH / 8).for_each(|line| writeln!(screen, "{line:>9}").unwrap());
        screen.release().unwrap();
        let text = paper.text();
        assert!(text.starts_with('(') && text.lines().next().unwrap().contains("dropped"), "{}", &text[..80]);
        assert!(text.ends_with(&format!("{:>9}\n", ENOUGH / 8 - 1)) && text.len() <= ENOUGH + 100);
    }

    #[test]
    fn the_editor_is_given_whole_lines_one_portion_at_a_time() {
        let paper = Paper::default();
        let mut screen = Screen::new(Box::new(paper.clone()));
        let (sender, given) = channel();
        let printer = std::thread::spawn({
            let screen = screen.clone();
            move || screen.deliver(|text| sender.send(text).unwrap())
        });
        screen.begin_editing();
        write!(screen, "one\ntwo").unwrap();
        assert_eq!(given.recv().unwrap(), "one\n");
        writeln!(screen, " three").unwrap();
        assert!(given.try_recv().is_err(), "nothing more before the first portion was shown");
        screen.shown();
        assert_eq!(given.recv().unwrap(), "two three\n");
        writeln!(screen, "last").unwrap();
        // The second portion was never shown, so the end writes it.
        screen.close().unwrap();
        assert_eq!(paper.text(), "\ntwo three\nlast\n");
        printer.join().unwrap();
    }
}
