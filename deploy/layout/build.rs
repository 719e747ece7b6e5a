//! Lays the functions that a start and a chat run side by side in the release program, as `functions.txt` lists them.
//!
//! The kernel maps a program in pieces of 64 KiB around every touched page. In the linker's own order a running daemon touches nearly every
//! piece; in this one it touches those at the front. It changes where functions lie, never what they do: a list that is out of date, or a
//! linker that is not asked, costs memory only. `.ci/layout` writes the list.
//!
//! It also has the linker leave out the symbols, unless `HAIA_SYMBOLS` is set. The profile could: but a profile's settings are part of the hashes in the
//! names of generic functions, and the list must be written with the names that the program is built with. And it has the linker pack its
//! list of relocations, where the C library can read that.

#![expect(clippy::disallowed_methods, reason = "Cargo speaks to a build script by its environment")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=deploy/layout");
    println!("cargo::rerun-if-env-changed=HAIA_SYMBOLS");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let target = ["OS", "ARCH", "ENV"].map(|part| variable(&format!("CARGO_CFG_TARGET_{part}")));
    if variable("PROFILE") != "release" || target[0] != "linux" {
        return Ok(());
    }
    if env::var_os("HAIA_SYMBOLS").is_none() {
        println!("cargo::rustc-link-arg-bins=-Wl,--strip-all");
    }
    // A linker that somebody chose may not know such scripts (mold does not); GNU's and LLVM's do.
    let is_chosen = env::var_os("RUSTC_LINKER").is_some() || variable("CARGO_ENCODED_RUSTFLAGS").contains("link");
    // Where it was measured. Other targets have other linkers.
    if is_chosen || target != ["linux", "x86_64", "gnu"] {
        return Ok(());
    }
    let list = fs::read_to_string("deploy/layout/functions.txt")?;
    let script = Path::new(&variable("OUT_DIR")).join("layout.ld");
    fs::write(&script, linker_script(&list))?;
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    if variable("HOST") == variable("TARGET") && reads_packed_relocations() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

/// Whether the C library of this machine reads the list of places that the loader must fill in its packed form, which is 800 KiB shorter and as much
/// less to keep in memory: glibc does since 2.36 (Debian 12). An older one refuses such a program, as it does most that were built on a newer system.
fn reads_packed_relocations() -> bool {
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let told = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = told.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    version.is_some_and(|(major, minor)| match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => (major, minor) >= (2u32, 36u32),
        _ => false,
    })
}

/// The script that puts the listed functions, each in a section of its own, before all others.
fn linker_script(list: &str) -> String {
    let mut script = String::from("SECTIONS { .text.first : {\n");
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        // Rust's functions end in a hash, `17h` and 16 digits; others may end in a number.
        let patterns = match line.strip_suffix('@') {
            Some(name) if name.starts_with("_ZN") => vec![format!("{name}17h*")],
            Some(name) => vec![name.to_owned(), format!("{name}.*")],
            None => vec![line.to_owned()],
        };
        for pattern in patterns {
            // What is marked cold, or as run before `main`, lies in a section with another name, and runs once all the same.
            let _ = writeln!(script, "*(.text.{pattern} .text.unlikely.{pattern} .text.startup.{pattern})");
        }
    }
    script.push_str("} } INSERT BEFORE .text;\n");
    script
}
