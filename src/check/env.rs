//! What is known of the whole program so far: the types of its maps and variables, the plan, and what was found wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Sharing;
use super::convert::{Told, ample, is_alike, join_told, shortened};
use super::declared::{Declarations, Declared};
use crate::config::Config;
use crate::diag::{Diagnostic, Severity};
use crate::kernel::{Feature, Kernel};
use crate::plan::{Cause, CounterId, Map, MapId, MapKind, Plan, Role};
use crate::source::Span;
use crate::types::{Aggregate, MapValue, Type};

/// Survives from pass to pass, but for the plan and the diagnostics, which each pass makes anew.
#[derive(Default)]
pub struct Env {
    maps: BTreeMap<String, MapInfo>,
    declarations: Declarations,
    /// Maps that exist already: they belong to the program once it mentions them, and their types do not change any more.
    established: BTreeMap<String, Map>,
    room: Room,
    vars: HashMap<VarKey, (Type, Told)>,
    pub plan: Plan,
    diagnostics: Vec<Diagnostic>,
    progress: Progress,
    /// Variables and maps that were assigned something faulty: that nothing is known of them is no fault of its own.
    spoiled: BTreeSet<String>,
    seen: Seen,
    /// Whether `comptime` left out a part, in which maps may be used that are used nowhere else.
    pub is_cut: bool,
    /// Maps whose value no assignment tells, as in `@x = @x + 1`, count as numbers once nothing else changes.
    guess: Guess,
    /// Bytes that a key may have, where the kernel limits them.
    longest_key: Option<u32>,
}

/// A variable: its clause, the group of targets within the clause, and where it is first assigned.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VarKey {
    pub clause: usize,
    pub group: usize,
    pub declared: Span,
}

/// What is known of one map.
#[derive(Clone)]
pub struct MapInfo {
    pub keyed: Keyed,
    pub value: Option<MapValue>,
    key_told: Told,
    value_told: Told,
    /// Where it was first used with its keys, and where first assigned.
    pub key_span: Span,
    pub value_span: Span,
}

/// Whether a map has keys, as its first use tells.
#[derive(Clone, PartialEq)]
pub enum Keyed {
    Scalar,
    By(Type),
}

/// How much of the program is looked at.
#[derive(Default, Clone, Copy, PartialEq)]
pub enum Seen {
    #[default]
    Whole,
    /// The bodies of attach points that match nothing are not: what seems to be missing may be assigned there.
    Part,
}

#[derive(Default, PartialEq)]
enum Progress {
    #[default]
    Changed,
    Settled,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Guess {
    #[default]
    Wait,
    Numbers,
}

/// How much a new map's types hold.
#[derive(Default, Clone, Copy, PartialEq)]
enum Room {
    /// What the program needs.
    #[default]
    Exact,
    /// What programs to come may need as well.
    Ample,
}

impl Room {
    fn of(self, ty: &Type) -> Type {
        match self {
            Room::Exact => ty.clone(),
            Room::Ample => ample(ty),
        }
    }
}

/// What hash maps take for a key where that is little: the stack of a program, which keys once had to be on.
const STACK: u32 = 512;

impl Keyed {
    fn is_alike(&self, other: &Keyed) -> bool {
        match (self, other) {
            (Keyed::By(one), Keyed::By(other)) => is_alike(one, other),
            (Keyed::Scalar, _) | (_, Keyed::Scalar) => self == other,
        }
    }
}

fn are_alike(one: &MapValue, other: &MapValue) -> bool {
    match (one, other) {
        (MapValue::Plain(one), MapValue::Plain(other)) => is_alike(one, other),
        (MapValue::Aggregate(_), _) | (_, MapValue::Aggregate(_)) => one == other,
    }
}

impl Env {
    pub fn new(seen: Seen, declarations: Declarations, sharing: &Sharing, kernel: &dyn Kernel) -> Self {
        let longest_key = (!kernel.has(Feature::LargeKeys)).then_some(STACK);
        let named = |map: &Map| match &map.role {
            Role::User { name, .. } => Some((name.clone(), map.clone())),
            _ => None,
        };
        let (room, established) = match sharing {
            Sharing::Alone => (Room::Exact, BTreeMap::new()),
            Sharing::With(maps) => (Room::Ample, maps.iter().filter_map(named).collect()),
        };
        Self { seen, declarations, established, room, longest_key, ..Self::default() }
    }

    pub fn begin_pass(&mut self, config: &Config) {
        self.progress = Progress::Settled;
        self.plan = Plan { config: config.clone(), ..Plan::default() };
        self.diagnostics.clear();
        self.spoiled.clear();
        // Maps come first and in the order of their names, so that their numbers do not depend on the pass.
        for (name, info) in &self.maps {
            if let Some(value) = &info.value {
                let new = || user_map(name, info, value, self.declarations.get(name), config);
                self.plan.maps.push(self.established.get(name).cloned().unwrap_or_else(new));
            }
        }
    }

    /// Whether the pass that has just ended changed no type.
    pub fn has_settled(&mut self) -> bool {
        if self.progress == Progress::Changed {
            return false;
        }
        let is_open = self.maps.values().any(|info| info.value.is_none());
        if is_open && self.guess == Guess::Wait {
            self.guess = Guess::Numbers;
            return false;
        }
        true
    }

    /// Whether this pass has changed no type so far.
    pub fn may_be_last_pass(&self) -> bool {
        self.progress == Progress::Settled
    }

    pub fn report(&mut self, diagnostic: Diagnostic) {
        // A body that is lowered for several targets finds faults at the same places in each.
        let is_known = |other: &Diagnostic| other.span == diagnostic.span && other.severity == diagnostic.severity;
        if !self.diagnostics.iter().any(is_known) {
            self.diagnostics.push(diagnostic);
        }
    }

    pub fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.diagnostics)
    }

    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// Notes that what was assigned to a variable or map is faulty, which has been reported.
    pub fn spoil(&mut self, name: &str) {
        self.spoiled.insert(name.to_string());
    }

    pub fn is_spoiled(&self, name: &str) -> bool {
        self.spoiled.contains(name)
    }

    /// Reports a map that is never assigned.
    pub fn report_undefined(&mut self, name: &str, diagnostic: Diagnostic) {
        if self.seen == Seen::Whole && !self.is_spoiled(name) {
            self.report(diagnostic);
        }
    }

    /// Maps that are only ever read.
    pub fn report_all_undefined(&mut self) {
        let undefined: Vec<(String, Span)> = self
            .maps
            .iter()
            .filter(|(_, info)| info.value.is_none())
            .map(|(name, info)| (name.clone(), info.key_span))
            .collect();
        for (name, span) in undefined {
            if !self.diagnostics.iter().any(|other| other.message.ends_with(&format!(": {name}"))) {
                self.report_undefined(&name, Diagnostic::error(span, format!("Undefined map: {name}")));
            }
        }
    }

    /// Declarations that do not fit their maps, or that nothing uses.
    pub fn report_declared(&mut self) {
        for diagnostic in self.declarations.judge(&self.maps, self.is_cut) {
            self.report(diagnostic);
        }
    }

    pub fn into_plan(self) -> Plan {
        self.plan
    }

    pub fn map(&self, name: &str) -> Option<&MapInfo> {
        self.maps.get(name)
    }

    pub fn map_names(&self) -> Vec<String> {
        let assigned = self.maps.iter().filter(|(_, info)| info.value.is_some()).map(|(name, _)| name);
        assigned.chain(self.established.keys()).cloned().collect()
    }

    /// Makes a map that exists already one of the program's.
    pub fn mention(&mut self, name: &str) {
        if self.maps.contains_key(name) {
            return;
        }
        let Some(Role::User { key, value, span, .. }) = self.established.get(name).map(|map| map.role.clone()) else {
            return;
        };
        let keyed = key.map_or(Keyed::Scalar, Keyed::By);
        let told = Told::ByOthers;
        let value = Some(value);
        let info = MapInfo { keyed, value, key_told: told.clone(), value_told: told, key_span: span, value_span: span };
        self.maps.insert(name.to_string(), info);
        self.progress = Progress::Changed;
    }

    pub fn is_established(&self, name: &str) -> bool {
        self.established.contains_key(name)
    }

    /// The number of a map whose value is known since the last pass.
    pub fn map_id(&self, name: &str) -> Option<MapId> {
        let is_it = |map: &Map| matches!(&map.role, Role::User { name: other, .. } if other == name);
        self.plan.maps.iter().find(|(_, map)| is_it(map)).map(|(id, _)| id)
    }

    /// Notes that a map is used with this key (or none). The error is the type that it has been used with before.
    pub fn use_key(&mut self, name: &str, keyed: Keyed, told: Told, span: Span) -> Result<(), Keyed> {
        self.mention(name);
        let is_established = self.is_established(name);
        let (limit, room) = (self.longest_key, self.room);
        let fitting = |ty: Type| limit.map_or_else(|| ty.clone(), |limit| shortened(&ty, limit));
        let Some(info) = self.maps.get_mut(name) else {
            let keyed = match keyed {
                Keyed::Scalar => Keyed::Scalar,
                Keyed::By(ty) => Keyed::By(fitting(room.of(&ty))),
            };
            let value_told = Told::ByOthers;
            let info = MapInfo { keyed, value: None, key_told: told, value_told, key_span: span, value_span: span };
            self.maps.insert(name.to_string(), info);
            self.progress = Progress::Changed;
            return Ok(());
        };
        let (joined, told) = match (&info.keyed, &keyed) {
            (Keyed::Scalar, Keyed::Scalar) => (Keyed::Scalar, told),
            (Keyed::By(old), Keyed::By(new)) => {
                let joined = join_told((old, &info.key_told), (&room.of(new), &told));
                let (joined, told) = joined.ok_or_else(|| info.keyed.clone())?;
                (Keyed::By(fitting(joined)), told)
            }
            (Keyed::Scalar, Keyed::By(_)) | (Keyed::By(_), Keyed::Scalar) => return Err(info.keyed.clone()),
        };
        if joined != info.keyed {
            if is_established {
                return if joined.is_alike(&info.keyed) { Ok(()) } else { Err(info.keyed.clone()) };
            }
            info.keyed = joined;
            self.progress = Progress::Changed;
        }
        info.key_told = told;
        Ok(())
    }

    /// Notes that a map is assigned a value of this type. The error is the type that it already has.
    pub fn assign(&mut self, name: &str, value: &MapValue, told: Told, span: Span) -> Result<(), MapValue> {
        let (is_established, room) = (self.is_established(name), self.room);
        let Some(info) = self.maps.get_mut(name) else { return Ok(()) };
        let (joined, told) = match (&info.value, value) {
            (None, new) => {
                info.value_span = span;
                match new {
                    MapValue::Plain(ty) => (MapValue::Plain(room.of(ty)), told),
                    MapValue::Aggregate(_) => (new.clone(), told),
                }
            }
            (Some(MapValue::Plain(old)), MapValue::Plain(new)) => {
                let joined = join_told((old, &info.value_told), (&room.of(new), &told));
                let (joined, told) = joined.ok_or_else(|| MapValue::Plain(old.clone()))?;
                (MapValue::Plain(joined), told)
            }
            (Some(old), new) if old == new => return Ok(()),
            (Some(old), _) => return Err(old.clone()),
        };
        if info.value.as_ref() != Some(&joined) {
            if let Some(old) = info.value.as_ref().filter(|_| is_established) {
                return if are_alike(old, &joined) { Ok(()) } else { Err(old.clone()) };
            }
            info.value = Some(joined);
            self.progress = Progress::Changed;
        }
        info.value_told = told;
        Ok(())
    }

    /// The type to read a map with whose value is not known: a number, once everything else has settled.
    pub fn guessed(&mut self, name: &str) -> Option<Type> {
        (self.guess == Guess::Numbers && self.maps.contains_key(name)).then_some(Type::I64)
    }

    pub fn var(&self, key: &VarKey) -> Option<&Type> {
        self.vars.get(key).map(|(ty, _)| ty)
    }

    /// Whether a variable is known by literals only, so far.
    pub fn is_var_literal(&self, key: &VarKey) -> bool {
        self.vars.get(key).is_some_and(|(_, told)| *told == Told::ByLiterals)
    }

    /// Likewise for a map's value.
    pub fn is_map_literal(&self, name: &str) -> bool {
        self.maps.get(name).is_some_and(|info| info.value_told == Told::ByLiterals)
    }

    /// Notes that a variable is assigned a value of this type, and gives its type from now on; the error is the one it has.
    pub fn assign_var(&mut self, key: &VarKey, ty: &Type, told: Told) -> Result<Type, Type> {
        let (joined, told) = match self.vars.get(key) {
            None => (ty.clone(), told),
            Some((old, by)) => join_told((old, by), (ty, &told)).ok_or_else(|| old.clone())?,
        };
        if self.var(key) != Some(&joined) {
            self.progress = Progress::Changed;
        }
        self.vars.insert(key.clone(), (joined.clone(), told));
        Ok(joined)
    }

    pub fn counter(&mut self, cause: Cause, span: Span) -> CounterId {
        self.plan.counter(cause, span)
    }

    /// As many turns as the loop may have that this counter belongs to.
    pub fn loop_limit(&self, bound: CounterId) -> u64 {
        match self.plan.counters[bound].cause {
            Cause::LoopBound { limit } => limit.into(),
            _ => 1,
        }
    }
}

fn user_map(name: &str, info: &MapInfo, value: &MapValue, declared: Option<Declared>, config: &Config) -> Map {
    let entries = declared.map_or(u32::try_from(config.max_map_keys).unwrap_or(u32::MAX), |declared| declared.entries);
    let is_heat = matches!(value, MapValue::Aggregate(Aggregate::Heat { .. }));
    let (key, max_entries) = match &info.keyed {
        // Each interval is an entry.
        Keyed::Scalar => (None, if is_heat { entries } else { 1 }),
        Keyed::By(ty) => (Some(ty.clone()), entries),
    };
    let kind = match (&key, value, declared) {
        (None, MapValue::Plain(_), _) => MapKind::Array,
        (None, MapValue::Aggregate(_), _) if is_heat => MapKind::PerCpuHash,
        (None, MapValue::Aggregate(_), _) => MapKind::PerCpuArray,
        (Some(_), _, Some(declared)) => declared.kind,
        (Some(_), MapValue::Plain(_), None) => MapKind::Hash,
        (Some(_), MapValue::Aggregate(_), None) => MapKind::PerCpuHash,
    };
    let key_size = key.as_ref().map_or(4, |ty| ty.size().max(1));
    let value_size = if key.is_none() { Plan::mark_offset(value) + 8 } else { value.size().max(1) };
    let role = Role::User { name: name.to_string(), key, value: value.clone(), span: info.value_span };
    spread(Map { role, kind, key_size, value_size, max_entries })
}

/// Parts that a key has room for, if all keys have as many; few have.
const PARTS: u32 = 16;

/// Entries of a map that need not be fewer for their keys' parts.
const ENTRIES: u32 = 1 << 18;

/// Makes room for the parts of a value that is spread over several entries.
fn spread(map: Map) -> Map {
    let (true, Role::User { value: MapValue::Aggregate(of), .. }) = (map.is_parted(), &map.role) else { return map };
    let (key_size, value_size) = (map.part_offset() + 8, of.part_size());
    let max_entries = match of {
        Aggregate::Quantiles => map.max_entries.saturating_mul(PARTS).min(map.max_entries.max(ENTRIES)),
        _ => map.max_entries,
    };
    Map { key_size, value_size, max_entries, ..map }
}
