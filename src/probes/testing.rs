//! What the tests of all probe types share: the fixture kernel, and attach points from text.

use std::path::Path;

use super::{Request, find};
use crate::check::Safety;
use crate::diag::Diagnostic;
use crate::kernel::Fixture;
use crate::plan::Target;
use crate::source::Span;
use crate::syntax::ast::AttachPoint;
use crate::syntax::attach;

pub fn fixture() -> Fixture {
    Fixture::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel")).unwrap()
}

pub fn expand(kernel: &Fixture, text: &str) -> Result<Vec<Target>, Diagnostic> {
    let point = parse(text);
    (find(&point.parts[0].text).unwrap().expand)(&request(kernel, &point))
}

pub fn missing(kernel: &Fixture, text: &str) -> Diagnostic {
    let point = parse(text);
    (find(&point.parts[0].text).unwrap().missing)(&request(kernel, &point))
}

fn request<'a>(kernel: &'a Fixture, point: &'a AttachPoint) -> Request<'a> {
    Request { kernel, point, pid: None, child: None, safety: Safety::Safe }
}

pub fn parse(text: &str) -> AttachPoint {
    attach::split(text, Span::new(0, text.len()))
}
