//! Program text in, loadable programs out: the stages in their order, for the command line and the shell alike.

use std::sync::Arc;

use crate::btf::Btf;
use crate::cdecl::{self, Headers, Resolved};
use crate::check::{self, Loader, Options, Sharing};
use crate::codegen::{self, Compiled};
use crate::config::{Config, Overrides};
use crate::debug_types;
use crate::diag::{Diagnostic, Severity};
use crate::imports;
use crate::ir;
use crate::kernel::{DescribedFunction, Grown, Kernel, WithTypes};
use crate::macros;
use crate::planner;
use crate::probes;
use crate::source::{Source, Sources, Span};
use crate::syntax::{self, ast};

/// Compiles programs against one kernel.
pub struct Engine<'a> {
    /// Every text compiled so far; diagnostics point into it.
    pub sources: Sources,
    pub options: Options,
    /// Where `#include` looks.
    pub headers: Headers,
    kernel: &'a dyn Kernel,
    overrides: Overrides,
}

/// The faults of a program, all that were found.
pub type Faults = Vec<Diagnostic>;

/// A checked program, and what deserves a warning in it.
pub type Checked = (ir::Program, Vec<Diagnostic>);

impl<'a> Engine<'a> {
    /// `overrides` are the settings that the environment gives; they win over a script's own.
    pub fn new(kernel: &'a dyn Kernel, options: Options, overrides: Overrides) -> Self {
        Self { sources: Sources::new(), options, headers: Headers::default(), kernel, overrides }
    }

    pub fn kernel(&self) -> &'a dyn Kernel {
        self.kernel
    }

    pub fn parse(&mut self, name: &str, text: &str) -> Result<ast::Program, Faults> {
        syntax::parse(self.sources.add(name, text))
    }

    /// Parses a text as if it stood between two others, which nobody has written and no diagnostic shows.
    pub fn parse_between(&mut self, name: &str, around: [&str; 2], text: &str) -> Result<ast::Program, Faults> {
        // Places in what stands before have room here.
        self.sources.add("", " ".repeat(around[0].len()));
        let base = self.sources.add(name, text).base - around[0].len() as u32;
        syntax::parse(&Source { name: name.to_string(), text: around.join(text), base })
    }

    /// Imports, expands macros, and checks what results.
    pub fn check(&mut self, program: &ast::Program) -> Result<Checked, Faults> {
        let program = imports::resolve(program.clone(), &mut self.sources)?;
        let grown = Grown::of(self.kernel, probes::homes(&program, self.kernel, &self.options));
        let grown = grown.map_err(|error| vec![Diagnostic::error(Span::default(), error.message)])?;
        let with_homes = grown.as_ref().map(|grown| grown.over(self.kernel));
        let kernel: &dyn Kernel = with_homes.as_ref().map_or(self.kernel, |with_homes| with_homes);
        let Resolved { program, types, warnings: mut told } =
            cdecl::resolve(program, || kernel.btf(), &self.headers, &mut self.sources)?;
        let program = macros::expand(program, &mut self.sources)?;
        let (types, functions) = self.with_debug_types(&program, kernel, types)?;
        let types = types.map(Arc::new).or_else(|| grown.as_ref().map(|grown| Arc::clone(&grown.types)));
        let grafts = kernel.grafts();
        let with_types =
            types.as_deref().map(|types| WithTypes { kernel: self.kernel, types, functions: &functions, grafts });
        let kernel = with_types.as_ref().map_or(self.kernel, |with_types| with_types);
        let mut config = Config::default();
        let (mut faults, renamed): (Faults, Faults) =
            config.apply(&program.config).into_iter().partition(|finding| finding.severity == Severity::Error);
        told.extend(renamed);
        self.overrides.apply(&mut config);
        match check::check(&program, kernel, config, &self.options) {
            Ok((mut program, warnings)) if faults.is_empty() => {
                program.plan.types = types;
                told.extend(warnings);
                let program = planner::choose(program, self.kernel);
                Ok((
                    match (self.options.loader, &self.options.sharing) {
                        (Loader::Own, Sharing::Alone) => {
                            planner::separate_intervals(planner::share_out_rings(program, self.kernel))
                        }
                        // Other programs use the maps as they are.
                        (Loader::Own, Sharing::With(_)) => planner::share_out_rings(program, self.kernel),
                        // Nobody there turns maps, or makes more than one of a kind.
                        (Loader::Foreign, _) => program,
                    },
                    told,
                ))
            }
            Ok(_) => Err(faults),
            Err(more) => {
                faults.extend(more);
                Err(faults)
            }
        }
    }

    /// The script's types, and those of the programs that it traces, with the functions that they were found for.
    fn with_debug_types(
        &self,
        program: &ast::Program,
        kernel: &dyn Kernel,
        types: Option<Btf>,
    ) -> Result<(Option<Btf>, Vec<DescribedFunction>), Faults> {
        let grafts = kernel.grafts();
        let with_types = types.as_ref().map(|types| WithTypes { kernel, types, functions: &[], grafts });
        let kernel = with_types.as_ref().map_or(kernel, |with_types| with_types);
        let found = debug_types::find(program, kernel, &self.options).map_err(|error| {
            let problem = Diagnostic::error(Span::default(), error.message);
            vec![error.hint.into_iter().fold(problem, Diagnostic::hint)]
        })?;
        Ok(match found {
            Some(found) => (Some(found.types), found.functions),
            None => (types, Vec::new()),
        })
    }

    pub fn generate(&self, program: ir::Program) -> Result<Compiled, Faults> {
        codegen::generate(program, self.kernel)
    }
}
