//! Random programs in the language, well typed by construction: what variables and maps hold is decided before anything is written.

mod expr;
mod stmt;

use crate::numbers::Random;

/// What kind of value something has. Widths and signs are left to the checker, which joins those of all that is assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    Int,
    Bool,
    Str,
    Tuple(Vec<Class>),
    /// Fields `a`, `b` and so on.
    Record(Vec<Class>),
}

/// A function that has been written.
#[derive(Debug, Clone)]
struct Function {
    name: String,
    params: Vec<Class>,
    result: Class,
}

/// What a map holds.
#[derive(Debug, Clone)]
enum Holds {
    Plain(Class),
    /// One of [`NUMBERS`] or [`DISTRIBUTIONS`].
    Aggregate(&'static str),
}

/// Aggregations that are numbers when they are read. A sum has the sign of what is added, which must be the same everywhere.
const NUMBERS: [&str; 8] = [
    "count()",
    "sum((int64)N)",
    "min((int64)N)",
    "max((int64)N)",
    "avg((int64)N)",
    "sum((uint64)N)",
    "min((uint64)N)",
    "max((uint64)N)",
];
/// Those that are not.
const DISTRIBUTIONS: [&str; 6] =
    ["stats((int64)N)", "stats((uint64)N)", "hist((int64)N)", "hist((int64)N, 3)", "lhist(N, 0, 100, 7)", QUANTILES];
const QUANTILES: &str = "quantiles((int64)N)";

#[derive(Debug, Clone)]
struct Map {
    name: String,
    key: Option<Class>,
    holds: Holds,
}

#[derive(Debug, Clone)]
struct Var {
    name: String,
    class: Class,
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadOnly,
    ReadWrite,
}

/// Where a program's probes sit, and what their context offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    text: &'static str,
    fields: &'static [&'static str],
}

const HEADS: [Head; 4] = [
    Head { text: "begin", fields: &[] },
    Head { text: "tracepoint:raw_syscalls:sys_enter", fields: &["args.id", "args.args[0]", "args.args[5]"] },
    Head { text: "tracepoint:raw_syscalls:sys_exit", fields: &["args.id", "args.ret"] },
    Head { text: "kprobe:vfs_read", fields: &["arg0", "arg1", "arg2"] },
];

pub struct Author {
    random: Random,
    maps: Vec<Map>,
    vars: Vec<Var>,
    functions: Vec<Function>,
    fields: &'static [&'static str],
    /// Names given so far.
    names: usize,
    /// What the function being written gives, and its type.
    returns: Option<(Class, String)>,
    /// Loops around what is being written, and what all of them together multiply.
    loops: usize,
    text: String,
    depth: usize,
    /// Statements that a probe's body has at most. Most programs are small: they are verified in a moment.
    length: usize,
}

/// Writes the program with this number.
pub fn program(seed: u64) -> String {
    let mut author = Author {
        random: Random(seed),
        maps: Vec::new(),
        vars: Vec::new(),
        functions: Vec::new(),
        fields: &[],
        names: 0,
        returns: None,
        loops: 0,
        text: String::new(),
        depth: 0,
        length: 0,
    };
    author.write();
    author.text
}

impl Author {
    fn write(&mut self) {
        let keys = self.random.pick(&[2, 3, 10]);
        let texts = self.random.pick(&[40, 64]);
        self.length = self.random.pick(&[3, 4, 6, 11]);
        self.line(&format!("config = {{ max_map_keys = {keys}; max_strlen = {texts} }}"));
        for _ in 0..1 + self.random.below(5) {
            let map = self.map();
            self.maps.push(map);
        }
        for _ in 0..self.random.below(3) {
            self.function();
        }
        for _ in 0..1 + self.random.below(2) {
            self.probe();
        }
        self.assign_all_maps();
    }

    /// Each map is given a value that tells its type whatever the rest of the program does.
    fn assign_all_maps(&mut self) {
        (self.fields, self.vars) = (&[], Vec::new());
        self.line("begin {");
        self.depth += 1;
        for map in self.maps.clone() {
            let place = match &map.key {
                None => map.name.clone(),
                Some(key) => format!("{}[{}]", map.name, self.plain(key)),
            };
            let value = match &map.holds {
                Holds::Plain(class) => self.plain(class),
                Holds::Aggregate(of) => self.aggregation(of, 0),
            };
            self.line(&format!("{place} = {value};"));
        }
        self.depth -= 1;
        self.line("}");
    }

    fn probe(&mut self) {
        let head = self.random.pick(&HEADS);
        self.fields = head.fields;
        self.vars.clear();
        let predicate = if self.random.below(4) == 0 { format!(" / {} /", self.condition(2)) } else { String::new() };
        self.line(&format!("{}{predicate} {{", head.text));
        let length = 2 + self.random.below(self.length - 1);
        self.body(length);
        self.line("}");
    }

    /// A function, which may call those before it.
    fn function(&mut self) {
        (self.fields, self.vars) = (&[], Vec::new());
        let classes = [Class::Int, Class::Int, Class::Bool, Class::Str];
        let params: Vec<Class> = (0..self.random.below(4)).map(|_| classes[self.random.below(4)].clone()).collect();
        let result = classes[self.random.below(4)].clone();
        let name = format!("f{}", self.functions.len());
        let head: Vec<String> = params.iter().map(|class| self.param(class)).collect();
        let ty = self.type_of(&result);
        self.line(&format!("fn {name}({}): {ty} {{", head.join(", ")));
        self.returns = Some((result.clone(), ty.clone()));
        let length = self.random.below(5);
        self.body(length);
        self.returns = None;
        self.depth += 1;
        let value = self.returned(&result, &ty);
        self.line(&format!("return {value};"));
        self.depth -= 1;
        self.line("}");
        self.functions.push(Function { name, params, result });
    }

    fn param(&mut self, class: &Class) -> String {
        // What is read may be longer than a text of a declared type.
        let access = if *class == Class::Str { Access::ReadOnly } else { Access::ReadWrite };
        let name = self.fresh(class.clone(), access);
        format!("{name}: {}", self.type_of(class))
    }

    fn type_of(&mut self, class: &Class) -> String {
        match class {
            Class::Bool => "bool",
            Class::Str => "string",
            _ => self.random.pick(&expr::TYPES),
        }
        .to_owned()
    }

    /// A value as a function gives it.
    fn returned(&mut self, class: &Class, ty: &str) -> String {
        let value = self.expr(class, 2);
        if *class == Class::Int { format!("({ty})({value})") } else { value }
    }

    fn map(&mut self) -> Map {
        let key = match self.random.below(4) {
            0 => None,
            _ => Some(self.class(1)),
        };
        let holds = match self.random.below(5) {
            0 | 1 => {
                let of = [&NUMBERS[..], &DISTRIBUTIONS].concat();
                Holds::Aggregate(self.random.pick(&of))
            }
            2 => Holds::Plain(self.class(1)),
            _ => Holds::Plain(Class::Int),
        };
        Map { name: format!("@m{}", self.maps.len()), key, holds }
    }

    fn class(&mut self, depth: usize) -> Class {
        match self.random.below(8) {
            0..=3 => Class::Int,
            4 => Class::Bool,
            5 => Class::Str,
            _ if depth == 0 => Class::Int,
            _ => {
                let length = 1 + self.random.below(3);
                let classes = (0..length).map(|_| self.class(depth - 1)).collect();
                if self.random.below(3) == 0 { Class::Record(classes) } else { Class::Tuple(classes) }
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(&"    ".repeat(self.depth));
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A name of something that can be read or, with `access`, written.
    fn var_of(&mut self, class: &Class, access: Access) -> Option<String> {
        let fits = |var: &&Var| var.class == *class && (access == Access::ReadOnly || var.access == access);
        let names: Vec<&str> = self.vars.iter().filter(fits).map(|var| &*var.name).collect();
        (!names.is_empty()).then(|| names[self.random.below(names.len())].to_owned())
    }

    /// A map of plain values of this class, with its key written.
    fn map_of(&mut self, class: &Class, depth: usize) -> Option<String> {
        let fits = |map: &&Map| matches!(&map.holds, Holds::Plain(of) if of == class);
        let maps: Vec<Map> = self.maps.iter().filter(fits).cloned().collect();
        (!maps.is_empty()).then(|| {
            let map = maps[self.random.below(maps.len())].clone();
            self.place(&map, depth)
        })
    }

    /// A map with its key.
    fn place(&mut self, map: &Map, depth: usize) -> String {
        match &map.key {
            None => map.name.clone(),
            Some(key) => format!("{}[{}]", map.name, self.expr(key, depth.min(2))),
        }
    }
}
