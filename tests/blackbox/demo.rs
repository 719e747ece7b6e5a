//! The first minute of a stranger: a fresh clone, `haia demo`, and what it prints, tried from another folder.

use crate::daemon::binary;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A demo that ends with its test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program with the environment of a stranger: `haia` is not on the path.
fn plain(program: impl AsRef<std::ffi::OsStr>, folder: &Path, temporary: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", temporary).current_dir(folder).stdin(Stdio::null());
    command
}

#[test]
fn all_of_it_works_as_printed() {
    let [clone, elsewhere, temporary] = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("haia.toml");
    std::fs::copy(shipped, clone.path().join("haia.toml")).expect("the shipped configuration");
    let mut command = plain(binary(), clone.path(), temporary.path());
    let child = command.arg("demo").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut demo = Demo(child);
    let mut stdout = BufReader::new(demo.0.stdout.take().expect("stdout is piped"));
    let mut banner = String::new();
    while !banner.contains("Ctrl-C") {
        assert_ne!(stdout.read_line(&mut banner).expect("text"), 0, "the banner ends: {banner}");
    }

    let lines: Vec<&str> = banner.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let of_haia: Vec<&&str> = lines.iter().filter(|line| line.contains(" ask ") || line.ends_with(" status")).collect();
    assert_eq!(of_haia.len(), 8, "{banner}");
    for line in of_haia {
        let Output { status, stdout, stderr } =
            plain("sh", elsewhere.path(), temporary.path()).args(["-c", line]).output().expect("a shell");
        let told = format!("{line}: {} {}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success() && !stdout.is_empty(), "{told}");
        assert!(!told.contains("no daemon is running"), "{told}");
    }
    let left: Vec<_> =
        std::fs::read_dir(clone.path()).expect("a folder").flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["haia.toml"], "a trial leaves nothing behind where it was started");
    drop(demo);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "");
}
