//! What to type instead: the habits of C, shell, Python and SQL that people bring along, recognised by what stands at a failure.

use super::fault::Place;
use super::parse::Rule;

pub fn hint(place: &Place<'_>) -> Option<String> {
    HABITS.iter().find_map(|habit| habit(place))
}

/// Each looks for one habit.
const HABITS: [fn(&Place<'_>) -> Option<String>; 2] = [single_equals, space_for_colon];

fn single_equals(place: &Place<'_>) -> Option<String> {
    let inside =
        place.expects(Rule::close_paren) || place.expects(Rule::open_brace) || place.expects(Rule::predicate_end);
    (place.found == "=" && inside).then(|| "did you mean '=='? An assignment is a statement of its own".to_string())
}

fn space_for_colon(place: &Place<'_>) -> Option<String> {
    let before = place.before().rsplit(|c: char| c.is_whitespace() || c == '}' || c == ',').next()?;
    let head = place.expects(Rule::open_brace) && place.expects(Rule::open_angle);
    let word = place.found.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (head && word && !before.is_empty()).then(|| format!("did you mean '{before}:{}'?", place.found))
}

/// Whether a probe's head was met inside a body, whose brace is then missing.
pub fn misplaced_probe(_place: &Place<'_>) -> bool {
    false
}
