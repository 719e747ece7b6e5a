//! The first minute of a stranger: a fresh clone, `haia demo`, and what it prints, tried from another folder.

use crate::daemon::{binary, eventually};
use crate::sim::Provider;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A demo that ends with its test.
struct Demo(Child);

impl Demo {
    /// Starts it, and reads until it has printed what to try.
    fn start(mut command: Command) -> (Self, BufReader<ChildStdout>, String) {
        let child = command.arg("demo").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut demo = Demo(child);
        let mut stdout = BufReader::new(demo.0.stdout.take().expect("stdout is piped"));
        let mut banner = String::new();
        while !banner.contains("Ctrl-C") {
            assert_ne!(stdout.read_line(&mut banner).expect("text"), 0, "the banner ends: {banner}");
        }
        (demo, stdout, banner)
    }
}

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
    let (demo, mut stdout, banner) = Demo::start(plain(binary(), clone.path(), temporary.path()));
    let lines: Vec<&str> = banner.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let of_haia: Vec<&&str> = lines.iter().filter(|line| line.contains(" ask ") || line.ends_with(" status")).collect();
    assert_eq!(of_haia.len(), 8, "{banner}");
    assert!(lines.iter().any(|line| line.ends_with(" alerts")), "{banner}");
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
    assert!(rest.lines().all(|line| line.is_empty() || line.contains("  alert ")), "{rest}");
}

/// Asks the demo until the answer holds what is expected: the incidents take their time.
fn ask_until(folder: &Path, temporary: &Path, question: &str, expected: &[&str]) {
    eventually(&format!("{question} {expected:?}"), || {
        let output = plain(binary(), folder, temporary).args(["ask", question]).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        expected.iter().all(|expected| told.contains(expected)).then_some(())
    });
}

#[test]
fn its_incidents_are_told_right_without_a_model_and_with_one() {
    let models = Provider::start();
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let temporaries = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    // Both at once: their incidents take half a minute.
    let _demos = [None, Some("ollama:explain")]
        .into_iter()
        .zip(&folders)
        .zip(&temporaries)
        .map(|((model, folder), temporary)| {
            let mut command = plain(binary(), folder.path(), temporary.path());
            command.env("HAIA_SERVER__LISTEN", "127.0.0.1:0");
            if let Some(model) = model {
                command.env("HAIA_MODEL", model).env("OLLAMA_HOST", models.address().to_string());
            }
            let started = Demo::start(command);
            assert_eq!(started.2.contains("It answers with ollama/explain"), model.is_some(), "{}", started.2);
            started
        })
        .collect::<Vec<_>>();
    let ask = |at: usize, question: &str, expected: &[&str]| {
        ask_until(folders[at].path(), temporaries[at].path(), question, expected);
    };
    let crashed = ["web-01 (101) stopped ", "without a Proxmox task"];
    ask(0, "why did web-01 stop?", &crashed);
    ask(1, "why did web-01 stop?", &["I looked it up. ", crashed[0], crashed[1]]);
    let last = models.chats().pop().expect("it was asked").request;
    assert!(last.tools().contains(&"explain_guest_stop".to_owned()), "a model has the same tools");
    assert_eq!(models.violations(), [""; 0]);
    ask(0, "why did media-01 stop?", &["media-01 (114) was shut down by root@pam"]);
    ask(0, "is everything healthy?", &["The cluster homelab has", "web-01"]);
    ask(0, "any failed backups?", &["One backup run failed", "offline responder"]);
}
