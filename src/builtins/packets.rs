//! Packets, copied by the kernel from wherever it keeps their parts, for a capture file.

use super::Builtin;
use super::objects::is_argument;
use super::process::fields_of;
use crate::bpf::Helper;
use crate::check::{Call, Cx, Emit, Fallible, kind_of};
use crate::diag::Diagnostic;
use crate::error::Result;
use crate::format::{Format, Piece};
use crate::ir::{BinaryOp, CompareOp, Expr, ExprKind, Stmt, StmtKind};
use crate::plan::{Action, Host, Lane, ProgKind};
use crate::report::pcap::Packet;
use crate::types::{Sign, Type};
use crate::value::Value;

pub const ROWS: &[Builtin] = &[Builtin::function(
    "skboutput",
    "\"file\", skb, length, offset",
    (4, 4),
    "Writes length bytes of a packet, from offset on, to a capture file (pcap) for tcpdump and the like; the whole rest of it if it is shorter. \
     The file takes what begins with an IP header: an offset of 14 leaves out that of Ethernet. 0, or a negative error number.",
    "fentry:ip_rcv { skboutput(\"out.pcap\", args.skb, args.skb.len, 0); }",
    skboutput,
)];

/// Bytes of a packet that are copied at the most: its record with all headers is to stay below the 64 KiB that perf can tell of.
const COPIED: u32 = 65_000;

/// `BPF_F_CURRENT_CPU`; the bits above say how much of the packet is wanted.
const THIS_CPU: i64 = 0xffff_ffff;

fn skboutput(cx: &mut Cx<'_>, call: &Call<'_>) -> Fallible<Expr> {
    let [file, skb, length, offset] = call.args else {
        return Err(
            cx.error(Diagnostic::error(call.span, "skboutput() takes a file, a packet, a length and an offset"))
        );
    };
    if cx.probe.kind != ProgKind::Tracing {
        let message = "The skboutput function can only be used with 'fentry', 'fexit' probes";
        let hint = "they are handed the packets that the kernel lets programs copy: fentry:ip_rcv, fentry:__dev_queue_xmit, ...";
        return Err(cx.error(Diagnostic::error(call.span, message).hint(hint)));
    }
    let file = cx.literal_str(file, "skboutput()")?;
    let packet = cx.expr(skb)?;
    let is_packet =
        matches!(&packet.ty, Type::Ptr(to, _) if matches!(&**to, Type::Struct(of) if &*of.name == "struct sk_buff"));
    if !is_packet {
        let message = format!("skboutput() takes a struct sk_buff * ({} provided)", kind_of(&packet.ty));
        return Err(cx.error(Diagnostic::error(packet.span, message).hint("give it the probe's argument: args.skb")));
    }
    if !is_argument(&packet) {
        let message = "skboutput() takes the probe's own argument only, as the kernel vouches for no other packet";
        return Err(cx.error(Diagnostic::error(packet.span, message).hint("name the argument itself: args.skb")));
    }
    let whole = cx.scalar(&fields_of(skb.clone(), &["len"], call.span))?;
    let (length, offset) = (cx.scalar(length)?, cx.scalar(offset)?);
    send(cx, call, &file, Wanted { packet, whole, length, offset })
}

/// What is asked for.
struct Wanted {
    packet: Expr,
    /// Bytes of the packet.
    whole: Expr,
    length: Expr,
    offset: Expr,
}

/// The kernel puts the packet right behind the record, whose last field is how many bytes follow.
fn send(cx: &mut Cx<'_>, call: &Call<'_>, file: &[u8], wanted: Wanted) -> Fallible<Expr> {
    let mut block = Vec::new();
    let mut keep = |cx: &mut Cx<'_>, name: &str, value: Expr, ty: Type| {
        let var = cx.fresh(name, ty.clone());
        let value = Expr::new(ExprKind::Convert(value), ty.clone(), call.span);
        block.push(Stmt::new(StmtKind::Set(var, value), call.span));
        Expr::new(ExprKind::Var(var), ty, call.span)
    };
    let whole = keep(cx, "packet's length", wanted.whole, Type::U32);
    let length = keep(cx, "wanted length", wanted.length, Type::U32);
    let offset = keep(cx, "wanted offset", wanted.offset, Type::U32);
    let end = Expr::binary(BinaryOp::Add, length, offset.clone(), Type::U64);
    let end = least(least(end, whole.clone()), super::number(i64::from(COPIED), call.span));
    let end = keep(cx, "copied length", end, Type::U32);
    let now = Expr::new(ExprKind::Call(Helper::KTIME_GET_BOOT_NS, Vec::new()), Type::U64, call.span);
    let behind = Expr::new(ExprKind::Zero, Type::Buf(COPIED), call.span);
    let text = String::from_utf8_lossy(file).into_owned();
    let format = Some(Format { pieces: vec![Piece::Text(text.clone().into_bytes())] });
    let emit = Emit { name: "skboutput", act: capture, format, map: None, span: call.span };
    let fields = [now, whole, offset, behind];
    let (action, lost) = cx.register(Lane::Data, emit, &fields);
    let [now, whole, offset, _] = fields;
    let number = super::number(i64::from(action.0), call.span);
    let parts = vec![(0, number), (8, now), (16, whole), (20, offset), (24, end.clone())];
    let record = Type::Array(Box::new(Type::U8), RECORD);
    let record = Expr::new(ExprKind::Compose(parts), record, call.span);
    let copied = super::binary(BinaryOp::Shl, end, 32, Type::U64);
    let arguments = vec![
        wanted.packet,
        Expr::new(ExprKind::Handle(cx.packet_map(&text)), Type::U64, call.span),
        super::binary(BinaryOp::Or, copied, THIS_CPU, Type::U64),
        Expr::new(ExprKind::Location(record), Type::U64, call.span),
        super::number(i64::from(RECORD), call.span),
    ];
    let sent = Expr::new(ExprKind::Call(Helper::SKB_OUTPUT, arguments), Type::I64, call.span);
    let sent = keep(cx, "result of skboutput", sent, Type::I64);
    let refused = Expr::compare(CompareOp::Lt, Sign::Signed, sent.clone(), super::number(0, call.span));
    let count = vec![Stmt::new(StmtKind::Count(lost), call.span)];
    block.push(Stmt::new(StmtKind::If { cond: refused, then: count, otherwise: Vec::new() }, call.span));
    Ok(Expr::new(ExprKind::Seq(block, sent), Type::I64, call.span))
}

/// Bytes of the record: its number, the time, the packet's length, the offset, and how much follows.
const RECORD: u32 = 28;

fn least(left: Expr, right: Expr) -> Expr {
    let span = left.span;
    let cond = Expr::compare(CompareOp::Lt, Sign::Unsigned, left.clone(), right.clone());
    Expr::new(ExprKind::Cond { cond, then: left, otherwise: right }, Type::U64, span)
}

fn capture(action: &Action, values: &[Value], host: &mut dyn Host) -> Result<()> {
    let [Value::UInt(time), Value::UInt(length), Value::UInt(offset), Value::Bytes(bytes)] = values else {
        return Ok(());
    };
    let Some(Piece::Text(file)) = action.format.as_ref().and_then(|format| format.pieces.first()) else {
        return Ok(());
    };
    match bytes.get(*offset as usize..) {
        Some(bytes) if !bytes.is_empty() => {
            let packet = Packet { bytes, length: (length - offset) as u32 };
            host.capture(&String::from_utf8_lossy(file), *time, packet)
        }
        // The packet ends before the offset.
        _ => Ok(()),
    }
}
