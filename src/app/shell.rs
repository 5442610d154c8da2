//! `rtrace` alone: the interactive shell on a terminal, or entries from standard input.

use std::io::{IsTerminal, stderr, stdin, stdout};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rtrace::cli::Invocation;
use rtrace::diag::Style;
use rtrace::error::{Error, Result};
use rtrace::kernel::Kernel;
use rtrace::kernel::live::Live;
use rtrace::repl::Lines;
use rtrace::repl::complete::Completer;
use rtrace::repl::knowledge::Known;
use rtrace::repl::plain::Plain;
use rtrace::repl::screen::Screen;
use rtrace::repl::shell::{Form, IdleInterrupt, MakeSink, Outside, Shell, Voice};
use rtrace::repl::terminal::Terminal;
use rtrace::report::written;
use rtrace::runtime::{self, Stop, TerminalSettings, features};

use crate::{output, run, signals};

/// Runs the shell: a thread reads entries, which this one answers while the programs run.
pub fn run(invocation: &Invocation, kernel: &Live) -> Result<()> {
    let voice = voice(invocation);
    let screen = voice.screen.clone();
    let (say, entries) = channel();
    let (answers, heard) = channel();
    let bell = signals::handle()?;
    let [interrupt, end] = signals::shell_handles()?;
    let known = Known::default();
    let outside = Outside { entries, answers, bell: bell.clone(), interrupt, idle_interrupt: idle_interrupt(), end };
    let traceable = invocation.traceable.clone();
    let reader = Reader { form: form(), style: voice.style, screen: screen.clone(), known: known.clone(), traceable };
    if form() == Form::Terminal {
        output::line("rtrace: type a probe and its action; help explains, Ctrl-D leaves\n")?;
    }
    let engine = run::engine(invocation, kernel, None)?;
    let shell = Shell::new(engine, voice, outside, known);
    on_terminal(&screen, || {
        std::thread::spawn(move || reader.read(&say, &heard, &bell));
        shell.run()
    })
}

/// Runs one script with its maps in view.
pub fn live(invocation: &Invocation, kernel: &Live) -> Result<()> {
    let Some(program) = &invocation.program else {
        return Err(Error::usage("--live needs a script, or a program with -e"));
    };
    let (_, text) = crate::source(program)?;
    let voice = voice(invocation);
    let screen = voice.screen.clone();
    let (_, entries) = channel();
    let (answers, _) = channel();
    let [interrupt, end] = signals::shell_handles()?;
    let outside =
        Outside { entries, answers, bell: signals::handle()?, interrupt, idle_interrupt: idle_interrupt(), end };
    let shell = Shell::new(run::engine(invocation, kernel, None)?, voice, outside, Known::default());
    on_terminal(&screen, || shell.live(&text, Duration::from_secs(1)))
}

fn voice(invocation: &Invocation) -> Voice {
    let screen = Screen::new(Box::new(stdout()));
    let complaints = match form() {
        Form::Terminal => screen.clone(),
        Form::Plain => Screen::new(Box::new(stderr())),
    };
    let is_drawn_on = stdout().is_terminal() && form() == Form::Terminal && !is_dumb();
    let form = if is_drawn_on { Form::Terminal } else { Form::Plain };
    let sink = sinks(invocation, complaints.clone());
    Voice { screen, complaints, sink, style: output::style(&stdout()), form }
}

/// A person's Ctrl-C is for the line, and must not end the session by accident.
fn idle_interrupt() -> IdleInterrupt {
    match form() {
        Form::Terminal => IdleInterrupt::Nothing,
        Form::Plain => IdleInterrupt::Leave,
    }
}

/// Whether a person types.
fn form() -> Form {
    if stdin().is_terminal() { Form::Terminal } else { Form::Plain }
}

/// Whether the terminal cannot move its cursor: it has no views, and lines are edited by the kernel.
fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| ["", "dumb", "cons25", "emacs"].contains(&term.as_str()))
}

/// Does what uses the terminal, and leaves it as it was.
fn on_terminal(screen: &Screen, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let terminal = TerminalSettings::read().ok().filter(|_| form() == Form::Terminal);
    restore_at_panic(terminal);
    terminal.filter(|_| !is_dumb()).inspect(TerminalSettings::leave_keys);
    let result = work();
    // The reader may have been in the middle of a line.
    terminal.inspect(restore);
    result.and(written(screen.close()))
}

/// Whatever happens, the person gets the terminal back as it was.
fn restore_at_panic(terminal: Option<TerminalSettings>) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        terminal.as_ref().inspect(|terminal| restore(terminal));
        usual(panic);
    }));
}

fn restore(terminal: &TerminalSettings) {
    terminal.set();
    // The line editor has the terminal mark what is pasted, and a view has a screen of its own without a cursor.
    output::line("\x1b[?2004l\x1b[?25h\r").ok();
}

fn sinks(invocation: &Invocation, complaints: Screen) -> MakeSink {
    let invocation = invocation.clone();
    Box::new(move |config, screen| {
        output::tame(config, &invocation);
        output::shell_sink(&invocation, config, Box::new(screen.clone()), Box::new(complaints.clone()))
    })
}

/// Who reads entries.
struct Reader {
    form: Form,
    style: Style,
    screen: Screen,
    known: Known,
    /// File with the functions that may be traced.
    traceable: Option<String>,
}

impl Reader {
    /// Hands over entry after entry, each once the one before is answered; nothing at the end.
    fn read(&self, say: &Sender<Option<String>>, heard: &Receiver<String>, bell: &Stop) {
        // Looking things up for completion must not wait for those that the programs need.
        let live = || Live::new(features::probe).with_programs(runtime::PROGRAMS);
        let kernel = match &self.traceable {
            Some(path) => live().with_functions(path).unwrap_or_else(|_| live()),
            None => live(),
        };
        std::thread::scope(|scope| {
            if self.form == Form::Terminal {
                // The long lists are read before anyone asks for them.
                scope.spawn(|| kernel.tracepoints().and(kernel.functions()).is_ok());
            }
            self.converse(self.lines(&kernel), say, heard, bell);
        });
    }

    fn converse(
        &self,
        mut lines: Result<Box<dyn Lines + '_>>,
        say: &Sender<Option<String>>,
        heard: &Receiver<String>,
        bell: &Stop,
    ) {
        let mut text = String::new();
        loop {
            let entry = match &mut lines {
                Ok(lines) => lines.next(&text),
                Err(error) => Err(error.clone()),
            };
            let entry = entry.unwrap_or_else(|error| {
                eprintln!("ERROR: {error}");
                None
            });
            let is_last = entry.is_none();
            if say.send(entry).is_err() {
                return;
            }
            bell.stop();
            if is_last {
                return;
            }
            let Ok(answer) = heard.recv() else { return };
            text = answer;
        }
    }

    fn lines<'k>(&self, kernel: &'k Live) -> Result<Box<dyn Lines + 'k>> {
        let completer = Completer { kernel, known: self.known.clone() };
        Ok(match self.form {
            Form::Terminal => Box::new(Terminal::open(history(), self.style, &self.screen, completer)?),
            Form::Plain => Box::new(Plain::new(stdin().lock())),
        })
    }
}

/// Where entries are kept from session to session.
fn history() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    state.map(|state| state.join("rtrace/history"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[ignore = "ends the process that runs it; see the next"]
    fn a_panic_in_a_view() {
        on_terminal(&Screen::new(Box::new(stdout())), || {
            Command::new("stty").args(["raw", "-echo"]).status().unwrap();
            output::line("\x1b[?1049h\x1b[?25l").unwrap();
            panic!("on purpose")
        })
        .unwrap();
    }

    #[test]
    fn a_panic_gives_the_terminal_back_as_it_was() {
        let test = std::env::current_exe().unwrap();
        let panics = format!("{} --ignored --exact shell::tests::a_panic_in_a_view", test.display());
        let command =
            format!("stty -a > $0.before; {panics}; stty -a | cmp - $0.before && echo as it was; rm $0.before");
        let shell = format!("sh -c '{command}' {}", std::env::temp_dir().join("rtrace-panic").display());
        let shown = Command::new("script").args(["-qec", &shell, "/dev/null"]).env("TERM", "xterm").output().unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("on purpose") && shown.contains("as it was"), "{shown}");
    }
}
