//! Error numbers in the words of strerror(3).

use std::io::Error;

/// The highest `errno` of Linux.
const LAST: i64 = 133;

pub fn describe(number: i64) -> String {
    match number {
        0 => "Success".to_string(),
        1..=LAST => reason(&Error::from_raw_os_error(number as i32)),
        _ => format!("Unknown error {number}"),
    }
}

/// What went wrong, without its number.
pub fn reason(error: &Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_the_number() {
        assert_eq!(describe(2), "No such file or directory");
        assert_eq!([describe(0), describe(1000), describe(-2)], ["Success", "Unknown error 1000", "Unknown error -2"]);
    }
}
