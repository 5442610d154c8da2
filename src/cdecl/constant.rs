//! Constant expressions of C: tokens in, a number out.

use super::lex::Token;
use crate::types::Sign;

/// What an expression does not say itself.
pub trait Answers {
    /// The value of a name.
    fn value(&self, name: &str) -> Option<i128>;

    /// The bytes of a type that is not one of C's own.
    fn size(&self, ty: &[Token]) -> Option<u32>;
}

/// The value of a whole expression; `None` if it is none, or not constant.
pub fn evaluate(tokens: &[Token], answers: &dyn Answers) -> Option<i128> {
    let mut evaluator = Evaluator { tokens, at: 0, depth: 0, answers };
    let value = evaluator.choice()?;
    (evaluator.at == tokens.len()).then_some(value)
}

struct Evaluator<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    answers: &'a dyn Answers,
}

/// Nesting that no constant needs.
const DEPTH: usize = 100;

/// Operators from loosest to tightest.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl<'a> Evaluator<'a> {
    fn choice(&mut self) -> Option<i128> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let condition = self.binary(0)?;
        let value = if self.take("?") {
            let then = self.choice()?;
            let otherwise = self.take(":").then(|| self.choice())??;
            if condition != 0 { then } else { otherwise }
        } else {
            condition
        };
        self.depth -= 1;
        Some(value)
    }

    fn binary(&mut self, level: usize) -> Option<i128> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.take(operator)) {
            let right = self.binary(level + 1)?;
            left = apply(operator, left, right)?;
        }
        Some(left)
    }

    /// Prefix operators apply from the inside out.
    fn unary(&mut self) -> Option<i128> {
        let start = self.at;
        while ["-", "+", "!", "~"].iter().any(|operator| self.take(operator)) {}
        let prefixes = start..self.at;
        let value = self.primary()?;
        prefixes.rev().try_fold(value, |value, at| match self.tokens[at].text.as_str() {
            "-" => value.checked_neg(),
            "!" => Some(i128::from(value == 0)),
            "~" => Some(!value),
            _ => Some(value),
        })
    }

    fn primary(&mut self) -> Option<i128> {
        if self.take("sizeof") {
            let ty = self.parenthesised()?;
            self.at += ty.len() + 2;
            return scalar(ty).map(|(bytes, _)| bytes).or_else(|| self.answers.size(ty)).map(i128::from);
        }
        if let Some((bytes, sign)) = self.cast() {
            return Some(truncated(self.nested_unary()?, bytes, sign));
        }
        if self.take("(") {
            let value = self.choice()?;
            return self.take(")").then_some(value);
        }
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        match token.text.as_bytes().first()? {
            b'0'..=b'9' => number(&token.text),
            b'\'' => character(&token.text),
            b'L' if token.text.ends_with('\'') => character(&token.text[1..]),
            _ if token.is_name() => self.answers.value(&token.text),
            _ => None,
        }
    }

    /// Takes a type in parentheses that an operand follows.
    fn cast(&mut self) -> Option<(u32, Sign)> {
        let ty = self.parenthesised()?;
        let of = scalar(ty)?;
        self.at += ty.len() + 2;
        Some(of)
    }

    fn nested_unary(&mut self) -> Option<i128> {
        self.depth += 1;
        let value = if self.depth > DEPTH { None } else { self.unary() };
        self.depth -= 1;
        value
    }

    /// What stands between the parentheses that begin here.
    fn parenthesised(&self) -> Option<&'a [Token]> {
        let (open, inside) = self.tokens.get(self.at..)?.split_first()?;
        if open.text != "(" {
            return None;
        }
        let close = inside.iter().position(|token| matches!(token.text.as_str(), "(" | ")"))?;
        (inside[close].text == ")").then_some(&inside[..close])
    }

    fn take(&mut self, mark: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|token| token.text == mark);
        self.at += usize::from(found);
        found
    }
}

fn apply(operator: &str, left: i128, right: i128) -> Option<i128> {
    let shift = || u32::try_from(right).ok().filter(|count| *count < 64);
    let value = match operator {
        "||" => i128::from(left != 0 || right != 0),
        "&&" => i128::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i128::from(left == right),
        "!=" => i128::from(left != right),
        "<" => i128::from(left < right),
        ">" => i128::from(left > right),
        "<=" => i128::from(left <= right),
        ">=" => i128::from(left >= right),
        "<<" => left.checked_shl(shift()?)?,
        ">>" => left >> shift()?,
        "+" => left.checked_add(right)?,
        "-" => left.checked_sub(right)?,
        "*" => left.checked_mul(right)?,
        "/" => left.checked_div(right)?,
        _ => left.checked_rem(right)?,
    };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// Bytes and sign of a type that is a number or a pointer: `unsigned int`, `__u32`, `uint64_t`, `struct foo *`.
fn scalar(ty: &[Token]) -> Option<(u32, Sign)> {
    let words: Vec<&str> = ty.iter().map(|token| token.text.as_str()).filter(|word| *word != "const").collect();
    if words.last() == Some(&"*") {
        return Some((8, Sign::Unsigned));
    }
    if let [word] = words.as_slice()
        && let Some(named) = named_scalar(word)
    {
        return Some(named);
    }
    let is_basic = |word: &&str| matches!(*word, "unsigned" | "signed" | "char" | "short" | "int" | "long" | "_Bool");
    let sign = if words.contains(&"unsigned") { Sign::Unsigned } else { Sign::Signed };
    let has = |word: &str| words.contains(&word);
    let bytes = match () {
        () if words.is_empty() || !words.iter().all(is_basic) => return None,
        () if has("char") || has("_Bool") => 1,
        () if has("short") => 2,
        () if has("long") => 8,
        () => 4,
    };
    Some((bytes, sign))
}

/// `u8`, `__s32`, `uint16_t`, `__le64`, `size_t` and the like.
fn named_scalar(word: &str) -> Option<(u32, Sign)> {
    let bare = word.trim_start_matches("__").trim_end_matches("_t");
    let digits = bare.find(|c: char| c.is_ascii_digit()).unwrap_or(bare.len());
    let (family, bits) = bare.split_at(digits);
    let sign = match family {
        "size" | "uintptr" => return Some((8, Sign::Unsigned)),
        "ssize" | "ptrdiff" | "intptr" => return Some((8, Sign::Signed)),
        "u" | "uint" | "le" | "be" => Sign::Unsigned,
        "s" | "int" => Sign::Signed,
        _ => return None,
    };
    let bits: u32 = bits.parse().ok().filter(|bits| matches!(bits, 8 | 16 | 32 | 64))?;
    Some((bits / 8, sign))
}

fn truncated(value: i128, bytes: u32, sign: Sign) -> i128 {
    let unused = 128 - 8 * bytes;
    match sign {
        Sign::Signed => value << unused >> unused,
        Sign::Unsigned => (((value as u128) << unused) >> unused) as i128,
    }
}

fn number(text: &str) -> Option<i128> {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let parse = |digits: &str, radix| i128::from_str_radix(digits, radix).ok();
    match digits.get(..2) {
        Some("0x" | "0X") => parse(&digits[2..], 16),
        Some("0b" | "0B") => parse(&digits[2..], 2),
        Some(_) if digits.starts_with('0') => parse(&digits[1..], 8),
        _ => parse(digits, 10),
    }
}

fn character(text: &str) -> Option<i128> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let byte = match inner.as_bytes() {
        [byte] => *byte,
        [b'\\', b'n'] => b'\n',
        [b'\\', b't'] => b'\t',
        [b'\\', b'0'] => 0,
        [b'\\', byte] => *byte,
        _ => return None,
    };
    Some(i128::from(byte))
}

#[cfg(test)]
mod tests {
    use super::super::lex::tokens;
    use super::*;

    struct Seven;

    impl Answers for Seven {
        fn value(&self, name: &str) -> Option<i128> {
            (name == "N").then_some(7)
        }

        fn size(&self, ty: &[Token]) -> Option<u32> {
            (ty.len() == 2).then_some(24)
        }
    }

    #[test]
    fn constants_are_computed() {
        let value = |text: &str| evaluate(&tokens(text, 0), &Seven);
        assert_eq!(value("1 + 2 * 3 << 1"), Some(14));
        assert_eq!(value("-N / 2"), Some(-3));
        assert_eq!(value("(1UL << 40) | 0x10"), Some((1 << 40) | 16));
        assert_eq!(value("!N ? 1 : 'a' == 97 && 017 == 15"), Some(1));
        assert_eq!(value("(unsigned int)-1 + (__u8)0x1ff"), Some(0xffff_ffff + 0xff));
        assert_eq!(value("(char)200 * sizeof(struct foo) + sizeof(int *)"), Some(-56 * 24 + 8));
        assert_eq!(value("(N) - 1"), Some(6));
        assert_eq!(value("1 +"), None);
        assert_eq!(value("M"), None);
        assert_eq!(value("1 / 0"), None);
        assert_eq!(value(&"(".repeat(100_000)), None);
    }
}
