//! Random expressions. Operands are in parentheses, so that the grouping is the author's.

use super::{Access, Author, Class, Holds, Map, NUMBERS, QUANTILES};

pub(super) const TYPES: [&str; 8] = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"];
const BUILTINS: [&str; 9] = ["pid", "tid", "uid", "gid", "cpu", "nsecs", "rand", "cgroup", "elapsed"];
const ARITHMETIC: [&str; 10] = ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"];
const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const TEXTS: [&str; 9] =
    ["", "a", "ab", "bash", "b", "text", "exactly15bytes_", "sixteen bytes...", "a longer text than most of them"];
/// Some in the fake kernel's memory, some in the process's, some in nobody's.
const ADDRESSES: [&str; 7] = [
    "(uint64)0xffff888000000040",
    "(uint64)0xffff888000001003",
    "(uint64)0xffff8880000ffffc",
    "uptr((uint64)0x10000020)",
    "uptr((uint64)0x1000fffe)",
    "(uint64)8",
    "curtask",
];

impl Author {
    pub(super) fn expr(&mut self, class: &Class, depth: usize) -> String {
        if depth > 0 && self.random.below(9) == 0 {
            return self.ternary(class, depth - 1);
        }
        if depth > 0 && self.random.below(20) == 0 {
            return self.block(class, depth - 1);
        }
        if let Some(call) = self.call(class, depth) {
            return call;
        }
        if let Some(name) = self.stored(class, depth) {
            return name;
        }
        match class {
            Class::Int => self.int(depth),
            Class::Bool => self.bool(depth),
            Class::Str => self.str(depth),
            Class::Tuple(classes) => {
                tuple(classes.iter().map(|class| self.expr(class, depth.saturating_sub(1))).collect())
            }
            Class::Record(classes) => {
                record(classes.iter().map(|class| self.expr(class, depth.saturating_sub(1))).collect())
            }
        }
    }

    /// Statements with a value, or `if` as a value.
    fn block(&mut self, class: &Class, depth: usize) -> String {
        let vars = self.vars.len();
        let local = self.class(0);
        let first = self.expr(&local, depth);
        let name = self.fresh(local, Access::ReadWrite);
        let value = self.expr(class, depth);
        self.vars.truncate(vars);
        match self.random.below(2) {
            0 => format!("({{ {name} = {first}; {value} }})"),
            _ => {
                let otherwise = self.expr(class, depth);
                format!("(if ({}) {{ {name} = {first}; {value} }} else {{ {otherwise} }})", self.condition(depth))
            }
        }
    }

    /// A call of a function that gives such a value.
    fn call(&mut self, class: &Class, depth: usize) -> Option<String> {
        let of = self.functions.iter().rev().find(|function| function.result == *class)?.clone();
        if depth == 0 || self.random.below(8 + 24 * self.loops) > 0 {
            return None;
        }
        let args: Vec<String> = of.params.iter().map(|param| self.argument(param, depth - 1)).collect();
        Some(format!("{}({})", of.name, args.join(", ")))
    }

    /// Literals have to fit their parameters; numbers that are not known are cut.
    fn argument(&mut self, class: &Class, depth: usize) -> String {
        let value = self.expr(class, depth);
        if *class == Class::Int { format!("({value} ^ pid)") } else { value }
    }

    /// A value that depends on nothing.
    pub(super) fn plain(&mut self, class: &Class) -> String {
        match class {
            Class::Int => {
                self.random.pick(&["1", "300", "-70000", "(uint8)7", "(int16)9", "(uint64)5", "nsecs"]).to_owned()
            }
            Class::Bool => "true".to_owned(),
            Class::Str => format!("\"{}\"", self.random.pick(&TEXTS)),
            Class::Tuple(classes) => tuple(classes.iter().map(|class| self.plain(class)).collect()),
            Class::Record(classes) => record(classes.iter().map(|class| self.plain(class)).collect()),
        }
    }

    pub(super) fn condition(&mut self, depth: usize) -> String {
        let class = if self.random.below(3) == 0 { Class::Int } else { Class::Bool };
        self.expr(&class, depth)
    }

    /// A variable, a map's value, or an element of a tuple that there is.
    fn stored(&mut self, class: &Class, depth: usize) -> Option<String> {
        match self.random.below(6) {
            0 | 1 => self.var_of(class, Access::ReadOnly),
            2 if depth > 0 => self.map_of(class, depth - 1),
            3 => self.element(class),
            _ => None,
        }
    }

    fn element(&mut self, class: &Class) -> Option<String> {
        let found = self.vars.iter().rev().find_map(|var| match &var.class {
            Class::Tuple(classes) => {
                let index = classes.iter().position(|other| other == class)?;
                Some(format!("{}.{index}", var.name))
            }
            Class::Record(classes) => {
                let index = classes.iter().position(|other| other == class)?;
                Some(format!("{}.{}", var.name, NAMES[index]))
            }
            _ => None,
        });
        found.filter(|_| self.random.below(2) == 0)
    }

    fn ternary(&mut self, class: &Class, depth: usize) -> String {
        let (then, otherwise) = (self.expr(class, depth), self.expr(class, depth));
        if *class == Class::Int && self.random.below(4) == 0 {
            return format!("(({then}) ?: ({otherwise}))");
        }
        format!("({} ? {then} : {otherwise})", self.condition(depth))
    }

    fn int(&mut self, depth: usize) -> String {
        let Some(deeper) = depth.checked_sub(1) else { return self.small_int() };
        match self.random.below(24) {
            0..=6 => {
                let op = self.random.pick(&ARITHMETIC);
                let (left, right) = (self.expr(&Class::Int, deeper), self.expr(&Class::Int, deeper));
                // Literals are not shifted by more than there are bits.
                if op.len() == 2 { format!("({left} {op} (cpu ^ {right}))") } else { format!("({left} {op} {right})") }
            }
            7..=9 => format!("({})({})", self.random.pick(&TYPES), self.expr(&Class::Int, deeper)),
            10 => format!("{}{}", self.random.pick(&["- ", "~"]), self.expr(&Class::Int, deeper)),
            11 => format!("(int64)({})", self.expr(&Class::Bool, deeper)),
            12 => format!("strlen({})", self.expr(&Class::Str, deeper)),
            13 => {
                let length = self.random.pick(&[0, 1, 2, 3, 8, 16, 40]);
                format!("strncmp({}, {}, {length})", self.expr(&Class::Str, deeper), self.expr(&Class::Str, deeper))
            }
            14 | 15 => self.step(deeper).unwrap_or_else(|| self.small_int()),
            16 => self.read(deeper),
            17 if self.random.below(2) == 0 => self.aggregate(deeper).unwrap_or_else(|| self.small_int()),
            17 => self.map_length().unwrap_or_else(|| self.small_int()),
            18 => format!("sizeof({})", self.small_int()),
            19 => format!("bswap({})", self.expr(&Class::Int, deeper)),
            20 => format!("({} + {})", self.expr(&Class::Bool, deeper), self.expr(&Class::Int, deeper)),
            21 => self.byte(deeper),
            22 => self.by_address(deeper).unwrap_or_else(|| self.small_int()),
            _ => self.small_int(),
        }
    }

    fn small_int(&mut self) -> String {
        match self.random.below(12) {
            0..=3 => self.random.below(20).to_string(),
            4 => format!("-{}", 1 + self.random.below(300)),
            5 => (self.random.next() >> self.random.below(64)).to_string(),
            6 => self
                .random
                .pick(&["0xff", "1e6", "5ms", "3u", "0x7fffffffffffffff", "-9223372036854775807", "128"])
                .to_owned(),
            7 if !self.fields.is_empty() => self.random.pick(self.fields).to_owned(),
            7..=9 => self.random.pick(&BUILTINS).to_owned(),
            _ => format!("({})({})", self.random.pick(&TYPES), self.random.pick(&BUILTINS)),
        }
    }

    /// `++` and the like, on a variable or a map.
    fn step(&mut self, depth: usize) -> Option<String> {
        let place = match self.random.below(2) {
            0 => self.var_of(&Class::Int, Access::ReadWrite),
            _ => self.map_of(&Class::Int, depth),
        }?;
        Some(match self.random.below(4) {
            0 => format!("{place}++"),
            1 => format!("{place}--"),
            2 => format!("++{place}"),
            _ => format!("--{place}"),
        })
    }

    fn read(&mut self, depth: usize) -> String {
        let ty = self.random.pick(&TYPES);
        let address = self.random.pick(&ADDRESSES);
        match self.random.below(4) {
            0 => self.random.pick(&["curtask.pid", "curtask.real_parent.tgid", "curtask.flags"]).to_owned(),
            1 => format!("*(({ty} *)({address} + ({} & 63)))", self.expr(&Class::Int, depth)),
            2 => format!("((({ty} *){address})[{}])", self.random.below(4)),
            _ => format!("*(({ty} *){address})"),
        }
    }

    /// A byte of a number or a text, and how texts lie to each other.
    fn byte(&mut self, depth: usize) -> String {
        // A literal beyond the end would be a fault of the program; one that is only known at run time is not.
        let index = match self.random.below(2) {
            0 => "0".to_owned(),
            _ => format!("(7 & ({} ^ cpu))", self.expr(&Class::Int, depth)),
        };
        match self.random.below(4) {
            0 => format!("((uint8[4])(uint32){})[{index}]", self.expr(&Class::Int, depth)),
            1 => match self.var_of(&Class::Str, Access::ReadOnly) {
                Some(name) => format!("{name}[{index}]"),
                None => self.small_int(),
            },
            2 => format!("strstr({}, \"{}\")", self.expr(&Class::Str, depth), self.random.pick(&TEXTS)),
            _ => format!("memcmp(comm, {}, 1)", self.expr(&Class::Str, depth)),
        }
    }

    /// What lies at the address of a variable or a map's value.
    fn by_address(&mut self, depth: usize) -> Option<String> {
        let place = match self.random.below(2) {
            0 => self.var_of(&Class::Int, Access::ReadOnly),
            _ => self.map_of(&Class::Int, depth),
        }?;
        Some(format!("*(&{place})"))
    }

    fn map_length(&mut self) -> Option<String> {
        // The keys of a map that has several entries for each are not counted.
        let map = self.keyed_map().filter(|map| !matches!(map.holds, Holds::Aggregate(QUANTILES)))?;
        Some(format!("len({})", map.name))
    }

    /// An aggregation as a number.
    fn aggregate(&mut self, depth: usize) -> Option<String> {
        let is_number = |map: &&Map| matches!(map.holds, Holds::Aggregate(of) if NUMBERS.contains(&of));
        let maps: Vec<Map> = self.maps.iter().filter(is_number).cloned().collect();
        let map = maps.get(self.random.below(maps.len().max(1)))?;
        let cast = self.random.pick(&["(int64)", "(uint64)"]);
        Some(format!("{cast}{}", self.place(map, depth)))
    }

    /// Any map that has keys.
    pub(super) fn keyed_map(&mut self) -> Option<Map> {
        let maps: Vec<Map> = self.maps.iter().filter(|map| map.key.is_some()).cloned().collect();
        (!maps.is_empty()).then(|| maps[self.random.below(maps.len())].clone())
    }

    fn bool(&mut self, depth: usize) -> String {
        let Some(deeper) = depth.checked_sub(1) else { return self.random.pick(&["true", "false"]).to_owned() };
        match self.random.below(13) {
            0..=4 => {
                let op = self.random.pick(&COMPARISONS);
                format!("({} {op} {})", self.expr(&Class::Int, deeper), self.expr(&Class::Int, deeper))
            }
            5 | 6 => format!("({} && {})", self.condition(deeper), self.condition(deeper)),
            7 | 8 => format!("({} || {})", self.condition(deeper), self.condition(deeper)),
            9 => format!("!{}", self.condition(deeper)),
            10 => self.equality(deeper),
            11 => self.search(deeper),
            _ => self.has_key(deeper).unwrap_or_else(|| "true".to_owned()),
        }
    }

    /// A search, for short texts only: all comparisons are laid out one after another.
    fn search(&mut self, depth: usize) -> String {
        match self.random.below(5) {
            0 => format!("strcontains(comm, str({}, 5))", self.random.pick(&ADDRESSES)),
            _ => format!("strcontains({}, \"{}\")", self.expr(&Class::Str, depth), self.random.pick(&TEXTS)),
        }
    }

    /// Texts or tuples compared.
    fn equality(&mut self, depth: usize) -> String {
        let class = if self.random.below(2) == 0 { Class::Str } else { self.class(1) };
        let op = self.random.pick(&["==", "!="]);
        format!("({} {op} {})", self.expr(&class, depth), self.expr(&class, depth))
    }

    fn has_key(&mut self, depth: usize) -> Option<String> {
        let map = self.keyed_map()?;
        let key = self.expr(map.key.as_ref()?, depth);
        let is_delete = self.random.below(4) == 0 && matches!(map.holds, Holds::Plain(_));
        Some(format!("{}({}, {key})", if is_delete { "delete" } else { "has_key" }, map.name))
    }

    fn str(&mut self, depth: usize) -> String {
        match self.random.below(8) {
            0..=3 => format!("\"{}\"", self.random.pick(&TEXTS)),
            4 | 5 => "comm".to_owned(),
            6 if depth > 0 => format!("str_concat({}, {})", self.str(depth - 1), self.str(depth - 1)),
            6 => format!("str({})", self.random.pick(&ADDRESSES)),
            _ => {
                let address = self.random.pick(&ADDRESSES);
                let length =
                    if depth == 0 { self.random.below(20).to_string() } else { self.expr(&Class::Int, depth - 1) };
                // A negative length would be a fault if it were a literal.
                format!("str({address}, (31 & {length}))")
            }
        }
    }
}

/// The fields of records.
const NAMES: [&str; 3] = ["a", "b", "c"];

fn record(elements: Vec<String>) -> String {
    let fields: Vec<String> = NAMES.iter().zip(elements).map(|(name, value)| format!("{name} = {value}")).collect();
    format!("({})", fields.join(", "))
}

fn tuple(elements: Vec<String>) -> String {
    let comma = if elements.len() == 1 { "," } else { "" };
    format!("({}{comma})", elements.join(", "))
}
