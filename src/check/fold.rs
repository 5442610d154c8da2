//! Operators on literals, computed at once and with any sign.

use crate::syntax::ast::BinaryOp;

/// The result of an operator on two constants; `None` where 64 bits do not hold it or there is none.
pub fn fold(op: BinaryOp, left: i128, right: i128) -> Option<i128> {
    let value = match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left.checked_mul(right)?,
        BinaryOp::Div => left.checked_div(right)?,
        BinaryOp::Mod => left.checked_rem(right)?,
        BinaryOp::BitAnd => left & right,
        BinaryOp::BitOr => left | right,
        BinaryOp::BitXor => left ^ right,
        BinaryOp::Shl => left.checked_shl(shift(right)?)?,
        BinaryOp::Shr => left >> shift(right)?,
        BinaryOp::Eq => i128::from(left == right),
        BinaryOp::Ne => i128::from(left != right),
        BinaryOp::Lt => i128::from(left < right),
        BinaryOp::Le => i128::from(left <= right),
        BinaryOp::Gt => i128::from(left > right),
        BinaryOp::Ge => i128::from(left >= right),
        BinaryOp::And => i128::from(left != 0 && right != 0),
        BinaryOp::Or => i128::from(left != 0 || right != 0),
    };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

fn shift(count: i128) -> Option<u32> {
    u32::try_from(count).ok().filter(|count| *count < 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_fold_with_their_sign() {
        assert_eq!(fold(BinaryOp::Div, -7, 2), Some(-3));
        assert_eq!(fold(BinaryOp::Shr, -7, 1), Some(-4));
        assert_eq!(fold(BinaryOp::Div, 5, 0), None);
        assert_eq!(fold(BinaryOp::Add, i128::from(u64::MAX), 1), None);
        assert_eq!(fold(BinaryOp::Shl, 1, 63), Some(1 << 63));
    }
}
