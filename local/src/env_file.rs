//! `dev.env`: the environment of a shell that uses the local stack.

use std::collections::BTreeMap;

/// Names and values of environment variables.
pub type Environment = BTreeMap<String, String>;

/// The file's name in the data folder.
pub const NAME: &str = "dev.env";

/// The file's text, for `source`.
pub fn write(environment: &Environment) -> String {
    let line = |(name, value): (_, &String)| format!("export {name}='{}'\n", value.replace('\'', r"'\''"));
    environment.iter().map(line).collect::<Vec<_>>().concat()
}

/// Reads what [`write`] wrote. Other lines are skipped.
pub fn read(text: &str) -> Environment {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            let value = value.strip_prefix('\'')?.strip_suffix('\'')?.replace(r"'\''", "'");
            Some((name.to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn written_file_reads_back() {
        let environment: Environment = [("A", ""), ("B", "it's \"$HOME\" \\ `x`"), ("C", "''")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(read(&write(&environment)), environment);
        assert_eq!(read("A='1'\nexport B=1\nexport C='2\nexport D='3'\n"), [("D", "3")].map(owned).into());
    }

    #[test]
    fn shell_reads_the_file() {
        let environment: Environment = [("A", "it's \"$HOME\" \\ `x` !")].map(owned).into();
        let script = format!("{}printenv A", write(&environment));
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "it's \"$HOME\" \\ `x` !\n");
    }

    fn owned((name, value): (&str, &str)) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }
}
