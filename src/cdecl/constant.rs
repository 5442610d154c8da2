//! Constant expressions of C: tokens in, a number out.

use super::lex::Token;

/// The value of a whole expression; `None` if it is none, or not constant. `name` gives the value of a name.
pub fn evaluate(tokens: &[Token], name: &dyn Fn(&str) -> Option<i128>) -> Option<i128> {
    let mut evaluator = Evaluator { tokens, at: 0, depth: 0, name };
    let value = evaluator.choice()?;
    (evaluator.at == tokens.len()).then_some(value)
}

struct Evaluator<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    name: &'a dyn Fn(&str) -> Option<i128>,
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

impl Evaluator<'_> {
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
        if self.take("(") {
            let value = self.choice()?;
            return self.take(")").then_some(value);
        }
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        match token.text.as_bytes().first()? {
            b'0'..=b'9' => number(&token.text),
            b'\'' => character(&token.text),
            _ if token.is_name() => (self.name)(&token.text),
            _ => None,
        }
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

    #[test]
    fn constants_are_computed() {
        let value = |text: &str| evaluate(&tokens(text, 0), &|name| (name == "N").then_some(7));
        assert_eq!(value("1 + 2 * 3 << 1"), Some(14));
        assert_eq!(value("-N / 2"), Some(-3));
        assert_eq!(value("(1UL << 40) | 0x10"), Some((1 << 40) | 16));
        assert_eq!(value("!N ? 1 : 'a' == 97 && 017 == 15"), Some(1));
        assert_eq!(value("1 +"), None);
        assert_eq!(value("M"), None);
        assert_eq!(value("1 / 0"), None);
        assert_eq!(value(&"(".repeat(100_000)), None);
    }
}
