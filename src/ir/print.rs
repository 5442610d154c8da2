//! The core IR as text, for `-d ir`: what each probe does, with types, map names and everything spelled out.

use std::fmt::Write;

use super::{
    BinaryOp, Block, CompareOp, Expr, ExprKind, Function, Probe, Program, StepOp, Stmt, StmtKind, Takes, UnaryOp, VarId,
};
use crate::bpf::Helper;
use crate::plan::{MapId, Plan, Role};
use crate::types::Sign;

/// The whole program.
pub fn program(program: &Program) -> String {
    let probes: Vec<String> = program.probes.iter().map(|probe| Printer::new(probe, &program.plan).probe()).collect();
    probes.join("\n")
}

struct Printer<'a> {
    probe: &'a Probe,
    plan: &'a Plan,
    text: String,
    depth: usize,
}

impl<'a> Printer<'a> {
    fn new(probe: &'a Probe, plan: &'a Plan) -> Self {
        Self { probe, plan, text: String::new(), depth: 0 }
    }

    fn probe(mut self) -> String {
        let names: Vec<&str> = self.probe.targets.iter().map(|target| target.name.as_str()).take(4).collect();
        let more = match self.probe.targets.len().saturating_sub(names.len()) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let probe = self.probe;
        for function in probe.functions.values() {
            self.function(function);
        }
        self.line(&format!("{}{more} {{", names.join(", ")));
        self.inner(&probe.body);
        self.line("}");
        self.text
    }

    fn function(&mut self, of: &Function) {
        let param = |var: &VarId| format!("{}: {}", self.probe.vars[*var].name, self.probe.vars[*var].ty);
        let context = (of.takes == Takes::ContextToo).then(|| "ctx".to_string());
        let params: Vec<String> = context.into_iter().chain(of.params.iter().map(param)).collect();
        self.line(&format!("fn {}({}): {} {{", of.name, params.join(", "), of.result));
        self.inner(&of.body);
        self.line("}");
    }

    fn line(&mut self, text: &str) {
        writeln!(self.text, "{}{text}", "    ".repeat(self.depth)).ok();
    }

    fn inner(&mut self, block: &Block) {
        self.depth += 1;
        for statement in block {
            self.statement(statement);
        }
        self.depth -= 1;
    }

    fn statement(&mut self, statement: &Stmt) {
        match &statement.kind {
            StmtKind::Eval(value) => match &*value.kind {
                ExprKind::Seq(block, last) => {
                    block.iter().for_each(|statement| self.statement(statement));
                    if last.has_effects() {
                        self.line(&self.expr(last));
                    }
                }
                _ => self.line(&self.expr(value)),
            },
            StmtKind::Set(var, value) => {
                let var = &self.probe.vars[*var];
                self.line(&format!("{}: {} = {}", var.name, var.ty, self.expr(value)));
            }
            StmtKind::MapSet { map, key, value, .. } => {
                self.line(&format!("{} = {}", self.place(*map, key.as_ref()), self.expr(value)));
            }
            StmtKind::Update { map, key, steps, .. } => {
                for step in steps {
                    let op = match step.op {
                        StepOp::Add => "+=",
                        StepOp::Set => "=",
                        StepOp::Renew { .. } => "renew=",
                        StepOp::Min(_) => "min=",
                        StepOp::Max(_) => "max=",
                    };
                    let (index, value) = (self.expr(&step.index), self.expr(&step.value));
                    self.line(&format!("{}.slot[{index}] {op} {value}", self.place(*map, key.as_ref())));
                }
            }
            StmtKind::Count(counter) => self.line(&format!("count {:?}", self.plan.counters[*counter].cause)),
            StmtKind::Emit { action, values, .. } => {
                let values: Vec<String> =
                    values.iter().map(|value| format!("{}: {}", self.expr(value), value.ty)).collect();
                let action = &self.plan.actions[*action];
                let map = action.map.map_or(String::new(), |(map, _)| format!(" {}", self.map(map)));
                self.line(&format!("emit {}{map} ({}) [{} bytes]", action.name, values.join(", "), action.size));
            }
            StmtKind::Announce(_) => self.line("announce process"),
            StmtKind::If { cond, then, otherwise } => {
                self.line(&format!("if {} {{", self.expr(cond)));
                self.inner(then);
                if !otherwise.is_empty() {
                    self.line("} else {");
                    self.inner(otherwise);
                }
                self.line("}");
            }
            StmtKind::For { var, from, to, body, .. } => {
                let name = &self.probe.vars[*var].name;
                self.line(&format!("for {name} in {}..{} {{", self.expr(from), self.expr(to)));
                self.inner(body);
                self.line("}");
            }
            StmtKind::ForMap { map, key, value, body } => {
                let value = value.map_or(String::new(), |value| format!(", {}", self.probe.vars[value].name));
                self.line(&format!("for {}{value} in {} {{", self.probe.vars[*key].name, self.map(*map)));
                self.inner(body);
                self.line("}");
            }
            StmtKind::While { cond, body } => {
                self.line(&format!("while {} {{", self.expr(cond)));
                self.inner(body);
                self.line("}");
            }
            StmtKind::Break => self.line("break"),
            StmtKind::Continue => self.line("continue"),
            StmtKind::Return(None) => self.line("return"),
            StmtKind::Return(Some(value)) => self.line(&format!("return {}", self.expr(value))),
            StmtKind::Block(block) => {
                self.line("{");
                self.inner(block);
                self.line("}");
            }
        }
    }

    fn map(&self, map: MapId) -> String {
        match &self.plan.maps[map].role {
            Role::User { name, .. } => name.clone(),
            Role::Over => "over".to_string(),
            Role::Packets => "packets".to_string(),
            other => format!("{other:?}"),
        }
    }

    fn place(&self, map: MapId, key: Option<&Expr>) -> String {
        match key {
            Some(key) => format!("{}[{}]", self.map(map), self.expr(key)),
            None => self.map(map),
        }
    }

    fn call(&self, name: &str, args: &[Expr]) -> String {
        let args: Vec<String> = args.iter().map(|arg| self.expr(arg)).collect();
        format!("{name}({})", args.join(", "))
    }

    fn compose(&self, parts: &[(u32, Expr)]) -> String {
        let parts: Vec<String> = parts.iter().map(|(offset, part)| format!("{offset}: {}", self.expr(part))).collect();
        format!("({})", parts.join(", "))
    }

    fn expr(&self, expr: &Expr) -> String {
        let one = |of: &Expr| self.expr(of);
        match &*expr.kind {
            ExprKind::Int(number) if expr.ty.sign() == Sign::Unsigned => (*number as u64).to_string(),
            ExprKind::Int(number) => number.to_string(),
            ExprKind::Ctx => "ctx".to_string(),
            ExprKind::OutputFile => "output file".to_string(),
            ExprKind::CtxLoad { offset } => format!("ctx[{offset}]:{}", expr.ty),
            ExprKind::Call(helper, args) => self.call(helper.name().unwrap_or("helper"), args),
            ExprKind::NamespacedPid { .. } => "namespaced_pid()".to_string(),
            ExprKind::InCgroup(map) => format!("in_cgroup({})", self.map(*map)),
            ExprKind::FuncResult => "func_result()".to_string(),
            ExprKind::Unary(op, of) => format!("{}{}", unary(*op), one(of)),
            ExprKind::Binary { op, sign, left, right, .. } => {
                format!("({} {}{} {})", one(left), binary(*op), mark(*sign), one(right))
            }
            ExprKind::Compare { op, sign, left, right } => {
                format!("({} {}{} {})", one(left), compare(*op), mark(*sign), one(right))
            }
            ExprKind::And(left, right) => format!("({} && {})", one(left), one(right)),
            ExprKind::Or(left, right) => format!("({} || {})", one(left), one(right)),
            ExprKind::Convert(of) => format!("({}){}", expr.ty, one(of)),
            ExprKind::Resize(of) => format!("resize[{}]({})", expr.ty, one(of)),
            ExprKind::Bits { value, shift, width } => format!("bits({}, {shift}, {width})", one(value)),
            ExprKind::MapHas { map, key } => format!("has({})", self.place(*map, Some(key))),
            ExprKind::MapDelete { map, key } => format!("delete({})", self.place(*map, key.as_ref())),
            ExprKind::Handle(map) => self.map(*map),
            ExprKind::MapLen(map) => format!("len({})", self.map(*map)),
            ExprKind::Merge { map, key, how } => format!("merge {how:?}({})", self.place(*map, key.as_ref())),
            ExprKind::SlotSum { map, key, index } => format!("sum({}@{})", self.place(*map, key.as_ref()), one(index)),
            ExprKind::Stack { .. } => expr.ty.to_string(),
            ExprKind::StackLen { of } => format!("stack_len({:?})", of.side),
            ExprKind::StrCompare { left, right, len } => {
                let len = len.map_or(String::new(), |len| format!(", {len}"));
                format!("differs({}, {}{len})", one(left), one(right))
            }
            ExprKind::StrContains { hay, needle } => format!("contains({}, {})", one(hay), one(needle)),
            ExprKind::StrFind { hay, needle } => format!("find({}, {})", one(hay), one(needle)),
            ExprKind::MemCompare { left, right, len } => format!("order({}, {}, {len})", one(left), one(right)),
            ExprKind::Location(of) => format!("location({})", one(of)),
            ExprKind::StrConcat(left, right) => format!("concat[{}]({}, {})", expr.ty, one(left), one(right)),
            ExprKind::StrLen(of) => format!("length({})", one(of)),
            ExprKind::Log2Bucket { value, bits } => format!("log2_bucket({}, {bits})", one(value)),
            ExprKind::LinearBucket { value, min, max, step } => {
                format!("linear_bucket({}, {min}, {max}, {step})", one(value))
            }
            ExprKind::Var(var) => self.probe.vars[*var].name.clone(),
            ExprKind::Zero => "zero".to_string(),
            ExprKind::Load { addr, offset } => format!("*({} + {offset}):{}", one(addr), expr.ty),
            ExprKind::MapGet { map, key } => self.place(*map, key.as_ref()),
            ExprKind::Field { base, offset } => format!("{}.{offset}:{}", one(base), expr.ty),
            ExprKind::Element { base, index, count, .. } => format!("{}[{} of {count}]", one(base), one(index)),
            ExprKind::Reinterpret(of) => format!("bytes_as[{}]({})", expr.ty, one(of)),
            ExprKind::Terminate(of) => format!("terminated({})", one(of)),
            ExprKind::Address(var) => format!("&{}", self.probe.vars[*var].name),
            ExprKind::MapAddress { map, key } => format!("&{}", self.place(*map, key.as_ref())),
            ExprKind::Cond { cond, then, otherwise } => format!("({} ? {} : {})", one(cond), one(then), one(otherwise)),
            ExprKind::Seq(_, value) => format!("{{ ...; {} }}", one(value)),
            ExprKind::Invoke { function, args } => self.call(&self.probe.functions[*function].name, args),
            ExprKind::Str(text) => format!("{:?}", String::from_utf8_lossy(text)),
            ExprKind::Bytes(bytes) => format!("bytes{bytes:?}"),
            ExprKind::Compose(parts) => self.compose(parts),
            ExprKind::Comm => "comm".to_string(),
            ExprKind::Follow { from, hops, offset, .. } => {
                let hops: String = hops.iter().map(|hop| format!("+{hop}->")).collect();
                let from = match *from.kind {
                    ExprKind::Call(Helper::GET_CURRENT_TASK_BTF, _) => "curtask".to_string(),
                    _ => one(from),
                };
                format!("{from}{hops}+{offset}")
            }
            ExprKind::PerCpuAddress { var, cpu: None } => format!("this_cpu(#{var})"),
            ExprKind::PerCpuAddress { var, cpu: Some(cpu) } => format!("per_cpu(#{var}, {})", one(cpu)),
            ExprKind::PathName { base, offset } => format!("path_name({} + {offset})", one(base)),
            ExprKind::OfObject { given, args, offset, .. } => format!("{}+{offset}", self.call(given.name, args)),
            ExprKind::ReadStr { addr, .. } => format!("text[{}]({})", expr.ty, one(addr)),
            ExprKind::ReadBuf { addr, len } => format!("bytes[{}]({}, {})", expr.ty, one(addr), one(len)),
        }
    }
}

fn mark(sign: Sign) -> &'static str {
    match sign {
        Sign::Signed => "s",
        Sign::Unsigned => "",
    }
}

fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Negate => "-",
        UnaryOp::Invert => "~",
        UnaryOp::Not => "!",
    }
}

fn binary(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Mod => "%",
        BinaryOp::And => "&",
        BinaryOp::Or => "|",
        BinaryOp::Xor => "^",
        BinaryOp::Shl => "<<",
        BinaryOp::Shr => ">>",
    }
}

fn compare(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    }
}
