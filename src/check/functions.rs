//! `fn` functions: a call lowers the function, once for each body that needs it, so that it sees the event of its caller.
//!
//! Its variables are numbered with those of the body; none of them is visible outside of it. Functions that nothing calls are
//! not looked at beyond their heads: whether they are right depends on the probe.

use std::collections::HashMap;

use super::convert::converted;
use super::cx::Scope;
use super::declare::fits;
use super::{Cx, Fallible, Reported};
use crate::builtins;
use crate::diag::Diagnostic;
use crate::id::IdVec;
use crate::ir::{self, Block, Expr, ExprKind, FunctionId, Stmt, StmtKind, Takes, VarId};
use crate::source::Span;
use crate::syntax::ast;
use crate::types::Type;

/// Registers that carry arguments.
const REGISTERS: usize = 5;

/// The functions of the program, and those that one body has needed so far.
pub(super) struct Functions<'a> {
    all: &'a [ast::Function],
    pub lowered: IdVec<FunctionId, ir::Function>,
    /// The outcome for each function that was called, by name.
    known: HashMap<&'a str, Fallible<FunctionId>>,
    /// Those being lowered, outermost first.
    open: Vec<Open<'a>>,
}

struct Open<'a> {
    definition: &'a ast::Function,
    result: Type,
}

impl<'a> Functions<'a> {
    pub fn new(all: &'a [ast::Function]) -> Self {
        Self { all, lowered: IdVec::new(), known: HashMap::new(), open: Vec::new() }
    }

    pub fn named(&self, name: &str) -> Option<&'a ast::Function> {
        self.all.iter().find(|function| function.name.text == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.all.iter().map(|function| function.name.text.as_str())
    }
}

/// What is wrong with the heads of functions, called or not.
pub(super) fn judge(functions: &[ast::Function]) -> Vec<Diagnostic> {
    let clash = |(at, function): (usize, &ast::Function)| {
        let name = &function.name;
        if builtins::find(&name.text).is_some() {
            let message = format!("'{}' is the name of a builtin: a function needs one of its own", name.text);
            return Some(Diagnostic::error(name.span, message));
        }
        let first = functions[..at].iter().find(|other| other.name.text == name.text)?;
        let message = format!("Redefinition of function: {}", name.text);
        Some(Diagnostic::error(function.head, message).label(first.head, "This is the original definition."))
    };
    let clashes = functions.iter().enumerate().filter_map(clash);
    clashes.chain(functions.iter().flat_map(judge_params)).collect()
}

fn judge_params(function: &ast::Function) -> Vec<Diagnostic> {
    let params = &function.params;
    let doubled = params.iter().enumerate().filter_map(|(at, param)| {
        let first = params[..at].iter().find(|other| other.name.text == param.name.text)?;
        let message = format!("{}() has two parameters named {}", function.name.text, param.name.text);
        Some(Diagnostic::error(param.name.span, message).label(first.name.span, "the first one"))
    });
    let surplus = params.get(REGISTERS).map(|param| {
        too_many(Diagnostic::error(
            param.name.span,
            format!("a function takes {REGISTERS} arguments at most: that is how many registers BPF has for them"),
        ))
    });
    doubled.chain(surplus).collect()
}

fn too_many(fault: Diagnostic) -> Diagnostic {
    fault.hint("hand over several in one tuple, as in fn f($both: (int64, int64)); or make it a macro")
}

impl<'a> Cx<'a> {
    /// A call of a function of the script.
    pub(super) fn invoke(&mut self, of: &'a ast::Function, args: &[ast::Expr], span: Span) -> Fallible<Expr> {
        if args.len() != of.params.len() {
            return Err(self.wrong_count(of, args.len(), span));
        }
        let values: Vec<Fallible<Expr>> = args.iter().map(|arg| self.value(arg)).collect();
        let function = self.function(of, span)?;
        let params = self.functions.lowered[function].params.clone();
        let passed: Vec<Fallible<Expr>> = values
            .into_iter()
            .zip(params.into_iter().zip(&of.params))
            .map(|(value, (var, param))| self.passed(value?, var, param, of))
            .collect();
        let args = passed.into_iter().collect::<Fallible<_>>()?;
        let result = self.functions.lowered[function].result.clone();
        Ok(Expr::new(ExprKind::Invoke { function, args }, result, span))
    }

    fn wrong_count(&mut self, of: &ast::Function, found: usize, span: Span) -> Reported {
        let name = &of.name.text;
        let wanted = match of.params.len() {
            0 => "no arguments".to_string(),
            1 => "one argument".to_string(),
            count => format!("{count} arguments"),
        };
        let fault = Diagnostic::error(span, format!("{name}() requires {wanted} ({found} provided)"));
        self.error(fault.label(of.head, "defined here"))
    }

    /// An argument as a value of its parameter's type.
    fn passed(&mut self, value: Expr, var: VarId, param: &ast::FunctionParam, of: &ast::Function) -> Fallible<Expr> {
        let ty = self.vars[var].ty.clone();
        if !is_taken(&value, &ty) {
            let name = &of.name.text;
            let message =
                format!("Type mismatch for {} of {name}(): '{}' where it takes '{ty}'", param.name.text, value.ty);
            let fault = Diagnostic::error(value.span, message).label(param.ty.span, "its type is declared here");
            return Err(self.error(with_remedy(fault, &value.ty, &ty)));
        }
        self.warn_of_loss(&value, &ty);
        Ok(converted(value, &ty))
    }

    /// Unlike a variable's, a parameter's sign may differ without a word: `f($n - 1)` is signed whatever `$n` is.
    fn warn_of_loss(&mut self, value: &Expr, to: &Type) {
        if value.ty.size() > to.size() {
            self.warn_of_cut(value, to);
        }
    }

    /// The function for this body, lowered when it is first called.
    fn function(&mut self, of: &'a ast::Function, call: Span) -> Fallible<FunctionId> {
        let name = of.name.text.as_str();
        if let Some(outcome) = self.functions.known.get(name) {
            return *outcome;
        }
        if let Some(at) = self.functions.open.iter().position(|open| open.definition.name.text == name) {
            return Err(self.recursion(at, call));
        }
        let outcome = self.lower_function(of);
        self.functions.known.insert(name, outcome);
        outcome
    }

    fn recursion(&mut self, at: usize, call: Span) -> Reported {
        let open = &self.functions.open[at..];
        let first = open[0].definition;
        let names: Vec<&str> = open.iter().map(|open| open.definition.name.text.as_str()).collect();
        let chain = [&names[..], &[names[0]]].concat().join(" > ");
        let message = match open {
            [_] => format!("{}() calls itself: BPF programs have no recursion", names[0]),
            _ => format!("{}() comes to call itself ({chain}): BPF programs have no recursion", names[0]),
        };
        let fault = Diagnostic::error(call, message).label(first.head, "this function is still under way");
        self.error(fault.hint(
            "use a loop, such as for ($i : 0..$n) { ... }; the kernel allows 8 functions under way, on 512 bytes of stack for all of them",
        ))
    }

    fn lower_function(&mut self, of: &'a ast::Function) -> Fallible<FunctionId> {
        let result = match &of.result {
            Some(ty) => self.declared_type(ty)?,
            None => Type::Void,
        };
        let scopes = std::mem::replace(&mut self.scopes, vec![Scope::new()]);
        let loops = std::mem::take(&mut self.loops);
        self.functions.open.push(Open { definition: of, result: result.clone() });
        let params = self.params(of);
        let body = self.block(&of.body);
        self.functions.open.pop();
        self.scopes = scopes;
        self.loops = loops;
        let takes = if self.uses_context(&body) { Takes::ContextToo } else { Takes::Arguments };
        let function = ir::Function { name: of.name.text.clone(), params: params?, result, takes, body, span: of.span };
        self.judge_lowered(of, &function)?;
        Ok(self.functions.lowered.push(function))
    }

    fn params(&mut self, of: &ast::Function) -> Fallible<Vec<VarId>> {
        let param = |param: &ast::FunctionParam| {
            let ty = self.declared_type(&param.ty)?;
            if ty.size() == 0 {
                let message = format!("a parameter of type '{ty}' holds nothing");
                return Err(self.error(Diagnostic::error(param.ty.span, message)));
            }
            self.introduce(&param.name, Some(ty))
        };
        let params: Vec<Fallible<VarId>> = of.params.iter().map(param).collect();
        params.into_iter().collect()
    }

    /// What only shows once the body is known.
    fn judge_lowered(&mut self, of: &ast::Function, function: &ir::Function) -> Fallible<()> {
        let name = &of.name.text;
        if let (Some(result), true) = (&of.result, function.result != Type::Void && !ends(&of.body)) {
            let message = format!("{name}() may end without giving its '{}'", function.result);
            let fault = Diagnostic::error(result.span, message);
            return Err(self.error(fault.hint("end it with a 'return' that has a value, as in: return 0;")));
        }
        if function.registers() > REGISTERS {
            let also = match (function.takes, function.gives_memory()) {
                (Takes::ContextToo, true) => "the event's context and the place of its result",
                (Takes::ContextToo, false) => "the event's context, which it uses,",
                (Takes::Arguments, _) => "the place of its result",
            };
            let message = format!("{name}() takes too much: with {also} more than {REGISTERS} arguments");
            return Err(self.error(too_many(Diagnostic::error(of.head, message))));
        }
        Ok(())
    }

    /// Whether code generation needs the program's context for this.
    fn uses_context(&self, body: &Block) -> bool {
        let mut found = false;
        ir::walk(body, &mut |expr| {
            found |= match &*expr.kind {
                ExprKind::Ctx | ExprKind::CtxLoad { .. } | ExprKind::Stack { .. } | ExprKind::StackLen { .. } => true,
                ExprKind::Invoke { function, .. } => self.functions.lowered[*function].takes == Takes::ContextToo,
                _ => false,
            };
        });
        found
    }

    /// `return`, from a function or from the probe.
    pub(super) fn return_from(&mut self, value: Option<&ast::Expr>, span: Span) -> Fallible<StmtKind> {
        let Some(Open { definition, result }) = self.functions.open.last() else {
            return self.return_from_probe(value);
        };
        let (definition, result) = (*definition, result.clone());
        let name = &definition.name.text;
        match value {
            None if result == Type::Void => Ok(StmtKind::Return(None)),
            None => {
                let fault = Diagnostic::error(span, format!("{name}() must give a value of type '{result}' here"));
                Err(self.error(fault.label(definition.head, "its type is declared here").hint("return 0;")))
            }
            Some(value) if result == Type::Void => {
                let ty = self.value(value)?.ty;
                let fault = Diagnostic::error(value.span, format!("{name}() is declared to give no value"));
                let hint = format!("say what it gives behind its parameters: fn {name}(...): {ty}");
                Err(self.error(fault.label(definition.head, "defined here").hint(hint)))
            }
            Some(value) => {
                let value = self.value(value)?;
                if !is_taken(&value, &result) {
                    let message = format!("Type mismatch: {name}() gives '{result}', and this is '{}'", value.ty);
                    let fault = Diagnostic::error(value.span, message).label(definition.head, "declared here");
                    return Err(self.error(with_remedy(fault, &value.ty, &result)));
                }
                self.warn_of_loss(&value, &result);
                Ok(StmtKind::Return(Some(converted(value, &result))))
            }
        }
    }

    fn return_from_probe(&mut self, value: Option<&ast::Expr>) -> Fallible<StmtKind> {
        match value {
            Some(value) if self.is_trial() => Ok(StmtKind::Return(Some(self.scalar(value)?))),
            // What other programs return has a meaning to the kernel.
            Some(value) => self.value(value).map(|_| StmtKind::Return(None)),
            None => Ok(StmtKind::Return(None)),
        }
    }

    /// Leaves the probe, or the function with a zero.
    pub fn leave(&self, span: Span) -> Stmt {
        let result = self.functions.open.last().map(|open| &open.result).filter(|result| **result != Type::Void);
        let value = result.map(|result| Expr::new(ExprKind::Zero, result.clone(), span));
        Stmt::new(StmtKind::Return(value), span)
    }
}

/// Whether a value may be handed over as one of this type. Texts that are not known are cut, as they are everywhere.
fn is_taken(value: &Expr, ty: &Type) -> bool {
    let is_text = matches!((&value.ty, ty), (Type::Str(_), Type::Str(_))) && !matches!(*value.kind, ExprKind::Str(_));
    is_text || fits(value, ty)
}

/// What to do about a value of another type.
fn with_remedy(fault: Diagnostic, from: &Type, to: &Type) -> Diagnostic {
    match (from, to) {
        (Type::Str(_), Type::Str(_)) => fault.hint(format!("this text needs a '{from}'")),
        _ if from.is_scalar() && to.is_scalar() => fault.hint(format!("if that is meant, cast it: ({to})...")),
        _ => fault,
    }
}

/// Whether control cannot come to the end of a block.
fn ends(block: &[ast::Stmt]) -> bool {
    block.iter().any(|statement| match &statement.kind {
        ast::StmtKind::Return(_) => true,
        ast::StmtKind::If { then, otherwise: Some(otherwise), .. } => ends(then) && ends(otherwise),
        ast::StmtKind::Block(block) => ends(block),
        ast::StmtKind::Expr(value) => match &*value.kind {
            ast::ExprKind::Call { name, .. } => name.text == "exit",
            ast::ExprKind::Ident(name) => name == "exit",
            ast::ExprKind::Block(block, _) => ends(block),
            _ => false,
        },
        _ => false,
    })
}
