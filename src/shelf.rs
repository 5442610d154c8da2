//! The tools that come with rtrace, as text within the binary: a name in, the script out.

/// One script of `scripts/`.
#[derive(Debug, PartialEq, Eq)]
pub struct Tool {
    pub name: &'static str,
    /// The whole script.
    pub text: &'static str,
}

/// Takes the scripts of these names into the binary.
macro_rules! tools {
    ($($name:literal)*) => {
        &[$(Tool { name: $name, text: include_str!(concat!("../scripts/", $name, ".bt")) }),*]
    };
}

/// All of them, by name; a test holds that none of the folder is missing.
pub static TOOLS: &[Tool] = tools! {
    "argdist"
    "bashreadline"
    "biolatency"
    "biosnoop"
    "biostacks"
    "bitesize"
    "capable"
    "cpuwalk"
    "dcsnoop"
    "execsnoop"
    "filelife"
    "fileslower"
    "funclatency"
    "gethostlatency"
    "killsnoop"
    "loads"
    "mdflush"
    "memleak"
    "naptime"
    "offcputime"
    "oomkill"
    "opensnoop"
    "pidpersec"
    "profile"
    "runqlat"
    "runqlen"
    "setuids"
    "ssllatency"
    "sslsnoop"
    "statsnoop"
    "swapin"
    "syncsnoop"
    "syscount"
    "tcpaccept"
    "tcpconnect"
    "tcpdrop"
    "tcplife"
    "tcpretrans"
    "tcprtt"
    "tcpsynbl"
    "tcptop"
    "threadsnoop"
    "undump"
    "vfscount"
    "vfsstat"
    "wakeuptime"
    "writeback"
    "xfsdist"
};

/// The tool of this name, with or without the ending of its file.
pub fn find(name: &str) -> Option<&'static Tool> {
    let name = name.strip_suffix(".bt").unwrap_or(name);
    TOOLS.iter().find(|tool| tool.name == name)
}

impl Tool {
    /// What it shows, in one line: the header's ` * NAME - DESCRIPTION.`
    pub fn about(&self) -> &'static str {
        let line =
            self.text.lines().find_map(|line| line.strip_prefix(" * ")?.strip_prefix(self.name)?.strip_prefix(" - "));
        line.unwrap_or_default()
    }

    /// The comment it begins with, as plain text.
    pub fn header(&self) -> String {
        let lines = self.text.lines().skip_while(|line| *line != "/*").skip(1).take_while(|line| *line != " */");
        lines.map(|line| format!("{}\n", line.strip_prefix(" * ").unwrap_or_default())).collect()
    }
}

/// The list of `--tools`.
pub fn list() -> String {
    let width = TOOLS.iter().map(|tool| tool.name.len()).max().unwrap_or(0);
    TOOLS.iter().map(|tool| format!("{:width$}  {}\n", tool.name, tool.about())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_go_by_their_names() {
        assert_eq!(find("opensnoop").map(|tool| tool.name), Some("opensnoop"));
        assert_eq!(find("opensnoop.bt").map(|tool| tool.name), Some("opensnoop"));
        assert!(find("opensnoo").is_none());
    }

    #[test]
    fn the_whole_folder_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
        let files = std::fs::read_dir(folder).expect("the folder of scripts").flatten();
        let mut files: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        let known: Vec<String> = TOOLS.iter().map(|tool| format!("{}.bt", tool.name)).collect();
        assert_eq!(files, known);
    }

    #[test]
    fn names_are_in_order_and_every_tool_says_what_it_shows() {
        assert!(TOOLS.is_sorted_by_key(|tool| tool.name));
        for tool in TOOLS {
            assert!(tool.about().ends_with('.'), "{}: its header has no line ` * {} - …`", tool.name, tool.name);
        }
    }
}
