//! What to type instead: the habits of C, shell, Python and SQL that people bring along, recognised by what stands at a failure.

use std::ops::Range;

use super::fault::Place;
use super::parse::{Failure, Rule};

/// The first habit that fits.
pub fn hint(place: &Place<'_>) -> Option<String> {
    HABITS.iter().find_map(|habit| habit(place))
}

/// Each looks for one habit. The more special come first.
const HABITS: [fn(&Place<'_>) -> Option<String>; 28] = [
    strange_comparison,
    bare_name_assigned,
    bad_name,
    field_assigned,
    counting_loop,
    c_loop,
    attached_bracket,
    range_end,
    bare_condition,
    single_equals,
    word_operator,
    lost_else,
    shell_comment,
    stray_closer,
    bare_body,
    untyped_parameter,
    c_declaration,
    map_declared,
    call_without_parentheses,
    unbalanced_quotes,
    missing_comma,
    trailing_comma,
    leading_dot,
    early_predicate,
    unary_plus,
    quote,
    space_for_colon,
    lost_semicolon,
];

fn strange_comparison(place: &Place<'_>) -> Option<String> {
    let before = place.before();
    if place.found == "=" && before.ends_with("==") {
        Some("equality is '=='".to_string())
    } else if place.found == ">" && before.ends_with('<') {
        Some("inequality is '!='".to_string())
    } else if place.found == "=" && before.ends_with(['>', '<', '!']) {
        Some(format!("write '{}=' without a space inside", &before[before.len() - 1..]))
    } else {
        None
    }
}

fn bare_name_assigned(place: &Place<'_>) -> Option<String> {
    let name = place.word_before()?;
    let statement = place.expects(Rule::semicolon) && is_assignment(place);
    let bare = !place.before()[..place.before().len() - name.len()].ends_with(['$', '@', '.', '>']);
    (statement && bare)
        .then(|| format!("variables begin with '$' and maps with '@': write '${name} = …' or '@{name} = …'"))
}

fn untyped_parameter(place: &Place<'_>) -> Option<String> {
    let head = place.before().rsplit(['{', '}', ';']).next()?.trim_start();
    (head.starts_with("fn ") && place.expects(Rule::colon))
        .then(|| "parameters of functions have types: fn name($a: int64, $b: string[16]) { ... }".to_string())
}

fn bad_name(place: &Place<'_>) -> Option<String> {
    let sigil = place.found.starts_with(['$', '@']) && place.found.len() > 1 && place.expects_operand();
    let digit = place.text[..place.at].ends_with(['$', '@']);
    (sigil || digit)
        .then(|| "names begin with a letter or '_' and go on with letters, digits and '_', all ASCII".to_string())
}

fn field_assigned(place: &Place<'_>) -> Option<String> {
    (place.expects(Rule::semicolon) && is_assignment(place))
        .then(|| "only variables and maps can be assigned to; fields, tuples and structs are read-only".to_string())
}

fn lost_semicolon(place: &Place<'_>) -> Option<String> {
    (place.expects(Rule::semicolon) && !place.begins_statement() && !place.expects_operand() && place.starts_operand())
        .then(|| "statements are separated by ';'".to_string())
}

/// Whether an assignment is to a part of a variable: `$tuple.0 = 1`.
pub fn changes_part(place: &Place<'_>) -> bool {
    let statement = place.before().rsplit([';', '{', '}']).next().unwrap_or("").trim_start();
    let is_part = statement.starts_with('$') && (statement.contains('.') || statement.contains("->"));
    is_part && !statement.contains(char::is_whitespace) && place.expects(Rule::semicolon) && is_assignment(place)
}

fn single_equals(place: &Place<'_>) -> Option<String> {
    let inside = [Rule::close_paren, Rule::open_brace, Rule::predicate_end, Rule::close_bracket];
    (place.found == "=" && inside.into_iter().any(|rule| place.expects(rule)))
        .then(|| "did you mean '=='? An assignment is a statement of its own".to_string())
}

fn word_operator(place: &Place<'_>) -> Option<String> {
    let (symbol, applies) = match place.found {
        "and" | "AND" => ("&&", place.expects(Rule::and)),
        "or" | "OR" => ("||", place.expects(Rule::or)),
        "is" | "eq" => ("==", place.expects(Rule::equal)),
        "ne" => ("!=", place.expects(Rule::not_equal)),
        _ => return place.word_before().filter(|&word| word == "not").map(|_| "write '!' for 'not'".to_string()),
    };
    applies.then(|| format!("write '{symbol}' for '{}'", place.found))
}

fn c_loop(place: &Place<'_>) -> Option<String> {
    let head = place.before().trim_end_matches('(').trim_end();
    let at_variable = place.expects(Rule::variable) && head.ends_with("for");
    let at_assignment = place.expects(Rule::colon) && !place.expects(Rule::question) && place.found == "=";
    (at_variable || at_assignment)
        .then(|| "loops go over numbers, `for ($i : 0..10) { … }`, or over a map, `for ($kv : @map) { … }`".to_string())
}

fn counting_loop(place: &Place<'_>) -> Option<String> {
    (place.expects(Rule::colon) && place.found == "in")
        .then(|| "write ':' for 'in', as in `for ($i : 0..10)`".to_string())
}

fn range_end(place: &Place<'_>) -> Option<String> {
    let line = place.line_before();
    let in_range = line.contains("..") && line.contains("for") && place.expects(Rule::dot) && !place.expects(Rule::add);
    (in_range && is_operator(place.found))
        .then(|| "put the end of the range in parentheses, as in `0..($n + 1)`".to_string())
}

fn bare_condition(place: &Place<'_>) -> Option<String> {
    let operand = place.expects(Rule::open_brace) && place.expects(Rule::dot) && !place.expects(Rule::add);
    (operand && is_operator(place.found)).then(|| "put the condition in parentheses: `if (a == b) { … }`".to_string())
}

fn bare_body(place: &Place<'_>) -> Option<String> {
    let body = place.expects(Rule::open_brace) && !place.expects(Rule::open_angle) && !place.expects(Rule::add);
    (body && !place.begins_statement() && !place.found.is_empty())
        .then(|| "the body stands in braces, even when it is one statement: `{ … }`".to_string())
}

fn lost_else(place: &Place<'_>) -> Option<String> {
    (place.begins_statement() && place.found == "else")
        .then(|| "'else' follows the closing brace of an 'if' directly".to_string())
}

fn c_declaration(place: &Place<'_>) -> Option<String> {
    let types = [
        "int", "char", "long", "short", "unsigned", "u8", "u16", "u32", "u64", "var", "const", "auto", "uint32",
        "uint64", "string",
    ];
    let ty = place.word_before().filter(|word| types.contains(word))?;
    let declares = place.expects(Rule::semicolon) && place.found.starts_with(char::is_alphabetic);
    declares.then(|| format!("variables are made by assignment: `${} = …;`, without '{ty}'", place.found))
}

fn map_declared(place: &Place<'_>) -> Option<String> {
    let after_let = place.expects(Rule::variable) && place.word_before() == Some("let");
    (after_let && place.found.starts_with('@')).then(|| "maps need no 'let': assign to them".to_string())
}

fn call_without_parentheses(place: &Place<'_>) -> Option<String> {
    let name = place.word_before()?;
    let call = place.expects(Rule::open_paren) && !place.expects(Rule::comma);
    (call && place.starts_operand() && !place.text[..place.at].ends_with('\n'))
        .then(|| format!("arguments stand in parentheses: {name}(…)"))
}

fn missing_comma(place: &Place<'_>) -> Option<String> {
    let list = place.expects(Rule::comma) && (place.expects(Rule::close_paren) || place.expects(Rule::close_bracket));
    (list && place.starts_operand()).then(|| "separate values with ','".to_string())
}

fn trailing_comma(place: &Place<'_>) -> Option<String> {
    (place.before().ends_with(',') && matches!(place.found, ")" | "]")).then(|| "leave out the last comma".to_string())
}

fn leading_dot(place: &Place<'_>) -> Option<String> {
    let rest = place.text[place.at..].strip_prefix('.')?;
    (place.expects_operand() && rest.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| "there are no fractions: use a whole number of a smaller unit".to_string())
}

fn early_predicate(place: &Place<'_>) -> Option<String> {
    let after_slash = place.expects_operand() && place.before().ends_with('/') && place.found == ",";
    after_slash.then(|| "the predicate follows the last attach point and holds for all of them".to_string())
}

fn unary_plus(place: &Place<'_>) -> Option<String> {
    (place.expects_operand() && place.found == "+").then(|| "there is no sign '+': leave it out".to_string())
}

fn quote(place: &Place<'_>) -> Option<String> {
    matches!(place.found, "'" | "`" | "“" | "”" | "‘" | "’")
        .then(|| "strings stand in double quotes: \"…\"".to_string())
}

fn space_for_colon(place: &Place<'_>) -> Option<String> {
    let head = place.expects(Rule::open_angle) && place.found.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let before = place.before().rsplit(|c: char| c.is_whitespace() || matches!(c, '}' | ',' | '>')).next()?;
    let first = before.split(':').next()?;
    if !head || first.is_empty() {
        return None;
    }
    match first.to_ascii_lowercase().as_str() {
        "begin" | "end" => Some("separate attach points with ','; a body in braces follows them".to_string()),
        _ => Some(format!("did you mean '{before}:{}'?", place.target())),
    }
}

/// `kprobe:f<…>`: the bracket became part of the name.
fn attached_bracket(place: &Place<'_>) -> Option<String> {
    let head = place.expects(Rule::open_angle) && place.line_before().contains('<');
    head.then(|| "put a space before '<'".to_string())
}

fn shell_comment(place: &Place<'_>) -> Option<String> {
    (place.found == "#").then(|| "comments begin with '//'".to_string())
}

/// A string that ended too early or never, which turned words into strings and strings into words.
fn unbalanced_quotes(place: &Place<'_>) -> Option<String> {
    let rest = place.text[place.at..].lines().next().unwrap_or("");
    let quotes = place.line_before().matches('"').count() + rest.matches('"').count();
    (quotes % 2 == 1).then(|| "a '\"' is missing on this line".to_string())
}

fn stray_closer(place: &Place<'_>) -> Option<String> {
    let closes = matches!(place.found, "}" | ")" | "]" | ">");
    (closes && (place.begins_item() || place.begins_statement()))
        .then(|| format!("every bracket before this '{}' is already closed", place.found))
}

/// Where the head of a probe stands that was met inside a body, whose brace is then missing.
pub fn misplaced_probe(text: &str, failure: &Failure) -> Option<Range<usize>> {
    let start = text[..failure.at].rfind([';', '{', '}', '>']).map_or(0, |at| at + 1);
    let statement = text[start..failure.at].trim();
    let event = statement.eq_ignore_ascii_case("begin") || statement.eq_ignore_ascii_case("end");
    let rest = &text[failure.at..];
    let target = PROVIDERS.contains(&statement) && rest.starts_with(':');
    let head = start + text[start..].len() - text[start..].trim_start().len();
    (failure.expected.contains(&Rule::semicolon) && (target || event && rest.starts_with(['{', ',', '/'])))
        .then(|| head..head + statement.len())
}

/// The first words of probes that take a target; only a guess hangs on them.
const PROVIDERS: [&str; 24] = [
    "kprobe",
    "k",
    "kretprobe",
    "kr",
    "tracepoint",
    "t",
    "rawtracepoint",
    "rt",
    "uprobe",
    "u",
    "uretprobe",
    "ur",
    "usdt",
    "profile",
    "p",
    "interval",
    "i",
    "software",
    "s",
    "hardware",
    "fentry",
    "fexit",
    "iter",
    "watchpoint",
];

fn is_assignment(place: &Place<'_>) -> bool {
    place.found.ends_with('=') && !matches!(place.found, "==" | "!=" | "<=" | ">=")
}

fn is_operator(found: &str) -> bool {
    let words = ["and", "or", "is", "not"];
    words.contains(&found) || found.starts_with(['=', '!', '<', '>', '+', '-', '*', '/', '%', '&', '|', '^', '?'])
}

impl<'a> Place<'a> {
    /// The word that stands right before the failure.
    fn word_before(&self) -> Option<&'a str> {
        let before = self.before();
        let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        let start = before.ceil_char_boundary(start);
        Some(&before[start..]).filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
    }

    fn starts_operand(&self) -> bool {
        self.found.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '"' | '$' | '@' | '_'))
    }

    fn line_before(&self) -> &'a str {
        self.before().rsplit('\n').next().unwrap_or("")
    }

    /// What stands at the failure up to the next space, as an attach point would be read.
    fn target(&self) -> &'a str {
        let rest = &self.text[self.at..];
        &rest[..rest.find(|c: char| c.is_whitespace() || matches!(c, '{' | ',')).unwrap_or(rest.len())]
    }
}
