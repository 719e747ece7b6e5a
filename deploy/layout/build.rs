//! Lays the functions that a start and a chat run side by side in the release program, as `functions.txt` lists them.
//!
//! The kernel maps a program in pieces of 64 KiB around every touched page. In the linker's own order a running daemon touches nearly every
//! piece; in this one it touches those at the front. It changes where functions lie, never what they do: a list that is out of date, or a
//! linker that is not asked, costs memory only. `.ci/layout` writes the list.

#![expect(clippy::disallowed_methods, reason = "Cargo speaks to a build script by its environment")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=deploy/layout");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    // Where it was measured. Other targets have other linkers.
    let target = ["ARCH", "OS", "ENV"].map(|part| variable(&format!("CARGO_CFG_TARGET_{part}")));
    // A linker that somebody chose may not know such scripts (mold does not); GNU's and LLVM's do.
    let chosen = env::var_os("RUSTC_LINKER").is_some() || variable("CARGO_ENCODED_RUSTFLAGS").contains("link");
    if variable("PROFILE") != "release" || target != ["x86_64", "linux", "gnu"] || chosen {
        return Ok(());
    }
    let list = fs::read_to_string("deploy/layout/functions.txt")?;
    let script = Path::new(&variable("OUT_DIR")).join("layout.ld");
    fs::write(&script, linker_script(&list))?;
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    Ok(())
}

/// The script that puts the listed functions, each in a section of its own, before all others.
fn linker_script(list: &str) -> String {
    let mut script = String::from("SECTIONS { .text.first : {\n");
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        // Rust's functions end in a hash, `17h` and 16 digits; C's have none.
        let pattern = match line.strip_suffix('@') {
            Some(name) if name.starts_with("_ZN") => format!("{name}17h*"),
            Some(name) => name.to_owned(),
            None => line.to_owned(),
        };
        // What is marked cold lies in a section with another name, and runs once all the same.
        let _ = writeln!(script, "*(.text.{pattern} .text.unlikely.{pattern})");
    }
    script.push_str("} } INSERT BEFORE .text;\n");
    script
}
