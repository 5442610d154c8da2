//! Error numbers in the words of strerror(3).

/// The highest `errno` of Linux.
const LAST: i64 = 133;

pub fn describe(number: i64) -> String {
    match number {
        0 => "Success".to_string(),
        1..=LAST => {
            let text = std::io::Error::from_raw_os_error(number as i32).to_string();
            text.split(" (os error").next().unwrap_or_default().to_string()
        }
        _ => format!("Unknown error {number}"),
    }
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
