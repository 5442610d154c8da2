//! Random statements.

use super::{Access, Author, Class, Holds, Map, Var};

const DEPTH: usize = 3;

impl Author {
    /// So many statements in a scope of their own.
    pub(super) fn body(&mut self, length: usize) {
        let vars = self.vars.len();
        self.depth += 1;
        for _ in 0..length {
            self.statement();
        }
        self.depth -= 1;
        self.vars.truncate(vars);
    }

    fn statement(&mut self) {
        match self.random.below(30) {
            0..=4 => self.declare(),
            5..=8 => self.assign(),
            9..=14 => {
                let map = self.maps[self.random.below(self.maps.len())].clone();
                self.assign_map(&map);
            }
            15 | 16 => self.compound(),
            17..=19 if self.depth < 5 => self.branch(),
            20 if self.depth < 4 && self.loops == 0 && self.may_loop() => self.unroll(),
            21 if self.depth < 4 && self.loops < 2 && self.may_loop() => self.range(),
            22 if self.depth < 4 && self.loops < 2 && self.may_loop() => self.count_down(),
            23 if self.depth < 4 && self.loops == 0 && self.random.below(2) == 0 => self.each_entry(),
            23 if self.loops > 0 => self.leave_if(&["break", "continue"]),
            24 => self.leave_if(&["return"]),
            25 | 26 => self.print(),
            27 => self.delete(),
            28 => {
                let class = self.class(1);
                let value = self.expr(&class, DEPTH);
                self.line(&format!("_ = {value};"));
            }
            _ => self.print_map(),
        }
    }

    /// Few functions have loops: the verifier walks through them at each call, and calls may stand in loops.
    fn may_loop(&mut self) -> bool {
        self.returns.is_none() || self.random.below(6) == 0
    }

    pub(super) fn fresh(&mut self, class: Class, access: Access) -> String {
        self.names += 1;
        let name = format!("$v{}", self.names);
        self.vars.push(Var { name: name.clone(), class, access });
        name
    }

    fn declare(&mut self) {
        let class = self.class(2);
        let value = self.expr(&class, DEPTH);
        let ty = self.random.pick(&["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]);
        let is_typed = class == Class::Int && self.random.below(4) == 0;
        let word = self.random.pick(&["", "let "]);
        let name = self.fresh(class, Access::ReadWrite);
        match is_typed {
            true => self.line(&format!("let {name}: {ty} = ({ty})({value});")),
            false => self.line(&format!("{word}{name} = {value};")),
        }
    }

    fn assign(&mut self) {
        let class = self.class(1);
        let Some(name) = self.var_of(&class, Access::ReadWrite) else { return self.declare() };
        let value = self.expr(&class, DEPTH);
        // A variable with a type of its own takes no literal that does not fit, but any number of which nothing is known.
        let value = if class == Class::Int { format!("({value} ^ pid)") } else { value };
        self.line(&format!("{name} = {value};"));
    }

    fn compound(&mut self) {
        let place = match self.random.below(2) {
            0 => self.var_of(&Class::Int, Access::ReadWrite),
            _ => self.map_of(&Class::Int, DEPTH),
        };
        let Some(place) = place else { return self.declare() };
        let op = self.random.pick(&["+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="]);
        let value = self.expr(&Class::Int, DEPTH);
        self.line(&format!("{place} {op} {value};"));
    }

    pub(super) fn assign_map(&mut self, map: &Map) {
        let value = match &map.holds {
            Holds::Plain(class) => self.expr(class, DEPTH),
            Holds::Aggregate(of) => self.aggregation(of, DEPTH),
        };
        let place = self.place(map, DEPTH);
        self.line(&format!("{place} = {value};"));
    }

    /// One of the aggregations, of a number.
    pub(super) fn aggregation(&mut self, of: &str, depth: usize) -> String {
        let number = if depth == 0 { self.plain(&Class::Int) } else { self.expr(&Class::Int, depth) };
        of.replace('N', &format!("({number})"))
    }

    fn branch(&mut self) {
        let cond = self.condition(DEPTH);
        self.line(&format!("if ({cond}) {{"));
        let length = 1 + self.random.below(4);
        self.body(length);
        if self.random.below(2) == 0 {
            self.line("} else {");
            let length = 1 + self.random.below(3);
            self.body(length);
        }
        self.line("}");
    }

    fn unroll(&mut self) {
        let times = 1 + self.random.below(4);
        self.line(&format!("unroll ({times}) {{"));
        let length = 1 + self.random.below(3);
        // What a scope declares is declared anew in each copy, but a break belongs to no loop here.
        self.body(length);
        self.line("}");
    }

    fn range(&mut self) {
        let from =
            if self.random.below(2) == 0 { "0".to_owned() } else { format!("({} % 7)", self.expr(&Class::Int, 1)) };
        let to = match self.random.below(3) {
            0 => self.random.below(8).to_string(),
            1 => (17 + self.random.below(10)).to_string(),
            _ => format!("({} & 31)", self.expr(&Class::Int, 1)),
        };
        let outer = self.vars.len();
        // Assigning to it changes nothing about the rounds.
        let name = self.fresh(Class::Int, Access::ReadWrite);
        self.line(&format!("for ({name} : {from}..{to}) {{"));
        self.repeated();
        self.vars.truncate(outer);
    }

    fn count_down(&mut self) {
        let times = 1 + self.random.below(8);
        let name = self.fresh(Class::Int, Access::ReadOnly);
        self.line(&format!("{name} = {times};"));
        self.line(&format!("while ({name} > 0) {{"));
        self.depth += 1;
        self.line(&format!("{name}--;"));
        self.depth -= 1;
        self.repeated();
    }

    /// A loop over a map whose values are plain.
    fn each_entry(&mut self) {
        let Some(map) = self.keyed_map() else { return self.declare() };
        let (Some(key), Holds::Plain(value)) = (map.key, map.holds) else { return self.declare() };
        let outer = self.vars.len();
        let name = self.fresh(Class::Tuple(vec![key, value]), Access::ReadOnly);
        self.line(&format!("for ({name} : {}) {{", map.name));
        self.repeated();
        self.vars.truncate(outer);
    }

    /// The body of a loop, and its end.
    fn repeated(&mut self) {
        self.loops += 1;
        let length = 1 + self.random.below(4);
        self.body(length);
        self.loops -= 1;
        self.line("}");
    }

    fn leave_if(&mut self, words: &[&'static str]) {
        let word = self.random.pick(words);
        let cond = self.condition(2);
        self.line(&format!("if ({cond}) {{"));
        self.depth += 1;
        match (word, self.returns.clone()) {
            ("return", Some((class, ty))) => {
                let value = self.returned(&class, &ty);
                self.line(&format!("return {value};"));
            }
            _ => self.line(&format!("{word};")),
        }
        self.depth -= 1;
        self.line("}");
    }

    fn print(&mut self) {
        let values: Vec<Class> = (0..1 + self.random.below(3)).map(|_| self.class(1)).collect();
        let texts: Vec<String> = values.iter().map(|class| self.expr(class, DEPTH)).collect();
        if texts.len() == 1 {
            return self.line(&format!("print({});", texts[0]));
        }
        let specs = vec!["%s"; texts.len()].join(" ");
        self.line(&format!("printf(\"{specs}\\n\", {});", texts.join(", ")));
    }

    fn print_map(&mut self) {
        let map = self.maps[self.random.below(self.maps.len())].clone();
        let word = self.random.pick(&["print", "clear", "zero"]);
        self.line(&format!("{word}({});", map.name));
    }

    fn delete(&mut self) {
        let map = self.maps[self.random.below(self.maps.len())].clone();
        match &map.key {
            Some(key) => {
                let key = self.expr(key, DEPTH);
                self.line(&format!("delete({}, {key});", map.name));
            }
            None if matches!(map.holds, Holds::Plain(_)) => self.line(&format!("delete({});", map.name)),
            None => self.print_map(),
        }
    }
}
