fn main() {
    let text = std::env::args().nth(1).unwrap_or_default();
    let kernel = rtrace::kernel::live::Live::new(|_| true);
    let mut engine = rtrace::engine::Engine::new(&kernel, Default::default(), Default::default());
    let result =
        engine.parse("stdin", &text).and_then(|ast| engine.check(&ast)).and_then(|(ir, _)| engine.generate(ir));
    match result {
        Ok(compiled) => {
            for unit in &compiled.units {
                println!("{}", rtrace::bpf::list::Listing { unit, plan: &compiled.plan, sources: &engine.sources });
            }
        }
        Err(faults) => {
            for fault in faults {
                print!("{}", rtrace::diag::render(&fault, &engine.sources, rtrace::diag::Style::Plain));
            }
        }
    }
}
