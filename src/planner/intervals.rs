//! Finds the aggregations that are shown and then emptied by the same run of a probe, as in `interval:s:1 { print(@); clear(@); }`.
//! Each is to be two maps that take turns, so that what is counted between the one and the other is in the next interval, and
//! only there. The price is a look-up more a hit, so all other maps are left as they are.

use std::collections::BTreeSet;

use crate::ir::{Block, ExprKind, Probe, StmtKind};
use crate::plan::{ActionId, MapId, MapUse, Plan, Role};
use crate::types::MapValue;

/// Marks such maps, and the actions that show them for the last time before they are emptied.
pub fn mark(probes: &[Probe], plan: &mut Plan) {
    let mut shown = BTreeSet::new();
    for probe in probes {
        in_block(&probe.body, plan, &mut shown);
    }
    for (action, map) in shown {
        plan.actions[action].map = Some((map, MapUse::ShownThenEmptied));
        plan.turning.insert(map);
    }
}

fn in_block(block: &Block, plan: &Plan, shown: &mut BTreeSet<(ActionId, MapId)>) {
    let mut sent = Vec::new();
    in_order(block, &mut sent);
    let uses: Vec<(ActionId, MapId, MapUse)> =
        sent.into_iter().filter_map(|id| plan.actions[id].map.map(|(map, usage)| (id, map, usage))).collect();
    for (at, (id, map, usage)) in uses.iter().enumerate() {
        let is_emptied = uses[at..].iter().any(|(_, other, usage)| other == map && *usage == MapUse::Emptied);
        if *usage == MapUse::Shown && is_emptied && is_aggregation(plan, *map) {
            shown.insert((*id, *map));
        }
    }
    for statement in block {
        statement.each_block(&mut |block| in_block(block, plan, shown));
    }
}

/// The actions of a block that are all run or, if the program is left, not reached.
fn in_order(block: &Block, sent: &mut Vec<ActionId>) {
    for statement in block {
        match &statement.kind {
            StmtKind::Emit { action, .. } => sent.push(*action),
            StmtKind::Block(block) => in_order(block, sent),
            StmtKind::Eval(value) => {
                if let ExprKind::Seq(block, _) = &*value.kind {
                    in_order(block, sent);
                }
            }
            _ => {}
        }
    }
}

fn is_aggregation(plan: &Plan, map: MapId) -> bool {
    matches!(plan.maps[map].role, Role::User { value: MapValue::Aggregate(_), .. })
}
