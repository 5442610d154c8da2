//! Whether there is anything in a program's maps that the wanted picture can show.

use rtrace::cli::Format;
use rtrace::error::{Error, Result};
use rtrace::plan::{Plan, Role};
use rtrace::report::picture::Picture;
use rtrace::types::{Aggregate, MapValue, Type};

/// Said before the program runs, and not after an hour of it.
pub fn check(format: Format, plan: &Plan) -> Result<()> {
    let Format::Picture(picture) = format else { return Ok(()) };
    let is_drawn = |(key, value): (Option<&Type>, &MapValue)| match picture {
        Picture::Folded | Picture::Flamegraph | Picture::Pprof => key.is_some_and(has_stack) && is_number(value),
        Picture::Svg => matches!(value, MapValue::Aggregate(Aggregate::Heat { .. })),
    };
    if maps(plan).any(is_drawn) {
        return Ok(());
    }
    let name = match picture {
        Picture::Folded => "folded",
        Picture::Flamegraph => "flamegraph",
        Picture::Pprof => "pprof",
        Picture::Svg => {
            let error = Error::usage("-f svg draws heat maps, and the program has none");
            return Err(error.hint("for instance tracepoint:syscalls:sys_exit_read { @ = heatmap(args.ret, 1s); }"));
        }
    };
    let message = format!("-f {name} shows numbers by stack, and no map has a stack in its key");
    Err(Error::usage(message).hint("for instance profile:hz:99 { @[kstack] = count(); }"))
}

fn maps(plan: &Plan) -> impl Iterator<Item = (Option<&Type>, &MapValue)> {
    plan.maps.values().filter_map(|map| match &map.role {
        Role::User { key, value, .. } => Some((key.as_ref(), value)),
        _ => None,
    })
}

fn has_stack(key: &Type) -> bool {
    matches!(key, Type::Stack(_)) || key.elements().iter().any(|part| matches!(part, Type::Stack(_)))
}

fn is_number(value: &MapValue) -> bool {
    match value {
        MapValue::Plain(ty) => matches!(ty, Type::Int(_)),
        MapValue::Aggregate(of) => !of.is_distribution(),
    }
}
