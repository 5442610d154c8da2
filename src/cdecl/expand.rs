//! The macros of the preprocessor: tokens in, what they stand for out.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::lex::{Token, tokens};

/// What is defined, by name.
#[derive(Default)]
pub struct Macros {
    of: HashMap<String, Macro>,
}

#[derive(Clone)]
struct Macro {
    /// `None` for one without parentheses.
    params: Option<Params>,
    body: Vec<Token>,
}

#[derive(Clone, Default)]
struct Params {
    names: Vec<String>,
    /// The name that stands for all further arguments.
    rest: Option<String>,
}

/// What an expansion came to.
pub struct Expanded {
    pub out: Vec<Token>,
    /// A call whose last parenthesis has not been seen yet, and what follows its name.
    pub open: Vec<Token>,
}

/// A token that waits to be looked at, and the names that are plain within it.
#[derive(Clone)]
struct Waiting {
    token: Token,
    hidden: Hidden,
}

/// A list of names that grows with each expansion.
type Hidden = Option<Rc<Link>>;

struct Link {
    name: String,
    outer: Hidden,
}

/// Arguments within arguments are expanded this far.
const DEPTH: usize = 64;

/// No text of one script comes near so many tokens; what goes beyond is left as it is.
const MOST: usize = 1 << 21;

impl Macros {
    /// Defines a name by what follows it on its line; `None` if there is no name.
    pub fn define(&mut self, line: &[Token]) -> Option<()> {
        let (name, body) = line.split_first().filter(|(name, _)| name.is_name())?;
        // Parameters follow the name without a space.
        let has_params = body.first().is_some_and(|open| open.text == "(" && open.span.start == name.span.end);
        let close = body.iter().position(|token| token.text == ")").filter(|_| has_params);
        let of = match close {
            Some(close) => Macro { params: Some(Params::new(&body[1..close])), body: body[close + 1..].to_vec() },
            None => Macro { params: None, body: body.to_vec() },
        };
        self.of.insert(name.text.clone(), of);
        Some(())
    }

    pub fn undefine(&mut self, name: &str) {
        self.of.remove(name);
    }

    pub fn is_defined(&self, name: &str) -> bool {
        self.of.contains_key(name)
    }

    /// Whether a name stands for something without parentheses.
    pub fn is_plain(&self, name: &str) -> bool {
        self.of.get(name).is_some_and(|of| of.params.is_none())
    }

    /// What the tokens stand for; each keeps the place where it, or the macro it comes from, was written.
    pub fn expand(&self, tokens: Vec<Token>) -> Expanded {
        let waiting = tokens.into_iter().map(|token| Waiting { token, hidden: None }).collect();
        let mut expander = Expander { macros: &self.of, looked_at: 0 };
        let (out, open) = expander.run(waiting, 0);
        Expanded { out: plain(out), open: plain(open) }
    }
}

impl Params {
    fn new(written: &[Token]) -> Self {
        let mut params = Self::default();
        for token in written.iter().filter(|token| token.text != ",") {
            match token.text.as_str() {
                // `args...` names what `...` leaves to be called `__VA_ARGS__`.
                "..." if written.len() >= 2 && written[written.len() - 2].is_name() => params.rest = params.names.pop(),
                "..." => params.rest = Some("__VA_ARGS__".to_string()),
                name => params.names.push(name.to_string()),
            }
        }
        params
    }
}

struct Expander<'a> {
    macros: &'a HashMap<String, Macro>,
    looked_at: usize,
}

impl Expander<'_> {
    fn run(&mut self, mut waiting: VecDeque<Waiting>, depth: usize) -> (Vec<Waiting>, Vec<Waiting>) {
        let mut out = Vec::new();
        while let Some(next) = waiting.pop_front() {
            self.looked_at += 1;
            let found = self.macros.get(&next.token.text).filter(|_| !next.hides() && depth < DEPTH);
            let Some(of) = found.filter(|_| self.looked_at < MOST) else {
                out.push(next);
                continue;
            };
            let body = match &of.params {
                None => substitute(&of.body, &HashMap::new()),
                Some(_) if waiting.front().is_some_and(|open| open.token.text != "(") => {
                    out.push(next);
                    continue;
                }
                Some(params) => match arguments(&mut waiting) {
                    Some(given) => substitute(&of.body, &self.bind(params, given, depth)),
                    None => {
                        waiting.push_front(next);
                        return (out, waiting.into());
                    }
                },
            };
            let hidden = Some(Rc::new(Link { name: next.token.text.clone(), outer: next.hidden.clone() }));
            for part in body.into_iter().rev() {
                let token = Token { span: next.token.span, ..part.token };
                // What came in as an argument keeps what was plain in it.
                let hidden = if part.hidden.is_some() { part.hidden } else { hidden.clone() };
                waiting.push_front(Waiting { token, hidden });
            }
        }
        (out, Vec::new())
    }

    /// Each parameter with its argument, as written and expanded.
    fn bind(&mut self, params: &Params, given: Vec<Vec<Waiting>>, depth: usize) -> HashMap<String, Argument> {
        let mut given = given.into_iter();
        let mut bound = HashMap::new();
        for name in &params.names {
            let written = given.next().unwrap_or_default();
            bound.insert(name.clone(), self.argument(written, depth));
        }
        if let Some(rest) = &params.rest {
            let comma = || Waiting { token: tokens(",", 0).remove(0), hidden: None };
            let mut written: Vec<Waiting> = Vec::new();
            for (index, more) in given.enumerate() {
                written.extend((index > 0).then(comma));
                written.extend(more);
            }
            bound.insert(rest.clone(), self.argument(written, depth));
        }
        bound
    }

    fn argument(&mut self, written: Vec<Waiting>, depth: usize) -> Argument {
        let (mut expanded, open) = self.run(written.clone().into(), depth + 1);
        expanded.extend(open);
        Argument { written, expanded }
    }
}

struct Argument {
    written: Vec<Waiting>,
    expanded: Vec<Waiting>,
}

impl Waiting {
    /// Whether the token's name stands for itself here.
    fn hides(&self) -> bool {
        let mut links = std::iter::successors(self.hidden.as_deref(), |link| link.outer.as_deref());
        links.any(|link| link.name == self.token.text)
    }
}

/// What stands between the parentheses that come next, at its commas; nothing is taken where the last parenthesis is missing.
fn arguments(waiting: &mut VecDeque<Waiting>) -> Option<Vec<Vec<Waiting>>> {
    let mut depth = 0;
    let close = waiting.iter().position(|one| {
        depth += i32::from(one.token.text == "(") - i32::from(one.token.text == ")");
        depth == 0
    })?;
    let inside: Vec<Waiting> = waiting.drain(..=close).skip(1).take(close - 1).collect();
    let mut given = vec![Vec::new()];
    for one in inside {
        depth += i32::from(one.token.text == "(") - i32::from(one.token.text == ")");
        match one.token.text.as_str() {
            "," if depth == 0 => given.push(Vec::new()),
            _ => given.last_mut().expect("there is always one").push(one),
        }
    }
    Some(given)
}

/// A macro's body with its arguments in place.
fn substitute(body: &[Token], bound: &HashMap<String, Argument>) -> Vec<Waiting> {
    let mut out: Vec<Waiting> = Vec::new();
    let mut rest = body.iter().peekable();
    while let Some(token) = rest.next() {
        if token.text == "#"
            && let Some(argument) = rest.peek().and_then(|name| bound.get(&name.text))
        {
            rest.next();
            let text: Vec<&str> = argument.written.iter().map(|one| one.token.text.as_str()).collect();
            let quoted = format!("\"{}\"", text.join(" ").replace('\\', "\\\\").replace('"', "\\\""));
            out.push(Waiting { token: Token { text: quoted, ..token.clone() }, hidden: None });
        } else if token.text == "##" {
            let next = rest.next().map(|next| raw(next, bound)).unwrap_or_default();
            paste(&mut out, next);
        } else if let Some(argument) = bound.get(&token.text) {
            let is_pasted = rest.peek().is_some_and(|next| next.text == "##");
            out.extend(if is_pasted { &argument.written } else { &argument.expanded }.iter().cloned());
        } else {
            out.extend(raw(token, bound));
        }
    }
    out
}

/// A token, or the argument that it stands for, not expanded.
fn raw(token: &Token, bound: &HashMap<String, Argument>) -> Vec<Waiting> {
    match bound.get(&token.text) {
        Some(argument) => argument.written.clone(),
        None => vec![Waiting { token: token.clone(), hidden: None }],
    }
}

/// Joins the last token and the first. A comma before nothing disappears, one before something stays.
fn paste(out: &mut Vec<Waiting>, next: Vec<Waiting>) {
    let is_comma = out.last().is_some_and(|last| last.token.text == ",");
    let mut next = next.into_iter();
    match (out.last_mut(), next.next()) {
        (Some(_), None) if is_comma => drop(out.pop()),
        (Some(last), Some(first)) if !is_comma => last.token.text.push_str(&first.token.text),
        (_, first) => out.extend(first),
    }
    out.extend(next);
}

fn plain(waiting: Vec<Waiting>) -> Vec<Token> {
    waiting.into_iter().map(|one| one.token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(definitions: &[&str], text: &str) -> String {
        let mut macros = Macros::default();
        definitions.iter().for_each(|line| macros.define(&tokens(line, 0)).expect("a name"));
        let Expanded { out, open } = macros.expand(tokens(text, 0));
        out.iter().chain(&open).map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn macros_take_arguments() {
        assert_eq!(expanded(&["F(x, y) (y - x)", "ONE 1"], "F(ONE, (2, 3)) F"), "( ( 2 , 3 ) - 1 ) F");
        assert_eq!(expanded(&["S(x) #x", "J(a, b) a##b##_t"], "S(a + \"b\") J(u, 8)"), "\"a + \\\"b\\\"\" u8_t");
        assert_eq!(expanded(&["G(a, ...) f(a, ##__VA_ARGS__)"], "G(1) G(1, 2, 3)"), "f ( 1 ) f ( 1 , 2 , 3 )");
        assert_eq!(expanded(&["A(args...) g(args)"], "A(1, 2)"), "g ( 1 , 2 )");
        assert_eq!(expanded(&["ALIAS F", "F(x) [x]"], "ALIAS(7)"), "[ 7 ]");
    }

    #[test]
    fn circles_end() {
        assert_eq!(expanded(&["P Q", "Q P + P"], "P"), "P + P");
        assert_eq!(expanded(&["F(x) F(x + 1)"], "F(F(1))"), "F ( F ( 1 + 1 ) + 1 )");
    }

    #[test]
    fn a_call_may_go_on_later() {
        let mut macros = Macros::default();
        macros.define(&tokens("F(x) x", 0));
        let Expanded { out, open } = macros.expand(tokens("a F ( b", 0));
        assert_eq!((out.len(), open.len()), (1, 3));
    }
}
