//! `config`: the settings in force, as one record.

use super::Builtin;
use crate::check::{Call, Cx, Fallible, record};
use crate::config::{MissingProbes, Unstable};
use crate::ir::{Expr, ExprKind};
use crate::types::{StackMode, Type};

pub const ROWS: &[Builtin] = &[Builtin::value(
    "config",
    "The settings in force, as config.NAME, or all of them.",
    "begin { print(config.max_strlen); print(config); }",
    config,
)];

fn config(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let of = cx.config;
    let number = |value: u64| Expr::int(value as i64, Type::U64, call.span);
    let truth = |value: bool| Expr::int(i64::from(value), Type::Bool, call.span);
    let text = |value: &str| {
        let ty = Type::Str(value.len() as u32 + 1);
        Expr::new(ExprKind::Str(value.as_bytes().to_vec()), ty, call.span)
    };
    let (names, values): (Vec<&str>, Vec<Expr>) = [
        ("cpp_demangle", truth(of.cpp_demangle)),
        ("print_maps_on_exit", truth(of.print_maps_on_exit)),
        ("log_size", number(of.log_size)),
        ("max_bpf_progs", number(of.max_bpf_progs)),
        ("max_cat_bytes", number(of.max_cat_bytes)),
        ("max_map_keys", number(of.max_map_keys)),
        ("max_probes", number(of.max_probes)),
        ("max_strlen", number(of.max_strlen)),
        ("perf_rb_pages", number(of.perf_rb_pages)),
        ("str_trunc_trailer", text(&of.str_trunc_trailer)),
        ("unstable_tseries", text(unstable(of.unstable_tseries))),
        ("missing_probes", text(missing_probes(of.missing_probes))),
        ("stack_mode", text(stack_mode(of.stack_mode))),
        ("license", text(&of.license)),
    ]
    .into_iter()
    .unzip();
    Ok(record(&names, values, call.span))
}

fn unstable(value: Unstable) -> &'static str {
    match value {
        Unstable::Error => "error",
        Unstable::Warn => "warn",
        Unstable::Enable => "enable",
    }
}

fn missing_probes(value: MissingProbes) -> &'static str {
    match value {
        MissingProbes::Error => "error",
        MissingProbes::Warn => "warn",
        MissingProbes::Ignore => "ignore",
        MissingProbes::Alternatives => "alternatives",
    }
}

fn stack_mode(value: StackMode) -> &'static str {
    match value {
        StackMode::Bpftrace => "bpftrace",
        StackMode::Perf => "perf",
        StackMode::Raw => "raw",
        StackMode::BuildId => "build_id",
    }
}
